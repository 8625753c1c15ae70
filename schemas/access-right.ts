// An access right: what a provider allows one consumer subsystem, or a group of them, at one of its services (DESIGN: who may
// ask for what).
// Written by the provider's own administrator, read by `decide`.
import { METHODS } from './context.ts';
import { EntryRef } from './dictionary-entry.ts';
import { GROUP_PATTERN, SERVICE_ID_PATTERN, SUBSYSTEM_ID_PATTERN } from './identifiers.ts';
import { MAX_FIELDS } from './limits.ts';
import { Sha256 } from './registrations.ts';
import { type Static, Type } from './schema-builder.ts';
import { Basis, PURPOSE_PATTERN } from './statement.ts';

const closed = { additionalProperties: false };

/**
 * Method (or `*`) and path glob: `*` is one segment (possibly empty), `**` any number, `\` escapes one character. It is
 * compared with the path as it is forwarded, percent-encoded, so that a character outside ASCII would match nothing.
 */
export const EndpointRule = Type.Object(
  {
    method: Type.Union([Type.Literal('*'), ...METHODS.map((method) => Type.Literal(method))]),
    path: Type.String({ minLength: 1, maxLength: 1024, pattern: '^(?:/[\\x21-\\x7e]*|\\*\\*)$' }),
  },
  closed,
);

/**
 * What a call in X-Road's REST protocol is taken to ask for when it names neither purpose nor basis nor fields and carries
 * no receipt. A consent and an emergency are never taken for granted.
 */
export const R1Defaults = Type.Object(
  {
    purpose: Type.Union([Type.String({ pattern: PURPOSE_PATTERN }), Type.Null()]),
    basis: Type.Union([Type.Literal('open'), Type.Literal('law')]),
    fields: Type.Union([
      Type.Array(Type.String({ minLength: 1, maxLength: 512 }), {
        minItems: 1,
        maxItems: MAX_FIELDS,
        uniqueItems: true,
      }),
      Type.Null(),
    ]),
  },
  closed,
);

export const AccessRight = Type.Object(
  {
    id: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
    /** A subsystem, `local-group:CODE` or `global-group:INSTANCE/CODE`: each member of the group by itself. */
    client: Type.String({ pattern: `${SUBSYSTEM_ID_PATTERN}|^${GROUP_PATTERN}$` }),
    service: Type.String({ pattern: SERVICE_ID_PATTERN }),
    endpoints: Type.Array(EndpointRule, { minItems: 1, maxItems: 200 }),
    bases: Type.Array(Basis, { minItems: 1, maxItems: 4, uniqueItems: true }),
    /** Purposes that may be named; an empty list means that none has to be, and none may. */
    purposes: Type.Array(Type.String({ pattern: PURPOSE_PATTERN }), { maxItems: 100, uniqueItems: true }),
    /** Of each purpose that is registered, the hash of the words (purpose.ts) for which the right was given. */
    pins: Type.Record(Type.String({ pattern: PURPOSE_PATTERN }), Sha256, { ...closed, maxProperties: 100 }),
    /**
     * The ceiling: elements and predicates of the dictionary that may ever be released under it. Null stands for the
     * whole answer of a service that is not bound, because it holds no personal data; it opens nothing of a bound one.
     */
    elements: Type.Union([Type.Array(EntryRef, { minItems: 1, maxItems: 500, uniqueItems: true }), Type.Null()]),
    /** For the basis `law`: the statute, and the form of the case number (# digit, A letter, others literal). */
    statute: Type.Union([Type.String({ minLength: 1, maxLength: 300 }), Type.Null()]),
    casePattern: Type.Union([Type.String({ minLength: 1, maxLength: 64 }), Type.Null()]),
    /**
     * For the basis `law`: whether a token of the asking official is needed (evidence.ts), or the word of the asking
     * department's server is enough, which signs who asks and for which case with every request.
     */
    evidence: Type.Union([Type.Literal('official'), Type.Literal('server')]),
    /** For the basis `law`: how many days the citizen may at most not be shown a request; null for none. */
    secrecyDays: Type.Union([Type.Integer({ minimum: 1, maximum: 3_650 }), Type.Null()]),
    r1Defaults: Type.Union([R1Defaults, Type.Null()]),
    notBeforeMs: Type.Integer({ minimum: 0 }),
    notAfterMs: Type.Integer({ minimum: 0 }),
    /** Requests allowed per day (UTC) to each client, or null for no quota. */
    quotaPerDay: Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000_000 }), Type.Null()]),
    retention: Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' }),
  },
  closed,
);

export type EndpointRule = Static<typeof EndpointRule>;
export type R1Defaults = Static<typeof R1Defaults>;
export type AccessRight = Static<typeof AccessRight>;

/**
 * The terms of a right of which nothing more is said than who may ask which endpoints on which basis: without an end, a
 * quota or a purpose. A member that came later stands here for what it was before there was one, so that a stored right
 * which lacks it opens what it opened then.
 */
export const PLAIN_TERMS = {
  purposes: [],
  elements: null,
  statute: null,
  casePattern: null,
  evidence: 'server',
  secrecyDays: null,
  r1Defaults: null,
  notBeforeMs: 0,
  notAfterMs: Number.MAX_SAFE_INTEGER,
  quotaPerDay: null,
  retention: 'standard',
} satisfies Omit<AccessRight, 'id' | 'client' | 'service' | 'endpoints' | 'bases' | 'pins'>;
