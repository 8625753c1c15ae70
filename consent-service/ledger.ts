// The one place through which records come about: what changes anything runs one after the other, and only when its records
// are durable is it told, in this order, to the status lists and to the caller. Consents and mandates share it, so that
// their records stand in one order. Between a crash and the next start nothing is lost: whatever was told is in the records.
import { type MadeRecord, nextRecords, verifyRecords } from './records.ts';
import type { StatusBook } from './status-book.ts';
import type { Change, ConsentStore, StoredReceipt } from './store.ts';

export interface LedgerOptions {
  store: ConsentStore;
  book: StatusBook;
  /** Statuses in these lists have changed and are durable; `services` are those whose receipts did. */
  onStatusChange(lists: readonly string[], services: readonly string[]): void;
}

export interface Ledger {
  /** Look, judge, append: nobody else changes anything meanwhile. */
  alone<T>(work: () => Promise<T>): Promise<T>;
  /** Number of the next record; only within `alone`. */
  nextSeq(): number;
  /** Only within `alone`. @param touched receipts whose status changes @throws CONSENT_STORE_FAILED */
  append(
    made: readonly MadeRecord[],
    change: Omit<Change, 'records'>,
    touched?: readonly StoredReceipt[],
  ): Promise<void>;
}

/** Reads and checks all records first. @throws CONSENT_RECORDS_DAMAGED, CONSENT_STORE_FAILED */
export async function openLedger({ store, book, onStatusChange }: LedgerOptions): Promise<Ledger> {
  let head = await verifyRecords(store);
  let last: Promise<unknown> = Promise.resolve();
  return {
    alone(work) {
      const mine = last.then(work);
      last = mine.catch(() => {});
      return mine;
    },
    nextSeq: () => (head === null ? 0 : head.seq + 1),
    async append(made, change, touched = []) {
      const records = nextRecords(head, made);
      await store.append({ ...change, records });
      head = records.at(-1) ?? head;
      const lists = book.apply(change.lists ?? [], change.statuses ?? []);
      if (lists.length > 0) onStatusChange(lists, [...new Set(touched.map(({ service }) => service))]);
    },
  };
}
