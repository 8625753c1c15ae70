// What the binding compiler finds wrong with a service's description: data for its author, not exceptions, because all
// of it is shown at once.
import type { ProblemCode } from '#schemas/problems.ts';

export interface BindingFault {
  code: Extract<ProblemCode, `BIND_${string}`>;
  /** JSON Pointer into the OpenAPI document. */
  pointer: string;
  detail: string;
}

/** More would not help anybody. */
const MAX_FAULTS = 200;

export class FaultList {
  readonly #found = new Map<string, BindingFault>();

  /** One code is told once of one place, whichever way led there. */
  readonly add = (code: BindingFault['code'], pointer: string, detail: string): void => {
    const key = `${code} ${pointer}`;
    if (this.#found.size >= MAX_FAULTS || this.#found.has(key)) return;
    this.#found.set(key, { code, pointer, detail: detail.slice(0, 400) });
  };

  /** Ascending by pointer, then by code. */
  list(): BindingFault[] {
    return [...this.#found.values()].sort((a, b) => compare(a.pointer, b.pointer) || compare(a.code, b.code));
  }
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
