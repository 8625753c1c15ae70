// What the security server hands to the message log, what it gets back, and how a record becomes the rows of the store.
// The members were verified or made by the server itself; a member out of bounds is a programmer's mistake (TypeError),
// save what LOG_ENTRY_MALFORMED in `encodeLogEntry` stops.
import type { StatementSignature } from '#certs/batch.ts';
import { sha256 } from '#certs/commitment.ts';
import { HASH_BYTES, leafHash, sha256Of } from '#certs/merkle.ts';
import { base64url } from '#schemas/base64url.ts';
import { MAX_BATCH_PATH, MAX_BATCH_STATEMENTS, MAX_SIGNATURE_BYTES, MAX_STATEMENT_BYTES } from '#schemas/limits.ts';
import { type EntryKind, encodeLogEntry, type LogEntry } from '#schemas/log-entry.ts';
import type { SealedParts } from './sealed-record.ts';
import type { AnswerToLog } from './status-answers.ts';
import type { StoredEvidence, StoredRecord } from './store.ts';

/** A statement's exact bytes and where it stands in its signed batch. */
export interface RecordEvidence {
  statement: Buffer;
  signature: StatementSignature;
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
  /** The OCSP answer the signature was judged with; it goes into the log before the first record that names it. */
  answer?: AnswerToLog | null;
  /** Retention class; the default class is `standard`. */
  retention: string;
  evidence: RecordEvidence | null;
  /** What an entry about the log itself rests on, instead of a statement (`NOTE_KINDS`): its exact bytes. */
  note?: string | Buffer;
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
  /** Read when it is first looked at, while the log is open. */
  readonly evidence: RecordEvidence | null;
}

/** A record with its place in the log; the sealed part is still to be enciphered. */
export interface DraftRecord {
  row: StoredRecord;
  parts: SealedParts | null;
  retention: string;
}

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
    ocsp: record.answer?.hash ?? null,
    configuration: record.configurationVersion,
    retention: record.retention,
  });
  const leaf = leafHash(line);
  const row = { seq, line, leaf, exchangeId: record.id, evidence, sealed: null, claim: record.claim ?? null };
  return { row, parts: record.sealed, retention: record.retention };
}

function storedEvidence({ statement, signature }: RecordEvidence): StoredEvidence {
  const { jws, index, size, path } = signature;
  const fits =
    statement.length <= MAX_STATEMENT_BYTES &&
    jws.length <= MAX_SIGNATURE_BYTES &&
    Number.isSafeInteger(index) &&
    index >= 0 &&
    index < size &&
    size <= MAX_BATCH_STATEMENTS &&
    path.length <= MAX_BATCH_PATH &&
    path.every((hash) => hash.length === HASH_BYTES);
  if (!fits) throw new TypeError('evidence of a record is out of bounds');
  return {
    statement,
    jws,
    jwsHash: hashOfJws(jws),
    index,
    size,
    path: path.length === 0 ? NOTHING : Buffer.concat(path),
  };
}

const NOTHING = Buffer.alloc(0);

// The statements of a batch are mostly appended one behind the other: its JWS is hashed once.
let lastJws = { jws: '', hash: sha256Of('') };

function hashOfJws(jws: string): Buffer {
  if (jws !== lastJws.jws) lastJws = { jws, hash: sha256Of(jws) };
  return lastJws.hash;
}

/** Kinds of entries about the log itself. Their `statement` is the hash of a note, their `signature` is null. */
export const NOTE_KINDS: readonly EntryKind[] = [
  'origin-opened',
  'key-rotated',
  'anchored',
  'certificate-status',
  'destruction-intended',
  'destruction-done',
  'hold-placed',
  'hold-lifted',
  'archived',
];

/** A note carries its own signatures, so that the places of a batch stay empty. */
function storedNote(note: string | Buffer): StoredEvidence {
  const statement = typeof note === 'string' ? Buffer.from(note, 'utf8') : note;
  return { statement, jws: '', jwsHash: Buffer.alloc(HASH_BYTES), index: 0, size: 0, path: Buffer.alloc(0) };
}

/** The evidence as it was handed in. */
export function viewEvidence(stored: StoredEvidence | null): RecordEvidence | null {
  if (stored === null) return null;
  const { statement, jws, index, size, path } = stored;
  return { statement, signature: { jws, index, size, path: pathOf(path) } };
}

/** The sibling hashes of a stored path; a length that is no multiple of 32 leaves a short last one. */
export function pathOf(path: Buffer): Buffer[] {
  const hashes: Buffer[] = [];
  for (let at = 0; at < path.length; at += HASH_BYTES) hashes.push(path.subarray(at, at + HASH_BYTES));
  return hashes;
}
