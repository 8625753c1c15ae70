// Entries `anchored`, as the audit of a log judges them with the log alone: the anchored checkpoint is this log's own, is
// signed with its key, says nothing but what the log holds, and stands in the aggregate checkpoint beside it; and its
// time-stamps, where the auditor named whose count. Whose cosignatures count is said by the global configuration: the
// caller of `verifyAnchoring` who has it judges those. Whoever held the disk controls the note.
import { Finding } from '#core/log/audit-finding.ts';
import type { KeyChain } from '#core/log/key-chain.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import { type AnchoredTime, anchoredTimeOf } from './time-bounds.ts';
import { type AnchoringRules, verifyAnchoringNote } from './verify-anchoring.ts';

export class AnchoredEntries {
  readonly #origin: string;
  readonly #chain: KeyChain;
  readonly #rootAt: (size: number) => Buffer | null;
  readonly #verifyToken: AnchoringRules['verifyToken'];
  #newest = 0;
  /** What the judged entries say about time, in the log's order; only where tokens are judged. */
  readonly times: AnchoredTime[] = [];

  /**
   * @param rootAt the log's root at a size up to the entry that is judged
   * @param verifyToken where the auditor named whom he trusts for time-stamps; null: tokens are not judged
   */
  constructor(
    origin: string,
    chain: KeyChain,
    rootAt: (size: number) => Buffer | null,
    verifyToken: AnchoringRules['verifyToken'] = null,
  ) {
    this.#origin = origin;
    this.#chain = chain;
    this.#rootAt = rootAt;
    this.#verifyToken = verifyToken;
  }

  /** In the log's order. @throws Finding */
  judge({ seq }: LogEntry, note: Buffer): void {
    const verdict = verifyAnchoringNote(note, {
      origin: this.#origin,
      logKeyAt: (size) => this.#chain.at(size),
      rootAt: (size) => (size <= seq ? this.#rootAt(size) : null),
      policy: null,
      verifyToken: this.#verifyToken,
    });
    // A token of a revoked authority bounds nothing in time; that the log was changed it does not say.
    const found = verdict.findings.find(({ code }) => code !== 'TOKEN_MISSING' && code !== 'TOKEN_REVOKED');
    if (found !== undefined) throw new Finding('LOG_EVIDENCE_CHANGED', seq, `its anchoring: ${found.code}`);
    const size = verdict.checkpoint?.size ?? 0;
    // A server logs what is newer, or better, than what it has: an old anchoring behind a newer one was put there.
    if (size < this.#newest) throw new Finding('LOG_EVIDENCE_CHANGED', seq, 'an anchoring older than one before it');
    this.#newest = size;
    const time = anchoredTimeOf(seq, verdict);
    if (time !== null) this.times.push(time);
  }
}
