// What the log lets go of, and what an audit says of one whose archive is not what it says: rules of the database, manifests that
// lie, archives that were changed.
import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { archiveKeyOf, decipherFile, encipherFile } from '#certs/archive-cipher.ts';
import { sha256 } from '#certs/commitment.ts';
import { generateKeys } from '#certs/keys.ts';
import { readChain } from '#core/archive/chain.ts';
import { placeOfFile } from '#core/archive/destination.ts';
import { folderDestination } from '#core/archive/folder-destination.ts';
import { restoreArchive } from '#core/archive/restore.ts';
import { decodeRows, encodeRow } from '#core/archive/rows.ts';
import { archiveSegment } from '#core/archive/run-archive.ts';
import { verifyArchive } from '#core/archive/verify-archive.ts';
import { verifyLog } from '#core/log/audit.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import { type ArchiveManifest, manifestText, parseManifest } from '#schemas/archive.ts';
import { isAccordError } from '#schemas/problems.ts';
import { archivable, archiveKey, EVERYTHING, filesOf } from './archive-fixture.ts';
import { requestRecords } from './log-fixture.ts';

t.test('the database lets go of nothing that no entry calls archived, and of nothing else', async (t) => {
  const { run, grow, log, options } = await archivable(t);
  await grow(4, 300);
  // No checkpoint is over these: the entry `archived` stands behind them.
  await Promise.all(requestRecords(3).map((record) => log.append(record)));
  await archiveSegment(run, EVERYTHING);
  await grow(4);
  const until = log.archivedUntil();
  await log.close();
  const db = new Database(join(options.folder, 'messages.db'));
  t.teardown(() => db.close());
  const said = db.prepare("SELECT seq FROM entries WHERE exchange_id = 'archived'").pluck().get() as number;
  const refused: [string, string][] = [
    ['another line', `UPDATE entries SET line = 'x' WHERE seq = 0`],
    ['another leaf', `UPDATE entries SET leaf = zeroblob(32) WHERE seq = 0`],
    ['another key', `UPDATE entries SET key_id = x'00' WHERE seq = 0`],
    ['what is not archived', `UPDATE entries SET statement = NULL WHERE seq = ${until + 1}`],
    [
      'all beside what is not archived',
      `UPDATE entries SET sealed = NULL, signature = NULL, statement = NULL, path = NULL,
      batch_index = NULL, batch_size = NULL WHERE seq = ${until + 2}`,
    ],
    ['a note', `UPDATE entries SET statement = NULL WHERE seq = ${said}`],
    ['something in the place of what went', `UPDATE entries SET statement = x'00', sealed = x'00' WHERE seq = 0`],
    ['an entry', 'DELETE FROM entries WHERE seq = 0'],
    ['an entry with its evidence', `DELETE FROM entries WHERE seq = ${until}`],
    [
      'an entry put over another',
      `INSERT OR REPLACE INTO entries (seq, line, leaf, exchange_id) VALUES (0, 'x', zeroblob(32), 'x')`,
    ],
    [
      'a place beyond what is said',
      `INSERT INTO archived SELECT max(number) + 1, ${until + 1}, ${said}, max(signatures) FROM archived`,
    ],
    [
      'a place that no entry says',
      `INSERT INTO archived SELECT max(number) + 1, ${until + 1}, 0, max(signatures) FROM archived`,
    ],
    ['a place before', `INSERT INTO archived SELECT max(number) + 1, 1, ${said}, max(signatures) FROM archived`],
    ['a place taken back', 'DELETE FROM archived'],
    ['a place changed', 'UPDATE archived SET until = until + 1'],
    ['a signature in use', 'DELETE FROM signatures WHERE number = (SELECT max(number) FROM signatures)'],
  ];
  for (const [what, sql] of refused) t.throws(() => db.exec(sql), { code: /SQLITE_CONSTRAINT/ }, what);
  const left = db.prepare('SELECT count(*) FROM signatures').pluck().get() as number;
  t.ok(left < 90, `${left} signatures are left`);
  const again = await openMessageLog(options);
  t.equal(again.archivedUntil(), until);
  await again.close();
});

t.test('a log that lacks more than its entries call archived', async (t) => {
  const { run, grow, log, options } = await archivable(t);
  await grow(3);
  await archiveSegment(run, EVERYTHING);
  await grow(2);
  const until = log.archivedUntil();
  await log.close();
  const { folder, checkpointFile } = options;
  const code = async () => {
    const { code, firstBadSeq } = await verifyLog({ folder, checkpointFile });
    return [code, firstBadSeq];
  };
  const file = join(folder, 'messages.db');
  const original = readFileSync(file);
  const changed = async (change: (db: InstanceType<typeof Database>) => void) => {
    const db = new Database(file);
    for (const name of db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all())
      db.exec(`DROP TRIGGER ${name}`);
    change(db);
    db.pragma('journal_mode = DELETE');
    db.close();
    const found = await code();
    writeFileSync(file, original);
    return found;
  };
  t.same(await code(), [null, null]);
  const empty = (from: number, to: number) =>
    `UPDATE entries SET sealed = NULL, signature = NULL, statement = NULL WHERE seq >= ${from} AND seq < ${to}`;
  t.same(await changed((db) => db.exec(empty(until + 1, until + 3))), ['LOG_EVIDENCE_CHANGED', until + 1]);
  const far = `INSERT INTO archived SELECT max(number) + 1, ${until + 3}, 0, 0 FROM archived`;
  t.same(await changed((db) => db.exec(`${empty(until + 1, until + 3)}; ${far}`)), ['LOG_EVIDENCE_CHANGED', until]);
});

t.test('manifests that lie, in a log that was signed with its own key', async (t) => {
  const lies: [string, (manifest: ArchiveManifest) => unknown, RegExp][] = [
    ['more than there is', (one) => ({ ...one, to: one.to + 1 }), /not there yet|size|goes on/],
    ['another root', (one) => ({ ...one, root: 'A'.repeat(43) }), /size/],
    ['another log', (one) => ({ ...one, origin: 'accord.example/other' }), /another log/],
    ['not from the beginning', (one) => ({ ...one, from: 1 }), /go on/],
    ['behind a manifest that is none', (one) => ({ ...one, previous: 'A'.repeat(43) }), /go on/],
    [
      'a checkpoint nobody signed',
      (one) => ({
        ...one,
        checkpoint: one.checkpoint.replace(/\n— .*\n$/, (line) => line.replace(/.{6}\n$/, 'AAAA==\n')),
      }),
      /NOTE/,
    ],
    ['not its one spelling', (one) => `${manifestText(one)} `, /ARCHIVE_MALFORMED/],
  ];
  for (const [what, lie, reason] of lies) {
    const { run, grow, log, options, at } = await archivable(t);
    await grow(1);
    const other = { ...run, destination: folderDestination(at) };
    // A copy is made, and another manifest is logged for it: whoever has the server and its key can do so.
    const lying = {
      ...other,
      log: {
        ...{ archivedUntil: () => Number.MAX_SAFE_INTEGER, releaseArchived: () => 0 },
        append: (record: Parameters<typeof log.append>[0]) => {
          const told = lie(parseManifest(record.note as Buffer));
          return log.append({
            ...record,
            note: typeof told === 'string' ? told : manifestText(told as ArchiveManifest),
          });
        },
      },
    };
    await archiveSegment(lying, EVERYTHING);
    const audit = await verifyLog({ folder: options.folder, checkpointFile: options.checkpointFile });
    t.match(audit, { ok: false, code: 'LOG_EVIDENCE_CHANGED', firstBadSeq: log.size() - 1, detail: reason }, what);
  }
});

async function changedArchive(t: Test) {
  const world = await archivable(t);
  for (const batch of [3, 2]) {
    await world.grow(batch);
    await archiveSegment(world.run, EVERYTHING);
  }
  const original = join(world.dir, 'original');
  cpSync(world.at, original, { recursive: true });
  const codeOf = async (withLog = false): Promise<string | null> => {
    try {
      const chain = await readChain(world.run.destination);
      const report = await verifyArchive({ ...world.run, chain, log: null });
      if (withLog || report.code !== null) return report.code;
      const audit = await restoreArchive({ ...world.run, chain, folder: join(world.dir, 'restored') });
      return audit.code;
    } catch (error) {
      if (!isAccordError(error)) throw error;
      return error.code;
    } finally {
      rmSync(join(world.dir, 'restored'), { recursive: true, force: true });
    }
  };
  const put = (name: string, bytes: Buffer) => {
    chmodSync(join(world.at, name), 0o600);
    writeFileSync(join(world.at, name), bytes);
  };
  const restore = () => {
    rmSync(world.at, { recursive: true });
    cpSync(original, world.at, { recursive: true });
  };
  return { ...world, codeOf, put, restore, original: filesOf(original) };
}

t.test('any byte of an archive, and any file', async (t) => {
  const { original, put, codeOf, restore, at } = await changedArchive(t);
  t.equal(await codeOf(), null);
  let flips = 0;
  for (const [name, bytes] of original) {
    const step = name.endsWith('.json') ? 97 : Math.max(1, Math.floor(bytes.length / 12));
    for (let i = 0; i < bytes.length; i += step, flips++) {
      const damaged = Buffer.from(bytes);
      damaged[i]! ^= 0x01;
      put(name, damaged);
      const code = await codeOf(true);
      if (code === null) t.fail(`byte ${i} of ${name} is not found`);
    }
    put(name, bytes);
    for (const length of [0, 1, bytes.length - 1]) {
      put(name, bytes.subarray(0, length));
      t.type(await codeOf(true), 'string', `${name} cut at ${length}`);
    }
    rmSync(join(at, name), { force: true });
    // The newest segment may be missing without a trace, where the log is not at hand.
    if (!name.includes('13/manifest')) t.type(await codeOf(true), 'string', `without ${name}`);
    restore();
  }
  t.ok(flips > 100, `${flips} bytes`);
});

t.test('rows that whoever holds the archive key wrote', async (t) => {
  const { original, put, codeOf, restore, log } = await changedArchive(t);
  const names = [...original.keys()].filter((name) => name.endsWith('manifest.json')).sort();
  /** Changes one file of the first segment and makes all hashes behind it right again. */
  const rewrite = (file: string, change: (plain: Buffer) => Buffer) => {
    let previous: string | null = null;
    for (const [i, name] of names.entries()) {
      const manifest = parseManifest(original.get(name)!);
      const { from, to } = manifest;
      const files = manifest.files.map((one) => {
        if (i > 0 || one.name !== file) return one;
        const path = name.replace('manifest.json', file);
        const place = placeOfFile(log.origin, from, to, file);
        const bytes = encipherFile(archiveKey, place, change(decipherFile(archiveKey, place, original.get(path)!)));
        put(path, bytes);
        return { ...one, bytes: bytes.length, sha256: sha256(bytes) };
      });
      const text = Buffer.from(manifestText({ ...manifest, files, previous }));
      put(name, text);
      previous = sha256(text);
    }
  };
  const rows = (change: (rows: ReturnType<typeof decodeRows>) => unknown) => (plain: Buffer) => {
    const decoded = decodeRows(plain);
    change(decoded);
    return Buffer.concat(decoded.flatMap(encodeRow));
  };
  const cases: [string, string, (plain: Buffer) => Buffer, string | RegExp][] = [
    ['as it was', 'rows-0000', (plain) => plain, ''],
    [
      'another line',
      'rows-0000',
      rows((all) => (all[1]!.line = Buffer.from(all[1]!.line.toString().replace('"code":null', '"code":"OK"')))),
      'LOG_ENTRY_CHANGED',
    ],
    ['two entries swapped', 'rows-0000', rows((all) => all.splice(0, 2, all[1]!, all[0]!)), 'LOG_ENTRY_CHANGED'],
    ['another statement', 'rows-0000', rows((all) => (all[0]!.statement = Buffer.from('{}'))), 'LOG_EVIDENCE_CHANGED'],
    [
      'no statement',
      'rows-0000',
      rows((all) => Object.assign(all[0]!, { statement: null, path: null })),
      'LOG_EVIDENCE_CHANGED',
    ],
    ['another signature', 'rows-0000', rows((all) => (all[0]!.signature = 1)), 'LOG_EVIDENCE_CHANGED'],
    ['one entry less', 'rows-0000', rows((all) => all.pop()), 'ARCHIVE_MALFORMED'],
    [
      'a length beyond the file',
      'rows-0000',
      (plain) => Buffer.concat([plain, Buffer.alloc(28, 0x7f)]),
      'ARCHIVE_MALFORMED',
    ],
    [
      'a length below that of what is not there',
      'rows-0000',
      (plain) => {
        t.equal(plain.readInt32BE(16), -1, 'no path');
        const other = Buffer.from(plain);
        other.writeInt32BE(-2, 16);
        return other;
      },
      'ARCHIVE_MALFORMED',
    ],
    ['no signatures', 'signatures', () => Buffer.alloc(0), 'LOG_EVIDENCE_CHANGED'],
    ['a tile less', 'tiles', () => Buffer.from(''), ''],
    ['a checkpoint less', 'checkpoints', (plain) => plain.subarray(plain.indexOf(10) + 1), 'ARCHIVE_MALFORMED'],
    [
      'a checkpoint of another size',
      'checkpoints',
      (plain) => Buffer.from(plain.toString().replace('"size":0', '"size":1')),
      'LOG_CHECKPOINT_WRONG',
    ],
  ];
  for (const [what, file, change, expected] of cases) {
    rewrite(file, change);
    t.equal((await codeOf(true)) ?? '', expected, what);
    restore();
  }
  const chain = await readChain(folderDestination(join(t.name, 'nowhere'))).catch(({ code }) => code);
  t.equal(chain, 'ARCHIVE_INCOMPLETE');
});

t.test('files of an archive: what is enciphered opens at its place, with its key, and as it was', async (t) => {
  const other = archiveKeyOf(generateKeys('X25519').privateKey);
  const sizes = fc.constantFrom(0, 1, 65_535, 65_536, 65_537, 131_072, 200_000);
  const law = fc.property(sizes, fc.nat(), fc.nat(7), (size, at, bit) => {
    const plain = Buffer.alloc(size, 7);
    const bytes = encipherFile(archiveKey, 'a', plain);
    const opens = (key: typeof other, place: string, from: Buffer) => {
      try {
        return decipherFile(key, place, from).equals(plain);
      } catch (error) {
        return !isAccordError(error, 'ARCHIVE_DAMAGED');
      }
    };
    const flipped = Buffer.from(bytes);
    flipped[at % bytes.length]! ^= 1 << bit;
    const cut = bytes.subarray(0, Math.max(0, bytes.length - 1 - (at % 70_000)));
    return (
      encipherFile(archiveKey, 'a', plain).equals(bytes) &&
      opens(archiveKey, 'a', bytes) &&
      !opens(archiveKey, 'b', bytes) &&
      !opens(other, 'a', bytes) &&
      !opens(archiveKey, 'a', flipped) &&
      !opens(archiveKey, 'a', cut)
    );
  });
  t.doesNotThrow(() => fc.assert(law, { numRuns: 60 }));
});
