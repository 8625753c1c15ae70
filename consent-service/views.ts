// A consent as its faces see it, read from its own records.
import { type AskedConsent, type ConsentRecord, type GivenConsent, parseConsentRecord } from '#schemas/consent.ts';
import { AccordError } from '#schemas/problems.ts';
import type { ActingFor, ConsentView } from './consents.ts';
import { itemsAbove } from './mandate-state.ts';
import { noticeFor } from './notice.ts';
import type { Persons } from './people.ts';
import type { ConsentRow, ConsentStore, MandateRow } from './store.ts';

/** What was asked, what was given of it, and who caused the newest state. */
export interface Terms {
  asked: AskedConsent;
  given: GivenConsent | null;
  last: Pick<ConsentRecord, 'state' | 'by' | 'atMs'>;
  /** Mandates: of the decision, and of the newest state. */
  decidedUnder: string | null;
  lastUnder: string | null;
}

const DAY_MS = 86_400_000;

/** By consent. @throws CONSENT_RECORDS_DAMAGED */
export async function termsOf(store: ConsentStore, ids: readonly string[]): Promise<Map<string, Terms>> {
  const terms = new Map<string, Terms>();
  for (const { line } of await store.recordsOf(ids)) {
    const { consent, state, by, atMs, asked, given, acting } = parseConsentRecord(line);
    const last = { state, by, atMs };
    const lastUnder = acting?.mandate ?? null;
    if (asked !== undefined) terms.set(consent, { asked, given: null, last, decidedUnder: null, lastUnder });
    const known = terms.get(consent);
    if (known === undefined) continue;
    if (known.last.state === 'REQUESTED') known.decidedUnder = lastUnder;
    Object.assign(known, { last, lastUnder, ...(given !== undefined && { given }) });
  }
  return terms;
}

/** Who looks, when it is a representative; and the names behind mandates. */
export interface Onlooker {
  mandate: MandateRow | null;
  personsOf(ids: readonly string[]): Promise<Map<string, Persons>>;
}

/** In the order of the rows; receipts only of what is given or paused. */
export async function viewsOf(
  store: ConsentStore,
  rows: readonly ConsentRow[],
  nowMs: number,
  { mandate, personsOf }: Onlooker,
): Promise<ConsentView[]> {
  const ids = rows.map(({ id }) => id);
  const terms = await termsOf(store, ids);
  const live = rows.filter(({ state }) => state === 'GIVEN' || state === 'SUSPENDED').map(({ id }) => id);
  const receipts = Map.groupBy(await store.receiptsOf(live), ({ consent }) => consent);
  const under = [...terms.values()].flatMap(({ decidedUnder, lastUnder }) => [decidedUnder, lastUnder]);
  const kinds = await kindsOf(store, [...under, mandate?.id ?? null], personsOf);
  return rows.map((row) => {
    const known = terms.get(row.id);
    if (known === undefined) throw new AccordError('CONSENT_RECORDS_DAMAGED', `no terms of ${row.id}`);
    const { asked, given, last, decidedUnder, lastUnder } = known;
    const { client, purpose, uses, frequency = null, validDays, retentionDays, reason } = asked;
    const named = (id: string | null) => (id === null ? null : (kinds.get(id) ?? null));
    const [acting, decidedBy] = [named(mandate?.id ?? null), named(decidedUnder)];
    const isWaiting = row.state === 'REQUESTED';
    return {
      id: row.id,
      state: row.state,
      client,
      purpose,
      services: asked.services.map((one) => ({
        ...one,
        given: given?.given.find(({ service }) => service === one.service)?.elements ?? [],
        receipt: given?.receipts.find(({ service }) => service === one.service)?.jti ?? null,
        used: null,
      })),
      uses,
      frequency,
      usesLeft: null,
      validUntilMs: row.validUntilMs ?? nowMs + validDays * DAY_MS,
      validDays,
      retentionDays,
      reason,
      requestedAtMs: row.filedAtMs,
      decidedAtMs: row.decidedAtMs,
      lastUsedAtMs: null,
      expiresAtMs: row.expiresAtMs,
      notice: noticeFor(asked.notice, isWaiting ? acting : decidedBy),
      revocationBoundS: asked.revocationBoundS,
      receipts: (receipts.get(row.id) ?? []).map(({ service, jti, jws }) => ({ service, jti, jws })),
      actingFor:
        acting === null || mandate === null
          ? null
          : {
              ...acting,
              maxLevel: mandate.maxLevel,
              isWithin: itemsAbove(mandate, asked, isWaiting ? null : (given?.given ?? [])).length === 0,
            },
      decidedBy,
      last: { by: last.by, acting: named(lastUnder) },
    };
  });
}

async function kindsOf(
  store: ConsentStore,
  under: readonly (string | null)[],
  personsOf: Onlooker['personsOf'],
): Promise<Map<string, ActingFor>> {
  const ids = [...new Set(under.filter((id) => id !== null))];
  const [rows, persons] = await Promise.all([store.mandatesOf(ids), personsOf(ids)]);
  return new Map(
    rows.map(({ id, kind }) => {
      const { represented, representative } = persons.get(id) ?? {};
      return [
        id,
        { mandate: id, kind, represented: represented?.name ?? '', representative: representative?.name ?? '' },
      ] as const;
    }),
  );
}
