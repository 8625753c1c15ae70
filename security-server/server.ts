// One security server from its parts: message log, keys, configuration and ports. Used by the program (`main.ts`), by
// `accord dev up` and by the tests alike, so that there is one way to be a security server.
import { mkdirSync } from 'node:fs';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { Clock } from '#core/clock.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import { openClient } from '#core/http/client.ts';
import { addressOf } from '#core/http/server-frame.ts';
import { type MessageLog, openMessageLog } from '#core/log/message-log.ts';
import {
  BODY_IDLE_MS,
  DEFAULT_MAX_STREAMED_BYTES,
  MAX_BODY_BYTES,
  MAX_DEADLINE_MS,
  MAX_SPOOLED_BYTES,
  SPOOL_MEMORY_BYTES,
} from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { openAccesses } from './accesses.ts';
import { openAccessStoreSqlite } from './accesses-sqlite.ts';
import { openAdminPort } from './admin/admin.ts';
import { type Admission, openAdmission } from './admission.ts';
import type { DepartmentWitness, DepartmentWitnessOptions } from './anchoring/department-witness.ts';
import { openServerAnchoring, requireAsWitnessed } from './anchoring/server-anchoring.ts';
import { type ArchiveOptions, openServerArchive } from './archive/server-archive.ts';
import { openServerCertificates } from './certificate-status/server-certificates.ts';
import { openServerChoice } from './consumer/choose-server.ts';
import { exchange } from './consumer/exchange.ts';
import { openPlainPort, openSystemPort } from './consumer/system-ports.ts';
import { foldersOf } from './data-folder.ts';
import { openDictionaryInForce } from './dictionary-in-force.ts';
import { openDoubts } from './doubts.ts';
import { openDoubtStoreSqlite } from './doubts-sqlite.ts';
import { openServerEmergencies } from './emergencies.ts';
import { openChannels } from './envelope/channels.ts';
import { openSigner } from './envelope/signer.ts';
import { openVerifier } from './envelope/verify.ts';
import { gaugesOf } from './gauges.ts';
import { openHealthPort } from './health.ts';
import { openKeyRing, type ServerKeys } from './key-ring.ts';
import type { KeySource } from './key-source.ts';
import { currentLogOrigin } from './log-origin.ts';
import { openMetrics } from './metrics.ts';
import { openPeerPort } from './peer/messages.ts';
import type { SharedConfiguration } from './peer/news.ts';
import { openPeerLinks } from './peer/open-links.ts';
import type { OtherProcesses } from './processes/first-process.ts';
import { noticeHere } from './provider/emergency-notice.ts';
import { openRetention } from './retention/retention.ts';
import { openRetentionStoreSqlite } from './retention/retention-sqlite.ts';
import type { ServerParts } from './server-parts.ts';
import { openSpool, type Spool } from './spool.ts';
import { openStateSqlite } from './state-sqlite.ts';
import { openStatuses } from './statuses.ts';
import { openSubjectTag } from './subject-tag.ts';
import { startTasks } from './tasks.ts';

interface ServerPorts {
  /** Peers, mutual TLS. */
  peer: { host: string; port: number };
  /** Information systems: HTTPS, and plain HTTP (loopback addresses only, unless `plainHttpBeyondLoopback`). */
  systems: { host: string; port: number } | null;
  loopback: { host: string; port: number } | null;
  admin: { host: string; port: number };
  health: { host: string; port: number };
}

export interface SecurityServerOptions {
  /** INSTANCE/CLASS/MEMBER/SERVER */
  id: string;
  folder: string;
  keys: ServerKeys;
  /** Where the keys come from, when they can be read again while the server runs. */
  keySource?: KeySource;
  configuration: SharedConfiguration & { refresh?: () => Promise<unknown> };
  ports: ServerPorts;
  clock: Clock;
  logger: FastifyBaseLogger;
  /** SHA-256 (base64url) of each administrator's API key, with its role. */
  adminKeys: readonly { hash: string; role: 'administrator' | 'auditor'; name: string }[];
  /** When the folder was restored from a backup, if it was. */
  restoredAtMs?: number;
  /** How long a revocation list counts after its next update; the age the configuration may reach, by default 24 h. */
  crlGraceMs?: number;
  /** Runs `run` again and again; returns how to stop. For tests that do not want to wait. */
  every?: (ms: number, run: () => void) => () => void;
  /** Plain HTTP may listen where others reach it, for subsystems whose systems connect without TLS. */
  plainHttpBeyondLoopback?: boolean;
  /** Largest body in either direction, by default 1 GiB. */
  maxBodyBytes?: number;
  /** Disk that all large bodies under way may take together. */
  maxSpooledBytes?: number;
  /** Memory for those of them that come first. */
  spoolMemoryBytes?: number;
  /** A connection on which a large body stands still this long is cut off; shorter in tests. */
  bodyIdleMs?: number;
  /** Error codes of X-Road's protocol as `server.server_proxy.access_denied`. */
  xroadSnakeCase?: boolean;
  /** Deadline of calls in X-Road's protocol; MAX_DEADLINE_MS unless said. */
  xroadDeadlineMs?: number;
  /** TLS 1.2 for information systems that speak nothing newer; TLS 1.3 unless said. */
  oldestSystemTls?: ServerParts['oldestSystemTls'];
  /** Where the registry is reached, to report emergencies; without it they wait. */
  registryUrls?: readonly string[];
  /** How peers are spoken to: in frames where they speak them, or always over HTTP/1.1. */
  peerLink?: 'frames' | 'http1';
  /** A growing log's checkpoint goes to the witness so often; a minute unless said. */
  anchoringEveryMs?: number;
  /** This server is a witness of the aggregate log. */
  witness?: DepartmentWitnessOptions;
  /** Where old parts of the message log go. */
  archive?: ArchiveOptions;
  /** Serve the information systems in place of this process, which then has no ports for them. */
  others?: OtherProcesses;
  /** Smaller disk for tests of a full one: database pages (4 KiB). */
  maxLogPages?: number;
}

export interface SecurityServer {
  id: string;
  parts: ServerParts;
  /** Where the ports listen, with the port the system chose where 0 was asked for. */
  urls: {
    peer: string;
    systems: string | null;
    loopback: string | null;
    admin: string;
    health: string;
    /** Null unless it is a witness of the aggregate log. */
    witness: string | null;
  };
  /** Stops taking exchanges, lets running ones end (at most `drainMs`), closes everything. */
  close(drainMs?: number): Promise<void>;
}

const DEFAULT_DRAIN_MS = 10_000;

/** @throws LOG_IN_USE, LOG_ROLLED_BACK and the other codes of the log, KEY_UNUSABLE, EADDRINUSE */
export async function openSecurityServer(options: SecurityServerOptions): Promise<SecurityServer> {
  const { id, logger, configuration } = options;
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const log = await openLog(options);
  await requireAsWitnessed(log, configuration, options.restoredAtMs).catch(async (error: unknown) => {
    await log.close();
    throw error;
  });
  const admission = openAdmission();
  const parts = assemble(options, log, admission);
  const apps: FastifyInstance[] = [];
  let witness: DepartmentWitness | null = null;
  const listen = async (app: FastifyInstance, at: { host: string; port: number }, scheme: 'http' | 'https') => {
    apps.push(app);
    await app.listen(at);
    return addressOf(app, scheme);
  };
  const tls: FastifyInstance[] = [];
  const tasks = startTasks(parts, tls, options);
  async function closeAll(drainMs: number): Promise<void> {
    admission.stop();
    for (const app of tls) app.goAway?.();
    const timer = new Promise<void>((resolve) => setTimeout(resolve, drainMs).unref());
    await Promise.race([admission.drained(), timer]);
    await Promise.all([...apps.map((app) => app.close()), witness?.close(), parts.others?.close(drainMs)]);
    await tasks.stop();
    await parts.anchoring.stop();
    await parts.archive.stop();
    parts.status.close();
    const { link, backends, emergencies, certificateStatus } = parts;
    await Promise.all([link, backends, emergencies, certificateStatus].map((one) => one.close()));
    await parts.retention.close();
    await log.close();
    parts.state.close();
    parts.doubts.close();
    parts.accesses.close();
  }
  try {
    const { ports } = options;
    const peerPort = await openPeerPort(parts);
    const systemPort = ports.systems && (await openSystemPort(parts));
    tls.push(peerPort, ...(systemPort === null ? [] : [systemPort]));
    witness = await openWitness(options);
    const urls = {
      peer: await listen(peerPort, ports.peer, 'https'),
      systems: ports.systems && systemPort && (await listen(systemPort, ports.systems, 'https')),
      loopback: ports.loopback && (await listen(openPlainPort(parts), requireSaid(ports.loopback, options), 'http')),
      admin: await listen(
        openAdminPort(
          parts,
          options.adminKeys,
          {
            refreshConfiguration: () => refresh(configuration),
            reloadKeys: tasks.reloadKeys,
            witness: () => witnessView(witness),
          },
          auditorOf(options),
        ),
        ports.admin,
        'http',
      ),
      health: await listen(openHealthPort(parts), ports.health, 'http'),
      witness: witness?.url ?? null,
      ...(await parts.others?.start(parts)),
    };
    configuration.onChange(tasks.configurationChanged);
    return { id, parts, urls, close: (drainMs = DEFAULT_DRAIN_MS) => closeAll(drainMs) };
  } catch (error) {
    logger.error({ err: error }, 'the server could not start');
    await closeAll(0);
    throw error;
  }
}

function witnessView(witness: DepartmentWitness | null) {
  if (witness === null) return null;
  const { name, verifierKeys, url } = witness;
  return { name, verifierKeys, url, ...witness.state() };
}

/** Where the auditor's pages find what they show. */
function auditorOf({ id, folder, keys }: SecurityServerOptions) {
  const { log, recordKeys, checkpointFile, configuration, anchor, auditorAudit, auditorTrail } = foldersOf(folder);
  const at = { log, recordKeys, checkpointFile, configuration, anchorFile: anchor, storageKey: keys.storageKey };
  const places = () => ({ server: id, origin: currentLogOrigin(id, folder), ...at });
  return { places, auditFile: auditorAudit, trailFile: auditorTrail };
}

async function openWitness(options: SecurityServerOptions): Promise<DepartmentWitness | null> {
  const { id, folder, clock, logger, configuration } = options;
  if (options.witness === undefined) return null;
  const file = foldersOf(folder).witness;
  const { openDepartmentWitness } = await import('./anchoring/department-witness.ts');
  return await openDepartmentWitness(options.witness, { server: id, file, clock, logger, configuration });
}

function assemble(from: SecurityServerOptions, messageLog: MessageLog, gate: Admission): ServerParts {
  const { id, clock, logger, configuration, bodyIdleMs = BODY_IDLE_MS } = from;
  const keys = openKeyRing(from.keys, () => registeredSelf(from), clock);
  const { trust, certificateStatus, peerByCertificate } = openServerCertificates({
    ...from,
    ...{ keys, registered: () => registeredSelf(from), metrics: () => metrics, log: messageLog },
  });
  const speaksFrames = (from.peerLink ?? 'frames') === 'frames';
  const channels = openChannels(id, keys.encryptionKey, clock);
  const { link, news, framed } = openPeerLinks({
    ...{ configuration, clock, logger, keys, channels, peerByCertificate, speaksFrames, streamIdleMs: bodyIdleMs },
    metrics: () => metrics,
    status: certificateStatus,
  });
  const doubts = openDoubts(openDoubtStoreSqlite(foldersOf(from.folder).doubts), from.keys.storageKey, clock);
  const emergencies = openServerEmergencies(from, {
    exchange: (call) => exchange(assembled, call),
    here: (service, notice) => noticeHere(assembled, service, notice),
  });
  const state = openStateSqlite(foldersOf(from.folder).state);
  const anchoring = openServerAnchoring(from, messageLog, state);
  const metrics = openMetrics(
    gaugesOf(() => assembled, framed),
    logger,
  );
  const accesses = openAccessIndex(from);
  const subjectTag = openSubjectTag(from.keys.storageKey, 'predicate subjects');
  const retention = openRetention({
    ...{ server: id, log: messageLog, accesses, subjectTag, clock, logger, signing: keys.signing },
    store: openRetentionStoreSqlite(foldersOf(from.folder).retention),
    logFolder: foldersOf(from.folder).log,
    configurationVersion: () => configuration.current().version,
    wasRestored: from.restoredAtMs !== undefined,
  });
  const assembled: ServerParts = {
    self: id,
    clock,
    configuration,
    log: messageLog,
    anchoring,
    archive: openArchive(from, messageLog),
    state,
    dictionary: openDictionaryInForce(logger),
    status: openStatuses(from),
    subjectTag,
    doubts,
    emergencies,
    accesses,
    retention,
    keys,
    channels,
    signer: openSigner(keys.signing, clock, certificateStatus.of),
    verifier: openVerifier(trust),
    link,
    speaksFrames,
    choice: openServerChoice(clock),
    news,
    peerByCertificate,
    certificateStatus,
    backends: openClient({
      maxConnectionsPerOrigin: 64,
      maxResponseBytes: MAX_BODY_BYTES,
      streamIdleMs: bodyIdleMs,
    }),
    spool: spoolOf(from),
    maxBodyBytes: from.maxBodyBytes ?? DEFAULT_MAX_STREAMED_BYTES,
    bodyIdleMs,
    xroadSnakeCase: from.xroadSnakeCase ?? false,
    xroadDeadlineMs: from.xroadDeadlineMs ?? MAX_DEADLINE_MS,
    oldestSystemTls: from.oldestSystemTls ?? '1.3',
    admission: gate,
    metrics,
    logger,
    others: from.others ?? null,
  };
  return assembled;
}

function spoolOf({
  folder,
  maxSpooledBytes = MAX_SPOOLED_BYTES,
  spoolMemoryBytes = SPOOL_MEMORY_BYTES,
}: SecurityServerOptions): Spool {
  return openSpool(foldersOf(folder).spool, maxSpooledBytes, spoolMemoryBytes);
}

function openArchive({ folder, archive, clock, logger, configuration }: SecurityServerOptions, log: MessageLog) {
  const configurationVersion = () => configuration.current().version;
  const ports = { log, folder, logFolder: foldersOf(folder).log, clock, logger, configurationVersion };
  return openServerArchive(ports, archive ?? null);
}

function openAccessIndex({ folder, keys, logger }: SecurityServerOptions): ServerParts['accesses'] {
  return openAccesses(openAccessStoreSqlite(foldersOf(folder).accesses), keys.storageKey, (err) =>
    logger.error({ alarm: 'ACCESS_NOT_NOTED', err }, 'requests about persons are not answered: accesses.db'),
  );
}

function openLog({ id, folder, keys, clock, logger, restoredAtMs, maxLogPages }: SecurityServerOptions) {
  const at = foldersOf(folder);
  return openMessageLog({
    folder: at.log,
    keyFolder: at.recordKeys,
    checkpointFile: at.checkpointFile,
    origin: currentLogOrigin(id, folder),
    checkpointKey: keys.checkpoint,
    storageKey: keys.storageKey,
    clock,
    onAlarm: (code, detail) => logger.error({ alarm: code, detail }, 'alarm of the message log'),
    ...(restoredAtMs === undefined ? {} : { restoredAtMs }),
    ...(maxLogPages === undefined ? {} : { limits: { maxPages: maxLogPages } }),
  });
}

/** Asks the registry now; a configuration without a source of its own has no news. */
async function refresh(configuration: SecurityServerOptions['configuration']): Promise<unknown> {
  return (await configuration.refresh?.()) ?? { outcome: 'unchanged', version: configuration.current().version };
}

/** Plain HTTP listens beyond this machine only where somebody said that it shall. @throws SETTINGS_INVALID */
function requireSaid(at: { host: string; port: number }, options: SecurityServerOptions): typeof at {
  if (at.host === '127.0.0.1' || at.host === '::1') return at;
  if (!options.plainHttpBeyondLoopback) {
    throw new AccordError('SETTINGS_INVALID', 'the plain HTTP port listens on 127.0.0.1 or ::1 only');
  }
  options.logger.warn({ host: at.host }, 'plain HTTP listens beyond this machine, for subsystems of mode NOSSL');
  return at;
}

/** This server as registered; undefined also before a first configuration was verified. */
function registeredSelf({ id, configuration }: SecurityServerOptions): ServerEntry | undefined {
  try {
    return configuration.current().server(id);
  } catch (error) {
    if (isAccordError(error, 'CONFIGURATION_MISSING')) return undefined;
    throw error;
  }
}
