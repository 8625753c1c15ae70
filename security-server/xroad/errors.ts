// Errors in X-Road's form (PR-REST 4.6): a code with a prefix that says whose fault it is, JSON or XML by what the caller
// accepts, and a detail that is found again in the log. Codes come from the one table of problems; what X-Road has no word
// for keeps Accord's, in X-Road's spelling.
import { PROBLEMS, type ProblemCode } from '#schemas/problems.ts';

/** `client`: the call itself; `consumer`: this server, or the way to the other; `provider`: the other server said so. */
export type AtFault = 'client' | 'consumer' | 'provider';

const PREFIX: Readonly<Record<AtFault, string>> = {
  client: 'Client.',
  consumer: 'Server.ClientProxy.',
  provider: 'Server.ServerProxy.',
};

export interface XRoadError {
  /** E.g. `Server.ServerProxy.AccessDenied`. */
  type: string;
  /** As X-Road answers, and as the table of problems says. */
  status: number;
  trueStatus: number;
}

/** The words of X-Road for a code; a code that another version sent has none of ours. */
export function xroadError(code: string, fault: AtFault): XRoadError {
  const row = Object.hasOwn(PROBLEMS, code) ? PROBLEMS[code as ProblemCode] : undefined;
  const named = row !== undefined && 'xroad' in row ? (row.xroad as string | undefined) : undefined;
  const trueStatus = row?.status ?? 500;
  if (named?.startsWith('Server.')) return { type: named, status: 500, trueStatus };
  // What the caller did wrong is one code, whatever it was; the message says it. Too large is its fault whoever's limit it was.
  const isCallers = fault === 'client' || (fault === 'provider' && trueStatus === 413);
  if (isCallers) return { type: 'Client.BadRequest', status: trueStatus === 413 ? 413 : 400, trueStatus };
  const isTold = fault === 'provider' || trueStatus < 500;
  return { type: `${PREFIX[fault]}${named ?? (isTold ? camel(code) : 'InternalError')}`, status: 500, trueStatus };
}

/** CONSENT_REQUIRED → ConsentRequired */
function camel(code: string): string {
  return code
    .toLowerCase()
    .split('_')
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join('');
}

/** The spelling of X-Road 7.8: `server.server_proxy.access_denied`, `server.client_proxy.io_error`. */
export function snakeCase(type: string): string {
  return type.replace(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, '_').toLowerCase();
}

/** First of the XML types wins, whatever its q; XML beats JSON, everything unknown is JSON. */
export function errorMediaType(accept: string | undefined): 'application/json' | 'application/xml' | 'text/xml' {
  for (const each of (accept ?? '').split(',')) {
    const type = each.split(';')[0]?.trim().toLowerCase();
    if (type === 'text/xml' || type === 'text/*') return 'text/xml';
    if (type === 'application/xml') return 'application/xml';
  }
  return 'application/json';
}

/** The body of an error. */
export function errorBody(
  mediaType: ReturnType<typeof errorMediaType>,
  { type, message, detail }: { type: string; message: string; detail: string },
): Buffer {
  if (mediaType === 'application/json') return Buffer.from(JSON.stringify({ type, message, detail }));
  const parts = Object.entries({ type, message, detail }).map(([name, text]) => `<${name}>${escaped(text)}</${name}>`);
  return Buffer.from(`<?xml version="1.0" encoding="UTF-8"?><error>${parts.join('')}</error>`);
}

/** Text as it can stand in XML. */
export function escaped(text: string): string {
  return text
    .replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd');
}
