// The stores that the consent service's cases run over: SQLite in a folder and, where there is one, PostgreSQL.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import pg from 'pg';
import type { ConsentStore } from '#consent-service/store.ts';
import { openConsentStorePostgres } from '#consent-service/store-postgres.ts';
import { openConsentStoreSqlite } from '#consent-service/store-sqlite.ts';
import { startPostgres } from '#scripts/postgres.ts';

interface Tap {
  comment(text: string): void;
  teardown(handler: () => unknown): void;
}

export interface Engine {
  name: string;
  /** Opens the same store each time. */
  open(): Promise<ConsentStore>;
  /** Somebody with all rights in the database, past every rule of the program. */
  tamper(sql: string): Promise<void>;
}

export function temporaryFolder(test: Tap): string {
  const folder = mkdtempSync(join(tmpdir(), 'accord-consent-'));
  test.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function engines(test: Tap): Promise<Engine[]> {
  const folder = temporaryFolder(test);
  const all: Engine[] = [
    {
      name: 'sqlite',
      open: async () => openConsentStoreSqlite(folder),
      async tamper(sql) {
        const db = new Database(join(folder, 'consents.db'));
        try {
          db.exec(sql);
        } finally {
          db.close();
        }
      },
    },
  ];
  const postgres = await startPostgres();
  if ('skipped' in postgres) {
    test.comment(`PostgreSQL half skipped: ${postgres.skipped}`);
    return all;
  }
  test.teardown(() => postgres.stop());
  all.push({
    name: 'postgres',
    open: () => openConsentStorePostgres(postgres.url),
    async tamper(sql) {
      const client = new pg.Client({ connectionString: postgres.url, options: '-c search_path=accord_consent' });
      await client.connect();
      await client.query(sql).finally(() => client.end());
    },
  });
  return all;
}
