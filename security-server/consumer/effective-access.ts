// POST /lookups/effective-access for a department's information systems: the body of a lookup, answered with what the other
// department would release of it, without a lookup taking place (schemas/effective-access.ts). The information system
// controls what it sends, the provider's server the answer.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { parseRequestContext } from '#schemas/context.ts';
import { checkEffectiveAccess, type DescribedRequest, EFFECTIVE_ACCESS_PATH } from '#schemas/effective-access.ts';
import { parseJson } from '#schemas/json.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { wholeBody } from '#security-server/body.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import { type Call, type Caller, type LookupRequest, readCall } from './call.ts';
import type { ExchangeRoutes } from './doubts.ts';
import { exchange, type LookupResult } from './exchange.ts';

/** @param readLookup the lookup in a request, as POST /lookups reads it */
export function addEffectiveAccessRoute(
  app: FastifyInstance,
  server: ConsumerParts,
  { callerOf, held, sendResult, readLookup }: ExchangeRoutes & { readLookup(request: FastifyRequest): LookupRequest },
): void {
  app.post('/lookups/effective-access', async (request, reply) => {
    const call = describe(readLookup(request), callerOf(request), server);
    return held(request, async () => {
      const result = await exchange(server, call);
      return result.outcome === 'ok' && result.answer !== null ? send(reply, result) : sendResult(reply, result);
    });
  });
}

/**
 * The question about a lookup, on the lookup's own purpose and basis, for its official, case, receipt and evidence: a token
 * is judged and not spent. A body goes along only where the operation has its subject in it, or a token is bound to it.
 * @throws what `readCall` throws
 */
function describe(lookup: LookupRequest, caller: Caller, server: ConsumerParts): Call {
  const { service, context, body, purpose, basis } = readCall(lookup, caller, server);
  const { v, method, path, query, fields, partial, asOf } = parseRequestContext(context);
  const bound = server.dictionary.bound(server.configuration.current(), service);
  const isInBody = bound?.binding.operation(method, path)?.operation.subject?.in === 'body';
  const isSent = isInBody || (basis === 'law' && (lookup.evidence?.length ?? 0) > 0);
  const sent = isSent && body.length > 0 ? body.toString('base64') : null;
  const described: DescribedRequest = { v, method, path, query, fields, partial, asOf, body: sent };
  const { client, userId, issue, receipt, evidence, hiddenUntil, deadlineMs } = lookup;
  const question = {
    client,
    service,
    method: 'POST' as const,
    path: EFFECTIVE_ACCESS_PATH,
    body: described,
    basis,
    ...(purpose === null ? {} : { purpose }),
    ...(userId === undefined ? {} : { userId }),
    ...(issue === undefined ? {} : { issue }),
    ...(receipt === undefined ? {} : { receipt }),
    ...(evidence === undefined ? {} : { evidence }),
    ...(hiddenUntil === undefined ? {} : { hiddenUntil }),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  };
  return readCall(question, caller, server);
}

/** Answered, also when the answer is that nothing would be released. */
function send(reply: FastifyReply, { id, answer, evidence }: LookupResult): FastifyReply {
  const { requestHash, log, provider } = evidence;
  const proof = { requestHash, log: { origin: log.origin, index: log.request, answer: log.answer }, provider };
  return reply.send({ ...read(wholeBody(answer?.body ?? Buffer.alloc(0))), id, evidence: proof });
}

function read(body: Buffer) {
  try {
    return checkEffectiveAccess(parseJson(body));
  } catch (cause) {
    if (!isAccordError(cause)) throw cause;
    throw new AccordError('ANSWER_MISMATCH', 'no answer to what would be released', { cause });
  }
}
