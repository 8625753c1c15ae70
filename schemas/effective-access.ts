// What would I get? (DESIGN: who may ask for what.) A consumer describes a request, and the provider's server says what it
// would decide, without asking its backend: an ordinary exchange on a reserved path, on the purpose and the basis of the
// statement that carries it, for the official, the case and the receipt of the context that carries it. The consumer
// controls the description, the provider's server the answer.
import { RequestContext } from './context.ts';
import { MAX_RELEASED_PATHS } from './limits.ts';
import { Sha256 } from './registrations.ts';
import { OmittedElement } from './release.ts';
import { type Static, Type } from './schema-builder.ts';
import { compile } from './validate.ts';

const closed = { additionalProperties: false };
const { method, path, query, fields, partial, asOf } = RequestContext.properties;

/** Reserved path behind every service, answered by the provider's own server. */
export const EFFECTIVE_ACCESS_PATH = '/.accord/effective-access';

/** The body of POST /.accord/effective-access: the members of a request that its decision looks at. */
export const DescribedRequest = Type.Object(
  {
    v: Type.Literal(1),
    method,
    path,
    query,
    fields,
    partial,
    asOf,
    /** The body as base64 text, where the operation has its subject in it; null otherwise. */
    body: Type.Union([Type.String({ pattern: '^[A-Za-z0-9+/]*={0,2}$' }), Type.Null()]),
  },
  closed,
);

const Items = Type.Array(OmittedElement, { maxItems: MAX_RELEASED_PATHS });

/** Nothing in it depends on whether the person exists: nobody was asked. */
export const EffectiveAccess = Type.Object(
  {
    allowed: Type.Boolean(),
    /** `OK`, or the code that the request would be refused with. */
    code: Type.String({ pattern: '^[A-Z][A-Z0-9_]{1,63}$' }),
    detail: Type.String({ maxLength: 1_024 }),
    /** What would be released and, with `partial`, left out; null for a refusal and for a service that is not bound. */
    release: Type.Union([Type.Object({ asked: Items, omitted: Items }, closed), Type.Null()]),
    /** Of the decision as it is now; its inputs are archived, as those of a request that was decided. */
    decisionHash: Sha256,
  },
  closed,
);

export type DescribedRequest = Static<typeof DescribedRequest>;
export type EffectiveAccess = Static<typeof EffectiveAccess>;

/** @throws SCHEMA_MISMATCH */
export const checkDescribedRequest = compile(DescribedRequest, 'SCHEMA_MISMATCH');
/** @throws SCHEMA_MISMATCH */
export const checkEffectiveAccess = compile(EffectiveAccess, 'SCHEMA_MISMATCH');
