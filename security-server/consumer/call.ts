// What a department's information system asks for, after its form was checked and before anything is signed. The
// information system controls every member but `caller`.
import { type Static, Type } from '@sinclair/typebox';
import { encodeRequestContext, type HeaderList, Method, parseRequestContext } from '#schemas/context.ts';
import { SERVICE_ID_PATTERN, SUBSYSTEM_ID_PATTERN } from '#schemas/identifiers.ts';
import {
  DEFAULT_DEADLINE_MS,
  MAX_BODY_BYTES,
  MAX_DEADLINE_MS,
  MAX_HEADERS,
  MAX_PATH_BYTES,
  MAX_QUERY_BYTES,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { servicePath, serviceQuery } from '#schemas/service-path.ts';
import { Basis, PURPOSE_PATTERN } from '#schemas/statement.ts';

/** The JSON of `POST /lookups`. `body` is any JSON value, or base64 text with `bodyEncoding: "base64"`. */
export const LookupRequest = Type.Object(
  {
    client: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    service: Type.String({ pattern: SERVICE_ID_PATTERN }),
    method: Type.Optional(Method),
    path: Type.Optional(Type.String({ maxLength: MAX_PATH_BYTES })),
    query: Type.Optional(
      Type.Union([
        Type.String({ maxLength: MAX_QUERY_BYTES }),
        Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()])),
      ]),
    ),
    headers: Type.Optional(Type.Record(Type.String({ maxLength: 128 }), Type.String(), { maxProperties: MAX_HEADERS })),
    body: Type.Optional(Type.Unknown()),
    bodyEncoding: Type.Optional(Type.Literal('base64')),
    contentType: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    purpose: Type.Optional(Type.String({ pattern: PURPOSE_PATTERN })),
    basis: Type.Optional(Basis),
    userId: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    issue: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    deadlineMs: Type.Optional(Type.Integer({ minimum: 100, maximum: MAX_DEADLINE_MS })),
  },
  { additionalProperties: false, $id: 'LookupRequest' },
);
export type LookupRequest = Static<typeof LookupRequest>;

/** How the information system proved itself, and for which subsystems it may speak. */
export interface Caller {
  how: 'certificate' | 'loopback';
  mayUse(subsystem: string): boolean;
}

/** A call whose form is right and whose caller may speak for its client. */
export interface Call {
  client: string;
  service: string;
  purpose: string | null;
  basis: Basis;
  deadlineMs: number;
  context: Buffer;
  body: Buffer;
}

/** @throws CALLER_NOT_ALLOWED, PATH_REFUSED, BODY_TOO_LARGE, SCHEMA_MISMATCH, HEADER_DUPLICATE, CONTEXT_MALFORMED */
export function readCall(request: LookupRequest, caller: Caller): Call {
  if (!caller.mayUse(request.client)) throw new AccordError('CALLER_NOT_ALLOWED', request.client);
  const { body, type } = readBody(request);
  const headers: HeaderList = Object.entries(request.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
  if (new Set(headers.map(([name]) => name)).size !== headers.length) {
    throw new AccordError('HEADER_DUPLICATE', 'headers that differ in case only');
  }
  const context = encodeRequestContext({
    v: 1,
    method: request.method ?? (body.length > 0 ? 'POST' : 'GET'),
    path: servicePath(request.path ?? ''),
    query: readQuery(request.query),
    headers,
    userId: request.userId ?? null,
    issue: request.issue ?? null,
    caller: caller.how,
    deadlineMs: request.deadlineMs ?? DEFAULT_DEADLINE_MS,
    body: { length: body.length, type },
    settles: null,
  });
  // What the provider would not be able to read is the caller's mistake and must not be signed.
  parseRequestContext(context);
  return {
    client: request.client,
    service: request.service,
    purpose: request.purpose ?? null,
    basis: request.basis ?? 'open',
    deadlineMs: request.deadlineMs ?? DEFAULT_DEADLINE_MS,
    context,
    body,
  };
}

function readQuery(query: LookupRequest['query']): string | null {
  if (query === undefined) return null;
  if (typeof query === 'string') return serviceQuery(query);
  const pairs = Object.entries(query).map(([name, value]) => `${escaped(name)}=${escaped(String(value))}`);
  return serviceQuery(pairs.join('&'));
}

function escaped(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    throw new AccordError('PATH_REFUSED', 'a query value has a lone surrogate');
  }
}

function readBody(request: LookupRequest): { body: Buffer; type: string | null } {
  if (request.body === undefined) {
    if (request.bodyEncoding !== undefined) throw new AccordError('SCHEMA_MISMATCH', 'bodyEncoding without body');
    return { body: Buffer.alloc(0), type: request.contentType ?? null };
  }
  let body: Buffer;
  if (request.bodyEncoding === 'base64') {
    if (typeof request.body !== 'string') throw new AccordError('SCHEMA_MISMATCH', 'body is not base64 text');
    body = Buffer.from(request.body, 'base64');
    if (body.toString('base64') !== request.body) throw new AccordError('ENCODING_NOT_CANONICAL', 'body');
  } else {
    body = Buffer.from(JSON.stringify(request.body), 'utf8');
  }
  if (body.length > MAX_BODY_BYTES) throw new AccordError('BODY_TOO_LARGE', `more than ${MAX_BODY_BYTES} bytes`);
  const fallback = request.bodyEncoding === 'base64' ? 'application/octet-stream' : 'application/json';
  return { body, type: request.contentType ?? fallback };
}
