// What a security server knows of retention, in SQLite: retention.db in the data folder (contract: retention-store.ts).
// Few and small documents; `secure_delete` overwrites what is forgotten.
import Database from 'better-sqlite3';
import type { RetentionDocuments, RetentionStore } from './retention-store.ts';

const SCHEMA = `
CREATE TABLE IF NOT EXISTS document (
  kind TEXT NOT NULL, id TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID;
`;

/** Opens or makes the file. */
export function openRetentionStoreSqlite(file: string): RetentionStore {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('secure_delete = ON');
  db.exec(SCHEMA);
  const all = db.prepare('SELECT id, json FROM document WHERE kind = ? ORDER BY id');
  const put = db.prepare(
    'INSERT INTO document VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET json = excluded.json',
  );
  const remove = db.prepare('DELETE FROM document WHERE kind = ? AND id = ?');
  return {
    all: <K extends keyof RetentionDocuments>(kind: K) =>
      new Map(
        (all.all(kind) as { id: string; json: string }[]).map(({ id, json }) => [
          id,
          JSON.parse(json) as RetentionDocuments[K],
        ]),
      ),
    put: (kind, id, document) => void put.run(kind, id, JSON.stringify(document)),
    remove(kind, id) {
      const { changes } = remove.run(kind, id);
      // Also out of the write-ahead log: a person's tag may stand in it.
      if (changes > 0) db.pragma('wal_checkpoint(TRUNCATE)');
      return changes > 0;
    },
    close: () => db.close(),
  };
}
