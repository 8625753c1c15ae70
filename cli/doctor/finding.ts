// What the doctor says of one thing it looked at, and how a look that fails becomes a finding.
import { isAccordError, PROBLEMS, type ProblemCode } from '#schemas/problems.ts';

export interface Finding {
  check: string;
  state: 'ok' | 'warn' | 'fail';
  code: ProblemCode | 'OK';
  detail: string;
  /** What to do; empty when all is well. */
  next: string;
}

export function ok(check: string, detail: string): Finding {
  return { check, state: 'ok', code: 'OK', detail, next: '' };
}

export function warn(check: string, code: ProblemCode, detail: string): Finding {
  return { check, state: 'warn', code, detail, next: PROBLEMS[code].next };
}

export function fail(check: string, code: ProblemCode, detail: string): Finding {
  return { check, state: 'fail', code, detail, next: PROBLEMS[code].next };
}

/** Looks, and makes a finding of what is thrown: one broken thing never hides the others. */
export async function look(check: string, see: () => Finding[] | Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await see();
  } catch (error) {
    if (isAccordError(error)) return [fail(check, error.code, error.detail)];
    const { code, path, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EACCES') {
      return [{ ...fail(check, 'NOT_FOUND', `${code}: ${path}`), next: 'Check the file and its permissions.' }];
    }
    return [fail(check, 'INTERNAL', message)];
  }
}
