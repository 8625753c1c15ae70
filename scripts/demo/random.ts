// Seeded chance for the demonstration's data: the same seed gives the same row of numbers on every machine.

export interface Source {
  /** Both ends included. */
  integer(from: number, to: number): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly [T, ...T[]] | readonly T[]): T;
  /** Like pick, with earlier entries much more often (the square of an even draw). */
  front<T>(list: readonly T[]): T;
  /** The place in `weights` that was drawn; they sum to 1. */
  weighted(weights: readonly number[]): number;
  /** Mean 0, deviation 1. */
  normal(): number;
}

/** mulberry32: 32 bits of state, enough for people who do not exist. */
export function randomFrom(seed: number): Source {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const at = <T>(list: readonly T[], place: number): T => {
    const found = list[Math.floor(place)];
    if (found === undefined) {
      throw new TypeError('nothing to pick from');
    }
    return found;
  };
  return {
    integer: (from, to) => from + Math.floor(next() * (to - from + 1)),
    chance: (probability) => next() < probability,
    pick: (list) => at(list, next() * list.length),
    front: (list) => at(list, next() ** 2 * list.length),
    weighted(weights) {
      let left = next();
      const found = weights.findIndex((weight) => {
        left -= weight;
        return left < 0;
      });
      return found < 0 ? weights.length - 1 : found;
    },
    normal: () => Array.from({ length: 12 }, next).reduce((sum, one) => sum + one, -6),
  };
}
