// The evidence beside one entry, checked against it: the statement and the signature are the ones the entry's hashes
// name, the statement stands in the signed batch, and it speaks of what the entry says. Who signed, and whether they
// were allowed to, needs the global configuration: the caller's `verifyStatement` says that.
import { type BatchClaims, readBatch, standsIn } from '#certs/batch.ts';
import { sha256 } from '#certs/commitment.ts';
import { base64url } from '#schemas/base64url.ts';
import { ENTRY_KINDS, type LogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import { parseStatement, type Statement } from '#schemas/statement.ts';
import { pathOf } from './record.ts';
import type { StoredEvidence } from './store.ts';

/** Hashes (base64url) of the statements this log holds for an exchange's id. */
export type StatementsOf = (exchangeId: string) => string[];

/** Batch signatures read so far, by their hash: the statements of a batch lie close together. */
export type BatchCache = Map<string, BatchClaims>;

const MAX_CACHED_BATCHES = 256;

/** Why the evidence does not fit its entry, in words for the operator; null when it does. */
export function evidenceFault(
  entry: LogEntry,
  evidence: StoredEvidence | null,
  others: StatementsOf,
  batches: BatchCache,
): string | null {
  if (entry.statement === null) return evidence === null ? null : 'evidence beside an entry that names none';
  if (evidence === null) return 'the evidence is missing';
  if (sha256(evidence.statement) !== entry.statement) return 'the statement is not the one the entry names';
  if (entry.signature === null || base64url(evidence.jwsHash) !== entry.signature)
    return 'the signature is not the one the entry names';
  if (sha256(evidence.jws) !== entry.signature) return 'the JWS is not the one the entry names';
  try {
    const claims = cachedBatch(entry.signature, evidence.jws, batches);
    const stands =
      evidence.size === claims.size && standsIn(claims, evidence.statement, evidence.index, pathOf(evidence));
    if (!stands) return 'the statement does not stand in its signed batch';
    return statementFault(entry, parseStatement(evidence.statement), others);
  } catch (error) {
    if (isAccordError(error)) return `the evidence is malformed (${error.code})`;
    throw error;
  }
}

/** `hash` is the JWS's, which the caller has compared. */
function cachedBatch(hash: string, jws: string, batches: BatchCache): BatchClaims {
  const known = batches.get(hash);
  if (known !== undefined) return known;
  const claims = readBatch(jws);
  if (batches.size >= MAX_CACHED_BATCHES) batches.clear();
  batches.set(hash, claims);
  return claims;
}

function statementFault(entry: LogEntry, statement: Statement, others: StatementsOf): string | null {
  const kind = ENTRY_KINDS[entry.kind];
  if (kind !== null && statement.kind !== kind) return `a statement of kind ${statement.kind}`;
  if (statement.client !== entry.client) return "the statement's client is another";
  if (statement.service !== entry.service) return "the statement's service is another";
  if (statement.purpose !== entry.purpose) return "the statement's purpose is another";
  if (statement.id === entry.id) return null;
  // Answers and settlements have ids of their own and name the request they are about by its hash. Only an answer's
  // request has to be in this log: a settlement may be about a request that never arrived.
  if (statement.kind === 'request') return "the statement's id is another";
  if (statement.kind !== 'response' || others(entry.id).includes(statement.request ?? '')) return null;
  return 'the statement answers another request';
}
