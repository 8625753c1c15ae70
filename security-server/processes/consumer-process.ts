// A process of a security server that serves its information systems and nothing else: it reads what they ask, signs, sends,
// verifies and answers. The log is written by the process that started it (shared-log.ts); what an exchange needs besides
// it holds itself: the keys, opened from the same folder with the same passphrase; the configuration, fetched from the
// first process and verified anew from the same anchor; its own channels and links. Whatever it keeps on disk lies in
// `processes/NUMBER` of the data folder. When the first process is gone it ends at once: nothing could be logged.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { type Clock, everyUnref } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { type ConfigurationClient, openConfigurationClient } from '#core/configuration/client.ts';
import type { ConfigurationFetch } from '#core/configuration/fetch.ts';
import { addressOf } from '#core/http/server-frame.ts';
import { BODY_IDLE_MS } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { openAdmission } from '#security-server/admission.ts';
import { openServerCertificates } from '#security-server/certificate-status/server-certificates.ts';
import { openServerChoice } from '#security-server/consumer/choose-server.ts';
import { openPlainPort, openSystemPort } from '#security-server/consumer/system-ports.ts';
import { FILES } from '#security-server/data-folder.ts';
import { openDictionaryInForce } from '#security-server/dictionary-in-force.ts';
import { openChannels } from '#security-server/envelope/channels.ts';
import { openSigner } from '#security-server/envelope/signer.ts';
import { openVerifier } from '#security-server/envelope/verify.ts';
import { folderKeySource } from '#security-server/folder-keys.ts';
import { openKeyRing } from '#security-server/key-ring.ts';
import { openMetrics } from '#security-server/metrics.ts';
import { openPeerLinks } from '#security-server/peer/open-links.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import { DEFAULT_SETTINGS, type Settings } from '#security-server/settings.ts';
import { openSpool } from '#security-server/spool.ts';
import { writeSummary } from '#security-server/summary.ts';
import { judgeDictionary } from '#security-server/tasks.ts';
import type { Calls } from './calls.ts';
import type { FirstAnswers, ProcessAnswers, Standing } from './first-process.ts';
import { openLogElsewhere } from './shared-log.ts';
import { openSharedState } from './shared-state.ts';

const POLL_MS = 10_000;
const MINUTE_MS = 60_000;

interface ProcessOptions {
  /** Of the server; also where its keys, its anchor and its state lie. */
  folder: string;
  /** From 1 on. */
  number: number;
  settings: Settings;
  origin: string;
  /** Those of the settings, or as another process got them. */
  ports: { systems: number; loopback: number };
  passphrase: string;
  clock: Clock;
  logger: FastifyBaseLogger;
  first: Calls<FirstAnswers>;
}

export interface ConsumerProcess {
  urls: { systems: string; loopback: string };
  answers: ProcessAnswers;
}

/** @throws KEY_FILE_*, CERTIFICATE_MISSING, CONFIGURATION_ANCHOR_INVALID, EADDRINUSE, PROCESS_ENDED */
export async function openConsumerProcess(options: ProcessOptions): Promise<ConsumerProcess> {
  const { folder, number, settings, clock, logger, first } = options;
  const own = join(folder, 'processes', String(number));
  mkdirSync(own, { recursive: true, mode: 0o700 });
  const keySource = folderKeySource(folder, options.passphrase);
  const serverKeys = await keySource.open();
  const configuration = await openConfigurationClient({
    folder: join(own, 'configuration'),
    anchor: readAnchor(readFileSync(join(folder, FILES.anchor))),
    clock,
    fetch: [fetchFrom(first)],
    pollMs: POLL_MS,
    maxStaleMs: settings.configurationMaxStaleMs,
    onAlarm: (code, detail) => logger.error({ alarm: code, detail }, 'alarm of the configuration'),
  });
  const state = openSharedState(folder);
  let standing: Standing = { overdue: null };
  const keys = openKeyRing(serverKeys, () => registeredSelf(configuration, settings.id), clock);
  const parts = assemble(options, own, { configuration, keys, state, standing: () => standing });
  const ports = await openPorts(parts, options);
  let shown = keys.authentication();
  const followConfiguration = () => {
    const identity = keys.authentication();
    if (identity !== shown) ports.systems.replaceTlsIdentity(identity);
    shown = identity;
    judgeDictionary(parts);
  };
  configuration.onChange(followConfiguration);
  everyUnref(MINUTE_MS, () => {
    followConfiguration();
    writeSummary(parts).catch((err: unknown) => logger.error({ err }, 'a summary was not written'));
  });
  const { systems, loopback } = ports;
  return {
    urls: { systems: addressOf(systems, 'https'), loopback: addressOf(loopback, 'http') },
    answers: {
      async configurationChanged() {
        const { outcome, code, detail } = await configuration.refresh();
        if (outcome === 'failed') logger.warn({ code, detail }, 'the configuration of the first process was not taken');
        return outcome !== 'failed';
      },
      stateChanged: () => state.read(),
      async keysChanged() {
        keys.replace(await keySource.open());
        followConfiguration();
      },
      stands: (now) => {
        standing = now;
      },
      metrics: () => parts.metrics.registry.getMetricsAsJSON(),
      async drain(drainMs) {
        parts.admission.stop();
        const timer = new Promise<void>((resolve) => setTimeout(resolve, drainMs).unref());
        await Promise.race([parts.admission.drained(), timer]);
        await Promise.all([systems.close(), loopback.close()]);
        await writeSummary(parts);
        await Promise.all([parts.link.close(), configuration.close(), parts.closeCertificates()]);
        state.close();
      },
    },
  };
}

interface Opened {
  configuration: ConfigurationClient;
  keys: ConsumerParts['keys'];
  state: ReturnType<typeof openSharedState>;
  standing: () => Standing;
}

function assemble(
  { settings, origin, clock, logger, first }: ProcessOptions,
  own: string,
  { configuration, keys, state, standing }: Opened,
): ConsumerParts & { closeCertificates(): Promise<void> } {
  const { id } = settings;
  const log = openLogElsewhere(origin, first);
  const { trust, certificateStatus, peerByCertificate } = openServerCertificates({
    ...{ folder: own, configuration, clock, logger, keys, log, crlGraceMs: settings.configurationMaxStaleMs },
    registered: () => registeredSelf(configuration, id),
    metrics: () => metrics,
  });
  const speaksFrames = settings.peerLink === 'frames';
  const channels = openChannels(id, keys.encryptionKey, clock);
  const { link, framed } = openPeerLinks({
    ...{ configuration, clock, logger, keys, channels, peerByCertificate, speaksFrames, streamIdleMs: BODY_IDLE_MS },
    metrics: () => metrics,
    status: certificateStatus,
  });
  const admission = openAdmission();
  const metrics = openMetrics({ inFlight: () => admission.inFlight, framed }, logger);
  return {
    ...{ self: id, clock, logger, configuration, log, keys, channels, link, admission, metrics, state },
    retention: state,
    anchoring: {
      grace: {
        requireInTime() {
          const { overdue } = standing();
          if (overdue !== null) throw new AccordError('ANCHORING_OVERDUE', overdue);
        },
      },
    },
    dictionary: openDictionaryInForce(logger),
    signer: openSigner(keys.signing, clock, certificateStatus.of),
    verifier: openVerifier(trust),
    choice: openServerChoice(clock),
    spool: openSpool(join(own, 'spool'), settings.maxSpooledBytes, settings.spoolMemoryBytes),
    maxBodyBytes: settings.maxBodyBytes,
    bodyIdleMs: BODY_IDLE_MS,
    xroadSnakeCase: settings.xroadErrorCodes === 'snake',
    xroadDeadlineMs: settings.xroadDeadlineMs,
    oldestSystemTls: settings.systemsMinTls,
    closeCertificates: certificateStatus.close,
  };
}

async function openPorts(parts: ConsumerParts, { settings: { host, plainHost }, ports }: ProcessOptions) {
  if (plainHost !== DEFAULT_SETTINGS.plainHost) {
    parts.logger.warn({ host: plainHost }, 'plain HTTP listens beyond this machine, for subsystems of mode NOSSL');
  }
  const systems: FastifyInstance = await openSystemPort(parts);
  const loopback = openPlainPort(parts);
  const shared = { reusePort: true, exclusive: true };
  await systems.listen({ host, port: ports.systems, ...shared });
  await loopback.listen({ host: plainHost, port: ports.loopback, ...shared });
  return { systems, loopback };
}

/** What the first process holds; verified here as if it came from anybody. */
function fetchFrom(first: Calls<FirstAnswers>): ConfigurationFetch {
  return {
    async get(path, maxBytes) {
      const bytes = await first.ask('configurationFile', path);
      if (bytes === null) throw new AccordError('CONFIGURATION_UNAVAILABLE', path);
      if (bytes.length > maxBytes) throw new AccordError('RESPONSE_TOO_LARGE', path);
      return { bytes };
    },
  };
}

function registeredSelf(configuration: ConfigurationClient, id: string) {
  try {
    return configuration.current().server(id);
  } catch (error) {
    if (isAccordError(error, 'CONFIGURATION_MISSING')) return undefined;
    throw error;
  }
}
