// One document of one kind in the registry's database, replaced as a whole: the parts `witnesses` and `time-stamps`, and the rules
// for OCSP. Shares the connection, and with it the transactions, of store-sqlite.ts; what is written here was judged before.
import type Database from 'better-sqlite3';

type Table = 'ocsp_rules' | 'time_stamp_part' | 'witness_part';

export class KeptDocument<T extends object> {
  readonly #db: InstanceType<typeof Database>;
  readonly #table: Table;

  constructor(db: InstanceType<typeof Database>, table: Table) {
    this.#db = db;
    this.#table = table;
  }

  static schema(table: Table): string {
    return `CREATE TABLE IF NOT EXISTS ${table} (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT;\n`;
  }

  /** Undefined while there is none. */
  get(): T | undefined {
    const json = this.#db.prepare(`SELECT json FROM ${this.#table} WHERE id = 1`).pluck().get();
    return typeof json === 'string' ? (JSON.parse(json) as T) : undefined;
  }
  put(document: T): void {
    const sql = `INSERT INTO ${this.#table} VALUES (1, ?) ON CONFLICT(id) DO UPDATE SET json = excluded.json`;
    this.#db.prepare(sql).run(JSON.stringify(document));
  }
  remove(): void {
    this.#db.prepare(`DELETE FROM ${this.#table}`).run();
  }
}
