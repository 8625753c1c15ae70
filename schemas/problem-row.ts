// One row of the table of errors (problems.ts says what each member means).
export interface ProblemRow {
  status: number;
  title: string;
  audience: 'public' | 'caller' | 'peer' | 'operator';
  /** What the person who reads this does next; one sentence, imperative. */
  next: string;
  /** Its code in X-Road's REST protocol, with a prefix where that does not depend on who is at fault. */
  xroad?: string;
}

export function row(
  status: number,
  title: string,
  audience: ProblemRow['audience'],
  next: string,
  xroad?: string,
): ProblemRow {
  return xroad === undefined ? { status, title, audience, next } : { status, title, audience, next, xroad };
}
