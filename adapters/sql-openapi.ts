// The OpenAPI 3.1 document of a SQL adapter, generated from its file, and the response schemas in it, against which the
// adapter also judges its own answers: what the document promises is what leaves. The words x-accord-… bind it to the
// shared dictionary (policy/binding compiles them); problem documents are bound as technical, by closed lists.

import { PROBLEMS, type ProblemCode } from '#schemas/problems.ts';
import type { Child, Parameter, Property, Resource, SqlConfig, SqlLimits } from './sql-config.ts';

export type JsonSchema = { [keyword: string]: unknown };

export function openApiOf(config: SqlConfig, limits: SqlLimits): JsonSchema {
  const { service } = config;
  return {
    openapi: '3.1.0',
    info: {
      title: service.title,
      version: service.version ?? '1.0.0',
      ...(service.description === undefined ? {} : { description: service.description }),
      ...(service.jurisdiction === undefined ? {} : { 'x-accord-jurisdiction': service.jurisdiction }),
      ...(service.level === undefined ? {} : { 'x-accord-level': service.level }),
      ...(service.purposes === undefined ? {} : { 'x-accord-purposes': service.purposes }),
    },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    servers: [{ url: '/' }],
    paths: Object.fromEntries(config.resources.map((resource) => [resource.path, pathItem(resource, limits)])),
    components: {
      responses: Object.fromEntries(PROBLEM_STATUSES.map((status) => [`Problem${status}`, problemResponse(status)])),
    },
  };
}

/** The closed schema of a 200 answer. */
export function responseSchema(resource: Resource, limits: SqlLimits): JsonSchema {
  const record = recordSchema(resource.properties, resource.children ?? {}, limits);
  return resource.answer === 'one' ? record : listOf(record, resource.limit ?? 100);
}

/** The same for an answer that was narrowed to what was asked: what is there is judged, nothing must be there. */
export function narrowedSchema(resource: Resource, limits: SqlLimits): JsonSchema {
  return withoutRequired(responseSchema(resource, limits)) as JsonSchema;
}

function withoutRequired(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return schema;
  const { required, properties, items, ...rest } = schema as JsonSchema;
  const inner = Object.entries((properties ?? {}) as JsonSchema).map(([name, one]) => [name, withoutRequired(one)]);
  return {
    ...rest,
    ...(properties === undefined ? {} : { properties: Object.fromEntries(inner) }),
    ...(items === undefined ? {} : { items: withoutRequired(items) }),
  };
}

/** A parameter's schema for its value after it was read as its type. */
export function parameterSchema({
  type,
  description: _,
  in: _in,
  column: _column,
  required: _r,
  subject: _s,
  until: _u,
  role,
  ...rules
}: Parameter): JsonSchema {
  const form = role === 'as-of' ? { format: 'date' } : {};
  return { type, ...(type === 'string' ? { maxLength: 256 } : {}), ...form, ...rules };
}

function pathItem(resource: Resource, limits: SqlLimits): JsonSchema {
  const words = resource.path.split('/').filter((part) => part !== '' && !part.startsWith('{'));
  const by = [...resource.path.matchAll(/\{([^}]*)\}/g)].map((match) => match[1]);
  const name = ['get', ...words, ...(by.length > 0 ? ['by', ...by] : [])].join('-');
  return {
    get: {
      operationId: name.replaceAll(/[^A-Za-z0-9-]/g, '-'),
      ...(resource.summary === undefined ? {} : { summary: resource.summary }),
      ...(resource.purposes === undefined ? {} : { 'x-accord-purposes': resource.purposes }),
      parameters: Object.entries(resource.parameters).map(([parameter, rules]) => ({
        name: parameter,
        in: rules.in,
        required: rules.in === 'path' || rules.required === true,
        ...(rules.description === undefined ? {} : { description: rules.description }),
        ...(rules.subject === undefined ? {} : { 'x-accord-subject': rules.subject }),
        ...(rules.role === undefined ? {} : { 'x-accord-role': rules.role }),
        schema: parameterSchema(rules),
      })),
      responses: {
        200: { description: 'Found', content: { 'application/json': { schema: responseSchema(resource, limits) } } },
        ...Object.fromEntries(
          PROBLEM_STATUSES.map((status) => [status, { $ref: `#/components/responses/Problem${status}` }]),
        ),
      },
    },
  };
}

function recordSchema(
  properties: Readonly<Record<string, Property>>,
  children: Readonly<Record<string, Child>>,
  limits: SqlLimits,
): JsonSchema {
  const fields = Object.entries(properties).map(([name, property]) => [name, propertySchema(property, limits)]);
  const lists = Object.entries(children).map(([name, child]) => [
    name,
    listItems(recordSchema(child.properties, {}, limits), child.limit ?? 100),
  ]);
  return {
    type: 'object',
    additionalProperties: false,
    required: [...Object.keys(properties), ...Object.keys(children)],
    properties: Object.fromEntries([...fields, ...lists]),
  };
}

function listOf(record: JsonSchema, limit: number): JsonSchema {
  return {
    type: 'object',
    additionalProperties: false,
    required: ['items'],
    properties: { items: listItems(record, limit) },
  };
}

function listItems(record: JsonSchema, limit: number): JsonSchema {
  return { type: 'array', maxItems: limit, items: record };
}

function propertySchema(property: Property, { maxFieldLength }: SqlLimits): JsonSchema {
  const { column: _, type, nullable, element, map, asOf, role, enum: values, ...rules } = property;
  return {
    type: nullable ? [type, 'null'] : type,
    ...(type === 'string' ? { maxLength: maxFieldLength } : {}),
    ...rules,
    ...(values === undefined ? {} : { enum: nullable ? [...values, null] : values }),
    ...(element === undefined ? {} : { 'x-accord-element': element }),
    ...(map === undefined ? {} : { 'x-accord-map': map }),
    ...(asOf === undefined ? {} : { 'x-accord-as-of': asOf }),
    ...(role === undefined ? {} : { 'x-accord-role': role }),
  };
}

/** Words of the document that are no JSON Schema: for the validator that judges the adapter's own answers. */
export const ACCORD_WORDS = ['x-accord-element', 'x-accord-map', 'x-accord-as-of', 'x-accord-role'];

/** What the adapter and the server frame around it can say of a GET. */
const SAID: readonly ProblemCode[] = [
  'PARAMETER_INVALID',
  'REQUEST_MALFORMED',
  'HEADER_DUPLICATE',
  'RECORD_NOT_FOUND',
  'NOT_FOUND',
  'TOO_MANY_ROWS',
  'HEADERS_TOO_LARGE',
  'INTERNAL',
  'DATABASE_VALUE_MISMATCH',
  'RESPONSE_TOO_LARGE',
  'DATABASE_UNAVAILABLE',
  'SERVER_BUSY',
  'DATABASE_TIMEOUT',
];
const PROBLEM_STATUSES = [...new Set(SAID.map((code) => PROBLEMS[code].status))].sort((a, b) => a - b);

/** Only the values that this status really has, so that a problem document cannot carry anything about anybody. */
function problemResponse(status: number): JsonSchema {
  const codes = SAID.filter((code) => PROBLEMS[code].status === status);
  const titles = codes.map((code) => PROBLEMS[code].title);
  const types = codes.map((code) => `urn:accord:problem:${code}`);
  const technical = (type: string, values: readonly unknown[]) => ({
    type,
    enum: values,
    'x-accord-role': 'technical',
  });
  const schema = {
    type: 'object',
    description: 'A detail, the next step and the instance stand beside these; they stay in the department.',
    additionalProperties: false,
    required: ['type', 'title', 'status', 'code'],
    properties: {
      type: technical('string', types),
      title: technical('string', titles),
      status: technical('integer', [status]),
      code: technical('string', codes),
    },
  };
  return {
    description: 'A problem document (RFC 9457) with a stable code',
    content: { 'application/problem+json': { schema } },
  };
}
