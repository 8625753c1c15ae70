// Keys of officials in the registry's database: those registered now, which go into the next draft, and those that a
// published content ever held, with the times, because an emergency is reported with the keys of its own hour. Shares the
// connection, and with it the transactions, of store-sqlite.ts; what is written here was judged before.
import type Database from 'better-sqlite3';
import type { OfficialKeyEntry, OfficialsEntry } from '#schemas/configuration.ts';

export const OFFICIALS_SCHEMA = `
CREATE TABLE IF NOT EXISTS officials (
  kid TEXT PRIMARY KEY, subsystem TEXT NOT NULL REFERENCES subsystems(id), key_hash TEXT NOT NULL UNIQUE, jwk TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS officials_subsystem ON officials(subsystem);
CREATE TABLE IF NOT EXISTS officials_published (
  subsystem TEXT NOT NULL, kid TEXT NOT NULL, jwk TEXT NOT NULL, until_ms INTEGER, PRIMARY KEY (subsystem, kid)) STRICT;
`;

export class OfficialsStore {
  readonly #db: InstanceType<typeof Database>;

  constructor(db: InstanceType<typeof Database>) {
    this.#db = db;
  }

  /** In place of what was registered for the subsystem. @param hashes SHA-256 of each key's SPKI, by kid */
  put({ subsystem, keys }: OfficialsEntry, hashes: ReadonlyMap<string, string>): void {
    this.remove(subsystem);
    const insert = this.#db.prepare('INSERT INTO officials VALUES (?, ?, ?, ?)');
    for (const { kid, jwk } of keys) insert.run(kid, subsystem, hashes.get(kid), JSON.stringify(jwk));
  }
  remove(subsystem: string): boolean {
    return this.#db.prepare('DELETE FROM officials WHERE subsystem = ?').run(subsystem).changes > 0;
  }
  /** Ascending by subsystem, the keys of each by kid. */
  registered(): OfficialsEntry[] {
    type Row = { subsystem: string; kid: string; jwk: string };
    const rows = this.#db.prepare('SELECT subsystem, kid, jwk FROM officials ORDER BY subsystem, kid').all() as Row[];
    return [...Map.groupBy(rows, ({ subsystem }) => subsystem)].map(([subsystem, keys]) => ({
      subsystem,
      keys: keys.map(({ kid, jwk }) => ({ kid, jwk: JSON.parse(jwk) as OfficialKeyEntry['jwk'] })),
    }));
  }
  isRegistered(subsystem: string): boolean {
    return this.#db.prepare('SELECT 1 FROM officials WHERE subsystem = ? LIMIT 1').get(subsystem) !== undefined;
  }
  /** Whose the key is or was, by its kid or the SHA-256 of its SPKI; undefined when no official's. */
  holderOf(kid: string, keyHash: string): string | undefined {
    const now = 'SELECT subsystem FROM officials WHERE kid = ? OR key_hash = ?';
    const ever = 'SELECT subsystem FROM officials_published WHERE kid = ?';
    const row = this.#db.prepare(now).get(kid, keyHash) ?? this.#db.prepare(ever).get(kid);
    return (row as { subsystem: string } | undefined)?.subsystem;
  }

  /** What the content published now holds; keys that are gone from it ended now. */
  notePublished(entries: readonly OfficialsEntry[], atMs: number): void {
    this.#db.prepare('UPDATE officials_published SET until_ms = ? WHERE until_ms IS NULL').run(atMs);
    const put = this.#db.prepare(
      `INSERT INTO officials_published VALUES (?, ?, ?, NULL)
       ON CONFLICT(subsystem, kid) DO UPDATE SET jwk = excluded.jwk, until_ms = NULL`,
    );
    for (const { subsystem, keys } of entries) {
      for (const { kid, jwk } of keys) put.run(subsystem, kid, JSON.stringify(jwk));
    }
  }
  /** Published ones of the subsystem that are still in force, or ended after that time. */
  publishedSince(subsystem: string, sinceMs: number): OfficialKeyEntry[] {
    const sql = 'SELECT kid, jwk FROM officials_published WHERE subsystem = ? AND (until_ms IS NULL OR until_ms > ?)';
    const rows = this.#db.prepare(sql).all(subsystem, sinceMs) as { kid: string; jwk: string }[];
    return rows.map(({ kid, jwk }) => ({ kid, jwk: JSON.parse(jwk) as OfficialKeyEntry['jwk'] }));
  }
}
