// The period of grace (DESIGN: time-stamps; X-Road's acceptable time-stamp failure period): how long the oldest entry of
// the message log has waited for an upper bound in time, that is an entry `anchored` with a time-stamp whose checkpoint
// covers it. Told at a quarter, a half and three quarters of the period; at its end new exchanges stop, on both sides, until
// such an anchoring is in the log. Nothing is asked of it where the configuration names no authority.
//
// Time only ever counts up for one entry: the larger of what the clock says since it was written and what was counted
// while this server ran, and that is kept on disk. A clock that is set back, or a restart, so does not give more time; a
// clock that runs ahead gives less. What is lost in a crash is what was counted since the last minute, where the clock
// does not say it again.
//
// Who controls its inputs: the log is this server's own; the period is approved by two persons.
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSource } from '#core/configuration/snapshot.ts';
import type { MessageLog } from '#core/log/message-log.ts';
import { AccordError, type ProblemCode } from '#schemas/problems.ts';
import { firstUncovered } from './logged.ts';
import { timeStampRules } from './stamps.ts';

/** What is kept: the entry that waits, when its waiting began, how long it surely has waited. `seq` null: none waits. */
export interface KeptGrace {
  origin: string;
  seq: number | null;
  fromMs: number;
  waitedMs: number;
}

export interface GraceStore {
  grace(): KeptGrace | null;
  /** Durable when it returns; null forgets. */
  keepGrace(kept: KeptGrace | null): void;
}

interface GraceState {
  /** Null where nothing is asked of it. */
  graceMs: number | null;
  /** The oldest entry without a time-stamp that covers it; null when there is none. */
  waiting: { seq: number; sinceMs: number; waitedMs: number } | null;
  overdue: boolean;
}

export interface GracePorts {
  log: Pick<MessageLog, 'origin' | 'read' | 'size'>;
  configuration: Pick<ConfigurationSource, 'current' | 'leastNowMs'>;
  clock: Clock;
  store: GraceStore;
  /** Once for each quarter of the period and entry. `percent`: 25, 50, 75 or 100; 0 when it is over. */
  onAlarm: (code: ProblemCode | null, percent: number, detail: string) => void;
}

export interface Grace {
  /** An entry `anchored` is durable, or was found at the start. `size`: entries before it are covered. */
  anchored(anchored: { size: number; hasToken: boolean }): void;
  /** Tokens ended: only entries before `size` are covered. What is open again has all its time before it. */
  uncovered(size: number): void;
  /** Looks at the log and the clock; to be called every few seconds. */
  tick(): void;
  /** @throws ANCHORING_OVERDUE */
  requireInTime(): void;
  state(): GraceState;
}

const QUARTERS = [25, 50, 75, 100] as const;
const KEPT_EVERY_MS = 60_000;

/** @param coveredSize entries before it are covered by an anchoring with a time-stamp that is in the log already */
export function openGrace(ports: GracePorts, coveredSize: number): Grace {
  const grace = new LogGrace(ports, coveredSize);
  grace.tick();
  return grace;
}

interface Waiting extends KeptGrace {
  seq: number;
  /** Monotonic time up to which `waitedMs` counts. */
  countedMs: number;
  /** The last quarter that was told. */
  told: number;
}

class LogGrace implements Grace {
  readonly #ports: GracePorts;
  #coveredSize: number;
  #isOpenAgain = false;
  #waiting: Waiting | null = null;
  #graceMs: number | null = null;
  #overdue = false;
  #keptMs = Number.NEGATIVE_INFINITY;

  constructor(ports: GracePorts, coveredSize: number) {
    this.#ports = ports;
    this.#coveredSize = coveredSize;
  }

  anchored({ size, hasToken }: { size: number; hasToken: boolean }): void {
    if (!hasToken || size <= this.#coveredSize) return;
    this.#coveredSize = size;
    this.tick();
  }

  uncovered(size: number): void {
    if (size >= this.#coveredSize) return;
    this.#coveredSize = size;
    this.#waiting = null;
    this.#isOpenAgain = true;
    this.tick();
  }

  tick(): void {
    const { configuration, store } = this.#ports;
    this.#graceMs = timeStampRules(configuration)?.graceMs ?? null;
    if (this.#graceMs === null) {
      if (store.grace() !== null) store.keepGrace(null);
      this.#rest();
      return;
    }
    this.#look();
    this.#count();
    this.#tell(this.#graceMs);
  }

  requireInTime(): void {
    if (!this.#overdue) return;
    throw new AccordError('ANCHORING_OVERDUE', `entry ${this.#waiting?.seq ?? 0} of the message log waits too long`);
  }

  state(): GraceState {
    const { seq, fromMs: sinceMs, waitedMs } = this.#waiting ?? { seq: null, fromMs: 0, waitedMs: 0 };
    const waiting = seq === null ? null : { seq, sinceMs, waitedMs };
    return { graceMs: this.#graceMs, waiting, overdue: this.#overdue };
  }

  /** Which entry waits. The log is read only when that may have changed. */
  #look(): void {
    const { log, store, clock } = this.#ports;
    if (this.#waiting !== null && this.#waiting.seq >= this.#coveredSize) return;
    const first = firstUncovered(log, this.#coveredSize);
    const kept = store.grace();
    if (first === null) {
      this.#rest();
      if (kept === null || kept.seq !== null) this.#keep({ seq: null, fromMs: 0, waitedMs: 0 });
      return;
    }
    const countedMs = clock.monotonicMs();
    const told = this.#waiting?.told ?? 0;
    const isKnown = kept?.seq === first.seq && kept.origin === log.origin;
    // Where authorities were named only now, what was written before has all its time before it.
    const fromMs = kept === null || this.#isOpenAgain ? Math.max(this.#nowMs(), first.atMs) : first.atMs;
    this.#isOpenAgain = false;
    const known = isKnown ? kept : { fromMs, waitedMs: 0 };
    this.#waiting = { ...known, origin: log.origin, seq: first.seq, countedMs, told };
    if (!isKnown) this.#keep(this.#waiting);
  }

  #count(): void {
    const { clock } = this.#ports;
    const waiting = this.#waiting;
    if (waiting === null) return;
    const monotonicMs = clock.monotonicMs();
    const counted = waiting.waitedMs + Math.max(0, monotonicMs - waiting.countedMs);
    waiting.waitedMs = Math.max(counted, this.#nowMs() - waiting.fromMs);
    waiting.countedMs = monotonicMs;
    if (monotonicMs - this.#keptMs >= KEPT_EVERY_MS) this.#keep(waiting);
  }

  #tell(graceMs: number): void {
    const { onAlarm } = this.#ports;
    const waiting = this.#waiting;
    if (waiting === null) return;
    const reached = QUARTERS.findLast((percent) => waiting.waitedMs * 100 >= graceMs * percent) ?? 0;
    const detail = `entry ${waiting.seq}, for ${Math.floor(waiting.waitedMs / 60_000)} of ${Math.floor(graceMs / 60_000)} minutes`;
    if (reached > waiting.told) {
      this.#keep(waiting);
      onAlarm(reached === 100 ? 'ANCHORING_OVERDUE' : 'ANCHORING_LATE', reached, detail);
    }
    // Less than before: another entry waits now, or the period was made longer.
    if (reached < waiting.told && reached === 0) onAlarm(null, 0, 'a time-stamp is in the log');
    waiting.told = reached;
    this.#overdue = reached === 100;
  }

  #rest(): void {
    if ((this.#waiting?.told ?? 0) > 0) this.#ports.onAlarm(null, 0, 'a time-stamp is in the log');
    this.#waiting = null;
    this.#overdue = false;
  }

  #keep({ seq, fromMs, waitedMs }: Omit<KeptGrace, 'origin'>): void {
    const { log, store, clock } = this.#ports;
    store.keepGrace({ origin: log.origin, seq, fromMs, waitedMs: Math.floor(waitedMs) });
    this.#keptMs = clock.monotonicMs();
  }

  /** Not before a time that was proved by the signed configuration. */
  #nowMs(): number {
    const { clock, configuration } = this.#ports;
    return Math.max(clock.nowMs(), configuration.leastNowMs?.() ?? 0);
  }
}
