// A clock that a test can move on: real time plus what was added, so that sockets and timers go on as ever.
import { type Clock, systemClock } from '#core/clock.ts';

export class MovingClock implements Clock {
  aheadMs = 0;

  nowMs(): number {
    return systemClock.nowMs() + this.aheadMs;
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.aheadMs;
  }
}

/** Periodic tasks that run when the test says so. */
export class Timers {
  readonly #tasks: { ms: number; run: () => void }[] = [];

  readonly every = (ms: number, run: () => void): (() => void) => {
    const task = { ms, run };
    this.#tasks.push(task);
    return () => void this.#tasks.splice(this.#tasks.indexOf(task), 1);
  };

  /** Everything that runs every `ms`. */
  tick(ms: number): void {
    for (const task of [...this.#tasks]) if (task.ms === ms) task.run();
  }
}
