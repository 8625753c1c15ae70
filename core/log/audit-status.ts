// OCSP answers as an audit finds them in a log: each `certificate-status` entry holds an answer that can be read and is
// named by its hash, and says the code that its entry bears; and what an entry names in `ocsp` stands in the log before it.
// Whether the answer's signer was allowed to speak needs the global configuration: whoever has it asks certs/ocsp.ts.
// Whoever held the disk controls all of it.
import { sha256 } from '#certs/commitment.ts';
import { readOcspResponse } from '#certs/ocsp-response.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import { Finding } from './audit-finding.ts';
import { statusEntryId } from './status-answers.ts';

export class StatusEntries {
  /** Answers that stood in the log before the entry that is judged. */
  readonly #answers = new Set<string>();

  /** @throws Finding */
  judge({ seq, id, code }: LogEntry, note: Uint8Array): void {
    const hash = sha256(note);
    if (id !== statusEntryId(hash)) throw changed(seq, 'an OCSP answer of another hash');
    const statuses = statusesOf(note);
    if (statuses === null) throw changed(seq, 'its note is no OCSP answer');
    if (!statuses.includes(code ?? '')) throw changed(seq, 'the OCSP answer says something else');
    this.#answers.add(hash);
  }

  /** @param seq of the entry that names the answer. @throws Finding */
  named(seq: number, hash: string): void {
    if (!this.#answers.has(hash)) throw changed(seq, 'it names an OCSP answer that is not in the log before it');
  }
}

function changed(seq: number, detail: string): Finding {
  return new Finding('LOG_EVIDENCE_CHANGED', seq, detail);
}

/** What the answer says of the certificates it is about; null when it cannot be read. */
function statusesOf(note: Uint8Array): string[] | null {
  try {
    const answer = readOcspResponse(note);
    if ('refused' in answer) return null;
    return answer.answers.map(({ status }) => (typeof status === 'object' ? 'REVOKED' : status.toUpperCase()));
  } catch (error) {
    if (isAccordError(error, 'DER_INVALID')) return null;
    throw error;
  }
}
