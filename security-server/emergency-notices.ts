// What citizens are told without asking: that this server answered on an emergency about them (schemas/notice.ts). Every
// consent service of the configuration gets it, as an exchange of its own, so that both logs have it; which of them the
// person uses, nobody here knows. Noted before the backend is asked, tried again until the consent service has it, erased
// then. The identifier is sealed while it waits.
//
// The consent service's server controls the answer; only its `ok` with status 200 counts.
import { createHash } from 'node:crypto';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSource } from '#core/configuration/snapshot.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import { NOTICE_KEPT_DAYS, NOTICE_TIMEOUT_MS } from '#schemas/limits.ts';
import { type EmergencyNotice, NOTICES_PATH } from '#schemas/notice.ts';
import type { Call } from './consumer/call.ts';
import { ownRequest } from './consumer/own-request.ts';
import { type OutboxStore, openOutbox } from './outbox.ts';

export interface EmergencyNotices {
  /** For every consent service that is registered now; the same of the same peer again is one. @throws what the disk throws */
  note(peer: string, notice: EmergencyNotice): void;
  /** Sends what is due now. Never rejects. */
  send(): Promise<void>;
  waiting(): { count: number; sinceMs: number | null };
  close(): Promise<void>;
}

/** What came of one attempt. */
interface Told {
  outcome: string;
  code: string;
  answer: { context: { status: number } } | null;
}

/** How a notice leaves: as an exchange on this server's own account, or to a service of this server itself. */
export interface NoticeWays {
  exchange(call: Call): Promise<Told>;
  /** Null when the consent service is on another server. */
  here(service: string, notice: EmergencyNotice): Promise<Told> | null;
}

export interface EmergencyNoticePorts {
  configuration: Pick<ConfigurationSource, 'current'>;
  ways: NoticeWays;
  clock: Clock;
  logger: FastifyBaseLogger;
}

interface Waiting {
  /** Subsystem of the consent service. */
  to: string;
  notice: EmergencyNotice;
}

/** @param storageKey the server's, 32 bytes */
export function openEmergencyNotices(
  store: OutboxStore,
  storageKey: Buffer,
  { configuration, ways, clock, logger }: EmergencyNoticePorts,
): EmergencyNotices {
  const outbox = openOutbox<Waiting>({
    ...{ store, storageKey, clock, logger, use: 'emergency notices', alarm: 'EMERGENCY_NOTICE_WAITING' },
    async deliver({ to, notice }, { tries }) {
      // It would keep it no longer.
      if (notice.atMs < clock.nowMs() - NOTICE_KEPT_DAYS * 86_400_000) return true;
      const services = configuration
        .current()
        .services()
        .filter(({ id }) => subsystemOfService(id) === to);
      // Any of them will do; where one is not set up, the next attempt asks another.
      const through = services[tries % Math.max(1, services.length)];
      if (through === undefined) return false;
      const here = ways.here(through.id, notice);
      const { outcome, answer, code } = await (here ?? ways.exchange(noticeCall(through.id, notice)));
      const isTaken = outcome === 'ok' && answer?.context.status === 200;
      if (!isTaken) logger.info({ to, outcome, code, status: answer?.context.status }, 'a notice was not taken');
      return isTaken;
    },
  });
  return {
    ...outbox,
    note(peer, notice) {
      for (const { subsystem: to } of configuration.current().consentServices()) {
        const hash = createHash('sha256').update(`${peer} ${notice.exchange} ${to}`).digest('base64url');
        outbox.note(hash, notice.emergency.id, { to, notice });
      }
    },
  };
}

/** In the name of the department that answered. */
function noticeCall(service: string, notice: EmergencyNotice): Call {
  const body = Buffer.from(JSON.stringify(notice), 'utf8');
  const facts = { length: body.length, type: 'application/json' };
  const context = ownRequest({ method: 'POST', path: NOTICES_PATH, body: facts, settles: null });
  const client = subsystemOfService(notice.service);
  return { client, service, purpose: null, basis: 'open', deadlineMs: NOTICE_TIMEOUT_MS, context, body };
}
