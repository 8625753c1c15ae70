// Searches a log's entries, newest first. An id is found by the index; everything else by looking at entries one behind the
// other, so that one call looks at a bounded number of them for a bounded time and says where to go on. Times in a log never
// go back, so that a period is found by halving. Runs in the thread of the auditor's pages (thread-worker.ts). Whoever held
// the disk controls the entries; nothing is verified here, which is what the page of an exchange is for.
import type { LogReader } from '#core/log/store.ts';
import { AUDITOR_PAGE_ROWS, MAX_AUDITOR_ENTRIES_LOOKED_AT } from '#schemas/limits.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { type Criteria, periodOf } from './criteria.ts';

export interface Search {
  criteria: Criteria;
  /** Entries before this one only. */
  before: number | null;
}

export interface SearchResult {
  /** Newest first. */
  found: LogEntry[];
  /** Where to go on: entries before this one were not looked at. Null at the end. */
  next: number | null;
  /** Time of the entry it came to, where it stopped because of the bounds. */
  reachedMs: number | null;
  lookedAt: number;
}

const STEP = 1_024;
const MAX_OF_ID = 64;

/** @param isLate says when enough time was spent. @throws LOG_ENTRY_MALFORMED */
export function searchLog(log: LogReader, { criteria, before }: Search, isLate: () => boolean): SearchResult {
  const end = Math.min(before ?? Number.MAX_SAFE_INTEGER, log.size());
  if (criteria.id !== '') return byId(log, criteria, end);
  const { fromMs, untilMs } = periodOf(criteria);
  const first = firstAtOrAfter(log, fromMs, log.size());
  const needles = needlesOf(criteria);
  const found: LogEntry[] = [];
  let lookedAt = 0;
  let reachedMs: number | null = null;
  for (let until = Math.min(end, firstAtOrAfter(log, untilMs, log.size())); until > first; ) {
    if (lookedAt >= MAX_AUDITOR_ENTRIES_LOOKED_AT || (lookedAt > 0 && isLate())) {
      return { found, next: until, reachedMs, lookedAt };
    }
    const from = Math.max(first, until - STEP);
    for (const { seq, line } of log.lines(from, until - from).reverse()) {
      lookedAt += 1;
      // Cheap, and wrong on the side of too much: the entry itself decides below.
      if (isOfOtherKind(line, criteria) || !needles.every((needle) => line.includes(needle))) continue;
      const entry = parseLogEntry(line);
      if (!fits(entry, criteria) || isShownAlready(log, entry, criteria, untilMs)) continue;
      if (found.length === AUDITOR_PAGE_ROWS) return { found, next: seq + 1, reachedMs: null, lookedAt };
      found.push(entry);
    }
    until = from;
    reachedMs = timeAt(log, from);
  }
  return { found, next: null, reachedMs: null, lookedAt };
}

function byId(log: LogReader, criteria: Criteria, end: number): SearchResult {
  const { fromMs, untilMs } = periodOf(criteria);
  const entries = log.linesOf(criteria.id, MAX_OF_ID).map(({ line }) => parseLogEntry(line));
  const fitting = entries.filter((one) => one.seq < end && one.t >= fromMs && one.t < untilMs && fits(one, criteria));
  // The newest of each other server: two of them may have used one id.
  const found = fitting.filter((one, at) => fitting.findIndex(({ peer }) => peer === one.peer) === at);
  return { found: criteria.about === 'log' ? fitting : found, next: null, reachedMs: null, lookedAt: entries.length };
}

/** An exchange stands in the list once, at its newest entry that fits. */
function isShownAlready(log: LogReader, entry: LogEntry, criteria: Criteria, untilMs: number): boolean {
  if (criteria.about === 'log') return false;
  return log.linesOf(entry.id, MAX_OF_ID).some(({ seq, line }) => {
    if (seq <= entry.seq) return false;
    const other = parseLogEntry(line);
    return other.peer === entry.peer && other.t < untilMs && fits(other, criteria);
  });
}

const ABOUT_EXCHANGES = /^(?:request|response|refusal|settlement)-|^void$/;

function fits(entry: LogEntry, { about, id, department, service, purpose, code }: Criteria): boolean {
  const isOf = (name: string | null) => name !== null && (name === department || name.startsWith(`${department}/`));
  return (
    ABOUT_EXCHANGES.test(entry.kind) === (about === 'exchanges') &&
    (id === '' || entry.id === id) &&
    (department === '' || isOf(entry.peer) || isOf(entry.client) || isOf(entry.service)) &&
    (service === '' || entry.service === service) &&
    (purpose === '' || entry.purpose === purpose) &&
    (code === '' || entry.code === code)
  );
}

/** Most entries are about exchanges; texts in a line have no bare quotation marks, so that only its member looks so. */
function isOfOtherKind(line: string, { about }: Criteria): boolean {
  return about === 'log' && (line.includes('"kind":"request-') || line.includes('"kind":"response-'));
}

/** What must stand in a line that fits, in the spelling of the log. */
function needlesOf({ department, service, purpose, code }: Criteria): string[] {
  const inside = (text: string) => JSON.stringify(text).slice(1, -1);
  const needles = department === '' ? [] : [inside(department)];
  if (service !== '') needles.push(`"service":"${inside(service)}"`);
  if (purpose !== '') needles.push(`"purpose":"${inside(purpose)}"`);
  if (code !== '') needles.push(`"code":"${inside(code)}"`);
  return needles;
}

function firstAtOrAfter(log: LogReader, atMs: number, size: number): number {
  let [low, high] = [0, size];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (timeAt(log, middle) < atMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function timeAt(log: LogReader, seq: number): number {
  const [row] = log.lines(seq, 1);
  return row === undefined ? Number.POSITIVE_INFINITY : parseLogEntry(row.line).t;
}
