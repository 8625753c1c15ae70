// The file of a SQL adapter: which tables of a department's own database answer which paths. This schema is closed; what
// names a table or a column is checked against the real database later (sql-plan.ts).
//
//   adapter: sql
//   service: {code: residents, title: Residents}
//   database: {engine: sqlite, file: residents.sqlite}        # or {engine: postgres, connectionEnv: TAX_DATABASE_URL}
//   resources:
//     - path: /residents/{id}
//       table: residents
//       answer: one                                             # none: 404; two: a fault of the mapping
//       parameters: {id: {in: path, column: resident_id, type: string, subject: gx.person.resident_id@1}}
//       properties: {name: {column: full_name, type: string, element: gx.person.full_name@1}}
//       joins: {home: {table: households, on: {household_id: id}}}      # then column: home.address
//       children: {members: {table: residents, on: {household_id: household_id}, properties: {…}}}

import { ENTRY_REF_PATTERN, Level } from '#schemas/dictionary-entry.ts';
import type { AccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { PURPOSE_PATTERN } from '#schemas/statement.ts';
import { ListenSchema, ServiceSchema } from './listen.ts';
import { readYaml, type YamlFile } from './yaml-file.ts';

const closed = { additionalProperties: false } as const;
const Identifier = Type.String({ pattern: '^[^\\u0000-\\u001f]{1,63}$' });
/** `column` of the resource's own table, or `join.column`. */
const ColumnReference = Type.String({ pattern: '^[^\\u0000-\\u001f]{1,127}$' });
const Name = Type.String({ pattern: '^[A-Za-z][A-Za-z0-9_]{0,63}$' });
const named = <T extends Parameters<typeof Type.Record>[1]>(value: T, most: number) =>
  Type.Record(Name, value, { ...closed, minProperties: 1, maxProperties: most });

/** An entry of the shared dictionary, `id@major`. */
const Ref = Type.String({ pattern: ENTRY_REF_PATTERN });
const Purposes = Type.Array(Type.String({ pattern: PURPOSE_PATTERN }), { maxItems: 100, uniqueItems: true });

const valueRules = {
  type: Type.Union([Type.Literal('string'), Type.Literal('integer'), Type.Literal('number'), Type.Literal('boolean')]),
  description: Type.Optional(Type.String({ maxLength: 1000 })),
  pattern: Type.Optional(Type.String({ format: 'regex', maxLength: 400 })),
  maxLength: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  enum: Type.Optional(Type.Array(Type.Union([Type.String(), Type.Number()]), { minItems: 1, maxItems: 500 })),
  minimum: Type.Optional(Type.Number()),
  maximum: Type.Optional(Type.Number()),
};

const ParameterSchema = Type.Object(
  {
    ...valueRules,
    in: Type.Union([Type.Literal('path'), Type.Literal('query')]),
    column: ColumnReference,
    /** Query parameters only; one that is left out does not narrow the search. */
    required: Type.Optional(Type.Boolean()),
    /** This is the person (or company) the answer is about; the element names the scheme of the identifier. */
    subject: Type.Optional(Ref),
    /** Takes the day for which the caller asks: rows with `column` ≤ day < `until`. Without one, today's. */
    role: Type.Optional(Type.Literal('as-of')),
    until: Type.Optional(ColumnReference),
  },
  closed,
);

const PropertySchema = Type.Object(
  {
    ...valueRules,
    column: ColumnReference,
    format: Type.Optional(Type.Union([Type.Literal('date'), Type.Literal('date-time')])),
    nullable: Type.Optional(Type.Boolean()),
    /** The dictionary's element that stands here. */
    element: Type.Optional(Ref),
    /** The mapping that brings the department's own form into the element's. */
    map: Type.Optional(Ref),
    /** The property beside it that holds the day for which it is true. */
    asOf: Type.Optional(Name),
    /** Instead of an element, for what says nothing about anybody. */
    role: Type.Optional(Type.Union([Type.Literal('structural'), Type.Literal('technical')])),
  },
  closed,
);

const On = Type.Record(Identifier, Identifier, { minProperties: 1, maxProperties: 4 });
const JoinSchema = Type.Object({ table: Identifier, on: On, optional: Type.Optional(Type.Boolean()) }, closed);
const Limit = Type.Integer({ minimum: 1, maximum: 1000 });
const OrderBy = Type.Array(Identifier, { minItems: 1, maxItems: 4 });

const ChildSchema = Type.Object(
  {
    table: Identifier,
    on: On,
    limit: Type.Optional(Limit),
    orderBy: Type.Optional(OrderBy),
    properties: named(PropertySchema, 100),
  },
  closed,
);

const ResourceSchema = Type.Object(
  {
    path: Type.String({ pattern: '^(?:/(?:[A-Za-z0-9._~-]+|\\{[A-Za-z][A-Za-z0-9_]{0,63}\\})){1,12}$' }),
    summary: Type.Optional(Type.String({ maxLength: 200 })),
    /** For what it is offered; without it, for what the service says, or whatever an access right names. */
    purposes: Type.Optional(Purposes),
    table: Identifier,
    answer: Type.Union([Type.Literal('one'), Type.Literal('many')]),
    limit: Type.Optional(Limit),
    orderBy: Type.Optional(OrderBy),
    parameters: named(ParameterSchema, 16),
    joins: Type.Optional(named(JoinSchema, 8)),
    properties: named(PropertySchema, 200),
    children: Type.Optional(named(ChildSchema, 8)),
  },
  closed,
);

const SqliteSchema = Type.Object(
  { engine: Type.Literal('sqlite'), file: Type.String({ minLength: 1, maxLength: 1024 }) },
  closed,
);
const PostgresSchema = Type.Object(
  {
    engine: Type.Literal('postgres'),
    connectionEnv: Type.String({ pattern: '^[A-Z][A-Z0-9_]{0,127}$' }),
    schema: Type.Optional(Identifier),
  },
  closed,
);
/** With a discriminator, complaints speak of the engine that was meant. */
const DatabaseSchema = Type.Unsafe<Static<typeof SqliteSchema> | Static<typeof PostgresSchema>>({
  type: 'object',
  discriminator: { propertyName: 'engine' },
  required: ['engine'],
  oneOf: [SqliteSchema, PostgresSchema],
});

const LimitsSchema = Type.Object(
  {
    statementTimeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 60_000 })),
    maxConnections: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    maxRequests: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    maxResponseBytes: Type.Optional(Type.Integer({ minimum: 256, maximum: 16 * 1024 * 1024 })),
    maxFieldLength: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  },
  closed,
);

/** With the words that a binding to the dictionary needs. */
const BoundServiceSchema = Type.Object(
  {
    ...ServiceSchema.properties,
    /** Whose authorities are meant: the instance's code, or a part of it. */
    jurisdiction: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9-]{1,32}$' })),
    /** The highest sensitivity that the service may hold. */
    level: Type.Optional(Level),
    purposes: Type.Optional(Purposes),
  },
  closed,
);

const SqlConfigSchema = Type.Object(
  {
    adapter: Type.Literal('sql'),
    service: BoundServiceSchema,
    database: DatabaseSchema,
    listen: Type.Optional(ListenSchema),
    limits: Type.Optional(LimitsSchema),
    resources: Type.Array(ResourceSchema, { minItems: 1, maxItems: 100 }),
  },
  closed,
);

export type SqlConfig = Static<typeof SqlConfigSchema>;
export type Resource = SqlConfig['resources'][number];
export type Child = Static<typeof ChildSchema>;
export type Parameter = Static<typeof ParameterSchema>;
export type Property = Static<typeof PropertySchema>;
export type SqlFile = YamlFile<SqlConfig>;
export type SqlLimits = Required<NonNullable<SqlConfig['limits']>>;

export function limitsOf(config: SqlConfig): SqlLimits {
  return {
    statementTimeoutMs: 2_000,
    maxConnections: 4,
    maxRequests: 64,
    maxResponseBytes: 256 * 1024,
    maxFieldLength: 4_000,
    ...config.limits,
  };
}

/** @throws ADAPTER_CONFIG_INVALID with the line */
export function readSqlConfig(text: string, name: string): SqlFile {
  const yaml = readYaml(text, name, SqlConfigSchema);
  const shapes = new Set<string>(['/openapi.json']);
  for (const [at, resource] of yaml.value.resources.entries()) {
    const problem = checkPath(resource, shapes);
    if (problem) {
      throw yaml.complain(['resources', at, ...problem.at], problem.what);
    }
    checkValues(yaml, ['resources', at, 'parameters'], resource.parameters);
    checkParameterWords(yaml, ['resources', at, 'parameters'], resource.parameters);
    checkProperties(yaml, ['resources', at, 'properties'], resource.properties);
    for (const [name, child] of Object.entries(resource.children ?? {})) {
      checkProperties(yaml, ['resources', at, 'children', name, 'properties'], child.properties);
    }
  }
  return yaml;
}

interface Misfit {
  at: string[];
  what: string;
}

/** The braces of the path and the parameters named `in: path` must be the same set, and no two paths the same shape. */
function checkPath(resource: Resource, shapes: Set<string>): Misfit | undefined {
  const shape = resource.path.replaceAll(/\{[^}]*\}/g, '{}');
  if (shapes.has(shape)) {
    return { at: ['path'], what: `another resource has this path already: ${resource.path}` };
  }
  shapes.add(shape);
  const braces = [...resource.path.matchAll(/\{([^}]*)\}/g)].map((match) => match[1] ?? '');
  if (new Set(braces).size !== braces.length) {
    return { at: ['path'], what: 'a parameter stands twice in the path' };
  }
  for (const name of braces) {
    if (resource.parameters[name]?.in !== 'path') {
      return { at: ['path'], what: `{${name}} needs an entry under parameters with in: path` };
    }
  }
  for (const [name, parameter] of Object.entries(resource.parameters)) {
    if (parameter.in === 'path' && !braces.includes(name)) {
      return { at: ['parameters', name], what: `the path has no {${name}}` };
    }
    if (parameter.in === 'path' && parameter.required === false) {
      return { at: ['parameters', name, 'required'], what: 'a path parameter is always required' };
    }
  }
  if (!Object.values(resource.parameters).some((one) => one.in === 'path' || one.required)) {
    return { at: ['parameters'], what: 'at least one parameter must be required: a whole table is never handed out' };
  }
  if (resource.children && resource.answer !== 'one') {
    return { at: ['children'], what: 'children need answer: one' };
  }
  const clash = Object.keys(resource.children ?? {}).find((name) => name in resource.properties);
  return clash === undefined ? undefined : { at: ['children', clash], what: `${clash} is also a property` };
}

type Rules = Pick<Property, 'type' | 'pattern' | 'maxLength' | 'enum' | 'minimum' | 'maximum'> & { format?: string };

function checkValues(yaml: SqlFile, at: (string | number)[], all: Record<string, Rules>): void {
  for (const [name, rules] of Object.entries(all)) {
    const texts = ['pattern', 'maxLength', 'format'].find((key) => key in rules);
    const numbers = ['minimum', 'maximum'].find((key) => key in rules);
    const isNumber = rules.type === 'integer' || rules.type === 'number';
    if (texts !== undefined && rules.type !== 'string') {
      throw yaml.complain([...at, name, texts], `${texts} needs type: string`);
    }
    if (numbers !== undefined && !isNumber) {
      throw yaml.complain([...at, name, numbers], `${numbers} needs type: integer or number`);
    }
    if (rules.enum?.some((value) => (typeof value === 'string') !== (rules.type === 'string'))) {
      throw yaml.complain([...at, name, 'enum'], `the values of enum are not of type ${rules.type}`);
    }
  }
}

function checkProperties(yaml: SqlFile, at: (string | number)[], properties: Record<string, Property>): void {
  checkValues(yaml, at, properties);
  for (const [name, { element, map, asOf, role }] of Object.entries(properties)) {
    if (role !== undefined && element !== undefined) {
      throw yaml.complain([...at, name, 'role'], 'a property holds an element or has a role, not both');
    }
    const loose = map !== undefined ? 'map' : asOf !== undefined ? 'asOf' : undefined;
    if (loose !== undefined && element === undefined) {
      throw yaml.complain([...at, name, loose], `${loose} needs an element`);
    }
    if (asOf !== undefined && (asOf === name || !Object.hasOwn(properties, asOf))) {
      throw yaml.complain([...at, name, 'asOf'], `there is no other property ${asOf} beside it`);
    }
  }
}

/** One person and one day at most are asked for; the day is a date. */
function checkParameterWords(yaml: SqlFile, at: (string | number)[], parameters: Record<string, Parameter>): void {
  const seen = new Set<string>();
  for (const [name, { subject, role, until, type, ...rest }] of Object.entries(parameters)) {
    for (const word of [subject && 'subject', role && 'role'].filter((one) => one !== undefined)) {
      if (seen.has(word)) {
        throw yaml.complain([...at, name, word], `another parameter has ${word} already`);
      }
      seen.add(word);
    }
    if (until !== undefined && role === undefined) {
      throw yaml.complain([...at, name, 'until'], 'until needs role: as-of');
    }
    if (role !== undefined && (rest.in !== 'query' || rest.required || type !== 'string' || subject !== undefined)) {
      throw yaml.complain([...at, name, 'role'], 'role: as-of needs in: query, type: string, no required, no subject');
    }
  }
}

/** The connection string, from the one environment variable that the file names. It never stands in the file. */
export function connectionOf(yaml: SqlFile, environment: Readonly<Record<string, string | undefined>>): string {
  const { database } = yaml.value;
  if (database.engine !== 'postgres') {
    throw new TypeError('only PostgreSQL has a connection string');
  }
  const url = environment[database.connectionEnv];
  if (url === undefined || !/^postgres(?:ql)?:\/\//.test(url)) {
    throw yaml.complain(
      ['database', 'connectionEnv'],
      `set the environment variable ${database.connectionEnv} to postgres://user:password@host:port/database`,
    );
  }
  return url;
}

/** @throws ADAPTER_SCHEMA_MISMATCH; a place in the file and what the database lacks there */
export function mismatch(yaml: SqlFile, at: readonly (string | number)[], what: string): AccordError {
  return yaml.complain(at, what, 'ADAPTER_SCHEMA_MISMATCH');
}
