// The SQL adapter: a program of the department that answers GET requests from its own database, read-only, with bound
// values and limits on rows, lengths, bytes, time and connections. Its only caller is the department's security server,
// which authorised the exact path; whoever asked there controls the path's parameters and the query.

import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Clock } from '#core/clock.ts';
import { openServer } from '#core/http/server-frame.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Adapter, type AdapterContext, besideFile, capInFlight, tlsOptions } from './listen.ts';
import { connectionOf, limitsOf, type Parameter, readSqlConfig, type SqlFile, type SqlLimits } from './sql-config.ts';
import type { ReadOnlyDatabase } from './sql-database.ts';
import { fieldsOf, withDay } from './sql-fields.ts';
import {
  ACCORD_WORDS,
  type JsonSchema,
  narrowedSchema,
  openApiOf,
  parameterSchema,
  responseSchema,
} from './sql-openapi.ts';
import { planResource, type ResourcePlan, type Values } from './sql-plan.ts';
import { openPostgres } from './sql-postgres.ts';
import { openSqlite } from './sql-sqlite.ts';

/** The description alone, without a database. @throws ADAPTER_CONFIG_INVALID */
export function describeSql(text: string, name: string): unknown {
  const { value } = readSqlConfig(text, name);
  return openApiOf(value, limitsOf(value));
}

/**
 * Reads the file, opens the database and checks every name and type against it.
 * @throws ADAPTER_CONFIG_INVALID, ADAPTER_SCHEMA_MISMATCH (both with the line), DATABASE_UNAVAILABLE, DATABASE_TIMEOUT
 */
export async function openSqlAdapter(text: string, context: AdapterContext, clock: Clock): Promise<Adapter> {
  const yaml = readSqlConfig(text, context.file);
  const limits = limitsOf(yaml.value);
  const tls = await tlsOptions(yaml, context);
  const database = openDatabase(yaml, context, limits, clock);
  try {
    const plans = await Promise.all(
      yaml.value.resources.map((_, index) => planResource(database, yaml, index, limits)),
    );
    const warnings = await scansIn(database, plans);
    const server = openServer({ name: `adapter ${yaml.value.service.code}`, bodyLimit: 1024, ...(tls && { tls }) });
    capInFlight(server, limits.maxRequests);
    server.addHook('onClose', () => database.close());
    server.get('/openapi.json', async (_request, reply) => {
      reply.type('application/json');
      return JSON.stringify(openApiOf(yaml.value, limits));
    });
    for (const plan of plans) {
      addRoute(server, database, plan, limits, clock);
    }
    return { server, listen: yaml.value.listen ?? {}, warnings };
  } catch (error) {
    await database.close();
    throw error;
  }
}

function openDatabase(yaml: SqlFile, context: AdapterContext, limits: SqlLimits, clock: Clock): ReadOnlyDatabase {
  const { database } = yaml.value;
  return database.engine === 'sqlite'
    ? openSqlite(besideFile(context, database.file), limits, clock)
    : openPostgres(connectionOf(yaml, context.environment), database.schema ?? 'public', limits);
}

/** Paths that make the database read a whole table: they work, and get slower with every row. */
async function scansIn(database: ReadOnlyDatabase, plans: readonly ResourcePlan[]): Promise<string[]> {
  const warnings: string[] = [];
  for (const plan of plans) {
    const required = Object.entries(plan.resource.parameters).filter(([, one]) => one.in === 'path' || one.required);
    const values = Object.fromEntries(required.map(([name, { type }]) => [name, type === 'string' ? '' : 0]));
    const scans = await database.readsWholeTable(plan.main(values)).catch(() => false);
    if (scans) {
      warnings.push(
        `${plan.resource.path} reads the whole table ${plan.resource.table}: add an index on its key columns`,
      );
    }
  }
  return warnings;
}

const OTHER_METHODS = ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

function addRoute(
  server: FastifyInstance,
  database: ReadOnlyDatabase,
  plan: ResourcePlan,
  limits: SqlLimits,
  clock: Clock,
): void {
  const url = plan.resource.path.replaceAll(/\{([^}]*)\}/g, ':$1');
  const read = parameterReader(plan.resource.parameters, clock);
  const checkWhole = answerCheck(responseSchema(plan.resource, limits));
  const checkNarrowed = answerCheck(narrowedSchema(plan.resource, limits));
  server.get(url, async (request, reply) => {
    const values = read(request);
    const asked = fieldsOf(request.raw.rawHeaders);
    const { main, follow, answer: answerOf } = asked === null ? plan : plan.narrowed(asked);
    const answer = answerOf(await database.read(main(values), follow));
    (asked === null ? checkWhole : checkNarrowed)(answer);
    const body = JSON.stringify(answer);
    if (Buffer.byteLength(body) > limits.maxResponseBytes) {
      throw new AccordError('RESPONSE_TOO_LARGE', `more than ${limits.maxResponseBytes} bytes`);
    }
    reply.header('cache-control', 'no-store').type('application/json');
    return body;
  });
  server.route({
    method: OTHER_METHODS,
    url,
    onRequest: async (_request, reply) => {
      reply.header('allow', 'GET, HEAD');
      throw new AccordError('METHOD_NOT_ALLOWED');
    },
    handler: async () => undefined,
  });
}

// One compiler for all resources. What it compiles is written here from a checked file: strict mode finds a wrong keyword,
// and the schema of schemas, which takes longer than all of it, has nothing to add.
const checks = new Ajv2020({
  validateSchema: false,
  code: { optimize: false },
  strict: true,
  allErrors: false,
  allowUnionTypes: true,
  keywords: ACCORD_WORDS,
});
formats.default(checks, ['date', 'date-time']);

/** Reads path and query strictly: no unknown name, none twice, each of its declared form. @throws PARAMETER_INVALID */
function parameterReader(
  parameters: Readonly<Record<string, Parameter>>,
  clock: Clock,
): (request: FastifyRequest) => Values {
  const validate = checks.compile({
    type: 'object',
    additionalProperties: false,
    required: Object.entries(parameters).flatMap(([name, one]) => (one.in === 'path' || one.required ? [name] : [])),
    properties: Object.fromEntries(Object.entries(parameters).map(([name, one]) => [name, parameterSchema(one)])),
  });
  return (request) => {
    const given: [string, string][] = [...Object.entries(request.params as Record<string, string>)];
    const query = (request.raw.url ?? '').split('?').slice(1).join('?');
    given.push(...queryPairs(query));
    const values: Record<string, string | number | boolean> = {};
    for (const [name, text] of given) {
      if (Object.hasOwn(values, name)) {
        throw new AccordError('PARAMETER_INVALID', `${name.slice(0, 64)} occurs twice`);
      }
      const parameter = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
      if (!parameter) {
        throw new AccordError('PARAMETER_INVALID', `unknown parameter ${JSON.stringify(name.slice(0, 64))}`);
      }
      values[name] = typed(parameter.type, text);
    }
    withDay(values, parameters, request.raw.rawHeaders, clock);
    if (!validate(values)) {
      const error = validate.errors?.[0];
      throw new AccordError(
        'PARAMETER_INVALID',
        `${error?.instancePath.slice(1) ?? ''} ${error?.message ?? ''}`.trim(),
      );
    }
    return values;
  };
}

function queryPairs(query: string): [string, string][] {
  const parts = query === '' ? [] : query.split('&');
  return parts.map((part) => {
    const equals = part.indexOf('=');
    try {
      const [name, value] = equals < 0 ? [part, ''] : [part.slice(0, equals), part.slice(equals + 1)];
      return [decodeURIComponent(name), decodeURIComponent(value.replaceAll('+', ' '))];
    } catch {
      throw new AccordError('PARAMETER_INVALID', 'the query is not percent-encoded UTF-8');
    }
  });
}

/** One spelling for each value; anything else stays text and fails the check that follows. */
function typed(type: Parameter['type'], text: string): string | number | boolean {
  if (type === 'boolean') {
    return text === 'true' ? true : text === 'false' ? false : text;
  }
  if (type === 'string') {
    return text;
  }
  const canonical = type === 'integer' ? /^(?:0|-?[1-9][0-9]{0,15})$/ : /^-?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,15})?$/;
  const number = Number(text);
  return canonical.test(text) && (type === 'number' || Number.isSafeInteger(number)) ? number : text;
}

/** What leaves is what the description promises: a null or a code outside the list is the department's fault, not news. */
function answerCheck(schema: JsonSchema): (answer: unknown) => void {
  const validate = checks.compile(schema);
  return (answer) => {
    if (!validate(answer)) {
      const error = validate.errors?.[0];
      throw new AccordError('DATABASE_VALUE_MISMATCH', `${error?.instancePath ?? ''} ${error?.message ?? ''}`.trim());
    }
  };
}
