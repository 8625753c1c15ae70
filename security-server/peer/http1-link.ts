// The documented fallback form of the peer link: one POST per message over HTTP/1.1 on mutual TLS 1.3, the peer's
// certificate pinned by hash to the registered ones and checked on every request. The peer controls the answer.
import type { ConfigurationFetch } from '#core/configuration/fetch.ts';
import { CONFIGURATION_HINT_HEADER } from '#core/configuration/serve-held.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import type { BoundedClient, BoundedResponse } from '#core/http/client.ts';
import type { TlsIdentity } from '#core/http/mtls.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_PEER_MESSAGE_BYTES, MAX_STREAM_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { hearStatus, type StatusNews, statusHeaders } from '#security-server/certificate-status/wire.ts';
import { PEER_MEDIA_TYPE, PEER_STREAM_TYPE } from '#security-server/envelope/frame.ts';
import type { StreamedMessage } from '#security-server/envelope/stream.ts';
import type { Delivery } from './link.ts';
import { CONFIGURATION_PATH, type PeerNews } from './news.ts';
import { openPeerTls } from './peer-tls.ts';

/** Where a security server takes messages from its peers. */
export const PEER_PATH = '/peer/v1/messages';
const MAX_PEERS_REMEMBERED = 4_096;

export interface Http1Link {
  /** @param goesOn how much longer it may take while the peer says that a large answer is under way */
  send(
    peer: ServerEntry,
    message: Buffer | StreamedMessage,
    timeoutMs: number,
    goesOn?: () => number,
  ): Promise<Delivery>;
  /** The configuration as the peer holds it. */
  files(peer: ServerEntry): ConfigurationFetch;
}

/**
 * @param identity this server's TLS identity now; connections of an earlier one are not used again
 * @param isRegistered whether this hash is a registered, trusted TLS certificate of that server, asked every time
 * @param news what goes along about the configuration, and what comes back
 * @param status the same for OCSP answers
 */
export function openHttp1Link(
  client: BoundedClient,
  identity: () => TlsIdentity,
  isRegistered: (peer: string, certificateHash: string) => boolean,
  news?: PeerNews,
  status?: StatusNews,
): Http1Link {
  const tlsFor = openPeerTls(identity, isRegistered);
  /** What each peer said that it holds of this server's OCSP answers. */
  const theyHold = new Map<string, string | undefined>();

  function hear(peer: ServerEntry, answer: BoundedResponse): void {
    news?.heard(peer, headerOf(answer, CONFIGURATION_HINT_HEADER));
    if (status === undefined) return;
    if (theyHold.size >= MAX_PEERS_REMEMBERED) theyHold.clear();
    theyHold.set(
      peer.id,
      hearStatus(status, peer, (name) => headerOf(answer, name)),
    );
  }

  const send: Http1Link['send'] = async (peer, message, timeoutMs, goesOn) => {
    try {
      const hint = news?.mine();
      const answer = await client.request({
        origin: peer.address,
        method: 'POST',
        path: PEER_PATH,
        headers: [
          ['content-type', Buffer.isBuffer(message) ? PEER_MEDIA_TYPE : PEER_STREAM_TYPE],
          ...(hint === undefined ? [] : ([[CONFIGURATION_HINT_HEADER, hint]] as const)),
          ...(status === undefined ? [] : statusHeaders(status, peer, theyHold.get(peer.id))),
        ],
        body: message,
        timeoutMs,
        ...(goesOn === undefined ? {} : { goesOn }),
        maxResponseBytes: MAX_PEER_MESSAGE_BYTES,
        streamed: { wanted: (status, headers) => status === 200 && isStream(headers), maxBytes: MAX_STREAM_BYTES },
        tls: tlsFor(peer),
      });
      hear(peer, answer);
      return readAnswer(answer);
    } catch (error) {
      if (isAccordError(error, 'PEER_UNREACHABLE')) {
        const { detail } = error;
        return { state: 'not-sent', code: 'PROVIDER_UNREACHABLE', detail, retryAfterMs: null };
      }
      if (isAccordError(error)) return { state: 'unknown', code: 'OUTCOME_UNKNOWN', detail: error.code };
      throw error;
    }
  };

  function files(peer: ServerEntry): ConfigurationFetch {
    return {
      async get(path, maxBytes, _etag, signal) {
        const answer = await client.request({
          origin: peer.address,
          method: 'GET',
          path: `${CONFIGURATION_PATH}${path}`,
          maxResponseBytes: maxBytes,
          tls: tlsFor(peer),
          ...(signal && { signal }),
        });
        if (answer.status !== 200) throw new AccordError('CONFIGURATION_UNAVAILABLE', `${path}: ${answer.status}`);
        return { bytes: answer.body };
      },
    };
  }

  return { send, files };
}

function headerOf(answer: BoundedResponse, name: string): string | undefined {
  return answer.headers.find(([key]) => key.toLowerCase() === name)?.[1];
}

function isStream(headers: readonly (readonly [string, string])[]): boolean {
  return headers.some(([name, value]) => name.toLowerCase() === 'content-type' && value === PEER_STREAM_TYPE);
}

/** Unsigned answers mean `unknown`, except 503: admission was refused before anything was done. */
function readAnswer(answer: BoundedResponse): Delivery {
  const header = (name: string) => headerOf(answer, name);
  if (answer.stream !== undefined) return { state: 'answered', stream: answer.stream };
  if (answer.status === 200 && header('content-type') === PEER_MEDIA_TYPE) {
    return { state: 'answered', bytes: answer.body };
  }
  const detail = `${answer.status} ${problemCode(answer.body)}`.trim();
  if (answer.status === 503) {
    const seconds = Number(header('retry-after'));
    const retryAfterMs = Number.isInteger(seconds) && seconds >= 0 && seconds <= 3600 ? seconds * 1000 : null;
    return { state: 'not-sent', code: 'PROVIDER_BUSY', detail, retryAfterMs };
  }
  return { state: 'unknown', code: 'PROVIDER_REFUSED_MESSAGE', detail };
}

/** The code of an unsigned problem document: shown as a hint, never believed. */
function problemCode(body: Buffer): string {
  try {
    const problem = parseJson(body, { maxBytes: 16_384, maxDepth: 4, maxValues: 64 });
    const code = typeof problem === 'object' && problem !== null && 'code' in problem ? problem.code : undefined;
    return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,63}$/.test(code) ? code : '';
  } catch {
    return '';
  }
}
