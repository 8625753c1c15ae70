// The consumer's own look at an answer (DESIGN: one exchange, "re-check that no undelivered field came"): what a bound
// service sends beyond what was asked is not passed on, the operator hears of it, and so does the provider. The provider's
// server controls the answer; the request is this server's own, as it was signed.
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { bareMediaType, resolveFields, responseFor } from '#policy/binding/binding.ts';
import { overDelivered } from '#policy/release/over-delivery.ts';
import { type AnswerContext, namesNothing, type RequestContext } from '#schemas/context.ts';
import { DEFAULT_DEADLINE_MS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import { isReserved, OVER_DELIVERY_PATH } from '#schemas/service-path.ts';
import type { Statement } from '#schemas/statement.ts';
import { isSpooled, type MessageBody } from '#security-server/body.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import type { Call } from './call.ts';
import { bodyOf } from './once-read.ts';
import { ownRequest } from './own-request.ts';

/**
 * Paths of an answer that were not asked for; empty when all is well.
 * @param request null when the request's context is no longer kept: then nothing of a bound service can be judged
 */
export function overDelivery(
  server: Pick<ConsumerParts, 'dictionary'>,
  snapshot: ConfigurationSnapshot,
  statement: Pick<Statement, 'service' | 'purpose' | 'basis'>,
  request: RequestContext | null,
  answer: AnswerContext,
  body: MessageBody,
): string[] {
  if (answer.code !== 'OK' || (request !== null && isReserved(request.path))) return [];
  const bound = server.dictionary.bound(snapshot, statement.service);
  if (bound === null) return [];
  // No answer of a bound service is so large that it cannot be looked into.
  if (isSpooled(body)) return [''];
  const operation = request && bound.binding.operation(request.method, request.path);
  if (request === null || operation === null) return body.length === 0 ? [] : [''];
  const { elements = [], predicates: told = [] } = answer.release ?? {};
  const leaves = () => responseFor(operation, answer.status, bareMediaType(answer.body.type ?? ''));
  if (request.fields === null) {
    // A call in X-Road's protocol that named nothing was judged by the provider's defaults: what these are stands in the
    // signed release, and the body may hold that and no more.
    if (!namesNothing(statement, request)) return body.length === 0 ? [] : [''];
    return inBody(leaves(), new Set(elements.map(({ path }) => path)), body);
  }
  const { asked } = resolveFields(operation, bound.binding, bound.dictionary, request.fields);
  const paths = new Set(asked.flatMap(({ path }) => path ?? []));
  const predicates = new Set(asked.filter(({ path }) => path === null).map(({ element }) => element));
  const named = [
    ...elements.filter(({ path }) => !paths.has(path)).map(({ path }) => path),
    ...told.filter(({ predicate }) => !predicates.has(predicate)).map(({ predicate }) => predicate),
  ];
  return [...named, ...inBody(leaves(), paths, body)];
}

function inBody(leaves: ReturnType<typeof responseFor>, paths: ReadonlySet<string>, body: Buffer): string[] {
  if (body.length === 0) return [];
  if (leaves === null) return [''];
  try {
    return overDelivered(bodyOf(body), leaves, paths);
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return ['']; // bytes that cannot be read strictly could hold anything
  }
}

/** Tells the provider's server which exchange brought too much; an exchange of its own, so that both logs have it. */
export function alarmCall(about: Statement, paths: readonly string[]): Call {
  const body = Buffer.from(JSON.stringify({ exchange: about.id, paths: paths.slice(0, 20) }), 'utf8');
  const facts = { length: body.length, type: 'application/json' };
  const context = ownRequest({ method: 'POST', path: OVER_DELIVERY_PATH, body: facts, settles: null });
  const { client, service } = about;
  return { client, service, purpose: null, basis: 'open', deadlineMs: DEFAULT_DEADLINE_MS, context, body };
}
