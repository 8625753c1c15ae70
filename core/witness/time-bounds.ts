// When an entry of a message log was written, as time-stamp authorities prove it (DESIGN: every entry has a lower and an
// upper bound in time). An entry before the size of an anchoring existed when its token was made: the upper bound. An entry
// `anchored` holds its tokens, so it, and every entry behind it, was written after them: the lower bound. What the entry
// itself says (`t`) is the word of the server; these bounds are not.
//
// Pure; the anchorings were verified before (verify-anchoring.ts). Used by evidence packs, the auditor's page, range audits.
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import { type AnchoringVerdict, anchoringState } from './verify-anchoring.ts';

/** What one verified entry `anchored` says about time. */
export interface AnchoredTime {
  /** Its own place in the log. */
  seq: number;
  /** Entries before this one are covered by its checkpoint. */
  size: number;
  /** Its good tokens: time and, where the authority says it, how far off that may be. */
  tokens: readonly { genTimeMs: number; accuracyMs?: number | null }[];
}

interface TimeBound {
  /** Milliseconds since the Unix epoch; the accuracy the authority states is counted in. */
  atMs: number;
  /** The entry `anchored` that proves it. */
  anchoredSeq: number;
}

export interface TimeBounds {
  /** Not written before; null when no anchoring stands before it. */
  notBefore: TimeBound | null;
  /** Not written after; null when none covers it yet. */
  notAfter: TimeBound | null;
}

/** What a judged entry `anchored` says about time; null when it is wrong or has no good token. */
export function anchoredTimeOf(seq: number, verdict: AnchoringVerdict): AnchoredTime | null {
  const { checkpoint, tokens } = verdict;
  const good = tokens.flatMap(({ genTimeMs, accuracyMs = null }) =>
    genTimeMs === null ? [] : { genTimeMs, accuracyMs },
  );
  if (checkpoint === null || good.length === 0 || anchoringState(verdict) === 'wrong') return null;
  return { seq, size: checkpoint.size, tokens: good };
}

/** Answers for every entry of one log. @param anchored in any order; those without tokens prove nothing */
export function openTimeBounds(anchored: readonly AnchoredTime[]): (seq: number) => TimeBounds {
  const proofs = anchored.flatMap(proofOf);
  // The latest lower bound among all up to a place, the earliest upper bound among all from a size on.
  const lower = best(
    proofs.map(({ seq, earliest }) => ({ at: seq, bound: { atMs: earliest, anchoredSeq: seq } })),
    (a, b) => a.atMs > b.atMs,
  );
  const upper = best(
    proofs.map(({ seq, size, latest }) => ({ at: -size, bound: { atMs: latest, anchoredSeq: seq } })),
    (a, b) => a.atMs < b.atMs,
  );
  // Covered is seq < size, that is -size <= -(seq + 1).
  return (seq) => ({ notBefore: lastAt(lower, seq), notAfter: lastAt(upper, -(seq + 1)) });
}

/** Bounds of one entry; for many of one log open them once. */
export function timeBounds(anchored: readonly AnchoredTime[], seq: number): TimeBounds {
  return openTimeBounds(anchored)(seq);
}

/**
 * What the server says of the time (`t`), held against the bounds. Servers' clocks may be five minutes off, and peers
 * refuse them when it is more. `contradictory`: the bounds exclude each other by more than that, so an authority's clock,
 * or an anchoring, is wrong.
 */
export function judgeEntryTime(
  t: number,
  { notBefore, notAfter }: TimeBounds,
): 'within' | 'too-early' | 'too-late' | 'contradictory' {
  const [from, to] = [notBefore?.atMs ?? Number.NEGATIVE_INFINITY, notAfter?.atMs ?? Number.POSITIVE_INFINITY];
  if (from > to + CLOCK_WINDOW_MS) return 'contradictory';
  if (t < from - CLOCK_WINDOW_MS) return 'too-early';
  return t > to + CLOCK_WINDOW_MS ? 'too-late' : 'within';
}

function proofOf({
  seq,
  size,
  tokens,
}: AnchoredTime): { seq: number; size: number; earliest: number; latest: number }[] {
  if (tokens.length === 0) return [];
  // All tokens were there when the entry was written, so the last of them bounds it from below; each alone proves that
  // the checkpoint existed, so the first of them bounds it from above.
  const earliest = Math.max(...tokens.map(({ genTimeMs, accuracyMs }) => genTimeMs - (accuracyMs ?? 0)));
  const latest = Math.min(...tokens.map(({ genTimeMs, accuracyMs }) => genTimeMs + (accuracyMs ?? 0)));
  return [{ seq, size, earliest, latest }];
}

interface Placed {
  at: number;
  bound: TimeBound;
}

/** Ascending by place; each holds the best bound of all up to it. */
function best(placed: Placed[], isBetter: (a: TimeBound, b: TimeBound) => boolean): Placed[] {
  const sorted = placed.toSorted((a, b) => a.at - b.at || a.bound.anchoredSeq - b.bound.anchoredSeq);
  let held: TimeBound | undefined;
  return sorted.map(({ at, bound }) => {
    if (held === undefined || isBetter(bound, held)) held = bound;
    return { at, bound: held };
  });
}

/** The last whose place is not behind `at`. */
function lastAt(placed: readonly Placed[], at: number): TimeBound | null {
  let [low, high] = [0, placed.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((placed[middle]?.at ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return placed[low - 1]?.bound ?? null;
}
