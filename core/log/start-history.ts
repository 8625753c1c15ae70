// What a log that starts can tell of the time before: whether it follows another log, and whether the keys of what it
// sealed are still there.
import { parseLogEntry } from '#schemas/log-entry.ts';
import type { ProblemCode } from '#schemas/problems.ts';
import { MS_PER_DAY, type RecordKeys } from './record-keys.ts';
import type { LogStore } from './store.ts';

/** When a log that follows another was opened; 0 for a server's first. */
export function openedAnewAtMs(store: LogStore): number {
  const first = store.lines(0, 1)[0];
  const entry = first === undefined ? undefined : parseLogEntry(first.line);
  return entry?.kind === 'origin-opened' ? entry.t : 0;
}

/** A key store that was lost or put back from a backup: what it had sealed is gone, though nobody destroyed it. */
export function alarmOfLostKeys(
  store: LogStore,
  keys: RecordKeys,
  onAlarm: ((code: ProblemCode, detail: string) => void) | undefined,
): void {
  const newest = store.lastSealed();
  const line = newest === null ? undefined : store.lines(newest.seq, 1)[0]?.line;
  if (newest === null || line === undefined || keys.open(newest.keyId) !== null) return;
  const { retention, t } = parseLogEntry(line);
  if (keys.isDestroyed(newest.keyId, { retention, day: Math.floor(t / MS_PER_DAY) })) return;
  onAlarm?.('RECORD_KEYS_LOST', `the key of entry ${newest.seq} is missing`);
}
