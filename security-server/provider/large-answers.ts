// Where a backend's answer goes that does not fit into memory: into the spool, as fast as the backend sends and for as long as
// it moves. The sender of the request waits meanwhile, and is told that there is something to wait for. The backend controls
// bytes and speed.
import type { Readable } from 'node:stream';
import { gatherBody, type MessageBody } from '#security-server/body.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import type { LoggedRequest } from './reply.ts';

export interface LargeAnswers {
  maxBytes: number;
  /** @throws BODY_TOO_LARGE, SPOOL_FULL, SPOOL_FAILED, and what the stream ends with */
  take(stream: Readable): Promise<MessageBody>;
}

/** Told so often in the time for which the sender would go on waiting. */
const TOLD_IN_TIME = 3;

export function largeAnswers(
  { spool, maxBodyBytes, bodyIdleMs, clock }: Pick<ServerParts, 'spool' | 'maxBodyBytes' | 'bodyIdleMs' | 'clock'>,
  { endsMs, goesOn }: { endsMs: number; goesOn: NonNullable<LoggedRequest['goesOn']> },
): LargeAnswers {
  return {
    maxBytes: maxBodyBytes,
    async take(stream) {
      const leftMs = Math.max(0, endsMs - clock.monotonicMs());
      const timer = setInterval(goesOn, Math.min(leftMs, bodyIdleMs) / TOLD_IN_TIME);
      try {
        return await gatherBody(spool, stream, maxBodyBytes);
      } finally {
        clearInterval(timer);
      }
    },
  };
}
