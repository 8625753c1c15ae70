// Hashes of the statements an audit has just passed, by exchange: an answer mostly stands not far behind its request. What
// is not found here is looked up in the log. Only ids of 36 characters (UUID) are kept; each has two places, and the second
// that comes to them drives out the first.

const ID_BYTES = 36;
const HASH_BYTES = 43;
const SLOT_BYTES = ID_BYTES + HASH_BYTES;
/** Pairs at most; a power of two. */
const PAIRS = 16_384;

export class RecentStatements {
  readonly #pairs: number;
  readonly #slots: Uint8Array;
  /** Of each pair the one that is written next. */
  readonly #next: Uint8Array;

  /** @param entries so many may come; a short log takes little */
  constructor(entries: number) {
    this.#pairs = 2 ** Math.min(Math.log2(PAIRS), Math.ceil(Math.log2(Math.max(1, entries / 2))));
    this.#slots = new Uint8Array(2 * this.#pairs * SLOT_BYTES);
    this.#next = new Uint8Array(this.#pairs);
  }

  /**
   * @param ids bytes that hold the exchange's id at `idAt`
   * @param hash base64url
   */
  add(ids: Uint8Array, idAt: number, idLength: number, hash: string): void {
    if (idLength !== ID_BYTES || hash.length !== HASH_BYTES) return;
    const pair = this.#pairOf(ids, idAt);
    const which = this.#next[pair] as number;
    this.#next[pair] = 1 - which;
    const slot = (2 * pair + which) * SLOT_BYTES;
    for (let i = 0; i < ID_BYTES; i++) this.#slots[slot + i] = ids[idAt + i] as number;
    for (let i = 0; i < HASH_BYTES; i++) this.#slots[slot + ID_BYTES + i] = hash.charCodeAt(i);
  }

  /** @param hashes bytes that hold the hash, base64url, at `hashAt` */
  has(ids: Uint8Array, idAt: number, idLength: number, hashes: Uint8Array, hashAt: number): boolean {
    if (idLength !== ID_BYTES) return false;
    const pair = 2 * this.#pairOf(ids, idAt) * SLOT_BYTES;
    return this.#isIn(pair, ids, idAt, hashes, hashAt) || this.#isIn(pair + SLOT_BYTES, ids, idAt, hashes, hashAt);
  }

  #isIn(slot: number, ids: Uint8Array, idAt: number, hashes: Uint8Array, hashAt: number): boolean {
    for (let i = 0; i < ID_BYTES; i++) if (this.#slots[slot + i] !== ids[idAt + i]) return false;
    for (let i = 0; i < HASH_BYTES; i++) if (this.#slots[slot + ID_BYTES + i] !== hashes[hashAt + i]) return false;
    return true;
  }

  /** The last characters of a UUID are the random ones. */
  #pairOf(ids: Uint8Array, at: number): number {
    let mixed = 0;
    for (let i = ID_BYTES - 8; i < ID_BYTES; i++) mixed = (Math.imul(mixed, 31) + (ids[at + i] as number)) | 0;
    return (mixed ^ (mixed >>> 15)) & (this.#pairs - 1);
  }
}
