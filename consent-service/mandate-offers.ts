// Whether a citizen may offer a mandate now. Only what this citizen has offered before is looked at: nothing in the answer
// tells whether the other person exists, or what they did with earlier offers.
import { dayAt } from '#policy/calendar.ts';
import {
  MANDATE_COOL_DOWN_MS,
  MANDATE_OFFERS_BEFORE_PAUSE,
  MAX_MANDATE_OFFERS_A_DAY,
  MAX_MANDATES_OF_REPRESENTED,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { endOf } from './mandate-state.ts';
import type { MandateRow } from './store.ts';

const DAY_MS = 86_400_000;

/**
 * @param known all mandates of the one who offers
 * @throws MANDATE_OPEN_ALREADY naming it, MANDATE_COOL_DOWN, MANDATE_TOO_MANY
 */
export function requireWelcome(
  known: readonly MandateRow[],
  offer: MandateRow,
  nowMs: number,
  utcOffsetMinutes: number,
): void {
  const own = known.filter(({ kind }) => kind === 'citizen');
  const open = own.filter((one) => one.state !== 'ENDED' && endOf(one, nowMs, utcOffsetMinutes) === null);
  const twin = open.find((one) => isSame(one, offer));
  if (twin !== undefined) throw new AccordError('MANDATE_OPEN_ALREADY', twin.id);
  // Offers of the last month to the same identifier, whatever became of them, the newest first; a mandate that somebody
  // accepted and that still is in force is none.
  const offers = own
    .filter(({ representative, state }) => representative === offer.representative && state !== 'ACTIVE')
    .map(({ filedAtMs }) => filedAtMs)
    .filter((filedAtMs) => filedAtMs > nowMs - MANDATE_COOL_DOWN_MS)
    .toSorted((a, b) => b - a);
  const since = offers[MANDATE_OFFERS_BEFORE_PAUSE - 1];
  if (since !== undefined) {
    const until = dayAt(since + MANDATE_COOL_DOWN_MS + DAY_MS, utcOffsetMinutes);
    throw new AccordError('MANDATE_COOL_DOWN', `until ${until}`);
  }
  const today = own.filter(({ filedAtMs }) => filedAtMs > nowMs - DAY_MS);
  if (open.length >= MAX_MANDATES_OF_REPRESENTED || today.length >= MAX_MANDATE_OFFERS_A_DAY) {
    throw new AccordError('MANDATE_TOO_MANY');
  }
}

/** For the same two, as far and of the same kind: times may differ. */
export function isSame(one: MandateRow, other: MandateRow): boolean {
  return (
    one.kind === other.kind &&
    one.representative === other.representative &&
    one.maxLevel === other.maxLevel &&
    one.purposes?.join() === other.purposes?.join()
  );
}
