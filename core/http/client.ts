// The one place that opens outgoing HTTP connections: a bounded HTTP/1.1 client (RFC 9112) over undici. It follows no
// redirect, undoes no content coding, retries nothing and caps connections, waiting requests, time and bytes.
//
// What it promises to the exchange above it: an error says whether a byte of the request may have reached the peer.
// PEER_UNREACHABLE means none did (outcome `not-sent`, safe to send again under the same id); every other error means
// that nobody here knows (outcome `unknown`). The line is undici's onRequestStart, which runs before the first write to
// an established connection.
//
// The caller's own configuration controls origins and keys; the peer controls everything that comes back.

import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { Dispatcher, Pool as PoolOfOrigin } from 'undici';
import errors from 'undici/lib/core/errors.js';
import Pool from 'undici/lib/dispatcher/pool.js';
import { BODY_IDLE_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { acceptsPeer, type ClientTls, connector } from './connect.ts';
import { checkHeaders, readTarget, type Target } from './outgoing-target.ts';
import { ResponseStream } from './response-stream.ts';
import { openTimeLimit } from './time-limit.ts';

export interface BoundedRequest {
  /** `https://host:port`, nothing behind it. Give either `origin` and `path`, or `url`. */
  origin?: string;
  url?: string;
  method: string;
  /** Path and query exactly as they go on the wire; never rewritten. */
  path?: string;
  /** Order and repeats are kept. Host, Content-Length and the hop-by-hop headers are the client's own. */
  headers?: readonly (readonly [string, string])[];
  /** Bytes; or how many will come and from where, for what does not fit into memory. */
  body?: Buffer | StreamedBody;
  /** Which answers' bodies are read while they come, as `stream`; asked when status and headers are known. */
  streamed?: { wanted(status: number, headers: readonly [string, string][]): boolean; maxBytes: number };
  /** For the whole request, from this call to the last byte of the answer; of a streamed one to its first. */
  timeoutMs?: number;
  /** How much longer while the peer says that it goes on: 102 (RFC 2518 10.1) at least once in `streamIdleMs`. */
  goesOn?: () => number;
  maxResponseBytes?: number;
  tls?: ClientTls;
  /** The caller gave up. */
  signal?: AbortSignal;
}

interface StreamedBody {
  length: number;
  bytes(): AsyncIterable<Buffer>;
}

export interface BoundedResponse {
  status: number;
  /** As they came: order, case and repeats kept, latin1. */
  headers: [string, string][];
  /** Empty when it is streamed. */
  body: Buffer;
  /** Only where `streamed` said so; has to be read or destroyed. */
  stream?: Readable;
}

export interface BoundedClient {
  request(request: BoundedRequest): Promise<BoundedResponse>;
  /** Lets running requests end, refuses new ones. */
  close(): Promise<void>;
}

export interface ClientOptions {
  maxConnectionsPerOrigin?: number;
  /** Requests that may wait for a connection of one origin; more are PEER_UNREACHABLE at once. */
  maxWaitingPerOrigin?: number;
  maxOrigins?: number;
  connectTimeoutMs?: number;
  /** Shorter than the servers' own, so that an idle connection is never used while the server closes it. */
  keepAliveMs?: number;
  timeoutMs?: number;
  maxResponseBytes?: number;
  maxResponseHeaderBytes?: number;
  /** A streamed answer may stand still this long before it is given up. */
  streamIdleMs?: number;
}

const DEFAULTS: Required<ClientOptions> = {
  maxConnectionsPerOrigin: 16,
  maxWaitingPerOrigin: 256,
  maxOrigins: 256,
  connectTimeoutMs: 5_000,
  keepAliveMs: 4_000,
  timeoutMs: 30_000,
  maxResponseBytes: 10 * 1024 * 1024,
  maxResponseHeaderBytes: 32 * 1024,
  streamIdleMs: BODY_IDLE_MS,
};

/** One peer: its connections, and the certificate that each of them showed. */
interface Lane {
  pool: PoolOfOrigin;
  live: Map<Socket, Buffer>;
  /** Requests that undici still holds, also those whose caller was told already that time is up. */
  held: number;
}

/**
 * Errors thrown by `request`: PEER_UNREACHABLE (no byte was sent: refused, unknown name, TLS failed, wrong certificate,
 * queue full, time was up first), PEER_TIMEOUT and PEER_BROKE_OFF (it may have been received), RESPONSE_TOO_LARGE (it was
 * received); TypeError for a request that no caller should make.
 */
export function openClient(options: ClientOptions = {}): BoundedClient {
  const settings = { ...DEFAULTS, ...options };
  // By origin, then by the identity of the TLS settings. Map order is the order of last use.
  const lanes = new Map<string, Map<ClientTls | undefined, Lane>>();
  let laneCount = 0;
  let closed = false;

  function laneFor(origin: string, tlsOptions: ClientTls | undefined): Lane {
    const found = lanes.get(origin)?.get(tlsOptions);
    if (found) {
      return found;
    }
    if (laneCount >= settings.maxOrigins) {
      evictIdleLane();
    }
    const lane = openLane(origin, tlsOptions, settings);
    const byTls = lanes.get(origin) ?? new Map<ClientTls | undefined, Lane>();
    byTls.set(tlsOptions, lane);
    lanes.set(origin, byTls);
    laneCount += 1;
    return lane;
  }

  function evictIdleLane(): void {
    for (const [origin, byTls] of lanes) {
      for (const [key, lane] of byTls) {
        if (lane.held === 0) {
          byTls.delete(key);
          if (byTls.size === 0) {
            lanes.delete(origin);
          }
          laneCount -= 1;
          void lane.pool.destroy().catch(() => {});
          return;
        }
      }
    }
    throw new AccordError('PEER_UNREACHABLE', 'requests to too many origins are under way');
  }

  return {
    async request(request) {
      const target = readTarget(request);
      checkHeaders(request.headers ?? []);
      if (closed) {
        throw new AccordError('PEER_UNREACHABLE', 'the client is closed');
      }
      const lane = laneFor(target.origin, request.tls);
      if (lane.held >= settings.maxConnectionsPerOrigin + settings.maxWaitingPerOrigin) {
        throw new AccordError('PEER_UNREACHABLE', 'too many requests already wait for this origin');
      }
      dropUnpinned(lane, request.tls);
      return await dispatch(lane, target, request, settings);
    },
    async close() {
      closed = true;
      const all = [...lanes.values()].flatMap((byTls) => [...byTls.values()]);
      await Promise.all(all.map((lane) => lane.pool.close()));
    },
  };
}

function openLane(origin: string, tlsOptions: ClientTls | undefined, settings: Required<ClientOptions>): Lane {
  const live = new Map<Socket, Buffer>();
  const connect = connector(tlsOptions, live, settings.connectTimeoutMs);
  const pool = new Pool(origin, {
    connect,
    connections: settings.maxConnectionsPerOrigin,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: settings.keepAliveMs,
    keepAliveMaxTimeout: settings.keepAliveMs,
    maxHeaderSize: settings.maxResponseHeaderBytes,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  return { pool, live, held: 0 };
}

function dropUnpinned(lane: Lane, tlsOptions: ClientTls | undefined): void {
  if (tlsOptions?.checkPeerCertificate) {
    for (const [socket, der] of lane.live) {
      if (!acceptsPeer(tlsOptions.checkPeerCertificate, der)) {
        socket.destroy();
      }
    }
  }
}

function dispatch(
  lane: Lane,
  target: Target,
  request: BoundedRequest,
  settings: Required<ClientOptions>,
): Promise<BoundedResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<BoundedResponse>();
  const answer = new Answer(request, request.maxResponseBytes ?? settings.maxResponseBytes, settings.streamIdleMs);
  const settle = (error: Error | undefined) => {
    limit.clear();
    request.signal?.removeEventListener('abort', giveUp);
    if (error) {
      reject(error);
      answer.controller?.abort(error);
    } else {
      resolve(answer.response());
    }
  };
  const tooLate = () => settle(answer.stop('PEER_TIMEOUT', 'no complete answer in time'));
  const limit = openTimeLimit(request.timeoutMs ?? settings.timeoutMs, tooLate, settings.streamIdleMs, request.goesOn);
  answer.onGoesOn = limit.prolong;
  const giveUp = () => settle(answer.stop('PEER_BROKE_OFF', 'the caller gave up'));
  request.signal?.addEventListener('abort', giveUp);
  answer.onSettled = settle;
  if (request.signal?.aborted) {
    giveUp();
    return promise;
  }
  lane.held += 1;
  answer.onReleased = () => {
    lane.held -= 1;
  };
  const { body = null } = request;
  const headers = (request.headers ?? []).flat();
  const isStreamed = body !== null && !Buffer.isBuffer(body);
  lane.pool.dispatch(
    {
      path: target.path,
      method: request.method as Dispatcher.HttpMethod,
      headers: isStreamed ? [...headers, 'content-length', String(body.length)] : headers,
      // Whatever can be iterated is taken (undici, client-h1); its types name streams only.
      body: isStreamed ? (body.bytes() as Readable) : body,
    },
    answer,
  );
  return promise;
}

type AfterSending = 'PEER_TIMEOUT' | 'PEER_BROKE_OFF' | 'RESPONSE_TOO_LARGE';

/** Gathers one answer; undici calls its on… methods. */
class Answer implements Dispatcher.DispatchHandler {
  controller: Dispatcher.DispatchController | undefined;
  onSettled: (error: Error | undefined) => void = () => {};
  onReleased: () => void = () => {};
  onGoesOn: () => void = () => {};
  readonly #maxBytes: number;
  readonly #bodiless: boolean;
  readonly #streamed: BoundedRequest['streamed'];
  readonly #idleMs: number;
  #stream: ResponseStream | undefined;
  #started = false;
  #over = false;
  #status = 0;
  #headers: [string, string][] = [];
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor({ method, streamed }: BoundedRequest, maxBytes: number, idleMs: number) {
    this.#idleMs = idleMs;
    this.#maxBytes = maxBytes;
    this.#bodiless = method === 'HEAD';
    this.#streamed = streamed;
  }

  /** The error for ending now, and the end of listening. Before the first byte it is always PEER_UNREACHABLE. */
  stop(code: AfterSending, detail: string, cause?: unknown): AccordError {
    this.#over = true;
    this.#chunks = [];
    return new AccordError(this.#started ? code : 'PEER_UNREACHABLE', detail, { cause });
  }

  response(): BoundedResponse {
    const whole = { status: this.#status, headers: this.#headers, body: Buffer.concat(this.#chunks) };
    return this.#stream === undefined ? whole : { ...whole, stream: this.#stream };
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#over || this.#started) {
      controller.abort(new Error('ended while it waited for a connection, or was about to be sent a second time'));
      return;
    }
    this.controller = controller;
    this.#started = true;
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status === 102 && !this.#over) this.onGoesOn();
    if (status < 200 || this.#over) {
      return; // 1xx answers are only a foretaste (RFC 9110 15.2)
    }
    this.#status = status;
    const raw = controller.rawHeaders;
    const flat = Array.isArray(raw) ? raw.map((part) => part.toString('latin1')) : [];
    for (let at = 0; at + 1 < flat.length; at += 2) {
      this.#headers.push([flat[at] ?? '', flat[at + 1] ?? '']);
    }
    const stated = Number(this.#headers.find(([name]) => name.toLowerCase() === 'content-length')?.[1] ?? 0);
    const streamed = this.#streamed?.wanted(status, this.#headers) ? this.#streamed : undefined;
    if (!this.#bodiless && stated > (streamed?.maxBytes ?? this.#maxBytes)) {
      this.#tooLarge();
    } else if (streamed !== undefined) {
      this.#stream = new ResponseStream(controller, streamed.maxBytes, this.#idleMs);
      this.#over = true;
      this.onSettled(undefined);
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#stream !== undefined) {
      this.#stream.arrived(chunk);
      return;
    }
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes && !this.#over) {
      this.#tooLarge();
    } else if (!this.#over) {
      this.#chunks.push(chunk);
    }
  }

  onResponseEnd(): void {
    this.onReleased();
    this.#stream?.ended();
    if (!this.#over) {
      this.#over = true;
      this.onSettled(undefined);
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController, cause: Error): void {
    this.onReleased();
    // After its own end it hears nothing of this.
    this.#stream?.destroy(new AccordError('PEER_BROKE_OFF', cause.message, { cause }));
    if (!this.#over && cause instanceof errors.InvalidArgumentError) {
      this.#over = true;
      this.onSettled(new TypeError(cause.message));
    } else if (!this.#over) {
      this.onSettled(this.stop('PEER_BROKE_OFF', cause.message, cause));
    }
  }

  #tooLarge(): void {
    this.onSettled(this.stop('RESPONSE_TOO_LARGE', `more than ${this.#maxBytes} bytes`));
  }
}
