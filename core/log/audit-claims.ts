// Claims, the memory against replays, as an audit of a log in use finds them: every request that was received lately has
// one, for as long as it can come again. They are forgotten afterwards, and lie in no archive and no copy that was put back:
// where there are none at all, nothing is said. A claim without its entry is found otherwise (`straySeq`). What claims say is
// the server's own word; whoever takes one away lets a request run twice.
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import type { Gaps } from './audit-gaps.ts';
import type { RangeSource } from './range-source.ts';

const PAGE = 1_024;

/**
 * @param nowMs of the auditor's clock, beside a server that may be running
 * @returns how many requests have their claim; null where claims are not kept
 */
export function auditClaims(log: RangeSource, size: number, nowMs: number, gaps: Gaps): number | null {
  // A request is at most five minutes older than its entry, or younger, and is claimed for ten.
  const sinceMs = nowMs - CLOCK_WINDOW_MS;
  // By the server's clock they may be over already.
  if (timeOf(log.lines(size - 1, 1)[0]) > nowMs + CLOCK_WINDOW_MS) return null;
  const from = firstSince(log, size, sinceMs);
  const claimed = log.claimed?.(from) ?? null;
  if (claimed === null) return null;
  const known = new Set(claimed);
  let found = 0;
  for (let at = from; at < size; at += PAGE) {
    for (const { seq, line } of log.lines(at, Math.min(PAGE, size - at))) {
      if (!line.includes('"kind":"request-received"')) continue;
      if (known.has(seq)) found++;
      else gaps.add('LOG_CLAIM_MISSING', seq, 'it could come again');
    }
  }
  return found;
}

/** Times never go back. */
function firstSince(log: RangeSource, size: number, sinceMs: number): number {
  let [low, high] = [0, size];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (timeOf(log.lines(middle, 1)[0]) < sinceMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function timeOf(row: { line: string } | undefined): LogEntry['t'] {
  return row === undefined ? 0 : parseLogEntry(row.line).t;
}
