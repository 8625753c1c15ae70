// A witness: status codes for every kind of body, the law that no series of requests gives one size two roots or lets a
// size go back, and what a crash at each step leaves.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t from 'tap';
import { generateKeys } from '#certs/keys.ts';
import { type Clock, systemClock } from '#core/clock.ts';
import { parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import { formatAddCheckpoint } from '#core/witness/add-checkpoint.ts';
import { cosigner } from '#core/witness/cosignature.ts';
import type { ForkEvidence, WitnessStore } from '#core/witness/store.ts';
import { Witness, type WitnessOptions } from '#core/witness/witness.ts';
import { openWitnessStoreSqlite } from '#core/witness/witness-store-sqlite.ts';
import { MAX_ADD_CHECKPOINT_BYTES, WITNESS_ADVANCE_BURST, WITNESS_REPEAT_BURST } from '#schemas/limits.ts';
import { AccordError, isAccordError, PROBLEMS } from '#schemas/problems.ts';
import { WitnessedLog } from './witnessed-log.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-witness-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const NAME = 'witness.example/w1';
const COSIGNERS = [
  cosigner(NAME, generateKeys('Ed25519').privateKey),
  cosigner(NAME, generateKeys('ML-DSA-44').privateKey),
];
let files = 0;

/** Time that stands still until it is moved. */
class HandClock implements Clock {
  ms = 1_800_000_000_000;
  nowMs = () => this.ms;
  monotonicMs = () => this.ms;
}

function open(logs: readonly WitnessedLog[], more: Partial<WitnessOptions> = {}, file = join(folder, `${files++}.db`)) {
  const store = openWitnessStoreSqlite(file);
  const forks: ForkEvidence[] = [];
  const witness = new Witness({
    store,
    cosigners: COSIGNERS,
    clock: systemClock,
    verifiersOf: (origin) => logs.filter((log) => log.origin === origin).map(({ verifier }) => verifier),
    onFork: (evidence) => forks.push(evidence),
    ...more,
  });
  return { witness, store, forks, file };
}

/** The status an HTTP client sees, with the body of a 409. */
async function said(witness: Witness, body: Uint8Array): Promise<string> {
  try {
    const answer = await witness.add(body);
    return answer.status === 409 ? `409 ${answer.type} ${answer.body.trimEnd()}` : String(answer.status);
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return `${PROBLEMS[error.code].status} ${error.code}`;
  }
}

t.test('status codes', async (t) => {
  const log = new WitnessedLog('accord/XA/GOV/1/SS1').grow(40);
  const { witness, store, forks } = open([log]);
  const other = log.fork(20).grow(20, 'other');
  const stranger = new WitnessedLog('accord/XA/GOV/1/SS2').grow(3);
  const impostor = new WitnessedLog(log.origin).grow(40);
  const text = (body: Buffer, from: string | RegExp, to: string) =>
    Buffer.from(body.toString('utf8').replace(from, to));
  const good = log.body(0, 20);
  const proofLines = (count: number) => `${`${Buffer.alloc(32).toString('base64')}\n`.repeat(count)}`;
  const cases: [string, Uint8Array, string][] = [
    ['nothing', Buffer.alloc(0), '400 NOTE_MALFORMED'],
    ['rubbish', Buffer.from('rubbish'), '400 NOTE_MALFORMED'],
    ['only a note', Buffer.from(log.note()), '400 NOTE_MALFORMED'],
    ['no old size', text(good, 'old 0\n', '\n'), '400 NOTE_MALFORMED'],
    ['a leading zero', text(good, 'old 0', 'old 00'), '400 NOTE_MALFORMED'],
    ['a sign', text(good, 'old 0', 'old -0'), '400 NOTE_MALFORMED'],
    ['an old size that is no safe integer', text(good, 'old 0', 'old 9007199254740993'), '400 NOTE_MALFORMED'],
    ['a larger old size', formatAddCheckpoint({ oldSize: 41, proof: [], note: log.note() }), '400 NOTE_MALFORMED'],
    ['CRLF', text(good, /\n/g, '\r\n'), '400 NOTE_MALFORMED'],
    ['a proof line that is no hash', text(good, 'old 0\n', 'old 0\nAAAA\n'), '400 NOTE_MALFORMED'],
    ['spare bits', text(good, 'old 0\n', `old 0\n${'A'.repeat(42)}B=\n`), '400 NOTE_MALFORMED'],
    ['64 proof lines', text(good, 'old 0\n', `old 0\n${proofLines(64)}`), '400 NOTE_MALFORMED'],
    ['63 proof lines for nothing', text(good, 'old 0\n', `old 0\n${proofLines(63)}`), '422 WITNESS_UNPROVEN'],
    ['without signature', text(good, /\n— .*\n$/, '\n'), '400 NOTE_MALFORMED'],
    ['without the last line feed', good.subarray(0, -1), '400 NOTE_MALFORMED'],
    ['no UTF-8', Buffer.concat([Buffer.from('old 0\n\n'), Buffer.from([0xff, 0xfe])]), '400 NOTE_MALFORMED'],
    ['too large', Buffer.alloc(MAX_ADD_CHECKPOINT_BYTES + 1, 'a'), '413 BODY_TOO_LARGE'],
    ['an extension line', text(good, /\n\n— /, '\nmore\n\n— '), '400 NOTE_MALFORMED'],
    ['an unknown origin', stranger.body(0), '404 WITNESS_ORIGIN_UNKNOWN'],
    ['another key', impostor.body(0), '403 WITNESS_KEY_WRONG'],
    ['another size under the signature', text(good, '\n20\n', '\n21\n'), '403 WITNESS_KEY_WRONG'],
    ['an old size that nobody cosigned', log.body(10, 20), '409 text/x.tlog.size 0'],
    ['the first', good, '200'],
    ['the first again, in ignorance', good, '409 text/x.tlog.size 20'],
    ['the same size', log.body(20, 20), '200'],
    [
      'the same size with a proof',
      text(log.body(20, 20), 'old 20\n', `old 20\n${proofLines(1)}`),
      '422 WITNESS_UNPROVEN',
    ],
    ['an earlier size', log.body(10, 15), '409 text/x.tlog.size 20'],
    [
      'a proof from another size',
      formatAddCheckpoint({ oldSize: 20, proof: log.proof(19, 30), note: log.note(30) }),
      '422 WITNESS_UNPROVEN',
    ],
    ['no proof', formatAddCheckpoint({ oldSize: 20, proof: [], note: log.note(30) }), '422 WITNESS_UNPROVEN'],
    ['another history', other.body(20, 40), '200'],
  ];
  for (const [what, body, wanted] of cases) t.equal(await said(witness, body), wanted, what);
  t.equal(await said(witness, log.body(40, 40)), '409 text/x.tlog.size 40', 'the size is known with another root');
  t.equal(store.latest(log.origin)?.size, 40);
  t.same(
    forks.map(({ kind, shown }) => [kind, parseCheckpointText(parseNote(shown).text).size]),
    [
      ['unproven', 20],
      ['unproven', 30],
      ['fork', 40],
    ],
  );
  t.same(store.forks().at(-1), { ...forks.at(-1), held: other.note(40), shown: log.note(40) }, 'both notes are kept');
  store.close();
});

t.test('old sizes, sizes and roots in any order: one size, one root, and never back', async (t) => {
  // Two histories under one key, that part at leaf 9.
  const one = new WitnessedLog('accord/XA/GOV/1/SS1').grow(24);
  const two = one.fork(9).grow(15, 'two');
  const three = one.fork(0).grow(24, 'three');
  const histories = [one, two, three];
  const request = fc.record({
    history: fc.nat({ max: 2 }),
    size: fc.nat({ max: 24 }),
    old: fc.option(fc.nat({ max: 24 }), { nil: undefined, freq: 2 }),
    proofOf: fc.nat({ max: 2 }),
    sameProof: fc.boolean(),
    together: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { maxLength: 40 }), async (requests) => {
      const clock = new HandClock();
      const { witness, store } = open([one], { clock, cosigners: COSIGNERS.slice(0, 1) }, ':memory:');
      const roots = new Map<number, string>();
      let largest = 0;
      const waiting: Promise<void>[] = [];
      for (const { history, size, old, proofOf, sameProof, together } of requests) {
        clock.ms += 60_000;
        const log = histories[history] as WitnessedLog;
        const oldSize = Math.min(old ?? store.latest(one.origin)?.size ?? 0, size);
        const proof = (sameProof ? log : (histories[proofOf] as WitnessedLog)).proof(oldSize, size);
        const done = said(witness, formatAddCheckpoint({ oldSize, proof, note: log.note(size) })).then((status) => {
          if (status !== '200') return;
          const root = log.root(size).toString('hex');
          if ((roots.get(size) ?? root) !== root) throw new Error(`two roots at ${size}`);
          roots.set(size, root);
          if (!together && size < largest) throw new Error(`back from ${largest} to ${size}`);
          largest = Math.max(largest, size);
        });
        waiting.push(done);
        if (!together) await Promise.all(waiting);
      }
      await Promise.all(waiting);
      // All that was cosigned is one history.
      const whole = histories.filter((log) =>
        [...roots].every(([size, root]) => log.root(size).toString('hex') === root),
      );
      if (whole.length === 0) throw new Error('the cosigned sizes belong to no one history');
      if ((store.latest(one.origin)?.size ?? 0) !== largest) throw new Error('the largest is not what is stored');
      store.close();
    }),
    { numRuns: 150 },
  );
  t.pass();
});

t.test('the tables themselves refuse what goes back', async (t) => {
  const log = new WitnessedLog('accord/XA/GOV/1/SS1').grow(9);
  const { witness, store, file } = open([log]);
  t.equal(await said(witness, log.body(0)), '200');
  store.close();
  const db = new Database(file);
  const zero = Buffer.alloc(32);
  for (const [sql, values] of [
    ['UPDATE origins SET size = 8', []],
    ['UPDATE origins SET root = ?', [zero]],
    ['DELETE FROM origins', []],
    ["INSERT OR REPLACE INTO origins VALUES (1, ?, 10, ?, '', 0, NULL)", [log.origin, zero]],
    ["REPLACE INTO origins VALUES (7, ?, 10, ?, '', 0, NULL)", [log.origin, zero]],
  ] as [string, unknown[]][]) {
    t.throws(() => db.prepare(sql).run(...values), { code: 'SQLITE_CONSTRAINT_TRIGGER' }, sql);
  }
  db.close();
  const foreign = join(folder, 'foreign.db');
  const made = new Database(foreign);
  made.pragma('user_version = 7');
  made.close();
  t.throws(() => openWitnessStoreSqlite(foreign), { code: 'LOG_DATABASE_DAMAGED' });
});

t.test('crashes', async (t) => {
  /** A store whose process ends at this point of a turn; `reopen` is the next start. */
  const dying = (store: WitnessStore, where: 'before' | 'inside' | 'after', at: number): WitnessStore => {
    let turns = 0;
    return {
      ...store,
      turn(run) {
        if (++turns !== at) return store.turn(run);
        if (where === 'before') throw new Error('died');
        const done = store.turn((turn) => {
          const inner = run(turn);
          if (where === 'inside') throw new Error('died');
          return inner;
        });
        if (where === 'after') throw new Error('died');
        return done;
      },
    };
  };
  for (const where of ['before', 'inside', 'after'] as const) {
    const log = new WitnessedLog('accord/XA/GOV/1/SS1').grow(20);
    const fork = log.fork(5).grow(15, 'fork');
    const file = join(folder, `crash-${where}.db`);
    const first = openWitnessStoreSqlite(file);
    const stops: unknown[] = [];
    const { witness } = open([log], { store: dying(first, where, 2), onStopped: (error) => stops.push(error) });
    t.equal(await said(witness, log.body(0, 5)), '200');
    t.equal(await said(witness, log.body(5, 20)), '503 WITNESS_STOPPED', `${where}: nobody got a cosignature`);
    t.equal(await said(witness, log.body(5, 20)), '503 WITNESS_STOPPED', 'and nobody gets one before the next start');
    t.equal(stops.length, 1);
    t.notOk(witness.isRunning);
    first.close();

    const again = open([log], {}, file);
    const isStored = where === 'after';
    t.equal(again.store.latest(log.origin)?.size, isStored ? 20 : 5);
    const asked = await said(again.witness, fork.body(5, 20));
    if (isStored) {
      t.equal(asked, '409 text/x.tlog.size 20', 'the other history is not cosigned');
      t.equal(await said(again.witness, fork.body(20, 20)), '409 text/x.tlog.size 20');
      t.equal(again.forks.length, 1, 'and is evidence');
      t.equal(await said(again.witness, log.body(20, 20)), '200', 'the stored one is, when it is asked for again');
    } else {
      t.equal(asked, '200', 'nothing of the first was stored or signed: either may come, one does');
      t.equal(await said(again.witness, log.body(20, 20)), '409 text/x.tlog.size 20');
    }
    again.store.close();
  }
});

t.test('budgets', async (t) => {
  const clock = new HandClock();
  const log = new WitnessedLog('accord/XA/GOV/1/SS1').grow(60);
  const busy = new WitnessedLog('accord/XA/GOV/1/SS2').grow(60);
  const { witness, store } = open([log, busy], { clock, cosigners: COSIGNERS.slice(0, 1) });
  for (let size = 1; size <= WITNESS_ADVANCE_BURST; size++)
    t.equal(await said(witness, log.body(size - 1, size)), '200');
  const next = WITNESS_ADVANCE_BURST + 1;
  t.equal(await said(witness, log.body(next - 1, next)), '429 WITNESS_BUDGET');
  t.equal(await said(witness, busy.body(0, 1)), '200', 'another log has its own');
  for (let times = 0; times < WITNESS_REPEAT_BURST; times++) await said(witness, log.body(next - 1, next - 1));
  t.equal(await said(witness, log.body(next - 1, next - 1)), '429 WITNESS_BUDGET', 'repeats have their own');
  t.equal(await said(witness, log.body(0, next)), `409 text/x.tlog.size ${next - 1}`, 'what is refused costs nothing');
  clock.ms += 10_000;
  t.equal(await said(witness, log.body(next - 1, next)), '200');
  t.equal(await said(witness, log.body(next, next + 1)), '429 WITNESS_BUDGET');
  store.close();
});

t.test('what comes in one turn is stored in one', async (t) => {
  const logs = Array.from({ length: 200 }, (_, i) => new WitnessedLog(`accord/XA/GOV/1/S${i}`).grow(3));
  const { witness, store } = open(logs, { cosigners: COSIGNERS.slice(0, 1) });
  const all = await Promise.all(logs.map((log) => said(witness, log.body(0))));
  t.ok(all.every((status) => status === '200'));
  t.equal(witness.counts.turns, 1);
  t.equal(witness.counts.cosigned, 200);
  t.equal(store.origins(), 200);
  const log = (logs[0] as WitnessedLog).grow(10);
  const same = await Promise.all([4, 6, 8].map((size) => said(witness, log.body(3, size))));
  t.same(same, ['200', '409 text/x.tlog.size 4', '409 text/x.tlog.size 4'], 'one of one size wins');
  store.close();
});

t.test('nothing is stored that was not vetted', async (t) => {
  const log = new WitnessedLog('accord/XA/GOV/1/SS1').grow(30);
  const vetted: number[] = [];
  const { witness, store } = open([log], {
    cosigners: COSIGNERS.slice(0, 1),
    async vet({ tree }) {
      if (tree.size === 20) throw new AccordError('WITNESS_FEED_WRONG');
      vetted.push(tree.size);
      return { subtrees: Buffer.alloc(32), steps: [] };
    },
  });
  // The second follows from the first, and is judged when the first is vetted and waits for its turn.
  const first = said(witness, log.body(0, 5));
  for (let step = 0; step < 20; step++) await null;
  const second = said(witness, log.body(5, 9));
  t.same(await Promise.all([first, second]), ['200', '409 text/x.tlog.size 5']);
  t.equal(await said(witness, log.body(5, 20)), '422 WITNESS_FEED_WRONG');
  t.equal(await said(witness, log.body(5, 9)), '200');
  t.same(vetted, [5, 9]);
  t.equal(store.latest(log.origin)?.size, 9);
  store.close();
});
