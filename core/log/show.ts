// Reading records out of a log's folder without a server, for `accord log show`. Nothing is verified here; that is the
// audit's work.
import { requireHere } from '#core/archive/audit-archived.ts';
import { base64url } from '#schemas/base64url.ts';
import { parseLogEntry } from '#schemas/log-entry.ts';
import { type RecordView, viewEvidence } from './record.ts';
import type { LogReader } from './store.ts';
import { openLogAuditSqlite } from './store-sqlite.ts';

export const MAX_SHOWN = 1_000;

/** One row of the store; its evidence is read when it is looked at, while the store is open. @throws LOG_ENTRY_MALFORMED when the line is not an entry */
export function viewRecord(log: LogReader, row: { seq: number; line: string; leaf: Buffer }): RecordView {
  const entry = parseLogEntry(row.line);
  let evidence: RecordView['evidence'] | undefined;
  return {
    seq: row.seq,
    leafHash: base64url(row.leaf),
    line: row.line,
    entry,
    // Mostly a look-up is about the entry, and a path may have to be made from a whole batch.
    get evidence() {
      evidence ??= entry.statement === null ? null : viewEvidence(log.evidence(row.seq));
      return evidence;
    },
  };
}

/**
 * Records of one exchange (newest first), or from a place on (oldest first); at most 1,000.
 * @param isNeeded evidence that is in the archive is a fault, and not null
 * @throws LOG_MISSING, LOG_DATABASE_DAMAGED, LOG_ENTRY_MALFORMED, RECORD_ARCHIVED
 */
export function showLog(
  folder: string,
  which: { id: string } | { fromSeq: number },
  limit: number,
  isNeeded = false,
): RecordView[] {
  const log = openLogAuditSqlite(folder);
  try {
    const most = Math.min(limit, MAX_SHOWN);
    const rows = 'id' in which ? log.linesOf(which.id, most) : log.lines(which.fromSeq, most);
    const records = rows.map((row) => ({ ...viewRecord(log, row) })); // a copy holds the evidence itself
    if (isNeeded) for (const { entry, evidence } of records) requireHere(log, entry, evidence);
    return records;
  } finally {
    log.close();
  }
}
