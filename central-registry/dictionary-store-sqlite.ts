// The released dictionary and the services' binding tables in the registry's database. Both are kept as the very bytes
// that the next draft publishes: a draft of 20,000 entries then costs no more than one of none. Shares the connection,
// and with it the transactions, of store-sqlite.ts; what is written here was judged before.
import type Database from 'better-sqlite3';
import { partShardOf } from '#core/configuration/parts.ts';
import { memberOf, type ServiceId, subsystemOfService } from '#schemas/identifiers.ts';

export const DICTIONARY_SCHEMA = `
CREATE TABLE IF NOT EXISTS dictionary_releases (
  seq INTEGER PRIMARY KEY, release TEXT NOT NULL UNIQUE, released_on TEXT NOT NULL, entries INTEGER NOT NULL,
  at_ms INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS dictionary_files (name TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS bindings (
  service TEXT PRIMARY KEY REFERENCES services(id) ON DELETE CASCADE, shard TEXT NOT NULL, text TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS bindings_shard ON bindings(shard);
`;

export interface ReleaseRow {
  release: string;
  releasedOn: string;
  /** How many. */
  entries: number;
}

/** A table in its one spelling (schemas/binding-table.ts). */
export interface BindingRow {
  service: ServiceId;
  text: string;
}

export class DictionaryStore {
  readonly #db: InstanceType<typeof Database>;

  constructor(db: InstanceType<typeof Database>) {
    this.#db = db;
  }

  /** The newest; undefined while none was released. */
  release(): ReleaseRow | undefined {
    const columns = 'release, released_on AS releasedOn, entries';
    return this.#db.prepare(`SELECT ${columns} FROM dictionary_releases ORDER BY seq DESC LIMIT 1`).get() as
      | ReleaseRow
      | undefined;
  }

  /** The newest release's parts by name. */
  files(): Map<string, Buffer> {
    const rows = this.#db.prepare('SELECT name, bytes FROM dictionary_files ORDER BY name').all() as {
      name: string;
      bytes: Buffer;
    }[];
    return new Map(rows.map(({ name, bytes }) => [name, bytes]));
  }

  putRelease({ release, releasedOn, entries }: ReleaseRow, files: ReadonlyMap<string, Buffer>, atMs: number): void {
    const add = 'INSERT INTO dictionary_releases SELECT COALESCE(MAX(seq), 0) + 1, ?, ?, ?, ? FROM dictionary_releases';
    this.#db.prepare(add).run(release, releasedOn, entries, atMs);
    this.#db.prepare('DELETE FROM dictionary_files').run();
    const insert = this.#db.prepare('INSERT INTO dictionary_files VALUES (?, ?)');
    for (const [name, bytes] of files) insert.run(name, bytes);
  }

  /** After the service; null takes it away. */
  putBinding(service: ServiceId, text: string | null): void {
    this.#db.prepare('DELETE FROM bindings WHERE service = ?').run(service);
    if (text === null) return;
    const shard = partShardOf(memberOf(subsystemOfService(service)));
    this.#db.prepare('INSERT INTO bindings VALUES (?, ?, ?)').run(service, shard, text);
  }

  binding(service: ServiceId): string | undefined {
    const sql = 'SELECT text FROM bindings WHERE service = ?';
    return (this.#db.prepare(sql).get(service) as { text: string } | undefined)?.text;
  }

  /** Ascending by service, after `after`. */
  bindings(after = '', limit = -1): BindingRow[] {
    const sql = 'SELECT service, text FROM bindings WHERE service > ? ORDER BY service LIMIT ?';
    return this.#db.prepare(sql).all(after, limit) as BindingRow[];
  }

  /** Bytes of all tables that lie in one part with this service's. */
  shardBytes(service: ServiceId): number {
    const sql = 'SELECT COALESCE(SUM(LENGTH(CAST(text AS BLOB)) + 1), 0) AS bytes FROM bindings WHERE shard = ?';
    const shard = partShardOf(memberOf(subsystemOfService(service)));
    return (this.#db.prepare(sql).get(shard) as { bytes: number }).bytes;
  }
}
