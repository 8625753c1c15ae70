// The message log's store in SQLite (contract: store.ts): write-ahead log with `synchronous=FULL`, which fsyncs every
// commit. Files: messages.db (and its -wal, -shm) and writer.lock, a second tiny database whose exclusive lock the
// writer holds for its life; the operating system lets go of it when the process dies, however it dies. Readers open
// messages.db only. Whoever can write to the folder controls what is read here; the message log and the audit verify it.
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { batchPath } from '#certs/batch.ts';
import { foldHashes, HASH_BYTES, sha256Of, TILE_HEIGHT } from '#certs/merkle.ts';
import { AccordError, type ProblemCode } from '#schemas/problems.ts';
import { rowAppender } from './append-sqlite.ts';
import { addArchiveTable, archivedReader, releaser } from './archive-sqlite.ts';
import { auditReader, CHECKPOINT_KINDS, membersReader } from './audit-reader-sqlite.ts';
import { syncFolder } from './checkpoint-file.ts';
import { allOfKinds, hashesOnly, ofKinds } from './kinds-sqlite.ts';
import { APPLICATION_ID, createTables, FORMAT_VERSION, migrateFirstFormat, readFirstFormat } from './schema-sqlite.ts';
import {
  type LogAuditReader,
  type LogReader,
  type LogStore,
  type SignatureKey,
  type StoredCheckpoint,
  type StoredEvidence,
  type StoredMember,
  type StoredNote,
  StoreError,
} from './store.ts';
import { WAL_BYTES, type WalCheckpoints, walCheckpoints } from './wal-checkpoints-sqlite.ts';

type Connection = InstanceType<typeof Database>;
type Row = Record<string, unknown>;

const FILE = 'messages.db';
const PROBE_BYTES = 64 * 1024;
/** With sealed parts two records fill a page of 4 KiB by half: twice as large ones hold four, and a fifth less is written. */
const PAGE_BYTES = 8 * 1024;
/** What `limitPages` counts in. */
const LIMIT_PAGE_BYTES = 4 * 1024;
const CACHE_KIB = 8 * 1024;
/** About what a row has beside its line, statement and sealed parts, and in the index. */
const ROW_BYTES = 256;
/** About what `release` writes. */
const RELEASED_BYTES = 1024 ** 2;
/** Entries without sealed parts behind which the newest with some is not looked for. */
const MAX_UNSEALED = 16_384;

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
    const isFirst = readFirstFormat(db);
    db.exec('BEGIN');
    if (!isFirst) checkFormat(db);
    return auditReader(db, reader(db), isFirst);
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
    db.pragma(`page_size = ${PAGE_BYTES}`); // of a database that is made now
    configure(db);
    if (db.pragma('user_version', { simple: true }) === 0) createTables(db);
    migrateFirstFormat(db);
    checkFormat(db);
    addArchiveTable(db);
    db.pragma('wal_autocheckpoint = 0');
    syncFolder(folder);
    return store(db, lock, walCheckpoints(db, join(folder, FILE)));
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
  db.pragma(`wal_autocheckpoint = ${WAL_BYTES / LIMIT_PAGE_BYTES}`);
  // A reader that stays long keeps pages in the write-ahead log; what it grew to meanwhile is given back.
  db.pragma(`journal_size_limit = ${WAL_BYTES}`);
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

type Step = () => unknown;

/** To make one costs more than what it is around, as a rule; there is one for each connection. */
const transactions = new WeakMap<Connection, Database.Transaction<(step: Step) => unknown>>();

function transactionOf(db: Connection) {
  const made = transactions.get(db) ?? db.transaction((step: Step) => step());
  transactions.set(db, made);
  return made;
}

/** Runs one durable step and says what its failure means (store.ts). */
export function durably<T>(db: Connection, step: () => T): T {
  try {
    return transactionOf(db).immediate(step) as T;
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
    `SELECT statement, signature, batch_index, batch_size, path, jws, first, last
     FROM entries LEFT JOIN signatures ON number = signature WHERE seq = ?`,
  );
  const members = membersReader(db);
  const sealed = db.prepare(
    "SELECT key_id AS keyId, ifnull(sealed, x'') AS bytes FROM entries WHERE seq = ? AND key_id IS NOT NULL",
  );
  const notes = db.prepare(
    `SELECT seq, line, leaf, CAST(statement AS BLOB) AS note FROM entries
     WHERE seq >= ? AND seq < ? AND signature IS NULL AND statement IS NOT NULL ORDER BY seq`,
  );
  // The class is the last member of the line, in the one spelling it has.
  const countSealed = db
    .prepare(
      `SELECT count(*) FROM entries
       WHERE seq >= @fromSeq AND seq < @untilSeq AND key_id IS NOT NULL AND substr(line, -length(@end)) = @end`,
    )
    .pluck();
  const checkpoint = db.prepare(
    'SELECT number, size, at_ms AS atMs, note FROM checkpoints ORDER BY number DESC LIMIT 1',
  );
  const identity = db.prepare('SELECT origin, verifier_key AS verifierKey FROM identity');
  const leaves = db.prepare('SELECT leaf FROM entries WHERE seq >= ? ORDER BY seq LIMIT ?').pluck();
  const tiles = db.prepare('SELECT hash FROM tiles WHERE level = ? AND number >= ? ORDER BY number LIMIT ?').pluck();
  return {
    identity: () =>
      ofKinds<{ origin: string; verifierKey: string }>(identity.get(), { origin: 'text', verifierKey: 'text' }) ?? null,
    size: () => max.get() as number,
    lines: (fromSeq, limit) =>
      allOfKinds<Row>(lines.all(fromSeq, limit), { ...LINE, exchange_id: 'text' }).map((row) => ({
        seq: row['seq'] as number,
        line: row['line'] as string,
        leaf: row['leaf'] as Buffer,
        exchangeId: row['exchange_id'] as string,
      })),
    linesOf: (id, limit) => {
      const oldest = Math.floor(limit / 2);
      return allOfKinds(ofId.all({ id, newest: limit - oldest, oldest }), LINE);
    },
    evidence: (seq) => evidenceOf(ofKinds(evidence.get(seq), EVIDENCE), members),
    sealed: (seq) => ofKinds(sealed.get(seq), { keyId: 'bytes', bytes: 'bytes' }) ?? null,
    notes: (fromSeq, untilSeq) => allOfKinds<StoredNote>(notes.all(fromSeq, untilSeq), { ...LINE, note: 'bytes' }),
    countSealed: (fromSeq, untilSeq, retention) =>
      countSealed.get({ fromSeq, untilSeq, end: `"retention":"${retention}"}` }) as number,
    subtree: (height, index) => {
      const level = Math.floor(height / TILE_HEIGHT);
      const count = 2 ** (height - level * TILE_HEIGHT);
      const hashes = level === 0 ? leaves.all(index * count, count) : tiles.all(level, index * count, count);
      if (hashes.length !== count) throw new AccordError('LOG_DATABASE_DAMAGED', `no subtree ${height}/${index}`);
      return foldHashes(hashesOnly(hashes));
    },
    lastCheckpoint: () => ofKinds<StoredCheckpoint>(checkpoint.get(), CHECKPOINT_KINDS) ?? null,
    archivedUntil: archivedReader(db),
    close: () => db.close(),
  };
}

const LINE = { seq: 'number', line: 'text', leaf: 'bytes' } as const;
const EVIDENCE = {
  statement: 'bytes or nothing',
  batch_index: 'number or nothing',
  batch_size: 'number or nothing',
  path: 'bytes or nothing',
  jws: 'text or nothing',
  first: 'number or nothing',
  last: 'number or nothing',
} as const;

interface EvidenceRow {
  statement: Buffer | null;
  signature: SignatureKey | null;
  batch_index: number;
  batch_size: number;
  path: Buffer | null;
  jws: string | null;
  first: number | null;
  last: number | null;
}

function evidenceOf(row: EvidenceRow | undefined, members: LogAuditReader['members']): StoredEvidence | null {
  if (row === undefined || row.statement === null) return null;
  const { statement, signature, batch_index: index, batch_size: size, first, last } = row;
  // A missing row of the signatures shows as an empty JWS, whose hash is nobody's.
  const jws = row.jws ?? '';
  const jwsHash = signature === null ? Buffer.alloc(HASH_BYTES) : sha256Of(jws);
  const path = row.path ?? pathAmong(signature === null ? [] : members(signature, first, last), index, size);
  return { statement, jws, jwsHash, index, size, path };
}

/** The path at `index` of the batch whose members these are; empty, which leads nowhere, when they are not all there. */
function pathAmong(members: readonly StoredMember[], index: number, size: number): Buffer {
  const statements: Buffer[] = [];
  for (const { index, statement } of members) statements[index] = statement;
  const isWhole = members.length === size && statements.length === size && !statements.includes(undefined as never);
  return isWhole && index < size ? Buffer.concat(batchPath(statements, index)) : Buffer.alloc(0);
}

function store(db: Connection, lock: Connection, wal: WalCheckpoints): LogStore {
  const read = reader(db);
  const addCheckpoint = db.prepare(
    'INSERT INTO checkpoints SELECT coalesce(max(number), -1) + 1, ?, ?, ? FROM checkpoints',
  );
  const claimedBy = db.prepare('SELECT seq FROM claims WHERE sender = ? AND id = ?').pluck();
  const lastSealed = db.prepare(
    `SELECT seq, keyId FROM (SELECT seq, key_id AS keyId FROM entries ORDER BY seq DESC LIMIT ${MAX_UNSEALED})
     WHERE keyId IS NOT NULL LIMIT 1`,
  );
  const purge = db.prepare(
    'DELETE FROM claims WHERE (sender, id) IN (SELECT sender, id FROM claims WHERE until_ms < ? LIMIT ?)',
  );
  const release = releaser(db);
  return {
    ...read,
    setIdentity: ({ origin, verifierKey }) =>
      durably(db, () => void db.prepare('INSERT INTO identity VALUES (1, ?, ?)').run(origin, verifierKey)),
    append: appender(db, wal),
    claimedBy: (from, id) => (claimedBy.get(from, id) as number | undefined) ?? null,
    purgeClaims: (nowMs, limit) => durably(db, () => purge.run(nowMs, limit).changes),
    addCheckpoint: ({ size, atMs, note }) => durably(db, () => void addCheckpoint.run(size, atMs, note)),
    release: (entrySeq, until) => {
      const end = durably(db, () => release(entrySeq, until));
      wal.wrote(RELEASED_BYTES);
      return end;
    },
    lastSealed: () => (lastSealed.get() as { seq: number; keyId: Buffer } | undefined) ?? null,
    probe: () =>
      durably(db, () => {
        db.prepare('INSERT INTO probe VALUES (zeroblob(?))').run(PROBE_BYTES);
        db.exec('DELETE FROM probe');
      }),
    limitPages: (maxPages) => {
      const pageBytes = db.pragma('page_size', { simple: true }) as number;
      db.pragma(`max_page_count = ${Math.trunc((maxPages * LIMIT_PAGE_BYTES) / pageBytes)}`);
    },
    close: () => {
      wal.end();
      read.close();
      lock.close();
    },
    retire: () => {
      wal.end();
      // Without a write-ahead log it can be read where nothing may be written.
      db.pragma('journal_mode = DELETE');
      read.close();
      lock.close();
    },
  };
}

function appender(db: Connection, wal: WalCheckpoints): LogStore['append'] {
  const rows = rowAppender(db);
  return (records, tiles) => {
    try {
      durably(db, () => rows.append(records, tiles));
    } catch (error) {
      rows.forget();
      throw error;
    }
    let bytes = 0;
    for (const { line, evidence, sealed } of records) {
      bytes += line.length + (evidence?.statement.length ?? 0) + (sealed?.bytes.length ?? 0) + ROW_BYTES;
    }
    wal.wrote(bytes);
  };
}

function openFault(cause: unknown): ProblemCode {
  const code = codeOf(cause);
  if (code === 'SQLITE_FULL') return 'LOG_DISK_FULL';
  const isFailing = code.startsWith('SQLITE_IOERR') || (cause as NodeJS.ErrnoException).code === 'EIO';
  return isFailing ? 'LOG_IO_FAILED' : 'LOG_DATABASE_DAMAGED';
}

/** better-sqlite3's `code`, e.g. SQLITE_FULL, SQLITE_IOERR_WRITE; empty for other errors. */
function codeOf(error: unknown): string {
  return error instanceof Database.SqliteError ? error.code : '';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
