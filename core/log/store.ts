// The store contract of the message log. A store keeps bytes; it knows nothing of statements, keys or time. The
// message log computes every hash itself and hands the store finished rows.
//
// What a store promises:
// - One writer. Opening a log that another process writes fails with LOG_IN_USE. Readers are never stopped.
// - `append` is all or nothing, and durable when it returns: a power cut afterwards loses nothing of it.
// - `append` accepts only seq = size, size + 1, ...; rows are never updated, replaced or deleted, save what `release` lets
//   go of. Whatever the caller does wrong, the store refuses by rules of its own (triggers).
// - A StoreError of kind `full` or `busy` means: nothing of the call was kept, and a later call may succeed.
//   Kind `failed` means: nobody knows what was kept. The writer must stop; only a restart, which reads back what the
//   disk really holds, tells. A record so kept but never acknowledged is allowed, the reverse is not.
// - Reading gives back the stored bytes exactly.
import type { SubtreeReader } from '#certs/merkle.ts';
import type { StoredPage } from './stored-page.ts';

export class StoreError extends Error {
  readonly kind: 'full' | 'busy' | 'failed';

  constructor(kind: StoreError['kind'], cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = 'StoreError';
    this.kind = kind;
  }
}

/** Where a statement stands in its signed batch. A JWS that rows of one turn share is stored once. */
export interface StoredEvidence {
  statement: Buffer;
  jws: string;
  /** SHA-256 of the JWS's ASCII bytes. */
  jwsHash: Buffer;
  index: number;
  size: number;
  /** Sibling hashes from the leaf upwards, 32 bytes each, one after the other. */
  path: Buffer;
}

export interface StoredRecord {
  seq: number;
  /** The entry's exact line and SHA-256(0x00 ‖ line). */
  line: string;
  leaf: Buffer;
  exchangeId: string;
  evidence: StoredEvidence | null;
  sealed: { keyId: Buffer; bytes: Buffer } | null;
  /** (from, id) that this record uses up until the time given. The store's unique key is the last word on it. */
  claim: { from: string; id: string; untilMs: number } | null;
}

/** Root of the complete subtree of 256^level leaves. */
export interface StoredTile {
  level: number;
  index: number;
  hash: Buffer;
}

export interface StoredCheckpoint {
  number: number;
  size: number;
  atMs: number;
  note: string;
}

/** An entry about the log itself, with what it rests on. */
export interface StoredNote {
  seq: number;
  line: string;
  leaf: Buffer;
  note: Buffer;
}

/** Reading; what `accord log verify` and `show` open while the server writes. */
export interface LogReader {
  /** Origin and verifier key (text form) the log was made with; null before the first opening. */
  identity(): { origin: string; verifierKey: string } | null;
  size(): number;
  lines(fromSeq: number, limit: number): { seq: number; line: string; leaf: Buffer; exchangeId: string }[];
  /** Newest first; of more than `limit`, the newest and the oldest halves. */
  linesOf(exchangeId: string, limit: number): { seq: number; line: string; leaf: Buffer }[];
  evidence(seq: number): StoredEvidence | null;
  /** Without bytes where they lie in the archive. */
  sealed(seq: number): { keyId: Buffer; bytes: Buffer } | null;
  /** Those among the entries [fromSeq, untilSeq). */
  notes(fromSeq: number, untilSeq: number): StoredNote[];
  /** How many of the entries [fromSeq, untilSeq) of a retention class have sealed parts. */
  countSealed(fromSeq: number, untilSeq: number, retention: string): number;
  /** Hashes of complete subtrees; heights at multiples of 8 come from tiles, the rest is folded from those below. */
  subtree: SubtreeReader;
  lastCheckpoint(): StoredCheckpoint | null;
  /**
   * Of the entries before this one only line, leaf, key id and notes are kept here, the rest lies in the archive
   * (archive-sqlite.ts); 0 while there is nothing in it.
   */
  archivedUntil(): number;
  close(): void;
}

/** What a store calls a signature: its own word, which says nothing of what was signed. */
export type SignatureKey = number | Buffer;

/** A statement as stored; the JWS is asked for once per signature. */
export interface StoredPlace {
  statement: Buffer;
  /** Null for a note. */
  signature: SignatureKey | null;
  index: number;
  size: number;
  /** Null where the whole batch was appended in one turn: it follows from the members of the signature. */
  path: Buffer | null;
}

/** An entry with the evidence beside it. */
export interface StoredRow {
  seq: number;
  line: string;
  leaf: Buffer;
  exchangeId: string;
  evidence: StoredPlace | null;
}

export interface StoredSignature {
  jws: string;
  /** Between these entries, both included, stand all statements of the batch; null where they need not be there. */
  first: number | null;
  last: number | null;
}

/** A statement of a batch that is stored whole. */
export interface StoredMember {
  seq: number;
  line: string;
  index: number;
  statement: Buffer;
}

/** What is kept of a record, beside the entry and the statement it belongs to. */
export interface SealedRow {
  seq: number;
  line: string;
  statement: Buffer | null;
  keyId: Buffer;
  bytes: Buffer;
}

/** What only an audit asks; everything is of one consistent snapshot, until it is renewed. */
export interface LogAuditReader extends LogReader {
  /**
   * Goes over to a snapshot of now. A snapshot that is kept long makes the write-ahead log of a busy server grow; what was
   * read before is the same in the new one, because nothing is ever changed.
   */
  renew(): void;
  /** Entries in order, with their evidence (stored-page.ts). @throws LOG_DATABASE_DAMAGED */
  page(fromSeq: number, limit: number): StoredPage;
  /** Of the entries [from, to), those of which something is kept. */
  sealedRows(from: number, to: number): SealedRow[];
  signature(key: SignatureKey): StoredSignature | null;
  /** The statements under a signature between two entries, in order; at most one more than a batch may have. */
  members(key: SignatureKey, first: number | null, last: number | null): StoredMember[];
  tile(level: number, index: number): Buffer | null;
  /** The stored checkpoint with this number, or the next one after it. */
  checkpointFrom(number: number): StoredCheckpoint | null;
  /** The first seq that has a claim but no entry. */
  straySeq(): number | null;
  /** The entries from this one on that have a claim; null where the log holds no claims at all. */
  claimed(fromSeq: number): number[] | null;
  /** What the database's own integrity check says, null when all is well. */
  damage(): string | null;
}

/** Writing. The one instance in the world that holds the log's lock. */
export interface LogStore extends LogReader {
  setIdentity(identity: { origin: string; verifierKey: string }): void;
  append(records: readonly StoredRecord[], tiles: readonly StoredTile[]): void;
  /** The seq that used up (from, id), or null. */
  claimedBy(from: string, id: string): number | null;
  /** Forgets at most `limit` claims whose time was over at `nowMs`; returns how many. */
  purgeClaims(nowMs: number, limit: number): number;
  /** The newest record with sealed parts, and the id of their key; null when none of the newest has any. */
  lastSealed(): { seq: number; keyId: Buffer } | null;
  addCheckpoint(checkpoint: Omit<StoredCheckpoint, 'number'>): void;
  /**
   * Durably lets go of what lies beside the next entries that the entry `archived` at `entrySeq` says are in the archive,
   * some hundred at most and none from `until` on, where a turn ends. @returns `archivedUntil` as it is then
   */
  release(entrySeq: number, until: number): number;
  /** Writes durably and takes back about 64 KiB, so that a disk with room for one small row only is not called good. */
  probe(): void;
  /** Most database pages (4 KiB) the log may take; beyond it `append` is `full`. */
  limitPages(maxPages: number): void;
  /** Closes the log for good, in a form that can be read from a read-only place. */
  retire(): void;
}
