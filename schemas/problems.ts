// The one table of errors. Every code that Accord shows, logs or signs stands here once: its HTTP status, its title,
// who may see it and what the reader does next (RFC 9457 problem documents are made from these rows).
//
// `audience` says who may see the code as it is:
//   public   - anyone who can reach the port, before they are known
//   caller   - an authenticated information system or administrator
//   peer     - another security server (refusals before a signature was verified are never more than this)
//   operator - only the server's own log; outside it shows as INTERNAL

export interface ProblemRow {
  status: number;
  title: string;
  audience: 'public' | 'caller' | 'peer' | 'operator';
  /** What the person who reads this does next; one sentence, imperative. */
  next: string;
}

export const PROBLEMS = {
  // --- anything that is read from outside
  JSON_INVALID: row(
    400,
    'The document is not valid JSON',
    'public',
    'Send one JSON document in UTF-8 without a byte order mark.',
  ),
  JSON_DUPLICATE_NAME: row(400, 'A name occurs twice in one JSON object', 'public', 'Send each name once.'),
  JSON_FORBIDDEN_NAME: row(
    400,
    'A name in the JSON document is not allowed',
    'public',
    'Remove the name; __proto__ is never accepted.',
  ),
  JSON_TOO_DEEP: row(400, 'The JSON document is nested too deeply', 'public', 'Flatten the document.'),
  JSON_TOO_MANY: row(400, 'The JSON document has too many values', 'public', 'Split the document.'),
  SCHEMA_MISMATCH: row(
    400,
    'The document does not have the expected shape',
    'public',
    'Compare the document with the schema named in the detail.',
  ),
  BODY_TOO_LARGE: row(
    413,
    'The body is larger than this server accepts',
    'public',
    'Send a smaller body, or ask the operator for the limit.',
  ),
  ENCODING_NOT_CANONICAL: row(
    400,
    'A value is not in its one canonical encoding',
    'public',
    'Encode again: base64url without padding or spare bits, no white space.',
  ),
  IDENTIFIER_INVALID: row(
    400,
    'An identifier is malformed',
    'public',
    'Write INSTANCE/CLASS/MEMBER[/SUBSYSTEM[/SERVICE]].',
  ),
  INTERNAL: row(500, 'The server failed', 'public', 'Tell the operator the id in the detail; it stands in the log.'),
  NOT_FOUND: row(404, 'There is nothing here', 'public', 'Check the path and the method.'),

  // --- the bounded outgoing client (core/http/client.ts)
  PEER_UNREACHABLE: row(
    503,
    'The other side could not be reached; nothing was sent to it',
    'caller',
    'Try again later; nothing happened.',
  ),
  PEER_TIMEOUT: row(
    504,
    'The other side did not answer in time; it may have received the request',
    'caller',
    'Ask for the outcome of the exchange before you send it again.',
  ),
  PEER_BROKE_OFF: row(
    502,
    'The connection to the other side broke; it may have received the request',
    'caller',
    'Ask for the outcome of the exchange before you send it again.',
  ),
  RESPONSE_TOO_LARGE: row(
    502,
    'The answer was larger than is accepted here',
    'caller',
    'Ask for less at a time, or ask the operator for the limit.',
  ),
} as const satisfies Record<string, ProblemRow>;

export type ProblemCode = keyof typeof PROBLEMS;

function row(status: number, title: string, audience: ProblemRow['audience'], next: string): ProblemRow {
  return { status, title, audience, next };
}

/** An error with a row in the table. `detail` may be shown to the row's audience; `cause` never leaves the log. */
export class AccordError extends Error {
  readonly code: ProblemCode;
  readonly detail: string;

  constructor(code: ProblemCode, detail = '', options?: { cause?: unknown }) {
    super(detail === '' ? code : `${code}: ${detail}`, options);
    this.name = 'AccordError';
    this.code = code;
    this.detail = detail;
  }
}

/** True when `error` is an AccordError, narrowed to `code` when one is given. */
export function isAccordError(error: unknown, code?: ProblemCode): error is AccordError {
  return error instanceof AccordError && (code === undefined || error.code === code);
}
