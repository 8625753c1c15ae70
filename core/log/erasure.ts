// What lawful erasure needs of a message log (core/retention): which keys there are, whether they still open something,
// their destruction, and the entries that tell of it. It decides nothing: who may ask for what stands above it.
import type { KeyDay, RecordKeys } from './record-keys.ts';
import type { LogStore, StoredNote } from './store.ts';

/** Entries looked through for notes at once: some milliseconds. */
const MAX_SCANNED = 20_000;

export interface LogErasure {
  /**
   * Erases what was sealed in a class on these days (since the epoch, UTC, both included), but not what the keys with
   * these ids open; how many records. @throws StoreError of kind `busy`: repeat it
   */
  destroyDays(retention: string, firstDay: number, lastDay: number, except?: readonly Buffer[]): number;
  /** Erases what was sealed under one key; false when it was erased before. @throws StoreError of kind `busy`: repeat it */
  destroyKey(keyId: Buffer): boolean;
  /** Whether that key still opens something. @throws RECORD_UNREADABLE */
  holdsKey(keyId: Buffer): boolean;
  /** Classes and days that can still be opened, ascending, and with how many keys. */
  keyDays(): KeyDay[];
  /** Of a sealed record; null when nothing was sealed. */
  keyIdOf(seq: number): Buffer | null;
  /** The next entries about the log itself from an entry on: `next` is where to go on, null at the end. */
  notes(fromSeq: number): { notes: StoredNote[]; next: number | null };
}

export function logErasure(store: LogStore, keys: RecordKeys): LogErasure {
  return {
    destroyDays: (retention, firstDay, lastDay, except) => keys.destroyDays(retention, firstDay, lastDay, except),
    destroyKey: (keyId) => keys.destroy(keyId),
    holdsKey: (keyId) => keys.open(keyId) !== null,
    keyDays: () => keys.days(),
    keyIdOf: (seq) => store.sealed(seq)?.keyId ?? null,
    notes(fromSeq) {
      const untilSeq = fromSeq + MAX_SCANNED;
      const notes = store.notes(fromSeq, untilSeq);
      return { notes, next: untilSeq < store.size() ? untilSeq : null };
    },
  };
}
