// What stands between the stages of the provider's side: a logged request going in, a reply coming out.

import { problemOf } from '#core/http/problem-reply.ts';
import type { Appended } from '#core/log/message-log.ts';
import type { AnswerContext, RequestContext } from '#schemas/context.ts';
import { AccordError, type ProblemCode } from '#schemas/problems.ts';
import type { MessageBody } from '#security-server/body.ts';
import type { VerifiedMessage } from '#security-server/envelope/verify.ts';

/** A verified request with its context read and its place in the log. */
export interface LoggedRequest {
  message: VerifiedMessage;
  context: RequestContext;
  appended: Promise<Appended>;
  /** Class of the request's record. */
  retention: string;
  /** Monotonic time at which the sender has certainly given up: its own deadline began before the message arrived. */
  endsMs: number;
  /** Tells the sender that the answer is under way; null where it takes none that is large. */
  goesOn: (() => void) | null;
}

export interface BackendAnswer {
  context: AnswerContext;
  /** Its spelling, where it was made already. */
  contextBytes?: Buffer;
  /** Spooled only of an unbound service. */
  body: MessageBody;
}

/** What is told to the peer, before it is signed. */
export interface Reply {
  kind: 'response' | 'refusal';
  answer: BackendAnswer;
  decision: { bytes: Buffer; hash: string } | null;
  retention: string;
}

/** An answer whose body is the problem document of `code`; also the form of a signed refusal. */
export function problemAnswer(code: ProblemCode, detail: string, id: string): BackendAnswer & { body: Buffer } {
  const document = problemOf(new AccordError(code, detail), id);
  const body = Buffer.from(JSON.stringify(document), 'utf8');
  const type = 'application/problem+json';
  return {
    context: { v: 1, status: document.status, code, headers: [], body: { length: body.length, type }, release: null },
    body,
  };
}
