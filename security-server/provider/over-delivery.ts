// A consumer's server says that an answer of ours held more than was asked for (consumer/over-delivery.ts). Either its
// configuration and ours differ, or a filter failed: in both cases an operator looks, so the only work is an alarm. The
// consumer controls the report; it is taken only about an exchange that this server did answer.
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_CONTEXT_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { MESSAGE_ID_PATTERN, type Statement } from '#schemas/statement.ts';
import { compile } from '#schemas/validate.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

const OverDelivery = Type.Object(
  {
    exchange: Type.String({ pattern: MESSAGE_ID_PATTERN }),
    paths: Type.Array(Type.String({ maxLength: 512 }), { minItems: 1, maxItems: 20 }),
  },
  { additionalProperties: false },
);
type OverDelivery = Static<typeof OverDelivery>;
const check = compile(OverDelivery, 'SCHEMA_MISMATCH');

/** @throws SCHEMA_MISMATCH, JSON_*, NOT_FOUND */
export function noteOverDelivery(
  server: ServerParts,
  peer: ServerEntry,
  { client, service }: Pick<Statement, 'client' | 'service'>,
  body: Buffer,
): void {
  const { exchange, paths }: OverDelivery = check(
    parseJson(body, { maxBytes: MAX_CONTEXT_BYTES, maxDepth: 3, maxValues: 32 }),
  );
  const answered = server.log
    .find(peer.id, exchange)
    .some(({ entry }) => entry.kind === 'response-sent' && entry.client === client && entry.service === service);
  if (!answered) throw new AccordError('NOT_FOUND', exchange);
  const about = { exchange, peer: peer.id, client, service, paths };
  server.logger.error({ alarm: 'OVER_DELIVERY_REPORTED', ...about }, 'a consumer was sent more than it asked for');
}
