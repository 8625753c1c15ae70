// Paths that belong to the exchange itself: `/.accord/…` behind any service is answered by the provider's own server and
// never reaches a backend. The consumer controls method, path and body; that it was this client is verified by then.
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import type { RequestContext } from '#schemas/context.ts';
import type { Statement } from '#schemas/statement.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { type BackendAnswer, problemAnswer } from './reply.ts';

const RESERVED = /^\/\.accord(?:\/|$)/;

/**
 * Answers a request to a reserved path. The request's record is durable by then and the id was not used before, so that
 * what is done here is done once.
 */
export function answerReserved(
  _server: ServerParts,
  _peer: ServerEntry,
  statement: Statement,
  context: RequestContext,
  _body: Buffer,
): BackendAnswer {
  return problemAnswer('NOT_FOUND', context.path.slice(0, 200), statement.id);
}

/** True for the paths that no backend ever sees. */
export function isReserved(path: string): boolean {
  return RESERVED.test(path);
}
