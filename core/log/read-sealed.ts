// Opening the sealed parts of single records without a server, for an auditor who holds the storage key; also while the
// server runs. Whoever can write to the folders controls what is read: the parts open only beside the very entry they
// were sealed with, and what they say is judged by the caller.
import { parseLogEntry } from '#schemas/log-entry.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { MS_PER_DAY } from './record-keys.ts';
import { readRecordKeysSqlite } from './record-keys-sqlite.ts';
import { openRecord, type SealedParts } from './sealed-record.ts';
import { openLogAuditSqlite } from './store-sqlite.ts';

export interface SealedPlace {
  folder: string;
  keyFolder: string;
  /** 32 bytes. */
  storageKey: Buffer;
}

/** `none`: nothing was sealed; `erased`: the key was destroyed; `unreadable`: record or key were changed; `archived`: not here. */
export type Unsealed = { state: 'open'; parts: SealedParts } | { state: 'none' | 'erased' | 'unreadable' | 'archived' };

/** @throws LOG_MISSING, LOG_UNREADABLE, LOG_DATABASE_DAMAGED, LOG_ENTRY_MALFORMED, RECORD_KEYS_WRONG, RECORD_KEYS_LOST */
export function readSealed({ folder, keyFolder, storageKey }: SealedPlace, seqs: readonly number[]): Unsealed[] {
  const log = openLogAuditSqlite(folder);
  try {
    const keys = readRecordKeysSqlite(keyFolder, storageKey);
    try {
      const origin = log.identity()?.origin ?? '';
      const archivedUntil = log.archivedUntil();
      return seqs.map((seq) => {
        const sealed = log.sealed(seq);
        const row = log.lines(seq, 1)[0];
        if (sealed === null || row?.seq !== seq) return { state: 'none' };
        return opened(() => {
          const key = keys.open(sealed.keyId);
          if (key !== null && seq < archivedUntil) return { state: 'archived' };
          if (key !== null) return { state: 'open', parts: openRecord(sealed.bytes, key, origin, row.leaf) };
          const { retention, t } = parseLogEntry(row.line);
          const isErased = keys.isDestroyed(sealed.keyId, { retention, day: Math.floor(t / MS_PER_DAY) });
          if (!isErased) throw new AccordError('RECORD_KEYS_LOST', `entry ${seq}`);
          return { state: 'erased' };
        });
      });
    } finally {
      keys.close();
    }
  } finally {
    log.close();
  }
}

function opened(open: () => Unsealed): Unsealed {
  try {
    return open();
  } catch (error) {
    if (isAccordError(error, 'RECORD_UNREADABLE')) return { state: 'unreadable' };
    throw error;
  }
}
