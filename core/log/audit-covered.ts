// How far others vouch for a log, as an audit of it goes along (audit-range.ts): how many anchorings meet the quorum, or have a
// good time-stamp, up to which entry they reach, and what waits for one. An anchoring that falls short is made up for
// by a later one, because every checkpoint covers all before it; entries that wait longer than a server may are a gap.
// Pure; anchorings were judged before (core/witness/audit-anchored.ts).
import type { JudgedAnchoring } from '#core/witness/audit-anchored.ts';
import type { ProblemCode } from '#schemas/problems.ts';
import type { VerifiedRange } from './audit-entries.ts';
import type { Gaps } from './audit-gaps.ts';

/** Anchorings between a checkpoint and the anchoring of it: few. */
const MAX_REMEMBERED = 256;

interface Waiting {
  seq: number;
  atMs: number;
}

/** JSON. */
export interface CoveredState {
  met: number;
  below: number;
  /** Anchorings of which it could not be judged: the configuration they name was not kept. */
  unknown: number;
  /** Entries before this one are covered. */
  coveredUntil: number;
  /** The first entry that is not. */
  waiting: Waiting | null;
  /** The first anchoring since the last that met it which did not. */
  short: { seq: number; detail: string } | null;
  /** Entries `anchored`, which need no anchoring themselves: the newest. */
  anchored: number[];
}

const NONE: CoveredState = {
  ...{ met: 0, below: 0, unknown: 0, coveredUntil: 0, waiting: null, short: null },
  anchored: [],
};

export class Covered {
  readonly #code: ProblemCode;
  readonly #verdictOf: (one: JudgedAnchoring) => { state: 'met' | 'below' | 'unknown'; detail: string };
  readonly state: CoveredState;
  readonly #anchored: Set<number>;

  constructor(
    code: ProblemCode,
    verdictOf: (one: JudgedAnchoring) => { state: 'met' | 'below' | 'unknown'; detail: string },
    state: CoveredState = NONE,
  ) {
    this.#code = code;
    this.#verdictOf = verdictOf;
    this.state = { ...state };
    this.#anchored = new Set(state.anchored);
  }

  /** Takes the entries [from, to) of a range, and its anchorings in their order. */
  follow(range: VerifiedRange, { from, to }: { from: number; to: number }, judged: readonly JudgedAnchoring[]): void {
    const { state } = this;
    let at = from;
    for (const one of judged) {
      if (one.seq < from || one.seq >= to) continue;
      this.#wait(range, at, one.seq);
      this.#remember(one.seq);
      const { state: verdict, detail } = this.#verdictOf(one);
      state[verdict]++;
      if (verdict !== 'met') state.short ??= { seq: one.seq, detail };
      else {
        state.short = null;
        state.coveredUntil = Math.max(state.coveredUntil, one.size);
        const isCovered = state.waiting !== null && state.waiting.seq < state.coveredUntil;
        if (isCovered) state.waiting = null;
        if (isCovered) this.#wait(range, state.coveredUntil, one.seq);
      }
      at = one.seq + 1;
    }
    this.#wait(range, at, to);
    state.anchored = [...this.#anchored];
  }

  /** @param lastMs when the last entry was written @param graceAt how long what was written then may wait */
  finish(lastMs: number, graceAt: (atMs: number) => number, gaps: Gaps): void {
    const { waiting, short } = this.state;
    if (short !== null) gaps.add(this.#code, short.seq, short.detail);
    else if (waiting !== null && lastMs - waiting.atMs > graceAt(waiting.atMs)) {
      gaps.add(this.#code, waiting.seq, 'and no later anchoring covers this entry');
    }
  }

  /** The first of these entries that is no anchoring; when it was written is never said to be earlier than it was. */
  #wait({ from, to, times, firstMs }: VerifiedRange, first: number, end: number): void {
    const { state } = this;
    if (state.waiting !== null) return;
    let seq = Math.max(first, state.coveredUntil);
    while (seq < end && this.#anchored.has(seq)) seq++;
    if (seq >= end) return;
    state.waiting = { seq, atMs: seq >= from && seq < to ? (times[seq - from] ?? firstMs) : firstMs };
  }

  #remember(seq: number): void {
    this.#anchored.add(seq);
    const [oldest] = this.#anchored;
    if (this.#anchored.size > MAX_REMEMBERED && oldest !== undefined) this.#anchored.delete(oldest);
  }
}
