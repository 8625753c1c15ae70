// The Merkle tree of RFC 9162 section 2.1: tree hash, inclusion proofs (2.1.3), consistency proofs (2.1.4), and the
// compact frontier a writer keeps (one hash per complete subtree). Pure. Proofs that are verified here may come from
// anyone; their length is bounded by the sizes they are for.
//
// A subtree of height h and index i is the complete one over the leaves [i·2^h, (i+1)·2^h).
import { createHash } from 'node:crypto';

export const HASH_BYTES = 32;
/** Heights that are kept: 256 leaves to a tile, as in C2SP tlog-tiles. */
export const TILE_HEIGHT = 8;
export const TILE_WIDTH = 2 ** TILE_HEIGHT;

const LEAF_PREFIX = Buffer.from([0]);
const NODE_PREFIX = Buffer.from([1]);

/** The root of the tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Buffer = createHash('sha256').digest();

/** SHA-256(0x00 ‖ bytes) */
export function leafHash(bytes: Uint8Array | string): Buffer {
  return createHash('sha256').update(LEAF_PREFIX).update(bytes).digest();
}

/** SHA-256(0x01 ‖ left ‖ right) */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return createHash('sha256').update(NODE_PREFIX).update(left).update(right).digest();
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
