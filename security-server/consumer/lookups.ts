// The routes a department's information systems use: POST /lookups, POST /lookups/{id}/settle and what stands in files of
// its own. system-ports.ts opens the ports. The information system controls everything it sends.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { PROBLEM_TYPE, problemOf } from '#core/http/problem-reply.ts';
import { sourceOf } from '#core/http/source-of.ts';
import { ACCESSES_PATH, CITIZEN_DOUBTS_PATH, RECEIPT_USES_PATH } from '#schemas/accesses.ts';
import { parseJson } from '#schemas/json.ts';
import { AccordError, isProblemCode, PROBLEMS } from '#schemas/problems.ts';
import { isReserved, STATUS_HINT_PATH } from '#schemas/service-path.ts';
import { MESSAGE_ID_PATTERN } from '#schemas/statement.ts';
import { compile } from '#schemas/validate.ts';
import { wholeBody } from '#security-server/body.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import { addXRoadFace } from '#security-server/xroad/face.ts';
import type { BusyDesk } from './busy.ts';
import { type Caller, LookupRequest, readCall } from './call.ts';
import { isLoopback } from './callers.ts';
import { addCatalogueRoutes } from './catalogue.ts';
import { addDigestRoute } from './digest.ts';
import { addDoubtRoutes } from './doubts.ts';
import { addEffectiveAccessRoute } from './effective-access.ts';
import { exchange, type LookupResult } from './exchange.ts';
import { bodyOf } from './once-read.ts';
import { settleRequest } from './settlement.ts';

const checkLookup = compile(LookupRequest, 'SCHEMA_MISMATCH');
const MESSAGE_ID = new RegExp(MESSAGE_ID_PATTERN);
/** Reserved paths that consent services use; the provider looks whether it is one. */
const OF_CONSENT_SERVICES = new Set([STATUS_HINT_PATH, ACCESSES_PATH, CITIZEN_DOUBTS_PATH, RECEIPT_USES_PATH]);

export function addLookupRoutes(
  app: FastifyInstance,
  server: ConsumerParts,
  callerOf: (request: FastifyRequest) => Caller,
  desk: BusyDesk,
): void {
  const places = new WeakMap<FastifyRequest, () => void>();
  app.addHook('onRequest', async (request, reply) => {
    // One certificate, or one address, has its own share of this server's, so that one busy system leaves room for the
    // others; on this machine there is no telling them apart.
    const { raw } = request;
    const address = raw.socket.remoteAddress ?? '';
    const shares = request.peerHash || (isLoopback(address) ? '' : sourceOf(address));
    if (shares) desk.knows(raw.socket, shares);
    // Only now it is known whose the connection is: the frame asked before anything was (system-ports.ts).
    const busy = desk.refusal(raw);
    if (busy !== null) return reply.code(busy.status).headers(Object.fromEntries(busy.headers)).send(busy.body);
    const system = shares ? server.admission.enter('system', shares) : () => {};
    places.set(request, system);
    const leaveSender = server.admission.enter('sender', server.self);
    places.set(request, () => {
      system();
      leaveSender();
    });
    return undefined;
  });
  const leave = async (request: FastifyRequest) => places.get(request)?.();
  app.addHook('onResponse', leave);
  // A caller that hangs up keeps its place until the exchange it began has ended.
  const working = new WeakSet<FastifyRequest>();
  app.addHook('onRequestAbort', async (request) => {
    if (!working.has(request)) await leave(request);
  });
  const held = async <T>(request: FastifyRequest, work: () => Promise<T>): Promise<T> => {
    working.add(request);
    try {
      return await work();
    } finally {
      await leave(request);
    }
  };
  addXRoadFace(app, server, { callerOf, held });
  addCatalogueRoutes(app, server, callerOf);
  addDoubtRoutes(app, server, { callerOf, held, sendResult });
  addEffectiveAccessRoute(app, server, { callerOf, held, sendResult, readLookup });
  addDigestRoute(app, server, { callerOf, readLookup });
  app.post('/lookups', async (request, reply) => {
    const call = readCall(readLookup(request), callerOf(request), server);
    return held(request, async () => sendResult(reply, await exchange(server, call)));
  });
  app.post<{ Params: { id: string } }>('/lookups/:id/settle', async (request, reply) => {
    const { id } = request.params;
    if (!MESSAGE_ID.test(id)) throw new AccordError('NOTHING_TO_SETTLE', id.slice(0, 64));
    const settled = await settleRequest(server, id, callerOf(request));
    const { state, code, result } = settled;
    return reply.send({ id, state, code, ...(result === null ? {} : { answer: resultBody(result) }) });
  });
}

/** @throws SCHEMA_MISMATCH, PATH_REFUSED */
function readLookup({ body, headers }: FastifyRequest): LookupRequest {
  const asked = checkLookup(body);
  // What servers say to each other has routes of its own, whose answers are read and not just passed on.
  if (asked.path !== undefined && isReserved(asked.path) && !OF_CONSENT_SERVICES.has(asked.path))
    throw new AccordError('PATH_REFUSED', 'reserved');
  return { ...asked, partial: asked.partial ?? prefersPartial(headers['prefer']) };
}

/** RFC 7240: preferences are a list; those that nobody knows are ignored. */
function prefersPartial(prefer: string | string[] | undefined): boolean {
  const preferences = [prefer ?? []].flat().join(',').split(',');
  return preferences.some((each) => each.split(';')[0]?.trim().toLowerCase() === 'accord-partial');
}

/** `ok` and `provider-error` with an answer are 200; everything else is a problem document with the outcome in it. */
function sendResult(reply: FastifyReply, result: LookupResult): FastifyReply {
  if (result.outcome === 'ok') {
    const bytes = resultBytes(result);
    return bytes === null ? reply.send(resultBody(result)) : reply.type('application/json; charset=utf-8').send(bytes);
  }
  if (result.retryAfterMs !== null) reply.header('retry-after', String(Math.ceil(result.retryAfterMs / 1000)));
  const told = result.answer === null ? null : toldProblem(wholeBody(result.answer.body));
  const code = isProblemCode(result.code) ? result.code : 'OUTCOME_UNKNOWN';
  const status = PROBLEMS[code].status;
  const detail = result.answer === null ? result.detail : (told?.detail ?? '');
  const problem = { ...problemOf(new AccordError(code, detail), result.id), status, code: result.code };
  const { id, outcome, evidence } = resultBody(result);
  return reply
    .code(status)
    .type(PROBLEM_TYPE)
    .send(JSON.stringify({ ...problem, id, outcome, evidence }));
}

/** The detail of the provider's signed problem document. */
function toldProblem(body: Buffer): { detail: string } | null {
  try {
    const problem = parseJson(body, { maxBytes: 16_384, maxDepth: 4, maxValues: 64 });
    const detail = typeof problem === 'object' && problem !== null && 'detail' in problem ? problem.detail : undefined;
    return typeof detail === 'string' ? { detail: detail.slice(0, 1024) } : null;
  } catch {
    return null;
  }
}

function resultBody({ id, outcome, code, answer, evidence }: LookupResult): Record<string, unknown> {
  const { requestHash, log, provider } = evidence;
  return {
    id,
    outcome,
    code,
    status: answer?.context.status ?? 0,
    headers: answer === null ? {} : joined(answer.context.headers, answer.context.body.type),
    ...(answer === null ? {} : shownBody(wholeBody(answer.body), answer.context.body.type)),
    ...(answer === null || answer.context.release === null ? {} : { release: answer.context.release }),
    evidence: { requestHash, log: { origin: log.origin, index: log.request, answer: log.answer }, provider },
  };
}

/**
 * The same as JSON, with the very bytes of a JSON body in its place: a text in which one word is Chinese takes twice the
 * room and several times the work. Null where the body is not shown as JSON.
 */
function resultBytes(result: LookupResult): Buffer | null {
  const { answer } = result;
  const bytes = answer === null ? null : jsonOf(wholeBody(answer.body), answer.context.body.type);
  if (bytes === null) return null;
  const { id, outcome, code, status, headers, body, ...rest } = resultBody(result);
  const head = JSON.stringify({ id, outcome, code, status, headers });
  return Buffer.concat([
    Buffer.from(`${head.slice(0, -1)},"body":`),
    bytes,
    Buffer.from(`,${JSON.stringify(rest).slice(1)}`),
  ]);
}

/** Repeated headers become arrays, so that nothing is joined or lost. */
function joined(headers: readonly [string, string][], type: string | null): Record<string, string | string[]> {
  const all: Record<string, string | string[]> = Object.create(null);
  const add = (name: string, value: string) => {
    const known = all[name];
    all[name] = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value];
  };
  if (type !== null) add('content-type', type);
  for (const [name, value] of headers) add(name, value);
  return all;
}

/** JSON as a value, everything else (also JSON that is not strict) as base64 of the exact bytes. */
function shownBody(body: Buffer, type: string | null): { body: unknown; bodyEncoding?: 'base64' } {
  if (body.length === 0) return { body: null };
  const json = jsonOf(body, type);
  return json === null ? { body: body.toString('base64'), bodyEncoding: 'base64' } : { body: bodyOf(json) };
}

/** A body that is strict JSON; with JSON that has two readings the caller gets the bytes and judges. */
function jsonOf(body: Buffer, type: string | null): Buffer | null {
  if (type === null || !/^application\/(?:[a-z0-9.+-]+\+)?json(?:\s*;|$)/i.test(type)) return null;
  try {
    bodyOf(body);
    return body;
  } catch {
    return null;
  }
}
