// The context of a message: what stands around the body (method, path, headers, who asks, status ...). It is committed
// in the statement, never hashed bare, and sealed with the message; like the statement it has one spelling only. The
// sending department's backend controls its values, the sending security server its form.
import { isUtf8 } from 'node:buffer';
import { EvidenceToken } from './evidence-token.ts';
import { parseJson } from './json.ts';
import {
  MAX_CONTEXT_BYTES,
  MAX_DEADLINE_MS,
  MAX_FIELDS,
  MAX_HEADER_VALUE_BYTES,
  MAX_HEADERS,
  MAX_PATH_BYTES,
  MAX_QUERY_BYTES,
  MAX_RELEASED_PATHS,
  MAX_STREAMED_BYTES,
} from './limits.ts';
import { isPlainAnswer, isPlainRequest } from './plain-context.ts';
import { AccordError } from './problems.ts';
import { Release } from './release.ts';
import { type Static, Type } from './schema-builder.ts';
import { MESSAGE_ID_PATTERN } from './statement.ts';
import { compile } from './validate.ts';

const closed = { additionalProperties: false };
const HeaderName = Type.String({ pattern: "^[a-z0-9!#$%&'*+.^_`|~-]{1,128}$" });
// RFC 9110 field-content without leading or trailing white space; no CR, LF or NUL can ever reach a backend.
const HeaderValue = Type.String({
  pattern: '^(?:[\\x21-\\x7e\\x80-\\xff](?:[\\t\\x20-\\x7e\\x80-\\xff]*[\\x21-\\x7e\\x80-\\xff])?)?$',
  maxLength: MAX_HEADER_VALUE_BYTES,
});
// Drafts of JSON Schema disagree about tuples; this is how 2020-12 spells one.
const HeaderPair = Type.Unsafe<[string, string]>({
  type: 'array',
  prefixItems: [HeaderName, HeaderValue],
  items: false,
  minItems: 2,
  maxItems: 2,
});
const Headers = Type.Array(HeaderPair, { maxItems: MAX_HEADERS });
const BodyFacts = Type.Object(
  {
    length: Type.Integer({ minimum: 0, maximum: MAX_STREAMED_BYTES }),
    type: Type.Union([Type.String({ minLength: 1, maxLength: 256 }), Type.Null()]),
  },
  closed,
);
const Day = Type.String({ pattern: '^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$' });
const Text = (maxLength: number) => Type.Union([Type.String({ minLength: 1, maxLength }), Type.Null()]);

const Ascii = (maxLength: number) => Type.String({ pattern: '^[\\x21-\\x7e]+$', maxLength });

/** Of a call in X-Road's REST message protocol, as the consumer's server received or made it. */
const XRoadFacts = Type.Object(
  {
    /** X-Road-Id: context, never an idempotency key; `madeId` when the server made it. */
    id: Type.String({ minLength: 1, maxLength: 256 }),
    madeId: Type.Boolean(),
    /** `[class/]code`. */
    representedParty: Text(512),
    /** Server that was asked for, `instance/class/code/server`. */
    securityServer: Text(512),
    /** X-Road-Request-Hash, base64 of SHA-512. */
    hash: Ascii(88),
    /** Path and query as they came, beginning with /r1/. */
    target: Ascii(MAX_PATH_BYTES + MAX_QUERY_BYTES + 1),
  },
  closed,
);

/** From the strongest proof to the weakest. */
export type CallerWay = 'certificate' | 'tls-address' | 'address' | 'loopback';

export const METHODS = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE'] as const;
export const Method = Type.Union(METHODS.map((method) => Type.Literal(method)));

export const RequestContext = Type.Object(
  {
    v: Type.Literal(1),
    method: Method,
    path: Type.String({ maxLength: MAX_PATH_BYTES }),
    query: Type.Union([Type.String({ maxLength: MAX_QUERY_BYTES }), Type.Null()]),
    headers: Headers,
    /** The official on whose behalf the information system asks, as it names them. */
    userId: Text(256),
    /** Case number or other reference of the asking department. */
    issue: Text(256),
    /**
     * How the information system proved itself to its own security server: a registered certificate; HTTPS or plain HTTP
     * from an address listed for its subsystem; plain HTTP on the server's own machine.
     */
    caller: Type.Union(
      ['certificate', 'tls-address', 'address', 'loopback'].map((way) => Type.Literal(way as CallerWay)),
    ),
    deadlineMs: Type.Integer({ minimum: 1, maximum: MAX_DEADLINE_MS }),
    /** What is asked of a bound service: paths, elements or predicates; null where the service is not bound. */
    fields: Type.Union([
      Type.Array(Type.String({ minLength: 1, maxLength: 512 }), {
        minItems: 1,
        maxItems: MAX_FIELDS,
        uniqueItems: true,
      }),
      Type.Null(),
    ]),
    /** True: what is not permitted may be left out, and is named; false: then the whole is refused. */
    partial: Type.Boolean(),
    /** The day for which it is asked, YYYY-MM-DD; null for the present. */
    asOf: Type.Union([Day, Type.Null()]),
    /** On the basis of consent: the receipt, as the consent service signed it. */
    receipt: Type.Union([Type.String({ pattern: '^[A-Za-z0-9_.-]{1,24576}$' }), Type.Null()]),
    /** On the basis of law the official's token, of emergency the tokens of both officials (evidence.ts). */
    evidence: Type.Array(EvidenceToken, { maxItems: 2, uniqueItems: true }),
    /** The day from which the citizen is shown this request, YYYY-MM-DD, where the law delays it; null for at once. */
    hiddenUntil: Type.Union([Day, Type.Null()]),
    /** What only X-Road's REST protocol has; null for a lookup. */
    xroad: Type.Union([XRoadFacts, Type.Null()]),
    body: BodyFacts,
    /** Settlements: the message id that is asked about. */
    settles: Type.Union([Type.String({ pattern: MESSAGE_ID_PATTERN }), Type.Null()]),
  },
  closed,
);

export const AnswerContext = Type.Object(
  {
    v: Type.Literal(1),
    status: Type.Integer({ minimum: 100, maximum: 599 }),
    /** `OK`, or the stable code of a refusal or of the provider's failure. */
    code: Type.String({ pattern: '^[A-Z][A-Z0-9_]{1,63}$' }),
    headers: Headers,
    body: BodyFacts,
    /** Answers of a bound service: what was released. */
    release: Type.Union([Release, Type.Null()]),
  },
  closed,
);

export type RequestContext = Static<typeof RequestContext>;
export type AnswerContext = Static<typeof AnswerContext>;
export type HeaderList = Static<typeof Headers>;

/** A request that names nothing beyond where it goes: no official, no fields, no grounds, no body. */
export const BARE_REQUEST = {
  v: 1,
  query: null,
  headers: [],
  userId: null,
  issue: null,
  fields: null,
  partial: false,
  asOf: null,
  receipt: null,
  evidence: [],
  hiddenUntil: null,
  xroad: null,
  body: { length: 0, type: null },
  settles: null,
} satisfies Omit<RequestContext, 'method' | 'path' | 'caller' | 'deadlineMs'>;

const checkRequest = compile(RequestContext, 'CONTEXT_MALFORMED');
const checkAnswer = compile(AnswerContext, 'CONTEXT_MALFORMED');

/**
 * Whether a call in X-Road's protocol names none of what Accord asks beyond that protocol: it is then judged by the /r1
 * defaults of the one access right that has them. `open` is what is signed where no basis is named.
 */
export function namesNothing(
  { purpose, basis }: { purpose: string | null; basis: string },
  { xroad, fields, receipt }: RequestContext,
): boolean {
  return xroad !== null && purpose === null && basis === 'open' && fields === null && receipt === null;
}

/** The one spelling of a request's context, UTF-8. */
export function encodeRequestContext(context: RequestContext): Buffer {
  return Buffer.from(spellRequest(context), 'utf8');
}

/** The one spelling of an answer's context, UTF-8. */
export function encodeAnswerContext(context: AnswerContext): Buffer {
  return Buffer.from(spellAnswer(context), 'utf8');
}

function spellRequest(c: RequestContext): string {
  const {
    v,
    method,
    path,
    query,
    headers,
    userId,
    issue,
    caller,
    deadlineMs,
    fields,
    partial,
    asOf,
    receipt,
    evidence,
    hiddenUntil,
    xroad,
    settles,
  } = c;
  const body = { length: c.body.length, type: c.body.type };
  return JSON.stringify({
    v,
    method,
    path,
    query,
    headers,
    userId,
    issue,
    caller,
    deadlineMs,
    fields,
    partial,
    asOf,
    receipt,
    evidence,
    hiddenUntil,
    xroad: orderedXRoad(xroad),
    body,
    settles,
  });
}

function spellAnswer(c: AnswerContext): string {
  const { v, status, code, headers, body, release } = c;
  const facts = { length: body.length, type: body.type };
  return JSON.stringify({
    v,
    status,
    code,
    headers,
    body: facts,
    release: release === null ? null : orderedRelease(release),
  });
}

function orderedXRoad(xroad: RequestContext['xroad']): RequestContext['xroad'] {
  if (xroad === null) return null;
  const { id, madeId, representedParty, securityServer, hash, target } = xroad;
  return { id, madeId, representedParty, securityServer, hash, target };
}

function orderedRelease({ table, dictionary, elements, predicates, omitted }: Release): object {
  return {
    table,
    dictionary,
    elements: elements.map(({ path, element, source, asOf, state, stale }) => ({
      path,
      element,
      source,
      asOf,
      state,
      stale,
    })),
    predicates: predicates.map(({ predicate, result }) => ({ predicate, result })),
    omitted: omitted.map(({ path, element }) => ({ path, element })),
  };
}

/** @throws CONTEXT_MALFORMED, JSON_* */
export function parseRequestContext(bytes: Uint8Array): RequestContext {
  return readPlainly(bytes, isPlainRequest) ?? readAnyRequestContext(bytes);
}

/** @throws CONTEXT_MALFORMED, JSON_* */
export function parseAnswerContext(bytes: Uint8Array): AnswerContext {
  return readPlainly(bytes, isPlainAnswer) ?? readAnyAnswerContext(bytes);
}

/** The whole judgement. @throws as `parseRequestContext` */
export function readAnyRequestContext(bytes: Uint8Array): RequestContext {
  return once(bytes, checkRequest, encodeRequestContext);
}

/** The whole judgement. @throws as `parseAnswerContext` */
export function readAnyAnswerContext(bytes: Uint8Array): AnswerContext {
  return once(bytes, checkAnswer, encodeAnswerContext);
}

/**
 * The spelling of a context that was made here, which every receiver can read.
 * @throws CONTEXT_MALFORMED, JSON_* what a receiver would say of it
 */
export function readableRequestContext(context: RequestContext): Buffer {
  const spelled = spellRequest(context);
  const bytes = Buffer.from(spelled, 'utf8');
  if (!isPlainRequest(spelled, context)) readAnyRequestContext(bytes);
  return bytes;
}

/** The same for an answer. @throws CONTEXT_MALFORMED, JSON_* */
export function readableAnswerContext(context: AnswerContext): Buffer {
  const spelled = spellAnswer(context);
  const bytes = Buffer.from(spelled, 'utf8');
  if (!isPlainAnswer(spelled, context)) readAnyAnswerContext(bytes);
  return bytes;
}

// Headers are pairs; a released element has six members, an omitted one and a predicate two.
const MAX_CONTEXT_VALUES = 4 * MAX_HEADERS + 12 * MAX_RELEASED_PATHS;

function once<T>(bytes: Uint8Array, check: (value: unknown) => T, encode: (value: T) => Buffer): T {
  const context = check(parseJson(bytes, { maxBytes: MAX_CONTEXT_BYTES, maxDepth: 5, maxValues: MAX_CONTEXT_VALUES }));
  if (!encode(context).equals(bytes)) throw new AccordError('CONTEXT_MALFORMED', 'not its one spelling');
  return context;
}

/** Null when the whole judgement has to say. */
function readPlainly<T>(bytes: Uint8Array, isPlain: (spelled: string, context: T) => boolean): T | null {
  if (bytes.length > MAX_CONTEXT_BYTES || !isUtf8(bytes)) return null;
  const spelled = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  try {
    const context = JSON.parse(spelled) as T;
    // What matches has all members of its type, so that it may be looked at as one.
    return isPlain(spelled, context) ? context : null;
  } catch {
    return null;
  }
}
