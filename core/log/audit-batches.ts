// The signed batches an audit meets. Each JWS is read, and its signature verified, once, because the statements of a batch
// lie close together. Where a batch is stored whole, its statements come without paths: the tree is built from all of them
// when the last has been judged, so that a changed statement is found in its place. Whoever held the disk controls all of it.
import type { KeyObject } from 'node:crypto';
import { type BatchClaims, batchHolds, readBatch, statementLeaf, verifyBatch } from '#certs/batch.ts';
import { sha256 } from '#certs/commitment.ts';
import { importSpki } from '#certs/keys.ts';
import { HASH_BYTES, InclusionChecker, rootOfLeaves } from '#certs/merkle.ts';
import { parseLogEntry } from '#schemas/log-entry.ts';
import { isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { Finding } from './audit-finding.ts';
import { pathOf } from './record.ts';
import type { LogAuditReader, SignatureKey, StoredMember, StoredPlace } from './store.ts';

const MAX_CACHED_BATCHES = 256;
const NOT_IN_BATCH = 'the statement does not stand in its signed batch';

/** Says who signed: null, or the code of what is wrong. */
export type VerifySigner = (claims: BatchClaims) => ProblemCode | null;

/** Public keys (SPKI, DER) of those who may have signed, by the SHA-256 of their certificate (base64url); for threads. */
export type SignerKeys = ReadonlyMap<string, Uint8Array>;

/** Without keys nothing is said of who signed. */
export function signerAmong(keys: SignerKeys | undefined): VerifySigner {
  const opened = new Map<string, KeyObject>();
  return (claims) => {
    if (keys === undefined) return null;
    const bytes = keys.get(claims.certificateHash);
    if (bytes === undefined) return 'CERTIFICATE_NOT_REGISTERED';
    const key = opened.get(claims.certificateHash) ?? importSpki(bytes);
    opened.set(claims.certificateHash, key);
    return verifyBatch(claims, key) ? null : 'SIGNATURE_WRONG';
  };
}

interface KnownBatch {
  /** base64url SHA-256 of the JWS, ASCII. */
  hash: Buffer;
  claims: BatchClaims;
  checker: InclusionChecker;
  signer: ProblemCode | null;
  key: SignatureKey;
  first: number | null;
  last: number | null;
  /** Of a batch that is stored whole: leaves of the statements judged so far, where they go, and where the first stands. */
  leaves: Leaves;
  judged: number;
  from: number;
}

/** Leaf hashes, one after the other, and which of them are there. */
class Leaves {
  readonly #hashes: Buffer;
  readonly #isThere: Uint8Array;
  #isBeyond = false;

  constructor(size: number) {
    this.#hashes = Buffer.allocUnsafe(size * HASH_BYTES);
    this.#isThere = new Uint8Array(size);
  }

  /** @param leaf 32 Latin-1 characters */
  set(index: number, leaf: string): void {
    if (!(index >= 0 && index < this.#isThere.length)) {
      this.#isBeyond = true;
      return;
    }
    this.#hashes.write(leaf, index * HASH_BYTES, HASH_BYTES, 'latin1');
    this.#isThere[index] = 1;
  }

  has(index: number, leaf: string): boolean {
    return this.#hashes.toString('latin1', index * HASH_BYTES, (index + 1) * HASH_BYTES) === leaf;
  }

  /** Whether they are all there and no others, and their tree has this root. */
  isTree(root: Buffer): boolean {
    return !this.#isBeyond && !this.#isThere.includes(0) && rootOfLeaves(this.#hashes).equals(root);
  }
}

/** Where a statement is said to stand. */
interface Place {
  seq: number;
  index: number;
  size: number;
  /** Null where it follows from the other members. */
  path: Buffer | null;
}

export class Batches {
  readonly #log: Pick<LogAuditReader, 'signature' | 'members' | 'size'>;
  readonly #signer: VerifySigner;
  readonly #known = new Map<number | string, KnownBatch>();
  #last: KnownBatch | null = null;
  /** Whole batches whose last statement was not met yet. */
  readonly #open = new Set<KnownBatch>();

  constructor(log: Pick<LogAuditReader, 'signature' | 'members' | 'size'>, signer: VerifySigner) {
    this.#log = log;
    this.#signer = signer;
  }

  /** Why the statement does not stand in the batch the entry names, in words; null when it does, or will turn out to. */
  fault(seq: number, named: string, place: StoredPlace): string | null {
    if (place.signature === null) return 'the signature is not the one the entry names';
    const batch = this.#batch(place.signature);
    if (batch.hash.toString('latin1') !== named) return 'the signature is not the one the entry names';
    if (batch.signer !== null) throw new Finding(batch.signer, seq, 'the signature of the statement');
    const { statement, index, size, path } = place;
    const leaf = statementLeaf(statement).toString('latin1');
    return this.#holds(batch, { seq, index, size, path }, leaf) ? null : NOT_IN_BATCH;
  }

  /**
   * Whether `fault` would find nothing, so far.
   * @param names bytes that hold the hash of the signature which the entry names, at `namedAt`
   * @param leaf of the statement, 32 Latin-1 characters
   * @throws as `fault`
   */
  stands(key: SignatureKey, names: Uint8Array, namedAt: number, place: Place, leaf: string): boolean {
    const batch = this.#batch(key);
    const { hash, signer } = batch;
    for (let i = 0; i < hash.length; i++) if (names[namedAt + i] !== hash[i]) return false;
    if (signer !== null) throw new Finding(signer, place.seq, 'the signature of the statement');
    return this.#holds(batch, place, leaf);
  }

  #holds(batch: KnownBatch, { seq, index, size, path }: Place, leaf: string): boolean {
    if (size !== batch.claims.size) return false;
    if (path === null) return this.#isMember(batch, seq, index, leaf);
    if (size === 1 && index === 0 && path.length === 0) return leaf === batch.claims.root.toString('latin1');
    return batchHolds(batch.checker, Buffer.from(leaf, 'latin1'), index, pathOf(path));
  }

  /**
   * Judges the batches that a range of entries cut off, with the statements beyond it.
   * @param to where the range ended. @throws Finding
   */
  finish(to: number): void {
    for (const batch of this.#open) this.#complete(batch, to);
    this.#open.clear();
    this.#known.clear();
    this.#last = null;
  }

  /** @throws JWS_*, BATCH_MALFORMED, JSON_* */
  #batch(key: SignatureKey): KnownBatch {
    if (this.#last !== null && this.#last.key === key) return this.#last;
    const name = typeof key === 'number' ? key : Buffer.from(key).toString('latin1');
    let batch = this.#known.get(name);
    if (batch === undefined) {
      batch = this.#read(key);
      if (this.#known.size >= MAX_CACHED_BATCHES) this.#forget();
      this.#known.set(name, batch);
    }
    this.#last = batch;
    return batch;
  }

  #read(key: SignatureKey): KnownBatch {
    const { jws, first, last } = this.#log.signature(key) ?? { jws: '', first: null, last: null };
    const claims = readBatch(jws);
    return {
      hash: Buffer.from(sha256(jws), 'latin1'),
      claims,
      checker: new InclusionChecker(claims.size, claims.root),
      signer: this.#signer(claims),
      key,
      first,
      last,
      leaves: new Leaves(claims.size),
      judged: 0,
      from: -1,
    };
  }

  /** Forgets all batches but those of which statements are still to come. */
  #forget(): void {
    for (const [name, batch] of this.#known) if (!this.#open.has(batch)) this.#known.delete(name);
  }

  #isMember(batch: KnownBatch, seq: number, index: number, leaf: string): boolean {
    const { claims, first, last, leaves } = batch;
    const isWhole = first !== null && last !== null && first <= seq && seq <= last;
    if (!isWhole && batch.judged > 0) throw new Finding('LOG_EVIDENCE_CHANGED', batch.from, NOT_IN_BATCH);
    if (!isWhole || !(index >= 0 && index < claims.size)) return false;
    // The tree was held against the root: a statement more is in it, or is none of this batch.
    if (batch.judged >= claims.size) return leaves.has(index, leaf);
    if (batch.judged === 0) {
      batch.from = seq;
      this.#open.add(batch);
    }
    batch.judged++;
    leaves.set(index, leaf);
    if (batch.judged === claims.size) this.#complete(batch, seq + 1);
    return true;
  }

  /** Holds the root against all statements of the batch; those outside [from, to) are read now. */
  #complete(batch: KnownBatch, to: number): void {
    const { claims, leaves, first, last, from, key } = batch;
    this.#open.delete(batch);
    const others = batch.judged < claims.size ? this.#log.members(key, first, last) : [];
    for (const one of others) {
      if (one.seq < from || one.seq >= to) leaves.set(one.index, leafOf(one));
    }
    const isExact = first === (others[0]?.seq ?? from) && last === (others.at(-1)?.seq ?? to - 1);
    if (isExact && leaves.isTree(claims.root)) return;
    const members = this.#log.members(key, first, last);
    if (members.length < claims.size && (last ?? 0) >= this.#log.size()) {
      throw new Finding('LOG_TRUNCATED', this.#log.size(), 'what was appended with it is missing');
    }
    const seq = culprit(members, batch) ?? Math.min(from, members[0]?.seq ?? from);
    throw new Finding('LOG_EVIDENCE_CHANGED', seq, NOT_IN_BATCH);
  }
}

function leafOf({ statement }: StoredMember): string {
  return statementLeaf(statement).toString('latin1');
}

/** Which statement of a whole batch is wrong; null when it cannot be pinned to one. */
function culprit(members: readonly StoredMember[], { claims, hash }: KnownBatch): number | null {
  const changed = members.find(({ line, statement }) => !names(line, sha256(statement), hash.toString('latin1')));
  if (changed !== undefined) return changed.seq;
  // All are the right ones, so that one claims another's place. It is found by putting it where nobody is.
  const taken = new Set(members.map(({ index }) => index));
  const free = Array.from({ length: claims.size }, (_, index) => index).find((index) => !taken.has(index));
  if (free === undefined || members.length !== claims.size) return null;
  for (const one of members) {
    const leaves = new Leaves(claims.size);
    for (const other of members) leaves.set(other === one ? free : other.index, leafOf(other));
    if (leaves.isTree(claims.root)) return one.seq;
  }
  return null;
}

function names(line: string, statement: string, signature: string): boolean {
  try {
    const entry = parseLogEntry(line);
    return entry.statement === statement && entry.signature === signature;
  } catch (error) {
    if (isAccordError(error)) return false;
    throw error;
  }
}
