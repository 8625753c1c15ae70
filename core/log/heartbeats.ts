// Whether a log was silent: a server publishes a checkpoint 10 seconds after an entry and every 10 minutes without one
// (checkpointer.ts). A longer time between two checkpoints is named: entries in it that waited more than a minute for their
// checkpoint say that the log was open; without them it may have been closed. Times of checkpoints are not signed;
// they are never taken to be earlier than the entry before them, which is. One that is more than five minutes earlier than the
// entry before it, than the checkpoint before it, or later than the entry behind it, is named too.
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import type { VerifiedRange } from './audit-entries.ts';
import { type Gaps, timeText } from './audit-gaps.ts';
import type { LogAuditReader, StoredCheckpoint } from './store.ts';

/** The longest time between two checkpoints, and what a busy machine may be late. */
const LONGEST_MS = 10 * 60_000 + 60_000;
/** A checkpoint is due 10 seconds after an entry. */
const COVERED_MS = 60_000;
const MAX_FOUND = 1_000;

export interface Heartbeat {
  code: 'LOG_HEARTBEAT_MISSING';
  /** Between the checkpoints of these sizes. */
  fromSize: number;
  toSize: number;
  fromMs: number;
  toMs: number;
  /** Entries say that the log was open; else it may have been closed. */
  wasOpen: boolean;
}

/** The last checkpoint, and when the first entry behind it was written. JSON. */
export interface HeartbeatState {
  number: number;
  last: { size: number; atMs: number; saidMs: number } | null;
  firstMs: number | null;
  newestMs: number;
}

export class Heartbeats {
  readonly #log: Pick<LogAuditReader, 'checkpointFrom'>;
  readonly #gaps: Gaps;
  readonly found: Heartbeat[];
  missing: number;
  state: HeartbeatState;

  constructor(
    log: Pick<LogAuditReader, 'checkpointFrom'>,
    gaps: Gaps,
    state: HeartbeatState = { number: 0, last: null, firstMs: null, newestMs: 0 },
    found: readonly Heartbeat[] = [],
    missing = 0,
  ) {
    this.#log = log;
    this.#gaps = gaps;
    this.state = { ...state };
    this.found = [...found];
    this.missing = missing;
  }

  /** @param start the checkpoint an audit begins with, unless it goes on with one that was begun */
  begin(start: StoredCheckpoint | null): void {
    if (start === null || this.state.last !== null) return;
    this.state = { ...this.state, number: start.number };
  }

  /** Takes the entries of a range, whose checkpoints were compared. */
  follow({ from, to, times }: VerifiedRange): void {
    const timeOf = (seq: number) => (seq >= from && seq < to ? (times[seq - from] ?? null) : null);
    for (;;) {
      const { last, number } = this.state;
      if (last !== null) this.state.firstMs ??= timeOf(last.size);
      const next = this.#log.checkpointFrom(number);
      if (next === null || next.size > to) break;
      const before = timeOf(next.size - 1) ?? (next.size === from ? this.state.newestMs : 0);
      this.#judgeTime(next, before);
      this.#take(next.size, Math.max(next.atMs, before, last?.atMs ?? 0), next.atMs);
    }
    this.state.newestMs = timeOf(to - 1) ?? this.state.newestMs;
  }

  /** The last checkpoint stands before an entry, if one came. */
  finish(): void {
    const { last, firstMs } = this.state;
    if (last !== null && firstMs !== null && last.saidMs > firstMs + CLOCK_WINDOW_MS) {
      this.#gaps.add('LOG_TIME_WRONG', last.size, `the checkpoint before it is said to be of ${timeText(last.saidMs)}`);
    }
  }

  #judgeTime({ size, atMs }: StoredCheckpoint, beforeMs: number): void {
    const { last } = this.state;
    if (last !== null && last.size < size) this.finish();
    const earliest = Math.max(beforeMs, last?.saidMs ?? 0);
    if (atMs >= earliest - CLOCK_WINDOW_MS) return;
    const what = `its checkpoint is said to be of ${timeText(atMs)}, what stands before it is of ${timeText(earliest)}`;
    this.#gaps.add('LOG_TIME_WRONG', Math.max(0, size - 1), what);
  }

  #take(size: number, atMs: number, saidMs: number): void {
    const { last, firstMs, number } = this.state;
    if (last !== null && atMs - last.atMs > LONGEST_MS) {
      this.missing++;
      const wasOpen = size > last.size && firstMs !== null && atMs - firstMs > COVERED_MS;
      const gap = { fromSize: last.size, toSize: size, fromMs: last.atMs, toMs: atMs, wasOpen };
      if (this.found.length < MAX_FOUND) this.found.push({ code: 'LOG_HEARTBEAT_MISSING', ...gap });
    }
    const isSame = last?.size === size;
    this.state = { ...this.state, number: number + 1, last: { size, atMs, saidMs }, firstMs: isSame ? firstMs : null };
  }
}
