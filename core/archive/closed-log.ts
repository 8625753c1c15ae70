// Closed logs of a server (core/log/new-origin.ts) and their archive. Nothing can be appended to a closed log, so that the
// entries `archived` about it stand in the log in use, under an id that has its number; else a segment is planned, copied, read
// back and let go as one of the log in use. What the database lets go of, the log that follows has said first.
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { findingOf } from '#core/log/audit-finding.ts';
import { type ClosedLog, isLeftOpen, openClosedLogSqlite } from '#core/log/closed-log-sqlite.ts';
import { closedLogFolder } from '#core/log/new-origin.ts';
import { numberedOrigin, originNumber } from '#core/log/origin.ts';
import type { LogAuditReader } from '#core/log/store.ts';
import { isLogFolder, openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import type { ArchiveManifest } from '#schemas/archive.ts';
import { parseLogEntry } from '#schemas/log-entry.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { type ArchivedEntry, archivedIdOf, newestArchived } from './audit-archived.ts';
import type { WhatIsOld } from './plan.ts';
import type { ArchiveRun } from './run-archive.ts';

const FOLDER = /^(.+)-([1-9][0-9]{0,8})$/;

export interface ClosedPlace {
  origin: string;
  number: number;
  folder: string;
}

/** What of a closed log is in the archive. */
export interface ClosedState {
  origin: string;
  entries: number;
  archivedUntil: number;
  /** Where it was signed last: nothing behind that can go. */
  signedUntil: number;
  /** When the oldest entry that can go and has not gone was written; null when there is none. */
  oldestMs: number | null;
}

/** Those that are there, oldest first. @param folder of the log in use @param origin its origin */
export function closedLogs(folder: string, origin: string): ClosedPlace[] {
  const { base, number } = originNumber(origin);
  return Array.from({ length: number - 1 }, (_, i) => i + 1)
    .map((n) => ({ origin: numberedOrigin(base, n), number: n, folder: closedLogFolder(folder, n) }))
    .filter((place) => isLogFolder(place.folder));
}

/** What the logs that follow a closed one say of its archive; null too for a log in use. @throws ARCHIVE_MALFORMED, JSON_* */
export function archivedLater(folder: string): ArchivedEntry | null {
  const number = Number(FOLDER.exec(basename(folder))?.[2] ?? 0);
  return inLater(folder, (log) => newestArchived(log, archivedIdOf(number)));
}

/** The newest of the log's own and those that follow it. @throws LOG_*, ARCHIVE_MALFORMED, JSON_* */
function archivedOfClosed(folder: string): (ArchivedEntry & { isOwn: boolean }) | null {
  const later = archivedLater(folder);
  if (later !== null) return { ...later, isOwn: false };
  const own = reading(folder, newestArchived);
  return own === null ? null : { ...own, isOwn: true };
}

/** @throws LOG_* */
export function closedState({ origin, folder }: ClosedPlace): ClosedState {
  return reading(folder, (log) => {
    const [entries, archivedUntil] = [log.size(), log.archivedUntil()];
    const signedUntil = Math.min(log.lastCheckpoint()?.size ?? 0, entries);
    const oldest = archivedUntil < signedUntil ? log.lines(archivedUntil, 1)[0]?.line : undefined;
    const oldestMs = oldest === undefined ? null : parseLogEntry(oldest).t;
    return { origin, entries, archivedUntil, signedUntil, oldestMs };
  });
}

/**
 * Archives one segment of a closed log, or completes the last one.
 * @param run `log` is the one in use
 * @param old null only completes what was begun
 * @returns the segment; null when nothing is old enough
 * @throws ARCHIVE_*, LOG_*, StoreError
 */
export async function archiveClosedSegment(
  run: Omit<ArchiveRun, 'folder' | 'log' | 'closed'> & { log: Pick<ArchiveRun['log'], 'append'> },
  { folder, number }: ClosedPlace,
  old: WhatIsOld | null,
): Promise<ArchiveManifest | null> {
  let writer: ClosedLog | null = isLeftOpen(folder) ? openClosedLogSqlite(folder) : null;
  const opened = () => (writer ??= openClosedLogSqlite(folder));
  try {
    const log = {
      append: (record: Parameters<ArchiveRun['log']['append']>[0]) => run.log.append(record),
      archivedUntil: () => writer?.archivedUntil() ?? reading(folder, (one) => one.archivedUntil()),
      releaseArchived: (seq: number, until: number) => {
        const said = archivedOfClosed(folder);
        return opened().release({ seq, note: said === null || said.isOwn ? null : said.note }, until);
      },
    };
    // The log that follows cites this one's end, so that its anchorings are about both.
    const isVouchedFor = inLater(folder, (log) => log.linesOf('anchored', 1)[0] ?? null) !== null;
    const isAnchored = reading(folder, (log) => log.linesOf('anchored', 1).length > 0);
    const closed = { id: archivedIdOf(number), newest: () => archivedOfClosed(folder) };
    // A server that has no archive never loads what makes one, the audit among it.
    const { archiveSegment } = await import('./run-archive.ts');
    return await archiveSegment(
      { ...run, log, folder, closed: { ...closed, isVouchedFor: isVouchedFor || !isAnchored } },
      old,
    );
  } finally {
    writer?.close();
  }
}

/** The first answer of the logs that follow a closed one, newest first. */
function inLater<T>(folder: string, ask: (log: LogAuditReader) => T | null): T | null {
  const [, stem, digits] = FOLDER.exec(basename(folder)) ?? [];
  if (stem === undefined || !existsSync(folder)) return null;
  const parent = dirname(folder);
  const later = readdirSync(parent)
    .map((name) => ({ name, number: name === stem ? Number.POSITIVE_INFINITY : numberIn(name, stem) }))
    .filter(({ number }) => number > Number(digits))
    .sort((a, b) => b.number - a.number);
  for (const { name } of later) {
    try {
      const found = reading(join(parent, name), ask);
      if (found !== null) return found;
    } catch (error) {
      // A log that cannot be read has nothing to say.
      if (!isAccordError(error, 'LOG_MISSING') && !isAccordError(error, 'LOG_DATABASE_DAMAGED')) throw error;
    }
  }
  return null;
}

function numberIn(name: string, stem: string): number {
  const [, other, digits] = FOLDER.exec(name) ?? [];
  return other === stem ? Number(digits) : 0;
}

function reading<T>(folder: string, read: (log: LogAuditReader) => T): T {
  const log = openLogAuditSqlite(folder);
  try {
    return read(log);
  } catch (cause) {
    if (isAccordError(cause)) throw cause;
    const { code, message } = findingOf(cause);
    throw new AccordError(code, message, { cause });
  } finally {
    log.close();
  }
}
