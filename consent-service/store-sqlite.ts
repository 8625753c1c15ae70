// The consent store in SQLite (store.ts): write-ahead log, an fsync for every commit, STRICT tables, and triggers that keep
// records and receipts append-only, also against REPLACE, which goes round UPDATE and DELETE triggers. Whoever owns the
// file can drop the triggers; against that stand the hash chain and the receipts that others hold.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { configure, reserveFile } from '#core/log/store-sqlite.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { type SqlEngine, type SqlRow, type SqlStatement, sqlConsentStore } from './sql-store.ts';
import type { ConsentStore } from './store.ts';

type Connection = InstanceType<typeof Database>;

/** 'ACCS' */
const APPLICATION_ID = 0x41434353;

const TABLES = `
CREATE TABLE records (seq INTEGER PRIMARY KEY, line TEXT NOT NULL, hash TEXT NOT NULL, consent TEXT NOT NULL) STRICT;
CREATE INDEX records_by_consent ON records (consent, seq);
CREATE TABLE consents (
  id TEXT PRIMARY KEY, client TEXT NOT NULL, purpose TEXT NOT NULL, purpose_hash TEXT NOT NULL, subject TEXT NOT NULL,
  services TEXT NOT NULL, state TEXT NOT NULL, filed_at_ms INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL,
  decided_at_ms INTEGER, valid_until_ms INTEGER) STRICT, WITHOUT ROWID;
CREATE INDEX consents_by_subject ON consents (subject, state);
CREATE INDEX consents_by_client ON consents (client, state, subject);
CREATE INDEX consents_of_client ON consents (client, filed_at_ms);
CREATE INDEX consents_waiting ON consents (expires_at_ms) WHERE state = 'REQUESTED';
CREATE INDEX consents_in_force ON consents (valid_until_ms) WHERE state IN ('GIVEN', 'SUSPENDED');
CREATE INDEX consents_by_purpose ON consents (purpose_hash, state);
CREATE TABLE links (hash TEXT PRIMARY KEY, consent TEXT NOT NULL, until_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE sealed (consent TEXT NOT NULL, kind TEXT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (consent, kind)) STRICT;
CREATE TABLE lists (id TEXT PRIMARY KEY, subsystem TEXT NOT NULL, uri TEXT NOT NULL, places INTEGER NOT NULL) STRICT;
CREATE TABLE statuses (
  list TEXT NOT NULL, idx INTEGER NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (list, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE receipts (
  jti TEXT PRIMARY KEY, consent TEXT NOT NULL, service TEXT NOT NULL, jws TEXT NOT NULL, list TEXT NOT NULL,
  idx INTEGER NOT NULL, UNIQUE (list, idx), UNIQUE (consent, service)) STRICT;
`;

const stop = (what: string) => `BEGIN SELECT RAISE(ABORT, '${what}'); END;`;
const TRIGGERS = `
CREATE TRIGGER records_update BEFORE UPDATE ON records ${stop('records: append-only')}
CREATE TRIGGER records_delete BEFORE DELETE ON records ${stop('records: append-only')}
CREATE TRIGGER records_insert BEFORE INSERT ON records
  WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), -1) + 1 FROM records) ${stop('records: out of sequence')}
CREATE TRIGGER receipts_update BEFORE UPDATE ON receipts ${stop('receipts: append-only')}
CREATE TRIGGER receipts_delete BEFORE DELETE ON receipts ${stop('receipts: append-only')}
CREATE TRIGGER receipts_insert BEFORE INSERT ON receipts WHEN EXISTS (SELECT 1 FROM receipts
  WHERE jti = NEW.jti OR (list = NEW.list AND idx = NEW.idx) OR (consent = NEW.consent AND service = NEW.service))
  ${stop('receipts: taken')}
CREATE TRIGGER consents_delete BEFORE DELETE ON consents ${stop('consents: kept')}
CREATE TRIGGER statuses_delete BEFORE DELETE ON statuses ${stop('statuses: kept')}
CREATE TRIGGER statuses_update BEFORE UPDATE ON statuses WHEN OLD.value = 1 AND NEW.value IS NOT 1
  ${stop('statuses: invalid is for ever')}
CREATE TRIGGER statuses_insert BEFORE INSERT ON statuses WHEN NEW.value IS NOT 1
  AND EXISTS (SELECT 1 FROM statuses WHERE list = NEW.list AND idx = NEW.idx AND value = 1)
  ${stop('statuses: invalid is for ever')}
`;

const MANDATES = `
ALTER TABLE consents ADD COLUMN mandate TEXT;
CREATE INDEX consents_by_mandate ON consents (mandate, state) WHERE mandate IS NOT NULL;
CREATE TABLE mandates (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, register TEXT, represented TEXT NOT NULL, representative TEXT NOT NULL,
  purposes TEXT, max_level INTEGER NOT NULL, not_before_ms INTEGER NOT NULL, valid_until_ms INTEGER NOT NULL,
  majority_on TEXT, answer_until_ms INTEGER, state TEXT NOT NULL, filed_at_ms INTEGER NOT NULL, ended_at_ms INTEGER,
  reason TEXT) STRICT, WITHOUT ROWID;
CREATE INDEX mandates_by_represented ON mandates (represented, state);
CREATE INDEX mandates_by_representative ON mandates (representative, state);
CREATE INDEX mandates_open ON mandates (valid_until_ms) WHERE state <> 'ENDED';
CREATE TRIGGER mandates_delete BEFORE DELETE ON mandates ${stop('mandates: kept')}
`;

/** What made each version out of the one before; a new database goes through all of them. */
const FORMATS = [TABLES + TRIGGERS, MANDATES];

/**
 * Opens, or makes, the store in `folder` (consents.db), and holds it alone until it is closed.
 * @throws CONSENT_STORE_IN_USE, CONSENT_STORE_FAILED
 */
export function openConsentStoreSqlite(folder: string): ConsentStore {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = holdLock(join(folder, 'consents.lock'));
  try {
    const db = new Database(reserveFile(join(folder, 'consents.db')), { timeout: 2_000 });
    configure(db);
    const [id, version] = ['application_id', 'user_version'].map((name) => Number(db.pragma(name, { simple: true })));
    if (version === undefined || version > FORMATS.length || (version > 0 && id !== APPLICATION_ID)) {
      throw new AccordError('CONSENT_STORE_FAILED', `consents.db is not of format 1 to ${FORMATS.length}`);
    }
    if (version < FORMATS.length) {
      db.transaction(() => {
        for (const format of FORMATS.slice(version)) db.exec(format);
        db.pragma(`application_id = ${APPLICATION_ID}`);
        db.pragma(`user_version = ${FORMATS.length}`);
      }).immediate();
    }
    return sqlConsentStore(engine(db, lock));
  } catch (cause) {
    lock.close();
    throw isAccordError(cause) ? cause : failed(cause);
  }
}

function engine(db: Connection, lock: Connection): SqlEngine {
  const prepared = new Map<string, Database.Statement>();
  let isFailed = false;
  const prepare = (sql: string) => {
    const known = prepared.get(sql);
    if (known !== undefined) return known;
    const made = db.prepare(sql);
    // Lists of values make many spellings; only so many are kept.
    if (prepared.size < 200) prepared.set(sql, made);
    return made;
  };
  const commit = (statements: readonly SqlStatement[]) =>
    db.transaction(() => {
      for (const { sql, values } of statements) prepare(sql).run(...values);
    });
  return {
    async read({ sql, values }) {
      try {
        return prepare(sql).all(...values) as SqlRow[];
      } catch (cause) {
        throw failed(cause);
      }
    },
    async write(statements) {
      if (isFailed) throw new AccordError('CONSENT_STORE_FAILED', 'after a failed write; restart');
      try {
        commit(statements).immediate();
      } catch (cause) {
        isFailed = true;
        throw failed(cause);
      }
    },
    async close() {
      db.close();
      lock.close();
    },
  };
}

function holdLock(file: string): Connection {
  const lock = new Database(reserveFile(file), { timeout: 0 });
  try {
    lock.pragma('journal_mode = DELETE');
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (cause) {
    lock.close();
    const isBusy = cause instanceof Database.SqliteError && cause.code.startsWith('SQLITE_BUSY');
    throw isBusy ? new AccordError('CONSENT_STORE_IN_USE', file) : failed(cause);
  }
}

function failed(cause: unknown): AccordError {
  return new AccordError('CONSENT_STORE_FAILED', cause instanceof Error ? cause.message : '', { cause });
}
