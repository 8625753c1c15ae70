// A consent service says that one of its status lists has changed, so that a withdrawal counts within a second and not at
// the next poll. The hint proves nothing: the list is fetched and verified like every other. Only registered consent
// services are listened to, so that nobody else makes this server ask.

import { parseJson } from '#schemas/json.ts';
import { MAX_CONTEXT_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { Type } from '#schemas/schema-builder.ts';
import type { Statement } from '#schemas/statement.ts';
import { compile } from '#schemas/validate.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

const check = compile(
  Type.Object({ uri: Type.String({ pattern: '^https?://[^?#\\s]{1,500}$' }) }, { additionalProperties: false }),
  'SCHEMA_MISMATCH',
);

/** @throws NOT_FOUND for anybody else, SCHEMA_MISMATCH, JSON_* */
export function noteStatusHint(server: ServerParts, { client }: Pick<Statement, 'client'>, body: Buffer): void {
  const service = server.configuration.current().consentService(client);
  if (service === undefined) throw new AccordError('NOT_FOUND', 'no consent service');
  const { uri } = check(parseJson(body, { maxBytes: MAX_CONTEXT_BYTES, maxDepth: 2, maxValues: 4 }));
  if (uri.startsWith(`${service.statusUrl}/`)) server.status.hint(uri);
}
