// Reports of doubt in the admin API of the provider's server: GET /doubts and POST /doubts/{id}/answer. The department
// looks into its own data, and says here what came of it; the reporter asks for it with an exchange. An auditor sees that
// a report was made and answered, not whom and which values it is about.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { DoubtNote, DoubtState, DoubtStatus, doubtMembers } from '#schemas/doubt.ts';
import { AccordError } from '#schemas/problems.ts';
import { Type } from '#schemas/schema-builder.ts';
import { MESSAGE_ID_PATTERN } from '#schemas/statement.ts';
import { compile } from '#schemas/validate.ts';
import type { Doubt } from '#security-server/doubts.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

const closed = { additionalProperties: false };
const MAX_PAGE = 200;
const DEFAULT_PAGE = 50;

const DoubtQuery = Type.Object(
  {
    state: Type.Optional(DoubtState),
    /** The id of the last one seen. */
    after: Type.Optional(Type.String({ pattern: MESSAGE_ID_PATTERN })),
    limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,2}$' })),
  },
  closed,
);
export const DoubtAnswer = Type.Object(
  {
    state: Type.Union([Type.Literal('accepted'), Type.Literal('rejected'), Type.Literal('needs-info')]),
    /** Why, or what is needed; `accepted` says enough by itself. */
    note: Type.Union([DoubtNote, Type.Null()]),
  },
  closed,
);
const { element: _element, exchange: _exchange, note: _note, ...about } = doubtMembers;
const { note: _said, ...status } = DoubtStatus.properties;
/** One report as the department sees it; `about` and `words` are for administrators. */
export const ReportedDoubt = Type.Object({
  ...status,
  /** `citizen`: the person themselves, through the consent service that `client` names. */
  reporter: Type.Union([Type.Literal('department'), Type.Literal('citizen')]),
  client: Type.String(),
  peer: Type.String(),
  about: Type.Optional(Type.Object(about)),
  words: Type.Optional(
    Type.Array(Type.Object({ atMs: Type.Integer(), state: DoubtState, note: Type.Union([DoubtNote, Type.Null()]) })),
  ),
});
const checkQuery = compile(DoubtQuery, 'SCHEMA_MISMATCH');
const checkAnswer = compile(DoubtAnswer, 'SCHEMA_MISMATCH');

/** @param keyOf the API key of a request, which was found good before */
export function addDoubtRoutes(
  app: FastifyInstance,
  { doubts }: ServerParts,
  keyOf: (request: FastifyRequest) => { name: string; role: string },
): void {
  app.get('/doubts', async (request) => {
    const { state, after, limit } = checkQuery(request.query);
    const most = limit === undefined ? DEFAULT_PAGE : Number(limit);
    if (most > MAX_PAGE) throw new AccordError('SCHEMA_MISMATCH', `/limit is above ${MAX_PAGE}`);
    const items = doubts.page(state ?? null, after ?? null, most);
    const { name, role } = keyOf(request);
    const withValues = role === 'administrator';
    // Values of persons were shown: whoever asks later finds to whom.
    if (withValues) request.log.info({ admin: name, doubts: items.map(({ id }) => id) }, 'reports of doubt were read');
    return {
      items: items.map((doubt) => shown(doubt, withValues)),
      // A full page may have one behind it.
      next: items.length < most ? null : (items.at(-1)?.id ?? null),
    };
  });
  app.post<{ Params: { id: string } }>('/doubts/:id/answer', async (request) => {
    const { state, note } = checkAnswer(request.body);
    if (state !== 'accepted' && note === null) throw new AccordError('SCHEMA_MISMATCH', `/note says why: ${state}`);
    return shown(doubts.answer(request.params.id, state, note), true);
  });
}

function shown({ about, words, ...facts }: Doubt, withValues: boolean): object {
  return withValues ? { ...facts, about, words } : facts;
}
