// Which consents are paused when mandates end (docs/mandates.md says why). What was given under a register's mandate was
// never the person's own will: once no register vouches for the one who gave it, nothing flows until the person, or who
// then stands in for them, resumes it. What a citizen's helper gave was the citizen's will when it was given, and stays.
import { parseConsentRecord } from '#schemas/consent.ts';
import { isActive } from './mandate-state.ts';
import type { ConsentRow, ConsentStore, MandateRow } from './store.ts';

/** Mandates of one person that are looked at. */
const LOOKED_AT = 500;
/** No mandate has so many consents in force: a client has one for each purpose and service. */
const PAUSED_AT_ONCE = 10_000;

export async function pausedBy(
  store: ConsentStore,
  ended: readonly MandateRow[],
  nowMs: number,
  utcOffsetMinutes: number,
): Promise<ConsentRow[]> {
  const gone = new Set(ended.map(({ id }) => id));
  const paused = new Map<string, ConsentRow>();
  for (const { represented, representative } of ended.filter(({ register }) => register !== null)) {
    // Also under mandates of the same two that ran out before: a renewed one carried on what they had begun.
    const all = await store.mandatesWith('represented', [represented], LOOKED_AT);
    const pair = all.filter((one) => one.register !== null && one.representative === representative);
    if (pair.some((one) => !gone.has(one.id) && isActive(one, nowMs, utcOffsetMinutes))) continue;
    const ids = pair.map(({ id }) => id);
    const given = await store.givenUnder(ids, PAUSED_AT_ONCE);
    const newest = await newestActors(store, given);
    // What the person has resumed meanwhile is their own decision.
    for (const row of given) if (newest.get(row.id) !== 'citizen') paused.set(row.id, row);
  }
  return [...paused.values()];
}

async function newestActors(store: ConsentStore, rows: readonly ConsentRow[]): Promise<Map<string, string>> {
  const records = await store.recordsOf(rows.map(({ id }) => id));
  return new Map(records.map(({ consent, line }) => [consent, parseConsentRecord(line).by]));
}
