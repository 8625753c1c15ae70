// One security server from its parts: message log, keys, configuration and ports. Used by the program (`main.ts`), by
// `accord dev up` and by the tests alike, so that there is one way to be a security server.

import type { KeyObject } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { keyAlgorithm } from '#certs/keys.ts';
import { certificateHash } from '#certs/path.ts';
import { pemCertificates } from '#certs/pem.ts';
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSource } from '#core/configuration/snapshot.ts';
import { openClient } from '#core/http/client.ts';
import type { TlsIdentity } from '#core/http/mtls.ts';
import { addressOf } from '#core/http/server-frame.ts';
import { type MessageLog, openMessageLog } from '#core/log/message-log.ts';
import { MAX_BODY_BYTES, MAX_IN_FLIGHT_PER_PEER, MAX_PEER_MESSAGE_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { openAdminPort } from './admin/admin.ts';
import { type Admission, openAdmission } from './admission.ts';
import { openLoopbackPort, openSystemPort } from './consumer/lookups.ts';
import { openChannels } from './envelope/channels.ts';
import { openSigner } from './envelope/signer.ts';
import { openVerifier } from './envelope/verify.ts';
import { openHealthPort, probe } from './health.ts';
import { openMetrics } from './metrics.ts';
import { openHttp1Link } from './peer/http1-link.ts';
import { openPeerPort } from './peer/messages.ts';
import type { ServerParts } from './server-parts.ts';
import { openStateSqlite } from './state-sqlite.ts';

export interface ServerKeys {
  /** PEM chain (leaf first) and key that this server shows to peers and information systems. */
  authentication: TlsIdentity;
  /** PEM of the signing certificate and its private key. */
  signing: { certPem: string; key: KeyObject };
  /** Private encryption keys by kid; the newest registered one is what peers wrap tickets to. */
  encryption: ReadonlyMap<string, KeyObject>;
  /** Ed25519; signs the log's checkpoints. */
  checkpoint: KeyObject;
  /** 32 bytes; wraps the record keys. */
  storageKey: Buffer;
}

interface ServerPorts {
  /** Peers, mutual TLS. */
  peer: { host: string; port: number };
  /** Information systems: mutual TLS, and plain HTTP (loopback addresses only). */
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
  configuration: ConfigurationSource & { refresh?: () => Promise<unknown> };
  ports: ServerPorts;
  clock: Clock;
  logger: FastifyBaseLogger;
  /** SHA-256 (base64url) of each administrator's API key, with its role. */
  adminKeys: readonly { hash: string; role: 'administrator' | 'auditor'; name: string }[];
  /** When the folder was restored from a backup, if it was. */
  restoredAtMs?: number;
  /** Smaller disk for tests of a full one: database pages (4 KiB). */
  maxLogPages?: number;
}

export interface SecurityServer {
  id: string;
  parts: ServerParts;
  /** Where the ports listen, with the port the system chose where 0 was asked for. */
  urls: { peer: string; systems: string | null; loopback: string | null; admin: string; health: string };
  /** Stops taking exchanges, lets running ones end (at most `drainMs`), closes everything. */
  close(drainMs?: number): Promise<void>;
}

const DEFAULT_DRAIN_MS = 10_000;
const SUMMARY_INTERVAL_MS = 60_000;

/** Where the parts of a data folder lie. */
export function foldersOf(folder: string) {
  return {
    log: join(folder, 'log'),
    recordKeys: join(folder, 'record-keys'),
    checkpointFile: join(folder, 'checkpoint.txt'),
    state: join(folder, 'state.db'),
    configuration: join(folder, 'configuration'),
  };
}

/** The name of a server's log: C2SP origins are schema-less URLs, and this one says whose log it is. */
export function logOrigin(serverId: string): string {
  return `accord/${serverId}`;
}

/** @throws LOG_IN_USE, LOG_ROLLED_BACK and the other codes of the log, KEY_UNUSABLE, EADDRINUSE */
export async function openSecurityServer(options: SecurityServerOptions): Promise<SecurityServer> {
  const { id, clock, logger, configuration } = options;
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const log = await openLog(options);
  const admission = openAdmission();
  const parts = assemble(options, log, admission);
  const apps: FastifyInstance[] = [];
  const listen = async (app: FastifyInstance, at: { host: string; port: number }, scheme: 'http' | 'https') => {
    apps.push(app);
    await app.listen(at);
    return addressOf(app, scheme);
  };
  const stopTasks = startTasks(parts);
  async function closeAll(drainMs: number): Promise<void> {
    admission.stop();
    const timer = new Promise<void>((resolve) => setTimeout(resolve, drainMs).unref());
    await Promise.race([admission.drained(), timer]);
    stopTasks();
    await Promise.all(apps.map((app) => app.close()));
    await Promise.all([parts.link.close(), parts.backends.close()]);
    await log.close();
    parts.state.close();
  }
  try {
    const { ports, keys } = options;
    const peerPort = await openPeerPort(parts, keys.authentication);
    const urls = {
      peer: await listen(peerPort, ports.peer, 'https'),
      systems:
        ports.systems && (await listen(await openSystemPort(parts, keys.authentication), ports.systems, 'https')),
      loopback: ports.loopback && (await listen(openLoopbackPort(parts), onlyLoopback(ports.loopback), 'http')),
      admin: await listen(
        openAdminPort(parts, options.adminKeys, () => refresh(configuration)),
        ports.admin,
        'http',
      ),
      health: await listen(openHealthPort(parts, keys), ports.health, 'http'),
    };
    configuration.onChange(() => closeDistrusted(peerPort, parts));
    return { id, parts, urls, close: (drainMs = DEFAULT_DRAIN_MS) => closeAll(drainMs) };
  } catch (error) {
    logger.error({ err: error }, 'the server could not start');
    await closeAll(0);
    throw error;
  }

  function assemble(from: SecurityServerOptions, messageLog: MessageLog, gate: Admission): ServerParts {
    const { keys } = from;
    const [signingDer] = pemCertificates(keys.signing.certPem);
    if (signingDer === undefined) throw new AccordError('KEY_UNUSABLE', 'no signing certificate');
    const key = { alg: keyAlgorithm(keys.signing.key), key: keys.signing.key };
    const peers = openClient({
      maxConnectionsPerOrigin: 64,
      maxWaitingPerOrigin: MAX_IN_FLIGHT_PER_PEER * 2,
      maxResponseBytes: MAX_PEER_MESSAGE_BYTES,
    });
    const link = openHttp1Link(peers, keys.authentication, (peer, hash) => {
      const snapshot = configuration.current();
      return snapshot.serverByAuthenticationHash(hash)?.id === peer;
    });
    const ready = () => (probe(assembled, keys).ok ? 1 : 0);
    const metrics = openMetrics({ inFlight: () => gate.inFlight, logSize: () => messageLog.size(), ready }, logger);
    const assembled: ServerParts = {
      self: id,
      clock,
      configuration,
      log: messageLog,
      state: openStateSqlite(foldersOf(from.folder).state),
      channels: openChannels(id, (kid) => keys.encryption.get(kid), clock),
      signer: openSigner(key, certificateHash(signingDer), clock),
      verifier: openVerifier(),
      link: { ...link, close: () => peers.close() },
      backends: openClient({ maxConnectionsPerOrigin: 64, maxResponseBytes: MAX_BODY_BYTES }),
      admission: gate,
      metrics,
      logger,
    };
    return assembled;
  }
}

function openLog({ id, folder, keys, clock, logger, restoredAtMs, maxLogPages }: SecurityServerOptions) {
  const at = foldersOf(folder);
  return openMessageLog({
    folder: at.log,
    keyFolder: at.recordKeys,
    checkpointFile: at.checkpointFile,
    origin: logOrigin(id),
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

/** Plain HTTP never listens beyond this machine, whatever the settings say. @throws SETTINGS_INVALID */
function onlyLoopback(at: { host: string; port: number }): { host: string; port: number } {
  if (at.host !== '127.0.0.1' && at.host !== '::1') {
    throw new AccordError('SETTINGS_INVALID', 'the plain HTTP port listens on 127.0.0.1 or ::1 only');
  }
  return at;
}

/** A registration that ended ends live connections too. */
function closeDistrusted(peerPort: FastifyInstance, { configuration, logger }: ServerParts): void {
  const snapshot = configuration.current();
  for (const hash of peerPort.livePeers()) {
    if (snapshot.serverByAuthenticationHash(hash) === undefined) {
      logger.warn({ certificate: hash, connections: peerPort.closePeer(hash) }, 'closed links of an unregistered peer');
    }
  }
}

/** Once a minute: what was refused before its signature was verified, as one counted entry. */
function startTasks(parts: ServerParts): () => void {
  const timer = setInterval(() => {
    const counts = parts.metrics.takeUnverified();
    for (const [code, count] of Object.entries(counts)) {
      const { version } = parts.configuration.current();
      const nothing = { peer: null, client: null, service: null, purpose: null, basis: null, decisionHash: null };
      parts.log
        .append({
          ...nothing,
          kind: 'summary',
          id: `unverified-${count}`,
          code,
          configurationVersion: version,
          retention: 'standard',
          evidence: null,
          sealed: null,
        })
        .catch((error: unknown) => parts.logger.error({ err: error }, 'the summary entry was not written'));
    }
  }, SUMMARY_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}
