// The store of reports of doubt in SQLite: doubts.db in the data folder (contract: doubts.ts). What tells about a person
// stands in `sealed` only; `secure_delete` overwrites what is forgotten.
import Database from 'better-sqlite3';
import type { DoubtRow, DoubtStore } from './doubts.ts';

const SCHEMA = `
CREATE TABLE IF NOT EXISTS doubt (
  id TEXT PRIMARY KEY,
  peer TEXT NOT NULL,
  client TEXT NOT NULL,
  service TEXT NOT NULL,
  element TEXT NOT NULL,
  exchange TEXT NOT NULL,
  subject_tag TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'needs-info', 'accepted', 'rejected')),
  created_ms INTEGER NOT NULL,
  changed_ms INTEGER NOT NULL,
  sealed BLOB NOT NULL,
  reporter TEXT NOT NULL DEFAULT 'department' CHECK (reporter IN ('department', 'citizen')),
  UNIQUE (peer, exchange, element, subject_tag)
) STRICT;
CREATE INDEX IF NOT EXISTS doubt_by_state ON doubt (state, id);
`;
// Files from before citizens could report.
const REPORTER = `ALTER TABLE doubt ADD COLUMN
  reporter TEXT NOT NULL DEFAULT 'department' CHECK (reporter IN ('department', 'citizen'))`;
const BY_CITIZEN = "CREATE INDEX IF NOT EXISTS doubt_of_citizen ON doubt (subject_tag, id) WHERE reporter = 'citizen'";
const COLUMNS = `id, reporter, peer, client, service, element, exchange, subject_tag AS subjectTag, state,
  created_ms AS createdAtMs, changed_ms AS changedAtMs, sealed`;
const WAITING = "state IN ('open', 'needs-info')";

/** Opens or makes the file. */
export function openDoubtStoreSqlite(file: string): DoubtStore {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('secure_delete = ON');
  db.exec(SCHEMA);
  const columns = db.pragma('table_info(doubt)') as { name: string }[];
  if (!columns.some(({ name }) => name === 'reporter')) db.exec(REPORTER);
  db.exec(BY_CITIZEN);
  const insert = db.prepare(
    `INSERT INTO doubt VALUES (@id, @peer, @client, @service, @element, @exchange, @subjectTag, @state,
       @createdAtMs, @changedAtMs, @sealed, @reporter)`,
  );
  const update = db.prepare(
    'UPDATE doubt SET state = @state, changed_ms = @changedAtMs, sealed = @sealed WHERE id = @id',
  );
  const byId = db.prepare(`SELECT ${COLUMNS} FROM doubt WHERE id = ?`);
  const same = db.prepare(
    `SELECT ${COLUMNS} FROM doubt
     WHERE peer = @peer AND exchange = @exchange AND element = @element AND subject_tag = @subjectTag`,
  );
  const behind = db.prepare(`SELECT ${COLUMNS} FROM doubt WHERE id > ? ORDER BY id LIMIT ?`);
  const ofState = db.prepare(`SELECT ${COLUMNS} FROM doubt WHERE state = ? AND id > ? ORDER BY id LIMIT ?`);
  const ofCitizen = db.prepare(
    `SELECT ${COLUMNS} FROM doubt WHERE reporter = 'citizen' AND subject_tag = ? ORDER BY id DESC LIMIT ?`,
  );
  const forget = db.prepare(`DELETE FROM doubt WHERE NOT ${WAITING} AND changed_ms < ?`);
  return {
    insert: (row) => void insert.run(row),
    update: (row) => void update.run(row),
    row: (id) => (byId.get(id) as DoubtRow | undefined) ?? null,
    same: (doubt) => (same.get(doubt) as DoubtRow | undefined) ?? null,
    page: (state, after, limit) =>
      (state === null ? behind.all(after ?? '', limit) : ofState.all(state, after ?? '', limit)) as DoubtRow[],
    ofCitizen: (subjectTag, limit) => ofCitizen.all(subjectTag, limit) as DoubtRow[],
    waiting: () =>
      db
        .prepare(
          `SELECT reporter, service, element, subject_tag AS subjectTag, client, state FROM doubt WHERE ${WAITING}`,
        )
        .all() as ReturnType<DoubtStore['waiting']>,
    forgetClosed(beforeMs) {
      // Also out of the write-ahead log, or a forgotten row would live on in it.
      if (forget.run(beforeMs).changes > 0) db.pragma('wal_checkpoint(TRUNCATE)');
    },
    close: () => db.close(),
  };
}
