// The evidence beside one entry, checked against it: the statement and the signature are the ones the entry's hashes
// name, the statement stands in the signed batch, and it speaks of what the entry says. Who signed, and whether they
// were allowed to, needs the global configuration: the caller's `verifyStatement` says that.
import { batchMembers, readBatch } from '#certs/batch.ts';
import { sha256 } from '#certs/commitment.ts';
import { HASH_BYTES } from '#certs/merkle.ts';
import { base64url } from '#schemas/base64url.ts';
import { ENTRY_KINDS, type LogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import { parseStatement, type Statement } from '#schemas/statement.ts';
import { NOTE_KINDS, pathOf } from './record.ts';
import type { StoredEvidence } from './store.ts';

/** Whether this log holds, for that exchange's id, the statement with this hash (base64url). */
export type HoldsStatement = (exchangeId: string, hash: string) => boolean;

type StoredPlace = Omit<StoredEvidence, 'jws'>;

interface KnownBatch {
  size: number;
  holds: ReturnType<typeof batchMembers>;
}

const MAX_CACHED_BATCHES = 256;

/** The batch signatures an audit meets: each is read once, because the statements of a batch lie close together. */
export class Batches {
  readonly #jws: (hash: Buffer) => string;
  readonly #known = new Map<string, KnownBatch>();

  constructor(jws: (hash: Buffer) => string) {
    this.#jws = jws;
  }

  /** The batch whose JWS has this hash; null when the stored JWS has another. @throws JWS_*, BATCH_MALFORMED, JSON_* */
  under(hash: string, stored: Buffer): KnownBatch | null {
    const known = this.#known.get(hash);
    if (known !== undefined) return known;
    const jws = this.#jws(stored);
    if (sha256(jws) !== hash) return null;
    const claims = readBatch(jws);
    const batch = { size: claims.size, holds: batchMembers(claims) };
    if (this.#known.size >= MAX_CACHED_BATCHES) this.#known.clear();
    this.#known.set(hash, batch);
    return batch;
  }
}

/** Why the evidence does not fit its entry, in words for the operator; null when it does. */
export function evidenceFault(
  entry: LogEntry,
  evidence: StoredPlace | null,
  holds: HoldsStatement,
  batches: Batches,
): string | null {
  const isOfNote = NOTE_KINDS.includes(entry.kind);
  if (entry.statement === null && isOfNote) return 'it names no note';
  if (entry.statement === null) return evidence === null ? null : 'evidence beside an entry that names none';
  if (evidence === null) return 'the evidence is missing';
  if (sha256(evidence.statement) !== entry.statement) return 'the statement is not the one the entry names';
  if (isOfNote) return noteFault(entry, evidence);
  if (entry.signature === null || base64url(evidence.jwsHash) !== entry.signature)
    return 'the signature is not the one the entry names';
  try {
    const batch = batches.under(entry.signature, evidence.jwsHash);
    if (batch === null) return 'the JWS is not the one the entry names';
    const { statement, index, size } = evidence;
    const stands = size === batch.size && batch.holds(statement, index, pathOf(evidence));
    if (!stands) return 'the statement does not stand in its signed batch';
    return statementFault(entry, parseStatement(statement), holds);
  } catch (error) {
    if (isAccordError(error)) return `the evidence is malformed (${error.code})`;
    throw error;
  }
}

/** What the note says is judged by the audit, which knows the keys. */
function noteFault(entry: LogEntry, { jwsHash, index, size, path }: StoredPlace): string | null {
  const isAlone = entry.signature === null && size === 0 && index === 0 && path.length === 0;
  return isAlone && jwsHash.equals(Buffer.alloc(HASH_BYTES)) ? null : 'a note stands in no batch';
}

function statementFault(entry: LogEntry, statement: Statement, holds: HoldsStatement): string | null {
  const kind = ENTRY_KINDS[entry.kind];
  if (kind !== null && statement.kind !== kind) return `a statement of kind ${statement.kind}`;
  if (statement.client !== entry.client) return "the statement's client is another";
  if (statement.service !== entry.service) return "the statement's service is another";
  if (statement.purpose !== entry.purpose) return "the statement's purpose is another";
  if (statement.id === entry.id) return null;
  // Answers and settlements have ids of their own and name the request they are about by its hash. Only an answer's
  // request has to be in this log: a settlement may be about a request that never arrived.
  if (statement.kind === 'request') return "the statement's id is another";
  if (statement.kind !== 'response' || holds(entry.id, statement.request ?? '')) return null;
  return 'the statement answers another request';
}
