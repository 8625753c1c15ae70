// What the SQL adapter asks of a database, whichever it is: its columns once at the start, then bound, read-only queries
// with a time limit. sql-sqlite.ts and sql-postgres.ts fulfil it.

export interface Column {
  name: string;
  /** As the database words it, lower case, for instance `character varying(20)` or `integer`. */
  type: string;
  primaryKey: boolean;
}

/** One value as the driver gives it; PostgreSQL gives text for every type. */
export type Cell = null | string | number | bigint | Buffer;
export type Row = readonly Cell[];

/** `sql` has a place for each value in order, $1, $2 … (PostgreSQL) or ? (SQLite); values are always bound. */
export interface Query {
  sql: string;
  values: readonly (string | number | bigint | null)[];
}

export interface ReadOnlyDatabase {
  readonly engine: 'sqlite' | 'postgres';
  /** The columns of a table or view, exactly so named; undefined when there is none. */
  columns(table: string): Promise<Column[] | undefined>;
  /** The table's name as it stands in SQL. */
  qualified(table: string): string;
  /** True when answering `sql` would read a whole table. */
  readsWholeTable(query: Query): Promise<boolean>;
  /**
   * Reads `main`, then what `follow` makes of its rows, all from one snapshot; the rows of `main` come first.
   * Errors: DATABASE_UNAVAILABLE, DATABASE_TIMEOUT.
   */
  read(main: Query, follow: (rows: readonly Row[]) => readonly Query[]): Promise<Row[][]>;
  close(): Promise<void>;
}

export interface DatabaseLimits {
  statementTimeoutMs: number;
  maxConnections: number;
}

/** A quoted SQL identifier. Only names that the database itself listed come here. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
