// The frame every HTTP server of the house stands in: TLS 1.3 when keys are given (1.2 only where a port says so), caps on connections, headers and
// bodies, strict JSON, problem documents (RFC 9457) for every error, and a look at the raw headers before any of them is
// believed. Node joins duplicate headers and takes `x_a` for a header of its own; a proxy in front may read the other
// spelling, so a request whose identity headers occur twice or with a twin is refused here.
//
// Whoever reaches the port controls the request line, all headers and the body.
import { randomUUID } from 'node:crypto';
import type http from 'node:http';
import type https from 'node:https';
import type { Socket } from 'node:net';
import fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { METHODS } from '#schemas/context.ts';
import { type JsonLimits, parseJson } from '#schemas/json.ts';
import {
  MAX_CONNECTIONS,
  MAX_HEADER_VALUE_BYTES,
  MAX_HTTP_HEADERS,
  MAX_JSON_BYTES,
  MAX_PATH_BYTES,
} from '#schemas/limits.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import type { OldestTls } from './mtls.ts';
import { PROBLEM_TYPE, type ProblemDocument, problemOf } from './problem-reply.ts';
import { routeSchemas } from './route-schemas.ts';
import { arriveWithin } from './while-moving.ts';

// An `import` of node:http looks at all that it exports, and loads fetch and WebSocket: 2 MiB that stay.
const [nodeHttp, nodeHttps] = [process.getBuiltinModule('node:http'), process.getBuiltinModule('node:https')];

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Of a route that takes larger documents than others; goes with the route's `bodyLimit`. */
    jsonLimits?: JsonLimits;
  }
}

export interface ServerOptions {
  /** Who speaks: stands in log lines, never in answers. */
  name: string;
  /** Node's TLS options (key, cert, ca, requestCert, ...). TLS 1.3 is added here; only `oldestTls` lowers it. */
  tls?: https.ServerOptions;
  /** Of the port for information systems, where its administrator says so; `tls` then names the suites. */
  oldestTls?: OldestTls;
  /** Largest body, in bytes. */
  bodyLimit?: number;
  logger?: FastifyBaseLogger;
  /** Connections held at once; one more is closed before it said anything. */
  maxConnections?: number;
  /** Requests whose bodies may be of any size and take their time; the port itself watches that they move. */
  ownPace?: (request: FastifyRequest) => boolean;
  /** Idle time between two requests of one connection. Longer than our own client's, so that the client closes first. */
  keepAliveTimeoutMs?: number;
  /** Another path for a request's target before any route is looked up; `originalUrl` keeps what came. */
  rewriteUrl?: (url: string) => string;
  /** Headers (lower case) that say who is asking and must stand at most once, beside host and authorization. */
  identityHeaders?: readonly string[];
  /** Looks at a request's head before anything else does; an answer refuses it, and nothing more of it is read than passes. */
  refusal?: (request: http.IncomingMessage) => BareAnswer | null;
  /** The answer to what the parser refused; null for a problem document. */
  malformedAnswer?: (problem: ProblemDocument, request: MalformedRequest) => BareAnswer | null;
}

/** What can be told of a request that the parser refused; '' where nothing can. */
export interface MalformedRequest {
  target: string;
  accept: string;
}

/** An answer to bytes that no route ever sees. */
export interface BareAnswer {
  status: number;
  headers: [string, string][];
  /** A string goes out in one piece with the head. */
  body: Buffer | string;
}

/** From the first byte of a request to its last, and to the end of its headers. */
const REQUEST_MS = 30_000;
const HEADERS_MS = 10_000;
/** Until then nobody knows who connects, and the place is taken. */
const TLS_HANDSHAKE_MS = 5_000;

/** Headers by which servers and proxies recognise a request or its length; twice is an attack or a fault. */
const SINGLE_HEADERS = [
  'host',
  'authorization',
  'content-type',
  'content-length',
  'transfer-encoding',
  'idempotency-key',
];

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
    schemaController: routeSchemas,
    serverFactory: (handler) => listenerFor(options, handler),
    frameworkErrors: (error, request, reply) => {
      sendProblem(reply as FastifyReply, problemOf(translate(error), request.id));
    },
    clientErrorHandler: (error, socket) => answerMalformed(error, socket, options),
  });
  acceptStrictJson(app);
  app.addHook('onRequest', async (request, reply) => checkRawRequest(request, reply, single));
  const { ownPace } = options;
  if (ownPace !== undefined) {
    app.addHook('onRequest', async (request) => {
      if (!ownPace(request)) arriveWithin(request.raw, REQUEST_MS);
    });
  }
  app.setErrorHandler((error, request, reply) => {
    const known = translate(error);
    const problem = problemOf(known, request.id);
    const line = { code: isAccordError(known) ? known.code : 'INTERNAL', requestId: request.id };
    // That there is no place is no failure, and told where places are given.
    if (problem.status >= 500 && line.code !== 'SERVER_BUSY')
      request.log.error({ ...line, err: error, server: options.name }, 'request failed');
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

/** How far into such bytes it is looked. */
const MALFORMED_LOOK_BYTES = 16_384;

/** What Node tells of bytes that its parser refused. */
type Unparsed = Error & { code?: string | undefined; rawPacket?: unknown };

/** A request that was not answered yet, with its target before anything was rewritten. */
interface UnderWay {
  request: http.IncomingMessage;
  response: http.ServerResponse;
  target: string;
}

/** Of each connection, in their order. */
const underWay = new WeakMap<Socket, Set<UnderWay>>();
/** Connections on which the next request may begin in the middle of the last one's body. */
const adrift = new WeakSet<Socket>();

function noted(handler: http.RequestListener, options: ServerOptions): http.RequestListener {
  return (request, response) => {
    const { socket, method = '', url: target = '', headers } = request;
    // Neither run nor answered; the connection closes with the answer before it.
    if (adrift.has(socket)) return undefined;
    const here = underWay.get(socket) ?? new Set<UnderWay>();
    if (!METHODS.some((known) => known === method)) {
      adrift.add(socket);
      const say = () => sayMalformed(new Error(method), socket, options, { target, accept: headers.accept ?? '' });
      const last = [...here].at(-1);
      return last === undefined ? say() : last.response.once('close', say);
    }
    if (!isFramed(request)) adrift.add(socket);
    const one = { request, response, target };
    underWay.set(socket, here.add(one));
    response.once('close', () => here.delete(one));
    const refusal = options.refusal?.(request) ?? null;
    return refusal === null ? handler(request, response) : refuse(request, response, refusal);
  };
}

/** A body that is longer is not read past: the connection ends with the answer. */
const PASSED_BODY_BYTES = 64 * 1024;

/** Short bodies are read past, so that the connection serves the next request; how long they may take is limited. */
function refuse(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  { status, headers, body }: BareAnswer,
): void {
  const { 'content-length': length = '0', 'transfer-encoding': coding } = request.headers;
  const passes = coding === undefined && Number(length) <= PASSED_BODY_BYTES && isFramed(request);
  if (!passes) response.shouldKeepAlive = false;
  response.writeHead(status, [...headers, ['content-length', String(Buffer.byteLength(body))]].flat());
  response.end(request.method === 'HEAD' ? undefined : body);
  if (passes && length !== '0') setImmediate(() => request.complete || arriveWithin(request, REQUEST_MS));
}

/** RFC 9112 6.1: one coding and only in HTTP/1.1, else two readers may see two ends of it. */
function isFramed({ headers, httpVersion }: http.IncomingMessage): boolean {
  const coding = headers['transfer-encoding']?.toLowerCase();
  const isKnown = httpVersion === '1.1' || (httpVersion === '1.0' && coding === undefined);
  return isKnown && (coding === undefined || coding === 'chunked');
}

function listenerFor(options: ServerOptions, answering: http.RequestListener): http.Server {
  const handler = noted(answering, options);
  const httpOptions: http.ServerOptions = {
    maxHeaderSize: 2 * MAX_PATH_BYTES + 4 * MAX_HEADER_VALUE_BYTES,
    // Where some requests may take longer, the others are watched one by one.
    requestTimeout: options.ownPace === undefined ? REQUEST_MS : 0,
    headersTimeout: HEADERS_MS,
    keepAliveTimeout: options.keepAliveTimeoutMs ?? 10_000,
    noDelay: true,
    insecureHTTPParser: false,
    requireHostHeader: false, // checked below, where the answer is a problem document,
  };
  const server = options.tls
    ? nodeHttps.createServer(
        {
          ...options.tls,
          ...httpOptions,
          minVersion: options.oldestTls === '1.2' ? 'TLSv1.2' : 'TLSv1.3',
          ALPNProtocols: options.tls.ALPNProtocols ?? ['http/1.1'],
          handshakeTimeout: TLS_HANDSHAKE_MS,
        },
        handler,
      )
    : nodeHttp.createServer(httpOptions, handler);
  server.maxConnections = options.maxConnections ?? MAX_CONNECTIONS;
  // Above this number Node drops headers without a word; half of it is refused below, where all of them are seen.
  server.maxHeadersCount = 2 * MAX_HTTP_HEADERS;
  // An unknown expectation is refused below like everything else; there is no tunnel to anywhere.
  server.on('checkExpectation', handler);
  server.on('connect', ({ url = '', headers: { accept = '' } }, socket) =>
    sayMalformed(new Error('CONNECT'), socket as Socket, options, { target: url, accept }),
  );
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

/**
 * Duplicate and twin headers, request targets that are not a path (RFC 9112 3.2), and framing that another reader could see
 * differently (RFC 9112 6.1), before anything is looked up.
 */
function checkRawRequest(request: FastifyRequest, reply: FastifyReply, single: ReadonlySet<string>): void {
  const { rawHeaders, httpVersion, headers } = request.raw;
  // As it came: `url` may have been rewritten.
  const url = request.originalUrl;
  if (!isFramed(request.raw)) {
    reply.header('connection', 'close');
    throw new AccordError('REQUEST_MALFORMED', `HTTP/${httpVersion} with this transfer-encoding`);
  }
  if (!/^(?:100-continue)?$/i.test(headers.expect ?? '')) throw new AccordError('REQUEST_MALFORMED', 'expect');
  if (url === undefined || !url.startsWith('/')) throw new AccordError('REQUEST_MALFORMED', 'the target is not a path');
  if (rawHeaders.length > 2 * MAX_HTTP_HEADERS) throw new AccordError('HEADERS_TOO_LARGE', 'too many');
  const seen = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    const meant = meantBy(name);
    if (!single.has(meant)) continue;
    if (name !== meant || seen.has(meant)) throw new AccordError('HEADER_DUPLICATE', meant);
    seen.add(meant);
  }
  if (!seen.has('host')) throw new AccordError('REQUEST_MALFORMED', 'no Host header');
}

/**
 * What a header's name in lower case may be taken for: CGI and its heirs make one character of all that are neither letter
 * nor digit, so that `x_a` and `x.a` are twins of `x-a`.
 */
export function meantBy(name: string): string {
  return name.replaceAll(/[^a-z0-9]/g, '-');
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

/**
 * Bytes that are not HTTP never reach a route; they get a bare answer and the end of the connection. It never stands in the
 * place of another: requests before it are answered first, and one whose own answer has begun gets no second.
 */
function answerMalformed(error: Unparsed, socket: Socket, options: ServerOptions): void {
  if (socket.destroyed || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [last, ...others] = [...(underWay.get(socket) ?? [])].toReversed();
  if (last === undefined) {
    sayMalformed(error, socket, options, beginning(error.rawPacket));
  } else if (last.request.complete) {
    last.response.once('close', () => sayMalformed(error, socket, options, beginning(error.rawPacket)));
  } else if (others.length > 0 || last.response.headersSent) {
    socket.destroy();
  } else {
    // The broken bytes are its body.
    sayMalformed(error, socket, options, { target: last.target, accept: last.request.headers.accept ?? '' });
  }
}

function sayMalformed(
  error: Unparsed,
  socket: Socket,
  { malformedAnswer }: ServerOptions,
  about: MalformedRequest,
): void {
  if (socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
  const problem = problemOf(new AccordError(tooLarge ? 'HEADERS_TOO_LARGE' : 'REQUEST_MALFORMED'), randomUUID());
  const { status, headers, body } = malformedAnswer?.(problem, about) ?? {
    status: problem.status,
    headers: [['content-type', PROBLEM_TYPE]],
    body: Buffer.from(JSON.stringify(problem)),
  };
  const head = [
    `HTTP/1.1 ${status} ${nodeHttp.STATUS_CODES[status]}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), Buffer.from(body)]));
}

/** As far as the bytes in which the parser stopped begin with a request. */
function beginning(packet: unknown): MalformedRequest {
  const text = Buffer.isBuffer(packet) ? packet.toString('latin1', 0, MALFORMED_LOOK_BYTES) : '';
  const target = /^\s{0,8}[A-Za-z]{1,16} {1,8}([^\s]+)/.exec(text)?.[1] ?? '';
  return { target, accept: /\naccept:([^\r\n]*)/i.exec(text)?.[1] ?? '' };
}
