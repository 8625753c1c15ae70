// The part `time-stamps` in the registry's database: one document, replaced as a whole. Shares the connection, and with
// it the transactions, of store-sqlite.ts; what is written here was judged before.
import type Database from 'better-sqlite3';
import type { TimeStampsPart } from '#schemas/configuration.ts';

export const TIME_STAMP_PART_SCHEMA = `
CREATE TABLE IF NOT EXISTS time_stamp_part (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT;
`;

export class TimeStampPartStore {
  readonly #db: InstanceType<typeof Database>;

  constructor(db: InstanceType<typeof Database>) {
    this.#db = db;
  }

  /** Undefined while none are named. */
  part(): TimeStampsPart | undefined {
    const json = this.#db.prepare('SELECT json FROM time_stamp_part WHERE id = 1').pluck().get();
    return typeof json === 'string' ? (JSON.parse(json) as TimeStampsPart) : undefined;
  }
  put(part: TimeStampsPart): void {
    const sql = 'INSERT INTO time_stamp_part VALUES (1, ?) ON CONFLICT(id) DO UPDATE SET json = excluded.json';
    this.#db.prepare(sql).run(JSON.stringify(part));
  }
  remove(): void {
    this.#db.prepare('DELETE FROM time_stamp_part').run();
  }
}
