// How campaign `consent` asks: through the provider's own steps in this process, in the order of its exchange and without
// the messages around them (provider/exchange.ts), or through both servers as a department does. The first can send what no
// honest server would; the second shows that the steps are those of the exchange.

import { newMessageId } from '#core/message-id.ts';
import { decide } from '#policy/decide.ts';
import { BARE_REQUEST, encodeRequestContext, parseRequestContext, type RequestContext } from '#schemas/context.ts';
import { type JsonObject, parseJsonObject } from '#schemas/json.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Release } from '#schemas/release.ts';
import type { Statement } from '#schemas/statement.ts';
import { wholeBody } from '#security-server/body.ts';
import { consentAgain } from '#security-server/provider/consent.ts';
import { countUses, judge, prepare } from '#security-server/provider/judge.ts';
import { placed } from '#security-server/provider/place-subject.ts';
import { released } from '#security-server/provider/release.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import type { ConsentCase } from './consent-cases.ts';
import { OFFICIAL } from './consent-emergencies.ts';
import { asAsked } from './consent-registrations.ts';
import { backendAnswer, type ConsentSetting } from './consent-setting.ts';
import { CONSUMER, PROVIDER } from './pair.ts';

/** Parts of the provider that are worse than the real ones. */
export interface BrokenConsent {
  prepare?: typeof prepare;
  countUses?: typeof countUses;
  server?: (parts: ServerParts) => ServerParts;
}

export interface Told {
  code: string;
  detail: string;
  /** What left, members of the body and predicates; empty for a refusal. */
  body: JsonObject;
  predicates: string[];
}

/** Tokens of officials, for a request on the basis of emergency. */
export interface Carried {
  receipt: string | null;
  evidence: string[];
}

const HASH = 'A'.repeat(43);

/** One request in this process. */
export async function askHere(
  setting: ConsentSetting,
  one: ConsentCase,
  carried: Carried,
  broken: BrokenConsent,
): Promise<Told> {
  const parts = setting.pair.provider.parts;
  const server = broken.server?.(parts) ?? parts;
  const snapshot = server.configuration.current();
  const statement = statementOf(one);
  let context: RequestContext;
  try {
    context = parseRequestContext(encodeRequestContext(contextOf(one, carried)));
  } catch (error) {
    // Nothing that looks like this gets through the form of a message.
    if (isAccordError(error)) return refused(error.code, '');
    throw error;
  }
  const body = Buffer.alloc(0);
  const prepared = await (broken.prepare ?? prepare)(server, snapshot, statement, context, body);
  const judgement = judge(server, snapshot, prepared);
  const { inputs, decision, bound } = judgement;
  if (!decision.allowed || decision.release === null || bound === null) return refused(decision.code, decision.detail);
  (broken.countUses ?? countUses)(server, judgement);
  const forwarded = placed(judgement, { context, body });
  await new Promise((resolve) => setImmediate(resolve));
  const called = backendAnswer(forwarded.context.path);
  const consent = await consentAgain(server, judgement);
  if (consent !== null) {
    const again = decide({ ...inputs, consent });
    if (!again.allowed) return refused(again.code, again.detail);
  }
  const answer = released(
    server,
    bound,
    decision.release,
    {
      context: {
        ...{ v: 1, status: called.status, code: 'OK', headers: [], release: null },
        body: { length: called.body.length, type: called.type },
      },
      body: Buffer.from(called.body),
      states: null,
    },
    { service: statement.service, id: statement.id, day: inputs.today },
  );
  const { code, release, status } = answer.context;
  // Of somebody whom the department does not know there is nothing to say.
  if (status !== 200) return refused(code, '');
  return toldOf(code, '', parseJsonObject(wholeBody(answer.body)), release);
}

function statementOf({ request, nowMs }: ConsentCase): Statement {
  const { client, service, purpose, basis } = request;
  return {
    ...{ v: 1, id: newMessageId(nowMs), kind: 'request', from: CONSUMER, to: PROVIDER, client, service, at: nowMs },
    ...{ purpose, basis, context: { commitment: HASH }, body: { commitment: HASH } },
    configuration: { version: 1, hash: HASH },
  };
}

function pathOf({ request }: ConsentCase): string {
  return `/residents/${request.literal ?? '~subject'}`;
}

function officialOf({ request }: ConsentCase) {
  return request.official ? { userId: OFFICIAL, issue: 'case 7' } : { userId: null, issue: null };
}

function contextOf(one: ConsentCase, { receipt, evidence }: Carried): RequestContext {
  return {
    ...{ ...BARE_REQUEST, method: 'GET', path: pathOf(one), caller: 'loopback', deadlineMs: 10_000 },
    ...officialOf(one),
    ...{ fields: one.request.fields.map(asAsked), partial: one.request.partial, receipt, evidence },
  };
}

/** One request over both servers, as a department's system sends it. */
export async function askThere({ pair }: ConsentSetting, one: ConsentCase, carried: Carried): Promise<Told> {
  const { client, service, purpose, basis, fields, partial } = one.request;
  const { userId, issue } = officialOf(one);
  const answer = await fetch(`${pair.consumer.urls.loopback}/lookups`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      ...{ client, service, purpose, basis, partial, method: 'GET', path: pathOf(one), fields: fields.map(asAsked) },
      ...(userId === null ? {} : { userId, issue }),
      ...(carried.receipt === null ? {} : { receipt: carried.receipt }),
      ...(carried.evidence.length === 0 ? {} : { evidence: carried.evidence }),
    }),
  });
  const json = (await answer.json()) as { code: string; detail?: string; outcome?: string; status?: number };
  const { body, release } = json as { body?: JsonObject; release?: Release };
  if (json.outcome !== 'ok' || json.status !== 200) return refused(json.code, json.detail ?? '');
  return toldOf(json.code, '', body ?? {}, release ?? null);
}

function refused(code: string, detail: string): Told {
  return { code, detail, body: {}, predicates: [] };
}

function toldOf(code: string, detail: string, body: JsonObject, release: Release | null): Told {
  const predicates = release?.predicates.map(({ predicate, result }) => `${predicate} ${result}`) ?? [];
  return { code, detail, body, predicates };
}
