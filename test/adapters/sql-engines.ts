// The databases that the SQL adapter's cases run over.

import { join } from 'node:path';
import Database from 'better-sqlite3';
import pg from 'pg';
import { startPostgres } from '#scripts/postgres.ts';
import { SCHEMA } from './sql-schema.ts';

interface Tap {
  comment(text: string): void;
  teardown(handler: () => unknown): void;
}

export interface Engine {
  name: string;
  database: string;
  environment: Record<string, string>;
  /** Runs as the owner, who may write. */
  owner(sql: string): Promise<unknown[][]>;
}

/** SQLite in `folder` and, where there is one, PostgreSQL, both with the same rows. */
export async function engines(test: Tap, folder: string): Promise<Engine[]> {
  const file = join(folder, 'residents.sqlite');
  const sqlite = new Database(file);
  sqlite.exec(SCHEMA);
  test.teardown(() => sqlite.close());
  const all: Engine[] = [
    {
      name: 'sqlite',
      database: '{engine: sqlite, file: residents.sqlite}',
      environment: {},
      async owner(sql) {
        const statement = sqlite.prepare(sql);
        if (statement.reader) {
          return statement.raw().all() as unknown[][];
        }
        statement.run();
        return [];
      },
    },
  ];
  const postgres = await startPostgres();
  if ('skipped' in postgres) {
    test.comment(`PostgreSQL half skipped: ${postgres.skipped}`);
    return all;
  }
  const owner = new pg.Client(postgres.url);
  await owner.connect();
  await owner.query(SCHEMA);
  test.teardown(async () => {
    await owner.end();
    await postgres.stop();
  });
  all.push({
    name: 'postgres',
    database: '{engine: postgres, connectionEnv: RESIDENTS_URL}',
    environment: { RESIDENTS_URL: postgres.url },
    owner: async (sql) => (await owner.query({ text: sql, rowMode: 'array' })).rows,
  });
  return all;
}
