// Origins of a server's message logs. The first is the base name; when a log cannot go on, the next is the base with a
// number: accord/INSTANCE/CLASS/MEMBER/SERVER, then .../2, .../3. The server identifier has exactly four segments, so
// that the number cannot be taken for one. What a folder says of its origin is believed only after its checkpoint was
// verified.
import { isAccordError } from '#schemas/problems.ts';
import { readCheckpointFile } from './checkpoint-file.ts';
import { parseNote } from './signed-note.ts';
import { openLogAuditSqlite } from './store-sqlite.ts';

const NUMBERED = /^(accord(?:\/[^/]+){4})\/([2-9]|[1-9][0-9]{1,8})$/;

/** Which of a server's logs it is, from 1, and the name all of them begin with. */
export function originNumber(origin: string): { base: string; number: number } {
  const [, base, digits] = NUMBERED.exec(origin) ?? [];
  return base === undefined ? { base: origin, number: 1 } : { base, number: Number(digits) };
}

export function numberedOrigin(base: string, number: number): string {
  return number === 1 ? base : `${base}/${number}`;
}

/**
 * The origin a log's folder belongs to: the checkpoint file's, which is never restored from a backup, or else the
 * database's; null when there is neither. Not verified: opening the log does that.
 */
export function originOfFolder(folder: string, checkpointFile: string): string | null {
  const kept = readCheckpointFile(checkpointFile);
  try {
    if (kept !== null) return parseNote(kept).text.split('\n', 1)[0] ?? null;
    const log = openLogAuditSqlite(folder);
    const identity = log.identity();
    log.close();
    return identity?.origin ?? null;
  } catch (error) {
    // The start says what is wrong with the file or the log; here it has no origin to offer.
    if (isAccordError(error)) return null;
    throw error;
  }
}
