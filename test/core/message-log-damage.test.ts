// What somebody with the disk in their hands can do to a log, and how it is found: every byte of entries and evidence
// changed one at a time, rows removed and rewritten consistently, old copies put back, checkpoints taken away.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { leafHash } from '#certs/merkle.ts';
import { acceptStoredCheckpoint } from '#core/log/accept-checkpoint.ts';
import { verifyLog } from '#core/log/audit.ts';
import { auditRange } from '#core/log/audit-range.ts';
import { type MessageLogOptions, type NewRecord, openMessageLog } from '#core/log/message-log.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { dataDir, logFixture, requestRecords, responseRecord } from './log-fixture.ts';

const otherEnd = (text: string) => text.slice(0, -1) + (text.endsWith('_') ? '-' : '_');
const NAMED = [/"statement":"./, otherEnd] as const;
const SIGNED = [/"signature":"./, otherEnd] as const;
const TRIGGERS = "SELECT name FROM sqlite_schema WHERE type = 'trigger'";

/** Writes a log of these records and closes it, which publishes a checkpoint. */
async function written(options: MessageLogOptions, records: NewRecord[]): Promise<string> {
  const log = await openMessageLog(options);
  for (const record of records) await log.append(record);
  await log.close();
  return log.verifierKey;
}

/** The database as its owner can open it: without the triggers. */
function tampering(t: Test, { folder }: { folder: string }) {
  const db = new Database(join(folder, 'messages.db'));
  t.teardown(() => db.close());
  db.pragma('synchronous = OFF');
  for (const name of db.prepare(TRIGGERS).pluck().all()) db.exec(`DROP TRIGGER ${name}`);
  return db;
}

/** A line changed with its leaf. */
function rewrite(
  t: Test,
  db: InstanceType<typeof Database>,
  seq: number,
  from: string | RegExp,
  to: string | ((text: string) => string),
): void {
  const line = db.prepare('SELECT line FROM entries WHERE seq = ?').pluck().get(seq) as string;
  const other = line.replace(from, typeof to === 'string' ? () => to : to);
  t.not(other, line);
  db.prepare('UPDATE entries SET line = ?, leaf = ? WHERE seq = ?').run(other, leafHash(other), seq);
}

/** The statement, its hash in the line and the leaf, all by somebody who knows what hangs together. */
function restated(t: Test, db: InstanceType<typeof Database>, seq: number): void {
  const old = db.prepare('SELECT statement FROM entries WHERE seq = ?').pluck().get(seq) as Buffer;
  const other = Buffer.from(old.toString().replace('"at":179', '"at":178'));
  db.prepare('UPDATE entries SET statement = ? WHERE seq = ?').run(other, seq);
  rewrite(t, db, seq, sha256(old), sha256(other));
}

t.test('bytes of entries and evidence, changed one at a time, is found in its place', async (t) => {
  const { options } = logFixture(t);
  const verifierKey = await written(options, requestRecords(2));
  const { folder, checkpointFile } = options;
  const verify = () => verifyLog({ folder, checkpointFile, verifierKey });
  t.match(await verify(), { ok: true, entries: 2, firstBadSeq: null, code: null, checkpoints: 2 });
  const db = tampering(t, options);
  const columns: [table: string, column: string, codes: string[]][] = [
    ['entries', 'line', ['LOG_ENTRY_CHANGED']],
    ['entries', 'leaf', ['LOG_ENTRY_CHANGED']],
    ['entries', 'exchange_id', ['LOG_ENTRY_CHANGED']],
    ['entries', 'statement', ['LOG_EVIDENCE_CHANGED']],
    ['entries', 'path', ['LOG_EVIDENCE_CHANGED']],
    ['signatures', 'jws', ['LOG_EVIDENCE_CHANGED']],
    ['checkpoints', 'note', ['LOG_CHECKPOINT_WRONG']],
    ['identity', 'origin', ['LOG_ORIGIN_WRONG', 'LOG_DATABASE_DAMAGED']],
  ];
  let changed = 0;
  for (const [table, column, codes] of columns) {
    const key = table === 'entries' ? 'seq' : 'number';
    const rows = db
      .prepare(`SELECT ${key} AS key, typeof(${column}) AS type, CAST(${column} AS BLOB) AS bytes FROM ${table}`)
      .all() as { key: number | Buffer; type: string; bytes: Buffer }[];
    for (const { key: row, type, bytes } of rows) {
      const seq = Buffer.isBuffer(row) ? 0 : row; // both statements share the one signature
      const expected = table === 'checkpoints' || table === 'identity' ? null : seq;
      // Of the first row's bytes a third, fewer of the second's: an audit for each takes its time. The campaign `log-damage`
      // takes any bit of any row.
      for (let i = 0; i < bytes.length; i += seq === 1 ? 13 : 3) {
        const other = Buffer.from(bytes);
        other[i]! ^= 1 << (i % 8);
        const value = type === 'text' ? 'CAST(? AS TEXT)' : '?';
        const now = column === key ? other : row;
        db.prepare(`UPDATE ${table} SET ${column} = ${value} WHERE ${key} = ?`).run(other, row);
        const { ok, code, firstBadSeq } = await verify();
        const found = !ok && firstBadSeq === expected && codes.includes(code!);
        if (!found) t.fail(`${table}.${column} ${row} byte ${i}`, { ok, code, firstBadSeq, expected });
        db.prepare(`UPDATE ${table} SET ${column} = ${value} WHERE ${key} = ?`).run(bytes, now);
        changed++;
      }
    }
  }
  t.ok(changed > 500, `${changed} bytes changed`);
  t.match(await verify(), { ok: true }, 'and put back');
});

t.test('any byte of the database file: found, or nothing that is read back differs', async (t) => {
  const { options, dir } = logFixture(t);
  const verifierKey = await written(options, requestRecords(4));
  const file = join(options.folder, 'messages.db');
  const original = readFileSync(file);
  const content = (path: string) => {
    const db = new Database(path, { readonly: true });
    try {
      // What is sealed has its own authenticated encryption; an audit cannot open it.
      const entries = 'seq, line, leaf, exchange_id, signature, batch_index, batch_size, path, statement FROM entries';
      const found = 'seq FROM entries INDEXED BY entries_by_exchange WHERE exchange_id > 0';
      const parts = [entries, '* FROM signatures', '* FROM tiles', found];
      return JSON.stringify(parts.map((part) => db.prepare(`SELECT ${part}`).raw().all()));
    } finally {
      db.close();
    }
  };
  const before = content(file);
  const copy = dataDir(join(dir, 'copy'));
  cpSync(options.folder, copy.folder, { recursive: true });
  const target = join(copy.folder, 'messages.db');
  let [found, harmless] = [0, 0];
  for (let i = 18; i < original.length; i += 409) {
    const damaged = Buffer.from(original);
    damaged[i]! ^= 0x11;
    writeFileSync(target, damaged);
    const { ok } = await verifyLog({ folder: copy.folder, verifierKey });
    if (!ok) found++;
    else if (content(target) === before) harmless++;
    else t.fail(`byte ${i} changes what is read and is not found`);
  }
  t.ok(found > 15, `${found} found, ${harmless} in unused space`);

  // Nothing but SQLite's own check sees an index that lacks an entry: a search for its id, and a settlement, would not find it.
  const db = new Database(file, { readonly: true });
  const page = db
    .prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'entries_by_exchange'")
    .pluck()
    .get() as number;
  const start = (page - 1) * (db.pragma('page_size', { simple: true }) as number);
  db.close();
  const without = Buffer.from(original);
  without[start + 4]! -= 1; // its number of cells
  writeFileSync(target, without);
  t.not(content(target), before);
  t.match(await verifyLog({ folder: copy.folder, verifierKey }), { ok: false, code: 'LOG_DATABASE_DAMAGED' });
  const log = openLogAuditSqlite(copy.folder);
  t.match(await auditRange(log, { verifierKey }), { ok: false, code: 'LOG_DATABASE_DAMAGED' });
  log.close();
});

t.test('changes that are consistent in themselves', async (t) => {
  const inThreads = ['LOG_GAP', 'LOG_ENTRY_CHANGED', 'LOG_ENTRY_MALFORMED', 'LOG_EVIDENCE_CHANGED', 'LOG_TRUNCATED'];
  const threaded = new Set<string | null>(inThreads);
  const code = async (options: MessageLogOptions, verifierKey: string, withFile = true) => {
    const { folder, checkpointFile } = options;
    const asked = { folder, verifierKey, ...(withFile ? { checkpointFile } : {}) };
    const audit = await verifyLog(asked);
    // Threads take a while to start: once for each kind of finding that they make, and for one that is made behind them.
    if (threaded.delete(audit.code))
      t.same(await verifyLog({ ...asked, threads: 2 }), audit, 'two threads say the same');
    return [audit.code, audit.firstBadSeq];
  };
  const forged = async (change: (db: InstanceType<typeof Database>) => void, count = 4) => {
    const { options } = logFixture(t);
    const verifierKey = await written(options, requestRecords(count));
    change(tampering(t, options));
    return { options, verifierKey, result: await code(options, verifierKey) };
  };
  const cases: [string, (db: InstanceType<typeof Database>) => void, unknown[]][] = [
    ['line and leaf', (db) => rewrite(t, db, 2, '"code":null', '"code":"OK"'), ['LOG_ENTRY_CHANGED', null]],
    ['a longer spelling', (db) => rewrite(t, db, 2, '"code":null', '"code": null'), ['LOG_ENTRY_MALFORMED', 2]],
    ['a second name', (db) => rewrite(t, db, 1, '"t"', '"kind":"void","t"'), ['LOG_ENTRY_MALFORMED', 1]],
    ['an unknown kind', (db) => rewrite(t, db, 1, 'request-sent', 'request-lost'), ['LOG_ENTRY_MALFORMED', 1]],
    ['another service', (db) => rewrite(t, db, 3, 'provider/echo', 'provider/else'), ['LOG_EVIDENCE_CHANGED', 3]],
    ['another client', (db) => rewrite(t, db, 3, '1001/consumer', '1001/else'), ['LOG_EVIDENCE_CHANGED', 3]],
    ['another purpose', (db) => rewrite(t, db, 3, 'support-check', 'else'), ['LOG_EVIDENCE_CHANGED', 3]],
    ['another kind', (db) => rewrite(t, db, 3, 'request-sent', 'response-sent'), ['LOG_EVIDENCE_CHANGED', 3]],
    ...[0, 3].flatMap((seq): typeof cases => [
      [`another statement named, ${seq}`, (db) => rewrite(t, db, seq, ...NAMED), ['LOG_EVIDENCE_CHANGED', seq]],
      [`another signature named, ${seq}`, (db) => rewrite(t, db, seq, ...SIGNED), ['LOG_EVIDENCE_CHANGED', seq]],
      [`another statement, well named, ${seq}`, (db) => restated(t, db, seq), ['LOG_EVIDENCE_CHANGED', seq]],
    ]),
    ['time backwards', (db) => rewrite(t, db, 3, '"t":179', '"t":178'), ['LOG_ENTRY_CHANGED', 3]],
    ['an entry removed', (db) => db.exec('DELETE FROM entries WHERE seq = 1'), ['LOG_GAP', 1]],
    ['the end cut off', (db) => db.exec('DELETE FROM entries WHERE seq = 3'), ['LOG_TRUNCATED', 3]],
    [
      'evidence removed',
      (db) => db.exec('UPDATE entries SET statement = NULL WHERE seq = 2'),
      ['LOG_EVIDENCE_CHANGED', 2],
    ],
    [
      'evidence exchanged',
      (db) => db.exec('UPDATE entries SET statement = (SELECT statement FROM entries WHERE seq = 0) WHERE seq = 1'),
      ['LOG_EVIDENCE_CHANGED', 1],
    ],
    [
      'another place in the batch',
      (db) => db.exec('UPDATE entries SET batch_index = 2 WHERE seq = 1'),
      ['LOG_EVIDENCE_CHANGED', 1],
    ],
    [
      'another size of the batch',
      (db) => db.exec('UPDATE entries SET batch_size = 5 WHERE seq = 1'),
      ['LOG_EVIDENCE_CHANGED', 1],
    ],
    [
      'checkpoints removed',
      (db) => db.exec('DELETE FROM checkpoints WHERE number = 1'),
      ['LOG_CHECKPOINT_WRONG', null],
    ],
    [
      'the first checkpoint removed',
      (db) => db.exec('DELETE FROM checkpoints WHERE number = 0'),
      ['LOG_CHECKPOINT_WRONG', null],
    ],
    [
      'a claim without its entry',
      (db) => db.exec("INSERT INTO claims VALUES ('DEV/GOV/2002/ss2', 'x', 4, 0)"),
      ['LOG_TRUNCATED', 4],
    ],
    ['all checkpoints removed', (db) => db.exec('DELETE FROM checkpoints'), ['LOG_CHECKPOINT_MISSING', null]],
    [
      'the end and its checkpoint cut off',
      (db) => {
        db.exec('DELETE FROM entries WHERE seq > 1');
        db.exec('DELETE FROM checkpoints WHERE number = 1');
      },
      ['LOG_TRUNCATED', 2],
    ],
  ];
  for (const [name, change, expected] of cases) t.same((await forged(change)).result, expected, name);
  const alone = (await forged((db) => restated(t, db, 0), 1)).result;
  t.same(alone, ['LOG_EVIDENCE_CHANGED', 0], 'another statement, alone in its batch');
  const tile = (db: InstanceType<typeof Database>) => db.exec('UPDATE tiles SET hash = zeroblob(32)');
  t.same((await forged(tile, 256)).result, ['LOG_TILE_WRONG', null], 'a tile');

  const answering = logFixture(t).options;
  const [one, two] = requestRecords(2);
  const key = await written(answering, [
    one!,
    two!,
    responseRecord(one!, 0),
    { ...responseRecord(one!, 0), id: two!.id },
  ]);
  t.same(await code(answering, key), ['LOG_EVIDENCE_CHANGED', 3], "an answer under another exchange's id");

  // The whole history written again with a key of the forger: seen by who knows the key, or kept the checkpoint.
  const { options, clock } = logFixture(t);
  const own = await written(options, requestRecords(2));
  const forger = { ...options, ...dataDir(join(options.folder, 'forger')) };
  forger.checkpointKey = generateKeyPairSync('ed25519').privateKey;
  clock.pass(1);
  await written(forger, requestRecords(2));
  t.same(await code(forger, own), ['LOG_CHECKPOINT_WRONG', null]);
  t.match(await verifyLog({ folder: forger.folder }), { ok: true }, 'alone it is consistent');
  t.match(await verifyLog({ folder: forger.folder, checkpointFile: options.checkpointFile }), { ok: false });
  await t.rejects(verifyLog({ folder: join(options.folder, 'nothing') }), { code: 'LOG_MISSING' });
  t.equal(threaded.size, 0, 'each of them was met');
});

t.test('what lies across two threads is found in its place', async (t) => {
  const { options } = logFixture(t);
  const log = await openMessageLog(options);
  // Said at once: stored without paths, so that a batch is judged from all its statements.
  for (const count of [100, 256]) await Promise.all(requestRecords(count).map((record) => log.append(record)));
  await log.close();
  const { folder, checkpointFile } = options;
  const kept = readFileSync(join(folder, 'messages.db'));
  const cases: [number, (db: InstanceType<typeof Database>) => void, string][] = [
    // Which of its statements is a forger's own word; the batch is not.
    [100, (db) => restated(t, db, 300), 'LOG_EVIDENCE_CHANGED'],
    [256, (db) => rewrite(t, db, 256, '"t":179', '"t":178'), 'LOG_ENTRY_CHANGED'],
  ];
  for (const [firstBadSeq, change, code] of cases) {
    const db = tampering(t, options);
    change(db);
    db.close();
    for (const threads of [0, 2]) {
      const { code: found, firstBadSeq: at } = await verifyLog({ folder, checkpointFile, threads });
      t.same([found, at], [code, firstBadSeq], `${code} at ${firstBadSeq}, ${threads} threads`);
    }
    rmSync(join(folder, 'messages.db-wal'), { force: true });
    rmSync(join(folder, 'messages.db-shm'), { force: true });
    writeFileSync(join(folder, 'messages.db'), kept);
  }
});

t.test('a start refuses a log that is older than, or different from, its last checkpoint', async (t) => {
  const { options, dir } = logFixture(t);
  const old = join(dir, 'old');
  await written(options, requestRecords(300));
  execFileSync('cp', ['-r', options.folder, old]);
  await written(options, requestRecords(3));
  const now = join(dir, 'now');
  execFileSync('cp', ['-r', options.folder, now]);
  const put = (copy: string) => {
    rmSync(options.folder, { recursive: true });
    execFileSync('cp', ['-r', copy, options.folder]);
  };
  const refused = (code: string, name: string, change: Partial<MessageLogOptions> = {}) =>
    t.rejects(openMessageLog({ ...options, ...change }), { code }, name);

  put(old);
  await refused('LOG_ROLLED_BACK', 'an old copy');
  rmSync(join(options.folder, 'messages.db'));
  await refused('LOG_ROLLED_BACK', 'no database at all');
  const tampered: [string, string, string][] = [
    ['LOG_TAMPERED', 'a changed line', "UPDATE entries SET line = replace(line, 'open', 'law') WHERE seq = 5"],
    ['LOG_TAMPERED', 'a changed tile', 'UPDATE tiles SET hash = zeroblob(32)'],
    ['LOG_GAP', 'a missing entry', 'DELETE FROM entries WHERE seq = 301'],
    ['LOG_ROLLED_BACK', 'missing checkpoints', 'DELETE FROM checkpoints WHERE number > 0'],
  ];
  for (const [code, name, sql] of tampered) {
    put(now);
    tampering(t, options).exec(sql);
    await refused(code, name);
  }
  put(now);
  const changed = tampering(t, options);
  const line = (changed.prepare('SELECT line FROM entries WHERE seq = 302').pluck().get() as string).replace(
    '"code":null',
    '"code":"OK"',
  );
  changed.prepare('UPDATE entries SET line = ?, leaf = ? WHERE seq = 302').run(line, leafHash(line));
  await refused('LOG_TAMPERED', 'a changed line and leaf');

  put(now);
  await refused('LOG_ORIGIN_WRONG', 'another origin', {
    origin: 'accord.example/ss9',
    checkpointFile: join(dir, 'none'),
  });
  const other = generateKeyPairSync('ed25519').privateKey;
  await refused('LOG_CHECKPOINT_WRONG', 'another key', { checkpointKey: other });
  const kept = readFileSync(options.checkpointFile);
  writeFileSync(options.checkpointFile, kept.toString('utf8').replace('303', '302'));
  await refused('LOG_CHECKPOINT_WRONG', 'a changed checkpoint file');
  rmSync(options.checkpointFile);
  await refused('LOG_CHECKPOINT_MISSING', 'no checkpoint file');
  const accepted = acceptStoredCheckpoint(options.folder, options.checkpointFile);
  t.equal(accepted.size, 303);
  t.same(readFileSync(options.checkpointFile), kept);
  t.throws(() => acceptStoredCheckpoint(options.folder, options.checkpointFile), { code: 'LOG_CHECKPOINT_WRONG' });
  const log = await openMessageLog(options);
  t.match(await log.append(requestRecords()[0]!), { seq: 303 });
  await log.close();
});
