// The port where peers bring their messages: mutual TLS 1.3, the peer's certificate pinned to a registered server and
// looked up again on every request, admission before the body is read. The peer controls the body; it stays bytes.
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import { finished, Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { CONFIGURATION_HINT_HEADER } from '#core/configuration/serve-held.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import { takeFrames } from '#core/http/frames/dial.ts';
import { FRAMES_PROTOCOL } from '#core/http/frames/wire.ts';
import { mtls, mtlsServerOptions } from '#core/http/mtls.ts';
import { openServer } from '#core/http/server-frame.ts';
import { passOver, watchMoving, whileTaken } from '#core/http/while-moving.ts';
import { writeOut } from '#core/http/write-out.ts';
import { MAX_PEER_MESSAGE_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { hearStatus, statusHeaders } from '#security-server/certificate-status/wire.ts';
import { PEER_MEDIA_TYPE, PEER_STREAM_TYPE } from '#security-server/envelope/frame.ts';
import type { StreamedMessage } from '#security-server/envelope/stream.ts';
import { answerMessage } from '#security-server/provider/exchange.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { openFramedPort } from './framed-port.ts';
import { PEER_PATH } from './http1-link.ts';
import { serveConfiguration } from './news.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Tells the peers that nothing new is taken on framed connections. */
    goAway?(): void;
  }
}

export async function openPeerPort(server: ServerParts): Promise<FastifyInstance> {
  const app = openServer({
    name: 'peer',
    tls: {
      ...mtlsServerOptions(server.keys.authentication()),
      ALPNProtocols: server.speaksFrames ? [FRAMES_PROTOCOL, 'http/1.1'] : ['http/1.1'],
    },
    bodyLimit: MAX_PEER_MESSAGE_BYTES,
    // A large body takes its time; that it moves is watched below.
    ownPace: ({ headers }) => headers['content-type'] === PEER_STREAM_TYPE,
    logger: server.logger,
  });
  const frames = openFramedPort(server);
  takeFrames(app.server as unknown as HttpsServer, frames.take);
  app.decorate('goAway', frames.goAway);
  app.addHook('preClose', async () => frames.close());
  await app.register(mtls, {
    pin: (hash) => server.peerByCertificate(hash, 'client', server.configuration.current(), server.clock.nowMs()),
  });
  app.addContentTypeParser(PEER_MEDIA_TYPE, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  // A large body stays on the connection until the head before it was verified.
  app.addContentTypeParser(PEER_STREAM_TYPE, (_request, payload, done) => done(null, payload));
  const places = new WeakMap<FastifyRequest, () => void>();
  const arrivals = new WeakMap<FastifyRequest, number>();
  // onRequest runs after the pin and before a byte of the body is read.
  app.addHook('onRequest', async (request, reply) => {
    const peer = request.peer as ServerEntry;
    const [theirs, mine] = [request.headers[CONFIGURATION_HINT_HEADER], server.news.mine()];
    server.news.heard(peer, typeof theirs === 'string' ? theirs : undefined);
    if (mine !== undefined) reply.header(CONFIGURATION_HINT_HEADER, mine);
    const theyHold = hearStatus(server.certificateStatus, peer, (name) => {
      const value = request.headers[name];
      return typeof value === 'string' ? value : undefined;
    });
    reply.headers(Object.fromEntries(statusHeaders(server.certificateStatus, peer, theyHold)));
    arrivals.set(request, server.clock.monotonicMs());
    try {
      places.set(request, server.admission.enter('sender', peer.id));
    } catch (error) {
      reply.header('retry-after', '1');
      throw error;
    }
    // The configuration is served also by a server that cannot work: it is what may keep others from harm.
    if (request.method !== 'GET' && !server.log.state().ok) throw new AccordError('LOG_UNAVAILABLE');
  });
  const leave = async (request: FastifyRequest) => places.get(request)?.();
  app.addHook('onResponse', leave);
  // A peer that hangs up while its message is worked on keeps its place until the work ends; see the route.
  const working = new WeakSet<FastifyRequest>();
  app.addHook('onRequestAbort', async (request) => {
    if (!working.has(request)) await leave(request);
  });
  app.addHook('onError', async (request, _reply, error) => {
    if (error instanceof AccordError) {
      const peer = request.peer as ServerEntry | null;
      server.metrics.unverified(error.code);
      const { code, detail } = error;
      if (code !== 'SERVER_BUSY') server.logger.warn({ peer: peer?.id, code, detail }, 'peer message refused');
    }
  });
  serveConfiguration(app, server.configuration);
  app.post(PEER_PATH, async (request, reply) => {
    const message = request.body;
    if (!(Buffer.isBuffer(message) || message instanceof Readable)) {
      throw new AccordError('MESSAGE_MALFORMED', `send ${PEER_MEDIA_TYPE}`);
    }
    working.add(request);
    if (message instanceof Readable) finished(message, watchMoving(request.raw.socket, server.bodyIdleMs));
    try {
      const goesOn = () => sayProcessing(reply.raw);
      const answer = await answerMessage(server, request.peer as ServerEntry, message, arrivals.get(request), goesOn);
      if (Buffer.isBuffer(answer)) return reply.header('content-type', PEER_MEDIA_TYPE).send(answer);
      await sendStream(server, reply, answer);
      return reply;
    } finally {
      // Of a body that was not taken the sender may still send the rest; it reads the answer all the same.
      if (message instanceof Readable) passOver(request.raw);
      await leave(request);
    }
  });
  return app;
}

/** RFC 2518 10.1: an interim answer, so that who waits goes on waiting. */
function sayProcessing(response: ServerResponse): void {
  if (!response.headersSent && !response.destroyed && response.socket?.writable) response.writeProcessing();
}

/** A large answer; a peer that is slow waits for itself, and keeps its place. */
async function sendStream({ bodyIdleMs }: ServerParts, reply: FastifyReply, answer: StreamedMessage): Promise<void> {
  reply.header('content-type', PEER_STREAM_TYPE).header('content-length', answer.length);
  reply.hijack();
  try {
    reply.raw.writeHead(200, reply.getHeaders() as OutgoingHttpHeaders);
    await whileTaken(reply.request.raw.socket, () => writeOut(reply.raw, answer.bytes()), bodyIdleMs);
  } catch (error) {
    // The peer hung up, or the disk failed half way: the connection says that it is not whole.
    reply.raw.destroy();
    if (isAccordError(error)) reply.log.error({ err: error }, 'an answer could not be delivered whole');
  } finally {
    answer.release();
  }
}
