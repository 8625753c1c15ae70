// The consent store in PostgreSQL (store.ts), in the schema `accord_consent` of the department's database. One session
// writes, with synchronous commits, and holds an advisory lock for as long as it lives; when that session is lost, so is
// the right to write. A few others read. Triggers keep records and receipts append-only; a role that may not own or alter
// the tables is the second lock (docs/consent.md).
import pg from 'pg';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { type SqlEngine, type SqlStatement, sqlConsentStore } from './sql-store.ts';
import type { ConsentStore } from './store.ts';

const SCHEMA = 'accord_consent';
/** 'ACCS', and the lock's number: one writer in one database. */
const LOCK = [0x41434353, 1];
const READERS = 4;
const TIMEOUT_MS = 10_000;

const TABLES = `
CREATE SCHEMA IF NOT EXISTS ${SCHEMA};
CREATE TABLE IF NOT EXISTS records (seq bigint PRIMARY KEY, line text NOT NULL, hash text NOT NULL, consent text NOT NULL);
CREATE INDEX IF NOT EXISTS records_by_consent ON records (consent, seq);
CREATE TABLE IF NOT EXISTS consents (
  id text PRIMARY KEY, client text NOT NULL, purpose text NOT NULL, purpose_hash text NOT NULL, subject text NOT NULL,
  services text NOT NULL, state text NOT NULL, filed_at_ms bigint NOT NULL, expires_at_ms bigint NOT NULL,
  decided_at_ms bigint, valid_until_ms bigint);
CREATE INDEX IF NOT EXISTS consents_by_subject ON consents (subject, state);
CREATE INDEX IF NOT EXISTS consents_by_client ON consents (client, state, subject);
CREATE INDEX IF NOT EXISTS consents_of_client ON consents (client, filed_at_ms);
CREATE INDEX IF NOT EXISTS consents_waiting ON consents (expires_at_ms) WHERE state = 'REQUESTED';
CREATE INDEX IF NOT EXISTS consents_in_force ON consents (valid_until_ms) WHERE state IN ('GIVEN', 'SUSPENDED');
CREATE INDEX IF NOT EXISTS consents_by_purpose ON consents (purpose_hash, state);
CREATE TABLE IF NOT EXISTS links (hash text PRIMARY KEY, consent text NOT NULL, until_ms bigint NOT NULL);
CREATE TABLE IF NOT EXISTS sealed (
  consent text NOT NULL, kind text NOT NULL, bytes bytea NOT NULL, PRIMARY KEY (consent, kind));
CREATE TABLE IF NOT EXISTS lists (id text PRIMARY KEY, subsystem text NOT NULL, uri text NOT NULL, places bigint NOT NULL);
CREATE TABLE IF NOT EXISTS statuses (
  list text NOT NULL, idx bigint NOT NULL, value bigint NOT NULL, PRIMARY KEY (list, idx));
CREATE TABLE IF NOT EXISTS receipts (
  jti text PRIMARY KEY, consent text NOT NULL, service text NOT NULL, jws text NOT NULL, list text NOT NULL,
  idx bigint NOT NULL, UNIQUE (list, idx), UNIQUE (consent, service));
ALTER TABLE consents ADD COLUMN IF NOT EXISTS mandate text;
CREATE INDEX IF NOT EXISTS consents_by_mandate ON consents (mandate, state) WHERE mandate IS NOT NULL;
CREATE TABLE IF NOT EXISTS mandates (
  id text PRIMARY KEY, kind text NOT NULL, register text, represented text NOT NULL, representative text NOT NULL,
  purposes text, max_level bigint NOT NULL, not_before_ms bigint NOT NULL, valid_until_ms bigint NOT NULL,
  majority_on text, answer_until_ms bigint, state text NOT NULL, filed_at_ms bigint NOT NULL, ended_at_ms bigint,
  reason text);
CREATE INDEX IF NOT EXISTS mandates_by_represented ON mandates (represented, state);
CREATE INDEX IF NOT EXISTS mandates_by_representative ON mandates (representative, state);
CREATE INDEX IF NOT EXISTS mandates_open ON mandates (valid_until_ms) WHERE state <> 'ENDED';
CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION '%: append-only', TG_TABLE_NAME; END $$;
CREATE OR REPLACE FUNCTION in_sequence() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.seq IS DISTINCT FROM (SELECT coalesce(max(seq), -1) + 1 FROM ${SCHEMA}.records) THEN
    RAISE EXCEPTION 'records: out of sequence'; END IF;
  RETURN NEW; END $$;
CREATE OR REPLACE FUNCTION invalid_is_for_ever() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF OLD.value = 1 AND NEW.value IS DISTINCT FROM 1 THEN RAISE EXCEPTION 'statuses: invalid is for ever'; END IF;
  RETURN NEW; END $$;
CREATE OR REPLACE TRIGGER records_fixed BEFORE UPDATE OR DELETE ON records FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE OR REPLACE TRIGGER records_kept BEFORE TRUNCATE ON records EXECUTE FUNCTION refuse();
CREATE OR REPLACE TRIGGER records_insert BEFORE INSERT ON records FOR EACH ROW EXECUTE FUNCTION in_sequence();
CREATE OR REPLACE TRIGGER receipts_fixed BEFORE UPDATE OR DELETE ON receipts FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE OR REPLACE TRIGGER receipts_kept BEFORE TRUNCATE ON receipts EXECUTE FUNCTION refuse();
CREATE OR REPLACE TRIGGER consents_kept BEFORE DELETE ON consents FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE OR REPLACE TRIGGER mandates_kept BEFORE DELETE ON mandates FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE OR REPLACE TRIGGER statuses_kept BEFORE DELETE ON statuses FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE OR REPLACE TRIGGER statuses_update BEFORE UPDATE ON statuses FOR EACH ROW EXECUTE FUNCTION invalid_is_for_ever();
`;

/** int8 as a number: no value here comes near 2^53. */
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === 20 ? Number : pg.types.getTypeParser(oid, format as 'text'),
} as unknown as pg.CustomTypesConfig;

/**
 * @param url postgres://user:password@host:port/database
 * @throws CONSENT_STORE_IN_USE, CONSENT_STORE_FAILED
 */
export async function openConsentStorePostgres(url: string): Promise<ConsentStore> {
  const settings = {
    connectionString: url,
    connectionTimeoutMillis: TIMEOUT_MS,
    types,
    application_name: 'accord-consent',
    options: `-c search_path=${SCHEMA} -c statement_timeout=${TIMEOUT_MS} -c TimeZone=UTC -c synchronous_commit=on`,
  };
  const writer = new pg.Client(settings);
  try {
    await writer.connect();
    const [held] = (await writer.query('SELECT pg_try_advisory_lock($1, $2) AS held', LOCK)).rows;
    if (held?.held !== true) throw new AccordError('CONSENT_STORE_IN_USE', SCHEMA);
    await writer.query(`BEGIN; ${TABLES} COMMIT;`);
  } catch (cause) {
    await writer.end().catch(() => {});
    throw isAccordError(cause) ? cause : failed(cause);
  }
  const readers = new pg.Pool({ ...settings, max: READERS, idleTimeoutMillis: 30_000 });
  readers.on('error', () => {}); // an idle connection died; the next question opens another
  return sqlConsentStore(engine(writer, readers));
}

function engine(writer: pg.Client, readers: pg.Pool): SqlEngine {
  let isFailed = false;
  let last: Promise<unknown> = Promise.resolve();
  writer.on('error', () => {
    isFailed = true;
  });
  // A cancelled wait for a synchronous standby returns success with a warning: nobody knows then what was kept.
  writer.on('notice', ({ severity }) => {
    if (severity === 'WARNING') isFailed = true;
  });
  const run = async (statements: readonly SqlStatement[]) => {
    if (isFailed) throw new AccordError('CONSENT_STORE_FAILED', 'after a failed write; restart');
    try {
      await writer.query('BEGIN');
      for (const { sql, values } of statements) await writer.query(numbered(sql), [...values]);
      await writer.query('COMMIT');
    } catch (cause) {
      isFailed = true;
      await writer.query('ROLLBACK').catch(() => {});
      throw failed(cause);
    }
    if (isFailed) throw new AccordError('CONSENT_STORE_FAILED', 'the commit came with a warning');
  };
  return {
    async read({ sql, values }) {
      try {
        return (await readers.query(numbered(sql), [...values])).rows;
      } catch (cause) {
        throw failed(cause);
      }
    },
    write(statements) {
      const mine = last.then(() => run(statements));
      last = mine.catch(() => {});
      return mine;
    },
    async close() {
      await last;
      await readers.end();
      await writer.end();
    },
  };
}

/** `?` to `$1`, `$2`, …; no statement of ours holds a question mark elsewhere. */
function numbered(sql: string): string {
  let count = 0;
  return sql.replace(/\?/g, () => `$${++count}`);
}

function failed(cause: unknown): AccordError {
  return new AccordError('CONSENT_STORE_FAILED', cause instanceof Error ? cause.message : '', { cause });
}
