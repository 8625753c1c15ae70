// Writes tables of the demonstration's departments into SQLite files, each department its own.

import Database from 'better-sqlite3';
import type { Table } from './tables.ts';

/** Makes the file anew; one transaction, nothing synced: the data can be made again at any time. */
export function fillSqlite(file: string, tables: readonly Table[]): void {
  const database = new Database(file);
  try {
    database.pragma('synchronous = OFF');
    database.pragma('journal_mode = MEMORY');
    database.transaction(() => {
      for (const { name, columns, keys, indexes, rows } of tables) {
        const definitions = Object.entries(columns).map(([column, type]) => `${column} ${type}`);
        database.exec(`CREATE TABLE ${name} (${definitions.join(', ')}, PRIMARY KEY (${keys.join(', ')}))`);
        for (const column of indexes) {
          database.exec(`CREATE INDEX ${name}_${column} ON ${name} (${column})`);
        }
        const places = Object.keys(columns).map(() => '?');
        const insert = database.prepare(`INSERT INTO ${name} VALUES (${places.join(', ')})`);
        for (const row of rows) {
          insert.run(...row.map((value) => (typeof value === 'boolean' ? Number(value) : value)));
        }
      }
    })();
  } finally {
    database.close();
  }
}
