// The frame every HTTP server of the house stands in: TLS 1.3 when keys are given, caps on connections, headers and
// bodies, strict JSON, problem documents (RFC 9457) for every error, and a look at the raw headers before any of them is
// believed. Node joins duplicate headers and takes `x_a` for a header of its own; a proxy in front may read the other
// spelling, so a request whose identity headers occur twice or with a twin is refused here.
//
// Whoever reaches the port controls the request line, all headers and the body.
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { type JsonLimits, parseJson } from '#schemas/json.ts';
import {
  MAX_CONNECTIONS,
  MAX_HEADER_VALUE_BYTES,
  MAX_HTTP_HEADERS,
  MAX_JSON_BYTES,
  MAX_PATH_BYTES,
} from '#schemas/limits.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { PROBLEM_TYPE, type ProblemDocument, problemOf } from './problem-reply.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Of a route that takes larger documents than others; goes with the route's `bodyLimit`. */
    jsonLimits?: JsonLimits;
  }
}

export interface ServerOptions {
  /** Who speaks: stands in log lines, never in answers. */
  name: string;
  /** Node's TLS options (key, cert, ca, requestCert, ...). TLS 1.3 is added here and cannot be lowered. */
  tls?: https.ServerOptions;
  /** Largest body, in bytes. */
  bodyLimit?: number;
  logger?: FastifyBaseLogger;
  /** Connections held at once; one more is closed before it said anything. */
  maxConnections?: number;
  /** From the first byte of a request to its last; 0 for ports that take bodies of any size and watch them themselves. */
  requestTimeoutMs?: number;
  /** Idle time between two requests of one connection. Longer than our own client's, so that the client closes first. */
  keepAliveTimeoutMs?: number;
  /** Another path for a request's target before any route is looked up; `originalUrl` keeps what came. */
  rewriteUrl?: (url: string) => string;
  /** Headers (lower case) that say who is asking and must stand at most once, beside host and authorization. */
  identityHeaders?: readonly string[];
}

/** Until then nobody knows who connects, and the place is taken. */
const TLS_HANDSHAKE_MS = 5_000;

/** Headers by which servers and proxies recognise a request or its length; twice is an attack or a fault. */
const SINGLE_HEADERS = ['host', 'authorization', 'content-type', 'content-length', 'idempotency-key'];

/**
 * Makes a server that is not listening yet. Routes are added by the caller; their JSON Schemas are compiled by Ajv 2020
 * with coercion, defaults and removal off, so that what was sent is what is judged.
 * Close with `close()`: it stops listening, lets running requests end and closes idle connections.
 */
export function openServer(options: ServerOptions): FastifyInstance {
  const single = new Set([...SINGLE_HEADERS, ...(options.identityHeaders ?? [])]);
  const app = fastify({
    ...(options.logger ? { loggerInstance: options.logger } : { logger: false }),
    logController: new fastify.LogController({ disableRequestLogging: true }),
    bodyLimit: options.bodyLimit ?? MAX_JSON_BYTES,
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    rewriteUrl: ({ url }: http.IncomingMessage) => options.rewriteUrl?.(url ?? '') ?? url ?? '',
    return503OnClosing: true,
    forceCloseConnections: 'idle',
    routerOptions: { caseSensitive: true, maxParamLength: 1024 },
    serverFactory: (handler) => listenerFor(options, handler),
    frameworkErrors: (error, request, reply) => {
      sendProblem(reply as FastifyReply, problemOf(translate(error), request.id));
    },
    clientErrorHandler: answerMalformed,
  });
  acceptStrictJson(app);
  app.setValidatorCompiler(({ schema }) => schemaCompiler.compile(schema as object));
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  app.addHook('onRequest', async (request) => checkRawRequest(request, single));
  app.setErrorHandler((error, request, reply) => {
    const known = translate(error);
    const problem = problemOf(known, request.id);
    const line = { code: isAccordError(known) ? known.code : 'INTERNAL', requestId: request.id };
    if (problem.status >= 500) request.log.error({ ...line, err: error, server: options.name }, 'request failed');
    else request.log.info({ ...line, server: options.name }, 'request refused');
    return sendProblem(reply, problem);
  });
  app.setNotFoundHandler(() => {
    throw new AccordError('NOT_FOUND');
  });
  return app;
}

/** Where a listening server is reached, e.g. `http://127.0.0.1:4401`. */
export function addressOf(app: FastifyInstance, scheme: 'http' | 'https' = 'http'): string {
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the server does not listen on a port');
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${scheme}://${host}:${address.port}`;
}

// One compiler for all servers of a process: keywords of the OpenAPI dialect are allowed beside the validating ones. Routes
// declare their schemas in this program, where strict mode finds a wrong keyword: nothing else is checked at each start.
const schemaCompiler = new Ajv2020({
  validateSchema: false,
  code: { optimize: false },
  allErrors: false,
  coerceTypes: false,
  removeAdditional: false,
  useDefaults: false,
  strict: true,
  strictTypes: false,
  allowUnionTypes: true,
  keywords: ['example'],
});
formats.default(schemaCompiler);

function listenerFor(options: ServerOptions, handler: http.RequestListener): http.Server {
  const httpOptions: http.ServerOptions = {
    maxHeaderSize: 2 * MAX_PATH_BYTES + 4 * MAX_HEADER_VALUE_BYTES,
    requestTimeout: options.requestTimeoutMs ?? 30_000,
    headersTimeout: Math.min(10_000, options.requestTimeoutMs || 30_000),
    keepAliveTimeout: options.keepAliveTimeoutMs ?? 10_000,
    noDelay: true,
    insecureHTTPParser: false,
    requireHostHeader: false, // checked below, where the answer is a problem document,
  };
  const server = options.tls
    ? https.createServer(
        {
          ...options.tls,
          ...httpOptions,
          minVersion: 'TLSv1.3',
          ALPNProtocols: ['http/1.1'],
          handshakeTimeout: TLS_HANDSHAKE_MS,
        },
        handler,
      )
    : http.createServer(httpOptions, handler);
  server.maxConnections = options.maxConnections ?? MAX_CONNECTIONS;
  // Above this number Node drops headers without a word; half of it is refused below, where all of them are seen.
  server.maxHeadersCount = 2 * MAX_HTTP_HEADERS;
  return server;
}

function acceptStrictJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      done(null, parseJson(body as Buffer, request.routeOptions.config.jsonLimits));
    } catch (error) {
      done(error as Error);
    }
  });
}

/** Duplicate and twin headers, and request targets that are not a path (RFC 9112 3.2), before anything is looked up. */
function checkRawRequest(request: FastifyRequest, single: ReadonlySet<string>): void {
  const { rawHeaders, url } = request.raw;
  if (url === undefined || !url.startsWith('/')) throw new AccordError('REQUEST_MALFORMED', 'the target is not a path');
  if (rawHeaders.length > 2 * MAX_HTTP_HEADERS) throw new AccordError('HEADERS_TOO_LARGE', 'too many');
  const seen = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    const meant = name.replaceAll('_', '-');
    if (!single.has(meant)) continue;
    if (name !== meant || seen.has(meant)) throw new AccordError('HEADER_DUPLICATE', meant);
    seen.add(meant);
  }
  if (!seen.has('host')) throw new AccordError('REQUEST_MALFORMED', 'no Host header');
}

const FRAMEWORK_CODES: Record<string, ProblemCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'MEDIA_TYPE_UNSUPPORTED',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'REQUEST_MALFORMED',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'JSON_INVALID',
  FST_ERR_VALIDATION: 'SCHEMA_MISMATCH',
  FST_ERR_BAD_URL: 'REQUEST_MALFORMED',
  FST_ERR_MAX_PARAM_LENGTH_EXCEEDED: 'REQUEST_MALFORMED',
  FST_ERR_NOT_FOUND: 'NOT_FOUND',
};

/** The framework's own errors in the words of the table; everything unknown stays as it is and shows as INTERNAL. */
function translate(error: unknown): unknown {
  if (error instanceof AccordError) return error;
  const { code, validation, validationContext } = error as FastifyError;
  if (validation?.[0]) {
    const { instancePath, message, params } = validation[0];
    const named = params['additionalProperty'] === undefined ? '' : ` (${String(params['additionalProperty'])})`;
    const detail = `${validationContext ?? 'body'}${instancePath} ${message ?? ''}${named}`.slice(0, 300);
    return new AccordError('SCHEMA_MISMATCH', detail, { cause: error });
  }
  const known = typeof code === 'string' ? FRAMEWORK_CODES[code] : undefined;
  return known ? new AccordError(known, '', { cause: error }) : error;
}

function sendProblem(reply: FastifyReply, problem: ProblemDocument): FastifyReply {
  if (problem.status === 503) reply.header('retry-after', '1');
  return reply.code(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem));
}

/** Bytes that are not HTTP at all never reach a route; they get a bare problem and the end of the connection. */
function answerMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (socket.destroyed || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
  const problem = problemOf(new AccordError(tooLarge ? 'HEADERS_TOO_LARGE' : 'REQUEST_MALFORMED'), randomUUID());
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${http.STATUS_CODES[problem.status]}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
