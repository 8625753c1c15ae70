// POST /lookups/digest for a department's sign-on: what a lookup would be as the other department will see it, and the hash
// that an official's token for it has to carry (schemas/evidence.ts). Nothing is sent anywhere. Service and path are found
// as for the lookup itself, so that a lookup by elements alone can be signed too; the sign-on computes the hash from the
// description again and shows its official what it signs. The information system controls the lookup.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { evidencedHash, evidencedRequest } from '#certs/evidence.ts';
import { parseRequestContext } from '#schemas/context.ts';
import type { RequestDigest } from '#schemas/evidence.ts';
import { AccordError } from '#schemas/problems.ts';
import { wholeBody } from '#security-server/body.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import { type Caller, type LookupRequest, readCall } from './call.ts';

interface DigestPorts {
  callerOf(request: FastifyRequest): Caller;
  readLookup(request: FastifyRequest): LookupRequest;
}

export function addDigestRoute(
  app: FastifyInstance,
  server: ConsumerParts,
  { callerOf, readLookup }: DigestPorts,
): void {
  app.post('/lookups/digest', async (request) => digestOf(readLookup(request), callerOf(request), server));
}

/** @throws SCHEMA_MISMATCH without a case number, and what `readCall` throws */
function digestOf(lookup: LookupRequest, caller: Caller, server: ConsumerParts): RequestDigest {
  const call = readCall(lookup, caller, server);
  const asked = evidencedRequest(call, parseRequestContext(call.context), wholeBody(call.body));
  if (asked === null) throw new AccordError('SCHEMA_MISMATCH', 'issue: a token names a case');
  return { request: evidencedHash(asked), asked };
}
