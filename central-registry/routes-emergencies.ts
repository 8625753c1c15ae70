// Emergencies over HTTP. On the public port beside the published files: whoever has the two tokens of one may hand them in,
// a third official's review too, and anybody may ask which reviews a department owes, as anybody sees whom the list of
// locks names. On the admin port: everything that was signed, for auditors.
//
// Anybody reaches the public port: small bodies, a bounded number of signatures a minute for each address and in all.
import type { FastifyInstance } from 'fastify';
import type { Clock } from '#core/clock.ts';
import { EmergencyReport, ReviewReport } from '#schemas/emergency-report.ts';
import { SUBSYSTEM_ID_PATTERN } from '#schemas/identifiers.ts';
import {
  MAX_EMERGENCY_POSTS_PER_ADDRESS,
  MAX_EMERGENCY_POSTS_PER_MINUTE,
  MAX_EVIDENCE_BYTES,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { MESSAGE_ID_PATTERN } from '#schemas/statement.ts';
import { type AdminFrame, PageQuery, pageOf } from './admin-frame.ts';
import type { Emergencies } from './emergencies.ts';
import { minuteBudget } from './minute-budget.ts';

const closed = { additionalProperties: false };
const NoQuery = Type.Object({}, closed);
const OfSubsystem = Type.Object({ subsystem: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }) }, closed);
const IdPath = Type.Object({ id: Type.String({ pattern: MESSAGE_ID_PATTERN }) }, closed);
/** Two tokens and the names around them. */
const MAX_REPORT_BYTES = 2 * MAX_EVIDENCE_BYTES + 1024;

export function addEmergencyRoutes(face: FastifyInstance, emergencies: Emergencies, clock: Clock): void {
  const take = minuteBudget(clock, { ofAddress: MAX_EMERGENCY_POSTS_PER_ADDRESS, all: MAX_EMERGENCY_POSTS_PER_MINUTE });
  const admit = (address: string): void => {
    if (take(address) > 0) throw new AccordError('SERVER_BUSY', 'too many reports this minute');
  };
  face.get<{ Querystring: Static<typeof OfSubsystem> }>(
    '/emergencies',
    { schema: { querystring: OfSubsystem } },
    async (request, reply) =>
      reply.header('cache-control', 'no-cache').send({ items: emergencies.waiting(request.query.subsystem) }),
  );
  face.post<{ Body: Static<typeof EmergencyReport> }>(
    '/emergencies',
    {
      bodyLimit: MAX_REPORT_BYTES,
      schema: { querystring: NoQuery, body: EmergencyReport },
      onRequest: async (request) => admit(request.ip),
    },
    async (request) => emergencies.report(request.body),
  );
  face.post<{ Params: Static<typeof IdPath>; Body: Static<typeof ReviewReport> }>(
    '/emergencies/:id/reviews',
    {
      bodyLimit: MAX_REPORT_BYTES,
      schema: { params: IdPath, querystring: NoQuery, body: ReviewReport },
      onRequest: async (request) => admit(request.ip),
    },
    async (request) => emergencies.review(request.params.id, request.body.token),
  );
}

export function addEmergencyAdminRoutes(frame: AdminFrame, emergencies: Emergencies): void {
  frame.read({
    method: 'GET',
    url: '/emergencies',
    summary: 'Emergencies that were reported, with what two officials signed and what reviews found',
    permission: 'audit',
    query: PageQuery,
    read(request) {
      const { after, limit } = pageOf(request);
      if (!/^\d{0,15}$/.test(after)) throw new AccordError('SCHEMA_MISMATCH', 'querystring/after: a number');
      const items = emergencies.page(Number(after), limit);
      const last = items.at(-1) as { seq: number } | undefined;
      return { items, next: last && items.length === limit ? String(last.seq) : null };
    },
  });
}
