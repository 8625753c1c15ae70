// The store of accesses in SQLite: accesses.db in the data folder (contract: accesses.ts). What tells about a request
// stands in `sealed` only; `secure_delete` overwrites what is forgotten.
import Database from 'better-sqlite3';
import type { AccessRow, AccessStore, ErasableAccess, UnsettledUse } from './accesses.ts';

// `code` repeats what the message log says, once it was looked up there for the uses of a receipt; null until then.
const SCHEMA = `
CREATE TABLE IF NOT EXISTS access (
  row INTEGER PRIMARY KEY,
  peer TEXT NOT NULL,
  exchange TEXT NOT NULL,
  tag TEXT NOT NULL,
  provider TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  visible_from_ms INTEGER NOT NULL,
  is_own INTEGER NOT NULL CHECK (is_own IN (0, 1)),
  receipt TEXT,
  issuer TEXT,
  code TEXT,
  sealed BLOB NOT NULL,
  retention TEXT NOT NULL DEFAULT 'standard',
  UNIQUE (peer, exchange)
) STRICT;
CREATE INDEX IF NOT EXISTS access_about ON access (tag, provider, at_ms);
CREATE INDEX IF NOT EXISTS access_at ON access (at_ms);
CREATE INDEX IF NOT EXISTS access_on ON access (receipt, issuer, code) WHERE receipt IS NOT NULL;
CREATE TABLE IF NOT EXISTS question (
  provider TEXT NOT NULL, nonce TEXT NOT NULL, tag TEXT NOT NULL, at_ms INTEGER NOT NULL,
  PRIMARY KEY (provider, nonce)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS question_of ON question (tag, provider, at_ms);
`;
// Files from before there were retention classes.
const RETENTION = "ALTER TABLE access ADD COLUMN retention TEXT NOT NULL DEFAULT 'standard'";
const COLUMNS = `exchange, peer, tag, provider, at_ms AS atMs, visible_from_ms AS visibleFromMs, is_own AS isOwn,
  receipt, issuer, retention, sealed`;
const MAX_EXCHANGES_OF_PERSON = 100_000;

/** Opens or makes the file. */
export function openAccessStoreSqlite(file: string): AccessStore {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('secure_delete = ON');
  db.exec(SCHEMA);
  const columns = db.pragma('table_info(access)') as { name: string }[];
  if (!columns.some(({ name }) => name === 'retention')) db.exec(RETENTION);
  const insert = db.prepare(
    `INSERT INTO access (peer, exchange, tag, provider, at_ms, visible_from_ms, is_own, receipt, issuer, sealed,
       retention)
     VALUES (@peer, @exchange, @tag, @provider, @atMs, @visibleFromMs, @isOwn, @receipt, @issuer, @sealed, @retention)
     ON CONFLICT (peer, exchange) DO NOTHING`,
  );
  const insertAll = db.transaction((rows: readonly AccessRow[]) => {
    for (const row of rows) insert.run({ ...row, isOwn: row.isOwn ? 1 : 0 });
  });
  const page = db.prepare(
    `SELECT ${COLUMNS} FROM access
     WHERE tag = @tag AND provider = @provider AND at_ms BETWEEN @fromMs AND @untilMs AND visible_from_ms <= @nowMs
     ORDER BY at_ms DESC, row DESC LIMIT @limit`,
  );
  const about = db.prepare(
    `SELECT ${COLUMNS} FROM access
     WHERE tag = ? AND provider = ? AND exchange = ? AND visible_from_ms <= ? ORDER BY row`,
  );
  return {
    insert: (rows) => insertAll(rows),
    page: (window, nowMs, limit) => (page.all({ ...window, nowMs, limit }) as StoredRow[]).map(rowOf),
    about: (tag, provider, exchange, nowMs) => (about.all(tag, provider, exchange, nowMs) as StoredRow[]).map(rowOf),
    ...questions(db),
    ...receipts(db),
    ...erasing(db),
    close: () => db.close(),
  };
}

type StoredRow = Omit<AccessRow, 'isOwn'> & { isOwn: 0 | 1 };

function rowOf(row: StoredRow): AccessRow {
  return { ...row, isOwn: row.isOwn === 1 };
}

function erasing(db: Database.Database): Pick<AccessStore, 'between' | 'ofExchange' | 'exchangesOf' | 'remove'> {
  const facts = 'row, exchange, peer, tag, at_ms AS atMs, visible_from_ms AS visibleFromMs, retention';
  const between = db.prepare(
    `SELECT ${facts} FROM access
     WHERE at_ms >= ? AND at_ms < ? AND (at_ms, row) > (?, ?) ORDER BY at_ms, row LIMIT ?`,
  );
  const ofExchange = db.prepare(`SELECT ${facts} FROM access WHERE peer = ? AND exchange = ?`);
  const exchangesOf = db.prepare(
    `SELECT DISTINCT exchange AS id, peer FROM access WHERE tag = ? LIMIT ${MAX_EXCHANGES_OF_PERSON}`,
  );
  const remove = db.prepare('DELETE FROM access WHERE row = ?');
  const removeAll = db.transaction((rows: readonly number[]) => {
    for (const row of rows) remove.run(row);
  });
  return {
    between: (fromMs, beforeMs, after, limit) =>
      between.all(fromMs, beforeMs, after.atMs, after.row, limit) as ErasableAccess[],
    ofExchange: ({ id, peer }) => ofExchange.all(peer, id) as ErasableAccess[],
    exchangesOf: (tag) => exchangesOf.all(tag) as { id: string; peer: string }[],
    remove(rows) {
      if (rows.length === 0) return;
      removeAll(rows);
      // Also out of the write-ahead log, or a forgotten row would live on in it.
      db.pragma('wal_checkpoint(TRUNCATE)');
    },
  };
}

function questions(db: Database.Database): Pick<AccessStore, 'take' | 'taken' | 'forgetQuestions'> {
  const take = db.prepare('INSERT INTO question VALUES (@provider, @nonce, @tag, @atMs) ON CONFLICT DO NOTHING');
  const taken = db.prepare('SELECT count(*) FROM question WHERE tag = ? AND provider = ? AND at_ms > ?').pluck();
  const forget = db.prepare('DELETE FROM question WHERE at_ms < ?');
  return {
    take: (question) => take.run(question).changes === 1,
    taken: (tag, provider, sinceMs) => taken.get(tag, provider, sinceMs) as number,
    forgetQuestions: (beforeMs) => void forget.run(beforeMs),
  };
}

function receipts(db: Database.Database): Pick<AccessStore, 'unsettled' | 'settle' | 'uses'> {
  const unsettled = db.prepare(
    `SELECT row, exchange, peer, at_ms AS atMs FROM access
     WHERE receipt = ? AND issuer = ? AND code IS NULL AND row > ? ORDER BY row LIMIT ?`,
  );
  const settle = db.prepare('UPDATE access SET code = @code WHERE row = @row');
  const settleAll = db.transaction((outcomes: readonly { row: number; code: string }[]) => {
    for (const outcome of outcomes) settle.run(outcome);
  });
  const uses = db.prepare(
    `SELECT count(*) AS used, max(at_ms) AS lastUsedAtMs FROM access
     WHERE receipt = ? AND issuer = ? AND code = 'OK' AND visible_from_ms <= ?`,
  );
  return {
    unsettled: (receipt, issuer, after, limit) => unsettled.all(receipt, issuer, after, limit) as UnsettledUse[],
    settle: (outcomes) => settleAll(outcomes),
    uses(receipt, issuer, nowMs) {
      const found = uses.get(receipt, issuer, nowMs) as { used: number; lastUsedAtMs: number };
      return found.used === 0 ? null : found;
    },
  };
}
