// A department's PostgreSQL: a small pool whose sessions can only read (default_transaction_read_only, and every
// transaction READ ONLY besides) and whose statements the server itself ends after the time limit. Give the adapter a
// role that has SELECT on the mapped tables and nothing else; these settings are the second lock.

import pg from 'pg';
import { AccordError } from '#schemas/problems.ts';
import {
  type Column,
  type DatabaseLimits,
  type Query,
  quoted,
  type ReadOnlyDatabase,
  type Row,
} from './sql-database.ts';

/** Every value as the server's own text: no local time zones, no rounded numbers. */
const asText = { getTypeParser: () => (text: string) => text };

/** Does not connect yet. @param url postgres://user:password@host:port/database */
export function openPostgres(url: string, schema: string, limits: DatabaseLimits): ReadOnlyDatabase {
  const timeMs = limits.statementTimeoutMs;
  const pool = new pg.Pool({
    connectionString: url,
    max: limits.maxConnections,
    connectionTimeoutMillis: Math.max(timeMs, 1_000),
    idleTimeoutMillis: 30_000,
    query_timeout: timeMs + 1_000,
    types: asText as unknown as pg.CustomTypesConfig,
    application_name: 'accord-adapter',
    options: [
      'default_transaction_read_only=on',
      `statement_timeout=${timeMs}`,
      `lock_timeout=${timeMs}`,
      `idle_in_transaction_session_timeout=${timeMs + 5_000}`,
      'DateStyle=ISO',
      'TimeZone=UTC',
    ]
      .map((setting) => `-c ${setting}`)
      .join(' '),
  });
  pool.on('error', () => {}); // an idle connection died; the next request opens another

  async function inSnapshot<T>(work: (run: (query: Query) => Promise<Row[]>) => Promise<T>): Promise<T> {
    let client: pg.PoolClient;
    try {
      client = await pool.connect();
    } catch (cause) {
      throw new AccordError('DATABASE_UNAVAILABLE', '', { cause });
    }
    const run = async ({ sql, values }: Query) => {
      if (values.some((value) => typeof value === 'string' && value.includes('\u0000'))) {
        return []; // no text in PostgreSQL holds U+0000, so nothing equals it
      }
      return (await client.query({ text: sql, values: [...values], rowMode: 'array' })).rows as Row[];
    };
    let failure: Error | undefined;
    try {
      await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
      const result = await work(run);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      throw translate(failure);
    } finally {
      // After a failure the state of the session is unknown; a new one costs little.
      client.release(failure);
    }
  }

  return {
    engine: 'postgres',
    qualified: (table) => `${quoted(schema)}.${quoted(table)}`,
    columns: (table) => inSnapshot(async (run) => columnsFrom(await run({ sql: COLUMNS, values: [schema, table] }))),
    readsWholeTable: ({ sql, values }) =>
      inSnapshot(async (run) => {
        await run({ sql: 'SET LOCAL enable_seqscan = off', values: [] });
        const plan = await run({ sql: `EXPLAIN ${sql}`, values });
        const lines = plan.map(([line]) => String(line));
        // Reading an index from end to end, for its order, has no Index Cond and is as long.
        return lines.some(
          (line, at) =>
            /Seq Scan/.test(line) || (/Index (?:Only )?Scan/.test(line) && !/Index Cond/.test(lines[at + 1] ?? '')),
        );
      }),
    read: (main, follow) =>
      inSnapshot(async (run) => {
        const rows = await run(main).catch(noneIfImpossible);
        const answers: Row[][] = [rows];
        for (const query of follow(rows)) {
          answers.push(await run(query));
        }
        return answers;
      }),
    async close() {
      await pool.end();
    },
  };
}

// Tables, partitioned and foreign tables, views and materialised views.
const COLUMNS = `
  SELECT a.attname, format_type(a.atttypid, a.atttypmod),
         EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey))
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
    AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attnum`;

function columnsFrom(rows: readonly Row[]): Column[] | undefined {
  return rows.length === 0
    ? undefined
    : rows.map(([name, type, primaryKey]) => ({
        name: String(name),
        type: String(type).toLowerCase(),
        primaryKey: primaryKey === 't',
      }));
}

/**
 * A value that the column's type cannot hold (not a date, beyond int4) equals nothing in the column: no row, not a fault.
 * 22P02 invalid_text_representation, 22003 numeric_value_out_of_range, 22007 and 22008 datetime, 22021 character.
 */
function noneIfImpossible(error: Error & { code?: string }): Row[] {
  if (['22P02', '22003', '22007', '22008', '22021'].includes(error.code ?? '')) {
    return [];
  }
  throw error;
}

/** 57014 query_canceled, 55P03 lock_not_available (PostgreSQL, appendix A). */
function translate(error: Error & { code?: string }): Error {
  if (error instanceof AccordError || error instanceof TypeError) {
    return error;
  }
  const late = error.code === '57014' || error.code === '55P03' || /timeout/i.test(error.message);
  return new AccordError(late ? 'DATABASE_TIMEOUT' : 'DATABASE_UNAVAILABLE', '', { cause: error });
}
