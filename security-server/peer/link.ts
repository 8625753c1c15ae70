// How a message gets to another security server. The exchange only knows this interface; HTTP/1.1 over mutual TLS is
// its documented form, a framed link may stand beside it.
import type { Readable } from 'node:stream';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import type { StreamedMessage } from '#security-server/envelope/stream.ts';

/** What became of one message. `not-sent`: the peer did not work on it and never will unless it is sent again. */
export type Delivery =
  /** `bytes`: the whole message; `stream`: one with a large body, which has to be read or destroyed. */
  | { state: 'answered'; bytes: Buffer }
  | { state: 'answered'; stream: Readable }
  | {
      state: 'not-sent';
      code: 'PROVIDER_UNREACHABLE' | 'PROVIDER_BUSY' | 'PEER_KEY_MISSING';
      detail: string;
      retryAfterMs: number | null;
    }
  | { state: 'unknown'; code: 'OUTCOME_UNKNOWN' | 'PROVIDER_REFUSED_MESSAGE'; detail: string };

export interface PeerLink {
  /**
   * Sends one sealed message; resolves with what is known of it, never rejects for anything the peer does.
   * @param goesOn how much longer it may take while the peer says that a large answer is under way; asked when it says so
   */
  send(
    peer: ServerEntry,
    message: Buffer | StreamedMessage,
    timeoutMs: number,
    goesOn?: () => number,
  ): Promise<Delivery>;
  close(): Promise<void>;
}
