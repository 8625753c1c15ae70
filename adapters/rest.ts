// The REST adapter: stands between the department's security server and a backend that exists already. It lets through
// the methods and paths of its file, and only the headers named there and those of the exchange itself; bodies pass as
// bytes, redirects are never followed, nothing is decoded. Who asked through the exchange controls path, query and body;
// the backend its answer.
//
//   adapter: rest
//   service: {code: people, title: People}
//   backend: {url: http://127.0.0.1:9000/api}
//   allow: [{method: GET, path: /people/*}, {method: GET, path: /lists/**}]     # * one segment, ** any number
//   requestHeaders: [accept, accept-language]
//   responseHeaders: [etag]

import { readFile } from 'node:fs/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type BoundedClient, type BoundedRequest, type BoundedResponse, openClient } from '#core/http/client.ts';
import type { ClientTls } from '#core/http/connect.ts';
import { openServer } from '#core/http/server-frame.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { servicePath, serviceQuery } from '#schemas/service-path.ts';
import {
  type Adapter,
  type AdapterContext,
  besideFile,
  capInFlight,
  ListenSchema,
  ServiceSchema,
  tlsOptions,
} from './listen.ts';
import { readYaml, type YamlFile } from './yaml-file.ts';

const closed = { additionalProperties: false } as const;
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
const FileName = Type.String({ minLength: 1, maxLength: 1024 });
const HeaderName = Type.String({ pattern: '^[a-z0-9-]{1,64}$' });

const RestConfigSchema = Type.Object(
  {
    adapter: Type.Literal('rest'),
    service: ServiceSchema,
    listen: Type.Optional(ListenSchema),
    backend: Type.Object(
      {
        url: Type.String({ pattern: '^https?://[^/?#@]+(?:/[A-Za-z0-9._~-]+)*$', maxLength: 1024 }),
        tls: Type.Optional(
          Type.Object(
            { ca: Type.Optional(FileName), certificate: Type.Optional(FileName), key: Type.Optional(FileName) },
            closed,
          ),
        ),
        timeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 120_000 })),
        maxConnections: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
        maxRequestBytes: Type.Optional(Type.Integer({ minimum: 0, maximum: 16 * 1024 * 1024 })),
        maxResponseBytes: Type.Optional(Type.Integer({ minimum: 0, maximum: 16 * 1024 * 1024 })),
      },
      closed,
    ),
    allow: Type.Array(
      Type.Object(
        {
          method: Type.Union(METHODS.map((method) => Type.Literal(method))),
          path: Type.String({ pattern: "^(?:/(?:\\*{1,2}|[A-Za-z0-9._~!$&'()+,;=:@%-]+))+$|^/$", maxLength: 1024 }),
        },
        closed,
      ),
      { minItems: 1, maxItems: 500 },
    ),
    requestHeaders: Type.Optional(Type.Array(HeaderName, { maxItems: 64 })),
    responseHeaders: Type.Optional(Type.Array(HeaderName, { maxItems: 64 })),
    /** The backend's own OpenAPI 3.1 document, served as it is at /openapi.json. */
    openapi: Type.Optional(FileName),
  },
  closed,
);
type RestConfig = Static<typeof RestConfigSchema>;

/** Without these a body cannot be read; they always pass. */
const BODY_HEADERS = ['content-type', 'content-encoding'];
/** What the exchange asks a backend to keep to, and what the backend says of its values; they always pass. */
const EXCHANGE_REQUEST_HEADERS = ['accord-fields', 'accord-as-of'];
const EXCHANGE_RESPONSE_HEADERS = ['accord-states'];
/** The connection's own (RFC 9110 7.6.1), never passed on, whatever the file says. */
const NEVER = new Set(
  'host connection keep-alive proxy-connection transfer-encoding te trailer upgrade expect content-length'
    .concat(' accept-encoding cookie set-cookie')
    .split(' '),
);

/** The backend's own description. @throws ADAPTER_CONFIG_INVALID, also when the file names none */
export async function describeRest(text: string, context: AdapterContext): Promise<unknown> {
  const yaml = readYaml(text, context.file, RestConfigSchema);
  const document = await descriptionOf(yaml, context);
  if (document === undefined) {
    throw yaml.complain(['adapter'], 'this file names no OpenAPI document (openapi: FILE)');
  }
  return document;
}

/** @throws ADAPTER_CONFIG_INVALID with the line. The backend need not be there yet. */
export async function openRestAdapter(text: string, context: AdapterContext): Promise<Adapter> {
  const yaml = readYaml(text, context.file, RestConfigSchema);
  const config = yaml.value;
  for (const list of ['requestHeaders', 'responseHeaders'] as const) {
    const index = config[list]?.findIndex((name) => NEVER.has(name)) ?? -1;
    if (index >= 0) {
      throw yaml.complain([list, index], `${config[list]?.[index]} is never passed on`);
    }
  }
  const twice = config.allow.findIndex(({ path }) => path.split('/').filter((part) => part === '**').length > 1);
  if (twice >= 0) {
    throw yaml.complain(['allow', twice, 'path'], '** may stand once in a path');
  }
  const [tls, backendTls, description] = await Promise.all([
    tlsOptions(yaml, context),
    backendKeys(yaml, context),
    descriptionOf(yaml, context),
  ]);
  const { backend } = config;
  const client = openClient({
    timeoutMs: backend.timeoutMs ?? 10_000,
    maxConnectionsPerOrigin: backend.maxConnections ?? 16,
    maxResponseBytes: backend.maxResponseBytes ?? 256 * 1024,
  });
  const server = openServer({
    name: `adapter ${config.service.code}`,
    bodyLimit: backend.maxRequestBytes ?? 256 * 1024,
    ...(tls && { tls }),
  });
  capInFlight(server, 4 * (backend.maxConnections ?? 16));
  server.addHook('onClose', () => client.close());
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  if (description !== undefined) {
    const body = JSON.stringify(description);
    server.get('/openapi.json', { exposeHeadRoute: false }, async (_request, reply) => {
      reply.type('application/json');
      return body;
    });
  }
  passThrough(server, client, config, backendTls);
  return { server, listen: config.listen ?? {}, warnings: [] };
}

function passThrough(
  server: FastifyInstance,
  client: BoundedClient,
  config: RestConfig,
  tls: ClientTls | undefined,
): void {
  const { origin, pathname } = new URL(config.backend.url);
  const base = pathname === '/' ? '' : pathname;
  const forward = new Set([...(config.requestHeaders ?? []), ...BODY_HEADERS, ...EXCHANGE_REQUEST_HEADERS]);
  const back = new Set([...(config.responseHeaders ?? []), ...BODY_HEADERS, ...EXCHANGE_RESPONSE_HEADERS]);
  const allowed = config.allow.map(({ method, path }) => ({ method, segments: path.split('/') }));

  server.route({
    method: [...METHODS],
    url: '/*',
    exposeHeadRoute: false,
    // Before the body is read: what is not offered costs nothing.
    onRequest: async (request, reply) => checkOffered(request, reply, allowed),
    handler: async (request, reply) => {
      const body = Buffer.isBuffer(request.body) ? request.body : undefined;
      const answer = await ask(client, {
        origin,
        path: base + request.raw.url,
        method: request.method,
        headers: [...picked(request.raw.rawHeaders, forward), ['accept-encoding', 'identity']],
        ...(body && { body }),
        ...(tls && { tls }),
      });
      reply.code(answer.status);
      for (const [name, value] of answer.headers.filter(([name]) => back.has(name.toLowerCase()))) {
        reply.header(name, value);
      }
      return reply.send(answer.body);
    },
  });
}

interface Offer {
  method: string;
  segments: string[];
}

function checkOffered(request: FastifyRequest, reply: FastifyReply, allowed: readonly Offer[]): void {
  const url = request.raw.url ?? '';
  const mark = url.indexOf('?');
  const path = servicePath(mark < 0 ? url : url.slice(0, mark));
  serviceQuery(mark < 0 ? '' : url.slice(mark + 1));
  const segments = path.split('/');
  const here = allowed.filter((offer) => matches(offer.segments, segments));
  if (here.length === 0) {
    throw new AccordError('NOT_FOUND');
  }
  if (!here.some(({ method }) => method === request.method)) {
    reply.header('allow', [...new Set(here.map(({ method }) => method))].join(', '));
    throw new AccordError('METHOD_NOT_ALLOWED');
  }
}

/** Segment by segment on the path as it was sent: `*` is one segment, `**` (once in a pattern) any number of them. */
function matches(pattern: readonly string[], path: readonly string[]): boolean {
  const fits = (part: string, at: number) => part === path[at] || (part === '*' && (path[at] ?? '') !== '');
  const gap = pattern.indexOf('**');
  if (gap < 0) {
    return pattern.length === path.length && pattern.every(fits);
  }
  const tail = pattern.slice(gap + 1);
  const tailAt = path.length - tail.length;
  return tailAt >= gap && pattern.slice(0, gap).every(fits) && tail.every((part, at) => fits(part, tailAt + at));
}

/** The allowed headers in their order. @throws HEADER_DUPLICATE: one reader would see the first, another the last */
function picked(rawHeaders: readonly string[], allowed: ReadonlySet<string>): [string, string][] {
  const seen = new Set<string>();
  const headers: [string, string][] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    if (!allowed.has(name)) {
      continue;
    }
    if (seen.has(name)) {
      throw new AccordError('HEADER_DUPLICATE', name);
    }
    seen.add(name);
    headers.push([name, rawHeaders[at + 1] ?? '']);
  }
  return headers;
}

/** The client's words for a peer, in the words for a backend. */
const AS_BACKEND: Partial<Record<ProblemCode, ProblemCode>> = {
  PEER_UNREACHABLE: 'BACKEND_UNREACHABLE',
  PEER_TIMEOUT: 'BACKEND_TIMEOUT',
  PEER_BROKE_OFF: 'BACKEND_ANSWER_MALFORMED',
  RESPONSE_TOO_LARGE: 'BACKEND_ANSWER_TOO_LARGE',
};

async function ask(client: BoundedClient, request: BoundedRequest): Promise<BoundedResponse> {
  try {
    return await client.request(request);
  } catch (error) {
    const code = isAccordError(error) ? AS_BACKEND[error.code] : undefined;
    throw code ? new AccordError(code, '', { cause: error }) : error;
  }
}

async function backendKeys(yaml: YamlFile<RestConfig>, context: AdapterContext): Promise<ClientTls | undefined> {
  const { tls, url } = yaml.value.backend;
  if (!tls) {
    return undefined;
  }
  if (!url.startsWith('https://')) {
    throw yaml.complain(['backend', 'tls'], 'tls needs a backend url with https');
  }
  const read = async (name: keyof typeof tls) => {
    const file = tls[name];
    try {
      return file === undefined ? undefined : await readFile(besideFile(context, file));
    } catch {
      throw yaml.complain(['backend', 'tls', name], `cannot read ${file}`);
    }
  };
  const [ca, cert, key] = await Promise.all([read('ca'), read('certificate'), read('key')]);
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

async function descriptionOf(yaml: YamlFile<RestConfig>, context: AdapterContext): Promise<unknown> {
  const { openapi } = yaml.value;
  if (openapi === undefined) {
    return undefined;
  }
  try {
    return JSON.parse(await readFile(besideFile(context, openapi), 'utf8'));
  } catch (error) {
    throw yaml.complain(['openapi'], `cannot read ${openapi}: ${error instanceof Error ? error.message : ''}`);
  }
}
