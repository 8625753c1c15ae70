// The message log's store in SQLite (contract: store.ts): write-ahead log with `synchronous=FULL`, which fsyncs every
// commit. Files: messages.db (and its -wal, -shm) and writer.lock, a second tiny database whose exclusive lock the
// writer holds for its life; the operating system lets go of it when the process dies, however it dies. Readers open
// messages.db only. Whoever can write to the folder controls what is read here; the message log and the audit verify it.
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { foldHashes, TILE_HEIGHT } from '#certs/merkle.ts';
import { AccordError, type ProblemCode } from '#schemas/problems.ts';
import { APPLICATION_ID, createTables, FORMAT_VERSION } from './schema-sqlite.ts';
import {
  type LogAuditReader,
  type LogReader,
  type LogStore,
  type StoredCheckpoint,
  type StoredEvidence,
  type StoredRecord,
  type StoredRow,
  type StoredTile,
  StoreError,
} from './store.ts';

type Connection = InstanceType<typeof Database>;
type Row = Record<string, unknown>;

const FILE = 'messages.db';
const PROBE_BYTES = 64 * 1024;
const CACHE_KIB = 8 * 1024;
/** Pages (4 KiB) of write-ahead log after which they are moved into the database. */
const WAL_PAGES = 2_000;

/** Whether there is a log at all; opening one for writing would make it. */
export function isLogFolder(folder: string): boolean {
  return existsSync(join(folder, FILE));
}

/**
 * Opens one snapshot of the log for reading, also while a server writes it.
 * @throws LOG_MISSING, LOG_UNREADABLE, LOG_DATABASE_DAMAGED
 */
export function openLogAuditSqlite(folder: string): LogAuditReader {
  const file = join(folder, FILE);
  if (!isLogFolder(folder)) throw new AccordError('LOG_MISSING', file);
  let db: Connection | undefined;
  try {
    db = new Database(file, { readonly: true, fileMustExist: true, timeout: 5_000 });
    db.exec('BEGIN');
    checkFormat(db);
    return auditReader(db);
  } catch (cause) {
    db?.close();
    if (cause instanceof AccordError) throw cause;
    // Even a reader needs the shared-memory file of the write-ahead log, which a read-only place does not let it make.
    const isClosed = /^SQLITE_(CANTOPEN|READONLY|PERM|AUTH)/.test(codeOf(cause));
    throw new AccordError(isClosed ? 'LOG_UNREADABLE' : 'LOG_DATABASE_DAMAGED', messageOf(cause), { cause });
  }
}

/** Opens, or makes, the log for writing. @throws LOG_IN_USE, LOG_DATABASE_DAMAGED */
export function openLogStoreSqlite(folder: string): LogStore {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = holdLock(join(folder, 'writer.lock'));
  try {
    const db = new Database(reserveFile(join(folder, FILE)), { timeout: 2_000 });
    configure(db);
    if (db.pragma('user_version', { simple: true }) === 0) createTables(db);
    checkFormat(db);
    return store(db, lock);
  } catch (cause) {
    lock.close();
    if (cause instanceof AccordError) throw cause;
    throw new AccordError(openFault(cause), messageOf(cause), { cause });
  }
}

/** Makes the file, when there is none, readable by its owner only; SQLite gives its companions the same mode. */
export function reserveFile(file: string): string {
  closeSync(openSync(file, 'a', 0o600));
  return file;
}

/** Write-ahead log, and an fsync for every commit. */
export function configure(db: Connection): void {
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('foreign_keys = ON');
  db.pragma('trusted_schema = OFF');
  db.pragma(`cache_size = -${CACHE_KIB}`);
  db.pragma(`wal_autocheckpoint = ${WAL_PAGES}`);
  // A reader that stays long keeps pages in the write-ahead log; what it grew to meanwhile is given back.
  db.pragma(`journal_size_limit = ${WAL_PAGES * 4096}`);
}

function holdLock(file: string): Connection {
  const lock = new Database(reserveFile(file), { timeout: 0 });
  try {
    lock.pragma('journal_mode = DELETE');
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (cause) {
    lock.close();
    if (codeOf(cause).startsWith('SQLITE_BUSY')) throw new AccordError('LOG_IN_USE', file);
    throw new AccordError('LOG_DATABASE_DAMAGED', messageOf(cause), { cause });
  }
}

function checkFormat(db: Connection): void {
  const id = db.pragma('application_id', { simple: true });
  const version = db.pragma('user_version', { simple: true });
  if (id !== APPLICATION_ID || version !== FORMAT_VERSION) {
    throw new AccordError('LOG_DATABASE_DAMAGED', `not a message log of format ${FORMAT_VERSION}`);
  }
}

/** Runs one durable step and says what its failure means (store.ts). */
export function durably<T>(db: Connection, step: () => T): T {
  try {
    return db.transaction(step).immediate();
  } catch (cause) {
    const code = codeOf(cause);
    // After a failed rollback nobody knows what the file holds.
    if (!db.open || db.inTransaction) throw new StoreError('failed', cause);
    if (code === 'SQLITE_FULL') throw new StoreError('full', cause);
    if (code.startsWith('SQLITE_BUSY')) throw new StoreError('busy', cause);
    throw new StoreError('failed', cause);
  }
}

function reader(db: Connection): LogReader {
  const max = db.prepare('SELECT coalesce(max(seq), -1) + 1 FROM entries').pluck();
  const lines = db.prepare('SELECT seq, line, leaf, exchange_id FROM entries WHERE seq >= ? ORDER BY seq LIMIT ?');
  // The newest and the oldest: a peer that repeats an id a thousand times must not hide the request that was first.
  const ofId = db.prepare(`SELECT seq, line, leaf FROM entries WHERE seq IN (
    SELECT * FROM (SELECT seq FROM entries WHERE exchange_id = @id ORDER BY seq DESC LIMIT @newest)
    UNION SELECT * FROM (SELECT seq FROM entries WHERE exchange_id = @id ORDER BY seq LIMIT @oldest)) ORDER BY seq DESC`);
  const evidence = db.prepare(
    'SELECT statement, signature, batch_index, batch_size, path, jws FROM evidence LEFT JOIN signatures ON hash = signature WHERE seq = ?',
  );
  const sealed = db.prepare('SELECT key_id AS keyId, bytes FROM sealed WHERE seq = ?');
  const checkpoint = db.prepare(
    'SELECT number, size, at_ms AS atMs, note FROM checkpoints ORDER BY number DESC LIMIT 1',
  );
  const identity = db.prepare('SELECT origin, verifier_key AS verifierKey FROM identity');
  const leaves = db.prepare('SELECT leaf FROM entries WHERE seq >= ? ORDER BY seq LIMIT ?').pluck();
  const tiles = db.prepare('SELECT hash FROM tiles WHERE level = ? AND number >= ? ORDER BY number LIMIT ?').pluck();
  return {
    identity: () => (identity.get() as { origin: string; verifierKey: string } | undefined) ?? null,
    size: () => max.get() as number,
    lines: (fromSeq, limit) =>
      (lines.all(fromSeq, limit) as Row[]).map((row) => ({
        seq: row['seq'] as number,
        line: row['line'] as string,
        leaf: row['leaf'] as Buffer,
        exchangeId: row['exchange_id'] as string,
      })),
    linesOf: (id, limit) => {
      const oldest = Math.floor(limit / 2);
      return ofId.all({ id, newest: limit - oldest, oldest }) as { seq: number; line: string; leaf: Buffer }[];
    },
    evidence: (seq) => evidenceOf(evidence.get(seq) as Row | undefined),
    sealed: (seq) => (sealed.get(seq) as { keyId: Buffer; bytes: Buffer } | undefined) ?? null,
    subtree: (height, index) => {
      const level = Math.floor(height / TILE_HEIGHT);
      const count = 2 ** (height - level * TILE_HEIGHT);
      const hashes = level === 0 ? leaves.all(index * count, count) : tiles.all(level, index * count, count);
      if (hashes.length !== count) throw new AccordError('LOG_DATABASE_DAMAGED', `no subtree ${height}/${index}`);
      return foldHashes(hashes as Buffer[]);
    },
    lastCheckpoint: () => (checkpoint.get() as StoredCheckpoint | undefined) ?? null,
    close: () => db.close(),
  };
}

function evidenceOf(row: Row | undefined): StoredEvidence | null {
  if (row === undefined) return null;
  return {
    statement: row['statement'] as Buffer,
    // A missing row of the signatures shows as an empty JWS, whose hash is nobody's.
    jws: (row['jws'] as string | null) ?? '',
    jwsHash: row['signature'] as Buffer,
    index: row['batch_index'] as number,
    size: row['batch_size'] as number,
    path: row['path'] as Buffer,
  };
}

type RawRow = [
  seq: number,
  line: string,
  leaf: string,
  exchangeId: string,
  statement: string | null,
  statementBytes: number,
  jwsHash: string,
  index: number,
  size: number,
  path: string,
];

// Bytes come as text and are put back here: the driver makes a memory area of its own for every BLOB, which costs an
// audit more than all its hashing.
const ROWS = `SELECT seq, line, hex(leaf), exchange_id, CAST(statement AS TEXT), length(statement), hex(signature),
    batch_index, batch_size, hex(path)
  FROM entries LEFT JOIN evidence USING (seq) WHERE seq >= ? ORDER BY seq LIMIT ?`;

/** @param statementOf the bytes of a statement that is not plain ASCII */
function rowOf(row: RawRow, statementOf: (seq: number) => Buffer): StoredRow {
  const [seq, line, leaf, exchangeId, text, length, jwsHash, index, size, path] = row;
  // The tables may not be the ones this program made.
  if (typeof line !== 'string') throw new AccordError('LOG_DATABASE_DAMAGED', `a row ${seq} of another kind`);
  const stored = { seq, line, leaf: Buffer.from(leaf, 'hex'), exchangeId };
  if (text === null) return { ...stored, evidence: null };
  // As many units as bytes and nothing replaced: it is ASCII, and these are its bytes.
  const isAscii = text.length === length && !text.includes('\ufffd');
  const statement = isAscii ? Buffer.from(text, 'latin1') : statementOf(seq);
  const place = { jwsHash: Buffer.from(jwsHash, 'hex'), index, size, path: Buffer.from(path, 'hex') };
  return { ...stored, evidence: { statement, ...place } };
}

function auditReader(db: Connection): LogAuditReader {
  const tile = db.prepare('SELECT hash FROM tiles WHERE level = ? AND number = ?').pluck();
  const from = db.prepare(
    'SELECT number, size, at_ms AS atMs, note FROM checkpoints WHERE number >= ? ORDER BY number LIMIT 1',
  );
  const strays = ['evidence', 'sealed', 'claims'].map((table) =>
    db.prepare(`SELECT min(seq) FROM ${table} WHERE seq NOT IN (SELECT seq FROM entries)`).pluck(),
  );
  const integrity = db.prepare('PRAGMA integrity_check(1)').pluck();
  const jws = db.prepare('SELECT jws FROM signatures WHERE hash = ?').pluck();
  const rows = db.prepare(ROWS).raw();
  const statement = db.prepare('SELECT CAST(statement AS BLOB) FROM evidence WHERE seq = ?').pluck();
  const statementOf = (seq: number) => (statement.get(seq) as Buffer | null) ?? Buffer.alloc(0);
  return {
    ...reader(db),
    rows: (fromSeq, limit) => (rows.all(fromSeq, limit) as RawRow[]).map((row) => rowOf(row, statementOf)),
    jws: (hash) => (jws.get(hash) as string | undefined) ?? '',
    renew: () => void db.exec('COMMIT; BEGIN'),
    tile: (level, index) => (tile.get(level, index) as Buffer | undefined) ?? null,
    checkpointFrom: (number) => (from.get(number) as StoredCheckpoint | undefined) ?? null,
    straySeq: () => {
      const found = strays.map((query) => query.get() as number | null | undefined);
      return found.find((seq) => seq !== null && seq !== undefined) ?? null;
    },
    damage: () => {
      const said = integrity.get() as string;
      return said === 'ok' ? null : said.slice(0, 200);
    },
  };
}

function store(db: Connection, lock: Connection): LogStore {
  const read = reader(db);
  const addCheckpoint = db.prepare(
    'INSERT INTO checkpoints SELECT coalesce(max(number), -1) + 1, ?, ?, ? FROM checkpoints',
  );
  const claimedBy = db.prepare('SELECT seq FROM claims WHERE sender = ? AND id = ?').pluck();
  const lastSealed = db.prepare('SELECT seq, key_id AS keyId FROM sealed ORDER BY seq DESC LIMIT 1');
  const purge = db.prepare(
    'DELETE FROM claims WHERE (sender, id) IN (SELECT sender, id FROM claims WHERE until_ms < ? LIMIT ?)',
  );
  return {
    ...read,
    setIdentity: ({ origin, verifierKey }) =>
      durably(db, () => void db.prepare('INSERT INTO identity VALUES (1, ?, ?)').run(origin, verifierKey)),
    append: appender(db),
    claimedBy: (from, id) => (claimedBy.get(from, id) as number | undefined) ?? null,
    purgeClaims: (nowMs, limit) => durably(db, () => purge.run(nowMs, limit).changes),
    addCheckpoint: ({ size, atMs, note }) => durably(db, () => void addCheckpoint.run(size, atMs, note)),
    lastSealed: () => (lastSealed.get() as { seq: number; keyId: Buffer } | undefined) ?? null,
    probe: () =>
      durably(db, () => {
        db.prepare('INSERT INTO probe VALUES (zeroblob(?))').run(PROBE_BYTES);
        db.exec('DELETE FROM probe');
      }),
    limitPages: (maxPages) => void db.pragma(`max_page_count = ${Math.trunc(maxPages)}`),
    close: () => {
      read.close();
      lock.close();
    },
    retire: () => {
      // Without a write-ahead log it can be read where nothing may be written.
      db.pragma('journal_mode = DELETE');
      read.close();
      lock.close();
    },
  };
}

function appender(db: Connection): LogStore['append'] {
  const addEntry = db.prepare('INSERT INTO entries VALUES (?, ?, ?, ?)');
  const addEvidence = db.prepare('INSERT INTO evidence VALUES (?, ?, ?, ?, ?, ?)');
  const hasSignature = db.prepare('SELECT 1 FROM signatures WHERE hash = ?').pluck();
  const addSignature = db.prepare('INSERT INTO signatures VALUES (?, ?)');
  const addSealed = db.prepare('INSERT INTO sealed VALUES (?, ?, ?)');
  const addClaim = db.prepare('INSERT INTO claims VALUES (?, ?, ?, ?)');
  const addTile = db.prepare('INSERT INTO tiles VALUES (?, ?, ?)');
  const addRecord = ({ seq, line, leaf, exchangeId, evidence, sealed, claim }: StoredRecord): void => {
    addEntry.run(seq, line, leaf, exchangeId);
    if (evidence !== null) {
      addEvidence.run(seq, evidence.statement, evidence.jwsHash, evidence.index, evidence.size, evidence.path);
      if (evidence.size > 0 && hasSignature.get(evidence.jwsHash) === undefined)
        addSignature.run(evidence.jwsHash, evidence.jws);
    }
    if (sealed !== null) addSealed.run(seq, sealed.keyId, sealed.bytes);
    if (claim !== null) addClaim.run(claim.from, claim.id, seq, claim.untilMs);
  };
  return (records: readonly StoredRecord[], tiles: readonly StoredTile[]) =>
    durably(db, () => {
      for (const record of records) addRecord(record);
      for (const { level, index, hash } of tiles) addTile.run(level, index, hash);
    });
}

function openFault(cause: unknown): ProblemCode {
  const code = codeOf(cause);
  if (code === 'SQLITE_FULL') return 'LOG_DISK_FULL';
  return code.startsWith('SQLITE_IOERR') ? 'LOG_IO_FAILED' : 'LOG_DATABASE_DAMAGED';
}

/** better-sqlite3's `code`, e.g. SQLITE_FULL, SQLITE_IOERR_WRITE; empty for other errors. */
function codeOf(error: unknown): string {
  return error instanceof Database.SqliteError ? error.code : '';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
