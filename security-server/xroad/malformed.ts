// What speaks X-Road's protocol before any route is looked up: which targets are its own, and how bytes are answered that
// the HTTP parser refused, so that a caller finds an error in the form it reads. Whoever reaches the port controls them.

import type { ProblemDocument } from '#core/http/problem-reply.ts';
import type { BareAnswer, MalformedRequest } from '#core/http/server-frame.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import { errorBody, errorMediaType, snakeCase, xroadError } from './errors.ts';
import { XROAD_PREFIX } from './target.ts';

const ABSOLUTE = /^https?:\/\/[^/?#]*(?=\/)/i;

/** Also in absolute form, which is refused in the protocol's own words. */
export function isXRoadTarget(target: string): boolean {
  return target.replace(ABSOLUTE, '').startsWith(XROAD_PREFIX);
}

/** For `ServerOptions.malformedAnswer`. */
export function malformedXRoadAnswer(
  { xroadSnakeCase, logger }: Pick<ConsumerParts, 'xroadSnakeCase' | 'logger'>,
  { code, title, instance }: ProblemDocument,
  { target, accept }: MalformedRequest,
): BareAnswer | null {
  if (!isXRoadTarget(target)) return null;
  const { type: camel, status } = xroadError(code, 'client');
  const type = xroadSnakeCase ? snakeCase(camel) : camel;
  const mediaType = errorMediaType(accept);
  const id = instance.slice('urn:uuid:'.length);
  logger.info({ id, code, type }, 'what came for X-Road’s protocol is not HTTP');
  return {
    status,
    headers: [
      ['content-type', mediaType],
      ['X-Road-Error', type],
    ],
    body: errorBody(mediaType, { type, message: title, detail: id }),
  };
}
