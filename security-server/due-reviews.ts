// Reviews of emergencies that the departments of this server owe: asked at the registry's public port from time to time,
// where officials have keys at all, and seen in the list of locks when it is too late. Only for alarm and metric: nothing
// is allowed or refused by what comes back. Whoever answers at the registry's address controls the answer.
import type { FastifyBaseLogger } from 'fastify';
import type { BoundedClient } from '#core/http/client.ts';
import { checkDueReviews, type KnownEmergency } from '#schemas/emergency-report.ts';
import { parseJson } from '#schemas/json.ts';
import { REGISTRY_TIMEOUT_MS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { SharedConfiguration } from './peer/news.ts';

export interface DueReviews {
  /** Asks now, and says what is owed. Never rejects. */
  look(): Promise<void>;
  /** Emergencies that were over when it was last asked, and not reviewed. */
  count(): number;
}

export function openDueReviews(
  self: string,
  configuration: SharedConfiguration,
  urls: readonly string[],
  client: BoundedClient,
  logger: FastifyBaseLogger,
): DueReviews {
  let owed = 0;

  async function look(): Promise<void> {
    const snapshot = configuration.current();
    const own = [...(snapshot.server(self)?.subsystems ?? [])];
    let seen = 0;
    for (const subsystem of own) {
      const locked = snapshot.lockedFor(subsystem);
      const waiting = snapshot.officialKeys(subsystem).length === 0 ? [] : await ask(subsystem);
      const due = waiting.filter(({ state }) => state !== 'open');
      seen += Math.max(due.length, locked === null ? 0 : 1);
      for (const { emergency, reviewDueAtMs } of due) {
        const until = new Date(reviewDueAtMs).toISOString();
        logger.error({ alarm: 'EMERGENCY_REVIEW_DUE', subsystem, emergency, until, locked: locked !== null }, 'alarm');
      }
      if (due.length === 0 && locked !== null) {
        logger.error({ alarm: 'EMERGENCY_REVIEW_DUE', subsystem, emergency: locked, locked: true }, 'alarm');
      }
    }
    owed = seen;
  }

  /** Nothing when nobody answers: the list of locks will say so. */
  async function ask(subsystem: string): Promise<KnownEmergency[]> {
    for (const base of urls) {
      try {
        const url = new URL('emergencies', base.endsWith('/') ? base : `${base}/`);
        url.searchParams.set('subsystem', subsystem);
        const { status, body } = await client.request({ method: 'GET', url: url.href, timeoutMs: REGISTRY_TIMEOUT_MS });
        if (status !== 200) continue;
        return checkDueReviews(parseJson(body)).items.filter((one) => one.subsystem === subsystem);
      } catch (error) {
        if (!isAccordError(error)) throw error;
      }
    }
    return [];
  }

  return {
    look: () =>
      look().catch((error: unknown) => {
        if (!isAccordError(error, 'CONFIGURATION_MISSING')) logger.error({ err: error }, 'due reviews are not known');
      }),
    count: () => owed,
  };
}
