// The Merkle tree of RFC 9162 section 2.1: tree hash, inclusion proofs (2.1.3), consistency proofs (2.1.4), and the
// compact frontier a writer keeps (one hash per complete subtree). Pure. Proofs that are verified here may come from
// anyone; their length is bounded by the sizes they are for.
//
// A subtree of height h and index i is the complete one over the leaves [i·2^h, (i+1)·2^h).
import { createHash, hash as hashOnce } from 'node:crypto';

export const HASH_BYTES = 32;
/** Heights that are kept: 256 leaves to a tile, as in C2SP tlog-tiles. */
export const TILE_HEIGHT = 8;
export const TILE_WIDTH = 2 ** TILE_HEIGHT;

const LEAF_PREFIX = Buffer.from([0]);
const NODE_PREFIX = Buffer.from([1]);

/** The root of the tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Buffer = createHash('sha256').digest();

/** SHA-256. One call without a stream object, and a string of bytes back: three times as fast for inputs this small. */
export function sha256Of(input: Uint8Array | string): Buffer {
  return Buffer.from(hashOnce('sha256', input, 'binary'), 'latin1');
}

/** SHA-256(0x00 ‖ bytes); a string is taken as UTF-8. */
export function leafHash(bytes: Uint8Array | string): Buffer {
  return sha256Of(typeof bytes === 'string' ? `\0${bytes}` : Buffer.concat([LEAF_PREFIX, bytes]));
}

// Filled anew by every call; hashing is synchronous.
const node = Buffer.alloc(1 + 2 * HASH_BYTES, NODE_PREFIX);

/** SHA-256(0x01 ‖ left ‖ right) */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  // A hash that came from a disk may have any length.
  if (left.length !== HASH_BYTES || right.length !== HASH_BYTES) {
    return sha256Of(Buffer.concat([NODE_PREFIX, left, right]));
  }
  node.set(left, 1);
  node.set(right, 1 + HASH_BYTES);
  return sha256Of(node);
}

/** SHA-256 as 32 Latin-1 characters: where millions are compared and folded, an object for each would cost more than it. */
export function sha256Text(input: Uint8Array): string {
  return hashOnce('sha256', input, 'binary');
}

// Both are filled anew by every call. The prefix of a node stands before a word, so that its children are copied as words.
const WORDS = HASH_BYTES / Int32Array.BYTES_PER_ELEMENT;
const pair = Buffer.from(new ArrayBuffer(4 + 2 * HASH_BYTES)).fill(NODE_PREFIX, 0, 4);
const [pairWords, prefixedPair] = [new Int32Array(pair.buffer, 4), pair.subarray(3)];
const level = Buffer.from(new ArrayBuffer(TILE_WIDTH * HASH_BYTES));
const levelWords = new Int32Array(level.buffer);

/** The tree hash over 1 to TILE_WIDTH leaf hashes that lie one after the other; a lone last node is promoted unchanged. */
export function rootOfLeaves(leaves: Uint8Array): Buffer {
  let width = leaves.length / HASH_BYTES;
  if (!(Number.isInteger(width) && width >= 1 && width <= TILE_WIDTH)) throw new TypeError('not 1 to 256 whole hashes');
  level.set(leaves);
  for (; width > 1; width = (width + 1) >>> 1) {
    for (let i = 0; i + 1 < width; i += 2) {
      for (let k = 0, from = i * WORDS; k < 2 * WORDS; k++, from++) pairWords[k] = levelWords[from] as number;
      level.write(sha256Text(prefixedPair), (i / 2) * HASH_BYTES, HASH_BYTES, 'latin1');
    }
    if (width % 2 === 1) levelWords.copyWithin(((width - 1) / 2) * WORDS, (width - 1) * WORDS, width * WORDS);
  }
  return Buffer.from(level.subarray(0, HASH_BYTES));
}

/** Hash of the complete subtree of this height and index. */
export type SubtreeReader = (height: number, index: number) => Buffer;

/** The hash over a power of two of neighbouring subtree hashes. */
export function foldHashes(hashes: readonly Buffer[]): Buffer {
  let level = hashes;
  while (level.length > 1) {
    const above: Buffer[] = [];
    for (let i = 0; i + 1 < level.length; i += 2) above.push(nodeHash(at(level, i), at(level, i + 1)));
    level = above;
  }
  return at(level, 0);
}

/** The complete subtrees whose hashes make up a tree of `size` leaves, largest (leftmost) first. */
function subtreesOf(size: number): { height: number; index: number }[] {
  const parts: { height: number; index: number }[] = [];
  let from = 0;
  for (let height = 52; height >= 0; height--) {
    const width = 2 ** height;
    if (size - from < width) continue;
    parts.push({ height, index: from / width });
    from += width;
  }
  return parts;
}

/** The frontier: enough to append and to know the root, log2(size) hashes. Cheap to copy, so a batch works on a copy. */
export class Frontier {
  #size: number;
  readonly #hashes: Buffer[];

  constructor(size = 0, hashes: readonly Buffer[] = []) {
    this.#size = size;
    this.#hashes = [...hashes];
  }

  /** The frontier of the first `size` leaves of a stored tree. */
  static at(size: number, subtree: SubtreeReader): Frontier {
    return new Frontier(
      size,
      subtreesOf(size).map(({ height, index }) => subtree(height, index)),
    );
  }

  get size(): number {
    return this.#size;
  }

  copy(): Frontier {
    return new Frontier(this.#size, this.#hashes);
  }

  /** Appends a leaf; `completed` hears of every tile root (height 8, 16, ...) that this leaf completes. */
  push(leaf: Buffer, completed?: (height: number, index: number, hash: Buffer) => void): void {
    let hash = leaf;
    let height = 0;
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) {
      hash = nodeHash(this.#hashes.pop() as Buffer, hash);
      height++;
      if (height % TILE_HEIGHT === 0) completed?.(height, (rest - 1) / 2, hash);
    }
    this.#hashes.push(hash);
    this.#size++;
  }

  /** Appends TILE_WIDTH leaves at once, of which this is the tree hash, where a tile begins; `completed` as in `push`. */
  pushTile(tile: Buffer, completed?: (height: number, index: number, hash: Buffer) => void): void {
    if (this.#size % TILE_WIDTH !== 0) throw new TypeError('no tile begins here');
    let hash = tile;
    let height = TILE_HEIGHT;
    let rest = this.#size / TILE_WIDTH;
    completed?.(height, rest, hash);
    for (; rest % 2 === 1; rest = (rest - 1) / 2) {
      hash = nodeHash(this.#hashes.pop() as Buffer, hash);
      height++;
      if (height % TILE_HEIGHT === 0) completed?.(height, (rest - 1) / 2, hash);
    }
    this.#hashes.push(hash);
    this.#size += TILE_WIDTH;
  }

  root(): Buffer {
    let hash: Buffer | undefined;
    for (let i = this.#hashes.length - 1; i >= 0; i--) {
      const left = at(this.#hashes, i);
      hash = hash === undefined ? left : nodeHash(left, hash);
    }
    return hash ?? EMPTY_ROOT;
  }
}

/** Hash of the leaves [from, to), which starts where a subtree of its rounded-up size may start. */
function rangeHash(from: number, to: number, subtree: SubtreeReader): Buffer {
  const size = to - from;
  const k = splitPoint(size);
  if (k * 2 === size || size === 1) return subtree(Math.log2(size), from / size);
  return nodeHash(subtree(Math.log2(k), from / k), rangeHash(from + k, to, subtree));
}

/** The largest power of two smaller than `size` (RFC 9162 section 2.1.1); 1 for sizes 1 and 2. */
function splitPoint(size: number): number {
  let k = 1;
  while (k * 2 < size) k *= 2;
  return k;
}

/** RFC 9162 section 2.1.3.1: PATH(index, D_size), from the leaf upwards. @throws RangeError */
export function inclusionProof(index: number, size: number, subtree: SubtreeReader): Buffer[] {
  if (!(Number.isSafeInteger(index) && Number.isSafeInteger(size) && index >= 0 && index < size)) {
    throw new RangeError(`no leaf ${index} in a tree of ${size}`);
  }
  const path: Buffer[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + splitPoint(to - from);
    if (index < middle) {
      path.push(rangeHash(middle, to, subtree));
      to = middle;
    } else {
      path.push(rangeHash(from, middle, subtree));
      from = middle;
    }
  }
  return path.reverse();
}

/** RFC 9162 section 2.1.4.1: PROOF(first, D_second). Empty when either is 0 or they are equal. @throws RangeError */
export function consistencyProof(first: number, second: number, subtree: SubtreeReader): Buffer[] {
  if (!(Number.isSafeInteger(first) && Number.isSafeInteger(second) && first >= 0 && first <= second)) {
    throw new RangeError(`no consistency proof from ${first} to ${second}`);
  }
  if (first === 0 || first === second) return [];
  const proof: Buffer[] = [];
  let [from, to] = [0, second];
  let whole = true;
  while (to !== first) {
    const middle = from + splitPoint(to - from);
    if (first <= middle) {
      proof.push(rangeHash(middle, to, subtree));
      to = middle;
    } else {
      proof.push(rangeHash(from, middle, subtree));
      from = middle;
      whole = false;
    }
  }
  if (!whole) proof.push(rangeHash(from, to, subtree));
  return proof.reverse();
}

/** RFC 9162 section 2.1.3.2: true when `leaf` (a leaf hash) stands at `index` of the tree of `size` with this root. */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!(Number.isSafeInteger(index) && Number.isSafeInteger(size) && index >= 0 && index < size)) return false;
  let [fn, sn] = [index, size - 1];
  let hash = leaf;
  for (const sibling of path) {
    if (sn === 0 || sibling.length !== HASH_BYTES) return false;
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(sibling, hash);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && Buffer.compare(hash, root) === 0;
}

/** RFC 9162 section 2.1.4.2: true when the tree of `second` leaves begins with the tree of `first`. */
export function verifyConsistency(
  first: number,
  second: number,
  firstRoot: Uint8Array,
  secondRoot: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  if (!(Number.isSafeInteger(first) && Number.isSafeInteger(second) && first >= 0 && first <= second)) return false;
  if (proof.some((hash) => hash.length !== HASH_BYTES)) return false;
  if (first === second) return proof.length === 0 && Buffer.compare(firstRoot, secondRoot) === 0;
  if (first === 0) return proof.length === 0 && Buffer.compare(firstRoot, EMPTY_ROOT) === 0;
  const path = Number.isInteger(Math.log2(first)) ? [firstRoot, ...proof] : proof;
  let [fn, sn] = [first - 1, second - 1];
  while (fn % 2 === 1) [fn, sn] = [half(fn), half(sn)];
  const start = path[0];
  if (start === undefined) return false;
  let [fr, sr] = [start, start];
  for (const hash of path.slice(1)) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(hash, fr);
      sr = nodeHash(hash, sr);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      sr = nodeHash(sr, hash);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && Buffer.compare(fr, firstRoot) === 0 && Buffer.compare(sr, secondRoot) === 0;
}

/** One bit to the right; sizes may pass 2^31, where >> would not do. */
function half(n: number): number {
  return Math.floor(n / 2);
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`no hash at ${index}`);
  return item;
}

/**
 * Verifies inclusion of many leaves of one tree. What one proof has shown of the tree need not be hashed again for the
 * next: once a node's children are known, they are compared. Every proof is still held against the root in full.
 */
export class InclusionChecker {
  readonly #size: number;
  readonly #root: Uint8Array;
  /** Nodes proved so far, per level from the leaves. */
  readonly #known: Map<number, Uint8Array>[] = [];

  constructor(size: number, root: Uint8Array) {
    this.#size = size;
    this.#root = root;
  }

  /** Same answer as `verifyInclusion` for this size and root. */
  verify(leaf: Uint8Array, index: number, path: readonly Uint8Array[]): boolean {
    if (!(Number.isSafeInteger(index) && index >= 0 && index < this.#size)) return false;
    if (path.some((sibling) => sibling.length !== HASH_BYTES) || leaf.length !== HASH_BYTES) return false;
    const shown: [level: number, at: number, hash: Uint8Array][] = [];
    let [hash, at, last, used]: [Uint8Array | null, number, number, number] = [leaf, index, this.#size - 1, 0];
    for (let level = 0; last > 0; level++) {
      const known = this.#known[level]?.get(at);
      // A known node was proved: below it this proof is right, above it only the siblings are left to compare.
      if (known !== undefined && hash !== null) {
        if (Buffer.compare(known, hash) !== 0) return false;
        hash = null;
      } else if (hash !== null) shown.push([level, at, hash]);
      const isPromoted = at === last && at % 2 === 0;
      if (!isPromoted) {
        const sibling = path[used++];
        if (sibling === undefined) return false;
        const beside = at % 2 === 0 ? at + 1 : at - 1;
        const knownBeside = this.#known[level]?.get(beside);
        if (knownBeside === undefined) {
          if (hash === null) return false;
          shown.push([level, beside, sibling]);
        } else if (Buffer.compare(knownBeside, sibling) !== 0) return false;
        if (hash !== null) hash = at % 2 === 0 ? nodeHash(hash, sibling) : nodeHash(sibling, hash);
      }
      [at, last] = [half(at), half(last)];
    }
    if (used !== path.length || (hash !== null && Buffer.compare(hash, this.#root) !== 0)) return false;
    for (const [level, place, proved] of shown) this.#at(level).set(place, proved);
    return true;
  }

  #at(level: number): Map<number, Uint8Array> {
    let known = this.#known[level];
    if (known === undefined) this.#known[level] = known = new Map();
    return known;
  }
}
