// What an audit misses, or finds at odds, where nothing shows that the log was changed: evidence is less than it should be.
// Each is named with its place; the audit goes on.
import type { ProblemCode } from '#schemas/problems.ts';

const MAX_FOUND = 1_000;

export interface Gap {
  code: ProblemCode;
  seq: number;
  detail: string;
}

/** JSON. */
export interface GapsState {
  found: Gap[];
  /** All of them; the list is cut. */
  count: number;
}

export class Gaps {
  readonly found: Gap[];
  count: number;

  constructor({ found, count }: GapsState = { found: [], count: 0 }) {
    this.found = [...found];
    this.count = count;
  }

  add(code: ProblemCode, seq: number, detail: string): void {
    this.count++;
    if (this.found.length < MAX_FOUND) this.found.push({ code, seq, detail });
  }

  state(): GapsState {
    return { found: [...this.found], count: this.count };
  }
}

/** For people: RFC 3339, UTC. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
