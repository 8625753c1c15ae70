// The numbered checks of an evidence pack, in order, and what becomes of them. The first that fails ends the run: what was
// not looked at is said to be so. The shell script prints the same list.
import { type PackCode, PackFinding, PackGap } from './finding.ts';

/** In this order they are made, and numbered from 1. */
export const CHECKS = [
  'files',
  'roots',
  'configuration',
  'configuration parts',
  'seal',
  'request: statement',
  'request: signature',
  'request: certificate',
  'request: entry',
  'request: certificate status',
  'request: context',
  'request: body',
  'answer: statement',
  'answer: signature',
  'answer: certificate',
  'answer: entry',
  'answer: certificate status',
  'answer: context',
  'answer: body',
  'request: in the log',
  'answer: in the log',
  'checkpoint',
  'aggregate log',
  'witnesses',
  'time-stamp',
  'not before',
  'destruction: certificate',
  'destruction: two persons',
  'destruction: order',
  'destruction: in the log',
  'destruction: checkpoint',
  'destruction: aggregate log',
  'destruction: witnesses',
  'destruction: time-stamp',
] as const;

export type CheckName = (typeof CHECKS)[number];

/** `DESTROYED`: lawfully, and the certificate is good. `MISSING`: what is there is right, and something is not there. */
export type CheckState = 'ok' | 'FAILED' | 'MISSING' | 'DESTROYED' | 'NOT CHECKED';

export interface PackCheck {
  number: number;
  name: CheckName;
  state: CheckState;
  code: PackCode | null;
  /** For people; texts in it may be whoever's who made the pack. */
  detail: string;
}

export type Verdict = 'VALID' | 'COMMITMENT-ONLY' | 'INCOMPLETE' | 'INVALID';

export interface PackVerdict {
  verdict: Verdict;
  /** Why it is not VALID. */
  code: PackCode | null;
  checks: PackCheck[];
}

/** Says that what a check was about was lawfully destroyed. */
export const DESTROYED: unique symbol = Symbol('destroyed');

export class CheckRun {
  readonly #checks: PackCheck[] = CHECKS.map((name, at) => {
    return { number: at + 1, name, state: 'NOT CHECKED', code: null, detail: '' };
  });

  /**
   * Makes one check.
   * @returns what it gave; null when something is missing
   * @throws PackFinding when it failed: the run is over
   */
  check<T>(name: CheckName, make: () => T): T | null {
    try {
      const value = make();
      this.#note(name, value === DESTROYED ? 'DESTROYED' : 'ok', null, typeof value === 'string' ? value : '');
      return value;
    } catch (error) {
      if (!(error instanceof PackFinding)) throw error;
      const isGap = error instanceof PackGap;
      this.#note(name, isGap ? 'MISSING' : 'FAILED', error.code, error.detail);
      if (!isGap) throw error;
      return null;
    }
  }

  verdict(): PackVerdict {
    const [checks, found] = [this.#checks, (state: CheckState) => this.#checks.find((one) => one.state === state)];
    const [failed, missing] = [found('FAILED'), found('MISSING')];
    if (failed !== undefined) return { verdict: 'INVALID', code: failed.code, checks };
    if (missing !== undefined) return { verdict: 'INCOMPLETE', code: missing.code, checks };
    return { verdict: found('DESTROYED') === undefined ? 'VALID' : 'COMMITMENT-ONLY', code: null, checks };
  }

  #note(name: CheckName, state: CheckState, code: PackCode | null, detail: string): void {
    const check = this.#checks.find((one) => one.name === name);
    if (check !== undefined) Object.assign(check, { state, code, detail });
  }
}
