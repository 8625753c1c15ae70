// From a verified request to a decision: the facts that `decide` looks at are gathered here, from the configuration, this
// server's own state and, for a bound service, what the binding table makes of the request's fields. The peer controls
// the request; nothing here changes anything.
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import {
  type AskedField,
  type BoundOperation,
  type ResolvedFields,
  resolveFields,
  type Subject,
  subjectOf,
} from '#policy/binding/binding.ts';
import { type AskedElement, type AskedOfBinding, type Decision, type DecisionInputs, decide } from '#policy/decide.ts';
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import type { RequestContext } from '#schemas/context.ts';
import { PREDICATE_BUDGET, PREDICATE_WINDOW_DAYS } from '#schemas/limits.ts';
import type { Statement } from '#schemas/statement.ts';
import type { BoundService } from '#security-server/dictionary-in-force.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

export const DAY_MS = 86_400_000;

/** What a bound service's table makes of one request. */
export interface BoundRequest extends BoundService {
  /** Null when the table has no such operation. */
  operation: BoundOperation | null;
  subject: Subject | null;
  resolved: ResolvedFields;
}

export interface Judgement {
  inputs: DecisionInputs;
  decision: Decision;
  bound: BoundRequest | null;
}

const NOTHING: ResolvedFields = { asked: [], unknown: [], tooMany: false };

/** Decides; counts nothing. */
export function judge(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  statement: Statement,
  context: RequestContext,
  body: Buffer,
): Judgement {
  const nowMs = server.clock.nowMs();
  const { client, service, purpose, basis } = statement;
  const { method, path, userId, issue, fields, partial } = context;
  const bound = boundRequest(server, snapshot, service, context, body);
  const subject = bound?.subject ?? null;
  const inputs: DecisionInputs = {
    v: 1,
    nowMs,
    request: { client, service, method, path, purpose, basis, userId, issue, subject, fields, partial },
    clientRegistered: snapshot.hasSubsystem(client),
    service: serviceFacts(server, snapshot, service, bound),
    binding: bound && askedOf(bound),
    rights: usedRights(server, client, service, nowMs),
    predicateUse: bound && subject ? predicateUse(server, client, subject, bound, nowMs) : [],
  };
  return { inputs, decision: decide(inputs), bound };
}

function boundRequest(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  service: string,
  { method, path, query, fields }: RequestContext,
  body: Buffer,
): BoundRequest | null {
  const opened = server.dictionary.bound(snapshot, service);
  if (opened === null) return null;
  const operation = opened.binding.operation(method, path);
  if (operation === null) return { ...opened, operation, subject: null, resolved: NOTHING };
  const { binding, dictionary } = opened;
  const resolved = fields === null ? NOTHING : resolveFields(operation, binding, dictionary, fields);
  return { ...opened, operation, subject: subjectOf(operation, query, body), resolved };
}

function serviceFacts(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  id: string,
  bound: BoundRequest | null,
): DecisionInputs['service'] {
  const local = server.state.service(id);
  if (local === null) return null;
  const { enabled, notice } = local;
  const registered = snapshot.service(id);
  // A service that is registered as bound and whose table cannot be used must not answer as if it had none.
  const isUnusable = bound === null && (registered?.bindingHash ?? null) !== null;
  return { enabled, notice, personalData: local.personalData || registered?.personalData === true || isUnusable };
}

function askedOf({ binding, dictionary, operation, resolved }: BoundRequest): AskedOfBinding {
  return {
    table: binding.hash,
    operation: operation && `${operation.operation.method} ${operation.operation.path}`,
    needsSubject: operation?.operation.subject != null,
    purposes: operation?.operation.purposes ?? [],
    asked: resolved.asked.map((field) => askedElement(field, operation, dictionary)),
    unknown: resolved.unknown,
    tooMany: resolved.tooMany,
  };
}

function askedElement(field: AskedField, operation: BoundOperation | null, dictionary: Dictionary): AskedElement {
  const { path, element, level } = field;
  const group = operation?.leaves.find((leaf) => leaf.path === path)?.group;
  const container = path?.slice(0, path.lastIndexOf('/')) ?? '';
  return {
    path,
    element,
    level,
    inputs: path === null ? inputsOf(element, dictionary) : [],
    group: group === undefined ? null : `${container}/ ${group}`,
  };
}

function inputsOf(predicate: string, dictionary: Dictionary): string[] {
  return [...new Set(Object.values(dictionary.predicate(predicate)?.inputs ?? {}))].sort();
}

function usedRights(server: ServerParts, client: string, service: string, nowMs: number): DecisionInputs['rights'] {
  const day = Math.floor(nowMs / DAY_MS);
  return server.state
    .rightsFor(client, service)
    .map((right) => ({ right, usedToday: right.quotaPerDay === null ? 0 : server.state.used(right.id, day) }));
}

/** For each input of an asked predicate, which predicates over it this client asked of this subject lately. */
function predicateUse(
  server: ServerParts,
  client: string,
  subject: Subject,
  { dictionary, resolved }: BoundRequest,
  nowMs: number,
): DecisionInputs['predicateUse'] {
  const budgets = new Map<string, number>();
  for (const { path, element } of resolved.asked) {
    if (path !== null) continue;
    const own = dictionary.predicate(element)?.budget ?? PREDICATE_BUDGET;
    for (const input of inputsOf(element, dictionary)) budgets.set(input, Math.min(own, budgets.get(input) ?? own));
  }
  const sinceDay = Math.floor(nowMs / DAY_MS) - PREDICATE_WINDOW_DAYS + 1;
  return [...budgets].map(([input, budget]) => {
    const used = server.state.predicatesUsed(client, server.subjectTag(subject), input, sinceDay);
    return { input, used, budget };
  });
}

/** Counts the predicates that the decision permits, durably. */
export function countPredicates(server: ServerParts, { inputs, decision, bound }: Judgement): void {
  const { subject, client } = inputs.request;
  if (bound === null || subject === null || decision.release === null) return;
  const day = Math.floor(inputs.nowMs / DAY_MS);
  for (const { path, element } of decision.release.asked) {
    if (path !== null) continue;
    for (const input of inputsOf(element, bound.dictionary)) {
      server.state.countPredicate(client, server.subjectTag(subject), input, element, day);
    }
  }
}
