// What the consent service itself does to consents: what time has ended, what a newer permission replaces, what is paused
// because its mandate ended. Pure but for reading the store; the caller appends.
import type { ConfigurationSource } from '#core/configuration/snapshot.ts';
import type { ConsentState } from '#schemas/consent.ts';
import { requirePurpose } from './giving.ts';
import { statusOf } from './records.ts';
import type { ConsentRow, ConsentStore, StoredReceipt, StoredStatus } from './store.ts';

const ENDED_AT_ONCE = 200;

interface Endings {
  records: { atMs: number; consent: string; state: ConsentState; by: 'service' }[];
  moved: Pick<ConsentRow, 'id' | 'state' | 'decidedAtMs' | 'validUntilMs'>[];
  statuses: StoredStatus[];
  /** Whose statuses they are. */
  receipts: StoredReceipt[];
}

/** @param known receipts of at least these consents, where the caller has them */
export async function endedBy(
  store: ConsentStore,
  rows: readonly ConsentRow[],
  state: ConsentState,
  nowMs: number,
  known?: readonly StoredReceipt[],
): Promise<Endings> {
  const ids = new Set(rows.map(({ id }) => id));
  const receipts = (known ?? (await store.receiptsOf([...ids]))).filter(({ consent }) => ids.has(consent));
  return {
    records: [...ids].map((consent) => ({ atMs: nowMs, consent, state, by: 'service' })),
    moved: rows.map(({ id, decidedAtMs, validUntilMs }) => ({ id, state, decidedAtMs, validUntilMs })),
    statuses: receipts.map(({ list, idx }) => ({ list, idx, value: statusOf(state) })),
    receipts,
  };
}

/** Some of what time has ended: LAPSED, EXPIRED, and INVALIDATED with its purpose. Nothing when there is nothing left. */
export async function dueOf(store: ConsentStore, configuration: ConfigurationSource, nowMs: number): Promise<Endings> {
  const rows = await store.due(nowMs, ENDED_AT_ONCE);
  const [waiting, late] = [rows.filter(({ state }) => state === 'REQUESTED'), rows.filter(isInForce)];
  const changed = rows.length > 0 ? [] : await withEndedPurpose(store, configuration, nowMs);
  const parts = [
    await endedBy(store, [...waiting, ...changed.filter((row) => !isInForce(row))], 'LAPSED', nowMs),
    await endedBy(store, late, 'EXPIRED', nowMs),
    await endedBy(store, changed.filter(isInForce), 'INVALIDATED', nowMs),
  ];
  return {
    records: parts.flatMap(({ records }) => records),
    moved: parts.flatMap(({ moved }) => moved),
    statuses: parts.flatMap(({ statuses }) => statuses),
    receipts: parts.flatMap(({ receipts }) => receipts),
  };
}

/** Whose words are no longer in force: the version has ended, or a newer one has begun. */
async function withEndedPurpose(
  store: ConsentStore,
  configuration: ConfigurationSource,
  nowMs: number,
): Promise<ConsentRow[]> {
  if (configuration.freshness() === 'too-old') return [];
  const snapshot = configuration.current();
  for (const { purpose, purposeHash } of await store.purposesInUse()) {
    // What the configuration does not know at all may be a fault of the configuration: that ends nothing for ever.
    if (snapshot.purposeByHash(purposeHash) === undefined) continue;
    try {
      requirePurpose(snapshot, { purpose: { id: purpose, hash: purposeHash } }, nowMs);
    } catch {
      return store.withPurpose(purposeHash, ENDED_AT_ONCE);
    }
  }
  return [];
}

export function isInForce({ state }: ConsentRow): boolean {
  return state === 'GIVEN' || state === 'SUSPENDED';
}
