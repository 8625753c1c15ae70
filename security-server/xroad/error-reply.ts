// How an error of the exchange is told to a caller that speaks X-Road's protocol. Only such errors carry X-Road-Error: a
// provider's own 4xx or 5xx comes through as it is.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { problemOf } from '#core/http/problem-reply.ts';
import { parseJson } from '#schemas/json.ts';
import { AccordError, isAccordError, isProblemCode, PROBLEMS } from '#schemas/problems.ts';
import { wholeBody } from '#security-server/body.ts';
import type { LookupResult } from '#security-server/consumer/exchange.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import { type AtFault, errorBody, errorMediaType, snakeCase, xroadError } from './errors.ts';
import { exchangeHeaders, type XRoadCall } from './face.ts';
import { prefers } from './headers.ts';

interface Told {
  code: string;
  message: string;
  detail: string;
  fault: AtFault;
  retryAfterMs: number | null;
}

/** What went wrong: before the exchange began, or as its result. */
type Wrong = { error: unknown } | { result: LookupResult; call: XRoadCall };

export function sendError(
  server: ConsumerParts,
  request: FastifyRequest,
  reply: FastifyReply,
  wrong: Wrong,
): FastifyReply {
  const told = 'error' in wrong ? beforeExchange(request, wrong.error) : afterExchange(wrong.result);
  const { type: camel, status, trueStatus } = xroadError(told.code, told.fault);
  const type = server.xroadSnakeCase ? snakeCase(camel) : camel;
  const mediaType = errorMediaType(request.headers.accept);
  const { message, detail, retryAfterMs } = told;
  server.logger.info({ id: detail, code: told.code, type }, 'a call in X-Road’s protocol was not answered');
  if ('call' in wrong) for (const [name, value] of exchangeHeaders(wrong.call)) reply.header(name, value);
  if (retryAfterMs !== null) reply.header('retry-after', String(Math.ceil(retryAfterMs / 1000)));
  reply.header('X-Road-Error', type);
  return reply
    .code(prefers([request.headers['prefer'] ?? []].flat(), 'accord-status') ? trueStatus : status)
    .type(mediaType)
    .send(errorBody(mediaType, { type, message, detail }));
}

function beforeExchange(request: FastifyRequest, error: unknown): Told {
  const known = isAccordError(error) ? error : new AccordError('INTERNAL', '', { cause: error });
  if (!isAccordError(error)) request.log.error({ err: error, requestId: request.id }, 'request failed');
  const { title, detail } = problemOf(known, request.id);
  const fault = PROBLEMS[known.code].status < 500 ? 'client' : 'consumer';
  const message = detail === undefined || detail === '' ? title : `${title}: ${detail}`;
  return { code: known.code, message, detail: request.id, fault, retryAfterMs: null };
}

/** A refusal and a failure are the provider's word; that nothing was sent, or nobody knows, is this server's. */
function afterExchange({ id, outcome, code, detail, answer, retryAfterMs }: LookupResult): Told {
  const fault = outcome === 'refused' || outcome === 'provider-error' ? 'provider' : 'consumer';
  // What was wrong with an answer that was not believed says more than that its outcome is unknown.
  const said = outcome === 'unknown' && isProblemCode(detail) ? detail : code;
  const title = isProblemCode(said) ? PROBLEMS[said].title : said;
  const more = answer === null ? detail : problemDetail(wholeBody(answer.body));
  return { code: said, message: more === '' ? title : `${title}: ${more}`, detail: id, fault, retryAfterMs };
}

/** The detail of the provider's signed problem document. */
function problemDetail(body: Buffer): string {
  try {
    const problem = parseJson(body, { maxBytes: 16_384, maxDepth: 4, maxValues: 64 });
    const detail = typeof problem === 'object' && problem !== null && 'detail' in problem ? problem.detail : '';
    return typeof detail === 'string' ? detail.slice(0, 1024) : '';
  } catch {
    return '';
  }
}
