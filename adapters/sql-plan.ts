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
import { type JsonRecord, recordOf } from './sql-record.ts';

export type Values = Readonly<Record<string, string | number | boolean | undefined>>;

export interface ResourcePlan {
  resource: Resource;
  /** The same for the named paths only (`/name`, `/items/name`, `/child/name`): nothing else is read from the database. */
  narrowed(asked: ReadonlySet<string>): ResourcePlan;
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
    const place = [...at, 'parameters', name];
    const columnOf = (key: 'column' | 'until', reference: string) => {
      const found = resolve(yaml, own, sources, reference, [...place, key]);
      checkType(yaml, database, found.column, parameter, [...place, key]);
      return found.sql;
    };
    const until = parameter.until === undefined ? undefined : columnOf('until', parameter.until);
    return { name, sql: columnOf('column', parameter.column), until, role: parameter.role };
  });
  const properties = selected(yaml, database, own, sources, resource.properties, [...at, 'properties'], dialect);
  const children: ChildPlan[] = [];
  for (const [name, child] of Object.entries(resource.children ?? {})) {
    const place = [...at, 'children', name];
    const keys = Object.keys(child.on).map((column) => columnIn(yaml, own, column, [...place, 'on']));
    children.push((await planChild(database, yaml, place, child, dialect))(name, keys));
  }
  const order = orderOf(yaml, own, resource.orderBy, [...at, 'orderBy']);
  const guard = dialect.guard(`"_".${quoted(own.columns[0]?.name ?? '')}`);
  return planOf({ resource, dialect, limits, from, parameters, properties, children, order, guard });
}

/** Everything that was found in the database for one resource. */
interface Parts {
  resource: Resource;
  dialect: Dialect;
  limits: SqlLimits;
  from: string;
  parameters: readonly { name: string; sql: string; until: string | undefined; role: Parameter['role'] }[];
  properties: readonly Selected[];
  children: readonly ChildPlan[];
  order: string;
  guard: readonly string[];
}

function planOf(parts: Parts): ResourcePlan {
  const { resource, dialect, limits, from, parameters, properties, children, order, guard } = parts;
  const limit = resource.answer === 'one' ? 1 : (resource.limit ?? 100);
  const columns = [...properties.map(({ sql }) => sql), ...children.flatMap(({ keys }) => keys)];
  // Whether there is such a row is asked even when nothing in it is.
  const select = columns.length === 0 ? '1' : columns.join(', ');
  return {
    resource,
    narrowed: (asked) => planOf(narrowed(parts, asked)),
    main(values) {
      const bound: Query['values'][number][] = [];
      const place = (name: string) => dialect.place(bound.push(dialect.bound(values[name])));
      const given = parameters.filter(({ name }) => values[name] !== undefined);
      const where = given.map(({ name, sql, until, role }) => {
        if (role === undefined) return `${sql} = ${place(name)}`;
        const began = `${sql} <= ${place(name)}`;
        return until === undefined ? began : `${began} AND (${until} IS NULL OR ${until} > ${place(name)})`;
      });
      return {
        sql: `SELECT ${select} FROM ${from} WHERE ${[...guard, ...where].join(' AND ')}${order} LIMIT ${limit + 1}`,
        values: bound,
      };
    },
    follow([row, second]) {
      if (!row || second) return [];
      let at = properties.length;
      return children.map(({ keys, query }) => {
        at += keys.length;
        return query(row.slice(at - keys.length, at));
      });
    },
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

/** Joins and order stay: they decide which rows there are, and name no column in the answer. */
function narrowed(parts: Parts, asked: ReadonlySet<string>): Parts {
  const prefix = parts.resource.answer === 'many' ? '/items/' : '/';
  const children = parts.children.map((child) => child.narrowed((name) => asked.has(`/${child.name}/${name}`)));
  return {
    ...parts,
    properties: parts.properties.filter(({ name }) => asked.has(prefix + name)),
    children: children.filter((child) => child !== null),
  };
}

interface ChildPlan {
  name: string;
  /** Columns of the parent, in the order in which `query` takes them. */
  keys: readonly string[];
  query(keys: Row): Query;
  records(rows: readonly Row[], limits: SqlLimits): JsonRecord[];
  /** With only the properties that are asked for; null when there are none. */
  narrowed(asked: (property: string) => boolean): ChildPlan | null;
}

async function planChild(
  database: ReadOnlyDatabase,
  yaml: SqlFile,
  at: Place,
  child: Child,
  dialect: Dialect,
): Promise<(name: string, keys: readonly string[]) => ChildPlan> {
  const source = await sourceOf(database, yaml, [...at, 'table'], child.table, '_');
  const all = selected(yaml, database, source, new Map(), child.properties, [...at, 'properties'], dialect);
  const on = Object.values(child.on).map(
    (column, place) => `${columnIn(yaml, source, column, [...at, 'on'])} = ${dialect.place(place + 1)}`,
  );
  const limit = child.limit ?? 100;
  const guard = dialect.guard(`"_".${quoted(source.columns[0]?.name ?? '')}`);
  const order = orderOf(yaml, source, child.orderBy, [...at, 'orderBy']);
  const rest = `FROM ${database.qualified(child.table)} AS "_" WHERE ${[...guard, ...on].join(' AND ')}${order} LIMIT ${limit + 1}`;
  const planOf = (name: string, keys: readonly string[], properties: readonly Selected[]): ChildPlan => ({
    name,
    keys,
    query: (cells) => ({
      sql: `SELECT ${properties.map((one) => one.sql).join(', ')} ${rest}`,
      values: cells.map(keyOf),
    }),
    records: (rows, limits) =>
      withinLimit(
        rows.map((row) => recordOf(properties, row, limits)),
        limit,
      ),
    narrowed(asked) {
      const left = properties.filter((one) => asked(one.name));
      return left.length === 0 ? null : planOf(name, keys, left);
    },
  });
  return (name, keys) => planOf(name, keys, all);
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
