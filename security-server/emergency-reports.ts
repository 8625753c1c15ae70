// What this server tells the registry: that it answered on an emergency, and the two tokens it answered on
// (schemas/emergency-report.ts). Durable before the backend is asked, sent beside the exchange, and tried again until the
// registry says that it has it: the registry is never waited for, and no answer on an emergency goes unreviewed because it
// was away. Tokens name officials and a reason, so they are sealed on the disk, and erased once the registry has them.
//
// The peer made the tokens; they were verified. Whoever answers at the registry's address controls the answer: one that
// does not name the emergency is none.
import { createHash } from 'node:crypto';
import type { FastifyBaseLogger } from 'fastify';
import type { Emergency } from '#certs/evidence.ts';
import type { Clock } from '#core/clock.ts';
import type { BoundedClient } from '#core/http/client.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import { checkKnownEmergency, type EmergencyReport } from '#schemas/emergency-report.ts';
import { type JsonValue, parseJson } from '#schemas/json.ts';
import { REGISTRY_TIMEOUT_MS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import { type OutboxStore, openOutbox } from './outbox.ts';

export interface EmergencyReports {
  /** Notes that an answer is to be given on it; again is the same. @throws what the disk throws */
  note(emergency: Emergency, tokens: readonly string[]): void;
  /** Sends what is due now. Never rejects. */
  send(): Promise<void>;
  waiting(): { count: number; sinceMs: number | null };
  close(): Promise<void>;
}

export interface EmergencyReportPorts {
  self: string;
  /** Where the registry may be reached, as the configuration anchor says; none sends nothing. */
  urls: readonly string[];
  client: BoundedClient;
  clock: Clock;
  logger: FastifyBaseLogger;
}

/** @param storageKey the server's, 32 bytes */
export function openEmergencyReports(
  store: OutboxStore,
  storageKey: Buffer,
  { self, urls, client, clock, logger }: EmergencyReportPorts,
): EmergencyReports {
  const outbox = openOutbox<readonly string[]>({
    ...{ store, storageKey, clock, logger, use: 'emergency reports', alarm: 'EMERGENCY_REPORT_WAITING' },
    deliver: (tokens, { emergency }) => report(tokens, emergency),
  });

  /** A mirror at one of the addresses takes no reports; the next may be the registry. */
  async function report(tokens: readonly string[], emergency: string): Promise<boolean> {
    const told: EmergencyReport = { v: 1, tokens: [...tokens], by: self };
    const body = Buffer.from(JSON.stringify(told));
    for (const url of urls) {
      try {
        const answer = await client.request({
          method: 'POST',
          url: new URL('emergencies', url.endsWith('/') ? url : `${url}/`).href,
          headers: [['content-type', 'application/json']],
          body,
          timeoutMs: REGISTRY_TIMEOUT_MS,
        });
        if (answer.status !== 200) continue;
        if (checkKnownEmergency(parseJson(answer.body)).emergency === emergency) return true;
      } catch (error) {
        if (!isAccordError(error)) throw error;
      }
    }
    return false;
  }

  return {
    ...outbox,
    note(emergency, tokens) {
      const { iat: _iat, ...terms } = emergency;
      // Of what both officials signed: one emergency is reported once.
      const hash = createHash('sha256')
        .update(canonicalJson(terms as unknown as JsonValue))
        .digest('base64url');
      outbox.note(hash, emergency.emergency, tokens);
    },
    send: () => (urls.length === 0 ? Promise.resolve() : outbox.send()),
  };
}
