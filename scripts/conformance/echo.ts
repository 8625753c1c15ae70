// The test service of the conformance suite: a backend that an operator registers behind the provider's security server.
// Every answer tells in one header what had arrived; the path chooses what else it answers. Whoever reaches the port
// controls what it is asked; it listens on loopback unless told otherwise, and holds nothing.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { Header } from './wire.ts';

/** Carries `Seen`, base64url of JSON. */
export const SEEN_HEADER = 'Conformance-Seen';
/** Names the case that a request belongs to. */
export const CASE_HEADER = 'X-Conformance-Case';
/** Asked of the echo itself, without a security server: which cases arrived. */
export const ARRIVED_PATH = '/.conformance/arrived';

export interface Seen {
  method: string;
  target: string;
  headers: Header[];
  bodyLength: number;
  /** SHA-256, base64url. */
  bodyHash: string;
}

/** What the echo answers below `/conformance/`, beside 200 and a small document. */
const SPOOFED: Header[] = ['Client', 'Id', 'Service', 'Request-Id', 'Request-Hash', 'Error', 'Other'].map((name) => [
  `X-Road-${name}`,
  'spoofed',
]);

interface Answer {
  status?: number;
  headers?: Header[];
  body?: Buffer | null;
}

/** A fixed instant: the only Date that may come back is this one or the servers' own, never two. */
const DATED = 'Thu, 01 Jan 2026 00:00:00 GMT';

const ANSWERS: Readonly<Record<string, Answer>> = {
  nothing: { status: 204, body: null },
  unchanged: { status: 304, headers: [['ETag', '"1"']], body: null },
  elsewhere: { status: 302, headers: [['Location', 'http://127.0.0.1:1/elsewhere?x=1']], body: Buffer.alloc(0) },
  missing: { status: 404, headers: [['Content-Type', 'text/plain']], body: Buffer.from('no such record') },
  failed: { status: 503, headers: [['Content-Type', 'text/plain']], body: Buffer.from('down') },
  made: { status: 201, body: Buffer.from('{}') },
  spoofed: { headers: [...SPOOFED, ['Server', 'spoofed'], ['User-Agent', 'spoofed']] },
  repeated: {
    headers: [
      ['X-Many', '2'],
      ['X-Many', '1'],
      ['Set-Cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
    ],
  },
  dated: { headers: [['Date', DATED]] },
  coded: { headers: [['Content-Encoding', 'gzip']], body: gzipSync('{"conformance":"accord"}') },
};

const MAX_ARRIVED = 10_000;

export interface Echo {
  url: string;
  close(): void;
}

export async function openEcho(port: number, host = '127.0.0.1'): Promise<Echo> {
  const arrived: string[] = [];
  const server = createServer((request, response) => {
    const hash = createHash('sha256');
    const chunks: Buffer[] = [];
    let length = 0;
    const keeps = /\/conformance\/same(?:\?|$)/.test(request.url ?? '');
    request.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      length += chunk.length;
      if (keeps) chunks.push(chunk);
    });
    request.on('end', () => {
      if (request.url === '/openapi.json') return reply(response, { body: Buffer.from(JSON.stringify(DESCRIPTION)) });
      if (request.url === ARRIVED_PATH) return reply(response, { body: Buffer.from(JSON.stringify(arrived)) });
      const headers = pairs(request.rawHeaders);
      const name = headers.find(([each]) => each.toLowerCase() === CASE_HEADER.toLowerCase())?.[1];
      if (name !== undefined && arrived.push(name) > MAX_ARRIVED) arrived.shift();
      const seen: Seen = {
        method: request.method ?? '',
        target: request.url ?? '',
        headers,
        bodyLength: length,
        bodyHash: hash.digest('base64url'),
      };
      reply(response, chosen(request, Buffer.concat(chunks)), seen);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return { url: addressOf(server), close: () => close(server) };
}

function chosen({ url, headers, method }: IncomingMessage, body: Buffer): Answer {
  const name = /\/conformance\/([a-z]+)(?:\?|$)/.exec(url ?? '')?.[1] ?? '';
  if (name === 'same') {
    const type: Header[] = headers['content-type'] === undefined ? [] : [['Content-Type', headers['content-type']]];
    return { headers: type, body: method === 'HEAD' ? null : body };
  }
  const known = Object.hasOwn(ANSWERS, name) ? ANSWERS[name] : undefined;
  return known ?? {};
}

function reply(response: ServerResponse, { status = 200, headers = [], body }: Answer, seen?: Seen): void {
  const text = body === undefined ? Buffer.from('{"conformance":"accord"}') : body;
  const isTyped = headers.some(([name]) => name === 'Content-Type');
  const told: Header[] =
    seen === undefined ? [] : [[SEEN_HEADER, Buffer.from(JSON.stringify(seen)).toString('base64url')]];
  const all: Header[] = [
    ...headers,
    ...(isTyped || text === null ? [] : ([['Content-Type', 'application/json']] as Header[])),
    ...(text === null ? [] : ([['Content-Length', String(text.length)]] as Header[])),
    ...told,
  ];
  response.writeHead(status, all.flat());
  response.end(text ?? undefined);
}

function pairs(raw: readonly string[]): Header[] {
  const found: Header[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) found.push([raw[at] ?? '', raw[at + 1] ?? '']);
  return found;
}

function addressOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the echo does not listen on a port');
  return `http://${address.address}:${address.port}`;
}

function close(server: Server): void {
  server.close();
  server.closeAllConnections();
}

const OPERATION = { responses: { default: { description: 'What arrived stands in the header Conformance-Seen.' } } };

const DESCRIPTION = {
  openapi: '3.1.0',
  info: { title: 'Conformance echo', version: '1.0.0' },
  servers: [{ url: '/' }],
  paths: Object.fromEntries(
    ['echo', 'same', ...Object.keys(ANSWERS)].map((name) => [
      `/conformance/${name}`,
      { get: OPERATION, post: OPERATION, put: OPERATION },
    ]),
  ),
};
