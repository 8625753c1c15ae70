// Whether a client may file a request for consent now: not the same one twice, not again soon after a person has refused
// it repeatedly, and not more than a person can look through. The client controls what it files.
import { dayAt } from '#policy/calendar.ts';
import {
  CONSENT_COOL_DOWN_MS,
  CONSENT_REFUSALS_BEFORE_PAUSE,
  MAX_WAITING_CONSENTS_PER_CLIENT,
  MAX_WAITING_CONSENTS_PER_PERSON,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { ConsentRow, ConsentStore } from './store.ts';

/** Of one client, purpose and person: enough to see two refusals, an open request and what is superseded. */
export const ALIKE = 200;

/** @throws CONSENT_OPEN_ALREADY naming it, CONSENT_COOL_DOWN, CONSENT_TOO_MANY */
export async function requireWelcome(
  store: ConsentStore,
  { client, purpose, subject, services }: Pick<ConsentRow, 'client' | 'purpose' | 'subject' | 'services'>,
  nowMs: number,
): Promise<void> {
  const alike = await store.alike(client, purpose, subject, ALIKE);
  const open = alike.find((row) => row.state === 'REQUESTED' && row.services === services && row.expiresAtMs > nowMs);
  if (open !== undefined) throw new AccordError('CONSENT_OPEN_ALREADY', open.id);
  // Refusals since something was given, newest first.
  const given = alike.findIndex(({ validUntilMs }) => validUntilMs !== null);
  const refusals = alike.slice(0, given === -1 ? alike.length : given).filter(({ state }) => state === 'REFUSED');
  const refusedAtMs = Math.max(...refusals.map(({ decidedAtMs }) => decidedAtMs ?? 0));
  if (refusals.length >= CONSENT_REFUSALS_BEFORE_PAUSE && nowMs < refusedAtMs + CONSENT_COOL_DOWN_MS) {
    const until = dayAt(refusedAtMs + CONSENT_COOL_DOWN_MS, 0);
    throw new AccordError('CONSENT_COOL_DOWN', `until ${until}`);
  }
  const waiting = await store.waitingOf(client, subject);
  if (waiting.all >= MAX_WAITING_CONSENTS_PER_CLIENT || waiting.person >= MAX_WAITING_CONSENTS_PER_PERSON) {
    throw new AccordError('CONSENT_TOO_MANY');
  }
}
