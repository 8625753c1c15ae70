// The message log as a server uses it: appended in order and in groups, found again, proved, replayed, erased, restarted.
// Every step is followed by an audit of the whole log.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { Frontier, leafHash, verifyConsistency, verifyInclusion } from '#certs/merkle.ts';
import { verifyLog } from '#core/log/audit.ts';
import { type MessageLogOptions, type NewRecord, openMessageLog, startMessageLog } from '#core/log/message-log.ts';
import { openRecordKeysSqlite } from '#core/log/record-keys-sqlite.ts';
import { openCheckpoint, parseVerifierKey } from '#core/log/signed-note.ts';
import type { LogStore } from '#core/log/store.ts';
import { openLogStoreSqlite } from '#core/log/store-sqlite.ts';
import { audited, auditLog } from './audited.ts';
import { exchangeId, logFixture, OWN, PEER, requestRecords, responseRecord } from './log-fixture.ts';

const MS_PER_DAY = 86_400_000;
const bytes = (hashes: string[]) => hashes.map((hash) => Buffer.from(hash, 'base64url'));
const raw = (options: MessageLogOptions) => new Database(join(options.folder, 'messages.db'));

t.test('an exchange: appended, found, opened, proved, and the same after a restart', async (t) => {
  const { options, clock } = logFixture(t);
  const plain = await openMessageLog(options);
  let log = audited(t, plain, options);
  t.match(log.checkpoint(), { size: 0, origin: options.origin });
  const [request] = requestRecords();
  const first = await log.append(request!);
  t.match(first, { outcome: 'appended', seq: 0 });
  clock.wallMs -= 60_000;
  const answer = responseRecord(request!, 0);
  t.match(await log.append(answer), { outcome: 'appended', seq: 1 });
  const summary: NewRecord = { ...requestRecords()[0]!, kind: 'summary', evidence: null, sealed: null };
  await log.append(summary);

  const found = log.find(PEER, request!.id);
  t.same(
    found.map(({ seq, entry }) => [seq, entry.kind]),
    [
      [1, 'response-received'],
      [0, 'request-sent'],
    ],
  );
  t.equal(found[0]!.entry.t, found[1]!.entry.t, 'time never runs backwards within the log');
  t.same(found[0]!.evidence, answer.evidence);
  t.same(log.find(OWN, request!.id), [], 'another peer');
  t.same(log.find(null, exchangeId()), []);
  for (let i = 0; i < 120; i++) await plain.append({ ...summary, id: 'often', code: `N${i}` });
  const often = log.find(null, 'often').map(({ entry }) => entry.code);
  t.same(
    [often.length, often[0], often[49], often[50], often[99]],
    [100, 'N119', 'N70', 'N49', 'N0'],
    'newest and oldest',
  );
  t.equal(log.read(120, 10).length, 3);
  t.equal(
    log.read(0, 1)[0]!.line.replace(/:1790000000000,|[A-Za-z0-9_-]{43}|01890000[0-9a-f-]*/g, '.'),
    '{"seq":0,"t"."kind":"request-sent","id":".","peer":"DEV/GOV/2002/ss2","client":"DEV/GOV/1001/consumer",' +
      '"service":"DEV/GOV/2002/provider/echo","purpose":"support-check","basis":"open","code":null,' +
      '"decisionHash":null,"statement":".","signature":".","ocsp":null,"configuration":1,"retention":"standard"}',
    'the format of a line',
  );
  t.same(log.readSealed(0), request!.sealed);
  t.equal(log.readSealed(2), null);
  t.equal(log.readSealed(999), null);

  const before = { size: log.size(), root: log.root() };
  await log.close();
  t.match(log.state(), { ok: false, code: 'LOG_CLOSED' });
  await t.rejects(log.append(request!), { code: 'LOG_UNAVAILABLE' });
  log = audited(t, await openMessageLog(options), options);
  t.same({ size: log.size(), root: log.root() }, before);
  t.match(log.checkpoint(), before, 'a clean close publishes a checkpoint');
  t.same(log.readSealed(1), answer.sealed);
  t.match(await log.append(requestRecords()[0]!), { seq: 123 });
  await log.close();
  for (const file of [
    join(options.folder, 'messages.db'),
    join(options.keyFolder, 'record-keys.db'),
    options.checkpointFile,
  ]) {
    t.equal(statSync(file).mode & 0o777, 0o600, file);
  }
  const onDisk = readFileSync(join(options.folder, 'messages.db'));
  t.notOk(onDisk.includes(request!.sealed!.body!), 'what is sealed is not readable in the database');
});

t.test('everything of one turn is one transaction; a full queue and a bad record stop nobody else', async (t) => {
  const { options } = logFixture(t);
  const store = openLogStoreSqlite(options.folder);
  let transactions = 0;
  const append: LogStore['append'] = (records, tiles) => {
    transactions++;
    store.append(records, tiles);
  };
  const keys = openRecordKeysSqlite(options.keyFolder, options.storageKey);
  const log = startMessageLog({ ...options, store: { ...store, append }, keys, limits: { maxWaiting: 300 } });
  const turn = async (records: NewRecord[]) => {
    const before = transactions;
    const results = await Promise.allSettled(records.map((record) => log.append(record)));
    return { results, transactions: transactions - before };
  };
  t.equal((await turn(requestRecords(1))).transactions, 1);
  t.equal((await turn(requestRecords(256))).transactions, 1, '256 records, one transaction');

  const bad = { ...requestRecords()[0]!, retention: 'No Such Class' };
  const { results } = await turn([...requestRecords(150), bad, ...requestRecords(149), ...requestRecords(2)]);
  const codes = results.map((result) => (result.status === 'rejected' ? result.reason.code : 'ok'));
  t.equal(codes[150], 'LOG_ENTRY_MALFORMED');
  t.same(codes.slice(-2), ['LOG_BUSY', 'LOG_BUSY']);
  t.equal(codes.filter((code) => code === 'ok').length, 299);
  const seqs = results.flatMap((r) => (r.status === 'fulfilled' ? [r.value.seq] : []));
  t.same(
    seqs,
    seqs.map((_, i) => 257 + i),
    'in the order they were appended, without a gap',
  );
  t.same(log.state(), { ok: true });
  await auditLog(t, log, options);

  const leaves = log.read(0, 1_000).map(({ line }) => leafHash(line));
  const frontier = new Frontier();
  const roots = [frontier.root()];
  for (const leaf of leaves) {
    frontier.push(leaf);
    roots.push(frontier.root());
  }
  t.equal(log.root(), frontier.root().toString('base64url'));
  for (const size of [1, 256, 257, 511, 512, 513, 556]) {
    const some = leaves
      .slice(0, size)
      .flatMap((leaf, seq) => (seq % 19 === 0 || seq > size - 3 ? [{ leaf, seq }] : []));
    const wrong = some.filter(({ leaf, seq }) => {
      return !verifyInclusion(leaf, seq, size, bytes(log.inclusionProof(seq, size)), roots[size]!);
    });
    t.same(wrong, [], `entries proved in a log of ${size}`);
    t.ok(verifyConsistency(size, 556, roots[size]!, roots[556]!, bytes(log.consistencyProof(size, 556))));
  }
  t.throws(() => log.inclusionProof(0, 557), RangeError);
  await log.close();
});

t.test('replays are refused in the same turn, later, after a restart, and after a settlement', async (t) => {
  const { options, clock, tick } = logFixture(t);
  let log = audited(t, await openMessageLog(options), options);
  const received = (id: string) => ({
    ...requestRecords()[0]!,
    evidence: null,
    kind: 'request-received' as const,
    id,
    claim: { from: PEER, id, untilMs: clock.wallMs + 600_000 },
  });
  const [id, late, other] = [exchangeId(), exchangeId(), exchangeId()];
  const twice = await Promise.all([log.append(received(id)), log.append(received(id))]);
  t.match(twice, [
    { outcome: 'appended', seq: 0 },
    { outcome: 'replay', seq: 0 },
  ]);
  t.match(await log.claimVoid(PEER, late, clock.wallMs + 600_000, 1), { outcome: 'appended', seq: 1 });
  t.match(await log.append(received(late)), { outcome: 'replay', seq: 1 }, 'a delayed original cannot run');
  t.match(await log.claimVoid(PEER, id, clock.wallMs + 600_000, 1), { outcome: 'replay', seq: 0 });
  t.match(await log.append({ ...received(other), claim: { from: OWN, id, untilMs: clock.wallMs + 1 } }), { seq: 2 });
  await log.close();
  log = audited(t, await openMessageLog(options), options);
  t.match(await log.append(received(id)), { outcome: 'replay', seq: 0 }, 'claims survive a restart');
  clock.pass(599_000);
  tick();
  t.match(await log.append(received(id)), { outcome: 'replay', seq: 0 }, 'until their time is over');
  clock.pass(61_000);
  tick();
  t.match(await log.append(received(id)), { outcome: 'appended', seq: 3 }, 'then they are forgotten');
  t.equal(log.refuseBeforeMs, 0);
  await log.close();
  const restored = await openMessageLog({ ...options, restoredAtMs: 5_000 });
  t.equal(restored.refuseBeforeMs, 605_000);
  await restored.close();
});

t.test('checkpoints: when they are due, consistent with each other, and kept in both places', async (t) => {
  const { options, clock, tick } = logFixture(t);
  const log = audited(t, await openMessageLog(options), options);
  const verifier = parseVerifierKey(log.verifierKey);
  const seen = [log.checkpoint()];
  const next = () => {
    tick();
    if (log.checkpoint() !== seen.at(-1)) seen.push(log.checkpoint());
    return seen.at(-1)!.size;
  };
  await log.append(requestRecords()[0]!);
  clock.pass(9_999);
  t.equal(next(), 0, 'not yet');
  clock.pass(1);
  t.equal(next(), 1, 'ten seconds and grown');
  await Promise.all(requestRecords(20).map((record) => log.append(record)));
  clock.pass(10_000);
  t.equal(next(), 21);
  const rows = () => raw(options).prepare('SELECT count(*) FROM checkpoints').pluck().get();
  const stored = rows();
  clock.pass(599_999);
  tick();
  t.equal(rows(), stored, 'not grown');
  clock.pass(1);
  tick();
  t.equal(rows(), Number(stored) + 1, 'the heartbeat');
  t.equal(openCheckpoint(readFileSync(options.checkpointFile), verifier).size, 21);
  for (const [i, earlier] of seen.entries()) {
    for (const later of seen.slice(i)) {
      const proof = bytes(log.consistencyProof(earlier.size, later.size));
      const [a, b] = bytes([earlier.root, later.root]);
      t.ok(verifyConsistency(earlier.size, later.size, a!, b!, proof), `${earlier.size} to ${later.size}`);
    }
  }
  await log.close();
});

t.test('destroyed keys: nothing opens any more, everything still verifies', async (t) => {
  const { options, clock } = logFixture(t);
  const log = audited(t, await openMessageLog(options), options);
  const day = Math.floor(clock.wallMs / MS_PER_DAY);
  await Promise.all(requestRecords(3).map((record) => log.append(record)));
  await log.append(requestRecords(1, { retention: 'long' })[0]!);
  clock.pass(MS_PER_DAY);
  await log.append(requestRecords()[0]!);
  const keyFile = join(options.keyFolder, 'record-keys.db');
  const keys = new Database(keyFile, { readonly: true });
  const wrapped = keys.prepare('SELECT wrapped FROM key_groups').pluck().all() as Buffer[];
  keys.close();
  t.equal(log.erasure.destroyDays('standard', 0, day), 3);
  const opened = [0, 1, 2, 3, 4].map((seq) => log.readSealed(seq) !== null);
  t.same(opened, [false, false, false, true, true], 'only that class and day');
  t.equal(log.erasure.destroyDays('standard', 0, day), 0);
  await auditLog(t, log, options);
  const disk = Buffer.concat([readFileSync(keyFile), readFileSync(`${keyFile}-wal`)]);
  t.equal(wrapped.filter((key) => disk.includes(key)).length, 2, 'the destroyed keys are not on the disk any more');
  await log.append(requestRecords()[0]!);
  await log.close();
  await t.rejects(openMessageLog({ ...options, storageKey: Buffer.alloc(32) }), { code: 'RECORD_KEYS_WRONG' });
  const again = await openMessageLog(options);
  t.equal(again.readSealed(0), null);
  t.not(again.readSealed(5), null);
  await again.close();
});

t.test('the database refuses changes, replacements and gaps by itself; one writer only', async (t) => {
  const { options, dir } = logFixture(t);
  const log = audited(t, await openMessageLog(options), options);
  await Promise.all(requestRecords(2).map((record) => log.append(record)));
  await t.rejects(openMessageLog({ ...options, keyFolder: join(dir, 'other-keys') }), { code: 'LOG_IN_USE' });
  const db = raw(options);
  t.teardown(() => db.close());
  const rest = ', NULL'.repeat(7);
  const [leaf, empty] = ['zeroblob(32)', "x''"];
  const refused = [
    "UPDATE entries SET line = 'x' WHERE seq = 0",
    'DELETE FROM entries WHERE seq = 1',
    'DELETE FROM entries',
    `REPLACE INTO entries VALUES (1, 'x', ${leaf}, 'i'${rest})`,
    `INSERT OR REPLACE INTO entries VALUES (0, 'x', ${leaf}, 'i'${rest})`,
    `INSERT INTO entries VALUES (3, 'x', ${leaf}, 'i'${rest})`,
    `INSERT INTO entries VALUES (-1, 'x', ${leaf}, 'i'${rest})`,
    `INSERT INTO entries VALUES (0, 'x', ${leaf}, 'i'${rest}) ON CONFLICT (seq) DO UPDATE SET line = 'y'`,
    "UPDATE OR REPLACE entries SET seq = 0, line = 'x' WHERE seq = 1",
    `UPDATE entries SET statement = ${empty}`,
    `UPDATE entries SET sealed = ${empty} WHERE seq = 1`,
    'REPLACE INTO entries SELECT * FROM entries',
    "UPDATE signatures SET jws = 'x'",
    "REPLACE INTO signatures SELECT number, 'x', first, last FROM signatures",
    "INSERT INTO signatures VALUES (7, 'x', NULL, NULL)",
    'DELETE FROM signatures',
    'DELETE FROM checkpoints',
    "REPLACE INTO checkpoints SELECT number, size, at_ms, 'x' FROM checkpoints",
    `REPLACE INTO tiles VALUES (1, 1, ${leaf})`,
    "REPLACE INTO identity VALUES (1, 'x', 'y')",
  ];
  for (const statement of refused) {
    t.throws(() => db.exec(statement), { code: 'SQLITE_CONSTRAINT_TRIGGER' }, statement);
  }
  await auditLog(t, log, options);
  await log.close();
  const reopened = await openMessageLog(options);
  t.equal(reopened.size(), 2, 'the lock is let go at the close');
  await reopened.close();
  t.match(await verifyLog({ folder: options.folder }), { ok: true, entries: 2 });
});
