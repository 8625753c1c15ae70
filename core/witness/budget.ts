// How often one origin may be cosigned. Only what the origin's own key signed is counted, and cosignatures of a tree that
// is known are counted apart: those anybody may ask for who saw the checkpoint, and nobody can use up a log's growth.
import type { Clock } from '#core/clock.ts';

export interface BudgetLimits {
  /** Cosignatures that may come at once, and after how long there is one more. */
  burst: number;
  everyMs: number;
}

export class OriginBudget {
  readonly #clock: Clock;
  readonly #limits: BudgetLimits;
  /** When the budget of an origin would be whole again. Only origins that are known come here. */
  readonly #wholeAtMs = new Map<string, number>();

  constructor(clock: Clock, limits: BudgetLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** @returns 0 when it was within the budget, else in how many ms there is one more */
  take(origin: string): number {
    const { burst, everyMs } = this.#limits;
    const nowMs = this.#clock.monotonicMs();
    const wholeAtMs = Math.max(nowMs, this.#wholeAtMs.get(origin) ?? 0) + everyMs;
    const waitMs = wholeAtMs - nowMs - burst * everyMs;
    if (waitMs > 0) return waitMs;
    this.#wholeAtMs.set(origin, wholeAtMs);
    return 0;
  }
}
