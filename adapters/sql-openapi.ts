// The OpenAPI 3.1 document of a SQL adapter, generated from its file, and the response schemas in it, against which the
// adapter also judges its own answers: what the document promises is what leaves.

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
    },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    servers: [{ url: '/' }],
    paths: Object.fromEntries(config.resources.map((resource) => [resource.path, pathItem(resource, limits)])),
    components: { schemas: { Problem: PROBLEM }, responses: { Problem: problemResponse } },
  };
}

/** The closed schema of a 200 answer. */
export function responseSchema(resource: Resource, limits: SqlLimits): JsonSchema {
  const record = recordSchema(resource.properties, resource.children ?? {}, limits);
  return resource.answer === 'one' ? record : listOf(record, resource.limit ?? 100);
}

/** A parameter's schema for its value after it was read as its type. */
export function parameterSchema({
  type,
  description: _,
  in: _in,
  column: _column,
  required: _r,
  ...rules
}: Parameter): JsonSchema {
  return { type, ...(type === 'string' ? { maxLength: 256 } : {}), ...rules };
}

function pathItem(resource: Resource, limits: SqlLimits): JsonSchema {
  const words = resource.path.split('/').filter((part) => part !== '' && !part.startsWith('{'));
  const by = [...resource.path.matchAll(/\{([^}]*)\}/g)].map((match) => match[1]);
  const name = ['get', ...words, ...(by.length > 0 ? ['by', ...by] : [])].join('-');
  return {
    get: {
      operationId: name.replaceAll(/[^A-Za-z0-9-]/g, '-'),
      ...(resource.summary === undefined ? {} : { summary: resource.summary }),
      parameters: Object.entries(resource.parameters).map(([parameter, rules]) => ({
        name: parameter,
        in: rules.in,
        required: rules.in === 'path' || rules.required === true,
        ...(rules.description === undefined ? {} : { description: rules.description }),
        schema: parameterSchema(rules),
      })),
      responses: {
        200: { description: 'Found', content: { 'application/json': { schema: responseSchema(resource, limits) } } },
        ...Object.fromEntries(
          (resource.answer === 'one' ? [400, 404, 422, 502, 503, 504] : [400, 422, 502, 503, 504]).map((status) => [
            status,
            { $ref: '#/components/responses/Problem' },
          ]),
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
  const { column: _, type, nullable, element, enum: values, ...rules } = property;
  return {
    type: nullable ? [type, 'null'] : type,
    ...(type === 'string' ? { maxLength: maxFieldLength } : {}),
    ...rules,
    ...(values === undefined ? {} : { enum: nullable ? [...values, null] : values }),
    ...(element === undefined ? {} : { 'x-accord-element': element }),
  };
}

const PROBLEM = {
  type: 'object',
  required: ['type', 'title', 'status', 'code'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string' },
    detail: { type: 'string' },
    next: { type: 'string' },
    instance: { type: 'string' },
  },
};

const problemResponse = {
  description: 'A problem document (RFC 9457) with a stable code',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};
