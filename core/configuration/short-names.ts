// Names of 32 bits for long ones, in order, with what each stands for: a few bytes a name, and a look-up takes as long among
// hundreds as among two. Whoever registers names whose short ones meet makes look-ups slower, never wrong: what is found is
// looked at by whoever asked.

/** FNV-1a over UTF-16 code units. */
export function shortNameOf(text: string): number {
  let sum = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  return sum >>> 0;
}

/**
 * A name and what it stands for, both in one number, which sorts without a call for each comparison.
 * @param value a whole number below 2^21
 */
export function shortNamed(name: string, value: number): number {
  return shortNameOf(name) * VALUES + value;
}

export class ShortNames {
  readonly #names: Uint32Array;
  readonly #values: Uint32Array;

  /** @param named what `shortNamed` made, in any order; names may occur twice */
  constructor(named: readonly number[]) {
    const sorted = Float64Array.from(named).sort();
    this.#names = Uint32Array.from(sorted, (both) => both / VALUES);
    this.#values = Uint32Array.from(sorted, (both) => both % VALUES);
  }

  get size(): number {
    return this.#names.length;
  }

  /** What the name may stand for, each once. */
  find(short: number): number[] {
    const names = this.#names;
    let [from, to] = [0, names.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((names[middle] ?? 0) < short) from = middle + 1;
      else to = middle;
    }
    if (names[from] !== short) return NOTHING;
    const found = new Set<number>();
    for (; names[from] === short; from++) found.add(this.#values[from] ?? 0);
    return [...found];
  }
}
const NOTHING: number[] = [];
const VALUES = 2 ** 21;
