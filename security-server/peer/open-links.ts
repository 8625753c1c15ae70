// The ways to the peers of one server: both forms of the link, and the news of the configuration that goes along.
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { MAX_IN_FLIGHT_PER_PEER, MAX_PEER_MESSAGE_BYTES } from '#schemas/limits.ts';
import type { StatusNews } from '#security-server/certificate-status/wire.ts';
import type { Channels } from '#security-server/envelope/channels.ts';
import type { KeyRing } from '#security-server/key-ring.ts';
import type { Metrics } from '#security-server/metrics.ts';
import { openFramedLink } from './framed-link.ts';
import { openHttp1Link } from './http1-link.ts';
import { openPeerLink, type PeerLink } from './link.ts';
import { openPeerNews, type PeerNews, type SharedConfiguration } from './news.ts';
import { openPeerTls } from './peer-tls.ts';
import type { PeerByCertificate } from './registered-peer.ts';

interface LinkParts {
  configuration: SharedConfiguration;
  clock: Clock;
  logger: FastifyBaseLogger;
  keys: KeyRing;
  channels: Channels;
  peerByCertificate: PeerByCertificate;
  speaksFrames: boolean;
  /** A streamed answer may stand still this long. */
  streamIdleMs: number;
  metrics: () => Pick<Metrics, 'unverified' | 'frame'>;
  status: StatusNews;
}

export interface PeerLinks {
  link: PeerLink;
  news: PeerNews;
  /** Framed connections that this server made. */
  framed(): number;
}

export function openPeerLinks(parts: LinkParts): PeerLinks {
  const { configuration, clock, logger, keys, channels, peerByCertificate, metrics, status } = parts;
  const client = openClient({
    maxConnectionsPerOrigin: 64,
    maxWaitingPerOrigin: MAX_IN_FLIGHT_PER_PEER * 2,
    maxResponseBytes: MAX_PEER_MESSAGE_BYTES,
    streamIdleMs: parts.streamIdleMs,
  });
  const isRegistered = (peer: string, hash: string) =>
    peerByCertificate(hash, 'server', configuration.current(), clock.nowMs())?.id === peer;
  const news = openPeerNews(configuration, clock, logger, (peer) => http1.files(peer));
  const http1 = openHttp1Link(client, keys.authentication, isRegistered, news, status);
  const tlsFor = openPeerTls(keys.authentication, isRegistered);
  const line = { channels, clock, logger, tlsFor, news, status, metrics };
  const frames = parts.speaksFrames ? openFramedLink(line) : null;
  const link: PeerLink = {
    ...openPeerLink(http1, frames, channels),
    async close() {
      frames?.close();
      await client.close();
    },
  };
  return { link, news, framed: () => frames?.connections ?? 0 };
}
