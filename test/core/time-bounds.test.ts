// Lower and upper bounds in time of the entries of a log: against the definition, for all entries of random logs, and that
// they hold the true time of every entry while authorities keep to the accuracy they state.
import fc from 'fast-check';
import t from 'tap';
import {
  type AnchoredTime,
  anchoredTimeOf,
  judgeEntryTime,
  openTimeBounds,
  type TimeBounds,
  timeBounds,
} from '#core/witness/time-bounds.ts';
import type { AnchoringVerdict } from '#core/witness/verify-anchoring.ts';

const MINUTE = 60_000;
const token = (genTimeMs: number, accuracyMs: number | null = null) => ({ genTimeMs, accuracyMs });

t.test('a table', async (t) => {
  const log: AnchoredTime[] = [
    { seq: 5, size: 4, tokens: [token(1_000)] },
    { seq: 9, size: 8, tokens: [] },
    { seq: 12, size: 10, tokens: [token(2_000, 100), token(1_900, 10)] },
  ];
  const rows: [number, [number, number] | null, [number, number] | null][] = [
    [0, null, [1_000, 5]],
    [3, null, [1_000, 5]],
    [4, null, [1_910, 12]],
    [5, [1_000, 5], [1_910, 12]],
    [9, [1_000, 5], [1_910, 12]],
    [10, [1_000, 5], null],
    [12, [1_900, 12], null],
    [999, [1_900, 12], null],
  ];
  for (const [seq, lower, upper] of rows) {
    const bound = (of: [number, number] | null) => of && { atMs: of[0], anchoredSeq: of[1] };
    t.same(timeBounds(log, seq), { notBefore: bound(lower), notAfter: bound(upper) }, `entry ${seq}`);
  }
  t.same(timeBounds([], 0), { notBefore: null, notAfter: null });
});

t.test('from a judged anchoring', async (t) => {
  const verdict = (change: Partial<AnchoringVerdict> = {}): AnchoringVerdict => ({
    checkpoint: { origin: 'accord/x', size: 7, root: Buffer.alloc(32) },
    aggregate: null,
    cosignatures: [],
    quorum: { needed: 0, good: 0 },
    tokens: [
      { over: 'checkpoint', genTimeMs: 5, accuracyMs: 1 },
      { over: 'checkpoint', genTimeMs: null },
    ],
    existedAtMs: 5,
    findings: [],
    ...change,
  });
  t.same(anchoredTimeOf(9, verdict()), { seq: 9, size: 7, tokens: [{ genTimeMs: 5, accuracyMs: 1 }] });
  t.ok(
    anchoredTimeOf(9, verdict({ findings: [{ code: 'AGGREGATE_MISSING', detail: '' }] })),
    'what is missing proves all the same',
  );
  t.equal(anchoredTimeOf(9, verdict({ findings: [{ code: 'TOKEN_WRONG', detail: '' }] })), null);
  t.equal(anchoredTimeOf(9, verdict({ tokens: [] })), null);
  t.equal(anchoredTimeOf(9, verdict({ checkpoint: null })), null);
});

t.test('what the server says, held against them', async (t) => {
  const between = (from: number | null, to: number | null): TimeBounds => ({
    notBefore: from === null ? null : { atMs: from, anchoredSeq: 0 },
    notAfter: to === null ? null : { atMs: to, anchoredSeq: 1 },
  });
  const hour = 60 * MINUTE;
  const rows: [number, TimeBounds, string][] = [
    [hour, between(null, null), 'within'],
    [hour, between(hour + 5 * MINUTE, null), 'within'],
    [hour, between(hour + 5 * MINUTE + 1, null), 'too-early'],
    [hour, between(null, hour - 5 * MINUTE), 'within'],
    [hour, between(null, hour - 5 * MINUTE - 1), 'too-late'],
    [hour, between(hour + MINUTE, hour - MINUTE), 'within'],
    [hour, between(2 * hour, hour), 'contradictory'],
  ];
  for (const [at, bounds, wanted] of rows) t.equal(judgeEntryTime(at, bounds), wanted);
});

t.test('law: the same as the definition, and never wrong about the true time', async () => {
  const step = fc.record({
    waitMs: fc.integer({ min: 0, max: 1_000 }),
    anchors: fc.boolean(),
    lagMs: fc.integer({ min: 0, max: 500 }),
    off: fc.array(fc.integer({ min: -50, max: 50 }), { maxLength: 3 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const written: number[] = [];
      const log: AnchoredTime[] = [];
      let nowMs = 1_000_000;
      for (const { waitMs, anchors, lagMs, off } of steps) {
        nowMs += waitMs;
        if (anchors) {
          const size = written.length;
          const stampedMs = nowMs;
          nowMs += lagMs;
          const tokens = off.map((one) => token(stampedMs + one, 50));
          log.push({ seq: written.length, size, tokens });
        }
        written.push(nowMs);
      }
      const at = openTimeBounds(log);
      return written.every((trueMs, seq) => {
        const { notBefore, notAfter } = at(seq);
        const lower = log.filter((one) => one.seq <= seq && one.tokens.length > 0);
        const upper = log.filter((one) => one.size > seq && one.tokens.length > 0);
        const expectLower = lower.map(({ tokens }) => Math.max(...tokens.map((one) => one.genTimeMs - 50)));
        const expectUpper = upper.map(({ tokens }) => Math.min(...tokens.map((one) => one.genTimeMs + 50)));
        return (
          (notBefore?.atMs ?? null) === (lower.length === 0 ? null : Math.max(...expectLower)) &&
          (notAfter?.atMs ?? null) === (upper.length === 0 ? null : Math.min(...expectUpper)) &&
          (notBefore === null || notBefore.atMs <= trueMs) &&
          (notAfter === null || notAfter.atMs >= trueMs)
        );
      });
    }),
  );
});
