// The chain of records: each line carries the hash of the line before, and may stand there only if the state machine
// allows it (state.ts). At every start the whole chain is read again and compared with the rows that were made from it,
// so that a changed, missing or invented record, state, receipt or status keeps the service from starting. Whoever can
// write to the database controls everything that is read here. What the chain alone cannot show, that its end was cut off,
// shows in the receipts that clients hold: each names the number of its record.
import { sha256 } from '#certs/commitment.ts';
import { type ConsentRecord, type ConsentState, consentRecordLine, parseConsentRecord } from '#schemas/consent.ts';
import { AccordError } from '#schemas/problems.ts';
import { STATUS } from '#schemas/receipt.ts';
import { mayFollow, type Step } from './state.ts';
import type { ConsentStore, StoredReceipt, StoredRecord } from './store.ts';

/** What the first record names as the one before. */
const NOTHING_BEFORE = sha256('');
const PAGE = 200;

/** Makes the records that follow `head`, in order. */
export function nextRecords(
  head: StoredRecord | null,
  made: readonly Omit<ConsentRecord, 'v' | 'seq' | 'previous'>[],
): StoredRecord[] {
  let [seq, previous] = [head === null ? 0 : head.seq + 1, head?.hash ?? NOTHING_BEFORE];
  return made.map((each) => {
    const line = consentRecordLine({ v: 1, seq, previous, ...each });
    const record = { seq, line, hash: sha256(line), consent: each.consent };
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

interface Known {
  last: Step;
  /** Hashes of receipts by their id. */
  receipts: ReadonlyMap<string, string>;
}

/**
 * Recomputes the chain and what was made of it.
 * @returns the last record; null for an empty store
 * @throws CONSENT_RECORDS_DAMAGED naming the first place
 */
export async function verifyRecords(store: ConsentStore): Promise<StoredRecord | null> {
  const known = new Map<string, Known>();
  let head: StoredRecord | null = null;
  for (let from = 0; ; from += PAGE) {
    const page: StoredRecord[] = await store.records(from, PAGE);
    for (const stored of page) {
      const record = checkLine(stored, head);
      const before = known.get(record.consent);
      const refusal = mayFollow(before === undefined ? [] : [before.last], record);
      if (refusal !== null) throw damaged(`record ${stored.seq}: ${record.state} cannot follow`);
      const receipts = record.given?.receipts.map(({ jti, hash }) => [jti, hash] as const);
      const { state, by, atMs } = record;
      known.set(record.consent, {
        last: { state, by, atMs },
        receipts: receipts === undefined ? (before?.receipts ?? new Map()) : new Map(receipts),
      });
      head = stored;
    }
    if (page.length < PAGE) break;
  }
  await checkRows(store, known);
  return head;
}

function checkLine(stored: StoredRecord, head: StoredRecord | null): ConsentRecord {
  const at = `record ${stored.seq}`;
  const expected = head === null ? 0 : head.seq + 1;
  if (stored.seq !== expected) throw damaged(`record ${expected} is missing`);
  if (sha256(stored.line) !== stored.hash) throw damaged(`${at}: its bytes have another hash`);
  let record: ConsentRecord;
  try {
    record = parseConsentRecord(stored.line);
  } catch (cause) {
    throw new AccordError('CONSENT_RECORDS_DAMAGED', `${at}: not a record`, { cause });
  }
  if (consentRecordLine(record) !== stored.line) throw damaged(`${at}: not in its one spelling`);
  if (record.seq !== stored.seq || record.consent !== stored.consent) throw damaged(`${at}: stored as another one`);
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
    for (const { id, state } of page) {
      const expected = known.get(id);
      if (expected === undefined || expected.last.state !== state) throw damaged(`consent ${id} is not ${state}`);
      checkReceipts(id, expected, receipts.get(id) ?? [], statuses);
      count += 1;
      after = id;
    }
    if (page.length < PAGE) break;
  }
  if (count !== known.size) throw damaged(`${known.size} consents in the records, ${count} beside them`);
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
