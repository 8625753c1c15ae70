// A closed log (new-origin.ts) as the archive lets go of what lies beside its entries. Nothing else of it is ever written: the
// server's own log holds the entry that says so, and the database keeps that entry's note and refuses to let go of more. The
// file is writable only meanwhile. Whoever owns it can drop the rules; against that stand the tree and the audit.
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { AccordError } from '#schemas/problems.ts';
import { addArchiveTable, addLaterLogs, archivedReader, releaser } from './archive-sqlite.ts';
import { migrateFirstFormat } from './schema-sqlite.ts';
import { configure, durably } from './store-sqlite.ts';

const FILE = 'messages.db';
const CLOSED = 0o400;

export interface ClosedLog {
  archivedUntil(): number;
  /**
   * Lets go of some more; how far it came.
   * @param entry the entry `archived`: of this log itself where `note` is null, else of the log that follows it
   * @throws StoreError
   */
  release(entry: { seq: number; note: Buffer | null }, until: number): number;
  /** Read-only again. */
  close(): void;
}

/** @throws LOG_DATABASE_DAMAGED, LOG_IN_USE */
export function openClosedLogSqlite(folder: string): ClosedLog {
  const file = join(folder, FILE);
  const db = openWritable(file);
  const keep = db.prepare('INSERT INTO archived_later (seq, note) VALUES (@seq, @note)');
  const known = db.prepare('SELECT 1 FROM archived_later WHERE seq = @seq AND note = @note').pluck();
  const release = releaser(db);
  return {
    archivedUntil: archivedReader(db),
    release: ({ seq, note }, until) =>
      durably(db, () => {
        if (note !== null && known.get({ seq, note }) === undefined) keep.run({ seq, note });
        return release(seq, until);
      }),
    close: () => {
      try {
        // Without a write-ahead log it can be read where nothing may be written. Whoever reads now keeps it until the next time.
        db.pragma('journal_mode = DELETE');
      } catch (error) {
        if (!(error instanceof Database.SqliteError)) throw error;
      } finally {
        db.close();
        chmodSync(file, CLOSED);
      }
    },
  };
}

/** Whether somebody was stopped while it was open. */
export function isLeftOpen(folder: string): boolean {
  return existsSync(join(folder, `${FILE}-wal`));
}

/** @throws LOG_DATABASE_DAMAGED, LOG_IN_USE */
function openWritable(file: string): InstanceType<typeof Database> {
  chmodSync(file, 0o600);
  let db: InstanceType<typeof Database> | undefined;
  try {
    db = new Database(file, { fileMustExist: true, timeout: 2_000 });
    configure(db);
    migrateFirstFormat(db);
    addArchiveTable(db);
    addLaterLogs(db);
    return db;
  } catch (cause) {
    db?.close();
    chmodSync(file, CLOSED);
    if (!(cause instanceof Database.SqliteError)) throw cause;
    // Somebody reads it: the next time.
    const isBusy = cause.code.startsWith('SQLITE_BUSY');
    throw new AccordError(isBusy ? 'LOG_IN_USE' : 'LOG_DATABASE_DAMAGED', cause.message, { cause });
  }
}
