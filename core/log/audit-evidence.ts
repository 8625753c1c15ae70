// The evidence beside one entry, checked against it: the statement and the signature are the ones the entry's hashes
// name, the statement stands in the signed batch, and it speaks of what the entry says. Who signed, and whether they
// were allowed to, needs the global configuration: the caller's `verifyStatement` says that.
import { sha256 } from '#certs/commitment.ts';
import { ENTRY_KINDS, type LogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Batches } from './audit-batches.ts';
import type { StatementFacts } from './audit-shapes.ts';
import { NOTE_KINDS } from './record.ts';
import type { StoredPlace } from './store.ts';

/** Whether this log holds, for that exchange's id, the statement with this hash (base64url). */
export type HoldsStatement = (exchangeId: string, hash: string) => boolean;

/** Why the evidence does not fit its entry, in words for the operator; null when it does. */
export function evidenceFault(
  entry: LogEntry,
  evidence: StoredPlace | null,
  holds: HoldsStatement,
  batches: Batches,
  read: (statement: Buffer) => StatementFacts,
): string | null {
  const isOfNote = NOTE_KINDS.includes(entry.kind);
  if (entry.statement === null && isOfNote) return 'it names no note';
  if (entry.statement === null) return evidence === null ? null : 'evidence beside an entry that names none';
  if (evidence === null) return 'the evidence is missing';
  if (sha256(evidence.statement) !== entry.statement) return 'the statement is not the one the entry names';
  if (isOfNote) return noteFault(entry, evidence);
  if (entry.signature === null) return 'the signature is not the one the entry names';
  try {
    const fault = batches.fault(entry.seq, entry.signature, evidence);
    if (fault !== null) return fault;
    return statementFault(entry, read(evidence.statement), holds);
  } catch (error) {
    if (isAccordError(error)) return `the evidence is malformed (${error.code})`;
    throw error;
  }
}

/** What the note says is judged by the audit, which knows the keys. */
function noteFault(entry: LogEntry, { signature, index, size, path }: StoredPlace): string | null {
  const isAlone = entry.signature === null && size === 0 && index === 0 && path?.length === 0;
  return isAlone && signature === null ? null : 'a note stands in no batch';
}

function statementFault(entry: LogEntry, statement: StatementFacts, holds: HoldsStatement): string | null {
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
