// The call to the department's own backend or adapter. What was authorised is what is sent: method, path and query go
// byte for byte behind the service's base URL. The consumer controls the request's context and body, the department's
// backend the answer; neither may add a hop-by-hop header or a header that says who is asking.
import type { BoundedClient } from '#core/http/client.ts';
import {
  type AnswerContext,
  encodeAnswerContext,
  type HeaderList,
  parseAnswerContext,
  type RequestContext,
} from '#schemas/context.ts';
import { MAX_BODY_BYTES, MAX_HEADERS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Statement } from '#schemas/statement.ts';
import type { LocalService } from '#security-server/state.ts';
import { type BackendAnswer, problemAnswer } from './reply.ts';

// RFC 9110 7.6.1 and what each connection decides for itself.
const HOP_BY_HOP =
  'connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade expect host content-length server date'.split(
    ' ',
  );
const NOT_FORWARDED = new Set([...HOP_BY_HOP, 'user-agent', 'accept-encoding', 'cookie', 'authorization']);
const NOT_RETURNED = new Set([...HOP_BY_HOP, 'set-cookie', 'content-type']);
/** A backend of a bound service may say here what a value is worth; read by this server, never forwarded. */
const STATES_HEADER = 'accord-states';

/** A backend's answer, and what it said about single values. */
export interface CalledBackend extends BackendAnswer {
  states: string | null;
}
const NAME = /^[a-z0-9!#$%&'*+.^`|~-]{1,128}$/;

/** Headers a request may carry on to the backend. */
function forwardable(headers: HeaderList): HeaderList {
  const named = namedByConnection(headers);
  return headers.filter(([name]) => !NOT_FORWARDED.has(name) && !named.has(name) && !name.startsWith('accord-'));
}

/** RFC 9110 7.6.1: what the Connection header names ends at the next hop as well. */
function namedByConnection(headers: HeaderList): Set<string> {
  const values = headers.filter(([name]) => name === 'connection').map(([, value]) => value.toLowerCase());
  return new Set(values.join(',').split(/[\s,]+/));
}

/**
 * Calls the backend; whatever goes wrong is an answer with a code, never an exception.
 * @param minimising headers that tell the backend of a bound service what will be kept
 * @param remainingMs how long the sender still waits; more than 0
 */
export async function callBackend(
  backends: BoundedClient,
  service: LocalService,
  statement: Pick<Statement, 'id' | 'client' | 'service' | 'basis' | 'purpose'>,
  { context, body }: { context: RequestContext; body: Buffer },
  minimising: HeaderList,
  remainingMs: number,
): Promise<CalledBackend> {
  const base = new URL(service.url);
  const path = `${base.pathname.replace(/\/$/, '')}${context.path}` || '/';
  const identity: HeaderList = [
    ['accord-message-id', statement.id],
    ['accord-client', statement.client],
    ['accord-service', statement.service],
    ['accord-basis', statement.basis],
    ...(statement.purpose === null ? [] : ([['accord-purpose', statement.purpose]] as HeaderList)),
    ...(context.issue === null ? [] : ([['accord-issue', encodeURIComponent(context.issue)]] as HeaderList)),
    ...(context.userId === null ? [] : ([['accord-user-id', encodeURIComponent(context.userId)]] as HeaderList)),
  ];
  const type: HeaderList = context.body.type === null ? [] : [['content-type', context.body.type]];
  const sent = forwardable(context.headers).filter(([name]) => name !== 'content-type');
  try {
    const answer = await backends.request({
      origin: base.origin,
      method: context.method,
      path: context.query === null ? path : `${path}?${context.query}`,
      headers: [...sent, ...identity, ...minimising, ...type, ['accept-encoding', 'identity']],
      ...(body.length > 0 || context.body.type !== null ? { body } : {}),
      timeoutMs: Math.min(service.timeoutMs, Math.ceil(remainingMs)),
      maxResponseBytes: MAX_BODY_BYTES,
    });
    return deliverable(answer.status, answer.headers, answer.body, statement.id);
  } catch (error) {
    return { ...failure(error, statement.id), states: null };
  }
}

function deliverable(status: number, raw: [string, string][], body: Buffer, id: string): CalledBackend {
  const malformed = (detail: string) => ({
    ...problemAnswer('BACKEND_ANSWER_MALFORMED', detail, id),
    states: null,
  });
  const lower: HeaderList = raw.map(([name, value]) => [name.toLowerCase(), value]);
  const encodings = lower.filter(([name]) => name === 'content-encoding');
  if (encodings.some(([, value]) => value.toLowerCase() !== 'identity')) return malformed('content-encoding');
  const named = namedByConnection(lower);
  const headers = lower.filter(
    ([name]) => NAME.test(name) && !NOT_RETURNED.has(name) && !named.has(name) && !name.startsWith('accord-'),
  );
  if (headers.length > MAX_HEADERS) return malformed('too many headers');
  const types = lower.filter(([name]) => name === 'content-type').map(([, value]) => value);
  if (types.length > 1) return malformed('content-type');
  const type = types[0] === undefined || types[0] === '' ? null : types[0];
  const context: AnswerContext = {
    v: 1,
    status,
    code: 'OK',
    headers,
    body: { length: body.length, type },
    release: null,
  };
  try {
    // Whatever the peer would not be able to read must not be signed.
    parseAnswerContext(encodeAnswerContext(context));
  } catch (error) {
    return malformed(isAccordError(error) ? error.detail : 'headers');
  }
  const states = lower.filter(([name]) => name === STATES_HEADER).map(([, value]) => value);
  return { context, body, states: states.length === 1 ? (states[0] ?? null) : null };
}

function failure(error: unknown, id: string): BackendAnswer {
  if (isAccordError(error, 'PEER_UNREACHABLE')) return problemAnswer('BACKEND_UNREACHABLE', '', id);
  if (isAccordError(error, 'RESPONSE_TOO_LARGE')) return problemAnswer('BACKEND_ANSWER_TOO_LARGE', '', id);
  if (isAccordError(error, 'PEER_TIMEOUT')) return problemAnswer('BACKEND_TIMEOUT', '', id);
  return problemAnswer('BACKEND_ANSWER_MALFORMED', isAccordError(error) ? error.code : '', id);
}
