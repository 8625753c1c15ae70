// Retention and lawful erasure in the admin API (docs/evidence.md): classes, rules of the consumer's side, the plan, requests
// for destruction, holds. What takes two persons takes two API keys under different names: the first is an administrator's,
// the second an administrator's or an auditor's. Auditors may also place holds. Both control the input.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { HashedKey } from '#core/http/bearer.ts';
import { SERVICE_ID_PATTERN, SUBSYSTEM_ID_PATTERN } from '#schemas/identifiers.ts';
import { MAX_HELD_EXCHANGES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { Day, LegalBasis, type Person, Reason, RetentionClass, RetentionName } from '#schemas/retention.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import type { DestructionView } from '#security-server/retention/contract.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

const closed = { additionalProperties: false };
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);
const ExchangeIds = Type.Array(Type.String({ minLength: 1, maxLength: 128 }), {
  minItems: 1,
  maxItems: MAX_HELD_EXCHANGES,
  uniqueItems: true,
});

export const RuleInput = Type.Object(
  {
    client: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    /** Null: every service that the client asks. */
    service: orNull(Type.String({ pattern: SERVICE_ID_PATTERN })),
    /** Null takes the rule back. */
    retention: orNull(RetentionName),
  },
  closed,
);
export const DestructionInput = Type.Object(
  {
    /** What is due of this class; of all classes for null. */
    retention: orNull(RetentionName),
    /** Days since the epoch, UTC: only up to this one. */
    throughDay: orNull(Day),
    /** Single exchanges by order of a court, whatever is due; of one other server unless `peer` is null. */
    exchanges: orNull(ExchangeIds),
    peer: orNull(Type.String({ pattern: SUBSYSTEM_ID_PATTERN })),
    /** Null: that of the class. */
    legalBasis: orNull(LegalBasis),
    reason: Reason,
  },
  closed,
);
export const HoldInput = Type.Object(
  {
    scope: Type.Union([
      Type.Object({ kind: Type.Literal('exchanges'), ids: ExchangeIds }, closed),
      Type.Object(
        {
          kind: Type.Literal('subject'),
          scheme: Type.String({ minLength: 1, maxLength: 128 }),
          value: Type.String({ minLength: 1, maxLength: 256 }),
        },
        closed,
      ),
      Type.Object({ kind: Type.Literal('period'), firstDay: Day, lastDay: Day }, closed),
      Type.Object({ kind: Type.Literal('class'), retention: RetentionName }, closed),
    ]),
    legalBasis: LegalBasis,
    reason: Reason,
  },
  closed,
);
export const LiftInput = Type.Object({ reason: orNull(Reason) }, closed);

const checkClass = compile(RetentionClass, 'SCHEMA_MISMATCH');
const checkRule = compile(RuleInput, 'SCHEMA_MISMATCH');
const checkDestruction = compile(DestructionInput, 'SCHEMA_MISMATCH');
const checkHold = compile(HoldInput, 'SCHEMA_MISMATCH');
const checkLift = compile(LiftInput, 'SCHEMA_MISMATCH');

/** What an auditor may do beside reading: be the second person, and hold. */
const AUDITORS_MAY =
  /^\/retention\/(?:classes\/[^/?]+\/approve|destructions\/[^/?]+\/approve|holds(?:\/[^/?]+\/lift)?)$/;

export function auditorMay(method: string, url: string): boolean {
  return method === 'POST' && AUDITORS_MAY.test(url);
}

/** @param keyOf the API key of a request, which was found good before */
export function addRetentionRoutes(
  app: FastifyInstance,
  { retention, clock }: ServerParts,
  keyOf: (request: FastifyRequest) => HashedKey<Person['role']>,
): void {
  const person = (request: FastifyRequest): Person => {
    const { name, role, hash } = keyOf(request);
    return { name, role, key: hash, atMs: clock.nowMs() };
  };
  const { classes } = retention;
  type ById = { Params: { id: string } };

  app.get('/retention/classes', async () => ({ items: [...classes.all().values()], changes: classes.changes() }));
  app.put('/retention/classes', async (request, reply) => {
    const wanted = checkClass(request.body);
    classes.ask(wanted, person(request));
    return reply.code(202).send(wanted);
  });
  // The body is what was seen: nothing is approved unseen, nor what was asked for since.
  app.post<ById>('/retention/classes/:id/approve', async (request) => {
    const { body } = request;
    if (body === undefined || body === null) throw new AccordError('SCHEMA_MISMATCH', 'body: the class as it was seen');
    return classes.approve(request.params.id, person(request), checkClass(body));
  });
  app.delete<ById>('/retention/classes/:id/change', async (request, reply) => {
    classes.withdraw(request.params.id);
    return reply.code(204).send();
  });
  app.get('/retention/rules', async () => ({ items: classes.rules() }));
  app.put('/retention/rules', async (request) => {
    const rule = checkRule(request.body);
    classes.setRule(rule);
    return rule;
  });

  app.get('/retention/plan', async () => retention.plan());
  app.get('/retention/destructions', async () => ({ items: retention.destructions().map(shown) }));
  app.post('/retention/destructions', async (request, reply) => {
    const { exchanges, peer, ...wanted } = checkDestruction(request.body);
    if (exchanges !== null && (wanted.retention !== null || wanted.throughDay !== null)) {
      throw new AccordError('SCHEMA_MISMATCH', '/exchanges: single exchanges, or days of a class');
    }
    const single = (exchanges ?? []).map((id) => ({ id, peer }));
    const asked = await retention.request({ ...wanted, exchanges: single }, person(request));
    return reply.code(201).send(shown(asked));
  });
  app.get<ById>('/retention/destructions/:id', async (request) => shown(retention.destruction(request.params.id)));
  app.post<ById>('/retention/destructions/:id/approve', async (request) =>
    shown(await retention.approve(request.params.id, person(request))),
  );
  app.delete<ById>('/retention/destructions/:id', async (request) =>
    shown(await retention.withdraw(request.params.id, person(request))),
  );

  app.get('/retention/holds', async () => ({ items: retention.holds() }));
  app.post('/retention/holds', async (request, reply) => {
    const { scope, legalBasis, reason } = checkHold(request.body);
    if (scope.kind === 'period' && scope.lastDay < scope.firstDay) {
      throw new AccordError('SCHEMA_MISMATCH', '/scope: the period ends before it begins');
    }
    if (scope.kind === 'class') classes.require(scope.retention);
    return reply.code(201).send(await retention.place(scope, legalBasis, reason, person(request)));
  });
  app.post<ById>('/retention/holds/:id/lift', async (request) => {
    const { reason } = checkLift(request.body);
    return retention.lift(request.params.id, reason, person(request));
  });
}

/** What it is about: as it was intended, or as it was asked for. */
function shown({ id, state, request, intent, certificate }: DestructionView): Static<typeof Destruction> {
  const { requested, legalBasis, reason } = intent?.note ?? (request as NonNullable<typeof request>);
  return {
    id,
    state,
    requested,
    approved: intent?.note.approved ?? null,
    rule: intent?.note.rule ?? null,
    legalBasis,
    reason,
    days: intent?.note.days ?? request?.scope.days ?? [],
    except: intent?.note.except ?? [],
    records: intent?.note.records.length ?? 0,
    exchanges: request?.scope.exchanges.map((one) => one.id) ?? [],
    intent: intent && { origin: intent.origin, seq: intent.seq, leaf: intent.leaf },
    certificate,
  };
}

/** One destruction as the admin API shows it. */
export const Destruction = Type.Object({
  id: Type.String(),
  state: Type.Union((['waiting', 'withdrawn', 'under-way', 'done'] as const).map((state) => Type.Literal(state))),
  requested: Type.Object({}),
  approved: orNull(Type.Object({})),
  rule: orNull(Type.String()),
  legalBasis: Type.String(),
  reason: Type.String(),
  days: Type.Array(Type.Object({})),
  except: Type.Array(Type.Object({})),
  /** Single records. */
  records: Type.Integer(),
  exchanges: Type.Array(Type.String()),
  intent: orNull(Type.Object({})),
  /** Compact JWS. */
  certificate: orNull(Type.String()),
});
