// A department's SQLite file, opened read-only twice over (open flag and query_only). better-sqlite3 is synchronous and
// cannot interrupt a statement, so every statement asks the clock for each row it looks at, through a function of ours
// in its WHERE clause (see `guard`), and gives up when its time is over.

import Database from 'better-sqlite3';
import type { Clock } from '#core/clock.ts';
import { AccordError } from '#schemas/problems.ts';
import {
  type Column,
  type DatabaseLimits,
  type Query,
  quoted,
  type ReadOnlyDatabase,
  type Row,
} from './sql-database.ts';

class OutOfTime extends Error {}

/** @throws DATABASE_UNAVAILABLE when the file is missing or not a database */
export function openSqlite(file: string, limits: DatabaseLimits, clock: Clock): ReadOnlyDatabase {
  const database = open(file, limits.statementTimeoutMs);
  const statements = new Map<string, Database.Statement<unknown[], Row>>();
  let deadlineMs = 0;
  database.function('accord_in_time', { deterministic: false, directOnly: true, varargs: true }, () => {
    if (clock.monotonicMs() > deadlineMs) {
      throw new OutOfTime('statement time is over');
    }
    return 1;
  });

  function run(query: Query): Row[] {
    const known = statements.get(query.sql);
    const statement = known ?? database.prepare<unknown[], Row>(query.sql).raw(true).safeIntegers(true);
    if (!known && statements.size < 1000) {
      statements.set(query.sql, statement);
    }
    return statement.all(...query.values.map(bindable));
  }

  const readAll = database.transaction((main: Query, follow: (rows: readonly Row[]) => readonly Query[]) => {
    const rows = run(main);
    return [rows, ...follow(rows).map(run)];
  });

  return {
    engine: 'sqlite',
    qualified: (table) => `main.${quoted(table)}`,
    async columns(table) {
      return columnsOf(database, table);
    },
    async readsWholeTable({ sql, values }) {
      const plan = database.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`);
      return plan.all(...values.map(bindable)).some(({ detail }) => /^SCAN /.test(detail));
    },
    async read(main, follow) {
      deadlineMs = clock.monotonicMs() + limits.statementTimeoutMs;
      try {
        return readAll(main, follow);
      } catch (error) {
        throw translate(error);
      }
    },
    async close() {
      database.close();
    },
  };
}

function open(file: string, timeout: number): Database.Database {
  try {
    const database = new Database(file, { readonly: true, fileMustExist: true, timeout });
    database.pragma('query_only = ON');
    // Views and generated columns of the file may not call functions that reach outside it.
    database.pragma('trusted_schema = OFF');
    database.prepare('SELECT count(*) FROM sqlite_schema').get();
    return database;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AccordError('DATABASE_UNAVAILABLE', `${file}: ${why}`, { cause });
  }
}

function columnsOf(database: Database.Database, table: string): Column[] | undefined {
  const kind = database
    .prepare("SELECT type FROM sqlite_schema WHERE name = ? AND type IN ('table', 'view')")
    .get(table);
  if (kind === undefined) {
    return undefined;
  }
  const rows = database
    .prepare<[string], { name: string; type: string; pk: number }>('SELECT name, type, pk FROM pragma_table_xinfo(?)')
    .all(table);
  return rows.map(({ name, type, pk }) => ({ name, type: type.toLowerCase(), primaryKey: pk > 0 }));
}

/** better-sqlite3 binds a number as REAL, whose text form differs ('12.0'); a bigint is bound as INTEGER. */
function bindable(value: Query['values'][number]): Query['values'][number] {
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
}

function translate(error: unknown): AccordError {
  if (error instanceof OutOfTime) {
    return new AccordError('DATABASE_TIMEOUT', '', { cause: error });
  }
  const code = error instanceof Database.SqliteError ? error.code : '';
  const busy = code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED');
  return new AccordError(busy ? 'DATABASE_TIMEOUT' : 'DATABASE_UNAVAILABLE', '', { cause: error });
}
