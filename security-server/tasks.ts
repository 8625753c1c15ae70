// What a security server does beside exchanges: the summary entry of each minute, live connections of peers whose
// registration or certificate ended, certificates that come into use, private keys whose time is over,
// reports and notices of emergencies, records whose retention is over, the anchoring of the log.
import type { FastifyInstance } from 'fastify';
import { everyUnref } from '#core/clock.ts';
import type { TlsIdentity } from '#core/http/mtls.ts';
import { PREDICATE_WINDOW_DAYS } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { KeySource } from './key-source.ts';
import type { ServerParts } from './server-parts.ts';
import { writeSummary } from './summary.ts';

const REPORTS_EVERY_MS = 5_000;
const MINUTE_MS = 60_000;
const REVIEWS_EVERY_MS = 10 * MINUTE_MS;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export interface Tasks {
  /** Looks at everything that hangs on registration. */
  configurationChanged(): void;
  /** Reads the keys again; what is held and in use now. @throws KEYS_NOT_RELOADABLE, and what the source throws */
  reloadKeys(): Promise<unknown>;
  /** Ends the tasks and writes what the last minute counted. */
  stop(): Promise<void>;
}

export interface TaskPorts {
  keySource?: KeySource;
  every?: (ms: number, run: () => void) => () => void;
}

/** @param tls the ports with mutual TLS; the first is the peers'. They may be added later. */
export function startTasks(parts: ServerParts, tls: readonly FastifyInstance[], ports: TaskPorts): Tasks {
  const { keySource, every = everyUnref } = ports;
  const { keys, clock, logger } = parts;
  let shown: TlsIdentity = keys.authentication();

  /** New connections see the certificate that is in use now; open ones go on. */
  function showIdentity(): void {
    const identity = keys.authentication();
    if (identity === shown) return;
    for (const port of tls) port.replaceTlsIdentity(identity);
    shown = identity;
    logger.info('another TLS certificate is in use');
  }

  function configurationChanged(): void {
    showIdentity();
    closeEnded(tls[0], parts);
    judgeDictionary(parts);
  }

  function forgetPredicates(): void {
    parts.state.forgetPredicates(Math.floor(clock.nowMs() / DAY_MS) - PREDICATE_WINDOW_DAYS);
  }

  /** An hour more than they count: clocks differ. */
  function forgetSpent(): void {
    const beforeS = Math.floor((clock.nowMs() - HOUR_MS) / 1000);
    parts.state.forgetReceipts(beforeS);
    parts.state.forgetEvidence(beforeS);
  }

  async function forgetAccesses(): Promise<void> {
    parts.accesses.forgetQuestions(clock.nowMs());
    await parts.retention.forgetAccesses();
  }

  async function reloadKeys(): Promise<unknown> {
    if (keySource === undefined) throw new AccordError('KEYS_NOT_RELOADABLE');
    keys.replace(await keySource.open());
    showIdentity();
    await parts.others?.changed('keys');
    return keys.held();
  }

  async function destroyEnded(): Promise<void> {
    const ended = (await keySource?.destroyEnded(clock.nowMs())) ?? [];
    if (ended.length === 0) return;
    logger.info({ ended }, 'private keys whose time is over were destroyed');
    await reloadKeys();
  }

  const guarded = (task: () => void | Promise<void>) => () => {
    void (async () => task())().catch((error: unknown) => logger.error({ err: error }, 'a periodic task failed'));
  };
  const tasks: readonly (readonly [everyMs: number, task: () => void | Promise<void>])[] = [
    [MINUTE_MS, () => writeSummary(parts)],
    [MINUTE_MS, configurationChanged],
    [REPORTS_EVERY_MS, () => parts.emergencies.reports.send()],
    [REPORTS_EVERY_MS, () => parts.emergencies.notices.send()],
    [REVIEWS_EVERY_MS, () => parts.emergencies.reviews.look()],
    [MINUTE_MS, () => parts.retention.tick()],
    [parts.anchoring.tickEveryMs, parts.anchoring.tick],
    [HOUR_MS, destroyEnded],
    [HOUR_MS, forgetPredicates],
    [HOUR_MS, forgetSpent],
    [HOUR_MS, forgetAccesses],
    [HOUR_MS, () => parts.archive.tick()],
  ];
  const stops = tasks.map(([ms, task]) => every(ms, guarded(task)));
  guarded(() => parts.retention.start())();
  guarded(() => parts.archive.start())();
  return {
    configurationChanged: guarded(configurationChanged),
    reloadKeys,
    async stop() {
      for (const stop of stops) stop();
      await writeSummary(parts).catch((error: unknown) => logger.error({ err: error }, 'the last summary is lost'));
    },
  };
}

/** A new release is judged now, not when the first request that needs it waits for it. */
export function judgeDictionary({
  dictionary,
  configuration,
}: Pick<ServerParts, 'dictionary' | 'configuration'>): void {
  try {
    dictionary.dictionary(configuration.current());
  } catch (error) {
    // A new server has no configuration until its first registration was published.
    if (!isAccordError(error, 'CONFIGURATION_MISSING')) throw error;
  }
}

/** A registration or a certificate that ended ends live connections too. */
function closeEnded(peerPort: FastifyInstance | undefined, parts: ServerParts): void {
  const { configuration, logger, clock } = parts;
  const live = peerPort?.livePeers() ?? [];
  if (live.length === 0) return;
  const snapshot = configuration.current();
  for (const hash of live) {
    if (parts.peerByCertificate(hash, 'client', snapshot, clock.nowMs()) !== undefined) continue;
    const connections = peerPort?.closePeer(hash);
    logger.warn({ certificate: hash, connections }, 'closed links of a peer that is not registered any more');
  }
}
