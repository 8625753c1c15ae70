// Old status lists for auditors: each token that says something else of its entries than the one before, in a folder per
// list, a file per token named by its time, never overwritten, removed after 400 days. Serving goes before keeping: an
// archive that cannot be written is an alarm, and no reason to go on showing a withdrawn receipt as valid.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { STATUS_ARCHIVE_DAYS } from '#schemas/limits.ts';

const DAY_MS = 86_400_000;

export interface StatusArchive {
  keep(list: string, iatMs: number, token: string): void;
  /** Removes what is older than the archive keeps. */
  prune(nowMs: number): void;
}

/** Makes the folder. */
export function openStatusArchive(folder: string, onAlarm: (what: string, error: unknown) => void): StatusArchive {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return {
    keep(list, iatMs, token) {
      try {
        mkdirSync(join(folder, list), { recursive: true, mode: 0o700 });
        writeFileSync(join(folder, list, `${iatMs}.jwt`), token, { flag: 'wx', mode: 0o600, flush: true });
      } catch (error) {
        onAlarm('a status list was not archived', error);
      }
    },
    prune(nowMs) {
      try {
        for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
          const [, atMs] = /(?:^|\/)([0-9]{1,15})\.jwt$/.exec(file) ?? [];
          if (atMs !== undefined && Number(atMs) < nowMs - STATUS_ARCHIVE_DAYS * DAY_MS) rmSync(join(folder, file));
        }
      } catch (error) {
        onAlarm('old status lists were not removed', error);
      }
    },
  };
}
