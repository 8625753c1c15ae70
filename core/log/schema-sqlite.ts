// Tables of the message log in SQLite. Everything but claims and the probe is append-only, and the database says so
// itself: UPDATE and DELETE raise, and a BEFORE INSERT trigger demands the next number, because INSERT OR REPLACE goes
// round delete triggers. Whoever owns the file can drop the triggers; against that stand the Merkle tree and the
// checkpoints kept elsewhere. The triggers stop mistakes and keep gaps out.
//
// An entry and all that lies beside it is one row: four rows in four trees cost twice as much to append. Of indexes there
// are two that grow with time, because ids are time-ordered; signatures are numbered, not found by their hash.
import type Database from 'better-sqlite3';

type Connection = InstanceType<typeof Database>;

/** 1: evidence and sealed parts in tables of their own, each statement with its path. */
export const FORMAT_VERSION = 2;
const FIRST_FORMAT = 1;
/** 'ACLG' */
export const APPLICATION_ID = 0x41434c47;

// `path` is null where the rows from `first` to `last` of the signature hold its whole batch: it follows from them.
// A note (record.ts) stands in `statement` and has no signature.
const ENTRIES = `
CREATE TABLE entries (
  seq INTEGER PRIMARY KEY,
  line TEXT NOT NULL,
  leaf BLOB NOT NULL CHECK (length(leaf) = 32),
  exchange_id TEXT NOT NULL,
  signature INTEGER,
  batch_index INTEGER,
  batch_size INTEGER,
  path BLOB,
  statement BLOB,
  key_id BLOB,
  sealed BLOB
) STRICT;
CREATE INDEX entries_by_exchange ON entries (exchange_id);
CREATE TABLE signatures (
  number INTEGER PRIMARY KEY,
  jws TEXT NOT NULL,
  first INTEGER,
  last INTEGER
) STRICT;
`;

const OTHERS = `
CREATE TABLE identity (
  number INTEGER PRIMARY KEY,
  origin TEXT NOT NULL,
  verifier_key TEXT NOT NULL
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
  signatures: 'NEW.number IS NOT (SELECT coalesce(max(number), -1) + 1 FROM signatures)',
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
    db.exec(ENTRIES);
    db.exec(OTHERS);
    for (const table of APPEND_ONLY_TABLES) db.exec(triggers(table));
    // The probe writes and takes back within one row; a claim is deleted when its time is over.
    db.exec("CREATE TRIGGER claims_update BEFORE UPDATE ON claims BEGIN SELECT RAISE(ABORT, 'claims: fixed'); END;");
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${FORMAT_VERSION}`);
  }).immediate();
}

/** The rows of format 1 in the columns of today; a signature's number is its hash. */
const FIRST_ENTRIES = (entries: string, evidence: string, sealed: string) =>
  `SELECT e.seq, e.line, e.leaf, e.exchange_id, CASE v.batch_size WHEN 0 THEN NULL ELSE v.signature END AS signature,
    v.batch_index, v.batch_size, v.path, v.statement, s.key_id, s.bytes AS sealed
  FROM ${entries} e LEFT JOIN ${evidence} v ON v.seq = e.seq LEFT JOIN ${sealed} s ON s.seq = e.seq`;

function isOfFirstFormat(db: Connection): boolean {
  const id = db.pragma('application_id', { simple: true });
  return id === APPLICATION_ID && db.pragma('user_version', { simple: true }) === FIRST_FORMAT;
}

/** Lets this connection read a database of format 1 as if it were of today's: a closed log stays as it was closed. */
export function readFirstFormat(db: Connection): boolean {
  if (!isOfFirstFormat(db)) return false;
  db.exec(
    `CREATE TEMP VIEW signatures AS SELECT hash AS number, jws, NULL AS first, NULL AS last FROM main.signatures`,
  );
  db.exec(`CREATE TEMP VIEW entries AS ${FIRST_ENTRIES('main.entries', 'main.evidence', 'main.sealed')}`);
  return true;
}

/** Brings a log of format 1 to today's; one transaction, so that a crash leaves the one or the other. Lines do not change. */
export function migrateFirstFormat(db: Connection): void {
  if (!isOfFirstFormat(db)) return;
  const old = ['entries', 'evidence', 'sealed', 'signatures'];
  db.transaction(() => {
    for (const table of old) {
      for (const rule of ['update', 'delete', 'insert']) db.exec(`DROP TRIGGER IF EXISTS ${table}_${rule}`);
      db.exec(`ALTER TABLE ${table} RENAME TO ${table}_1`);
    }
    db.exec('DROP INDEX IF EXISTS entries_by_exchange');
    db.exec(ENTRIES);
    // In the order of their first statements; a temporary table finds the number of a hash.
    db.exec(`CREATE TEMP TABLE numbered (number INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB UNIQUE, jws TEXT);
      INSERT INTO numbered (hash, jws) SELECT hash, jws FROM signatures_1 JOIN
        (SELECT signature, min(seq) AS first FROM evidence_1 GROUP BY signature) ON signature = hash ORDER BY first;
      INSERT INTO signatures SELECT number - 1, jws, NULL, NULL FROM numbered ORDER BY number;
      INSERT INTO entries SELECT seq, line, leaf, exchange_id,
        (SELECT number - 1 FROM numbered WHERE hash = signature), batch_index, batch_size, path, statement, key_id, sealed
      FROM (${FIRST_ENTRIES('entries_1', 'evidence_1', 'sealed_1')}) ORDER BY seq;
      DROP TABLE numbered;`);
    for (const table of old) db.exec(`DROP TABLE ${table}_1`);
    for (const table of ['entries', 'signatures'] as const) db.exec(triggers(table));
    db.pragma(`user_version = ${FORMAT_VERSION}`);
  }).immediate();
}
