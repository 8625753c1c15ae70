// A form as a browser sends it (WHATWG URL, application/x-www-form-urlencoded), read strictly: known fields, each at most once.
// Whoever sends it controls all of it.
import type { FastifyRequest } from 'fastify';
import { AccordError } from '#schemas/problems.ts';

/** All fields, the session's token among them. @throws SCHEMA_MISMATCH when no form was sent */
export function fieldsOf({ body }: FastifyRequest): Record<string, unknown> {
  if (typeof body !== 'object' || body === null) throw new AccordError('SCHEMA_MISMATCH', 'no form');
  return { ...body };
}

/**
 * Text fields by name, each at most once and not longer than said, without the session's token, which was checked before; a
 * browser's line ends become line feeds.
 * @throws SCHEMA_MISMATCH for others, and for longer ones
 */
export function readFields<N extends string>(
  request: FastifyRequest,
  maxChars: Readonly<Record<N, number>>,
): Partial<Record<N, string>> {
  const { csrf: _, ...fields } = fieldsOf(request);
  const read: Partial<Record<N, string>> = {};
  for (const [name, value] of Object.entries(fields)) {
    const text = typeof value === 'string' ? value.replace(/\r\n?/g, '\n') : null;
    if (text === null || !Object.hasOwn(maxChars, name) || text.length > maxChars[name as N]) {
      throw new AccordError('SCHEMA_MISMATCH', 'the form');
    }
    read[name as N] = text;
  }
  return read;
}
