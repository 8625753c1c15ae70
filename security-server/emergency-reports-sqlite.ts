// The store of reports to the registry in SQLite: emergency-reports.db in the data folder (contract: emergency-reports.ts).
// `secure_delete` overwrites the sealed tokens of what was sent.
import Database from 'better-sqlite3';
import type { EmergencyReportRow, EmergencyReportStore } from './emergency-reports.ts';

const SCHEMA = `
CREATE TABLE IF NOT EXISTS report (
  hash TEXT PRIMARY KEY, emergency TEXT NOT NULL, noted_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL,
  tries INTEGER NOT NULL, sealed BLOB, sent_ms INTEGER, CHECK ((sealed IS NULL) = (sent_ms IS NOT NULL))) STRICT;
CREATE INDEX IF NOT EXISTS report_waiting ON report (next_ms, noted_ms) WHERE sent_ms IS NULL;
`;
const COLUMNS = 'hash, emergency, noted_ms AS notedAtMs, next_ms AS nextAtMs, tries, sealed';

/** Opens or makes the file. */
export function openEmergencyReportStoreSqlite(file: string): EmergencyReportStore {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('secure_delete = ON');
  db.exec(SCHEMA);
  const insert = db.prepare(
    'INSERT OR IGNORE INTO report VALUES (@hash, @emergency, @notedAtMs, @nextAtMs, @tries, @sealed, NULL)',
  );
  const due = db.prepare(
    `SELECT ${COLUMNS} FROM report WHERE sent_ms IS NULL AND next_ms <= ? ORDER BY next_ms, noted_ms LIMIT ?`,
  );
  const postpone = db.prepare('UPDATE report SET next_ms = ?, tries = tries + 1 WHERE hash = ?');
  const sent = db.prepare('UPDATE report SET sent_ms = ?, sealed = NULL WHERE hash = ?');
  const waiting = db.prepare('SELECT COUNT(*) AS count, MIN(noted_ms) AS sinceMs FROM report WHERE sent_ms IS NULL');
  const forget = db.prepare('DELETE FROM report WHERE sent_ms < ?');
  return {
    insert: (row) => insert.run(row).changes > 0,
    due: (nowMs, limit) => due.all(nowMs, limit) as EmergencyReportRow[],
    postpone: (hash, nextAtMs) => void postpone.run(nextAtMs, hash),
    sent(hash, atMs) {
      sent.run(atMs, hash);
      // Also out of the write-ahead log.
      db.pragma('wal_checkpoint(TRUNCATE)');
    },
    waiting: () => waiting.get() as ReturnType<EmergencyReportStore['waiting']>,
    forget: (beforeMs) => void forget.run(beforeMs),
    close: () => db.close(),
  };
}

/** What waits, for a look from outside while the server may run; null when the file was never made. */
export function readWaitingReports(file: string): { count: number; sinceMs: number | null } | null {
  let db: InstanceType<typeof Database>;
  try {
    db = new Database(file, { readonly: true, fileMustExist: true });
  } catch (error) {
    if ((error as { code?: string }).code === 'SQLITE_CANTOPEN') return null;
    throw error;
  }
  try {
    const sql = 'SELECT COUNT(*) AS count, MIN(noted_ms) AS sinceMs FROM report WHERE sent_ms IS NULL';
    return db.prepare(sql).get() as { count: number; sinceMs: number | null };
  } finally {
    db.close();
  }
}
