// The four departments' databases and adapter files, made in one folder: SQLite for each, PostgreSQL for the tax office
// when there is one.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fillPostgres } from './databases-postgres.ts';
import { fillSqlite } from './databases-sqlite.ts';
import type { Population } from './residents.ts';
import { DEPARTMENTS, type Department, tablesOf } from './tables.ts';

export interface DemoDatabases {
  /** The adapter file of each department, for `accord adapter serve`. */
  adapterFiles: Record<Department, string>;
  /** What the adapters' environment needs; the tax office's connection when it is on PostgreSQL. */
  environment: Record<string, string>;
}

const templates = join(import.meta.dirname, 'adapters');
const taxUrlName = 'TAX_DATABASE_URL';

/**
 * @param folder must be new: existing databases in it are an error
 * @param postgresUrl an empty PostgreSQL for the tax office, with an owner who may create roles
 */
export async function makeDatabases(
  folder: string,
  population: Population,
  postgresUrl?: string,
): Promise<DemoDatabases> {
  mkdirSync(folder, { recursive: true });
  const tables = tablesOf(population);
  const adapterFiles = {} as Record<Department, string>;
  const environment: Record<string, string> = {};
  for (const department of DEPARTMENTS) {
    const file = join(folder, `${department}.yaml`);
    adapterFiles[department] = file;
    copyFileSync(join(templates, `${department}.yaml`), file);
    if (department !== 'tax' || postgresUrl === undefined) {
      fillSqlite(join(folder, `${department}.sqlite`), tables[department]);
    } else {
      environment[taxUrlName] = await fillPostgres(postgresUrl, tables.tax);
      const onPostgres = `database: {engine: postgres, connectionEnv: ${taxUrlName}}`;
      writeFileSync(file, readFileSync(file, 'utf8').replace(/^database: .*$/m, onPostgres));
    }
  }
  return { adapterFiles, environment };
}
