// What an audit of a range is asked for (audit-range.ts), how far it is, and what it says in the end; both of the latter are JSON.
import { Frontier } from '#certs/merkle.ts';
import type { InForce } from '#core/witness/audit-anchored.ts';
import type { AnchoringRules } from '#core/witness/verify-anchoring.ts';
import type { ProblemCode } from '#schemas/problems.ts';
import { type BodyAudit, type BodyCounts, noBodies } from './audit-bodies.ts';
import type { VerifiedRange } from './audit-entries.ts';
import type { Finding } from './audit-finding.ts';
import { Vouched, type VouchedReport, type VouchedState } from './audit-vouched.ts';
import type { Followed, WalkOptions } from './audit-walk.ts';
import { type Heartbeat, type HeartbeatState, Heartbeats } from './heartbeats.ts';
import type { RangeSource } from './range-source.ts';
import type { StoredCheckpoint } from './store.ts';

export interface RangeOptions extends WalkOptions {
  from?: number;
  /** Up to here, this entry not included; the end of the log when it is not given. */
  to?: number;
  verifierKey?: string;
  checkpointFile?: string;
  /** Signed checkpoints of this log that others hold: of a witness, of another department. */
  seen?: readonly string[];
  /** Throws a coded error for a time-stamp that is not good for this imprint; without it they are not judged. */
  verifyToken?: AnchoringRules['verifyToken'];
  /** Who had to vouch for an anchoring, by the version of the configuration; without it that is not judged. */
  inForce?: InForce;
  /** How long what was written then could wait for an anchoring, ms; without it as long as by default. */
  graceAt?: (atMs: number) => number;
  /** Of the auditor's clock, where the log is in use: then the claims of its latest requests are looked for. */
  nowMs?: number;
  /** Opens what is kept of each record. */
  bodies?: BodyAudit;
  progress?: RangeProgress | null;
  /** Called where a checkpoint agreed, some thousand entries apart. */
  onProgress?: (progress: RangeProgress, size: number) => void;
}

interface RangeCounts {
  entries: number;
  checkpoints: number;
  bodies: BodyCounts | null;
  heartbeats: Heartbeat[];
  /** All of them; the list is cut. */
  heartbeatsMissing: number;
}

/** How far an audit is: at a checkpoint that agreed. JSON. */
export interface RangeProgress extends RangeCounts {
  v: 1;
  origin: string;
  /** As they were asked for. */
  from: number;
  to: number | null;
  signatures: boolean;
  startedAt: number;
  checkpoint: { number: number; size: number; note: string };
  lastMs: number;
  silence: HeartbeatState;
  vouched: VouchedState;
}

export interface RangeReport extends RangeCounts, VouchedReport {
  v: 1;
  /** Nothing that was read is other than it was. */
  ok: boolean;
  code: ProblemCode | null;
  /** The first of the gaps: what is there is in order, and is less than evidence takes. */
  incomplete: ProblemCode | null;
  /** The first entry that is not what it was, when the damage can be pinned to one. */
  firstBadSeq: number | null;
  detail: string;
  origin: string;
  /** Entries of the whole log when the audit began. */
  size: number;
  /** What was verified: [startedAt, endedAt). */
  startedAt: number;
  endedAt: number;
  /** Root over the entries [0, endedAt) when everything is in order, base64url. */
  root: string | null;
  /** Every signature was verified, by keys that were handed in. */
  signatures: boolean;
  /** Of the entries before this one the evidence lies in an archive, and was not looked at. */
  archivedUntil: number;
  /** How many of the latest requests have their claim; null where that was not looked at, or claims are not kept. */
  claims: number | null;
}

export class RangeState {
  readonly #options: RangeOptions;
  readonly followed: Followed = { frontier: new Frontier(), checkpoints: 0, lastMs: 0, wrongTile: null };
  readonly heartbeats: Heartbeats;
  readonly vouched: Vouched;
  readonly size: number;
  readonly #archivedUntil: number;
  origin = '';
  claims: number | null = null;
  startedAt = 0;
  endedAt = 0;
  /** Number of the checkpoint it began with, and those that were counted before. */
  base = { number: 0, counted: 0 };
  bodies: BodyCounts | null;

  constructor(log: RangeSource, options: RangeOptions) {
    const { progress } = options;
    this.#options = options;
    this.size = log.size();
    this.#archivedUntil = log.archivedUntil();
    this.vouched = new Vouched(options, progress?.vouched);
    const { silence, heartbeats, heartbeatsMissing } = progress ?? {};
    this.heartbeats = new Heartbeats(log, this.vouched.gaps, silence, heartbeats, heartbeatsMissing);
    this.bodies = options.bodies === undefined ? null : { ...noBodies(), ...progress?.bodies };
  }

  counts(): RangeCounts {
    const checkpoints = this.followed.checkpoints - this.base.number + this.base.counted;
    const { found, missing } = this.heartbeats;
    const counted = { checkpoints: Math.max(checkpoints, this.base.counted), bodies: this.bodies };
    return { entries: this.endedAt - this.startedAt, ...counted, heartbeats: found, heartbeatsMissing: missing };
  }

  /** @param checkpoint one that agreed, in this range */
  progress({ number, size, note }: StoredCheckpoint, { from: first, times }: VerifiedRange): RangeProgress {
    const { from = 0, to, signers } = this.#options;
    const { origin, startedAt, heartbeats } = this;
    const asked = { from, to: to ?? null, signatures: signers !== undefined };
    const lastMs = times[size - 1 - first] ?? 0;
    const silence = { ...heartbeats.state, newestMs: lastMs };
    const counts = structuredClone({ ...this.counts(), vouched: this.vouched.state() });
    return { v: 1, origin, ...asked, startedAt, checkpoint: { number, size, note }, lastMs, silence, ...counts };
  }

  report(finding: Finding | null): RangeReport {
    const { frontier } = this.followed;
    this.endedAt = Math.max(this.endedAt, frontier.size);
    const vouched = this.vouched.report();
    return {
      v: 1,
      ok: finding === null,
      code: finding?.code ?? null,
      incomplete: vouched.gaps[0]?.code ?? null,
      firstBadSeq: finding?.seq ?? null,
      detail: finding?.message ?? '',
      origin: this.origin,
      size: this.size,
      startedAt: this.startedAt,
      endedAt: this.endedAt,
      root: finding === null ? frontier.root().toString('base64url') : null,
      signatures: this.#options.signers !== undefined,
      archivedUntil: this.#archivedUntil,
      claims: this.claims,
      ...this.counts(),
      ...vouched,
    };
  }
}
