// The checkpoint that an evidence pack rests on: the first one that covers the exchange and that others vouch for in full; while
// there is none, the best there is. Always the first, so that two exports choose the same.

import { parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import type { LogAuditReader } from '#core/log/store.ts';
import { type Anchoring, parseAnchoring } from '#schemas/anchoring.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { parseLogEntry } from '#schemas/log-entry.ts';
import { encodePlace } from './layout.ts';
import type { Stampers } from './stamp-status.ts';

export interface FoundAnchor {
  anchoring: Anchoring;
  /** Version of the configuration that it was made under, and when; 0 where nobody vouched yet. */
  configuration: number;
  atMs: number;
}

/** The time-stamp authorities of the day on which an anchoring was logged. */
export type StampersOf = (anchor: Pick<FoundAnchor, 'configuration' | 'atMs'>) => Stampers;

const PAGE = 1_024;

/**
 * Null while no checkpoint covers the entry. Time-stamps that are over are as if they were not there.
 * @param stampersOf the authorities of an anchoring's day
 */
export function findAnchor(log: LogAuditReader, seq: number, stampersOf: StampersOf): FoundAnchor | null {
  let second: FoundAnchor | null = null;
  for (let from = seq + 1; ; ) {
    const rows = log.lines(from, PAGE);
    for (const { seq: at, line } of rows) {
      if (!line.includes('"kind":"anchored"')) continue;
      const entry = parseLogEntry(line);
      const note = log.evidence(at)?.statement;
      if (entry.kind !== 'anchored' || note === undefined) continue;
      const anchoring = parseAnchoring(note);
      if (sizeOf(anchoring.checkpoint) <= seq) continue;
      const found = { anchoring, configuration: entry.configuration, atMs: entry.t };
      if (anchoring.aggregate !== null && hasStamp(anchoring, stampersOf(found))) return found;
      second ??= found;
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) break;
    from = last.seq + 1;
  }
  return second ?? ownCheckpoint(log, seq);
}

function hasStamp({ tokens }: Anchoring, stampers: Stampers): boolean {
  return tokens.some(({ token }) => !stampers.isOver(fromBase64url(token)));
}

/**
 * The newest anchoring before an entry, with a token: whatever stands behind it was written after that token. A note goes into
 * a pack as it is, so that one with a token that is over, which nobody could see there, is passed by.
 * @param configuration the version whose authorities the pack has: only a token under that one can be judged with it
 */
export function findBefore(
  log: LogAuditReader,
  seq: number,
  configuration: number,
  stampers: Stampers,
): { seq: number; line: string; note: Buffer } | null {
  for (let to = seq; to > 0; to -= PAGE) {
    const from = Math.max(0, to - PAGE);
    for (const { seq: at, line } of log.lines(from, to - from).toReversed()) {
      if (!line.includes('"kind":"anchored"')) continue;
      const [entry, note] = [parseLogEntry(line), log.evidence(at)?.statement];
      if (entry.kind !== 'anchored' || note === undefined) continue;
      const { tokens } = parseAnchoring(note);
      if (tokens.length === 0) continue;
      if (entry.configuration !== configuration) return null;
      if (!tokens.some(({ token }) => stampers.isOverUnseen(fromBase64url(token)))) return { seq: at, line, note };
    }
  }
  return null;
}

/** The first stored checkpoint behind the entry: nobody but the server vouches for it. */
function ownCheckpoint(log: LogAuditReader, seq: number): FoundAnchor | null {
  let [low, high] = [0, log.lastCheckpoint()?.number ?? -1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((log.checkpointFrom(middle)?.size ?? 0) > seq) high = middle;
    else low = middle + 1;
  }
  const row = log.checkpointFrom(low);
  if (row === null || row.size <= seq) return null;
  return { anchoring: { v: 1, checkpoint: row.note, aggregate: null, tokens: [] }, configuration: 0, atMs: row.atMs };
}

function sizeOf(checkpoint: string): number {
  return parseCheckpointText(parseNote(checkpoint).text).size;
}

/**
 * An anchoring as files that a shell can read.
 * @param stampers of a token the file holds what they signed, and beside it what takes it away
 */
export function anchoringFiles({ checkpoint, aggregate, tokens }: Anchoring, stampers: Stampers): Map<string, Buffer> {
  const files = new Map<string, Buffer>([['log/checkpoint', Buffer.from(checkpoint, 'utf8')]]);
  if (aggregate !== null) {
    files.set('log/aggregate', Buffer.from(aggregate.checkpoint, 'utf8'));
    files.set('log/aggregate.place', encodePlace([aggregate.index], aggregate.path.map(fromBase64url)));
  }
  const counts = { aggregate: 0, checkpoint: 0 };
  for (const { over, token } of tokens) {
    const plain = stampers.plain(fromBase64url(token));
    if (plain !== null) files.set(`log/token.${over}.${++counts[over]}.der`, plain);
  }
  return files;
}
