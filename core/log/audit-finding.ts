// What an audit finds: thrown inside it, data outside (`LogAudit`).
import type { ProblemCode } from '#schemas/problems.ts';

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
