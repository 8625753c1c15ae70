// Durations of millions of answers in little memory: counted in steps of a tenth of a millisecond, up to half a minute.
const STEPS_A_MS = 10;
const STEPS = 30_000 * STEPS_A_MS;

export class Durations {
  readonly #counts = new Uint32Array(STEPS);
  count = 0;

  add(ms: number): void {
    const step = Math.min(STEPS - 1, Math.max(0, Math.floor(ms * STEPS_A_MS)));
    this.#counts[step] = (this.#counts[step] ?? 0) + 1;
    this.count += 1;
  }

  /** In milliseconds. @param share 0.99 for the 99th percentile, 1 for the longest */
  at(share: number): number {
    let left = Math.min(this.count, Math.floor(this.count * share) + 1);
    for (let step = 0; step < STEPS && this.count > 0; step += 1) {
      left -= this.#counts[step] ?? 0;
      if (left <= 0) return (step + 1) / STEPS_A_MS;
    }
    return 0;
  }
}
