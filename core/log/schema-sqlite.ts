// Tables of the message log in SQLite. Everything but claims and the probe is append-only, and the database says so
// itself: UPDATE and DELETE raise, and a BEFORE INSERT trigger demands the next number, because INSERT OR REPLACE goes
// round delete triggers. Whoever owns the file can drop the triggers; against that stand the Merkle tree and the
// checkpoints kept elsewhere. The triggers stop mistakes and keep gaps out.
import type Database from 'better-sqlite3';

type Connection = InstanceType<typeof Database>;

export const FORMAT_VERSION = 1;
/** 'ACLG' */
export const APPLICATION_ID = 0x41434c47;

const TABLES = `
CREATE TABLE identity (
  number INTEGER PRIMARY KEY,
  origin TEXT NOT NULL,
  verifier_key TEXT NOT NULL
) STRICT;
CREATE TABLE entries (
  seq INTEGER PRIMARY KEY,
  line TEXT NOT NULL,
  leaf BLOB NOT NULL CHECK (length(leaf) = 32),
  exchange_id TEXT NOT NULL
) STRICT;
CREATE INDEX entries_by_exchange ON entries (exchange_id, seq);
CREATE TABLE signatures (
  hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
  jws TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE evidence (
  seq INTEGER PRIMARY KEY,
  statement BLOB NOT NULL,
  signature BLOB NOT NULL CHECK (length(signature) = 32),
  batch_index INTEGER NOT NULL,
  batch_size INTEGER NOT NULL,
  path BLOB NOT NULL
) STRICT;
CREATE TABLE sealed (
  seq INTEGER PRIMARY KEY,
  key_id BLOB NOT NULL,
  bytes BLOB NOT NULL
) STRICT;
CREATE TABLE tiles (
  level INTEGER NOT NULL,
  number INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoints (
  number INTEGER PRIMARY KEY,
  size INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  note TEXT NOT NULL
) STRICT;
CREATE TABLE claims (
  sender TEXT NOT NULL,
  id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  until_ms INTEGER NOT NULL,
  PRIMARY KEY (sender, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_by_time ON claims (until_ms);
CREATE TABLE probe (bytes BLOB NOT NULL) STRICT;
`;

/** What a new row has to satisfy, per table. */
const NEXT = {
  identity: 'NEW.number IS NOT 1 OR EXISTS (SELECT 1 FROM identity)',
  entries: 'NEW.seq IS NOT (SELECT coalesce(max(seq), -1) + 1 FROM entries)',
  signatures: 'EXISTS (SELECT 1 FROM signatures WHERE hash = NEW.hash)',
  evidence: 'NEW.seq IS NOT (SELECT max(seq) FROM entries) OR EXISTS (SELECT 1 FROM evidence WHERE seq = NEW.seq)',
  sealed: 'NEW.seq IS NOT (SELECT max(seq) FROM entries) OR EXISTS (SELECT 1 FROM sealed WHERE seq = NEW.seq)',
  tiles: 'NEW.number IS NOT (SELECT coalesce(max(number), -1) + 1 FROM tiles WHERE level = NEW.level)',
  checkpoints: 'NEW.number IS NOT (SELECT coalesce(max(number), -1) + 1 FROM checkpoints)',
};

const APPEND_ONLY_TABLES = Object.keys(NEXT) as (keyof typeof NEXT)[];

function triggers(table: keyof typeof NEXT): string {
  const raise = (what: string) => `BEGIN SELECT RAISE(ABORT, '${table}: ${what}'); END;`;
  return [
    `CREATE TRIGGER ${table}_update BEFORE UPDATE ON ${table} ${raise('append-only')}`,
    `CREATE TRIGGER ${table}_delete BEFORE DELETE ON ${table} ${raise('append-only')}`,
    `CREATE TRIGGER ${table}_insert BEFORE INSERT ON ${table} WHEN ${NEXT[table]} ${raise('out of sequence')}`,
  ].join('\n');
}

/** Makes the tables in an empty database; one transaction, so that a crash leaves none of them. */
export function createTables(db: Connection): void {
  db.transaction(() => {
    db.exec(TABLES);
    for (const table of APPEND_ONLY_TABLES) db.exec(triggers(table));
    // The probe writes and takes back within one row; a claim is deleted when its time is over.
    db.exec("CREATE TRIGGER claims_update BEFORE UPDATE ON claims BEGIN SELECT RAISE(ABORT, 'claims: fixed'); END;");
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${FORMAT_VERSION}`);
  }).immediate();
}
