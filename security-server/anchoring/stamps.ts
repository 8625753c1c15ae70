// Time-stamps as this server asks for and judges them: authorities and their certificates as the configuration names them
// at the moment. Two persons approved them; what the authorities answer is verified (core/time-stamp-client.ts).
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import { verifyTimeStampToken } from '#certs/time-stamp.ts';
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSource } from '#core/configuration/snapshot.ts';
import type { TimeStampRules } from '#core/configuration/time-stamp-parts.ts';
import type { BoundedClient } from '#core/http/client.ts';
import { type AuthorityHealth, openTimeStampClient } from '#core/time-stamp-client.ts';
import { type AuthorityStatus, openTimeStampStatus } from '#core/time-stamp-status.ts';
import { TIME_STAMP_STATUS_FILE } from '#core/time-stamp-status-file.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Stamps } from './anchoring.ts';

export interface ServerStamps {
  /** Null while the configuration names no authority. */
  current(): Stamps | null;
  health(): (AuthorityHealth & { certificate: AuthorityStatus })[];
  /** Fetches lists and answers about the authorities' certificates that are due. Never rejects. */
  look(signal?: AbortSignal): Promise<void>;
}

export function openStamps(ports: {
  configuration: Pick<ConfigurationSource, 'current'>;
  clock: Clock;
  http: BoundedClient;
  logger: FastifyBaseLogger;
  /** The data folder. */
  folder: string;
}): ServerStamps {
  const { configuration, clock, http, logger, folder } = ports;
  const rules = () => timeStampRules(configuration);
  const status = openTimeStampStatus({
    authorities: () => rules()?.authorities ?? [],
    crls: () => rules()?.crls ?? [],
    isDistrusted: (hash) => configuration.current().isDistrusted(hash),
    ...{ clock, http },
    kept: {
      file: join(folder, TIME_STAMP_STATUS_FILE),
      onNotKept: (err) => logger.error({ alarm: 'OCSP_NOT_KEPT', err }, 'lists about time-stamp authorities'),
    },
    onAlarm: (authority, detail) => logger.warn({ alarm: 'TIME_STAMP_STATUS_UNKNOWN', authority, detail }, 'no status'),
  });
  const client = openTimeStampClient({
    status,
    authorities: () => rules()?.authorities ?? [],
    clock,
    http,
    randomBytes: (count) => randomBytes(count),
    onAlarm: (authority, code, detail) => logger.warn({ alarm: code, authority, detail }, 'a time-stamp authority'),
  });
  const stamps: Stamps = {
    verify(token, imprint) {
      const facts = verifyTimeStampToken(
        ...([token, imprint, rules()?.certificates ?? [], clock.nowMs()] as const),
        status.known(),
      );
      status.seen(facts.path);
      return facts;
    },
    stamp: (imprint) => client.stamp(imprint),
  };
  return {
    current: () => (rules() === null ? null : stamps),
    health() {
      const certificates = status.state();
      return client.health().map((one, at) => ({ ...one, certificate: certificates[at] ?? notAsked(one.name) }));
    },
    look: (signal) => status.look(signal),
  };
}

function notAsked(name: string): AuthorityStatus {
  return { name, status: 'not-asked', untilMs: null };
}

/** A new server has no configuration until its registration was published. */
export function timeStampRules(configuration: Pick<ConfigurationSource, 'current'>): TimeStampRules | null {
  try {
    return configuration.current().timeStamps();
  } catch (error) {
    if (!isAccordError(error, 'CONFIGURATION_MISSING')) throw error;
    return null;
  }
}
