// The stores of what waits to be told, in SQLite: emergency-reports.db in the data folder, a table for each kind (contract:
// outbox.ts). `secure_delete` overwrites the sealed content of what was sent.
import Database from 'better-sqlite3';
import type { OutboxRow, OutboxStore } from './outbox.ts';

/** What waits: reports to the registry, notices to consent services. */
export type OutboxKind = 'report' | 'notice';

const schemaOf = (kind: OutboxKind) => `
CREATE TABLE IF NOT EXISTS ${kind} (
  hash TEXT PRIMARY KEY, emergency TEXT NOT NULL, noted_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL,
  tries INTEGER NOT NULL, sealed BLOB, sent_ms INTEGER, CHECK ((sealed IS NULL) = (sent_ms IS NOT NULL))) STRICT;
CREATE INDEX IF NOT EXISTS ${kind}_waiting ON ${kind} (next_ms, noted_ms) WHERE sent_ms IS NULL;
`;
const COLUMNS = 'hash, emergency, noted_ms AS notedAtMs, next_ms AS nextAtMs, tries, sealed';
const waitingIn = (kind: OutboxKind) =>
  `SELECT COUNT(*) AS count, MIN(noted_ms) AS sinceMs FROM ${kind} WHERE sent_ms IS NULL`;

/** Opens or makes the file. */
export function openOutboxStoreSqlite(file: string, kind: OutboxKind): OutboxStore {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('secure_delete = ON');
  db.exec(schemaOf(kind));
  const insert = db.prepare(
    `INSERT OR IGNORE INTO ${kind} VALUES (@hash, @emergency, @notedAtMs, @nextAtMs, @tries, @sealed, NULL)`,
  );
  const due = db.prepare(
    `SELECT ${COLUMNS} FROM ${kind} WHERE sent_ms IS NULL AND next_ms <= ? ORDER BY next_ms, noted_ms LIMIT ?`,
  );
  const postpone = db.prepare(`UPDATE ${kind} SET next_ms = ?, tries = tries + 1 WHERE hash = ?`);
  const sent = db.prepare(`UPDATE ${kind} SET sent_ms = ?, sealed = NULL WHERE hash = ?`);
  const waiting = db.prepare(waitingIn(kind));
  const forget = db.prepare(`DELETE FROM ${kind} WHERE sent_ms < ?`);
  return {
    insert: (row) => insert.run(row).changes > 0,
    due: (nowMs, limit) => due.all(nowMs, limit) as OutboxRow[],
    postpone: (hash, nextAtMs) => void postpone.run(nextAtMs, hash),
    sent(hash, atMs) {
      sent.run(atMs, hash);
      // Also out of the write-ahead log.
      db.pragma('wal_checkpoint(TRUNCATE)');
    },
    waiting: () => waiting.get() as ReturnType<OutboxStore['waiting']>,
    forget: (beforeMs) => void forget.run(beforeMs),
    close: () => db.close(),
  };
}

/** What waits, for a look from outside while the server may run; null when there is no such file or table. */
export function readWaiting(file: string, kind: OutboxKind): { count: number; sinceMs: number | null } | null {
  let db: InstanceType<typeof Database>;
  try {
    db = new Database(file, { readonly: true, fileMustExist: true });
  } catch (error) {
    if ((error as { code?: string }).code === 'SQLITE_CANTOPEN') return null;
    throw error;
  }
  try {
    const isThere = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(kind) !== undefined;
    return isThere ? (db.prepare(waitingIn(kind)).get() as { count: number; sinceMs: number | null }) : null;
  } finally {
    db.close();
  }
}
