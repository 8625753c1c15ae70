// The chain of records: each line carries the hash of the line before, and may stand there only if the state machine
// allows it (state.ts). At every start the whole chain is read again and compared with the rows that were made from it,
// so that a changed, missing or invented record, state, receipt or status keeps the service from starting. Whoever can
// write to the database controls everything that is read here. What the chain alone cannot show, that its end was cut off,
// shows in the receipts that clients hold: each names the number of its record.
import { sha256 } from '#certs/commitment.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import {
  type AskedConsent,
  type ChainRecord,
  type ConsentRecord,
  type ConsentState,
  chainRecordLine,
  type MandateRecord,
  parseChainRecord,
} from '#schemas/consent.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { AccordError } from '#schemas/problems.ts';
import { STATUS } from '#schemas/receipt.ts';
import { isActive, itemsAbove, mandateMayFollow, reachesDecided, reachesPurpose } from './mandate-state.ts';
import { mayFollow, type Step } from './state.ts';
import type { ConsentStore, MandateRow, StoredReceipt, StoredRecord } from './store.ts';

/** What the first record names as the one before. */
const NOTHING_BEFORE = sha256('');
const PAGE = 200;

type Place = 'v' | 'seq' | 'previous';
/** A record before it has its place in the chain. */
export type MadeRecord = Omit<ConsentRecord, Place> | Omit<MandateRecord, Place>;

/** Makes the records that follow `head`, in order. */
export function nextRecords(head: StoredRecord | null, made: readonly MadeRecord[]): StoredRecord[] {
  let [seq, previous] = [head === null ? 0 : head.seq + 1, head?.hash ?? NOTHING_BEFORE];
  return made.map((each) => {
    const line = chainRecordLine({ v: 1, seq, previous, ...each });
    const record = { seq, line, hash: sha256(line), consent: subjectOf(each) };
    seq += 1;
    previous = record.hash;
    return record;
  });
}

/** The status that the receipts of a consent in this state have. */
export function statusOf(state: ConsentState): number {
  if (state === 'GIVEN') return STATUS.valid;
  return state === 'SUSPENDED' ? STATUS.suspended : STATUS.invalid;
}

function subjectOf(record: MadeRecord): string {
  return 'mandate' in record ? record.mandate : record.consent;
}

/** What a mandate is measured by; the items only until they are decided. */
interface Measured {
  subject: string;
  purpose: string;
  services: { service: string; items: { element: string; level: Level }[] }[];
}

interface Known {
  last: Step;
  asked: Measured;
  /** The mandate under which it was decided. */
  mandate: string | null;
  /** Hashes of receipts by their id. */
  receipts: ReadonlyMap<string, string>;
}

/**
 * Recomputes the chain and what was made of it.
 * @returns the last record; null for an empty store
 * @throws CONSENT_RECORDS_DAMAGED naming the first place
 */
export async function verifyRecords(store: ConsentStore): Promise<StoredRecord | null> {
  const consents = new Map<string, Known>();
  const mandates = new Map<string, MandateRow>();
  let head: StoredRecord | null = null;
  for (let from = 0; ; from += PAGE) {
    const page: StoredRecord[] = await store.records(from, PAGE);
    for (const stored of page) {
      const record = checkLine(stored, head);
      const refusal = 'mandate' in record ? followMandate(mandates, record) : followConsent(consents, mandates, record);
      if (refusal !== null) throw damaged(`record ${stored.seq}: ${refusal}`);
      head = stored;
    }
    if (page.length < PAGE) break;
  }
  await checkRows(store, consents);
  await checkMandateRows(store, mandates);
  return head;
}

/** Puts the record to what is known; says why it cannot stand there. */
function followConsent(
  known: Map<string, Known>,
  mandates: ReadonlyMap<string, MandateRow>,
  record: ConsentRecord,
): string | null {
  const { consent, state, by, atMs, asked: first, given, acting } = record;
  const before = known.get(consent);
  const refusal = mayFollow(before === undefined ? [] : [before.last], record);
  const asked = before?.asked ?? (first && measuredOf(first));
  if (refusal !== null || asked === undefined) return `${state} cannot follow`;
  const isDecision = before?.last.state === 'REQUESTED' && state !== 'LAPSED';
  if (acting !== undefined) {
    const mandate = mandates.get(acting.mandate);
    const decidedUnder = isDecision ? acting.mandate : (before?.mandate ?? null);
    if (mandate === undefined || !couldAct(mandate, record, acting.representative, asked, decidedUnder)) {
      return `${state} under a mandate that does not reach so far`;
    }
  }
  const receipts = given?.receipts.map(({ jti, hash }) => [jti, hash] as const);
  known.set(consent, {
    last: { state, by, atMs },
    asked: state === 'REQUESTED' ? asked : { ...asked, services: [] },
    mandate: isDecision ? (acting?.mandate ?? null) : (before?.mandate ?? null),
    receipts: receipts === undefined ? (before?.receipts ?? new Map()) : new Map(receipts),
  });
  return null;
}

function measuredOf({ subject, purpose, services }: AskedConsent): Measured {
  return {
    subject,
    purpose: purpose.id,
    services: services.map(({ service, items }) => ({
      service,
      items: items.map(({ element, level }) => ({ element, level })),
    })),
  };
}

/** The legal day is taken as late as it can begin anywhere: in which zone it was then, the records do not say. */
const LATEST_ZONE_MINUTES = -720;

function couldAct(
  mandate: MandateRow,
  { atMs, given, state }: ConsentRecord,
  representative: string,
  asked: Measured,
  decidedUnder: string | null,
): boolean {
  return (
    isActive(mandate, atMs, LATEST_ZONE_MINUTES) &&
    mandate.representative === representative &&
    mandate.represented === asked.subject &&
    reachesPurpose(mandate, asked.purpose) &&
    reachesDecided(mandate, decidedUnder) &&
    (state !== 'GIVEN' || given === undefined || itemsAbove(mandate, asked, given.given).length === 0) &&
    (state !== 'REFUSED' || itemsAbove(mandate, asked, null).length === 0)
  );
}

function followMandate(known: Map<string, MandateRow>, record: MandateRecord): string | null {
  const { mandate: id, state, atMs, reason } = record;
  const before = known.get(id);
  const refusal = mandateMayFollow(before === undefined ? null : { state: before.state, terms: before }, record);
  const terms = before ?? record.terms;
  if (refusal !== null || terms === undefined) return `mandate ${state} cannot follow`;
  known.set(id, {
    ...terms,
    ...{ id, state, filedAtMs: before?.filedAtMs ?? atMs },
    ...{ endedAtMs: state === 'ENDED' ? atMs : null, reason: reason ?? null },
  });
  return null;
}

function checkLine(stored: StoredRecord, head: StoredRecord | null): ChainRecord {
  const at = `record ${stored.seq}`;
  const expected = head === null ? 0 : head.seq + 1;
  if (stored.seq !== expected) throw damaged(`record ${expected} is missing`);
  if (sha256(stored.line) !== stored.hash) throw damaged(`${at}: its bytes have another hash`);
  let record: ChainRecord;
  try {
    record = parseChainRecord(stored.line);
  } catch (cause) {
    throw new AccordError('CONSENT_RECORDS_DAMAGED', `${at}: not a record`, { cause });
  }
  if (chainRecordLine(record) !== stored.line) throw damaged(`${at}: not in its one spelling`);
  if (record.seq !== stored.seq || subjectOf(record) !== stored.consent) throw damaged(`${at}: stored as another one`);
  if (record.previous !== (head?.hash ?? NOTHING_BEFORE)) throw damaged(`${at}: the record before is another one`);
  return record;
}

async function checkRows(store: ConsentStore, known: ReadonlyMap<string, Known>): Promise<void> {
  const statuses = new Map<string, number>();
  for (const { id } of await store.lists()) {
    for (const { idx, value } of await store.statuses(id)) statuses.set(`${id} ${idx}`, value);
  }
  let count = 0;
  for (let after = ''; ; ) {
    const page = await store.consents(after, PAGE);
    const receipts = Map.groupBy(await store.receiptsOf(page.map(({ id }) => id)), ({ consent }) => consent);
    for (const { id, state, mandate } of page) {
      const expected = known.get(id);
      if (expected === undefined || expected.last.state !== state) throw damaged(`consent ${id} is not ${state}`);
      if (expected.mandate !== mandate) throw damaged(`consent ${id} was decided by somebody else`);
      checkReceipts(id, expected, receipts.get(id) ?? [], statuses);
      count += 1;
      after = id;
    }
    if (page.length < PAGE) break;
  }
  if (count !== known.size) throw damaged(`${known.size} consents in the records, ${count} beside them`);
}

/** Rows are what the records say, in every member. */
async function checkMandateRows(store: ConsentStore, known: ReadonlyMap<string, MandateRow>): Promise<void> {
  let count = 0;
  for (let after = ''; ; ) {
    const page = await store.mandates(after, PAGE);
    for (const row of page) {
      const expected = known.get(row.id);
      if (expected === undefined || canonicalJson({ ...row }) !== canonicalJson({ ...expected })) {
        throw damaged(`mandate ${row.id} is not what its records say`);
      }
      count += 1;
      after = row.id;
    }
    if (page.length < PAGE) break;
  }
  if (count !== known.size) throw damaged(`${known.size} mandates in the records, ${count} beside them`);
}

function checkReceipts(
  id: string,
  { last, receipts }: Known,
  stored: readonly StoredReceipt[],
  statuses: ReadonlyMap<string, number>,
): void {
  if (stored.length !== receipts.size) throw damaged(`consent ${id}: its receipts are not whole`);
  for (const { jti, jws, list, idx } of stored) {
    if (receipts.get(jti) !== sha256(jws)) throw damaged(`receipt ${jti} is another one`);
    if (statuses.get(`${list} ${idx}`) !== statusOf(last.state)) throw damaged(`receipt ${jti}: a wrong status`);
  }
}

function damaged(detail: string): AccordError {
  return new AccordError('CONSENT_RECORDS_DAMAGED', detail);
}
