// The store of sessions and linked accounts in SQLite (contract: session-store.ts). What is deleted is overwritten, also
// in the write-ahead log, because a session's row holds the ID token.
import { randomUUID } from 'node:crypto';
import Database from 'better-sqlite3';
import type { LinkRow, SessionRow, SessionStore } from './session-store.ts';

const SCHEMA = `
CREATE TABLE IF NOT EXISTS session (
  id_hash TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  seen_ms INTEGER NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS session_by_account ON session (account, seen_ms);
CREATE TABLE IF NOT EXISTS used_sign_in (state TEXT PRIMARY KEY, until_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS link (
  account TEXT PRIMARY KEY,
  person TEXT NOT NULL,
  subject TEXT NOT NULL,
  scheme TEXT NOT NULL,
  level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 4),
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS link_by_person ON link (person);
CREATE INDEX IF NOT EXISTS link_by_subject ON link (subject);
`;

type Connection = InstanceType<typeof Database>;

/** Opens or makes the file. */
export function openSessionStoreSqlite(file: string): SessionStore {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('secure_delete = ON');
  db.exec(SCHEMA);
  return { ...sessions(db), ...links(db), close: () => db.close() };
}

function sessions(db: Connection): Pick<SessionStore, 'begin' | 'session' | 'seen' | 'end' | 'forget'> {
  const use = db.prepare('INSERT INTO used_sign_in VALUES (?, ?) ON CONFLICT DO NOTHING');
  const remove = db.prepare('DELETE FROM session WHERE id_hash = ?');
  const crowd = db.prepare(
    `DELETE FROM session WHERE account = ? AND id_hash NOT IN
       (SELECT id_hash FROM session WHERE account = ? ORDER BY seen_ms DESC LIMIT ?)`,
  );
  const insert = db.prepare('INSERT INTO session VALUES (@idHash, @account, @startedAtMs, @seenAtMs, @sealed)');
  const byId = db.prepare(
    `SELECT id_hash AS idHash, account, started_ms AS startedAtMs, seen_ms AS seenAtMs, sealed
     FROM session WHERE id_hash = ?`,
  );
  const seen = db.prepare('UPDATE session SET seen_ms = ? WHERE id_hash = ?');
  const old = db.prepare('DELETE FROM session WHERE started_ms < ? OR seen_ms < ?');
  const over = db.prepare('DELETE FROM used_sign_in WHERE until_ms < ?');
  const begin = db.transaction(
    (row: SessionRow, state: string, untilMs: number, replaces: string | null, keep: number) => {
      if (use.run(state, untilMs).changes === 0) return false;
      if (replaces !== null) remove.run(replaces);
      crowd.run(row.account, row.account, keep - 1);
      insert.run(row);
      return true;
    },
  );
  const wipe = () => db.pragma('wal_checkpoint(TRUNCATE)');
  return {
    begin: async (row, { state, untilMs }, replaces, keep) => begin.immediate(row, state, untilMs, replaces, keep),
    session: async (idHash) => (byId.get(idHash) as SessionRow | undefined) ?? null,
    seen: async (idHash, atMs) => void seen.run(atMs, idHash),
    async end(idHash) {
      if (remove.run(idHash).changes > 0) wipe();
    },
    async forget({ startedMs, seenMs, nowMs }) {
      over.run(nowMs);
      if (old.run(startedMs, seenMs).changes > 0) wipe();
    },
  };
}

function links(db: Connection): Pick<SessionStore, 'linked' | 'link' | 'raise' | 'unlink'> {
  const personOf = db.prepare('SELECT person FROM link WHERE account = ?').pluck();
  const ofPerson = db.prepare(
    'SELECT account, subject, scheme, level, sealed FROM link WHERE person = ? ORDER BY rowid',
  );
  const other = db.prepare('SELECT 1 FROM link WHERE subject = ? AND person <> ?').pluck();
  const put = db.prepare(
    `INSERT INTO link VALUES (@account, @person, @subject, @scheme, @level, @sealed)
     ON CONFLICT (account) DO UPDATE SET level = max(level, excluded.level), sealed = excluded.sealed`,
  );
  const raise = db.prepare('UPDATE link SET level = ? WHERE account = ? AND level < ?');
  const remove = db.prepare('DELETE FROM link WHERE account = ?');
  const removePerson = db.prepare('DELETE FROM link WHERE person = ?');
  const rowsOf = (person: string) => ofPerson.all(person) as LinkRow[];
  const person = (account: string) => (personOf.get(account) as string | undefined) ?? null;

  const link = db.transaction((own: LinkRow, added: LinkRow, max: number) => {
    const id = person(own.account) ?? randomUUID();
    if ((person(added.account) ?? id) !== id) return false;
    const all = new Map([...rowsOf(id), own, added].map((row) => [row.account, row]));
    const subjects = [...all.values()];
    const clash = subjects.some((a) => subjects.some((b) => a.scheme === b.scheme && a.subject !== b.subject));
    if (clash || all.size > max || subjects.some(({ subject }) => other.get(subject, id) !== undefined)) return false;
    for (const row of [own, added]) put.run({ ...row, person: id });
    return true;
  });
  const unlink = db.transaction((account: string) => {
    const id = person(account);
    if (id === null) return;
    remove.run(account);
    if (rowsOf(id).length < 2) removePerson.run(id);
  });
  return {
    async linked(account) {
      const id = person(account);
      return id === null ? [] : rowsOf(id);
    },
    link: async (own, added, max) => link.immediate(own, added, max),
    raise: async (account, level) => void raise.run(level, account, level),
    unlink: async (account) => unlink.immediate(account),
  };
}
