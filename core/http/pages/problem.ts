// What every page that cannot be shown has in common: which code an error is, what the server's log says of it, and the status.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isAccordError, PROBLEMS, type ProblemCode } from '#schemas/problems.ts';

const RETRY_AFTER_S = '5';

/** The framework's own refusals count by their status. */
export function problemCodeOf(error: unknown): ProblemCode {
  if (isAccordError(error)) return error.code;
  const status = (error as { statusCode?: unknown }).statusCode;
  if (status === 413) return 'BODY_TOO_LARGE';
  if (status === 415) return 'MEDIA_TYPE_UNSUPPORTED';
  return typeof status === 'number' && status >= 400 && status < 500 ? 'REQUEST_MALFORMED' : 'INTERNAL';
}

/**
 * Writes the line of the log, and gives the answer its status.
 * @param shown the code that the reader is told, when the own one is not for them
 */
export function refusePage(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  shown = problemCodeOf(error),
): FastifyReply {
  const line = { code: problemCodeOf(error), requestId: request.id };
  if (shown === 'INTERNAL') request.log.error({ ...line, err: error }, 'page failed');
  else request.log.info(line, 'page refused');
  const { status } = PROBLEMS[shown];
  if (status === 503) reply.header('retry-after', RETRY_AFTER_S);
  return reply.code(status);
}
