// How a security server judges certificates: OCSP answers, lists and paths, put together, with their alarms.
import type { FastifyBaseLogger } from 'fastify';
import { MAX_OCSP_RESPONSE_BYTES } from '#certs/ocsp-response.ts';
import { type Clock, everyUnref } from '#core/clock.ts';
import type { ConfigurationSource, ServerEntry } from '#core/configuration/snapshot.ts';
import { openClient } from '#core/http/client.ts';
import { statusEntryId, statusRecord } from '#core/log/status-answers.ts';
import { DEFAULT_MAX_STALE_MS } from '#schemas/configuration.ts';
import { type CertificateTrust, openCertificateTrust } from '#security-server/certificate-trust.ts';
import type { KeyRing } from '#security-server/key-ring.ts';
import type { Metrics } from '#security-server/metrics.ts';
import { openRegisteredPeers, type PeerByCertificate } from '#security-server/peer/registered-peer.ts';
import type { RequestLog } from '#security-server/server-parts.ts';
import type { HeldAnswer } from './answers.ts';
import { type CertificateStatus, openCertificateStatus } from './status.ts';

const LOOK_EVERY_MS = 10_000;

interface CertificateParts {
  folder: string;
  configuration: Pick<ConfigurationSource, 'current' | 'onChange'>;
  clock: Clock;
  logger: FastifyBaseLogger;
  /** How long a revocation list counts after its next update. */
  crlGraceMs?: number;
  keys: KeyRing;
  /** This server as registered. */
  registered: () => ServerEntry | undefined;
  metrics: () => Pick<Metrics, 'certificateAnswer'>;
  every?: (ms: number, run: () => void) => () => void;
  log: Pick<RequestLog, 'append' | 'find'>;
}

export interface ServerCertificates {
  trust: CertificateTrust;
  certificateStatus: CertificateStatus & { close(): Promise<void> };
  peerByCertificate: PeerByCertificate;
}

/** @throws CERTIFICATE_STATUS_UNREADABLE */
export function openServerCertificates(parts: CertificateParts): ServerCertificates {
  const { logger, configuration, crlGraceMs = DEFAULT_MAX_STALE_MS, metrics, every = everyUnref } = parts;
  const http = openClient({ maxConnectionsPerOrigin: 2, maxResponseBytes: MAX_OCSP_RESPONSE_BYTES });
  const counted = (of: 'own' | 'peer', outcome: string) => metrics().certificateAnswer(of, outcome);
  const logRevoked = async (answer: HeldAnswer) => {
    // Under way twice it would stand there twice, which says nothing else.
    if ((await parts.log.find(null, statusEntryId(answer.hash))).length > 0) return;
    await parts.log.append(statusRecord(answer, null, configuration.current().version));
  };
  const onRevoked = (answer: HeldAnswer) => {
    const failed = (err: unknown) => logger.error({ err }, 'an OCSP answer that says revoked was not logged');
    logRevoked(answer).catch(failed);
  };
  const status = openCertificateStatus({ ...parts, http, counted, onRevoked });
  const trust = openCertificateTrust({
    crlGraceMs,
    answers: status.answers,
    onAlarm: (code, about) => {
      if (code === 'CRL_MISSING') {
        logger.info({ issuer: about }, 'no revocation list: answers, registration and distrust decide');
      } else if (code === 'OCSP_STALE') {
        logger.error({ alarm: code, certificate: about }, 'an OCSP answer is over and counts in grace');
      } else logger.error({ alarm: code, issuer: about }, 'alarm of a revocation list');
    },
  });
  const look = () => {
    status.look().catch((err: unknown) => logger.error({ err }, 'looking after OCSP answers failed'));
  };
  const stops = [every(LOOK_EVERY_MS, look), configuration.onChange(look)];
  const close = () => {
    for (const stop of stops) stop();
    return http.close();
  };
  return {
    trust,
    certificateStatus: { ...status, close },
    peerByCertificate: openRegisteredPeers(trust, logger),
  };
}
