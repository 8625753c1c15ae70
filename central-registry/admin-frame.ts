// The frame of the admin API: who may do what (API keys with roles), idempotency, dry runs, the audit trail, and the
// OpenAPI 3.1 document made from the very schemas that judge requests. A change is one transaction: the change itself,
// its line in the audit trail and the answer kept under its Idempotency-Key are durable together or not at all.
//
// Whoever reaches the admin port controls every byte; before the API key was checked, nothing is looked up for them.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '#core/clock.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Static, type TSchema, Type } from '#schemas/schema-builder.ts';
import type { Role } from './administration-store-sqlite.ts';
import type { Publisher } from './publisher.ts';
import type { ReleasedDictionary } from './released-dictionary.ts';
import type { RegistryStore } from './store-sqlite.ts';

export interface RegistryContext {
  instance: string;
  store: RegistryStore;
  clock: Clock;
  publisher: Publisher;
  dictionary: ReleasedDictionary;
}

/** What a role may do. `auditor` changes nothing. */
const PERMISSIONS = {
  read: ['registry-admin', 'registration-officer', 'publisher', 'auditor'],
  audit: ['registry-admin', 'auditor'],
  register: ['registry-admin', 'registration-officer'],
  publish: ['registry-admin', 'publisher'],
  // The statement carries its own proof; whoever hands it in adds nothing to it.
  distrust: ['registry-admin', 'registration-officer', 'publisher'],
  govern: ['registry-admin'],
} as const satisfies Record<string, readonly Role[]>;
export type Permission = keyof typeof PERMISSIONS;

interface RouteFacts {
  method: 'GET' | 'POST' | 'DELETE';
  url: string;
  /** What it does, for the OpenAPI document. */
  summary: string;
  permission: Permission;
  params?: TSchema;
  query?: TSchema;
  body?: TSchema;
  /** Larger than the frame's own limit. */
  maxBodyBytes?: number;
}
interface ReadRoute extends RouteFacts {
  method: 'GET';
  read(request: FastifyRequest): unknown;
}
interface ChangeRoute<Body extends TSchema> extends RouteFacts {
  method: 'POST' | 'DELETE';
  body?: Body;
  /** What has to wait (parsing a document) before the transaction. */
  prepare?(body: Static<Body>): Promise<unknown>;
  /** Runs inside the transaction; throws to undo everything. */
  change(request: FastifyRequest<{ Body: Static<Body> }>, prepared: unknown): ChangeResult;
}
interface JudgeRoute<Body extends TSchema> extends RouteFacts {
  method: 'POST';
  body: Body;
  judge(body: Static<Body>): Promise<unknown>;
}
export interface ChangeResult {
  status: number;
  body: unknown;
  /** What was changed, for the audit trail: an identifier, never a secret. */
  target: string;
  /** Kept under the Idempotency-Key in place of `body`, when that holds a secret. */
  kept?: unknown;
  /** After the commit. */
  after?: () => void;
}

interface Caller {
  id: string;
  role: Role;
}

const IDEMPOTENCY_KEY = /^[A-Za-z0-9_-]{8,128}$/;
/** Answers are kept this long for clients that repeat a request. */
const IDEMPOTENCY_LIFETIME_MS = 24 * 3_600_000;
const DryRunQuery = Type.Object({ dryRun: Type.Optional(Type.Literal('true')) }, { additionalProperties: false });
export const PageQuery = Type.Object(
  {
    after: Type.Optional(Type.String({ maxLength: 400 })),
    limit: Type.Optional(Type.String({ pattern: '^(?:[1-9][0-9]{0,2}|1000)$' })),
  },
  { additionalProperties: false },
);

export function pageOf(request: FastifyRequest): { after: string; limit: number } {
  const { after = '', limit = '100' } = request.query as Static<typeof PageQuery>;
  return { after, limit: Number(limit) };
}

/** The path's parameters joined to an identifier. */
export function idFrom(request: FastifyRequest): string {
  return Object.values(request.params as Record<string, string>).join('/');
}

/** Makes an API key; the text is shown once and only its hash is kept. 256 random bits need no slow hash. */
export function newApiKey(): { id: string; text: string; secretHash: string } {
  const id = randomBytes(9).toString('hex');
  const secret = randomBytes(32).toString('base64url');
  return { id, text: `accord_${id}_${secret}`, secretHash: sha256(secret).toString('base64url') };
}

export class AdminFrame {
  readonly #app: FastifyInstance;
  readonly #context: RegistryContext;
  readonly #facts: RouteFacts[] = [];

  constructor(app: FastifyInstance, context: RegistryContext) {
    this.#app = app;
    this.#context = context;
    app.get('/openapi.json', async () => describe(this.#facts));
  }

  read(route: ReadRoute): void {
    this.#facts.push(route);
    this.#app.get(route.url, { schema: schemasOf(route, route.query) }, async (request, reply) => {
      this.#caller(request, route.permission);
      return reply.header('cache-control', 'no-store').send(route.read(request));
    });
  }

  /** A question with a body: nothing is written, so there is no line in the audit trail. */
  judge<Body extends TSchema>(route: JudgeRoute<Body>): void {
    this.#facts.push(route);
    this.#app.post<{ Body: Static<Body> }>(route.url, {
      schema: schemasOf(route, undefined),
      onRequest: async (request) => void this.#caller(request, route.permission),
      handler: async (request, reply) =>
        reply.header('cache-control', 'no-store').send(await route.judge(request.body)),
    });
  }

  change<Body extends TSchema>(route: ChangeRoute<Body>): void {
    this.#facts.push({ ...route, query: DryRunQuery });
    this.#app.route<{ Body: Static<Body> }>({
      method: route.method,
      url: route.url,
      schema: schemasOf(route, DryRunQuery),
      ...sizesOf(route),
      // Before the body is judged: a stranger learns nothing of the schemas' refusals.
      onRequest: async (request) => void this.#caller(request, route.permission),
      handler: async (request, reply) => {
        const caller = this.#caller(request, route.permission);
        const prepared = await route.prepare?.(request.body);
        return this.#change(caller, request, reply, () =>
          route.change(request as FastifyRequest<{ Body: Static<Body> }>, prepared),
        );
      },
    });
  }

  #change(caller: Caller, request: FastifyRequest, reply: FastifyReply, change: () => ChangeResult): FastifyReply {
    const { store, clock } = this.#context;
    const key = idempotencyKey(request);
    const path = request.url.split('?', 1)[0] ?? '';
    const requestHash = sha256(JSON.stringify([request.method, path, request.body ?? null])).toString('base64url');
    const dryRun = (request.query as Static<typeof DryRunQuery>).dryRun === 'true';
    let result: ChangeResult | undefined;
    try {
      const repeated = store.transaction(() => {
        const kept = key === undefined ? undefined : store.administration.answer(caller.id, key);
        if (kept && kept.requestHash !== requestHash) throw new AccordError('IDEMPOTENCY_CONFLICT');
        if (kept) return kept;
        result = change();
        const atMs = clock.nowMs();
        const action = `${request.method} ${request.routeOptions.url ?? path}`;
        store.administration.appendAudit({
          atMs,
          principal: caller.id,
          role: caller.role,
          action,
          target: result.target,
          requestHash,
        });
        if (key !== undefined) {
          const body = JSON.stringify(result.kept ?? result.body);
          store.administration.dropAnswers(atMs - IDEMPOTENCY_LIFETIME_MS);
          store.administration.putAnswer(caller.id, key, { requestHash, status: result.status, body }, atMs);
        }
        if (dryRun) throw new DryRun();
        return undefined;
      });
      if (repeated) {
        const kept = reply.header('idempotent-replayed', 'true').code(repeated.status).type('application/json');
        return kept.send(JSON.parse(repeated.body));
      }
    } catch (error) {
      if (!(error instanceof DryRun) || !result) throw error;
      return reply
        .header('dry-run', 'true')
        .code(200)
        .send(result.kept ?? result.body);
    }
    result?.after?.();
    return reply.code(result?.status ?? 200).send(result?.body);
  }

  /** @throws API_KEY_REFUSED, ROLE_FORBIDDEN */
  #caller(request: FastifyRequest, permission: Permission): Caller {
    const found = /^Bearer accord_([0-9a-f]{18})_([A-Za-z0-9_-]{43})$/.exec(request.headers.authorization ?? '');
    const [, id = '', secret = ''] = found ?? [];
    const row = found ? this.#context.store.administration.apiKey(id) : undefined;
    const matches = row && timingSafeEqual(sha256(secret), Buffer.from(row.secretHash, 'base64url'));
    if (!row || !matches || row.revokedAtMs !== null) throw new AccordError('API_KEY_REFUSED');
    const allowed: readonly Role[] = PERMISSIONS[permission];
    if (!allowed.includes(row.role)) throw new AccordError('ROLE_FORBIDDEN', `needs one of ${allowed.join(', ')}`);
    return { id: row.id, role: row.role };
  }
}

class DryRun extends Error {}

function idempotencyKey(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !IDEMPOTENCY_KEY.test(key)) {
    throw new AccordError('SCHEMA_MISMATCH', 'Idempotency-Key: 8 to 128 letters, digits, _ and -');
  }
  return key;
}

/** A tenth of a document's bytes may be values: entries are mostly text. */
function sizesOf({ maxBodyBytes }: RouteFacts) {
  if (maxBodyBytes === undefined) return {};
  const jsonLimits = { maxBytes: maxBodyBytes, maxValues: Math.ceil(maxBodyBytes / 10) };
  return { bodyLimit: maxBodyBytes, config: { jsonLimits } };
}

function schemasOf(route: RouteFacts, query: TSchema | undefined) {
  return {
    ...(route.params && { params: route.params }),
    ...(route.body && { body: route.body }),
    querystring: query ?? Type.Object({}, { additionalProperties: false }),
  };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** OpenAPI 3.1 from the routes. */
function describe(routes: readonly RouteFacts[]): object {
  const paths: Record<string, Record<string, object>> = {};
  const parameters = (where: 'path' | 'query', schema: TSchema | undefined) =>
    Object.entries((schema?.properties ?? {}) as Record<string, TSchema>).map(([name, each]) => ({
      name,
      in: where,
      required: where === 'path',
      schema: each,
    }));
  for (const { method, url, summary, permission, params, query, body } of routes) {
    const path = url.replace(/:([a-zA-Z]+)/g, '{$1}');
    paths[path] ??= {};
    paths[path][method.toLowerCase()] = {
      operationId: `${method.toLowerCase()}${path.replace(/[^a-zA-Z]+(.)?/g, (_, c: string) => (c ?? '').toUpperCase())}`,
      summary,
      'x-accord-roles': PERMISSIONS[permission],
      parameters: [...parameters('path', params), ...parameters('query', query)],
      ...(body && { requestBody: { required: true, content: { 'application/json': { schema: body } } } }),
      responses: {
        '2XX': { description: 'Done', content: { 'application/json': { schema: {} } } },
        default: { description: 'A problem (RFC 9457)', content: { 'application/problem+json': { schema: {} } } },
      },
    };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Accord central registry: admin API', version: '1' },
    security: [{ apiKey: [] }],
    paths,
    components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
  };
}
