// POST /doubts and GET /doubts/{id} for a department's information systems: reports that a received value may be wrong
// (schemas/doubt.ts). Each is an ordinary exchange with the service, on a path that its own server answers. The
// information system controls what it sends, the provider's server the answer.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { checkDoubtStatus, DOUBTS_PATH, DoubtNote, doubtMembers } from '#schemas/doubt.ts';
import { SERVICE_ID_PATTERN, SUBSYSTEM_ID_PATTERN } from '#schemas/identifiers.ts';
import { parseJson } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { Type } from '#schemas/schema-builder.ts';
import { type Basis, MESSAGE_ID_PATTERN } from '#schemas/statement.ts';
import { compile } from '#schemas/validate.ts';
import { wholeBody } from '#security-server/body.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import { type Caller, readCall } from './call.ts';
import { exchange, type LookupResult } from './exchange.ts';

const closed = { additionalProperties: false };
const who = {
  client: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
  service: Type.String({ pattern: SERVICE_ID_PATTERN }),
};
const { path, proposed, evidenceHash, ...always } = doubtMembers;
const DoubtRequest = Type.Object(
  {
    ...who,
    ...always,
    path: Type.Optional(path),
    proposed: Type.Optional(proposed),
    evidenceHash: Type.Optional(evidenceHash),
    note: Type.Optional(Type.Union([DoubtNote, Type.Null()])),
    /** The official who reports it, as the department names them. */
    userId: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  },
  closed,
);
const checkDoubt = compile(DoubtRequest, 'SCHEMA_MISMATCH');
const checkWho = compile(Type.Object(who, closed), 'SCHEMA_MISMATCH');
const MESSAGE_ID = new RegExp(MESSAGE_ID_PATTERN);

/** What the port does for every route that begins an exchange. */
export interface ExchangeRoutes {
  callerOf(request: FastifyRequest): Caller;
  /** Keeps the caller's place until the work has ended. */
  held<T>(request: FastifyRequest, work: () => Promise<T>): Promise<T>;
  /** Answers with a problem document, or with the other side's answer as it came. */
  sendResult(reply: FastifyReply, result: LookupResult): FastifyReply;
}

export function addDoubtRoutes(app: FastifyInstance, server: ConsumerParts, routes: ExchangeRoutes): void {
  const { callerOf, held, sendResult } = routes;

  function send(reply: FastifyReply, result: LookupResult): FastifyReply {
    if (result.outcome !== 'ok' || result.answer === null) return sendResult(reply, result);
    const { context, body } = result.answer;
    const doubt = checkDoubtStatus(parseJson(wholeBody(body)));
    const { requestHash, log, provider } = result.evidence;
    const evidence = { requestHash, log: { origin: log.origin, index: log.request, answer: log.answer }, provider };
    return reply.code(context.status === 201 ? 201 : 200).send({ ...doubt, report: { id: result.id, evidence } });
  }

  app.post('/doubts', async (request, reply) => {
    const { client, service, userId, ...said } = checkDoubt(request.body);
    const caller = callerOf(request);
    // Before the log is asked: whether a client received something is not everybody's to know.
    caller.authenticate(client);
    const { purpose, basis } = await receivedExchange(server, said.exchange, client, service);
    const body = { v: 1, path: null, proposed: null, evidenceHash: null, note: null, ...said };
    const lookup = { client, service, method: 'POST' as const, path: DOUBTS_PATH, body, basis };
    const call = readCall(
      { ...lookup, ...(purpose === null ? {} : { purpose }), ...(userId === undefined ? {} : { userId }) },
      caller,
      server,
    );
    return held(request, async () => send(reply, await exchange(server, call)));
  });

  app.get<{ Params: { id: string } }>('/doubts/:id', async (request, reply) => {
    const { client, service } = checkWho(request.query);
    const { id } = request.params;
    if (!MESSAGE_ID.test(id)) throw new AccordError('DOUBT_UNKNOWN', id.slice(0, 64));
    const call = readCall({ client, service, method: 'GET', path: `${DOUBTS_PATH}/${id}` }, callerOf(request), server);
    return held(request, async () => send(reply, await exchange(server, call)));
  });
}

/** The report goes on the basis on which the value was asked for. @throws DOUBT_WITHOUT_EXCHANGE */
async function receivedExchange(
  server: ConsumerParts,
  id: string,
  client: string,
  service: string,
): Promise<{ purpose: string | null; basis: Basis }> {
  const records = await server.log.find(null, id);
  const found = records.find(({ entry }) => {
    return entry.kind === 'response-received' && entry.client === client && entry.service === service;
  });
  if (found === undefined) throw new AccordError('DOUBT_WITHOUT_EXCHANGE', id);
  const { purpose, basis } = found.entry;
  return { purpose, basis: basis === 'law' || basis === 'consent' ? basis : 'open' };
}
