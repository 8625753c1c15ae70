// The audit of a part of a log: what it begins and ends with, that one which was stopped comes to what a whole one comes to,
// and that damage is found where it is, wherever the audit began; heartbeats that are missing, checkpoints that others
// hold, what is kept of records.
import { generateKeyPairSync } from 'node:crypto';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { rawEd25519PublicKey, signEd25519 } from '#certs/ed25519.ts';
import { exportSpki } from '#certs/keys.ts';
import { leafHash } from '#certs/merkle.ts';
import { verifyLog } from '#core/log/audit.ts';
import { bodyAudit } from '#core/log/audit-bodies.ts';
import { auditRange } from '#core/log/audit-range.ts';
import type { RangeOptions, RangeProgress, RangeReport } from '#core/log/audit-range-report.ts';
import { type MessageLogOptions, openMessageLog } from '#core/log/message-log.ts';
import { openRecordKeysSqlite, readRecordKeysSqlite } from '#core/log/record-keys-sqlite.ts';
import { checkpointText, noteVerifier, signNote } from '#core/log/signed-note.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { type LogFixture, logFixture, PEER, requestRecords, responseRecord, signerKey } from './log-fixture.ts';

const SIGNERS = new Map([[signerKey.certificateHash, exportSpki(signerKey.key)]]);

/** Entries in turns of these sizes, a checkpoint behind each; the first request is answered in between. */
async function written({ options, clock, tick }: LogFixture, turns: number[]): Promise<number[]> {
  const log = await openMessageLog(options);
  const sizes: number[] = [];
  const first = requestRecords(1);
  for (const [i, count] of turns.entries()) {
    const some = requestRecords(i === 0 ? count - 1 : count, count > 1_000 ? { sealed: null } : {});
    const records = i === 0 ? [...first, ...some] : some;
    if (i === 2) records.push(responseRecord(first[0]!, 0));
    for (let at = 0; at < records.length; at += 4_000) {
      await Promise.all(records.slice(at, at + 4_000).map((record) => log.append(record)));
    }
    clock.pass(11_000);
    tick();
    sizes.push(log.size());
  }
  await log.close();
  return sizes;
}

/** @param isOpened without what is kept of records it is faster */
async function audit(
  options: MessageLogOptions,
  change: Partial<RangeOptions> = {},
  isOpened = true,
): Promise<RangeReport> {
  const log = openLogAuditSqlite(options.folder);
  const keys = readRecordKeysSqlite(options.keyFolder, options.storageKey);
  const { checkpointFile } = options;
  try {
    return await auditRange(log, {
      checkpointFile,
      signers: SIGNERS,
      ...(isOpened ? { bodies: bodyAudit(log, keys) } : {}),
      ...change,
    });
  } finally {
    keys.close();
    log.close();
  }
}

/** The database as its owner can open it: without the triggers. */
function tampering(t: Test, folder: string) {
  const db = new Database(join(folder, 'messages.db'));
  t.teardown(() => db.close());
  db.pragma('synchronous = OFF');
  const triggers = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all();
  for (const name of triggers) db.exec(`DROP TRIGGER ${name}`);
  return db;
}

t.test('a part begins and ends at checkpoints, and one that was stopped comes to the same', async (t) => {
  const fixture = logFixture(t);
  const { options } = fixture;
  const sizes = await written(fixture, [300, 20, 30, 5, 8_000, 40, 300]);
  const size = sizes.at(-1)!;
  const whole = await audit(options);
  t.match(whole, {
    ok: true,
    startedAt: 0,
    endedAt: size,
    entries: size,
    bodies: { opened: size - 8_000, erased: 0, none: 8_000 },
  });
  const known = await verifyLog({ folder: options.folder, checkpointFile: options.checkpointFile });
  t.match(whole, { root: known.root, checkpoints: known.checkpoints, heartbeatsMissing: 0 });
  const between = (from: number, to: number) => ({
    startedAt: Math.max(0, ...sizes.filter((one) => one <= from)),
    endedAt: Math.min(size, ...sizes.filter((one) => one >= to)),
  });
  for (const [from, to] of [
    [0, 1],
    [299, 300],
    [300, 301],
    [301, 320],
    [400, 8_350],
    [size, size + 5],
  ] as const) {
    const expected = between(from, to);
    t.match(await audit(options, { from, to }, false), { ok: true, ...expected }, `${from} to ${to}`);
  }
  const saved: RangeProgress[] = [];
  await audit(options, { onProgress: (progress) => void saved.push(JSON.parse(JSON.stringify(progress))) });
  t.ok(saved.length >= 2, `${saved.length} places to go on from`);
  for (const progress of saved)
    t.strictSame(await audit(options, { progress }), whole, `from ${progress.checkpoint.size}`);
  for (const threads of [2]) {
    const { folder } = options;
    t.strictSame(await audit(options, { folder, threads, progress: saved[0]! }), whole, `${threads} threads`);
  }
  const [first] = saved as [RangeProgress];
  const wrong: [string, RangeProgress, Partial<RangeOptions>][] = [
    ['another log', { ...first, origin: 'accord/other' }, {}],
    ['another range', first, { from: 1 }],
    ['another kind of audit', { ...first, signatures: false }, {}],
    ['another place', { ...first, checkpoint: { ...first.checkpoint, size: first.checkpoint.size - 1 } }, {}],
    ['another note', { ...first, checkpoint: { ...first.checkpoint, note: saved.at(-1)!.checkpoint.note } }, {}],
    ['another number', { ...first, checkpoint: { ...first.checkpoint, number: 999 } }, {}],
  ];
  for (const [name, progress, change] of wrong) {
    await t.rejects(audit(options, { progress, ...change }), { code: 'AUDIT_PROGRESS_WRONG' }, name);
  }
});

t.test(
  'any byte that is changed is found at its entry, wherever an audit begins; nothing is found elsewhere',
  async (t) => {
    const fixture = logFixture(t);
    const { options, dir } = fixture;
    const sizes = await written(fixture, [70, 30, 60, 64, 40]);
    const size = sizes.at(-1)!;
    const copy = { ...options, folder: join(dir, 'copy') };
    cpSync(options.folder, copy.folder, { recursive: true });
    const db = tampering(t, copy.folder);
    const columns = ['line', 'leaf', 'exchange_id', 'statement', 'sealed'];
    const where = fc.record({
      seq: fc.integer({ min: 0, max: size - 1 }),
      column: fc.constantFrom(...columns),
      at: fc.nat(),
      bit: fc.integer({ min: 0, max: 7 }),
      from: fc.constantFrom(0, ...sizes),
    });
    await fc.assert(
      fc.asyncProperty(where, async ({ seq, column, at, bit, from }) => {
        const row = db.prepare(`SELECT CAST(${column} AS BLOB) AS bytes FROM entries WHERE seq = ?`);
        const { bytes } = row.get(seq) as { bytes: Buffer };
        const other = Buffer.from(bytes);
        other[at % bytes.length]! ^= 1 << bit;
        const isText = column === 'line' || column === 'exchange_id';
        const put = db.prepare(`UPDATE entries SET ${column} = ${isText ? 'CAST(? AS TEXT)' : '?'} WHERE seq = ?`);
        put.run(other, seq);
        try {
          const report = await audit(copy, { from });
          const { startedAt } = report;
          // A leaf before the range is part of the tree it begins with.
          if (seq < startedAt && column !== 'leaf') return report.ok || seq === 0; // the request of an answer behind it
          if (seq < startedAt) return report.ok || report.code === 'LOG_TILE_WRONG';
          return !report.ok && report.firstBadSeq === seq;
        } finally {
          put.run(bytes, seq);
        }
      }),
      { numRuns: 120 },
    );
    t.match(await audit(copy), { ok: true }, 'and put back');
    // What the whole tree says is not what was signed: no range begins there.
    db.exec('UPDATE entries SET leaf = zeroblob(32) WHERE seq = 3');
    t.match(await audit(copy, { from: 100 }), { code: 'LOG_TILE_WRONG', firstBadSeq: null });
  },
);

t.test('two roots of one size, and checkpoints that somebody else holds', async (t) => {
  const fixture = logFixture(t);
  const { options } = fixture;
  const [one, two] = (await written(fixture, [10, 10])) as [number, number];
  const verifier = noteVerifier(options.origin, rawEd25519PublicKey(options.checkpointKey));
  const note = (size: number, root: Buffer, key = options.checkpointKey) =>
    signNote(checkpointText({ origin: options.origin, size, root }), verifier, (bytes) => signEd25519(key, bytes));
  const log = await openMessageLog(options);
  const held = log.checkpoint().note;
  await log.close();
  const seen = (text: string) => audit(options, { seen: [text] });
  t.match(await seen(held), { ok: true });
  t.match(await seen(note(one, Buffer.alloc(32, 1))), { code: 'LOG_FORKED', firstBadSeq: null });
  t.match(await seen(note(two + 5, Buffer.alloc(32, 1))), { code: 'LOG_TRUNCATED', firstBadSeq: two });
  const other = generateKeyPairSync('ed25519').privateKey;
  t.match(await seen(note(one, Buffer.alloc(32, 1), other)), { code: 'LOG_CHECKPOINT_WRONG' });
  const db = tampering(t, options.folder);
  const { count, last } = db.prepare('SELECT count(*) AS count, max(at_ms) AS last FROM checkpoints').get() as {
    count: number;
    last: number;
  };
  db.prepare('INSERT INTO checkpoints VALUES (?, ?, ?, ?)').run(count, two, last, note(two, Buffer.alloc(32, 2)));
  t.match(await audit(options), { code: 'LOG_FORKED' });
  t.match(await verifyLog({ folder: options.folder }), { code: 'LOG_FORKED' }, 'an audit of the whole log says so too');
});

t.test('times without a checkpoint are named, and are no damage', async (t) => {
  const { options, clock, tick } = logFixture(t);
  let log = await openMessageLog(options);
  const step = async (count: number, ms: number, isPublished = true) => {
    for (const record of count === 0 ? [] : requestRecords(count)) await log.append(record);
    clock.pass(ms);
    if (isPublished) tick();
  };
  await step(2, 11_000);
  await step(0, 600_000); // a heartbeat
  await step(3, 11_000);
  const from = clock.nowMs();
  await log.close();
  clock.pass(3_600_000); // not running
  log = await openMessageLog(options);
  await step(1, 11_000);
  const silentFrom = clock.nowMs();
  await step(2, 30_000, false);
  clock.pass(1_800_000);
  tick();
  await log.close();
  const report = await audit(options);
  t.match(report, {
    ok: true,
    heartbeatsMissing: 2,
    heartbeats: [
      { code: 'LOG_HEARTBEAT_MISSING', fromMs: from, fromSize: 5, toSize: 6, wasOpen: false },
      { fromMs: silentFrom, fromSize: 6, toSize: 8, wasOpen: true },
    ],
  });
  const saved: RangeProgress[] = [];
  await audit(options, { onProgress: (progress) => void saved.push(progress) });
  for (const progress of saved) t.strictSame(await audit(options, { progress }), report);
});

t.test('what is kept of records: erased on purpose, lost, or not what was committed to', async (t) => {
  const { options, clock } = logFixture(t);
  const log = await openMessageLog(options);
  const [a, b] = requestRecords(2);
  await log.append({ ...a!, sealed: { ...a!.sealed!, body: Buffer.from('another') } });
  await log.append({ ...b!, sealed: null });
  await log.close();
  t.match(await audit(options), { code: 'LOG_COMMITMENT_WRONG', firstBadSeq: 0, detail: 'the body' });
  t.match(await audit(options, { from: 2 }), { ok: true });
  const day = Math.floor(clock.nowMs() / 86_400_000);
  const keys = openRecordKeysSqlite(options.keyFolder, options.storageKey);
  keys.destroyDays('standard', day, day);
  keys.close();
  t.match(await audit(options), { ok: true, bodies: { opened: 0, erased: 1, none: 1 } });
});

t.test('lines that were written again with their leaves, among many that are alike', async (t) => {
  const fixture = logFixture(t);
  const { options } = fixture;
  await written(fixture, [200, 100]);
  const db = tampering(t, options.folder);
  const seq = 150;
  const row = db.prepare('SELECT line FROM entries WHERE seq = ?').pluck();
  const put = db.prepare('UPDATE entries SET line = ?, leaf = ? WHERE seq = ?');
  const line = row.get(seq) as string;
  const other = JSON.parse(row.get(seq + 1) as string) as { statement: string };
  const { statement, signature, id } = JSON.parse(line) as { statement: string; signature: string; id: string };
  const cases: [string, string, string, string][] = [
    ['the statement of another', statement, other.statement, 'LOG_EVIDENCE_CHANGED'],
    ['a signature of nobody', signature, other.statement, 'LOG_EVIDENCE_CHANGED'],
    ['another id', id, `${id.slice(0, -1)}${id.endsWith('0') ? 1 : 0}`, 'LOG_ENTRY_CHANGED'],
    ['another service', 'provider/echo', 'provider/ecHo', 'LOG_EVIDENCE_CHANGED'],
    ['an earlier time', '"t":179', '"t":178', 'LOG_ENTRY_CHANGED'],
    ['another seq', `"seq":${seq}`, `"seq":${seq + 1}`, 'LOG_ENTRY_CHANGED'],
    ['a character that is none of a hash', statement, `${statement.slice(0, -1)}*`, 'LOG_ENTRY_MALFORMED'],
  ];
  for (const [name, from, to, code] of cases) {
    const again = line.replace(from, to);
    put.run(again, leafHash(again), seq);
    t.match(await audit(options, {}, false), { code, firstBadSeq: seq }, name);
  }
  put.run(line, leafHash(line), seq);
  t.match(await audit(options), { ok: true });
});

t.test('claims of the latest requests, and times of checkpoints that do not fit their neighbours', async (t) => {
  const { options, clock, tick } = logFixture(t);
  const log = await openMessageLog(options);
  const receive = async (count: number, ms: number) => {
    const untilMs = clock.nowMs() + 600_000;
    for (const record of requestRecords(count, { kind: 'request-received' })) {
      await log.append({ ...record, claim: { from: PEER, id: record.id, untilMs } });
    }
    clock.pass(ms);
    tick();
  };
  await receive(2, 60_000);
  for (const ms of [60_000, 60_000, 600_000, 11_000, 11_000]) await receive(2, ms);
  await log.close();
  const nowMs = clock.nowMs();
  const gaps = async (change: Partial<RangeOptions> = {}) => {
    const { ok, claims, gaps } = await audit(options, change, false);
    return [ok, claims, ...gaps.map(({ code, seq }) => `${code} ${seq}`)];
  };
  t.same(await gaps(), [true, null], 'without a clock nothing is said');
  t.same(await gaps({ nowMs }), [true, 4], 'older ones may be forgotten');
  t.same(await gaps({ nowMs: nowMs - 3_600_000 }), [true, null], 'a clock that differs');
  const db = tampering(t, options.folder);
  db.exec('DELETE FROM claims WHERE seq IN (0, 9)');
  t.same(await gaps({ nowMs }), [true, 3, 'LOG_CLAIM_MISSING 9']);
  db.exec('DELETE FROM claims');
  t.same(await gaps({ nowMs }), [true, null], 'a copy that was put back has none');

  const numbers = db.prepare('SELECT number, size, at_ms FROM checkpoints ORDER BY number').all() as {
    number: number;
    size: number;
    at_ms: number;
  }[];
  const put = db.prepare('UPDATE checkpoints SET at_ms = ? WHERE number = ?');
  const third = numbers.find(({ size }) => size === 6)!;
  for (const [ms, expected] of [
    [-240_000, []],
    [-600_000, ['LOG_TIME_WRONG 5']],
    [240_000, []],
    [2_000_000, ['LOG_TIME_WRONG 6', 'LOG_TIME_WRONG 7']],
  ] as [number, string[]][]) {
    put.run(third.at_ms + ms, third.number);
    t.same(await gaps(), [true, null, ...expected], `${ms} ms off`);
    const saved: RangeProgress[] = [];
    const report = await audit(
      options,
      { onProgress: (progress) => void saved.push(structuredClone(progress)) },
      false,
    );
    for (const progress of saved) t.strictSame(await audit(options, { progress }, false), report);
  }
});
