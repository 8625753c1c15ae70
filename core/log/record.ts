// What the security server hands to the message log, what it gets back, and how a record becomes the rows of the store.
// The members were verified or made by the server itself; a member out of bounds is a programmer's mistake (TypeError),
// save what LOG_ENTRY_MALFORMED in `encodeLogEntry` stops.
import { sha256 } from '#certs/commitment.ts';
import { HASH_BYTES, leafHash } from '#certs/merkle.ts';
import { base64url, fromBase64url } from '#schemas/base64url.ts';
import { MAX_BATCH_PATH, MAX_BATCH_STATEMENTS, MAX_SIGNATURE_BYTES, MAX_STATEMENT_BYTES } from '#schemas/limits.ts';
import { type EntryKind, encodeLogEntry, type LogEntry } from '#schemas/log-entry.ts';
import type { SealedParts } from './sealed-record.ts';
import type { StoredEvidence, StoredRecord } from './store.ts';

/** A statement's exact bytes and where it stands in its signed batch; `path` holds base64url hashes, leaf upwards. */
export interface RecordEvidence {
  statement: Buffer;
  signature: { jws: string; index: number; size: number; path: string[] };
}

export interface NewRecord {
  kind: EntryKind;
  /** The exchange's id: its request's id. */
  id: string;
  peer: string | null;
  client: string | null;
  service: string | null;
  purpose: string | null;
  basis: string | null;
  /** Outcome or decision code. */
  code: string | null;
  decisionHash: string | null;
  configurationVersion: number;
  /** SHA-256 (base64url) of the OCSP answer the signature was judged with. */
  ocspHash?: string | null;
  /** Retention class; the default class is `standard`. */
  retention: string;
  evidence: RecordEvidence | null;
  /** The signed note that an entry about the log itself rests on, instead of a statement (`NOTE_KINDS`). */
  note?: string;
  /** What may be erased later: encrypted at rest under a key of its own. */
  sealed: SealedParts | null;
  /** Uses up (from, id) until then, in the same durable transaction. */
  claim?: { from: string; id: string; untilMs: number };
}

export interface RecordView {
  seq: number;
  /** base64url */
  leafHash: string;
  /** The exact line. */
  line: string;
  entry: LogEntry;
  evidence: RecordEvidence | null;
}

/** A record with its place in the log; the sealed part is still to be enciphered. */
export type DraftRecord = Omit<StoredRecord, 'sealed'> & { parts: SealedParts | null; retention: string };

/** @throws TypeError, LOG_ENTRY_MALFORMED */
export function draftRecord(record: NewRecord, seq: number, atMs: number): DraftRecord {
  const isOfNote = record.note !== undefined;
  if (isOfNote !== NOTE_KINDS.includes(record.kind)) throw new TypeError(`a note, or none, with ${record.kind}`);
  const evidence = isOfNote
    ? storedNote(record.note ?? '')
    : record.evidence === null
      ? null
      : storedEvidence(record.evidence);
  const line = encodeLogEntry({
    seq,
    t: atMs,
    kind: record.kind,
    id: record.id,
    peer: record.peer,
    client: record.client,
    service: record.service,
    purpose: record.purpose,
    basis: record.basis,
    code: record.code,
    decisionHash: record.decisionHash,
    statement: evidence === null ? null : sha256(evidence.statement),
    signature: evidence === null || isOfNote ? null : base64url(evidence.jwsHash),
    ocsp: record.ocspHash ?? null,
    configuration: record.configurationVersion,
    retention: record.retention,
  });
  return {
    seq,
    line,
    leaf: leafHash(line),
    exchangeId: record.id,
    evidence,
    claim: record.claim ?? null,
    parts: record.sealed,
    retention: record.retention,
  };
}

function storedEvidence({ statement, signature }: RecordEvidence): StoredEvidence {
  const { jws, index, size, path } = signature;
  const hashes = path.map(fromBase64url);
  const fits =
    statement.length <= MAX_STATEMENT_BYTES &&
    jws.length <= MAX_SIGNATURE_BYTES &&
    Number.isSafeInteger(index) &&
    index >= 0 &&
    index < size &&
    size <= MAX_BATCH_STATEMENTS &&
    hashes.length <= MAX_BATCH_PATH &&
    hashes.every((hash) => hash.length === HASH_BYTES);
  if (!fits) throw new TypeError('evidence of a record is out of bounds');
  const jwsHash = fromBase64url(sha256(jws));
  return { statement, jws, jwsHash, index, size, path: Buffer.concat(hashes) };
}

/** Kinds of entries about the log itself. Their `statement` is the hash of a signed note, their `signature` is null. */
export const NOTE_KINDS: readonly EntryKind[] = ['origin-opened', 'key-rotated'];

/** A note carries its own signatures, so that the places of a batch stay empty. */
function storedNote(note: string): StoredEvidence {
  const statement = Buffer.from(note, 'utf8');
  return { statement, jws: '', jwsHash: Buffer.alloc(HASH_BYTES), index: 0, size: 0, path: Buffer.alloc(0) };
}

/** The evidence as it was handed in. */
export function viewEvidence(stored: StoredEvidence | null): RecordEvidence | null {
  if (stored === null) return null;
  const { jws, index, size } = stored;
  return { statement: stored.statement, signature: { jws, index, size, path: pathOf(stored).map(base64url) } };
}

/** The sibling hashes of a stored path; a length that is no multiple of 32 leaves a short last one. */
export function pathOf(stored: Pick<StoredEvidence, 'path'>): Buffer[] {
  const hashes: Buffer[] = [];
  for (let at = 0; at < stored.path.length; at += HASH_BYTES) hashes.push(stored.path.subarray(at, at + HASH_BYTES));
  return hashes;
}
