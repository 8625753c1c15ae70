// What the next segment of an archive holds: it goes on where the newest entry `archived` ended, and ends at a signed
// checkpoint, whose size is where a turn of the log ended, so that no signed batch is cut. Nothing younger than the time that
// is given, and where the log is anchored nothing that others do not vouch for yet.
import { setImmediate } from 'node:timers/promises';
import { parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import type { LogAuditReader } from '#core/log/store.ts';
import { parseAnchoring } from '#schemas/anchoring.ts';
import type { ArchiveManifest } from '#schemas/archive.ts';
import { ARCHIVE_SEGMENT_ENTRIES } from '#schemas/limits.ts';
import { newestArchived } from './audit-archived.ts';

/** Checkpoints looked at before others may run: some milliseconds. */
const AT_ONCE = 256;

export interface SegmentPlan {
  /** The entries [from, to). */
  from: number;
  to: number;
  /** Numbers of the stored checkpoints that go with them; the last one is of size `to`. */
  checkpoints: { from: number; to: number };
  /** SHA-256 of the manifest before. */
  previous: string | null;
  /** The entry `anchored` that goes along; null while others vouch for nothing so far. */
  anchoredSeq: number | null;
}

export interface WhatIsOld {
  /** Only entries under checkpoints that were made at or before this time, */
  beforeMs: number;
  /** or so many that more than this would stay. */
  keepEntries: number;
}

type PlannedLog = Pick<LogAuditReader, 'linesOf' | 'evidence' | 'checkpointFrom' | 'size'>;

/** What the log says of its archive so far, where that is known from elsewhere. */
interface PlannedBefore {
  newest: { manifest: Pick<ArchiveManifest, 'to' | 'checkpoints'>; hash: string } | null;
  /** Others vouch for the whole log: it is closed, and the one that follows it cites its end. */
  isVouchedFor: boolean;
}

/** Null when nothing is old enough. @throws ARCHIVE_MALFORMED, ANCHORING_MALFORMED, NOTE_MALFORMED for a log that was changed */
export async function planSegment(
  log: PlannedLog,
  { beforeMs, keepEntries }: WhatIsOld,
  { newest, isVouchedFor }: PlannedBefore = { newest: newestArchived(log), isVouchedFor: false },
): Promise<SegmentPlan | null> {
  const from = newest?.manifest.to ?? 0;
  const first = newest?.manifest.checkpoints.to ?? 0;
  const anchored = newestAnchored(log);
  const most = isVouchedFor ? Number.POSITIVE_INFINITY : (anchored?.size ?? Number.POSITIVE_INFINITY);
  let end: { number: number; size: number } | null = null;
  for (let number = first; ; number++) {
    if (number % AT_ONCE === AT_ONCE - 1) await setImmediate();
    const checkpoint = log.checkpointFrom(number);
    if (checkpoint === null) break;
    const { size, atMs } = checkpoint;
    const isOld = atMs <= beforeMs || size <= log.size() - keepEntries;
    if (size > most || !isOld || (end !== null && size > from + ARCHIVE_SEGMENT_ENTRIES)) break;
    // Of heartbeats, which have the size of the one before, the first: the others belong to what follows.
    if (size > (end?.size ?? from)) end = { number, size };
  }
  if (end === null) return null;
  return {
    from,
    to: end.size,
    checkpoints: { from: first, to: end.number + 1 },
    previous: newest?.hash ?? null,
    anchoredSeq: anchored?.seq ?? null,
  };
}

function newestAnchored(log: PlannedLog): { seq: number; size: number } | null {
  const [row] = log.linesOf('anchored', 1);
  const note = row === undefined ? undefined : log.evidence(row.seq)?.statement;
  if (row === undefined || note === undefined) return null;
  return { seq: row.seq, size: parseCheckpointText(parseNote(parseAnchoring(note).checkpoint).text).size };
}
