// A log at hand whose old part was archived, as an audit reads a whole log: lines, tree, checkpoints and notes are the log's
// own, what lies beside the entries of the archived part comes from the archive, segment by segment. The two have to hold the
// same lines. Whoever holds the disk controls the one, whoever holds the archive the other.
import { sha256 } from '#certs/commitment.ts';
import { leafHash } from '#certs/merkle.ts';
import { Finding } from '#core/log/audit-finding.ts';
import type { RangeSource } from '#core/log/range-source.ts';
import type { LogAuditReader, SealedRow, StoredRow } from '#core/log/store.ts';
import { packRows, rowOfPage, type StoredPage } from '#core/log/stored-page.ts';
import { type ArchiveSource, isKeyOfArchive } from './archive-source.ts';

/** @param until entries before this one lie in the archive, as the log says */
export function archivedLogSource(
  log: LogAuditReader,
  archive: ArchiveSource,
  until: number,
): RangeSource & Pick<LogAuditReader, 'sealedRows'> {
  const { subtree } = log;
  return {
    identity: () => log.identity(),
    size: () => log.size(),
    linesOf: (id, limit) => log.linesOf(id, limit),
    evidence: (seq) => log.evidence(seq),
    subtree,
    tile: (level, index) => log.tile(level, index),
    checkpointFrom: (number) => log.checkpointFrom(number),
    lastCheckpoint: () => log.lastCheckpoint(),
    straySeq: () => log.straySeq(),
    damage: () => log.damage(),
    lines: (fromSeq, limit) => log.lines(fromSeq, limit),
    notes: (fromSeq, untilSeq) => log.notes(fromSeq, untilSeq),
    sealed: (seq) => log.sealed(seq),
    claimed: (fromSeq) => log.claimed(fromSeq),
    // Nothing is elsewhere.
    archivedUntil: () => 0,
    page: (fromSeq, limit) => {
      if (fromSeq >= until) return log.page(fromSeq, limit);
      const own = log.page(fromSeq, Math.min(limit, until - fromSeq));
      return own.count === 0 ? own : together(own, archive.page(fromSeq, own.count));
    },
    signature: (key) => (isKeyOfArchive(key) ? archive : log).signature(key),
    members: (key, first, last) => (isKeyOfArchive(key) ? archive : log).members(key, first, last),
    sealedRows: (from, to): SealedRow[] => [
      ...archive.sealedRows(from, Math.min(to, until)),
      ...log.sealedRows(Math.max(from, until), Math.max(to, until)),
    ],
    ahead: {
      entries: async (from, to) => {
        if (from < until) await archive.ahead.entries(from, Math.min(to, until - 1));
      },
    },
  };
}

/** Rows of the log with what the archive holds beside them. @throws Finding where they are not of the same entry */
function together(own: StoredPage, archived: StoredPage): StoredPage {
  const rows: StoredRow[] = [];
  for (let i = 0; i < Math.min(own.count, archived.count); i++) {
    const [here, there] = [rowOfPage(own, i), rowOfPage(archived, i)];
    if (here.line !== there.line) {
      if (rows.length > 0) break;
      // The log's own line is judged before anything is said of the archive.
      if (!leafHash(here.line).equals(here.leaf)) return packRows([here]);
      throw new Finding('ARCHIVE_DAMAGED', here.seq, 'log and archive hold different entries');
    }
    const note = here.evidence?.statement;
    if (note !== undefined && there.evidence?.statement.equals(note) !== true) {
      if (rows.length > 0) break;
      if (!here.line.includes(sha256(note))) return packRows([here]);
      throw new Finding('ARCHIVE_DAMAGED', here.seq, 'log and archive hold different evidence');
    }
    rows.push({ ...here, evidence: there.evidence });
  }
  return packRows(rows);
}
