// The anchoring of one security server from its options: the connections it makes, how it tells the operator, and what a
// log that was restored has to show its witness before it goes on.
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSource } from '#core/configuration/snapshot.ts';
import { openClient } from '#core/http/client.ts';
import type { MessageLog } from '#core/log/message-log.ts';
import type { AnchoringFacts } from '#core/witness/anchoring-facts.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { ANCHORING_EVERY_MS } from '#security-server/settings.ts';
import { openAnchoring, type ServerAnchoring } from './anchoring.ts';
import { type Grace, type GraceStore, openGrace } from './grace.ts';
import { factsAt } from './logged.ts';
import { openRegistryPort } from './registry-port.ts';
import { openStamps, type ServerStamps } from './stamps.ts';

export interface ServerAnchoringOptions {
  clock: Clock;
  logger: FastifyBaseLogger;
  configuration: Pick<ConfigurationSource, 'current' | 'leastNowMs'>;
  /** The data folder. */
  folder: string;
  anchoringEveryMs?: number;
}

export interface OpenedAnchoring extends ServerAnchoring {
  /** How often `tick` is to be called. */
  tickEveryMs: number;
  /** How long the log has waited for a time-stamp, and whether new exchanges stop. */
  grace: Pick<Grace, 'requireInTime' | 'state'>;
  /** Who vouched for the newest anchoring in the log; null while there is none. */
  newestFacts(): AnchoringFacts | null;
  /** The time-stamp authorities as this server met them. */
  authorities: ServerStamps['health'];
}

export function openServerAnchoring(from: ServerAnchoringOptions, log: MessageLog, store: GraceStore): OpenedAnchoring {
  const { clock, configuration, logger } = from;
  const everyMs = from.anchoringEveryMs ?? ANCHORING_EVERY_MS;
  const http = openClient({ maxConnectionsPerOrigin: 2, maxOrigins: 24 });
  const stopped = new AbortController();
  const stamps = openStamps({ configuration, clock, http, logger, folder: from.folder });
  const anchoring = openAnchoring({
    ...{ log, configuration, clock, http, everyMs },
    stamps: () => stamps.current(),
    waitedMs: () => grace.state().waiting?.waitedMs ?? 0,
    onAnchored: (anchored) => grace.anchored(anchored),
    onUncovered: (size) => grace.uncovered(size),
    onAlarm: (code, detail) => logger.error({ alarm: code, detail }, 'alarm of the anchoring'),
  });
  const grace = openGrace(
    { log, configuration, clock, store, onAlarm: (code, percent, detail) => tellGrace(logger, code, percent, detail) },
    anchoring.state().newestStamped?.size ?? 0,
  );
  return {
    tickEveryMs: Math.ceil(everyMs / 4),
    grace,
    newestFacts() {
      const { newest } = anchoring.state();
      return newest && factsAt(log, newest.seq);
    },
    authorities: stamps.health,
    async tick() {
      grace.tick();
      // Before a token is judged, and not for long: each address has a time limit of its own.
      void stamps.look(stopped.signal);
      await anchoring.tick();
    },
    anchorNow: () => anchoring.anchorNow(),
    anchorDirectly: () => anchoring.anchorDirectly(),
    state: () => anchoring.state(),
    async stop() {
      stopped.abort();
      await anchoring.stop();
      await stamps.look(stopped.signal);
      await http.close();
    },
  };
}

function tellGrace(logger: FastifyBaseLogger, code: string | null, percent: number, detail: string): void {
  if (code === null) logger.info({ detail }, 'the message log is time-stamped again');
  else logger.error({ alarm: code, percent, detail }, 'alarm of the anchoring');
}

/**
 * A log that was put back from a backup goes on only when its witness knows exactly this size and root: anything else
 * would be a second history of what others have seen already. Once it has gone on, or began anew, it is not asked again.
 * @throws LOG_NOT_AS_WITNESSED
 */
export async function requireAsWitnessed(
  log: MessageLog,
  configuration: Pick<ConfigurationSource, 'current'>,
  restoredAtMs: number | undefined,
): Promise<void> {
  if (restoredAtMs === undefined || log.size() === 0 || log.newestMs() > restoredAtMs) return;
  const policy = configuration.current().witnesses();
  const { registryWitness, aggregate } = policy ?? { registryWitness: null, aggregate: null };
  if (policy === null || registryWitness === null || aggregate === null) return;
  const { size, note } = log.checkpoint();
  const http = openClient({ maxConnectionsPerOrigin: 1 });
  try {
    const reply = await openRegistryPort(http, new AbortController().signal).cosign(policy, registryWitness, {
      ...{ note, oldSize: size },
      proofFrom(oldSize) {
        if (oldSize === size) return [];
        throw new AccordError('LOG_NOT_AS_WITNESSED', `the witness knows ${oldSize} entries, this log has ${size}`);
      },
    });
    if (reply.kind === 'cosigned') return;
    const known = reply.kind === 'ahead' ? `it knows ${reply.size} entries, or another root` : `status ${reply.status}`;
    throw new AccordError('LOG_NOT_AS_WITNESSED', `${known}; this log has ${size}`);
  } catch (error) {
    if (!isAccordError(error) || error.code === 'LOG_NOT_AS_WITNESSED') throw error;
    throw new AccordError('LOG_NOT_AS_WITNESSED', `the witness cannot be asked: ${error.code}`, { cause: error });
  } finally {
    await http.close();
  }
}
