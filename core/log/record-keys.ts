// Keys of sealed records (DESIGN: the message log). Each record has a data key of its own; data keys are wrapped under
// the key of their retention class and day, those under the server's storage key. The keys live apart from the log and
// its backups, so that destroying them erases what was sealed, in every copy, while the log still verifies.
//
// What a key store promises:
// - What `issue` returns is durable, and it returns before the log row that uses the key is written. Keys may be made
//   ahead, and a crash leaves keys that nothing was sealed with; they go when their day is destroyed. The other order
//   could leave a record that nobody can ever open.
// - One process writes it, the one that holds the log's lock; others may read.
// - Key ids are never used twice, also not by a store that was lost and made anew.
// - `destroy…` returns when the keys are overwritten and out of the write-ahead log; when a reader keeps them in there it
//   is a StoreError of kind `busy`, they are unreadable already, and the call is repeated until it returns.
// - Errors are StoreErrors, as in store.ts.
import type { KeyObject } from 'node:crypto';

export const MS_PER_DAY = 86_400_000;

export interface RecordKey {
  id: Buffer;
  /** For AES-256-GCM. */
  key: KeyObject;
}

export interface KeyDay {
  retention: string;
  day: number;
  keys: number;
}

export interface RecordKeys {
  /** One fresh key for each request. `day`: days since the epoch, UTC. */
  issue(requests: readonly { retention: string; day: number }[]): RecordKey[];
  /** The data key, or null when it was destroyed. @throws RECORD_UNREADABLE when its wrapping was changed */
  open(id: Buffer): KeyObject | null;
  /** True when this key was destroyed; one that is neither there nor destroyed was lost with an older or newer store. */
  isDestroyed(id: Buffer, under: { retention: string; day: number }): boolean;
  /** Destroys one record's key; true when there was one. */
  destroy(id: Buffer): boolean;
  /**
   * Destroys the keys of a class on these days, but those named; returns how many records can no longer be opened (after a
   * crash, at most).
   * @param firstDay days since the epoch, UTC, both included
   * @param except ids of keys that stay: they go over to a fresh key of their day
   */
  destroyDays(retention: string, firstDay: number, lastDay: number, except?: readonly Buffer[]): number;
  /** Classes and days of which there are keys, ascending, and how many (after a crash, at most). */
  days(): KeyDay[];
  probe(): void;
  close(): void;
}

/** What an auditor of the archive needs. */
export type RecordKeyReader = Pick<RecordKeys, 'open' | 'isDestroyed' | 'days' | 'close'> & {
  /** `open` for many, in their order; neighbours mostly share what has to be unwrapped. */
  openMany(ids: readonly Buffer[]): (KeyObject | null)[];
};
