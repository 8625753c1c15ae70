// What others say of a log, as an audit of it goes along: how far witnesses and time-stamp authorities cover it
// (audit-covered.ts), and whether the times of its entries fit what authorities attest. Times in entries are the server's own
// word; a clock that was wrong is no change of the log, so that it is named, with its place, and the audit goes on.
import type { InForce, JudgedAnchoring } from '#core/witness/audit-anchored.ts';
import type { AnchoringRules } from '#core/witness/verify-anchoring.ts';
import { CLOCK_WINDOW_MS, DEFAULT_GRACE_MS } from '#schemas/limits.ts';
import { Covered, type CoveredState } from './audit-covered.ts';
import type { VerifiedRange } from './audit-entries.ts';
import { Gaps, type GapsState, timeText } from './audit-gaps.ts';

/** Entries whose times are remembered: an anchoring covers what was written a minute before. A power of two. */
const REMEMBERED = 2 ** 17;

/** JSON. */
export interface VouchedState {
  quorum: CoveredState | null;
  timeStamps: CoveredState | null;
  gaps: GapsState;
}

/** How many anchorings have what is asked for, and up to which entry they cover the log. */
interface CoveredReport {
  met: number;
  below: number;
  unknown: number;
  coveredUntil: number;
}

export interface VouchedReport {
  /** Null: it was not judged who cosigned. */
  quorum: CoveredReport | null;
  /** Null: no time-stamp was judged. */
  timeStamps: CoveredReport | null;
  /** What is less than it should be, or at odds, without a sign that the log was changed; at most 1,000. */
  gaps: GapsState['found'];
  gapsFound: number;
}

interface VouchedOptions {
  inForce?: InForce;
  verifyToken?: AnchoringRules['verifyToken'];
  graceAt?: (atMs: number) => number;
}

export class Vouched {
  readonly #quorum: Covered | null;
  readonly #timeStamps: Covered | null;
  readonly #graceAt: (atMs: number) => number;
  readonly gaps: Gaps;
  readonly #times = new Float64Array(REMEMBERED);
  readonly #seqs = new Float64Array(REMEMBERED).fill(-1);

  constructor({ inForce, verifyToken, graceAt }: VouchedOptions, state?: VouchedState) {
    this.gaps = new Gaps(state?.gaps);
    this.#graceAt = graceAt ?? (() => DEFAULT_GRACE_MS);
    this.#quorum = inForce === undefined ? null : new Covered('QUORUM_MISSING', quorumOf, state?.quorum ?? undefined);
    const isStamped = inForce !== undefined || verifyToken != null;
    this.#timeStamps = isStamped ? new Covered('TIME_STAMP_MISSING', stampOf, state?.timeStamps ?? undefined) : null;
  }

  state(): VouchedState {
    const gaps = this.gaps.state();
    return { quorum: this.#quorum?.state ?? null, timeStamps: this.#timeStamps?.state ?? null, gaps };
  }

  /** Takes the entries [from, to) of a range that was followed, and the anchorings among them. */
  follow(range: VerifiedRange, part: { from: number; to: number }, judged: readonly JudgedAnchoring[]): void {
    for (let seq = part.from; seq < part.to; seq++) {
      this.#seqs[seq % REMEMBERED] = seq;
      this.#times[seq % REMEMBERED] = range.times[seq - range.from] ?? 0;
    }
    this.#quorum?.follow(range, part, judged);
    this.#timeStamps?.follow(range, part, judged);
    for (const one of judged) if (one.seq >= part.from && one.seq < part.to) this.#judgeTime(one);
  }

  finish(lastMs: number): void {
    for (const one of [this.#quorum, this.#timeStamps]) one?.finish(lastMs, this.#graceAt, this.gaps);
  }

  report(): VouchedReport {
    const { found, count } = this.gaps.state();
    return { quorum: reportOf(this.#quorum), timeStamps: reportOf(this.#timeStamps), gaps: found, gapsFound: count };
  }

  /** Times never go back in a log: the last entry under a token, and the one that holds it, stand for all. */
  #judgeTime({ seq, size, time }: JudgedAnchoring): void {
    if (time === null) return;
    const latest = Math.min(...time.tokens.map(({ genTimeMs, accuracyMs }) => genTimeMs + (accuracyMs ?? 0)));
    const earliest = Math.max(...time.tokens.map(({ genTimeMs, accuracyMs }) => genTimeMs - (accuracyMs ?? 0)));
    const [covered, own] = [this.#timeOf(size - 1), this.#timeOf(seq)];
    if (covered !== null && covered > latest + CLOCK_WINDOW_MS) {
      this.gaps.add('LOG_TIME_WRONG', size - 1, `written at ${timeText(covered)}, time-stamped at ${timeText(latest)}`);
    }
    if (own !== null && own < earliest - CLOCK_WINDOW_MS) {
      this.gaps.add('LOG_TIME_WRONG', seq, `written at ${timeText(own)}, its time-stamp is of ${timeText(earliest)}`);
    }
  }

  #timeOf(seq: number): number | null {
    return this.#seqs[seq % REMEMBERED] === seq ? (this.#times[seq % REMEMBERED] ?? null) : null;
  }
}

function quorumOf({ quorum }: JudgedAnchoring): { state: 'met' | 'below' | 'unknown'; detail: string } {
  if (quorum === null) return { state: 'unknown', detail: 'the configuration it names was not kept' };
  const { good, needed, isRegistryMissing } = quorum;
  // Nobody beside the department: then nobody but the department says what its log was.
  if (needed === 0) return { state: 'below', detail: 'the configuration demands no witness' };
  if (isRegistryMissing) return { state: 'below', detail: "without the registry's witness" };
  return { state: good >= needed ? 'met' : 'below', detail: `${good} of ${needed} witnesses` };
}

function stampOf({ isStamped }: JudgedAnchoring): { state: 'met' | 'below' | 'unknown'; detail: string } {
  if (isStamped === null) return { state: 'unknown', detail: 'no authority is known for it' };
  return { state: isStamped ? 'met' : 'below', detail: 'without a good time-stamp' };
}

function reportOf(covered: Covered | null): CoveredReport | null {
  if (covered === null) return null;
  const { met, below, unknown, coveredUntil } = covered.state;
  return { met, below, unknown, coveredUntil };
}
