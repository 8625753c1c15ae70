// The registry's witness memory and the aggregate log in one file, witness.db: a checkpoint that the witness stands for
// becomes a leaf in the very transaction that stores it, so that nothing is cosigned that the aggregate log does not hold.
//
// Leaf data: a server's signed checkpoint with its own signature line only; or, of a published content version,
// "accord-content/<instance>\n<version>\n<base64 of SHA-256 of its file>\n". Tree: RFC 9162. Append-only, also against
// REPLACE. The proofs that came with the checkpoints are for cosigners and are dropped when they are old.
import { Frontier, HASH_BYTES, leafHash, type SubtreeReader, TILE_HEIGHT, TILE_WIDTH } from '#certs/merkle.ts';
import { durably } from '#core/log/store-sqlite.ts';
import type { Advance, WitnessStore } from '#core/witness/store.ts';
import { openWitnessDatabase, type WitnessDatabase, witnessStore } from '#core/witness/witness-store-sqlite.ts';
import { FEED_PAGE_LEAVES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { TileNodes } from './tile-nodes.ts';

/** `origins.number` of leaves that are contents; `size` is then the version. */
const CONTENTS = 0;

const grows = (table: string, key: string) => `
CREATE TRIGGER IF NOT EXISTS ${table}_no_update BEFORE UPDATE ON ${table} BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS ${table}_no_delete BEFORE DELETE ON ${table} BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS ${table}_dense BEFORE INSERT ON ${table}
  WHEN NEW.${key} <> (SELECT COALESCE(MAX(${key}), -1) + 1 FROM ${table}) BEGIN SELECT RAISE(ABORT, 'append-only'); END;`;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS leaves (
  seq INTEGER PRIMARY KEY, hash BLOB NOT NULL CHECK (length(hash) = ${HASH_BYTES}), origin INTEGER NOT NULL,
  size INTEGER NOT NULL, data TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS leaves_origin ON leaves(origin, size);
${grows('leaves', 'seq')}
CREATE TABLE IF NOT EXISTS tiles (
  level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, number)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS proofs (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, proof BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS checkpoints (
  number INTEGER PRIMARY KEY, size INTEGER NOT NULL UNIQUE, at_ms INTEGER NOT NULL, note TEXT NOT NULL) STRICT;
${grows('checkpoints', 'number')}
CREATE TABLE IF NOT EXISTS cosignatures (
  size INTEGER NOT NULL REFERENCES checkpoints(size), line TEXT NOT NULL, PRIMARY KEY (size, line)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS finished (
  size INTEGER PRIMARY KEY REFERENCES checkpoints(size), at_ms INTEGER NOT NULL, note TEXT NOT NULL, tokens TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS finished_no_update BEFORE UPDATE ON finished BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS finished_no_delete BEFORE DELETE ON finished BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TABLE IF NOT EXISTS cosigners (name TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT;
`;

export interface AggregateCheckpoint {
  size: number;
  atMs: number;
  /** Signed by the aggregate's key alone. */
  note: string;
}

/** What others may be shown: cosigned by the quorum and time-stamped. */
export interface FinishedCheckpoint {
  size: number;
  atMs: number;
  /** With the cosignature lines. */
  note: string;
  /** DER, base64url; over the checkpoint's text. */
  tokens: string[];
}

/** Which proofs go: older than `beforeMs`, and needed by nobody, or older than `latestMs`, or more than `mostKept`. */
interface DroppedProofs {
  beforeMs: number;
  /** Leaves from here on somebody has not seen yet. */
  neededFrom: number;
  latestMs: number;
  mostKept: number;
  /** At once. */
  limit: number;
}

export interface FeedLeaf {
  data: string;
  proof: Buffer[];
}

export class AggregateStore {
  readonly witness: WitnessStore;
  readonly #db: WitnessDatabase;
  /** Of what is committed; a turn works on a copy. */
  #frontier: Frontier;
  #draft: Frontier | null = null;
  readonly #nodes = new TileNodes((level, tile) => this.#hashes(level, tile * TILE_WIDTH, TILE_WIDTH));
  readonly #append: (origin: number, size: number, data: string) => number;

  /** @throws LOG_DATABASE_DAMAGED */
  constructor(file: string) {
    this.#db = openWitnessDatabase(file, SCHEMA);
    const addProof = this.#db.prepare('INSERT INTO proofs VALUES (?, ?, ?)');
    this.#append = this.#appender();
    const size = this.#db.prepare('SELECT coalesce(max(seq), -1) + 1 FROM leaves').pluck().get() as number;
    this.#frontier = Frontier.at(size, this.subtree);
    const inner = witnessStore(this.#db, {
      advanced: (number, { tree, proof }: Advance, atMs) => {
        const seq = this.#append(number, tree.size, tree.note);
        if (proof.length > 0) addProof.run(seq, atMs, Buffer.concat(proof));
      },
      earlier: (origin, size) => this.leafOf(origin, size)?.data ?? null,
    });
    this.witness = { ...inner, turn: (run) => this.#growing(() => inner.turn(run)) };
  }

  close(): void {
    this.#db.close();
  }

  get size(): number {
    return this.#frontier.size;
  }

  root(): Buffer {
    return this.#frontier.root();
  }

  /** Hash of a complete subtree (certs/merkle.ts). @throws LOG_DATABASE_DAMAGED */
  get subtree(): SubtreeReader {
    return this.#nodes.subtree;
  }

  /** The newest content version that is a leaf; 0 for none. */
  newestContent(): number {
    const newest = this.#db.prepare('SELECT max(size) FROM leaves WHERE origin = ?').pluck();
    return (newest.get(CONTENTS) as number | null) ?? 0;
  }
  addContents(contents: readonly { version: number; data: string }[]): void {
    if (contents.length === 0) return;
    const add = () => contents.forEach(({ version, data }) => void this.#append(CONTENTS, version, data));
    this.#growing(() => durably(this.#db, add));
  }

  /** The leaf of an origin's checkpoint. */
  leafOf(origin: string, size: number): { seq: number; data: string } | null {
    const sql = `SELECT leaves.seq, leaves.data FROM leaves JOIN origins ON origins.number = leaves.origin
      WHERE origins.origin = ? AND leaves.size = ?`;
    return (this.#db.prepare(sql).get(origin, size) as { seq: number; data: string } | undefined) ?? null;
  }

  /** Leaves from `from` on, before `to`, with the proofs that came with them; as many as one answer may hold. */
  feed(from: number, to: number): FeedLeaf[] {
    const sql = `SELECT data, proof FROM leaves LEFT JOIN proofs ON proofs.seq = leaves.seq
      WHERE leaves.seq >= ? AND leaves.seq < ? ORDER BY leaves.seq LIMIT ${FEED_PAGE_LEAVES}`;
    const rows = this.#db.prepare(sql).all(from, to) as { data: string; proof: Buffer | null }[];
    return rows.map(({ data, proof }) => ({ data, proof: proof === null ? [] : hashesOf(proof) }));
  }

  /** Of C2SP tlog-tiles; null when the log does not reach so far. */
  tile(level: number, number: number, width: number, size: number): Buffer | null {
    const reaches = Math.floor(size / TILE_WIDTH ** level) >= number * TILE_WIDTH + width;
    if (!reaches) return null;
    const hashes = this.#hashes(level, number * TILE_WIDTH, width);
    if (hashes.length !== width) throw new AccordError('LOG_DATABASE_DAMAGED', `no tile ${level}/${number}`);
    return Buffer.concat(hashes);
  }
  bundle(number: number, width: number, size: number): Buffer | null {
    if (number * TILE_WIDTH + width > size) return null;
    const rows = this.#db.prepare('SELECT data FROM leaves WHERE seq >= ? ORDER BY seq LIMIT ?').pluck();
    return Buffer.concat(
      (rows.all(number * TILE_WIDTH, width) as string[]).flatMap((data) => {
        const [length, bytes] = [Buffer.alloc(2), Buffer.from(data, 'utf8')];
        length.writeUInt16BE(bytes.length);
        return [length, bytes];
      }),
    );
  }

  // --- checkpoints: signed, then cosigned, then finished; each step durable before the next
  addCheckpoint({ size, atMs, note }: AggregateCheckpoint): void {
    const sql = 'INSERT INTO checkpoints SELECT coalesce(max(number), -1) + 1, ?, ?, ? FROM checkpoints';
    durably(this.#db, () => void this.#db.prepare(sql).run(size, atMs, note));
  }
  newestCheckpoint(): AggregateCheckpoint | null {
    const sql = 'SELECT size, at_ms AS atMs, note FROM checkpoints ORDER BY number DESC LIMIT 1';
    return (this.#db.prepare(sql).get() as AggregateCheckpoint | undefined) ?? null;
  }
  addCosignatures(size: number, lines: readonly string[]): void {
    const add = this.#db.prepare('INSERT INTO cosignatures VALUES (?, ?) ON CONFLICT DO NOTHING');
    durably(this.#db, () => lines.forEach((line) => void add.run(size, line)));
  }
  cosignatures(size: number): string[] {
    return this.#db.prepare('SELECT line FROM cosignatures WHERE size = ?').pluck().all(size) as string[];
  }
  finish({ size, atMs, note, tokens }: FinishedCheckpoint): void {
    const sql = 'INSERT INTO finished VALUES (?, ?, ?, ?)';
    durably(this.#db, () => void this.#db.prepare(sql).run(size, atMs, note, JSON.stringify(tokens)));
  }
  newestFinished(): FinishedCheckpoint | null {
    return this.#finished('SELECT * FROM finished ORDER BY size DESC LIMIT 1');
  }
  /** The first one that holds this leaf. */
  finishedWith(seq: number): FinishedCheckpoint | null {
    return this.#finished('SELECT * FROM finished WHERE size > ? ORDER BY size LIMIT 1', seq);
  }

  /** What a cosigner stood for last, as far as is known. */
  cosignerSize(name: string): number {
    return (this.#db.prepare('SELECT size FROM cosigners WHERE name = ?').pluck().get(name) as number | undefined) ?? 0;
  }
  setCosignerSize(name: string, size: number): void {
    const sql = 'INSERT INTO cosigners VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET size = excluded.size';
    durably(this.#db, () => void this.#db.prepare(sql).run(name, size));
  }

  /** @returns how many were dropped */
  dropProofs({ mostKept, ...rule }: DroppedProofs): number {
    const overflow = (this.#db.prepare('SELECT max(seq) FROM proofs').pluck().get() as number | null) ?? 0;
    const oldest = '(SELECT seq, at_ms FROM proofs ORDER BY seq LIMIT @limit)';
    const sql = `DELETE FROM proofs WHERE seq IN (SELECT seq FROM ${oldest} WHERE at_ms < @beforeMs
      AND (seq < @neededFrom OR at_ms < @latestMs OR seq <= @overflow))`;
    return durably(this.#db, () => this.#db.prepare(sql).run({ ...rule, overflow: overflow - mostKept }).changes);
  }

  #finished(sql: string, ...values: number[]): FinishedCheckpoint | null {
    const row = this.#db.prepare(sql).get(...values) as { size: number; at_ms: number; note: string; tokens: string };
    if (row === undefined) return null;
    return { size: row.size, atMs: row.at_ms, note: row.note, tokens: JSON.parse(row.tokens) as string[] };
  }

  #hashes(level: number, from: number, count: number): Buffer[] {
    const sql =
      level === 0
        ? 'SELECT hash FROM leaves WHERE seq >= @from ORDER BY seq LIMIT @count'
        : 'SELECT hash FROM tiles WHERE level = @level AND number >= @from ORDER BY number LIMIT @count';
    return this.#db.prepare(sql).pluck().all({ level, from, count }) as Buffer[];
  }

  /** The tree grows with the transaction, or not at all. */
  #growing<T>(run: () => T): T {
    this.#draft = this.#frontier.copy();
    try {
      const done = run();
      this.#frontier = this.#draft;
      return done;
    } finally {
      this.#draft = null;
    }
  }

  #appender(): (origin: number, size: number, data: string) => number {
    const addLeaf = this.#db.prepare('INSERT INTO leaves VALUES (?, ?, ?, ?, ?)');
    const addTile = this.#db.prepare('INSERT INTO tiles VALUES (?, ?, ?)');
    return (origin, size, data) => {
      const draft = this.#draft;
      if (draft === null) throw new TypeError('leaves are added inside a turn');
      const [seq, hash] = [draft.size, leafHash(data)];
      addLeaf.run(seq, hash, origin, size, data);
      draft.push(hash, (height, index, complete) => void addTile.run(height / TILE_HEIGHT, index, complete));
      return seq;
    };
  }
}

function hashesOf(bytes: Buffer): Buffer[] {
  return Array.from({ length: bytes.length / HASH_BYTES }, (_, at) =>
    bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES),
  );
}
