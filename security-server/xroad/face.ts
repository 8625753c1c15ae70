// X-Road's REST message protocol for information systems that speak it already (PR-REST): /r1/… on the same exchange as
// POST /lookups. A call is read from its raw target and raw headers, signed, logged, decided and answered like any other;
// what only X-Road has stands in the request's context. The calling information system controls everything it sends.
import { createHash } from 'node:crypto';
import type { OutgoingHttpHeader } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { passOver, whileMoving, whileTaken } from '#core/http/while-moving.ts';
import { writeOut } from '#core/http/write-out.ts';
import { newMessageId } from '#core/message-id.ts';
import { BARE_REQUEST, encodeRequestContext, type HeaderList, Method, parseRequestContext } from '#schemas/context.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { isReserved } from '#schemas/service-path.ts';
import { compile } from '#schemas/validate.ts';
import { gatherBody, isSpooled, type MessageBody, removeBody } from '#security-server/body.ts';
import type { Call, Caller } from '#security-server/consumer/call.ts';
import type { ExchangeRoutes } from '#security-server/consumer/doubts.ts';
import { exchange, type LookupResult, requireNoMaintenance } from '#security-server/consumer/exchange.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import { sendError } from './error-reply.ts';
import { statedGrounds } from './grounds.ts';
import { answerHeaders, pairsOf, readHeaders, type XRoadHeaders } from './headers.ts';
import { addListClients } from './list-clients.ts';
import { releaseHeaders } from './release-headers.ts';
import { requestHash } from './request-hash.ts';
import { readTarget } from './target.ts';

/** Where the frame's `rewriteUrl` leads every target below /r1/, so that no router has an opinion about it. */
export const XROAD_ROUTE = '/r1';

const checkMethod = compile(Method, 'SCHEMA_MISMATCH');

type Routes = Pick<ExchangeRoutes, 'callerOf' | 'held'>;

export function addXRoadFace(app: FastifyInstance, server: ConsumerParts, { callerOf, held }: Routes): void {
  app.register(async (scope) => {
    // Bodies of any type stay on the connection until the head was judged.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null, undefined));
    scope.setErrorHandler((error, request, reply) => {
      passOver(request.raw);
      return sendError(server, request, reply, { error });
    });
    // A media type is the backend's business: a type that is none is passed on as well, and must not end the call here.
    scope.addHook('onRequest', async ({ raw }) => {
      delete raw.headers['content-type'];
    });
    addListClients(scope, server, callerOf);
    scope.route({
      method: ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE'],
      url: XROAD_ROUTE,
      exposeHeadRoute: false,
      handler: (request, reply) => held(request, () => answer(server, request, reply, callerOf(request))),
    });
  });
}

async function answer(
  server: ConsumerParts,
  request: FastifyRequest,
  reply: FastifyReply,
  caller: Caller,
): Promise<FastifyReply> {
  const asked = { target: request.originalUrl, method: request.method, id: newMessageId(server.clock.nowMs()) };
  const headers = readHeaders(pairsOf(request.raw.rawHeaders));
  let body: MessageBody | undefined;
  let result: LookupResult | undefined;
  try {
    const snapshot = server.configuration.current();
    const here = snapshot.server(server.self)?.subsystems;
    if (!here?.has(headers.client)) throw new AccordError('CLIENT_NOT_HERE', headers.client);
    caller.authenticate(headers.client);
    const target = readTarget(asked.target, (id) => snapshot.serversOf(id).length > 0);
    if (isReserved(target.path)) throw new AccordError('PATH_REFUSED', 'reserved');
    // Before a body of any size is taken in vain.
    requireNoMaintenance(server);
    body = await readBody(server, request);
    const call = callOf(server, asked, target, headers, caller, body);
    result = await exchange(server, call);
    if (result.outcome !== 'ok' || result.answer === null) return sendError(server, request, reply, { result, call });
    await sendAnswer(server, reply, call, result.answer);
    return reply;
  } finally {
    removeBody(body);
    removeBody(result?.answer?.body);
  }
}

/** @throws BODY_TOO_LARGE before a byte was read when the length says so */
async function readBody(
  { spool, maxBodyBytes, bodyIdleMs }: ConsumerParts,
  { raw, headers }: FastifyRequest,
): Promise<MessageBody> {
  const length = Number(headers['content-length'] ?? 0);
  if (length > maxBodyBytes) throw new AccordError('BODY_TOO_LARGE', `more than ${maxBodyBytes} bytes`);
  const source = raw.iterator({ destroyOnReturn: false });
  const gather = () => gatherBody(spool, source, maxBodyBytes, { length, sha512: true });
  return whileMoving(raw.socket, gather, bodyIdleMs).catch((cause: unknown) => {
    throw isAccordError(cause) ? cause : new AccordError('REQUEST_MALFORMED', 'the body broke off', { cause });
  });
}

/** A call whose context can be signed, with what its answer's headers repeat. */
export interface XRoadCall extends Call {
  id: string;
  xroad: { id: string; hash: string };
}

/** @throws XROAD_HEADER_MALFORMED, CONTEXT_MALFORMED, RECEIPT_MALFORMED */
function callOf(
  server: ConsumerParts,
  { target: raw, method, id }: { target: string; method: string; id: string },
  target: ReturnType<typeof readTarget>,
  headers: XRoadHeaders,
  caller: Caller,
  body: MessageBody,
): XRoadCall {
  const { grounds, client } = headers;
  const { purpose, basis } = statedGrounds(grounds);
  const snapshot = server.configuration.current();
  const xroadId = headers.id ?? `${snapshot.instance}-${id}`;
  const hash = requestHash({
    method,
    target: raw,
    headers: [
      ...headers.hashed,
      ['x-road-request-id', id],
      ...(headers.id === null ? ([['x-road-id', xroadId]] as const) : []),
    ],
    bodyHash: body.length === 0 ? null : isSpooled(body) ? body.sha512 : createHash('sha512').update(body).digest(),
  });
  const { representedParty, securityServer } = headers;
  const context = encodeRequestContext({
    ...BARE_REQUEST,
    method: checkMethod(method),
    path: target.path,
    query: target.query,
    headers: [...headers.forwarded] as HeaderList,
    userId: headers.userId,
    issue: headers.issue,
    caller: caller.authenticate(client),
    deadlineMs: server.xroadDeadlineMs,
    fields: grounds.fields,
    partial: grounds.partial,
    receipt: grounds.receipt,
    evidence: grounds.evidence,
    xroad: { id: xroadId, madeId: headers.id === null, representedParty, securityServer, hash, target: raw },
    body: { length: body.length, type: headers.contentType },
  });
  // What the provider would not be able to read is the caller's mistake and must not be signed.
  parseRequestContext(context);
  const { service } = target;
  return {
    id,
    client,
    service,
    purpose,
    basis,
    deadlineMs: server.xroadDeadlineMs,
    context,
    body,
    server: securityServer,
    xroad: { id: xroadId, hash },
  };
}

/** What the exchange sets on every answer; a provider cannot. */
export function exchangeHeaders({ client, service, id, xroad }: XRoadCall): [string, string][] {
  return [
    ['X-Road-Client', client],
    ['X-Road-Id', Buffer.from(xroad.id, 'utf8').toString('latin1')],
    ['X-Road-Service', service],
    ['X-Road-Request-Id', id],
    ['X-Road-Request-Hash', xroad.hash],
  ];
}

/** The provider's answer as it came; a reader that is slow waits for itself, not in this server's memory. */
async function sendAnswer(
  { bodyIdleMs }: ConsumerParts,
  reply: FastifyReply,
  call: XRoadCall,
  { context, body }: NonNullable<LookupResult['answer']>,
): Promise<void> {
  const { status, headers } = context;
  const type: [string, string][] = context.body.type === null ? [] : [['content-type', context.body.type]];
  const own = exchangeHeaders(call);
  // An interim status would not be the end of the answer.
  if (status < 200) throw new AccordError('ANSWER_MISMATCH', 'status');
  const isBodiless = reply.request.method === 'HEAD' || status === 204 || status === 304;
  const length: [string, string][] = isBodiless ? [] : [['content-length', String(body.length)]];
  const flat: OutgoingHttpHeader[] = [
    ...answerHeaders(headers),
    ...type,
    ...length,
    ...own,
    ...releaseHeaders(context),
  ].flat();
  // A value that cannot stand in a header is told as an error, so that this comes first.
  reply.raw.writeHead(status, flat);
  reply.hijack();
  if (isBodiless) {
    reply.raw.end();
    return;
  }
  try {
    const write = () => writeOut(reply.raw, isSpooled(body) ? body.records() : body);
    await whileTaken(reply.request.raw.socket, write, bodyIdleMs);
  } catch (error) {
    // The caller went away, or the disk failed half way: the connection says that it is not whole.
    reply.raw.destroy();
    if (isAccordError(error)) reply.log.error({ err: error, id: call.id }, 'an answer could not be delivered whole');
  }
}
