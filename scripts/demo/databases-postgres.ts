// Writes tables of a demonstration department into PostgreSQL, and makes the role that its adapter may use.

import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { Table } from './tables.ts';

/**
 * @param url of an owner who may create roles
 * @returns the URL of a new role that can read these tables and nothing else
 */
export async function fillPostgres(url: string, tables: readonly Table[]): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const password = randomBytes(18).toString('base64url');
    await client.query('BEGIN');
    await client.query(`CREATE ROLE adapter LOGIN PASSWORD '${password}'`);
    for (const { name, columns, keys, indexes, rows } of tables) {
      const definitions = Object.entries(columns).map(([column, type]) => `${column} ${type}`);
      await client.query(`CREATE TABLE ${name} (${definitions.join(', ')}, PRIMARY KEY (${keys.join(', ')}))`);
      // One array for each column: thirty thousand rows are one statement with a handful of parameters.
      const arrays = Object.values(columns).map((type, at) => `$${at + 1}::${type.split(' ')[0]}[]`);
      const values = Object.keys(columns).map((_, at) => rows.map((row) => row[at]));
      await client.query(`INSERT INTO ${name} SELECT * FROM unnest(${arrays.join(', ')})`, values);
      for (const column of indexes) {
        await client.query(`CREATE INDEX ${name}_${column} ON ${name} (${column})`);
      }
      await client.query(`GRANT SELECT ON ${name} TO adapter`);
    }
    await client.query('COMMIT');
    const reader = new URL(url);
    reader.username = 'adapter';
    reader.password = password;
    return reader.href;
  } finally {
    await client.end();
  }
}
