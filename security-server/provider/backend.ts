// The call to the department's own backend or adapter. What was authorised is what is sent: method, path and query go
// byte for byte behind the service's base URL. The consumer controls the request's context and body, the department's
// backend the answer; neither may add a hop-by-hop header or a header that says who is asking.
import type { BoundedClient } from '#core/http/client.ts';
import { type AnswerContext, type HeaderList, type RequestContext, readableAnswerContext } from '#schemas/context.ts';
import { MAX_BODY_BYTES, MAX_HEADERS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Statement } from '#schemas/statement.ts';
import { isSpooled, type MessageBody, removeBody } from '#security-server/body.ts';
import { transferMs } from '#security-server/envelope/stream.ts';
import type { LocalService } from '#security-server/state.ts';
import { forwardable, type HeaderRules, headerRules, identityHeaders, returnable } from './backend-headers.ts';
import { backendTls, certificateProblem } from './backend-tls.ts';
import type { LargeAnswers } from './large-answers.ts';
import { type BackendAnswer, problemAnswer } from './reply.ts';

const IDENTITY_CODING: HeaderList = [['accept-encoding', 'identity']];

/** A backend of a bound service may say here what a value is worth; read by this server, never forwarded. */
const STATES_HEADER = 'accord-states';

/** A backend's answer, and what it said about single values. */
export interface CalledBackend extends BackendAnswer {
  states: string | null;
}
/**
 * Calls the backend; whatever goes wrong is an answer with a code, never an exception.
 * @param minimising headers that tell the backend of a bound service what will be kept
 * @param remainingMs how long the sender still waits; more than 0
 * @param large where an answer goes that does not fit into memory; null where none may be so large
 */
export async function callBackend(
  backends: BoundedClient,
  service: LocalService,
  statement: Pick<Statement, 'id' | 'client' | 'service' | 'basis' | 'purpose'>,
  { context, body }: { context: RequestContext; body: MessageBody },
  minimising: HeaderList,
  remainingMs: number,
  large: LargeAnswers | null,
): Promise<CalledBackend> {
  const base = baseOf(service);
  // Without a path of its own the base as it is; else joined with exactly one slash.
  const path = context.path === '' ? base.path : `${base.prefix}${context.path}`;
  const rules = headerRules(context.xroad !== null, large === null);
  const identity = identityHeaders(statement, context);
  const type: HeaderList = context.body.type === null ? [] : [['content-type', context.body.type]];
  const sent = forwardable(context.headers, rules).filter(([name]) => name !== 'content-type');
  try {
    const answer = await backends.request({
      origin: base.origin,
      method: context.method,
      path: context.query === null ? path : `${path}?${context.query}`,
      headers: [...sent, ...identity, ...minimising, ...type, ...(rules.coded ? [] : IDENTITY_CODING)],
      ...(body.length > 0 || context.body.type !== null ? { body: sendable(body) } : {}),
      timeoutMs: Math.min(service.timeoutMs + (isSpooled(body) ? transferMs(body.length) : 0), Math.ceil(remainingMs)),
      maxResponseBytes: MAX_BODY_BYTES,
      ...backendTls(service),
      ...(large === null ? {} : { streamed: { wanted: () => true, maxBytes: large.maxBytes } }),
    });
    const { status, headers, stream } = answer;
    const received = stream === undefined || large === null ? answer.body : await large.take(stream);
    return deliverable(status, headers, received, statement.id, rules);
  } catch (error) {
    return { ...failure(error, statement.id), states: null };
  }
}

/** Where a service's backend is; read once for each registration, and again when its address is another. */
const bases = new WeakMap<LocalService, { url: string; origin: string; path: string; prefix: string }>();

function baseOf(service: LocalService) {
  const known = bases.get(service);
  if (known?.url === service.url) return known;
  const { origin, pathname } = new URL(service.url);
  const base = { url: service.url, origin, path: pathname, prefix: pathname.replace(/\/$/, '') };
  bases.set(service, base);
  return base;
}

function sendable(body: MessageBody) {
  return isSpooled(body) ? { length: body.length, bytes: () => body.records() } : body;
}

function deliverable(
  status: number,
  raw: [string, string][],
  body: MessageBody,
  id: string,
  rules: HeaderRules,
): CalledBackend {
  const malformed = (detail: string) => {
    removeBody(body);
    return { ...problemAnswer('BACKEND_ANSWER_MALFORMED', detail, id), states: null };
  };
  const lower: HeaderList = raw.map(([name, value]) => [name.toLowerCase(), value]);
  const encodings = lower.filter(([name]) => name === 'content-encoding');
  // A lookup's caller is told no coding; in X-Road's protocol it is the caller's own business.
  const isCoded = encodings.some(([, value]) => value.toLowerCase() !== 'identity');
  if (isCoded && !rules.coded) return malformed('content-encoding');
  const headers = returnable(lower, rules);
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
    readableAnswerContext(context);
  } catch (error) {
    return malformed(isAccordError(error) ? error.detail : 'headers');
  }
  const states = lower.filter(([name]) => name === STATES_HEADER).map(([, value]) => value);
  return { context, body, states: states.length === 1 ? (states[0] ?? null) : null };
}

function failure(error: unknown, id: string): BackendAnswer {
  const refused = certificateProblem(error);
  if (refused !== null) return problemAnswer('BACKEND_CERTIFICATE_REFUSED', refused, id);
  if (isAccordError(error, 'PEER_UNREACHABLE')) return problemAnswer('BACKEND_UNREACHABLE', '', id);
  if (isAccordError(error, 'SPOOL_FULL') || isAccordError(error, 'SPOOL_FAILED'))
    return problemAnswer(error.code, '', id);
  if (isAccordError(error, 'RESPONSE_TOO_LARGE') || isAccordError(error, 'BODY_TOO_LARGE'))
    return problemAnswer('BACKEND_ANSWER_TOO_LARGE', '', id);
  if (isAccordError(error, 'PEER_TIMEOUT')) return problemAnswer('BACKEND_TIMEOUT', '', id);
  return problemAnswer('BACKEND_ANSWER_MALFORMED', isAccordError(error) ? error.code : '', id);
}
