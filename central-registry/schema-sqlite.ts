// Tables of the central registry, and how its database is opened. STRICT, so that a column holds what it says; the audit trail can only grow, also against
// REPLACE, which goes round UPDATE and DELETE triggers.
import Database from 'better-sqlite3';

/** For a registry made before services could be bound. */
const ADD_BINDING_HASH = 'ALTER TABLE services ADD COLUMN binding_hash TEXT';

/** For a registry made before maintenance could be announced. */
const ADD_MAINTENANCE = 'ALTER TABLE servers ADD COLUMN maintenance TEXT';

export interface ServerRow {
  id: string;
  code: string;
  address: string;
  log_origin: string;
  log_key: string;
  /** JSON; null when none is announced. */
  maintenance: string | null;
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS classes (code TEXT PRIMARY KEY, title TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS members (
  id TEXT PRIMARY KEY, class TEXT NOT NULL REFERENCES classes(code), name TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS subsystems (
  id TEXT PRIMARY KEY, member TEXT NOT NULL REFERENCES members(id), code TEXT NOT NULL, name TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS subsystems_member ON subsystems(member);
CREATE TABLE IF NOT EXISTS servers (
  id TEXT PRIMARY KEY, member TEXT NOT NULL REFERENCES members(id), code TEXT NOT NULL, address TEXT NOT NULL,
  log_origin TEXT NOT NULL UNIQUE, log_key TEXT NOT NULL UNIQUE, maintenance TEXT) STRICT;
CREATE INDEX IF NOT EXISTS servers_member ON servers(member);
CREATE TABLE IF NOT EXISTS server_subsystems (
  server TEXT NOT NULL REFERENCES servers(id), subsystem TEXT NOT NULL REFERENCES subsystems(id),
  PRIMARY KEY (server, subsystem)) STRICT;
CREATE TABLE IF NOT EXISTS keys (
  hash TEXT PRIMARY KEY, server TEXT NOT NULL REFERENCES servers(id), use TEXT NOT NULL, key_hash TEXT NOT NULL,
  der TEXT, jwk TEXT, not_after_ms INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS keys_server ON keys(server);
CREATE INDEX IF NOT EXISTS keys_key ON keys(key_hash);
CREATE TABLE IF NOT EXISTS services (
  id TEXT PRIMARY KEY, subsystem TEXT NOT NULL REFERENCES subsystems(id), title TEXT NOT NULL, type TEXT NOT NULL,
  description_hash TEXT, personal_data INTEGER NOT NULL, safe INTEGER NOT NULL, binding_hash TEXT) STRICT;
CREATE INDEX IF NOT EXISTS services_subsystem ON services(subsystem);
CREATE TABLE IF NOT EXISTS descriptions (hash TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS trust (hash TEXT PRIMARY KEY, kind TEXT NOT NULL, der TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS crl_numbers (issuer TEXT PRIMARY KEY, number TEXT NOT NULL, crl TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS limits (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS api_keys (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, secret_hash TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL, revoked_at_ms INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS idempotency (
  principal TEXT NOT NULL, key TEXT NOT NULL, request_hash TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
  at_ms INTEGER NOT NULL, PRIMARY KEY (principal, key)) STRICT;
CREATE TABLE IF NOT EXISTS audit (
  seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, principal TEXT NOT NULL, role TEXT NOT NULL, action TEXT NOT NULL,
  target TEXT NOT NULL, request_hash TEXT NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_dense BEFORE INSERT ON audit
  WHEN NEW.seq != (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit) BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TABLE IF NOT EXISTS parts (hash TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS drafts (
  version INTEGER PRIMARY KEY, payload BLOB NOT NULL, created_at_ms INTEGER NOT NULL, created_by TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS draft_signatures (
  version INTEGER NOT NULL REFERENCES drafts(version), kid TEXT NOT NULL, protected TEXT NOT NULL,
  signature TEXT NOT NULL, PRIMARY KEY (version, kid)) STRICT;
CREATE TABLE IF NOT EXISTS distrust (
  seq INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, jws TEXT NOT NULL, lifted INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS published (
  kind TEXT NOT NULL, version INTEGER NOT NULL, hash TEXT NOT NULL, file BLOB NOT NULL, PRIMARY KEY (kind, version)
) STRICT;
`;

export interface AuditRow {
  seq: number;
  atMs: number;
  principal: string;
  role: string;
  action: string;
  target: string;
  requestHash: string;
}

export interface StoredAnswer {
  requestHash: string;
  status: number;
  body: string;
}

/** Opens or makes the file. @param more the schemas of the stores that share it */
export function openDatabase(file: string, more: string): InstanceType<typeof Database> {
  const db = new Database(file, { timeout: 5_000 });
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('foreign_keys = ON');
  db.exec(SCHEMA + more);
  const hasColumn = (table: string, column: string) =>
    (db.pragma(`table_info(${table})`) as { name: string }[]).some(({ name }) => name === column);
  if (!hasColumn('services', 'binding_hash')) db.exec(ADD_BINDING_HASH);
  if (!hasColumn('servers', 'maintenance')) db.exec(ADD_MAINTENANCE);
  return db;
}
