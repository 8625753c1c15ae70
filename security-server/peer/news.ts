// News of the global configuration from peer to peer (DESIGN: K travels in every message and is served peer to peer). Each
// message and each answer carries one unsigned header: which content, which distrust list, how young a freshness this
// server holds. Whoever holds less asks the peer for its files, beside the exchange, never before it, and verifies them
// from its own anchor. A peer that lies in the header, or serves rubbish, costs one small request, and fewer each time.
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { Clock } from '#core/clock.ts';
import type { ConfigurationClient } from '#core/configuration/client.ts';
import type { ConfigurationFetch } from '#core/configuration/fetch.ts';
import { hasNews, readHint, writeHint } from '#core/configuration/serve-held.ts';
import type { ConfigurationSource, ServerEntry } from '#core/configuration/snapshot.ts';
import { MAX_CONFIGURATION_FILES_AT_ONCE, PEER_NEWS_INTERVAL_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';

/** A configuration that can be served and asked for; one that a test holds in its hand cannot. */
export type SharedConfiguration = ConfigurationSource & Partial<Pick<ConfigurationClient, 'files' | 'refreshFrom'>>;

export interface PeerNews {
  /** What this server holds, for the header; undefined when it holds nothing yet. */
  mine(): string | undefined;
  /** A peer's header. Returns at once, whatever follows from it. */
  heard(peer: ServerEntry, header: string | undefined): void;
}

interface Asked {
  atMs: number;
  waitMs: number;
}

const MAX_PEERS_REMEMBERED = 4_096;
const LONGEST_WAIT_MS = 5 * 60_000;

/** @param filesOf the files of a peer's configuration, over its pinned link */
export function openPeerNews(
  configuration: SharedConfiguration,
  clock: Clock,
  logger: FastifyBaseLogger,
  filesOf: (peer: ServerEntry) => ConfigurationFetch,
): PeerNews {
  const asked = new Map<string, Asked>();

  async function ask(peer: ServerEntry, turn: Asked): Promise<void> {
    const result = await configuration.refreshFrom?.(filesOf(peer), peer.id);
    if (result?.outcome === 'updated') {
      turn.waitMs = PEER_NEWS_INTERVAL_MS;
      logger.info({ peer: peer.id, version: result.version }, 'a peer brought a newer configuration');
      return;
    }
    // Nothing new after all: asked less and less often.
    turn.waitMs = Math.min(turn.waitMs * 2, LONGEST_WAIT_MS);
    if (result?.outcome === 'failed') {
      logger.warn({ peer: peer.id, code: result.code, detail: result.detail }, 'a peer promised news and had none');
    }
  }

  return {
    mine() {
      const versions = configuration.files?.versions();
      return versions && writeHint(versions);
    },
    heard(peer, header) {
      const theirs = readHint(header);
      if (!theirs || !configuration.refreshFrom || !hasNews(theirs, configuration.files?.versions())) return;
      const nowMs = clock.monotonicMs();
      const last = asked.get(peer.id);
      if (last && nowMs - last.atMs < last.waitMs) return;
      if (asked.size >= MAX_PEERS_REMEMBERED) asked.clear();
      const turn = { atMs: nowMs, waitMs: last?.waitMs ?? PEER_NEWS_INTERVAL_MS };
      asked.set(peer.id, turn);
      ask(peer, turn).catch((error: unknown) => logger.error({ err: error }, 'asking a peer for news failed'));
    },
  };
}

/** Where a peer's configuration lies. */
export const CONFIGURATION_PATH = '/peer/v1/configuration/';

/** Serves what is held to the peers that the port let in; each at most a few files at once. */
export function serveConfiguration(app: FastifyInstance, { files }: SharedConfiguration): void {
  const sending = new Map<string, number>();
  app.get(`${CONFIGURATION_PATH}*`, async (request, reply) => {
    const path = (request.params as { '*': string })['*'];
    const { id } = request.peer as ServerEntry;
    const now = sending.get(id) ?? 0;
    if (now >= MAX_CONFIGURATION_FILES_AT_ONCE) {
      reply.header('retry-after', '1');
      throw new AccordError('SERVER_BUSY', 'configuration');
    }
    const bytes = files?.file(path);
    if (!bytes) throw new AccordError('NOT_FOUND');
    sending.set(id, now + 1);
    reply.raw.once('close', () => {
      const left = (sending.get(id) ?? 1) - 1;
      if (left === 0) sending.delete(id);
      else sending.set(id, left);
    });
    return reply.type('application/octet-stream').send(bytes);
  });
}
