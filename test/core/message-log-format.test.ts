// What a log keeps of its batches: no paths where a turn holds all of a batch, and every statement proved all the same,
// by itself and in audits whose ranges cut a batch in two; who signed; and logs of the first format, which a server goes
// over to today's and an audit reads as they are.
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { readBatch, standsIn } from '#certs/batch.ts';
import { exportSpki } from '#certs/keys.ts';
import { verifyLog } from '#core/log/audit.ts';
import { signerAmong } from '#core/log/audit-batches.ts';
import { rangeVerifier } from '#core/log/audit-entries.ts';
import { type MessageLogOptions, type NewRecord, openMessageLog } from '#core/log/message-log.ts';
import { showLog } from '#core/log/show.ts';
import type { LogAuditReader } from '#core/log/store.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { logFixture, PEER, requestRecords, responseRecord, signerKey } from './log-fixture.ts';

const database = ({ folder }: { folder: string }) => new Database(join(folder, 'messages.db'));

/** Appends each list in a turn of its own. */
async function written(options: MessageLogOptions, turns: NewRecord[][]): Promise<void> {
  const log = await openMessageLog(options);
  for (const records of turns) await Promise.all(records.map((record) => log.append(record)));
  await log.close();
}

function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((one, i) => ({ one, at: (i * 7_919) % 101 }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
}

/** What an audit in ranges of this width finds among the entries themselves. */
function inRanges(log: LogAuditReader, width: number): { code: string; seq: number | null } | null {
  const verify = rangeVerifier(log, signerAmong(undefined));
  for (let from = 0; from < log.size(); from += width) {
    const { finding } = verify(from, from + width);
    if (finding !== null) return finding;
  }
  return null;
}

/** Turns of whole batches, mixed ones, halves, one statement twice, and a batch that comes again. */
function turns(): NewRecord[][] {
  const [a, b, c, d, e] = [
    requestRecords(5),
    requestRecords(7),
    requestRecords(8),
    requestRecords(3),
    requestRecords(64),
  ];
  const [first, second] = [c.slice(0, 3), c.slice(3)];
  const mixed = a.flatMap((record, i) => [record, ...b.slice(i, i + 1)]).concat(b.slice(a.length));
  return [
    mixed,
    first,
    second,
    requestRecords(1),
    [...d, d[1]!],
    d.slice(0, 1),
    shuffled(e),
    [responseRecord(a[0]!, 0)],
  ];
}

async function provedAlone(t: Test, options: MessageLogOptions, expected: NewRecord[]): Promise<void> {
  const views = showLog(options.folder, { fromSeq: 0 }, 1_000);
  t.equal(views.length, expected.length);
  for (const [i, { evidence }] of views.entries()) {
    t.strictSame(evidence, expected[i]!.evidence, `record ${i} as it was handed in`);
    const { statement, signature } = evidence!;
    if (!standsIn(readBatch(signature.jws), statement, signature.index, signature.path)) t.fail(`record ${i}`);
  }
}

t.test('paths are kept only where a turn does not hold the whole batch', async (t) => {
  const { options } = logFixture(t);
  const made = turns();
  await written(options, made);
  await provedAlone(t, options, made.flat());
  const db = database(options);
  const paths = db.prepare('SELECT path IS NULL FROM entries ORDER BY seq').pluck().all();
  const sizes = [12, 3, 5, 1, 4, 1, 64, 1];
  const without = [1, 0, 0, 0, 0, 0, 1, 0];
  t.same(
    paths,
    sizes.flatMap((size, i) => Array(size).fill(without[i])),
  );
  const count = (sql: string) => db.prepare(sql).pluck().get();
  t.equal(count('SELECT count(*) FROM signatures'), 7, 'a JWS of two turns close together is stored once');
  db.close();
  const { folder, checkpointFile } = options;
  for (const threads of [0, 3]) {
    t.match(await verifyLog({ folder, checkpointFile, threads }), { ok: true, entries: 91 }, `${threads} threads`);
  }
  const reader = openLogAuditSqlite(folder);
  for (const width of [1, 2, 5, 34]) t.strictSame(inRanges(reader, width), null, `ranges of ${width}`);
  reader.close();
});

t.test(
  'a batch that is cut by the ranges of an audit is judged whole, and damage in it found in its place',
  async (t) => {
    const { options } = logFixture(t);
    await written(options, [requestRecords(30), shuffled(requestRecords(70))]);
    const db = database(options);
    t.teardown(() => db.close());
    for (const name of db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all()) {
      db.exec(`DROP TRIGGER ${name}`);
    }
    db.pragma('synchronous = OFF');
    const reader = openLogAuditSqlite(options.folder);
    t.teardown(() => reader.close());
    const row = db.prepare('SELECT * FROM entries WHERE seq = ?');
    const put = db.prepare('UPDATE entries SET statement = ?, batch_index = ? WHERE seq = ?');
    const { folder, checkpointFile } = options;
    for (const seq of [0, 29, 30, 34, 67, 99]) {
      const { statement, batch_index: index } = row.get(seq) as { statement: Buffer; batch_index: number };
      const other = row.get(seq === 0 ? 1 : seq - 1) as { statement: Buffer; batch_index: number };
      const changes: [string, Buffer, number][] = [
        ['a statement', other.statement, index],
        ['a place', statement, other.batch_index],
        ['no place', statement, 1_000],
      ];
      for (const [name, bytes, place] of changes) {
        put.run(bytes, place, seq);
        for (const width of [34, 1_000]) {
          reader.renew();
          const finding = inRanges(reader, width);
          const isFound = finding?.code === 'LOG_EVIDENCE_CHANGED' && finding.seq === seq;
          if (!isFound) t.fail(`${name} of ${seq}`, { finding, width });
        }
        put.run(statement, index, seq);
      }
    }
    // Two that change places: each is what its entry names, only the tree is another.
    const places = [40, 41].map((seq) => row.get(seq) as { statement: Buffer; batch_index: number });
    put.run(places[0]!.statement, places[1]!.batch_index, 40);
    put.run(places[1]!.statement, places[0]!.batch_index, 41);
    reader.renew();
    t.match(inRanges(reader, 1_000), { code: 'LOG_EVIDENCE_CHANGED', seq: 30 });
    put.run(places[0]!.statement, places[0]!.batch_index, 40);
    put.run(places[1]!.statement, places[1]!.batch_index, 41);
    // Not the damage of one statement: what was appended in one commit cannot be half there.
    db.exec('DELETE FROM entries WHERE seq = 99');
    t.match(await verifyLog({ folder, checkpointFile }), { ok: false, code: 'LOG_TRUNCATED', firstBadSeq: 99 });
  },
);

t.test('who signed: every signature is verified against the keys that are named', async (t) => {
  const { options } = logFixture(t);
  await written(options, [requestRecords(20), requestRecords(1)]);
  const { folder } = options;
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const audit = (signers: Map<string, Uint8Array>, threads = 0) => verifyLog({ folder, signers, threads });
  const right = new Map([[signerKey.certificateHash, exportSpki(signerKey.key)]]);
  t.match(await audit(right), { ok: true, entries: 21 });
  const wrong = new Map([[signerKey.certificateHash, exportSpki(other)]]);
  t.match(await audit(wrong), { code: 'SIGNATURE_WRONG', firstBadSeq: 0 });
  t.match(await audit(wrong, 2), { code: 'SIGNATURE_WRONG', firstBadSeq: 0 }, 'threads know them too');
  t.match(await audit(new Map()), { code: 'CERTIFICATE_NOT_REGISTERED', firstBadSeq: 0 });
});

/** The tables of format 1, filled with what this log holds; the tables that did not change stay. */
function toFirstFormat({ folder }: MessageLogOptions): void {
  const views = showLog(folder, { fromSeq: 0 }, 1_000);
  const db = database({ folder });
  for (const name of db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all()) {
    db.exec(`DROP TRIGGER ${name}`);
  }
  db.exec(`
    ALTER TABLE entries RENAME TO now; DROP INDEX entries_by_exchange; DROP TABLE signatures;
    CREATE TABLE entries (seq INTEGER PRIMARY KEY, line TEXT NOT NULL, leaf BLOB NOT NULL CHECK (length(leaf) = 32),
      exchange_id TEXT NOT NULL) STRICT;
    CREATE INDEX entries_by_exchange ON entries (exchange_id, seq);
    CREATE TABLE signatures (hash BLOB PRIMARY KEY CHECK (length(hash) = 32), jws TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE evidence (seq INTEGER PRIMARY KEY, statement BLOB NOT NULL,
      signature BLOB NOT NULL CHECK (length(signature) = 32), batch_index INTEGER NOT NULL, batch_size INTEGER NOT NULL,
      path BLOB NOT NULL) STRICT;
    CREATE TABLE sealed (seq INTEGER PRIMARY KEY, key_id BLOB NOT NULL, bytes BLOB NOT NULL) STRICT;
    INSERT INTO entries SELECT seq, line, leaf, exchange_id FROM now;
    INSERT INTO sealed SELECT seq, key_id, sealed FROM now WHERE key_id IS NOT NULL;
    DROP TABLE now;`);
  const addEvidence = db.prepare('INSERT INTO evidence VALUES (?, ?, ?, ?, ?, ?)');
  const addSignature = db.prepare('INSERT OR IGNORE INTO signatures VALUES (?, ?)');
  for (const { seq, entry, evidence } of views) {
    if (evidence === null) continue;
    const { jws, index, size, path } = evidence.signature;
    const hash = size === 0 ? Buffer.alloc(32) : Buffer.from(entry.signature!, 'base64url');
    addEvidence.run(seq, evidence.statement, hash, index, size, Buffer.concat(path));
    if (size > 0) addSignature.run(hash, jws);
  }
  const rules = ['update', 'delete', 'insert'];
  for (const table of ['entries', 'evidence', 'sealed', 'signatures', 'tiles', 'checkpoints', 'identity']) {
    for (const rule of rules) {
      db.exec(
        `CREATE TRIGGER ${table}_${rule} BEFORE ${rule} ON ${table} BEGIN SELECT RAISE(ABORT, 'append-only'); END;`,
      );
    }
  }
  db.exec('PRAGMA user_version = 1');
  db.close();
}

t.test('a log of the first format: read as it is, and gone over to the next', async (t) => {
  const { options } = logFixture(t);
  const { folder, checkpointFile } = options;
  const claim = { from: PEER, id: 'x', untilMs: options.clock.nowMs() + 1_000 };
  const nothing = { evidence: null, sealed: null, kind: 'summary' as const };
  const made = [...turns(), [{ ...requestRecords()[0]!, ...nothing, claim }]];
  await written(options, made);
  const before = await verifyLog({ folder, checkpointFile });
  const shown = JSON.stringify(showLog(folder, { fromSeq: 0 }, 1_000));
  toFirstFormat(options);
  t.same(await verifyLog({ folder, checkpointFile, threads: 2 }), before, 'an audit reads it as it is');
  t.equal(JSON.stringify(showLog(folder, { fromSeq: 0 }, 1_000)), shown);
  const damaged = database(options);
  damaged.exec("DROP TRIGGER evidence_update; UPDATE evidence SET statement = x'00' WHERE seq = 4");
  t.match(await verifyLog({ folder, checkpointFile }), { code: 'LOG_EVIDENCE_CHANGED', firstBadSeq: 4 });
  damaged.prepare('UPDATE evidence SET statement = ? WHERE seq = 4').run(made.flat()[4]!.evidence!.statement);
  damaged.close();

  const log = await openMessageLog(options);
  t.match(log.root(), before.root, 'not a line changed');
  t.equal(JSON.stringify(log.read(0, 1_000)), shown);
  t.same(log.readSealed(3), made.flat()[3]!.sealed);
  t.match(await log.append({ ...requestRecords()[0]!, claim }), { outcome: 'replay' }, 'claims go along');
  await log.append(requestRecords()[0]!);
  await log.close();
  t.match(await verifyLog({ folder, checkpointFile }), { ok: true, entries: before.entries + 1 });
  const db = database(options);
  t.teardown(() => db.close());
  t.throws(() => db.exec('DELETE FROM entries'), { code: 'SQLITE_CONSTRAINT_TRIGGER' });
  t.throws(() => db.exec("UPDATE signatures SET jws = ''"), { code: 'SQLITE_CONSTRAINT_TRIGGER' });
  db.exec('PRAGMA user_version = 3');
  await t.rejects(openMessageLog(options), { code: 'LOG_DATABASE_DAMAGED' }, 'a later format is refused');
});
