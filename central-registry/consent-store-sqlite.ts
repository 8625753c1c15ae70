// Purposes, consent services and identity providers in the registry's database. A version of a purpose is written once and
// stays, because receipts and access rights pin its hash; triggers hold that, also against REPLACE. Shares the connection,
// and with it the transactions, of store-sqlite.ts; what is written here was judged before.
import type Database from 'better-sqlite3';
import type { ConsentState } from '#core/configuration/consent-parts.ts';
import type { ConsentServiceEntry, IdentityProviderEntry } from '#schemas/configuration.ts';
import { type Purpose, purposeText } from '#schemas/purpose.ts';

export const CONSENT_SCHEMA = `
CREATE TABLE IF NOT EXISTS purposes (
  id TEXT NOT NULL, version INTEGER NOT NULL, text TEXT NOT NULL, at_ms INTEGER NOT NULL,
  PRIMARY KEY (id, version)) STRICT;
CREATE TRIGGER IF NOT EXISTS purposes_no_update BEFORE UPDATE ON purposes BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS purposes_no_delete BEFORE DELETE ON purposes BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS purposes_dense BEFORE INSERT ON purposes
  WHEN NEW.version != (SELECT COALESCE(MAX(version), 0) + 1 FROM purposes WHERE id = NEW.id)
  BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TABLE IF NOT EXISTS consent_services (
  subsystem TEXT PRIMARY KEY REFERENCES subsystems(id), text TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS identity_providers (issuer TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
`;

export class ConsentStore {
  readonly #db: InstanceType<typeof Database>;

  constructor(db: InstanceType<typeof Database>) {
    this.#db = db;
  }

  /** After the version before it. */
  addPurpose(purpose: Purpose, atMs: number): void {
    const { id, version } = purpose;
    this.#db.prepare('INSERT INTO purposes VALUES (?, ?, ?, ?)').run(id, version, purposeText(purpose), atMs);
  }
  /** Every version, ascending. */
  purpose(id: string): Purpose[] {
    return this.#read<Purpose>('SELECT text FROM purposes WHERE id = ? ORDER BY version', id);
  }
  /** Ascending by id, then version, after that one. */
  purposes(after = { id: '', version: 0 }, limit = -1): Purpose[] {
    const sql = 'SELECT text FROM purposes WHERE (id, version) > (?, ?) ORDER BY id, version LIMIT ?';
    return this.#read<Purpose>(sql, after.id, after.version, limit);
  }
  /** How many versions there are, and their bytes in the part. */
  purposesSize(): { versions: number; bytes: number } {
    const sql = 'SELECT COUNT(*) AS versions, COALESCE(SUM(LENGTH(CAST(text AS BLOB)) + 1), 0) AS bytes FROM purposes';
    return this.#db.prepare(sql).get() as { versions: number; bytes: number };
  }

  putConsentService(entry: ConsentServiceEntry): void {
    const sql = 'INSERT INTO consent_services VALUES (?, ?) ON CONFLICT(subsystem) DO UPDATE SET text = excluded.text';
    this.#db.prepare(sql).run(entry.subsystem, JSON.stringify(entry));
  }
  consentServices(): ConsentServiceEntry[] {
    return this.#read<ConsentServiceEntry>('SELECT text FROM consent_services ORDER BY subsystem');
  }
  removeConsentService(subsystem: string): boolean {
    return this.#db.prepare('DELETE FROM consent_services WHERE subsystem = ?').run(subsystem).changes > 0;
  }

  putIdentityProvider(entry: IdentityProviderEntry): void {
    const sql = 'INSERT INTO identity_providers VALUES (?, ?) ON CONFLICT(issuer) DO UPDATE SET text = excluded.text';
    this.#db.prepare(sql).run(entry.issuer, JSON.stringify(entry));
  }
  identityProviders(): IdentityProviderEntry[] {
    return this.#read<IdentityProviderEntry>('SELECT text FROM identity_providers ORDER BY issuer');
  }
  removeIdentityProvider(issuer: string): boolean {
    return this.#db.prepare('DELETE FROM identity_providers WHERE issuer = ?').run(issuer).changes > 0;
  }

  /** What of them goes into the parts. */
  state(): Required<Omit<ConsentState, 'officials'>> {
    return {
      purposes: this.purposes(),
      consentServices: this.consentServices(),
      identityProviders: this.identityProviders(),
    };
  }

  #read<T>(sql: string, ...values: unknown[]): T[] {
    const rows = this.#db.prepare(sql).all(...values) as { text: string }[];
    return rows.map(({ text }) => JSON.parse(text) as T);
  }
}
