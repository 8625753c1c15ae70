// What a provider's server says about an answer of a bound service (DESIGN: the dictionary): under which table it was
// released, what each value is worth, and what is missing on purpose. It travels in the answer's committed context, so it
// is signed with the answer; the consumer's server checks it again.
import { BindingPath } from './binding-path.ts';
import { EntryRef } from './dictionary-entry.ts';
import { MAX_RELEASED_PATHS } from './limits.ts';
import { Sha256 } from './registrations.ts';
import { type Static, Type } from './schema-builder.ts';

const closed = { additionalProperties: false };

/** `present`: here it is; the others say why it is not, or (underInvestigation) that somebody doubts what is here. */
export const ElementState = Type.Union([
  Type.Literal('present'),
  Type.Literal('unknown'),
  Type.Literal('withheld'),
  Type.Literal('notHeld'),
  Type.Literal('underInvestigation'),
]);

export const ReleasedElement = Type.Object(
  {
    path: BindingPath,
    element: EntryRef,
    /** Member that says so. */
    source: Type.String({ minLength: 1, maxLength: 200 }),
    /** YYYY-MM-DD or an RFC 3339 time: for when it is true; null when the provider does not say. */
    asOf: Type.Union([Type.String({ minLength: 10, maxLength: 35 }), Type.Null()]),
    state: ElementState,
    /** Older than the element's promise. */
    stale: Type.Boolean(),
  },
  closed,
);

export const OmittedElement = Type.Object(
  {
    /** Null for a predicate, which stands at no path. */
    path: Type.Union([BindingPath, Type.Null()]),
    element: EntryRef,
  },
  closed,
);

export const PredicateResult = Type.Object(
  {
    predicate: EntryRef,
    result: Type.Union([Type.Literal('true'), Type.Literal('false'), Type.Literal('unknown')]),
  },
  closed,
);

export const Release = Type.Object(
  {
    /** SHA-256 of the binding table, and the dictionary's release. */
    table: Sha256,
    dictionary: Type.String({ maxLength: 20 }),
    elements: Type.Array(ReleasedElement, { maxItems: MAX_RELEASED_PATHS }),
    predicates: Type.Array(PredicateResult, { maxItems: MAX_RELEASED_PATHS }),
    /** Asked for, not permitted, and left out because the caller said `partial`. */
    omitted: Type.Array(OmittedElement, { maxItems: MAX_RELEASED_PATHS }),
  },
  closed,
);

export type ElementState = Static<typeof ElementState>;
export type ReleasedElement = Static<typeof ReleasedElement>;
export type OmittedElement = Static<typeof OmittedElement>;
export type PredicateResult = Static<typeof PredicateResult>;
export type Release = Static<typeof Release>;
