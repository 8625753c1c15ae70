// The rules for OCSP in the registry's database, a member of the part `trust`: one document, replaced as a whole. Shares
// the connection, and with it the transactions, of store-sqlite.ts; what is written here was judged before.
import type Database from 'better-sqlite3';
import type { OcspRules } from '#schemas/configuration.ts';

export const OCSP_RULES_SCHEMA = `
CREATE TABLE IF NOT EXISTS ocsp_rules (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT;
`;

export class OcspRulesStore {
  readonly #db: InstanceType<typeof Database>;

  constructor(db: InstanceType<typeof Database>) {
    this.#db = db;
  }

  /** Undefined while none were set. */
  rules(): OcspRules | undefined {
    const json = this.#db.prepare('SELECT json FROM ocsp_rules WHERE id = 1').pluck().get();
    return typeof json === 'string' ? (JSON.parse(json) as OcspRules) : undefined;
  }
  put(rules: OcspRules): void {
    const sql = 'INSERT INTO ocsp_rules VALUES (1, ?) ON CONFLICT(id) DO UPDATE SET json = excluded.json';
    this.#db.prepare(sql).run(JSON.stringify(rules));
  }
}
