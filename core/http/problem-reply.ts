// Problem documents (RFC 9457) from the one table of errors. The audience rule lives here: a code that only the operator
// may see leaves the server as INTERNAL, with the request's id, under which the log holds the rest.
import { AccordError, isAccordError, PROBLEMS, type ProblemCode } from '#schemas/problems.ts';

export const PROBLEM_TYPE = 'application/problem+json';

export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  /** Stable, for machines. */
  code: ProblemCode;
  /** What the reader does next. */
  next: string;
  detail?: string;
  /** `urn:uuid:` of the request, as it stands in the server's log. */
  instance: string;
}

/** The document for any error: AccordErrors by their row, everything else as INTERNAL without a detail. */
export function problemOf(error: unknown, requestId: string): ProblemDocument {
  const shown = isAccordError(error) && PROBLEMS[error.code].audience !== 'operator' ? error : INTERNAL;
  const { status, title, next } = PROBLEMS[shown.code];
  return {
    type: `urn:accord:problem:${shown.code}`,
    title,
    status,
    code: shown.code,
    next,
    ...(shown.detail === '' ? {} : { detail: shown.detail }),
    instance: `urn:uuid:${requestId}`,
  };
}

const INTERNAL = new AccordError('INTERNAL');
