// What a department's information system asks for, after its form was checked and before anything is signed. The
// information system controls every member but `caller`.
import { readReceipt } from '#certs/receipt.ts';
import { type Subject, subjectOf } from '#policy/binding/binding.ts';
import { type CallerWay, type HeaderList, Method, RequestContext } from '#schemas/context.ts';
import { ENTRY_REF_PATTERN } from '#schemas/dictionary-entry.ts';
import { SERVICE_ID_PATTERN, SUBSYSTEM_ID_PATTERN } from '#schemas/identifiers.ts';
import {
  DEFAULT_DEADLINE_MS,
  MAX_BODY_BYTES,
  MAX_DEADLINE_MS,
  MAX_FIELDS,
  MAX_HEADERS,
  MAX_PATH_BYTES,
  MAX_QUERY_BYTES,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { SUBJECT_PLACEHOLDER, servicePath, serviceQuery } from '#schemas/service-path.ts';
import { Basis, PURPOSE_PATTERN } from '#schemas/statement.ts';
import type { MessageBody } from '#security-server/body.ts';
import { type Asking, findOperation } from './find-operation.ts';
import { ownContext } from './once-read.ts';

const Field = Type.String({ minLength: 1, maxLength: 512 });
const closed = { additionalProperties: false };

/**
 * The JSON of `POST /lookups`. A bound service is asked for `fields` (paths, elements or predicates); `elements` alone,
 * with a `subject`, find service and path in the configuration. `body` is any JSON value, or base64 text with `bodyEncoding: "base64"`. */
export const LookupRequest = Type.Object(
  {
    client: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    service: Type.Optional(Type.String({ pattern: SERVICE_ID_PATTERN })),
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
    fields: Type.Optional(Type.Array(Field, { minItems: 1, maxItems: MAX_FIELDS, uniqueItems: true })),
    elements: Type.Optional(Type.Array(Field, { minItems: 1, maxItems: MAX_FIELDS, uniqueItems: true })),
    /** Whom it is about: an identifier, and the element of the dictionary that says which kind it is. */
    subject: Type.Optional(
      Type.Object(
        { scheme: Type.String({ pattern: ENTRY_REF_PATTERN }), value: Type.String({ minLength: 1, maxLength: 256 }) },
        closed,
      ),
    ),
    /** On the basis of consent: the receipt; service and purpose are in it, and whom it is about. */
    receipt: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_.-]{1,24576}$' })),
    /** On the basis of law the official's token, of emergency both officials' (schemas/evidence.ts). */
    evidence: Type.Optional(RequestContext.properties.evidence),
    /** The day from which the citizen is shown the request, where the law delays it. */
    hiddenUntil: Type.Optional(Type.String({ pattern: '^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$' })),
    /** What is not permitted may be left out; the same as the header `Prefer: accord-partial`. */
    partial: Type.Optional(Type.Boolean()),
    /** The day for which it is asked, YYYY-MM-DD. */
    asOf: Type.Optional(Type.String({ pattern: '^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$' })),
    purpose: Type.Optional(Type.String({ pattern: PURPOSE_PATTERN })),
    basis: Type.Optional(Basis),
    userId: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    issue: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    deadlineMs: Type.Optional(Type.Integer({ minimum: 100, maximum: MAX_DEADLINE_MS })),
  },
  { ...closed, $id: 'LookupRequest' },
);
export type LookupRequest = Static<typeof LookupRequest>;

/** An information system, with what its connection showed (callers.ts). */
export interface Caller {
  /** How it proves that it may speak for the subsystem. @throws CALLER_NOT_ALLOWED, CALLER_UNPROVEN */
  authenticate(subsystem: string): CallerWay;
}

/** A call whose form is right and whose caller may speak for its client. */
export interface Call {
  /** The message id; made when there is none. */
  id?: string;
  /** The only server that may be asked. */
  server?: string | null;
  client: string;
  service: string;
  purpose: string | null;
  basis: Basis;
  deadlineMs: number;
  context: Buffer;
  /** A spooled one is removed by who made the call. */
  body: MessageBody;
}

/**
 * @throws RECEIPT_MALFORMED, CALLER_NOT_ALLOWED, CALLER_UNPROVEN, PATH_REFUSED, BODY_TOO_LARGE, SCHEMA_MISMATCH, HEADER_DUPLICATE, CONTEXT_MALFORMED, and of
 *   bound services SERVICE_UNKNOWN, ELEMENTS_NOT_OFFERED, SUBJECT_MISMATCH, AS_OF_NOT_SUPPORTED
 */
export function readCall(asked: LookupRequest, caller: Caller, server: Asking): Call {
  const request = withReceipt(asked);
  requireBasis(request);
  const way = caller.authenticate(request.client);
  const { body, type } = readBody(request);
  const headers: HeaderList = Object.entries(request.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
  if (new Set(headers.map(([name]) => name)).size !== headers.length) {
    throw new AccordError('HEADER_DUPLICATE', 'headers that differ in case only');
  }
  // Some backends read an underscore as a hyphen; only X-Road's protocol has to put up with such names.
  if (headers.some(([name]) => name.includes('_')))
    throw new AccordError('CONTEXT_MALFORMED', 'a header name has an underscore');
  const target = readTarget(request, server, body);
  // What the provider would not be able to read is the caller's mistake and must not be signed.
  const context = ownContext({
    v: 1,
    method: target.method,
    path: servicePath(target.path),
    query: target.query,
    headers,
    userId: request.userId ?? null,
    issue: request.issue ?? null,
    caller: way,
    deadlineMs: request.deadlineMs ?? DEFAULT_DEADLINE_MS,
    fields: request.fields ?? request.elements ?? null,
    partial: request.partial ?? false,
    asOf: request.asOf ?? null,
    receipt: request.receipt ?? null,
    evidence: request.evidence ?? [],
    hiddenUntil: request.hiddenUntil ?? null,
    xroad: null,
    body: { length: body.length, type },
    settles: null,
  });
  return {
    client: request.client,
    service: target.service,
    purpose: request.purpose ?? null,
    basis: request.basis ?? 'open',
    deadlineMs: request.deadlineMs ?? DEFAULT_DEADLINE_MS,
    context,
    body,
  };
}

/** A receipt says on what basis, for which purpose, of which service; whom it is about only the provider can read. */
function withReceipt(request: LookupRequest): LookupRequest {
  if (request.receipt === undefined) return request;
  if (request.basis !== undefined && request.basis !== 'consent') {
    throw new AccordError('SCHEMA_MISMATCH', 'a receipt on another basis than consent');
  }
  const { receipt } = readReceipt(request.receipt);
  const { service = receipt.service, purpose = receipt.purpose.id } = request;
  return { ...request, basis: 'consent', service, purpose };
}

/** The provider looks at tokens on two bases only; on another they would stand in both records as if they meant something. */
function requireBasis({ evidence = [], basis = 'open' }: LookupRequest): void {
  if (evidence.length > 0 && basis !== 'law' && basis !== 'emergency') {
    throw new AccordError('SCHEMA_MISMATCH', 'evidence on another basis than law and emergency');
  }
}

/** The provider's server knows the scheme and puts in the value. */
const FROM_RECEIPT = { scheme: null, value: SUBJECT_PLACEHOLDER };

interface Target {
  service: string;
  method: RequestContext['method'];
  path: string;
  query: string | null;
}

/** Where the request goes: as the caller wrote it, or as the binding tables say for a subject and elements. */
function readTarget(request: LookupRequest, server: Asking, body: Buffer): Target {
  const { service, path, elements, fields } = request;
  const subject = request.subject ?? (request.receipt === undefined ? undefined : FROM_RECEIPT);
  if (elements !== undefined && fields !== undefined) throw new AccordError('SCHEMA_MISMATCH', 'fields and elements');
  const asked = elements ?? fields;
  const isWritten = path !== undefined || request.method !== undefined || subject === undefined;
  if (service === undefined && (subject === undefined || asked === undefined || isWritten)) {
    throw new AccordError('SCHEMA_MISMATCH', 'without a service: subject and elements, neither path nor method');
  }
  const query = readQuery(request.query);
  if (subject !== undefined && asked !== undefined && !isWritten) {
    const found = findOperation(server, { service: service ?? null, subject, elements: asked });
    const whole = [found.query, query].filter((part) => part !== null && part !== '').join('&');
    return withDay({ ...found, query: whole === '' ? null : whole }, request.asOf, server);
  }
  const method = request.method ?? (body.length > 0 ? 'POST' : 'GET');
  const target = { service: service ?? '', method, path: path ?? '', query };
  if (request.subject !== undefined) requireSubject(target, request.subject, server, body);
  return withDay(target, request.asOf, server);
}

/** A subject beside a path says the same person twice: both must agree. @throws SUBJECT_MISMATCH */
function requireSubject(target: Target, subject: Subject, server: Asking, body: Buffer): void {
  const bound = server.dictionary.bound(server.configuration.current(), target.service);
  const operation = bound?.binding.operation(target.method, target.path) ?? null;
  const named = operation && subjectOf(operation, target.query, body);
  if (named?.scheme !== subject.scheme || named.value !== subject.value) throw new AccordError('SUBJECT_MISMATCH');
}

/** Puts the day into the parameter that the operation has for it. @throws AS_OF_NOT_SUPPORTED */
function withDay(target: Target, asOf: string | undefined, server: Asking): Target {
  if (asOf === undefined) return target;
  const bound = server.dictionary.bound(server.configuration.current(), target.service);
  const name = bound?.binding.operation(target.method, target.path)?.operation.asOf ?? null;
  if (name === null) throw new AccordError('AS_OF_NOT_SUPPORTED', `${target.method} ${target.path}`);
  const query = `${target.query === null ? '' : `${target.query}&`}${escaped(name)}=${asOf}`;
  return { ...target, query: serviceQuery(query) };
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
