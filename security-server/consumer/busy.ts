// The answer of a full server to information systems: 503 with Retry-After for a request of which nothing but the head was
// read, before any route is looked up, so that refusing costs microseconds and what was admitted goes on as before. Most
// requests of an overload end here; what is logged of them is one line a second. Who asks controls the head.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { PROBLEM_TYPE, problemOf } from '#core/http/problem-reply.ts';
import type { BareAnswer } from '#core/http/server-frame.ts';
import { AccordError } from '#schemas/problems.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import { errorBody, errorMediaType, snakeCase, xroadError } from '#security-server/xroad/errors.ts';
import { isXRoadTarget } from '#security-server/xroad/malformed.ts';

const RETRY_AFTER_SECONDS = 1;
const SAID_EVERY_MS = 1_000;

const BUSY = new AccordError('SERVER_BUSY');
const ID = '00000000-0000-4000-8000-000000000000';
/** All of the document but its id, which stands twice: nothing was sent, so asking again is safe. */
const DOCUMENT = JSON.stringify({ ...problemOf(BUSY, ID), id: ID, outcome: 'not-sent' }).split(ID);
const HEADERS: [string, string][] = [
  ['content-type', PROBLEM_TYPE],
  ['retry-after', String(RETRY_AFTER_SECONDS)],
];

export interface BusyDesk {
  /** From now on the requests of this connection count as this system's. */
  knows(socket: Socket, system: string): void;
  /** The refusal of a request for which there is no place; null when there is one. */
  refusal(request: IncomingMessage): BareAnswer | null;
}

export function openBusyDesk(
  server: Pick<ConsumerParts, 'admission' | 'self' | 'clock' | 'logger' | 'metrics' | 'xroadSnakeCase'>,
): BusyDesk {
  const { admission, self, clock, logger, metrics } = server;
  const systems = new WeakMap<Socket, string>();
  let [refused, saidMs] = [0, Number.NEGATIVE_INFINITY];

  function count(): void {
    refused += 1;
    metrics.busy();
    const nowMs = clock.monotonicMs();
    if (nowMs - saidMs < SAID_EVERY_MS) return;
    logger.warn({ code: BUSY.code, refused, inFlight: admission.inFlight }, 'requests refused: the server is full');
    [refused, saidMs] = [0, nowMs];
  }

  function xroadAnswer(accept: string | undefined): BareAnswer {
    const { type: camel, status } = xroadError(BUSY.code, 'consumer');
    const type = server.xroadSnakeCase ? snakeCase(camel) : camel;
    const mediaType = errorMediaType(accept);
    const { title } = problemOf(BUSY, ID);
    return {
      status,
      headers: [['content-type', mediaType], ...HEADERS.slice(1), ['X-Road-Error', type]],
      body: errorBody(mediaType, { type, message: title, detail: randomUUID() }),
    };
  }

  return {
    knows: (socket, system) => void systems.set(socket, system),
    refusal({ url = '', headers: { accept }, socket }) {
      const system = systems.get(socket);
      if (!admission.isFull('sender', self) && (system === undefined || !admission.isFull('system', system)))
        return null;
      count();
      if (isXRoadTarget(url)) return xroadAnswer(accept);
      return { status: 503, headers: HEADERS, body: DOCUMENT.join(randomUUID()) };
    },
  };
}
