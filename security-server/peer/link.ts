// How a message gets to another security server: in frames, with the other messages of its turn, where the peer's port
// speaks them and the message is small; over HTTP/1.1 everything else. The exchange only knows this interface.
import type { Readable } from 'node:stream';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import { isAccordError } from '#schemas/problems.ts';
import { isSpooled } from '#security-server/body.ts';
import type { BatchedMessage } from '#security-server/envelope/batch.ts';
import type { Channels } from '#security-server/envelope/channels.ts';
import { type SignedMessage, sealMessage } from '#security-server/envelope/outgoing.ts';
import type { StreamedMessage } from '#security-server/envelope/stream.ts';
import type { FramedLink } from './framed-link.ts';
import type { Http1Link } from './http1-link.ts';

/** What became of one message. `not-sent`: the peer did not work on it and never will unless it is sent again. */
export type Delivery =
  /** `bytes`: the whole message; `stream`: one with a large body, which has to be read or destroyed. */
  | { state: 'answered'; bytes: Buffer }
  | { state: 'answered'; stream: Readable }
  /** Out of a batch that was unsealed; nothing of it was verified. */
  | { state: 'answered'; opened: BatchedMessage }
  | {
      state: 'not-sent';
      code: 'PROVIDER_UNREACHABLE' | 'PROVIDER_BUSY' | 'PEER_KEY_MISSING';
      detail: string;
      retryAfterMs: number | null;
    }
  | { state: 'unknown'; code: 'OUTCOME_UNKNOWN' | 'PROVIDER_REFUSED_MESSAGE'; detail: string };

export interface PeerLink {
  /**
   * Sends one message, which is sealed on the way unless it is already; resolves with what is known of it, never rejects
   * for anything the peer does.
   * @param goesOn of one that is sealed: how much longer it may take while the peer says that a large answer is under way;
   *   asked when it says so
   */
  send(
    peer: ServerEntry,
    message: SignedMessage | Buffer | StreamedMessage,
    timeoutMs: number,
    goesOn?: () => number,
  ): Promise<Delivery>;
  close(): Promise<void>;
}

/** @param frames null where only HTTP/1.1 is spoken */
export function openPeerLink(http1: Http1Link, frames: FramedLink | null, channels: Channels): Pick<PeerLink, 'send'> {
  return {
    async send(peer, message, timeoutMs, goesOn) {
      if (!('statementBytes' in message)) return http1.send(peer, message, timeoutMs, goesOn);
      if (frames !== null && !isSpooled(message.body)) {
        const delivery = await frames.send(peer, message, timeoutMs);
        if (delivery !== 'http1') return delivery;
      }
      const sealed = await sealedFor(channels, peer, message);
      return 'state' in sealed ? sealed : http1.send(peer, sealed, timeoutMs, goesOn);
    },
  };
}

/** A request in the form of HTTP/1.1, which carries messages and answers of any size; or why it is not sent. */
export async function sealedFor(
  channels: Channels,
  peer: ServerEntry,
  signed: SignedMessage,
): Promise<Buffer | StreamedMessage | Extract<Delivery, { state: 'not-sent' }>> {
  try {
    return sealMessage(signed, 'request', signed.statement.id, await channels.to(peer));
  } catch (error) {
    if (!isAccordError(error, 'PEER_KEY_MISSING')) throw error;
    return { state: 'not-sent', code: 'PEER_KEY_MISSING', detail: error.detail, retryAfterMs: null };
  }
}
