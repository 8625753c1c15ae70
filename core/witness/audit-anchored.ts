// Entries `anchored`, as the audit of a log judges them: the anchored checkpoint is this log's own, is
// signed with its key, says nothing but what the log holds, and stands in the aggregate checkpoint beside it; and its
// time-stamps, where the auditor named whose count. Whose cosignatures count, and how many it takes, is said by the version of
// the global configuration that the entry names, where the auditor brings it. Whoever held the disk controls the note.
import { Finding } from '#core/log/audit-finding.ts';
import type { KeyChain } from '#core/log/key-chain.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import type { WitnessPolicy } from './policy.ts';
import { type AnchoredTime, anchoredTimeOf } from './time-bounds.ts';
import { type AnchoringRules, anchoringState, verifyAnchoringNote } from './verify-anchoring.ts';

/** Whose word counted under one version of the global configuration. */
export interface Vouchers {
  /** Null where it named no witnesses. */
  policy: WitnessPolicy | null;
  /** Null where it named no time-stamp authorities. */
  verifyToken: AnchoringRules['verifyToken'];
}

/** By the version that an entry was judged under; undefined where that is not known. */
export type InForce = (version: number) => Vouchers | undefined;

/** What an entry `anchored` is worth. */
export interface JudgedAnchoring {
  seq: number;
  /** Of its checkpoint. */
  size: number;
  /** Cosignatures that count and how many it takes; null where the configuration is not known. */
  quorum: { good: number; needed: number; isRegistryMissing: boolean } | null;
  /** Null where tokens were not judged. */
  isStamped: boolean | null;
  time: AnchoredTime | null;
}

/** What an audit brings to judge anchorings with. */
export interface AnchoringJudge {
  /** Where the auditor named whom he trusts for time-stamps; null: those of the configuration, if that is known. */
  verifyToken: AnchoringRules['verifyToken'];
  /** Null: whose cosignatures count is not judged. */
  inForce: InForce | null;
}

const NOBODY: AnchoringJudge = { verifyToken: null, inForce: null };

export class AnchoredEntries {
  readonly #origin: string;
  readonly #chain: KeyChain;
  readonly #rootAt: (size: number) => Buffer | null;
  readonly #judge: AnchoringJudge;
  #newest = 0;
  /** What the judged entries say about time, in the log's order; only where tokens are judged. */
  readonly times: AnchoredTime[] = [];
  #judged: JudgedAnchoring[] = [];

  /** @param rootAt the log's root at a size up to the entry that is judged */
  constructor(
    origin: string,
    chain: KeyChain,
    rootAt: (size: number) => Buffer | null,
    judge: AnchoringJudge = NOBODY,
  ) {
    this.#origin = origin;
    this.#chain = chain;
    this.#rootAt = rootAt;
    this.#judge = judge;
  }

  /** In the log's order. @throws Finding */
  judge({ seq, configuration }: LogEntry, note: Buffer): void {
    const { inForce } = this.#judge;
    const vouchers = inForce?.(configuration);
    const policy = vouchers?.policy ?? null;
    const verifyToken = this.#judge.verifyToken ?? vouchers?.verifyToken ?? null;
    const verdict = verifyAnchoringNote(note, {
      origin: this.#origin,
      logKeyAt: (size) => this.#chain.at(size),
      rootAt: (size) => (size <= seq ? this.#rootAt(size) : null),
      policy,
      verifyToken,
    });
    // What is missing, a token of a revoked authority too, makes evidence less; that the log was changed it does not say.
    const found = verdict.findings.find((one) => anchoringState({ findings: [one] }) === 'wrong');
    if (found !== undefined) throw new Finding('LOG_EVIDENCE_CHANGED', seq, `its anchoring: ${found.code}`);
    const size = verdict.checkpoint?.size ?? 0;
    // A server logs what is newer, or better, than what it has: an old anchoring behind a newer one was put there.
    if (size < this.#newest) throw new Finding('LOG_EVIDENCE_CHANGED', seq, 'an anchoring older than one before it');
    this.#newest = size;
    const time = anchoredTimeOf(seq, verdict);
    if (time !== null) this.times.push(time);
    const isRegistryMissing = verdict.findings.some(({ code }) => code === 'COSIGNATURE_MISSING');
    const quorum = vouchers === undefined ? null : { ...verdict.quorum, isRegistryMissing };
    this.#judged.push({ seq, size, quorum, isStamped: verifyToken === null ? null : time !== null, time });
  }

  /** What was judged since this was asked last. */
  taken(): JudgedAnchoring[] {
    const judged = this.#judged;
    this.#judged = [];
    return judged;
  }
}
