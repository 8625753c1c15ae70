// Paths that belong to the exchange itself: `/.accord/…` behind any service is answered by the provider's own server and
// never reaches a backend. These are reports of doubt (schemas/doubt.ts): POST /.accord/doubts and
// GET /.accord/doubts/{id}, reports of over-delivery: POST /.accord/over-delivery, and the question what would be released:
// POST /.accord/effective-access. The consumer controls method, path and body; that it is this client is verified by then.
import type { ConfigurationSnapshot, ServerEntry } from '#core/configuration/snapshot.ts';
import type { RequestContext } from '#schemas/context.ts';
import { checkDoubtReport, DOUBTS_PATH, type DoubtStatus } from '#schemas/doubt.ts';
import { EFFECTIVE_ACCESS_PATH } from '#schemas/effective-access.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_DOUBT_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { OVER_DELIVERY_PATH, STATUS_HINT_PATH } from '#schemas/service-path.ts';
import type { Statement } from '#schemas/statement.ts';
import type { Doubt } from '#security-server/doubts.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { mustHaveReceived } from './doubted-exchange.ts';
import { effectiveAccess } from './effective-access.ts';
import { noteOverDelivery } from './over-delivery.ts';
import { type BackendAnswer, problemAnswer, type Reply } from './reply.ts';
import { noteStatusHint } from './status-hint.ts';

const ONE_DOUBT = `${DOUBTS_PATH}/`;

/**
 * Answers a request to a reserved path. The request's record is durable by then and the id was not used before, so that
 * what is done here is done once. No access right is asked for: what may be reported on is what was received, and whoever
 * asks what it would get is told, also that it is nothing.
 */
export async function answerReserved(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  peer: ServerEntry,
  statement: Statement,
  context: RequestContext,
  body: Buffer,
): Promise<Omit<Reply, 'kind'>> {
  const { method, path, query } = context;
  try {
    if (query === null && method === 'POST' && path === EFFECTIVE_ACCESS_PATH) {
      const { access, ...decided } = await effectiveAccess(server, snapshot, statement, context, body);
      return { answer: json(200, access), ...decided };
    }
    return undecided(answerReport(server, peer, statement, context, body));
  } catch (error) {
    if (isAccordError(error)) return undecided(problemAnswer(error.code, error.detail, statement.id));
    server.logger.error({ err: error, id: statement.id }, 'a reserved path could not be answered');
    return undecided(problemAnswer('INTERNAL', statement.id, statement.id));
  }
}

function undecided(answer: BackendAnswer): Omit<Reply, 'kind'> {
  return { answer, decision: null, retention: 'standard' };
}

/** @throws NOT_FOUND, and what the reports throw */
function answerReport(
  server: ServerParts,
  peer: ServerEntry,
  statement: Statement,
  context: RequestContext,
  body: Buffer,
): BackendAnswer {
  const { method, path, query } = context;
  if (query === null && method === 'POST' && path === DOUBTS_PATH) {
    return report(server, peer, statement, context, body);
  }
  if (query === null && method === 'GET' && path.startsWith(ONE_DOUBT)) {
    return json(200, statusOf(ownDoubt(server, statement, path.slice(ONE_DOUBT.length))));
  }
  if (query === null && method === 'POST' && path === OVER_DELIVERY_PATH) {
    noteOverDelivery(server, peer, statement, body);
    return json(200, {});
  }
  if (query === null && method === 'POST' && path === STATUS_HINT_PATH) {
    noteStatusHint(server, statement, body);
    return json(200, {});
  }
  throw new AccordError('NOT_FOUND', `${method} ${path.slice(0, 200)}`);
}

/** @throws SCHEMA_MISMATCH, BODY_TOO_LARGE, JSON_*, DOUBT_WITHOUT_EXCHANGE, DOUBT_LIMIT */
function report(
  server: ServerParts,
  peer: ServerEntry,
  { client, service }: Statement,
  context: RequestContext,
  body: Buffer,
): BackendAnswer {
  if (context.body.type !== 'application/json') throw new AccordError('MEDIA_TYPE_UNSUPPORTED');
  const report = checkDoubtReport(parseJson(body, { maxBytes: MAX_DOUBT_BYTES, maxDepth: 3, maxValues: 32 }));
  mustHaveReceived(server, peer, { client, service }, report);
  const { doubt, isNew } = server.doubts.report({ peer: peer.id, client, service, report });
  if (isNew) {
    // For a person, soon: the department decides whether its data are right.
    const { id, element } = doubt;
    server.logger.warn({ alarm: 'DOUBT_REPORTED', doubt: id, client, service, element }, 'a value is doubted');
  }
  return json(isNew ? 201 : 200, statusOf(doubt));
}

/** A client sees its own reports only; what another reported does not exist for it. @throws DOUBT_UNKNOWN */
function ownDoubt(server: ServerParts, { client, service }: Statement, id: string): Doubt {
  const doubt = server.doubts.find(id);
  if (doubt === null || doubt.client !== client || doubt.service !== service) {
    throw new AccordError('DOUBT_UNKNOWN', id.slice(0, 64));
  }
  return doubt;
}

function statusOf({ id, service, element, exchange, state, words, createdAtMs, changedAtMs }: Doubt): DoubtStatus {
  // A report that was opened again still shows what the provider last said.
  const said = words.findLast((word) => word.state !== 'open');
  return { id, service, element, exchange, state, note: said?.note ?? null, createdAtMs, changedAtMs };
}

function json(status: number, value: object): BackendAnswer {
  const body = Buffer.from(JSON.stringify(value), 'utf8');
  const facts = { length: body.length, type: 'application/json' };
  return { context: { v: 1, status, code: 'OK', headers: [], body: facts, release: null }, body };
}
