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
import { dayAt } from '#policy/calendar.ts';
import { type Asking, defaultsOf, quotaCounter } from '#policy/covering.ts';
import { type Decision, decide } from '#policy/decide.ts';
import type {
  AskedElement,
  AskedOfBinding,
  ConsentFacts,
  DecisionInputs,
  PurposeFacts,
} from '#policy/decision-inputs.ts';
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import { isUnchanging, unchanging } from '#policy/unchanging.ts';
import { namesNothing, type RequestContext } from '#schemas/context.ts';
import { GLOBAL_GROUP, LOCAL_GROUP, subsystemOfService } from '#schemas/identifiers.ts';
import { PREDICATE_BUDGET, PREDICATE_WINDOW_DAYS } from '#schemas/limits.ts';
import type { Receipt } from '#schemas/receipt.ts';
import type { Statement } from '#schemas/statement.ts';
import type { BoundService } from '#security-server/dictionary-in-force.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

import { consentFacts, type OpenedConsent, openConsent } from './consent.ts';
import { evidenceFacts, type OpenedEvidence, openEvidence, spendEvidence } from './evidence.ts';

const DAY_MS = 86_400_000;

/** What a bound service's table makes of one request. */
export interface BoundRequest extends BoundService {
  /** Null when the table has no such operation. */
  operation: BoundOperation | null;
  subject: Subject | null;
  resolved: ResolvedFields;
}

export interface Judgement {
  /** The statement as it was judged: with the purpose and basis of /r1 defaults where they stand in for the call's own. */
  asked: Statement;
  inputs: DecisionInputs;
  decision: Decision;
  bound: BoundRequest | null;
  consent: OpenedConsent | null;
  evidence: OpenedEvidence | null;
}

const NOTHING: ResolvedFields = { fields: [], asked: [], unknown: [], tooMany: false };

/** What a request comes to under the binding table, with the receipt or the evidence that its basis asks for. */
export interface PreparedRequest {
  asked: AskedRequest;
  bound: BoundRequest | null;
  consent: OpenedConsent | null;
  evidence: OpenedEvidence | null;
}

/** Everything that may have to wait is done here; what is counted is read later, in the turn that decides. */
export async function prepare(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  statement: Statement,
  context: RequestContext,
  body: Buffer,
): Promise<PreparedRequest> {
  const asked = askedRequest(server, snapshot, statement, context);
  const bound = boundRequest(server, snapshot, statement.service, asked.context, body);
  const evidence = openEvidence(snapshot, asked.statement, asked.context, body);
  const about = { subject: bound?.subject ?? null, elements: bound?.resolved.asked ?? [] };
  const consent = await openConsent(server, snapshot, asked.statement, asked.context, about);
  return { asked, bound, consent, evidence };
}

/** A request as it is judged: what was signed, or what a call that names nothing is taken to ask for. */
interface AskedRequest {
  statement: Statement;
  context: RequestContext;
  /** The access right whose /r1 defaults it is; null when it is what was signed. */
  defaultsFrom: string | null;
}

function askedRequest(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  statement: Statement,
  context: RequestContext,
): AskedRequest {
  const signed = { statement, context, defaultsFrom: null };
  if (!namesNothing(statement, context)) return signed;
  const { client, service } = statement;
  const groups = groupsOf(server, snapshot, client);
  const rights = server.state.rightsFor([client, ...groups], service);
  const { method, path } = context;
  const found = defaultsOf(rights, { client, groups, service, method, path }, judgedAtMs(server));
  if (found === null) return signed;
  const { purpose, basis, fields } = found.defaults;
  return {
    statement: { ...statement, purpose, basis },
    context: { ...context, fields },
    defaultsFrom: found.right,
  };
}

/** A clock that was set back must not bring back what was good only then, as for requests themselves. */
function judgedAtMs({ clock, log }: ServerParts): number {
  return Math.max(clock.nowMs(), log.newestMs());
}

/** The client's groups as access rights name them, ascending: this provider's own and the instance's. */
export function groupsOf({ state }: ServerParts, snapshot: ConfigurationSnapshot, client: string): string[] {
  return [
    ...snapshot.globalGroups(client).map((id) => GLOBAL_GROUP + id),
    ...state.groupsOf(client).map((code) => LOCAL_GROUP + code),
  ];
}

/** Decides; counts nothing. */
export function judge(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  { asked, bound, consent, evidence }: PreparedRequest,
): Judgement {
  const nowMs = judgedAtMs(server);
  const { statement, context, defaultsFrom } = asked;
  const { client, service, purpose, basis } = statement;
  const { method, path, userId, issue, fields, partial, hiddenUntil } = context;
  const groups = groupsOf(server, snapshot, client);
  const subject = consent?.genuine?.subject ?? bound?.subject ?? null;
  const inForce = bound && purposeFacts(server, snapshot, statement, nowMs);
  const inputs: DecisionInputs = {
    v: 1,
    nowMs,
    request: {
      client,
      service,
      method,
      path,
      purpose,
      basis,
      userId,
      issue,
      subject,
      fields: fields && resolvedOf(bound, fields),
      partial,
      hiddenUntil,
    },
    defaultsFrom,
    clientRegistered: snapshot.hasSubsystem(client),
    groups,
    lockedFor: snapshot.lockedFor(client),
    today: dayAt(nowMs, snapshot.utcOffsetMinutes),
    service: serviceFacts(server, snapshot, service, bound),
    binding: bound && askedOf(bound),
    purpose: inForce,
    purposeEnded: bound !== null && (inForce !== null || hasBegun(snapshot, purpose, nowMs)),
    // Read again: what others used up while a status list was fetched counts.
    consent: consent && consentFacts(server, consent.facts.given, consent.genuine?.receipt ?? null),
    evidence: evidence && evidenceFacts(server, evidence, client, subject, nowMs),
    rights: usedRights(server, { client, groups, service }, nowMs),
    predicateUse: bound && subject ? predicateUse(server, client, subject, bound, nowMs) : [],
  };
  return { asked: statement, inputs, decision: decide(inputs), bound, consent, evidence };
}

/** The fields as they were resolved are the same words, and spelled already. */
function resolvedOf(bound: BoundRequest | null, fields: readonly string[]): readonly string[] {
  return bound === null || bound.resolved === NOTHING ? fields : bound.resolved.fields;
}

function purposeFacts(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  { client, service, purpose }: Statement,
  nowMs: number,
): PurposeFacts | null {
  const found = purpose === null ? undefined : snapshot.purpose(purpose, dayAt(nowMs, snapshot.utcOffsetMinutes));
  if (found === undefined) return null;
  const { version, bases, elements, quotaPerDay } = found.purpose;
  const counter = purposeCounter(found.purpose.id, client, service);
  const usedToday = quotaPerDay === null ? 0 : server.state.used(counter, Math.floor(nowMs / DAY_MS));
  return { version, hash: found.hash, bases, elements, quotaPerDay, usedToday };
}

/** Whether a purpose of that name has ever been in force; asked for one that is not. */
function hasBegun(snapshot: ConfigurationSnapshot, purpose: string | null, nowMs: number): boolean {
  const day = dayAt(nowMs, snapshot.utcOffsetMinutes);
  return snapshot.purposes().some(({ id, from }) => id === purpose && from <= day);
}

/** A purpose's quota is one client's at one provider, over all its services. */
function purposeCounter(purpose: string, client: string, service: string): string {
  return `purpose ${purpose} ${client} ${subsystemOfService(service)}`;
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

/** What is archived of the same fields is the same, and spelled once. */
const askedBefore = new WeakMap<ResolvedFields, { of: BoundRequest; asked: AskedOfBinding }>();

function askedOf(bound: BoundRequest): AskedOfBinding {
  const { binding, dictionary, operation, resolved } = bound;
  const known = askedBefore.get(resolved);
  const isSame =
    known?.of.binding === binding &&
    known.of.dictionary === dictionary &&
    known.of.operation?.operation === operation?.operation &&
    known.of.operation?.leaves === operation?.leaves;
  if (isSame) return known.asked;
  const asked = madeOf(bound);
  if (isUnchanging(resolved)) askedBefore.set(resolved, { of: bound, asked: unchanging(asked) });
  return asked;
}

function madeOf({ binding, dictionary, operation, resolved }: BoundRequest): AskedOfBinding {
  return {
    table: binding.hash,
    operation: operation && `${operation.operation.method} ${operation.operation.path}`,
    needsSubject: operation?.operation.subject != null,
    purposes: [...(operation?.operation.purposes ?? [])],
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

function usedRights(
  { state }: ServerParts,
  { client, groups, service }: Asking,
  nowMs: number,
): DecisionInputs['rights'] {
  const day = Math.floor(nowMs / DAY_MS);
  return state.rightsFor([client, ...groups], service).map((right) => {
    return { right, usedToday: right.quotaPerDay === null ? 0 : state.used(quotaCounter(right, client), day) };
  });
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

/**
 * Counts what an allowed request uses, durably and all at once, in the turn that decided, so that requests that run side by
 * side cannot pass the same last place: the right's quota, the purpose's, the receipt's uses and its frequency, the
 * official's token, the persons of an emergency, predicates. Returns how to take it back when the request turns out not to
 * run; predicates stay counted, because asking again costs nothing more.
 */
export function countUses(server: ServerParts, judgement: Judgement): () => void {
  const { inputs, decision, consent, evidence } = judgement;
  if (!decision.allowed) return () => {};
  const { state } = server;
  const { client, service, purpose, subject } = inputs.request;
  const day = Math.floor(inputs.nowMs / DAY_MS);
  const right = inputs.rights.find((one) => one.right.id === decision.rightId)?.right;
  const counters = [
    ...(right?.quotaPerDay == null ? [] : [quotaCounter(right, client)]),
    ...(inputs.purpose?.quotaPerDay == null || purpose === null ? [] : [purposeCounter(purpose, client, service)]),
  ];
  const receipt = consent?.genuine?.receipt;
  // Nearly all: nothing to count, and no transaction for it.
  const asksPredicates = decision.release?.asked.some(({ path }) => path === null) ?? false;
  if (counters.length === 0 && receipt === undefined && evidence === null && !asksPredicates) return () => {};
  const takeBacks = state.together(() => {
    for (const counter of counters) state.countUse(counter, day);
    const ofReceipt = receipt === undefined ? () => {} : countReceipt(server, receipt, inputs.consent);
    const ofEvidence = evidence === null ? () => {} : spendEvidence(server, evidence, client, subject);
    countPredicates(server, judgement);
    return [ofReceipt, ofEvidence];
  });
  return () =>
    state.together(() => {
      for (const takeBack of takeBacks) takeBack();
      for (const counter of counters) state.takeBackUse(counter, day);
    });
}

/** Counts one use at the time by which it was judged; returns how to take it back. */
function countReceipt({ state }: ServerParts, receipt: Receipt, consent: ConsentFacts | null): () => void {
  const { jti, iss: issuer, uses, exp } = receipt;
  const window = consent?.receipt?.frequency;
  const leavesAtMs = window === undefined ? null : window.untilMs + window.days * DAY_MS;
  if (uses !== null) state.countReceiptUse(jti, exp);
  if (leavesAtMs !== null) state.countInWindow({ jti, issuer }, leavesAtMs);
  return () => {
    if (uses !== null) state.takeBackReceiptUse(jti);
    if (leavesAtMs !== null) state.takeBackFromWindow({ jti, issuer }, leavesAtMs);
  };
}

function countPredicates(server: ServerParts, { inputs, decision, bound }: Judgement): void {
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
