// POST /access-rights/explain: which access right decides a request of this client, and what each of the others lacks. The
// rules are those of a real request (policy/decide.ts) over this server's rights, counters and configuration as they are;
// nobody is asked, nothing is counted or kept. An administrator or auditor controls the input.
import type { FastifyInstance } from 'fastify';
import { newMessageId } from '#core/message-id.ts';
import { type Decision, decide } from '#policy/decide.ts';
import type { ConsentFacts, DecisionInputs, EvidenceFacts } from '#policy/decision-inputs.ts';
import type { BindingOperation } from '#schemas/binding-table.ts';
import { BARE_REQUEST, Method, RequestContext } from '#schemas/context.ts';
import { SERVICE_ID_PATTERN, SUBSYSTEM_ID_PATTERN, subsystemOfService } from '#schemas/identifiers.ts';
import { DEFAULT_DEADLINE_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { SUBJECT_PLACEHOLDER, servicePath } from '#schemas/service-path.ts';
import { Basis, PURPOSE_PATTERN, type Statement } from '#schemas/statement.ts';
import { compile } from '#schemas/validate.ts';
import { judge, prepare } from '#security-server/provider/judge.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

const closed = { additionalProperties: false };
const { path, fields, userId, issue } = RequestContext.properties;

export const ExplainInput = Type.Object(
  {
    client: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    service: Type.String({ pattern: SERVICE_ID_PATTERN }),
    /** Null: of a bound service each operation of its table, else GET /. */
    endpoint: Type.Union([Type.Object({ method: Method, path }, closed), Type.Null()]),
    fields,
    partial: Type.Boolean(),
    purpose: Type.Union([Type.String({ pattern: PURPOSE_PATTERN }), Type.Null()]),
    basis: Basis,
    userId,
    issue,
  },
  closed,
);
export type ExplainInput = Static<typeof ExplainInput>;
const checkInput = compile(ExplainInput, 'SCHEMA_MISMATCH');

/** What one right makes of the request, when it stands alone. */
const Judged = Type.Object(
  {
    id: Type.String(),
    /** Whom it was given to: the client, or a group of it. */
    client: Type.String(),
    code: Type.String(),
    detail: Type.String(),
  },
  closed,
);
const Items = Type.Array(
  Type.Object({ path: Type.Union([Type.String(), Type.Null()]), element: Type.String() }, closed),
);

export const Explained = Type.Object(
  {
    method: Method,
    path,
    allowed: Type.Boolean(),
    code: Type.String(),
    detail: Type.String(),
    /** The access right that decides, also when it refuses; null when none covers the request. */
    rightId: Type.Union([Type.String(), Type.Null()]),
    release: Type.Union([Type.Object({ asked: Items, omitted: Items }, closed), Type.Null()]),
    rights: Type.Array(Judged),
    /** On the basis of consent: judged as if the citizen had agreed to everything that is asked. */
    consentAssumed: Type.Boolean(),
    /** Judged as if the official had signed it, or two had opened an emergency for it; null where that changes nothing. */
    evidenceAssumed: Type.Union([Type.Literal('official'), Type.Literal('emergency'), Type.Null()]),
  },
  closed,
);
export type Explained = Static<typeof Explained>;

export function addExplainRoute(app: FastifyInstance, server: ServerParts): void {
  app.post('/access-rights/explain', async (request) => {
    const input = checkInput(request.body);
    if (
      !(server.configuration.current().server(server.self)?.subsystems.has(subsystemOfService(input.service)) ?? false)
    ) {
      throw new AccordError('SERVICE_NOT_ON_SERVER', input.service);
    }
    if (input.endpoint !== null) servicePath(input.endpoint.path);
    const asked =
      input.endpoint === null ? exampleRequests(server, input.service) : [{ ...input.endpoint, ...NOTHING }];
    const items: Explained[] = [];
    for (const one of asked) items.push(await explain(server, input, one));
    return { items };
  });
}

type Asked = Pick<RequestContext, 'method' | 'path' | 'query'> & { body: Buffer };
const NOTHING = { query: null, body: Buffer.alloc(0) };

/** One request for each operation of the table, about nobody: every parameter holds the placeholder of a subject. */
function exampleRequests(server: ServerParts, service: string): Asked[] {
  const bound = server.dictionary.bound(server.configuration.current(), service);
  return bound?.binding.table.operations.map(example) ?? [{ method: 'GET', path: '/', ...NOTHING }];
}

function example({ method, path, subject }: BindingOperation): Asked {
  const asked = { method, path: path.replace(/\{[^}]*\}/g, SUBJECT_PLACEHOLDER), ...NOTHING };
  if (subject?.in === 'query') {
    return { ...asked, query: `${encodeURIComponent(subject.name)}=${SUBJECT_PLACEHOLDER}` };
  }
  if (subject?.in !== 'body') return asked;
  const names = subject.name.split('/').slice(1).reverse();
  const place = (inner: unknown, token: string) => ({ [token.replaceAll('~1', '/').replaceAll('~0', '~')]: inner });
  return { ...asked, body: Buffer.from(JSON.stringify(names.reduce(place, SUBJECT_PLACEHOLDER as unknown)), 'utf8') };
}

async function explain(server: ServerParts, input: ExplainInput, { body, ...asked }: Asked): Promise<Explained> {
  const snapshot = server.configuration.current();
  const statement = statementOf(server, input);
  const { fields, partial, userId, issue } = input;
  const context: RequestContext = {
    ...BARE_REQUEST,
    ...asked,
    userId,
    issue,
    caller: 'loopback',
    deadlineMs: DEFAULT_DEADLINE_MS,
    fields,
    partial,
    body: { length: body.length, type: body.length === 0 ? null : 'application/json' },
  };
  const { inputs } = judge(server, snapshot, await prepare(server, snapshot, statement, context, body));
  const consentAssumed = inputs.consent !== null;
  const judged: DecisionInputs = {
    ...inputs,
    consent: consentAssumed ? agreed(inputs) : null,
    evidence: inputs.evidence && signed(inputs),
  };
  const { allowed, code, detail, rightId, release }: Decision = decide(judged);
  const without = decide({ ...judged, evidence: inputs.evidence });
  const isAssumed = without.code !== code || without.rightId !== rightId;
  const evidenceAssumed = !isAssumed ? null : input.basis === 'emergency' ? 'emergency' : 'official';
  const rights = judged.rights.map((one) => {
    const alone = decide({ ...judged, rights: [one] });
    return { id: one.right.id, client: one.right.client, code: alone.code, detail: alone.detail };
  });
  const { method, path } = asked;
  return { method, path, allowed, code, detail, rightId, release, rights, consentAssumed, evidenceAssumed };
}

/** A consent to all that is asked, given a moment ago. */
function agreed({ nowMs, purpose, binding }: DecisionInputs): ConsentFacts {
  const receipt = {
    jti: '',
    purposeHash: purpose?.hash ?? '',
    elements: binding?.asked.map(({ element }) => element) ?? [],
    notBeforeMs: nowMs,
    notAfterMs: nowMs + DEFAULT_DEADLINE_MS,
    uses: null,
    used: 0,
  };
  return { given: true, receipt, status: { value: 0, listIatMs: nowMs }, trustedNowMs: nowMs, deviationMs: 0 };
}

/** What the official would sign, or two officials for an emergency, a moment ago. */
function signed({ request, nowMs }: DecisionInputs): EvidenceFacts {
  const asks = { id: request.userId ?? '', unit: '' };
  const { purpose, service } = request;
  if (request.basis !== 'emergency') return { given: 1, official: asks, usedBefore: false, emergency: null };
  const terms = { purpose: purpose ?? '', services: [service], reason: '', persons: 1, otherPersons: 0 };
  const times = { fromMs: nowMs, untilMs: nowMs + DEFAULT_DEADLINE_MS };
  return { given: 2, official: null, usedBefore: false, emergency: { id: '', officials: [asks], ...terms, ...times } };
}

/** The form that the rules read; it is never signed and never leaves. */
function statementOf(server: ServerParts, { client, service, purpose, basis }: ExplainInput): Statement {
  const { version, hash } = server.configuration.current();
  const nowMs = server.clock.nowMs();
  return {
    v: 1,
    id: newMessageId(nowMs),
    kind: 'request',
    from: server.self,
    to: server.self,
    client,
    service,
    at: nowMs,
    purpose,
    basis,
    context: { commitment: '' },
    body: { commitment: '' },
    configuration: { version, hash },
  };
}
