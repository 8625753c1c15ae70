// The two ports of a department's information systems, with the same routes: HTTPS that asks for a client certificate, and
// plain HTTP that listens on loopback unless the settings say otherwise. Neither decides by itself who may speak: a
// connection reaches the routes with what it showed (callers.ts), and who can speak for nobody is refused before a byte of
// a body is read. The information system controls everything it sends.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { mtls, mtlsServerOptions } from '#core/http/mtls.ts';
import { openServer } from '#core/http/server-frame.ts';
import { MAX_BODY_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import { XROAD_ROUTE } from '#security-server/xroad/face.ts';
import { pairsOf, readHeaders } from '#security-server/xroad/headers.ts';
import { isXRoadTarget, malformedXRoadAnswer } from '#security-server/xroad/malformed.ts';
import { XROAD_PREFIX } from '#security-server/xroad/target.ts';
import { type BusyDesk, openBusyDesk } from './busy.ts';
import { type Connection, isExpectedAddress, isStranger, openCaller, strangerDetail } from './callers.ts';
import { addLookupRoutes } from './lookups.ts';

// Base64 in JSON is 4/3 of the body; the rest is room for the other members.
const MAX_LOOKUP_BYTES = Math.ceil((MAX_BODY_BYTES * 4) / 3) + 128 * 1024;
// In X-Road's protocol a body may be of any size and take its time; the face watches that it moves.
const ANY_BODY = {
  bodyLimit: MAX_LOOKUP_BYTES,
  ownPace: ({ originalUrl }: FastifyRequest) => originalUrl.startsWith(XROAD_PREFIX),
  rewriteUrl: (url: string) => (isXRoadTarget(url) ? XROAD_ROUTE : url),
};

/** HTTPS: a registered certificate, or none from an address that some subsystem lists. */
export async function openSystemPort(server: ConsumerParts): Promise<FastifyInstance> {
  const { oldestSystemTls: oldestTls } = server;
  if (oldestTls !== '1.3') server.logger.warn({ oldestTls }, 'information systems may connect with an older TLS');
  const desk = openBusyDesk(server);
  const app = openServer({
    name: 'systems',
    refusal: desk.refusal,
    tls: mtlsServerOptions(server.keys.authentication(), oldestTls),
    oldestTls,
    ...ANY_BODY,
    malformedAnswer: (problem, request) => malformedXRoadAnswer(server, problem, request),
    logger: server.logger,
  });
  // The administrator registered a very certificate by its hash; it vouches for itself no longer than it says.
  const isInTime = ({ notBeforeMs, notAfterMs }: { notBeforeMs: number; notAfterMs: number }) => {
    const nowMs = server.clock.nowMs();
    return nowMs >= notBeforeMs && nowMs < notAfterMs;
  };
  await app.register(mtls, {
    pin: (hash, validity) => {
      if (!isInTime(validity)) return undefined;
      const systems = server.state.systemsByCertificate(hash);
      return systems.length > 0 ? systems : undefined;
    },
    unpinned: { isExpected: (address) => isExpectedAddress(server, address, true) },
    oldestTls,
  });
  addRoutes(app, server, desk, ({ raw, peerHash, shownCertificate: shown }) => {
    const pinned = peerHash === '' ? null : { hash: peerHash, isInTime: true };
    const unpinned = shown === null ? null : { hash: shown.hash, isInTime: isInTime(shown.validity) };
    return { isTls: true, address: raw.socket.remoteAddress ?? '', certificate: pinned ?? unpinned };
  });
  return app;
}

/** Plain HTTP: whoever runs on this machine, or comes from an address that a subsystem lists for it. */
export function openPlainPort(server: ConsumerParts): FastifyInstance {
  const desk = openBusyDesk(server);
  const app = openServer({
    name: 'plain',
    refusal: desk.refusal,
    ...ANY_BODY,
    malformedAnswer: (problem, request) => malformedXRoadAnswer(server, problem, request),
    logger: server.logger,
  });
  addRoutes(app, server, desk, ({ raw }) => {
    return { isTls: false, address: raw.socket.remoteAddress ?? '', certificate: null };
  });
  return app;
}

function addRoutes(
  app: FastifyInstance,
  server: ConsumerParts,
  desk: BusyDesk,
  connectionOf: (from: FastifyRequest) => Connection,
) {
  app.addHook('onRequest', async (request) => {
    const connection = connectionOf(request);
    if (!isStranger(server, connection)) return;
    // In X-Road's protocol the subsystem stands in a header: its refusal says what that subsystem expects.
    if (request.routeOptions.url === XROAD_ROUTE) {
      openCaller(server, connection).authenticate(readHeaders(pairsOf(request.raw.rawHeaders)).client);
    }
    throw new AccordError('CALLER_UNKNOWN', strangerDetail(connection));
  });
  addLookupRoutes(app, server, (request) => openCaller(server, connectionOf(request)), desk);
}
