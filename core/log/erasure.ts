// What lawful erasure needs of a message log that is written (core/retention): which keys there are, whether they still
// open something, and their destruction. It decides nothing: who may ask for what stands above it.
import type { KeyDay, RecordKeys } from './record-keys.ts';

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
}

export function logErasure(keys: RecordKeys): LogErasure {
  return {
    destroyDays: (retention, firstDay, lastDay, except) => keys.destroyDays(retention, firstDay, lastDay, except),
    destroyKey: (keyId) => keys.destroy(keyId),
    holdsKey: (keyId) => keys.open(keyId) !== null,
    keyDays: () => keys.days(),
  };
}
