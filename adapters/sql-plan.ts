// Turns the checked file and the database's real columns into queries. Every table and column that reaches SQL was found
// in the database under exactly this name and is quoted; every value of a request is bound. Who calls the service
// controls the values; the department's administrator controls the names.

import { AccordError } from '#schemas/problems.ts';
import {
  type Child,
  mismatch,
  type Parameter,
  type Property,
  type Resource,
  type SqlFile,
  type SqlLimits,
} from './sql-config.ts';
import { type Cell, type Column, type Query, quoted, type ReadOnlyDatabase, type Row } from './sql-database.ts';

type Scalar = string | number | boolean | null;
type JsonRecord = { [name: string]: Scalar | JsonRecord[] };
export type Values = Readonly<Record<string, string | number | boolean | undefined>>;

export interface ResourcePlan {
  resource: Resource;
  /** The query for these parameter values; undefined ones do not narrow. */
  main(values: Values): Query;
  /** What to read for the children once the one row is known. */
  follow(rows: readonly Row[]): Query[];
  /** The JSON that answers. Errors: RECORD_NOT_FOUND, TOO_MANY_ROWS, DATABASE_VALUE_MISMATCH. */
  answer(results: readonly (readonly Row[])[]): JsonRecord | { items: JsonRecord[] };
}

interface Source {
  alias: string;
  columns: readonly Column[];
}

type Place = (string | number)[];

/** @throws ADAPTER_SCHEMA_MISMATCH naming the line of the first name or type that does not fit */
export async function planResource(
  database: ReadOnlyDatabase,
  yaml: SqlFile,
  index: number,
  limits: SqlLimits,
): Promise<ResourcePlan> {
  const resource = yaml.value.resources[index];
  if (!resource) {
    throw new TypeError('no such resource');
  }
  const at: Place = ['resources', index];
  const dialect = dialectOf(database, limits);
  const own = await sourceOf(database, yaml, [...at, 'table'], resource.table, '_');
  const sources = new Map<string, Source>();
  let from = `${database.qualified(resource.table)} AS "_"`;
  for (const [name, join] of Object.entries(resource.joins ?? {})) {
    const place = [...at, 'joins', name];
    const source = await sourceOf(database, yaml, [...place, 'table'], join.table, name);
    const on = Object.entries(join.on).map(
      ([mine, theirs]) =>
        `${columnIn(yaml, own, mine, [...place, 'on'])} = ${columnIn(yaml, source, theirs, [...place, 'on'])}`,
    );
    from += ` ${join.optional ? 'LEFT' : 'INNER'} JOIN ${database.qualified(join.table)} AS ${quoted(name)} ON ${on.join(' AND ')}`;
    sources.set(name, source);
  }
  const parameters = Object.entries(resource.parameters).map(([name, parameter]) => {
    const place = [...at, 'parameters', name, 'column'];
    const found = resolve(yaml, own, sources, parameter.column, place);
    checkType(yaml, database, found.column, parameter, place);
    return { name, sql: found.sql };
  });
  const properties = selected(yaml, database, own, sources, resource.properties, [...at, 'properties'], dialect);
  const children: ChildPlan[] = [];
  const keys: string[] = [];
  for (const [name, child] of Object.entries(resource.children ?? {})) {
    const place = [...at, 'children', name];
    const plan = await planChild(database, yaml, place, child, dialect, properties.length + keys.length);
    children.push({ ...plan, name });
    keys.push(...Object.keys(child.on).map((column) => columnIn(yaml, own, column, [...place, 'on'])));
  }
  const limit = resource.answer === 'one' ? 1 : (resource.limit ?? 100);
  const select = [...properties.map(({ sql }) => sql), ...keys].join(', ');
  const order = orderOf(yaml, own, resource.orderBy, [...at, 'orderBy']);
  const guard = dialect.guard(`"_".${quoted(own.columns[0]?.name ?? '')}`);
  return {
    resource,
    main(values) {
      const given = parameters.filter(({ name }) => values[name] !== undefined);
      const where = [...guard, ...given.map(({ sql }, place) => `${sql} = ${dialect.place(place + 1)}`)].join(' AND ');
      return {
        sql: `SELECT ${select} FROM ${from} WHERE ${where}${order} LIMIT ${limit + 1}`,
        values: given.map(({ name }) => dialect.bound(values[name])),
      };
    },
    follow: ([row, second]) => (row && !second ? children.map((child) => child.query(row)) : []),
    answer([rows = [], ...lists]) {
      const records = rows.map((row) => recordOf(properties, row, limits));
      if (resource.answer === 'many') {
        return { items: withinLimit(records, limit) };
      }
      const [record, second] = records;
      if (!record) {
        throw new AccordError('RECORD_NOT_FOUND');
      }
      if (second) {
        throw new AccordError('DATABASE_VALUE_MISMATCH', 'more than one row has this key');
      }
      const nested = children.map(({ name, records: read }, place) => [name, read(lists[place] ?? [], limits)]);
      return { ...record, ...Object.fromEntries(nested) };
    },
  };
}

interface ChildPlan {
  name: string;
  query(parent: Row): Query;
  records(rows: readonly Row[], limits: SqlLimits): JsonRecord[];
}

async function planChild(
  database: ReadOnlyDatabase,
  yaml: SqlFile,
  at: Place,
  child: Child,
  dialect: Dialect,
  firstKey: number,
): Promise<Omit<ChildPlan, 'name'>> {
  const source = await sourceOf(database, yaml, [...at, 'table'], child.table, '_');
  const properties = selected(yaml, database, source, new Map(), child.properties, [...at, 'properties'], dialect);
  const on = Object.values(child.on).map(
    (column, place) => `${columnIn(yaml, source, column, [...at, 'on'])} = ${dialect.place(place + 1)}`,
  );
  const limit = child.limit ?? 100;
  const guard = dialect.guard(`"_".${quoted(source.columns[0]?.name ?? '')}`);
  const sql =
    `SELECT ${properties.map((one) => one.sql).join(', ')} FROM ${database.qualified(child.table)} AS "_"` +
    ` WHERE ${[...guard, ...on].join(' AND ')}${orderOf(yaml, source, child.orderBy, [...at, 'orderBy'])} LIMIT ${limit + 1}`;
  return {
    query: (parent) => ({ sql, values: on.map((_, place) => keyOf(parent[firstKey + place])) }),
    records: (rows, limits) =>
      withinLimit(
        rows.map((row) => recordOf(properties, row, limits)),
        limit,
      ),
  };
}

function keyOf(cell: Cell | undefined): Query['values'][number] {
  if (typeof cell === 'object' && cell !== null) {
    throw new AccordError('DATABASE_VALUE_MISMATCH', 'a key is not text or a number');
  }
  return cell ?? null;
}

function withinLimit(records: JsonRecord[], limit: number): JsonRecord[] {
  if (records.length > limit) {
    throw new AccordError('TOO_MANY_ROWS', `more than ${limit}`);
  }
  return records;
}

/** What differs between the two engines. */
interface Dialect {
  place(number: number): string;
  text(column: string): string;
  guard(column: string): string[];
  bound(value: Values[string]): Query['values'][number];
}

function dialectOf(database: ReadOnlyDatabase, { maxFieldLength }: SqlLimits): Dialect {
  // One character more than allowed shows that a text is too long without ever reading all of it.
  const cut = maxFieldLength + 1;
  if (database.engine === 'sqlite') {
    return {
      place: () => '?',
      text: (column) => `substr(CAST(${column} AS TEXT), 1, ${cut})`,
      guard: (column) => [`accord_in_time(${column})`],
      bound: (value) => (typeof value === 'boolean' ? Number(value) : (value ?? null)),
    };
  }
  return {
    place: (number) => `$${number}`,
    text: (column) => `left(${column}::text, ${cut})`,
    guard: () => [],
    bound: (value) => (typeof value === 'boolean' ? String(value) : (value ?? null)),
  };
}

async function sourceOf(
  database: ReadOnlyDatabase,
  yaml: SqlFile,
  at: Place,
  table: string,
  alias: string,
): Promise<Source> {
  const columns = await database.columns(table);
  if (!columns) {
    throw mismatch(yaml, at, `the database has no table or view ${table}`);
  }
  return { alias, columns };
}

function columnIn(yaml: SqlFile, source: Source, name: string, at: Place): string {
  if (!source.columns.some((column) => column.name === name)) {
    const known = source.columns.map((column) => column.name).join(', ');
    throw mismatch(yaml, at, `unknown column ${name}; there are: ${known.slice(0, 400)}`);
  }
  return `${quoted(source.alias)}.${quoted(name)}`;
}

interface Resolved {
  sql: string;
  column: Column;
}

/** `name` of the own table, or `join.name`. */
function resolve(
  yaml: SqlFile,
  own: Source,
  joins: ReadonlyMap<string, Source>,
  reference: string,
  at: Place,
): Resolved {
  const dot = reference.indexOf('.');
  const join = dot < 0 ? undefined : joins.get(reference.slice(0, dot));
  const [source, name] = join ? [join, reference.slice(dot + 1)] : [own, reference];
  const sql = columnIn(yaml, source, name, at);
  const column = source.columns.find((one) => one.name === name);
  if (!column) {
    throw new TypeError('columnIn found it');
  }
  return { sql, column };
}

interface Selected {
  name: string;
  property: Property;
  sql: string;
}

function selected(
  yaml: SqlFile,
  database: ReadOnlyDatabase,
  own: Source,
  joins: ReadonlyMap<string, Source>,
  properties: Readonly<Record<string, Property>>,
  at: Place,
  dialect: Dialect,
): Selected[] {
  return Object.entries(properties).map(([name, property]) => {
    const place = [...at, name, 'column'];
    const { sql, column } = resolve(yaml, own, joins, property.column, place);
    checkType(yaml, database, column, property, place);
    return { name, property, sql: property.type === 'string' ? dialect.text(sql) : sql };
  });
}

/** Column types that may hold each JSON type; '' is what SQLite says of a view's computed column. */
const FITTING: Record<'sqlite' | 'postgres', Record<Property['type'], RegExp>> = {
  sqlite: {
    string: /^(?!.*blob)/,
    integer: /^$|int/,
    number: /^$|int|real|floa|doub|num|dec/,
    boolean: /^$|bool|int/,
  },
  postgres: {
    string: /^(?!bytea)/,
    integer: /^(?:smallint|integer|bigint|numeric)/,
    number: /^(?:smallint|integer|bigint|numeric|real|double precision)/,
    boolean: /^boolean$/,
  },
};

function checkType(
  yaml: SqlFile,
  database: ReadOnlyDatabase,
  column: Column,
  rules: Property | Parameter,
  at: Place,
): void {
  const fits = FITTING[database.engine][rules.type].test(column.type);
  // SQLite compares text with a number column by value ('007' equals 7); a key must not have two spellings.
  const looseKey =
    'in' in rules &&
    database.engine === 'sqlite' &&
    rules.type === 'string' &&
    !/^$|char|text|clob|date/.test(column.type);
  if (!fits || looseKey) {
    throw mismatch(
      yaml,
      at,
      `column ${column.name} of type ${column.type || 'unknown'} does not fit type: ${rules.type}`,
    );
  }
}

function orderOf(yaml: SqlFile, source: Source, orderBy: readonly string[] | undefined, at: Place): string {
  const wanted = orderBy ?? source.columns.filter(({ primaryKey }) => primaryKey).map(({ name }) => name);
  const terms = wanted.map((name) =>
    name.startsWith('-') ? `${columnIn(yaml, source, name.slice(1), at)} DESC` : columnIn(yaml, source, name, at),
  );
  return terms.length === 0 ? '' : ` ORDER BY ${terms.join(', ')}`;
}

function recordOf(properties: readonly Selected[], row: Row, limits: SqlLimits): JsonRecord {
  return Object.fromEntries(
    properties.map(({ name, property }, place) => [name, scalarOf(name, property, row[place] ?? null, limits)]),
  );
}

/** The cell as the property's JSON type; a value that does not fit is a fault of the department, never passed on. */
function scalarOf(name: string, property: Property, cell: Cell, { maxFieldLength }: SqlLimits): Scalar {
  const wrong = (what: string) => new AccordError('DATABASE_VALUE_MISMATCH', `property ${name} ${what}`);
  if (cell === null) {
    return null; // whether the property may be null, the response schema says
  }
  if (property.type === 'string') {
    const text = String(cell);
    if ([...text.slice(0, 2 * maxFieldLength + 2)].length > maxFieldLength) {
      throw wrong(`is longer than ${maxFieldLength} characters`);
    }
    return property.format === 'date-time' ? rfc3339(text) : text;
  }
  if (property.type === 'boolean') {
    const read = { t: true, f: false, '1': true, '0': false }[String(cell)];
    if (read === undefined) {
      throw wrong('is not true or false');
    }
    return read;
  }
  const number = cell instanceof Buffer || cell === '' ? Number.NaN : Number(cell);
  if (!Number.isFinite(number) || (property.type === 'integer' && !Number.isSafeInteger(number))) {
    throw wrong(`is not of type ${property.type}`);
  }
  return number;
}

/** PostgreSQL's ISO style `2026-01-31 08:00:00+00` in RFC 3339's. */
function rfc3339(text: string): string {
  return text.replace(/^(\d{4}-\d\d-\d\d) /, '$1T').replace(/[+]00(?::?00)?$/, 'Z');
}
