// OCSP answers in the message log: each goes in once, as a `certificate-status` entry, before the first entry that names
// it, in the same durable transaction. The answer was verified by whoever hands it in; the audit reads it again
// (audit-status.ts).
import type { NewRecord } from './record.ts';

/** A verified OCSP answer, as an entry of its own. */
export interface AnswerToLog {
  /** SHA-256 of `der`, base64url. */
  hash: string;
  der: Buffer;
  status: 'good' | 'revoked';
}

/** The id of the entry that holds the answer with this hash. */
export function statusEntryId(hash: string): string {
  return `ocsp:${hash}`;
}

const MAX_REMEMBERED = 20_000;

export class StatusAnswers {
  readonly #isLogged: (id: string) => boolean;
  readonly #logged = new Set<string>();

  /** @param isLogged whether the log holds entries of this id */
  constructor(isLogged: (id: string) => boolean) {
    this.#isLogged = isLogged;
  }

  /** What has to be appended before `record`; null when it names no answer, or one that is in the log. */
  before({ answer, peer, configurationVersion }: NewRecord): NewRecord | null {
    if (answer === undefined || answer === null || this.#logged.has(answer.hash)) return null;
    const id = statusEntryId(answer.hash);
    if (this.#logged.size >= MAX_REMEMBERED) this.#logged.clear();
    this.#logged.add(answer.hash);
    return this.#isLogged(id) ? null : statusRecord(answer, peer, configurationVersion);
  }

  /** It was not written after all. */
  forget(answer: NewRecord['answer']): void {
    if (answer) this.#logged.delete(answer.hash);
  }
}

/** The entry of an answer that no other entry names yet: one that says `revoked`, so that nothing is signed with it any more. */
export function statusRecord(answer: AnswerToLog, peer: string | null, configurationVersion: number): NewRecord {
  return {
    ...{ client: null, service: null, purpose: null, basis: null, decisionHash: null },
    ...{ kind: 'certificate-status', id: statusEntryId(answer.hash), peer, code: answer.status.toUpperCase() },
    ...{ configurationVersion, retention: 'standard', evidence: null, note: answer.der, sealed: null },
  };
}
