// The part `witnesses` in the registry's database: one document, replaced as a whole. Shares the connection, and with it
// the transactions, of store-sqlite.ts; what is written here was judged before.
import type Database from 'better-sqlite3';
import type { WitnessesPart } from '#schemas/configuration.ts';

export const WITNESS_PART_SCHEMA = `
CREATE TABLE IF NOT EXISTS witness_part (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT;
`;

export class WitnessPartStore {
  readonly #db: InstanceType<typeof Database>;

  constructor(db: InstanceType<typeof Database>) {
    this.#db = db;
  }

  /** Undefined while none are named. */
  part(): WitnessesPart | undefined {
    const json = this.#db.prepare('SELECT json FROM witness_part WHERE id = 1').pluck().get();
    return typeof json === 'string' ? (JSON.parse(json) as WitnessesPart) : undefined;
  }
  put(part: WitnessesPart): void {
    const sql = 'INSERT INTO witness_part VALUES (1, ?) ON CONFLICT(id) DO UPDATE SET json = excluded.json';
    this.#db.prepare(sql).run(JSON.stringify(part));
  }
}
