// What an audit finds: thrown inside it, data outside (`LogAudit`).
import { AccordError, type ProblemCode } from '#schemas/problems.ts';

export class Finding extends Error {
  readonly code: ProblemCode;
  readonly seq: number | null;

  /** @param seq the entry it is pinned to, or null */
  constructor(code: ProblemCode, seq: number | null, detail = '') {
    super(detail);
    this.code = code;
    this.seq = seq;
  }
}

/** An error as a finding: what is not one already comes from the database, which could not be read. @throws TypeError, RangeError */
export function findingOf(error: unknown): Finding {
  if (error instanceof Finding) return error;
  if (error instanceof AccordError) return new Finding(error.code, null, error.detail);
  if (error instanceof TypeError || error instanceof RangeError) throw error;
  return new Finding('LOG_DATABASE_DAMAGED', null, error instanceof Error ? error.message : '');
}

/** What is audited could not be fetched: nothing is said of it. `cause` is what the audit ends with. */
export class FetchFailed extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : '', { cause });
  }
}
