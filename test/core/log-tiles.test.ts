// A log exported as C2SP tlog-tiles: every tile against the definition, every entry against its leaf, resumed, broken off
// and grown; folders and logs that somebody changed.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { Frontier, leafHash, TILE_WIDTH } from '#certs/merkle.ts';
import { exportTiles, tilePath } from '#core/log/export-tiles.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import { openCheckpoint, parseVerifierKey } from '#core/log/signed-note.ts';
import { type LogFixture, logFixture, requestRecords } from './log-fixture.ts';

async function grow({ options }: LogFixture, count: number): Promise<string> {
  const log = await openMessageLog(options);
  for (let left = count; left > 0; left -= 256) {
    await Promise.all(requestRecords(Math.min(left, 256)).map((record) => log.append(record)));
  }
  await log.close();
  return log.verifierKey;
}

/** Reads the folder as a monitor would, knowing nothing but its layout. */
function requireWhole(t: Test, out: string, verifierKey: string): number {
  const { size, root } = openCheckpoint(readFileSync(join(out, 'checkpoint')), parseVerifierKey(verifierKey));
  const frontier = new Frontier();
  const roots: Buffer[] = [];
  for (let tile = 0; tile * TILE_WIDTH < size; tile++) {
    const width = Math.min(TILE_WIDTH, size - tile * TILE_WIDTH);
    const bundle = readFileSync(join(out, tilePath('entries', tile, width)));
    const leaves: Buffer[] = [];
    for (let at = 0; at < bundle.length; ) {
      const length = bundle.readUInt16BE(at);
      leaves.push(leafHash(bundle.subarray(at + 2, at + 2 + length)));
      at += 2 + length;
    }
    t.ok(readFileSync(join(out, tilePath(0, tile, width))).equals(Buffer.concat(leaves)), `tile 0/${tile}`);
    for (const leaf of leaves) frontier.push(leaf);
    if (width === TILE_WIDTH) {
      const whole = new Frontier();
      for (const leaf of leaves) whole.push(leaf);
      roots.push(whole.root());
    }
  }
  t.ok(frontier.root().equals(root), 'the checkpoint is over these entries');
  if (roots.length > 0) {
    t.ok(readFileSync(join(out, tilePath(1, 0, roots.length))).equals(Buffer.concat(roots)), 'tile 1/0');
  }
  return size;
}

function filesIn(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[]).filter((name) => statSync(join(folder, name)).isFile());
}

t.test('names of tiles', async (t) => {
  t.equal(tilePath(0, 0, 256), 'tile/0/000');
  t.equal(tilePath('entries', 1_234_067, 256), 'tile/entries/x001/x234/067');
  t.equal(tilePath(2, 999, 17), 'tile/2/999.p/17');
  t.equal(tilePath(1, 1_000, 1), 'tile/1/x001/000.p/1');
});

t.test('a log that grows between exports', async (t) => {
  const made = logFixture(t);
  const out = join(made.dir, 'tiles');
  let [size, key] = [0, ''];
  for (const [more, written] of [
    [3, 2],
    [250, 2],
    [3, 3],
    [1, 2],
    [600, 7],
    [0, 0],
  ] as const) {
    if (more > 0) key = await grow(made, more);
    const exported = exportTiles(made.options.folder, out);
    t.match(exported, { origin: made.options.origin, sizeBefore: size, size: size + more, written }, `${more} more`);
    size += more;
    t.equal(requireWhole(t, out, key), size);
  }
  const names = filesIn(out).sort();
  t.strictSame(
    names,
    [
      'checkpoint',
      ...[0, 1, 2].flatMap((tile) => [tilePath(0, tile, 256), tilePath('entries', tile, 256)]),
      tilePath(0, 3, 89),
      tilePath('entries', 3, 89),
      tilePath(1, 0, 3),
    ].sort(),
    'old partial tiles are gone',
  );
});

t.test('an export that broke off goes on, and does not trust what lies there', async (t) => {
  const made = logFixture(t);
  const out = join(made.dir, 'tiles');
  const key = await grow(made, 700);
  const stop = () =>
    exportTiles(made.options.folder, out, (entries) => {
      if (entries >= 512) throw new Error('power');
    });
  t.throws(stop, /power/);
  t.notOk(existsSync(join(out, 'checkpoint')));
  writeFileSync(join(out, tilePath(0, 0, 256)), 'half');
  t.match(exportTiles(made.options.folder, out), { sizeBefore: 0, size: 700, written: 4 });
  requireWhole(t, out, key);
});

t.test('a folder or a log that is not what it was', async (t) => {
  const made = logFixture(t);
  const other = logFixture(t);
  const out = join(made.dir, 'tiles');
  await grow(made, 300);
  await grow(other, 10);
  exportTiles(made.options.folder, out);
  t.throws(() => exportTiles(other.options.folder, out), { code: 'LOG_CHECKPOINT_WRONG' }, 'of another log');
  const forked = logFixture(t);
  await grow({ ...forked, options: { ...forked.options, checkpointKey: made.options.checkpointKey } }, 400);
  t.throws(() => exportTiles(forked.options.folder, out), { code: 'LOG_CHECKPOINT_WRONG' }, 'of another history');
  writeFileSync(join(out, 'checkpoint'), 'x');
  t.throws(() => exportTiles(made.options.folder, out), { code: 'LOG_CHECKPOINT_WRONG' }, 'rubbish');
  rmSync(out, { recursive: true });
  mkdirSync(out);
  const db = new Database(join(made.options.folder, 'messages.db'));
  for (const name of db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all()) {
    db.exec(`DROP TRIGGER ${name}`);
  }
  const line = db.prepare('SELECT line FROM entries WHERE seq = 7').pluck().get() as string;
  const changed = line.replace('"kind":"request-sent"', '"kind":"request-received"');
  db.prepare('UPDATE entries SET line = ? WHERE seq = 7').run(changed);
  t.throws(() => exportTiles(made.options.folder, out), { code: 'LOG_TAMPERED' }, 'a line');
  db.prepare('UPDATE entries SET leaf = ? WHERE seq = 7').run(leafHash(changed));
  t.throws(() => exportTiles(made.options.folder, out), { code: 'LOG_TAMPERED' }, 'a line and its leaf');
  db.close();
  t.notOk(existsSync(join(out, 'checkpoint')));
});
