// An archive as an audit reads a log (core/log/range-source.ts): segments are fetched, deciphered and read one after the
// other, a few at a time, and nothing is restored. Where the archive itself is at fault, reading stops at the first entry that
// is concerned, so that everything before it is judged. Whoever holds the archive controls every byte; keys are the auditor's.
import type { ArchiveKey } from '#certs/archive-cipher.ts';
import { Frontier, foldHashes, HASH_BYTES, leafHash, TILE_HEIGHT, TILE_WIDTH } from '#certs/merkle.ts';
import { FetchFailed, type Finding } from '#core/log/audit-finding.ts';
import { KeyChain } from '#core/log/key-chain.ts';
import type { Ahead, RangeSource } from '#core/log/range-source.ts';
import { openNote, parseCheckpointText, parseNote, parseVerifierKey } from '#core/log/signed-note.ts';
import type { SealedRow, SignatureKey, StoredCheckpoint, StoredMember, StoredNote } from '#core/log/store.ts';
import type { StoredPage } from '#core/log/stored-page.ts';
import { parseAnchoring } from '#schemas/anchoring.ts';
import { parseManifest } from '#schemas/archive.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { idIn } from './archived-page.ts';
import { ARCHIVED_ID } from './audit-archived.ts';
import type { ArchiveDestination } from './destination.ts';
import { EarlierEntries, likelyFor } from './earlier-entries.ts';
import { type Line, OpenSegment } from './open-segment.ts';
import { readableSegment, readTiles } from './read-segment.ts';
import type { ArchivedRow } from './rows.ts';
import type { Segments } from './segments.ts';

/** What a segment's own number of a signature is below. */
const SIGNATURES = 2 ** 32;
const MAX_EDGES = 64;
const NO_PAGE: StoredPage = { bytes: Buffer.alloc(0), count: 0, places: new Float64Array(0), signatures: [] };

export class ArchiveSource implements RangeSource {
  readonly #destination: ArchiveDestination;
  readonly #key: ArchiveKey;
  readonly #segments: Segments;
  readonly #isBeside: boolean;
  #fault: Finding | null;
  readonly #open = new Map<number, OpenSegment>();
  /** Of segments that are not open: by segment and id, requests; and what entries of the log about itself rest on. */
  readonly #requests = new Map<number, Map<string, Line[]>>();
  readonly #earlier: EarlierEntries;
  readonly #tiles = new Map<string, Buffer>();
  readonly #tilesOf = new Set<number>();
  /** Leaves at the right edge of a tree, by the entry that their tile begins with. */
  readonly #edges = new Map<number, Buffer[]>();
  readonly ahead: Ahead = {
    entries: (from, to) => this.#entries(from, to),
    own: (entries, start, isKnown) => this.#own(entries, start, isKnown),
    checkpoint: (number) => this.#checkpoint(number),
    checkpointBefore: (size) => this.#checkpointBefore(size),
    frontier: (size) => this.#frontier(size),
    chain: (size) => this.#chain(size),
  };

  /** @param isBeside what stands elsewhere is asked of the log at hand */
  constructor(destination: ArchiveDestination, key: ArchiveKey, segments: Segments, { isBeside = false } = {}) {
    this.#isBeside = isBeside;
    this.#destination = { ...destination, get: (name, maxBytes) => destination.get(name, maxBytes).catch(failed) };
    this.#key = key;
    this.#segments = segments;
    this.#fault = segments.fault;
    this.#earlier = new EarlierEntries(segments.chain, (number, look) => this.#lookInto(number, look));
  }

  identity(): { origin: string; verifierKey: string } {
    const { origin, verifierKey } = this.#segments;
    return { origin, verifierKey };
  }

  /** Where something is missing or damaged there are more entries than can be read. */
  size(): number {
    const fault = this.#segments.fault?.seq ?? -1;
    return Math.max(this.#segments.chain.at(-1)?.to ?? 0, fault + 1, fault < 0 ? 0 : this.#segments.end);
  }

  archivedUntil(): number {
    return 0;
  }

  straySeq(): null {
    return null;
  }

  damage(): null {
    return null;
  }

  /** @throws Finding at the first entry that cannot be read */
  page(fromSeq: number, limit: number): StoredPage {
    const fault = this.#fault;
    if (fault?.seq != null && fromSeq >= fault.seq) throw fault;
    const number = this.#numberOf(fromSeq);
    if (number < 0) return NO_PAGE;
    const to = Math.min(fromSeq + limit, fault?.seq ?? Number.POSITIVE_INFINITY);
    return this.#at(number).page(fromSeq, to, (signature) => -1 - number * SIGNATURES - signature);
  }

  sealedRows(from: number, to: number): SealedRow[] {
    return this.#inOrder().flatMap((segment) => segment.sealedRows(from, to));
  }

  signature(key: SignatureKey) {
    const [number, signature] = placeOfKey(key);
    return this.#open.get(number)?.signature(signature) ?? null;
  }

  members(key: SignatureKey, first: number | null, last: number | null): StoredMember[] {
    const [number, signature] = placeOfKey(key);
    return this.#open.get(number)?.members(signature, first, last) ?? [];
  }

  linesOf(exchangeId: string, limit: number): Line[] {
    const here = this.#inOrder()
      .reverse()
      .flatMap((segment) => segment.linesOf(exchangeId));
    const requests = [...this.#requests.values()].flatMap((found) => found.get(exchangeId) ?? []);
    const all = [...here, ...requests, ...this.#earlier.linesOf(exchangeId)];
    const seen = new Map(all.map((line) => [line.seq, line]));
    return [...seen.values()].sort((a, b) => b.seq - a.seq).slice(0, limit);
  }

  evidence(seq: number): { statement: Buffer } | null {
    const statement = this.#earlier.row(seq)?.note ?? this.#row(seq)?.statement ?? null;
    return statement === null ? null : { statement };
  }

  sealed(seq: number): object | null {
    return this.#earlier.row(seq)?.keyId ?? this.#row(seq)?.keyId ?? null;
  }

  /** Of what is open, or was asked for, the one entry. */
  lines(fromSeq: number, _limit: number) {
    const found = this.#earlier.row(fromSeq)?.line ?? this.#row(fromSeq)?.line;
    if (found === undefined) return [];
    const line = typeof found === 'string' ? found : found.toString('utf8');
    return [{ seq: fromSeq, line, leaf: leafHash(line), exchangeId: idIn(Buffer.from(line)) }];
  }

  notes(fromSeq: number, untilSeq: number): StoredNote[] {
    return this.#earlier.notes(fromSeq, untilSeq);
  }

  tile(level: number, index: number): Buffer | null {
    return this.#tiles.get(`${level}/${index}`) ?? null;
  }

  /** Of what `ahead.frontier` was asked for. */
  subtree = (height: number, index: number): Buffer => {
    const level = Math.floor(height / TILE_HEIGHT);
    const count = 2 ** (height - level * TILE_HEIGHT);
    const edge = this.#edges.get(index * count - ((index * count) % TILE_WIDTH));
    const hashes = Array.from({ length: count }, (_, i) =>
      level === 0 ? edge?.[(index * count + i) % TILE_WIDTH] : this.tile(level, index * count + i),
    );
    if (hashes.some((hash) => hash == null)) throw new AccordError('ARCHIVE_DAMAGED', `no subtree ${height}/${index}`);
    return foldHashes(hashes as Buffer[]);
  };

  /** At the ends of segments: their checkpoints are signed, and compared where they are passed. */
  rootAt(size: number): Buffer | null {
    const found = this.#segments.chain.find(({ to }) => to === size);
    return found === undefined ? null : Buffer.from(found.root, 'base64url');
  }

  lastCheckpoint(): null {
    return null;
  }

  checkpointFrom(number: number): StoredCheckpoint | null {
    const at = this.#segments.chain.findIndex(({ checkpoints: { from, to } }) => number >= from && number < to);
    if (at < 0) return null;
    return this.#at(at).checkpoint(number);
  }

  #inOrder(): OpenSegment[] {
    return [...this.#open].sort(([a], [b]) => a - b).map(([, segment]) => segment);
  }

  #row(seq: number): ArchivedRow | undefined {
    return this.#open.get(this.#numberOf(seq))?.row(seq);
  }

  #numberOf(seq: number): number {
    const { chain } = this.#segments;
    let [low, high] = [0, chain.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((chain[middle]?.to ?? 0) <= seq) low = middle + 1;
      else high = middle;
    }
    return low < chain.length ? low : -1;
  }

  #at(number: number): OpenSegment {
    const segment = this.#open.get(number);
    if (segment === undefined) throw new TypeError(`segment ${number} was not asked for`);
    return segment;
  }

  async #load(number: number): Promise<OpenSegment> {
    const known = this.#open.get(number);
    const manifest = this.#segments.chain[number];
    if (known !== undefined || manifest === undefined) return known ?? this.#at(number);
    const segment = new OpenSegment(
      await readableSegment(this.#destination, this.#key, manifest),
      this.#segments.verifierKey,
    );
    this.#open.set(number, segment);
    this.#noteTiles(number, segment.tiles);
    const { fault } = segment;
    if (fault?.seq != null && fault.seq < (this.#fault?.seq ?? Number.POSITIVE_INFINITY)) this.#fault = fault;
    return segment;
  }

  async #entries(from: number, to: number): Promise<void> {
    const { chain } = this.#segments;
    const here = chain.flatMap((one, number) => (one.to > from && one.from <= to ? [number] : []));
    const first = (here[0] ?? chain.length) - 1;
    const wanted = first >= 0 ? [first, ...here] : here;
    for (const number of this.#open.keys()) if (!wanted.includes(number)) this.#open.delete(number);
    for (const number of this.#requests.keys()) if (!wanted.includes(number)) this.#requests.delete(number);
    for (const number of wanted) await this.#load(number);
    if (this.#isBeside) return;
    for (const number of here) await this.#findRequests(number);
  }

  /** What answers of a segment are about mostly stands in it, or in the one before; the rest is sought by the time an id says. */
  async #findRequests(number: number): Promise<void> {
    if (this.#requests.has(number)) return;
    const before = this.#open.get(number - 1);
    const wanted = this.#at(number).answersToOthers((id) => before?.linesOf(id).length ?? 0);
    const found = new Map<string, Line[]>();
    this.#requests.set(number, found);
    if (wanted.size === 0) return;
    const earlier = [...this.#segments.chain.slice(0, Math.max(0, number - 1)).entries()].reverse();
    const isLikely = likelyFor([...wanted]);
    for (const [at] of [
      ...earlier.filter(([, one]) => isLikely(one)),
      ...earlier.filter(([, one]) => !isLikely(one)),
    ]) {
      if (wanted.size === 0) return;
      await this.#lookInto(at, (segment) => {
        for (const id of [...wanted]) {
          const lines = segment.linesOf(id);
          if (lines.length === 0) continue;
          found.set(id, lines);
          wanted.delete(id);
        }
      });
    }
  }

  async #lookInto(number: number, look: (segment: OpenSegment) => void): Promise<void> {
    const wasOpen = this.#open.has(number);
    look(await this.#load(number));
    if (!wasOpen) this.#open.delete(number);
  }

  async #own(...[entries, start, isKnown]: Parameters<NonNullable<Ahead['own']>>): Promise<void> {
    for (const { entry, note } of entries) {
      const size = note === null ? 0 : sizeIn(entry, note);
      if (size > 0 && size <= entry.seq && !isKnown(size) && this.rootAt(size) === null) await this.#frontier(size);
      await this.#earlier.own(entry, note, start);
    }
  }

  async #checkpoint(number: number): Promise<StoredCheckpoint | null> {
    const at = this.#segments.chain.findIndex(({ checkpoints: { from, to } }) => number >= from && number < to);
    return at < 0 ? null : (await this.#load(at)).checkpoint(number);
  }

  async #checkpointBefore(size: number): Promise<StoredCheckpoint | null> {
    const { chain } = this.#segments;
    const last = chain.length - 1;
    for (let at = size <= 0 ? 0 : this.#numberOf(size - 1) < 0 ? last : this.#numberOf(size - 1); at >= 0; at--) {
      const segment = await this.#load(at);
      const { checkpoints } = segment.manifest;
      let best: StoredCheckpoint | null = null;
      for (let number = checkpoints.from; number < checkpoints.to; number++) {
        const one = segment.checkpoint(number);
        if (one === null || one.size > size || (at > 0 && one.size <= segment.manifest.from)) continue;
        if (best === null || one.size > best.size) best = one;
      }
      if (best !== null) return best;
    }
    return null;
  }

  async #frontier(size: number): Promise<Frontier> {
    for (const [number, manifest] of this.#segments.chain.entries()) {
      if (manifest.from >= size) break;
      if (!this.#tilesOf.has(number)) this.#noteTiles(number, await readTiles(this.#destination, this.#key, manifest));
    }
    const first = size - (size % TILE_WIDTH);
    const edge: Buffer[] = [];
    for (let at = this.#numberOf(first); at >= 0 && (this.#segments.chain[at]?.from ?? size) < size; at++) {
      await this.#lookInto(at, (segment) => {
        for (let seq = first + edge.length; seq < size; seq++) {
          const row = segment.row(seq);
          if (row === undefined) break;
          edge.push(leafHash(row.line));
        }
      });
    }
    if (this.#edges.size >= MAX_EDGES) this.#edges.clear();
    const known = this.#edges.get(first) ?? [];
    this.#edges.set(first, known.length > edge.length ? known : edge);
    return Frontier.at(size, this.subtree);
  }

  /** A rotation is seen by the checkpoint at a segment's end, which the key before has not signed. */
  async #chain(size: number): Promise<KeyChain> {
    const chain = new KeyChain(parseVerifierKey(this.#segments.verifierKey));
    for (const [number, { from, checkpoint }] of this.#segments.chain.entries()) {
      if (from >= size) break;
      if (isSignedBy(checkpoint, chain)) continue;
      await this.#lookInto(number, (segment) => {
        for (const { seq, note } of segment.rotations()) if (seq < size) chain.follow(seq, note);
      });
    }
    return chain;
  }

  #noteTiles(number: number, tiles: readonly { level: number; index: number; hash: string }[]): void {
    if (this.#tilesOf.has(number)) return;
    this.#tilesOf.add(number);
    for (const { level, index, hash } of tiles) {
      const bytes = Buffer.from(hash, 'base64url');
      if (bytes.length === HASH_BYTES) this.#tiles.set(`${level}/${index}`, bytes);
    }
  }
}

function failed(error: unknown): never {
  // A destination says itself of bytes that they are not what they have to be.
  if (isAccordError(error, 'ARCHIVE_DAMAGED')) throw error;
  throw new FetchFailed(error);
}

/** Keys of a log's own store are numbers from 0 on, or bytes. */
export function isKeyOfArchive(key: SignatureKey): boolean {
  return typeof key === 'number' && key < 0;
}

function placeOfKey(key: SignatureKey): [number: number, signature: number] {
  if (typeof key !== 'number') return [-1, -1];
  const place = -1 - key;
  return [Math.floor(place / SIGNATURES), place % SIGNATURES];
}

/** Of the checkpoint that a note is about; 0 where there is none, which the audit says. */
function sizeIn({ kind, id }: Pick<LogEntry, 'kind' | 'id'>, note: Uint8Array): number {
  try {
    // Those about closed logs have other ids, and speak of other trees.
    if (kind === 'archived') return id !== ARCHIVED_ID ? 0 : parseManifest(note).to;
    if (kind !== 'anchored') return 0;
    return parseCheckpointText(parseNote(parseAnchoring(note).checkpoint).text).size;
  } catch (error) {
    if (isAccordError(error)) return 0;
    throw error;
  }
}

function isSignedBy(note: string, chain: KeyChain): boolean {
  try {
    openNote(note, chain.current);
    return true;
  } catch (error) {
    if (isAccordError(error)) return false;
    throw error;
  }
}
