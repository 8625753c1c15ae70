// Variant `plain` of the benchmark, one hop in a process of its own: fastify in front, undici behind, mutual TLS between
// the two hops, and nothing else. `node plain.ts '{"listen":{…tls} | null,"to":URL,"connect":{…tls} | null}'` prints its
// URL. Written as a department would write it: whole bodies, undici's `request`.
import Fastify, { type FastifyInstance } from 'fastify';
import { Pool } from 'undici';

interface Tls {
  cert: string;
  key: string;
  ca: string;
}

export interface PlainHop {
  /** Mutual TLS towards who asks; null for plain HTTP. */
  listen: Tls | null;
  to: string;
  /** Mutual TLS towards the next; null for plain HTTP. */
  connect: Tls | null;
}

const MAX_BODY_BYTES = 16 * 1024 * 1024;
const CONNECTIONS = 64;

const { listen, to, connect } = JSON.parse(process.argv[2] ?? '') as PlainHop;
const mutual = { minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: true } as const;
const frame = { bodyLimit: MAX_BODY_BYTES, keepAliveTimeout: 60_000 };
const app = (listen === null
  ? Fastify(frame)
  : Fastify({ ...frame, https: { ...listen, ...mutual } })) as unknown as FastifyInstance;
const tls = connect === null ? {} : { connect: { ...connect, ...mutual } };
const next = new Pool(to, { ...tls, connections: CONNECTIONS });
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
app.post('/*', async (request, reply) => {
  const body = request.body as Buffer;
  const headers = { 'content-type': request.headers['content-type'] ?? 'application/octet-stream' };
  const answer = await next.request({ path: request.url, method: 'POST', headers, body });
  reply.code(answer.statusCode).header('content-type', answer.headers['content-type'] ?? '');
  return Buffer.from(await answer.body.arrayBuffer());
});
console.log(await app.listen({ host: '127.0.0.1', port: 0 }));
// The benchmark may itself be killed; then nobody is left to end this process.
process.stdin.once('end', () => process.exit(1)).resume();
