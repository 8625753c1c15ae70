// Paths that belong to the exchange itself: `/.accord/…` behind any service is answered by the provider's own server and
// never reaches a backend. The table below names them all. The consumer controls method, path and body; that it is this
// client is verified by then.
import type { ConfigurationSnapshot, ServerEntry } from '#core/configuration/snapshot.ts';
import { ACCESSES_PATH, CITIZEN_DOUBTS_PATH, RECEIPT_USES_PATH } from '#schemas/accesses.ts';
import type { RequestContext } from '#schemas/context.ts';
import { checkDoubtReport, DOUBTS_PATH } from '#schemas/doubt.ts';
import { EFFECTIVE_ACCESS_PATH } from '#schemas/effective-access.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_DOUBT_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { OVER_DELIVERY_PATH, STATUS_HINT_PATH } from '#schemas/service-path.ts';
import type { Statement } from '#schemas/statement.ts';
import type { Doubt } from '#security-server/doubts.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { reportOfCitizen } from './citizen-doubt.ts';
import { statusOf } from './doubt-status.ts';
import { mustHaveReceived } from './doubted-exchange.ts';
import { effectiveAccess } from './effective-access.ts';
import { noteOverDelivery } from './over-delivery.ts';
import { receiptUses } from './receipt-uses.ts';
import { type BackendAnswer, problemAnswer, type Reply } from './reply.ts';
import { noteStatusHint } from './status-hint.ts';
import { whoLooked } from './who-looked.ts';

const ONE_DOUBT = `${DOUBTS_PATH}/`;

interface Asked {
  server: ServerParts;
  snapshot: ConfigurationSnapshot;
  peer: ServerEntry;
  statement: Statement;
  context: RequestContext;
  body: Buffer;
}

type Answered = Omit<Reply, 'kind'>;

/** By path; all of them are asked with POST and a JSON document. */
const POSTED: Readonly<Record<string, (asked: Asked) => Answered | Promise<Answered>>> = {
  [EFFECTIVE_ACCESS_PATH]: async ({ server, snapshot, statement, context, body }) => {
    const { access, ...decided } = await effectiveAccess(server, snapshot, statement, context, body);
    return { answer: json(200, access), ...decided };
  },
  [DOUBTS_PATH]: (asked) => undecided(report(asked)),
  [OVER_DELIVERY_PATH]: ({ server, peer, statement, body }) => {
    noteOverDelivery(server, peer, statement, body);
    return undecided(json(200, {}));
  },
  [STATUS_HINT_PATH]: ({ server, statement, body }) => {
    noteStatusHint(server, statement, body);
    return undecided(json(200, {}));
  },
  [ACCESSES_PATH]: async ({ server, snapshot, peer, statement, body }) =>
    undecided(json(200, await whoLooked(server, snapshot, peer, statement, body))),
  [CITIZEN_DOUBTS_PATH]: async ({ server, snapshot, peer, statement, body }) =>
    undecided(reported(server, await reportOfCitizen(server, snapshot, peer, statement, body))),
  [RECEIPT_USES_PATH]: async ({ server, snapshot, statement, body }) =>
    undecided(json(200, await receiptUses(server, snapshot, statement, body))),
};

/**
 * Answers a request to a reserved path. The request's record is durable by then and the id was not used before, so that
 * what is done here is done once. No access right is asked for: what may be reported on is what was received, whoever
 * asks what it would get is told, also that it is nothing, and citizens' questions bring their own proof.
 * @throws ANSWER_NOT_LOGGED: then nothing may be answered, not even a refusal
 */
export async function answerReserved(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  peer: ServerEntry,
  statement: Statement,
  context: RequestContext,
  body: Buffer,
): Promise<Answered> {
  try {
    return await answerFor({ server, snapshot, peer, statement, context, body });
  } catch (error) {
    if (isAccordError(error, 'ANSWER_NOT_LOGGED')) throw error;
    if (isAccordError(error)) return undecided(problemAnswer(error.code, error.detail, statement.id));
    server.logger.error({ err: error, id: statement.id }, 'a reserved path could not be answered');
    return undecided(problemAnswer('INTERNAL', statement.id, statement.id));
  }
}

/** @throws NOT_FOUND, and what the reserved paths throw */
async function answerFor(asked: Asked): Promise<Answered> {
  const { server, statement, context } = asked;
  const { method, path, query } = context;
  if (query === null && method === 'POST' && Object.hasOwn(POSTED, path)) {
    const answer = POSTED[path];
    if (answer !== undefined) return await answer(asked);
  }
  if (query === null && method === 'GET' && path.startsWith(ONE_DOUBT)) {
    return undecided(json(200, statusOf(ownDoubt(server, statement, path.slice(ONE_DOUBT.length)))));
  }
  throw new AccordError('NOT_FOUND', `${method} ${path.slice(0, 200)}`);
}

function undecided(answer: BackendAnswer): Answered {
  return { answer, decision: null, retention: 'standard' };
}

/** @throws MEDIA_TYPE_UNSUPPORTED, SCHEMA_MISMATCH, BODY_TOO_LARGE, JSON_*, DOUBT_WITHOUT_EXCHANGE, DOUBT_LIMIT */
function report({ server, peer, statement, context, body }: Asked): BackendAnswer {
  if (context.body.type !== 'application/json') throw new AccordError('MEDIA_TYPE_UNSUPPORTED');
  const { client, service } = statement;
  const report = checkDoubtReport(parseJson(body, { maxBytes: MAX_DOUBT_BYTES, maxDepth: 3, maxValues: 32 }));
  mustHaveReceived(server, peer, { client, service }, report);
  return reported(server, server.doubts.report({ reporter: 'department', peer: peer.id, client, service, report }));
}

function reported(server: ServerParts, { doubt, isNew }: { doubt: Doubt; isNew: boolean }): BackendAnswer {
  if (isNew) {
    // For a person, soon: the department decides whether its data are right.
    const { id, reporter, client, service, element } = doubt;
    const about = { doubt: id, reporter, client, service, element };
    server.logger.warn({ alarm: 'DOUBT_REPORTED', ...about }, 'a value is doubted');
  }
  return json(isNew ? 201 : 200, statusOf(doubt));
}

/** A client sees its own reports only; what another reported does not exist for it. @throws DOUBT_UNKNOWN */
function ownDoubt(server: ServerParts, { client, service }: Statement, id: string): Doubt {
  const doubt = server.doubts.find(id);
  const isOwn = doubt?.reporter === 'department' && doubt.client === client && doubt.service === service;
  if (doubt === null || !isOwn) throw new AccordError('DOUBT_UNKNOWN', id.slice(0, 64));
  return doubt;
}

function json(status: number, value: object): BackendAnswer {
  const body = Buffer.from(JSON.stringify(value), 'utf8');
  const facts = { length: body.length, type: 'application/json' };
  return { context: { v: 1, status, code: 'OK', headers: [], body: facts, release: null }, body };
}
