// A consent as its faces see it, read from its own records.
import type { AskedConsent, GivenConsent } from '#schemas/consent.ts';
import { parseConsentRecord } from '#schemas/consent.ts';
import { AccordError } from '#schemas/problems.ts';
import type { ConsentView } from './consents.ts';
import type { ConsentRow, ConsentStore } from './store.ts';

/** What was asked, and what was given of it. */
export interface Terms {
  asked: AskedConsent;
  given: GivenConsent | null;
}

const DAY_MS = 86_400_000;

/** By consent. @throws CONSENT_RECORDS_DAMAGED */
export async function termsOf(store: ConsentStore, ids: readonly string[]): Promise<Map<string, Terms>> {
  const terms = new Map<string, Terms>();
  for (const { line } of await store.recordsOf(ids)) {
    const { consent, asked, given } = parseConsentRecord(line);
    if (asked !== undefined) terms.set(consent, { asked, given: null });
    const known = terms.get(consent);
    if (given !== undefined && known !== undefined) known.given = given;
  }
  return terms;
}

/** In the order of the rows; receipts only of what is given or paused. */
export async function viewsOf(store: ConsentStore, rows: readonly ConsentRow[], nowMs: number): Promise<ConsentView[]> {
  const ids = rows.map(({ id }) => id);
  const terms = await termsOf(store, ids);
  const live = rows.filter(({ state }) => state === 'GIVEN' || state === 'SUSPENDED').map(({ id }) => id);
  const receipts = Map.groupBy(await store.receiptsOf(live), ({ consent }) => consent);
  return rows.map((row) => {
    const { asked, given } = terms.get(row.id) ?? {};
    if (asked === undefined) throw new AccordError('CONSENT_RECORDS_DAMAGED', `no terms of ${row.id}`);
    const { client, purpose, uses, validDays, retentionDays, reason, notice } = asked;
    return {
      id: row.id,
      state: row.state,
      client,
      purpose,
      services: asked.services.map((one) => ({
        ...one,
        given: given?.given.find(({ service }) => service === one.service)?.elements ?? [],
      })),
      uses,
      usesLeft: null,
      validUntilMs: row.validUntilMs ?? nowMs + validDays * DAY_MS,
      validDays,
      retentionDays,
      reason,
      requestedAtMs: row.filedAtMs,
      decidedAtMs: row.decidedAtMs,
      lastUsedAtMs: null,
      expiresAtMs: row.expiresAtMs,
      notice,
      revocationBoundS: asked.revocationBoundS,
      receipts: (receipts.get(row.id) ?? []).map(({ service, jti, jws }) => ({ service, jti, jws })),
    };
  });
}
