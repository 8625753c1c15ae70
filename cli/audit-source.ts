// What `accord audit log` audits: a log at hand, a log whose old part was archived together with its archive, or an archive
// alone, which needs neither the server nor its disk. Folder and destination are the auditor's to name; whoever holds them
// controls what is read.
import { existsSync } from 'node:fs';
import { ArchiveSource } from '#core/archive/archive-source.ts';
import { archivedLogSource } from '#core/archive/archived-log.ts';
import { newestArchived } from '#core/archive/audit-archived.ts';
import { archivedLater } from '#core/archive/closed-log.ts';
import { findSegments } from '#core/archive/segments.ts';
import type { RangeSource } from '#core/log/range-source.ts';
import type { LogAuditReader } from '#core/log/store.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { archiveKey, type KeyedOptions, reaching } from './archive.ts';
import { placeOf } from './log.ts';
import { CommandEnd, EXIT } from './output.ts';

export type SourceOptions = Omit<KeyedOptions, 'from'> & { archive?: string };

export interface AuditSource {
  log: RangeSource & Pick<LogAuditReader, 'sealedRows'>;
  /** Where threads open the log, and the checkpoint kept apart; null for what is not at hand. */
  folder: string | null;
  checkpointFile: string | null;
  archive: { segments: number; until: number } | null;
}

/** @throws LOG_MISSING, LOG_UNREADABLE, ARCHIVE_*, KEY_* */
export async function withAuditSource<T>(options: SourceOptions, use: (source: AuditSource) => Promise<T>): Promise<T> {
  const { archive, dir } = options;
  if (archive === undefined) {
    if (dir === undefined) throw usage('Say with --dir where the log is, or with --archive where its archive is.');
    return await withLog(dir, options.origin, (log, place) => use({ log, ...place, archive: null }));
  }
  const key = await archiveKey(options);
  return await reaching({ ...options, from: archive }, async (destination) => {
    const place = dir === undefined ? null : placeOf({ ...options, dir });
    if (dir === undefined || place === null || !existsSync(place.folder)) {
      const segments = await findSegments(destination, options.origin);
      const log = new ArchiveSource(destination, key, segments);
      const archive = { segments: segments.chain.length, until: segments.chain.at(-1)?.to ?? 0 };
      return await use({ log, folder: null, checkpointFile: null, archive });
    }
    return await withLog(dir, options.origin, async (log, { checkpointFile }) => {
      const newest = log.saidLater?.() ?? newestArchived(log);
      const until = log.archivedUntil();
      // An entry says that it is there, before anything is let go.
      const said = newest === null ? null : { newest: newest.hash, until: newest.manifest.to };
      if (said === null || until === 0) return await use({ log, folder: null, checkpointFile, archive: null });
      const segments = await findSegments(destination, log.identity()?.origin, said);
      const source = archivedLogSource(log, new ArchiveSource(destination, key, segments, { isBeside: true }), until);
      const archive = { segments: segments.chain.length, until };
      return await use({ log: source, folder: null, checkpointFile, archive });
    });
  });
}

async function withLog<T>(
  dir: string,
  origin: string | undefined,
  use: (
    log: LogAuditReader & Pick<RangeSource, 'saidLater'>,
    place: { folder: string; checkpointFile: string },
  ) => Promise<T>,
): Promise<T> {
  const place = placeOf({ dir, ...(origin === undefined ? {} : { origin }) });
  const log = openLogAuditSqlite(place.folder);
  try {
    return await use({ ...log, saidLater: () => archivedLater(place.folder) }, place);
  } finally {
    log.close();
  }
}

function usage(next: string): CommandEnd {
  return new CommandEnd(EXIT.usage, `The log is not known.\nNext: ${next}`);
}
