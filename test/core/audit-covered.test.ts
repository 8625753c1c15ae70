// How far anchorings cover a log as an audit goes along: what waits, what is made up for, and that it does not matter where
// the audit was cut into ranges.
import t from 'tap';
import { Covered } from '#core/log/audit-covered.ts';
import { Gaps } from '#core/log/audit-gaps.ts';
import { Vouched } from '#core/log/audit-vouched.ts';
import type { JudgedAnchoring } from '#core/witness/audit-anchored.ts';

const HOUR_MS = 3_600_000;
const START_MS = 1_790_000_000_000;

/** Entries an hour apart, of which these are anchorings: [seq, size, whether it meets the quorum]. */
function covered(
  size: number,
  anchorings: [number, number, boolean | null][],
  width: number,
  { everyMs = HOUR_MS, graceAt = (_: number) => 4 * HOUR_MS } = {},
) {
  const judged = anchorings.map(([seq, of, isMet]): JudgedAnchoring => {
    const quorum = isMet === null ? null : { good: isMet ? 2 : 1, needed: 2, isRegistryMissing: false };
    const genTimeMs = START_MS + (of - 1) * everyMs;
    return { seq, size: of, quorum, isStamped: true, time: { seq, size: of, tokens: [{ genTimeMs }] } };
  });
  let vouched = new Vouched({ inForce: () => undefined });
  for (let from = 0; from < size; from += width) {
    const to = Math.min(size, from + width);
    const times = Float64Array.from({ length: to - from }, (_, i) => START_MS + (from + i) * everyMs);
    const range = { from, to, leaves: new Uint8Array(), times, firstMs: times[0]!, lastMs: times.at(-1)!, own: [] };
    vouched.follow(
      { ...range, finding: null },
      { from, to },
      judged.filter(({ seq }) => seq >= from && seq < to),
    );
    vouched = new Vouched({ inForce: () => undefined, graceAt }, structuredClone(vouched.state()));
  }
  vouched.finish(START_MS + (size - 1) * everyMs);
  const { quorum, gaps: all } = vouched.report();
  const gaps = all.filter(({ code }) => code !== 'TIME_STAMP_MISSING');
  return [
    quorum?.met,
    quorum?.below,
    quorum?.unknown,
    quorum?.coveredUntil,
    ...gaps.map(({ code, seq }) => `${code} ${seq}`),
  ];
}

t.test('what waits for the quorum, and what a later anchoring makes up for', async (t) => {
  const cases: [string, number, [number, number, boolean | null][], unknown[]][] = [
    ['never anchored', 10, [], [0, 0, 0, 0, 'QUORUM_MISSING 0']],
    ['young enough', 5, [], [0, 0, 0, 0]],
    ['covered', 10, [[8, 8, true]], [1, 0, 0, 8]],
    ['below at the end', 10, [[8, 8, false]], [0, 1, 0, 0, 'QUORUM_MISSING 8']],
    [
      'made up for',
      10,
      [
        [4, 4, false],
        [8, 8, true],
      ],
      [1, 1, 0, 8],
    ],
    [
      'and then not again',
      12,
      [
        [4, 4, true],
        [5, 5, false],
        [9, 9, false],
      ],
      [1, 2, 0, 4, 'QUORUM_MISSING 5'],
    ],
    ['covered, and long silent', 20, [[8, 8, true]], [1, 0, 0, 8, 'QUORUM_MISSING 9']],
    [
      'nothing but anchorings since',
      10,
      [
        [7, 7, true],
        [8, 7, true],
        [9, 7, true],
      ],
      [3, 0, 0, 7],
    ],
    ['of a configuration nobody kept', 10, [[8, 8, null]], [0, 0, 1, 0, 'QUORUM_MISSING 8']],
    ['covering less than there was', 20, [[12, 8, true]], [1, 0, 0, 8, 'QUORUM_MISSING 8']],
  ];
  for (const [name, size, anchorings, expected] of cases) {
    for (const width of [1, 3, size]) t.same(covered(size, anchorings, width), expected, `${name}, ${width} at a time`);
    // The grace is that of the day on which the entry was written.
    const graceAt = (atMs: number) => (atMs > START_MS ? 20 * HOUR_MS : HOUR_MS);
    t.same(covered(3, [], 3, { graceAt }).slice(4), ['QUORUM_MISSING 0']);
    t.same(covered(12, [[2, 1, true]], 3, { graceAt }).slice(4), []);
  }
  t.same(new Covered('QUORUM_MISSING', () => ({ state: 'met', detail: '' })).state.met, 0, 'nothing is shared');
  t.same(new Gaps().state(), { found: [], count: 0 });
});
