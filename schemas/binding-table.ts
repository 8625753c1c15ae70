// The binding table of a service: which element of the dictionary stands at which place of which answer. Compiled from
// the service's OpenAPI 3.1 document when it is published (policy/binding), approved with the global configuration; the
// consent screen, the ceiling, the filter and the log all speak of its paths.
//
// A path is a JSON Pointer (RFC 6901) into the answer's JSON without array indices: arrays are transparent. A segment
// `{pattern}` stands for every name that `patternProperties` allows; `~2` is a literal `{` at the start of a name.
import { BindingPath } from './binding-path.ts';
import { canonicalJson } from './canonical-json.ts';
import { Method } from './context.ts';
import { EntryRef, Level, ValueDomain } from './dictionary-entry.ts';
import { SERVICE_ID_PATTERN } from './identifiers.ts';
import type { JsonValue } from './json.ts';
import { type Static, Type } from './schema-builder.ts';
import { PURPOSE_PATTERN } from './statement.ts';

const closed = { additionalProperties: false };

/** A place that holds one value of an element. */
const DataLeaf = Type.Object(
  {
    role: Type.Literal('data'),
    path: BindingPath,
    element: EntryRef,
    level: Level,
    /** Brings the provider's own form into the element's. */
    map: Type.Optional(EntryRef),
    /** The element's atomic group, if it has one: `group` and the container decide what is released together. */
    group: Type.Optional(EntryRef),
    /** Place beside it that holds the day for which it is true. */
    asOf: Type.Optional(BindingPath),
  },
  closed,
);
/**
 * A place that holds no data about anybody: `technical` always leaves (a problem's code), `structural` only beside
 * released data (a discriminator, a page's size). Its domain is closed, so that it cannot carry anything else.
 */
const OtherLeaf = Type.Object(
  {
    role: Type.Union([Type.Literal('structural'), Type.Literal('technical')]),
    path: BindingPath,
    domain: ValueDomain,
  },
  closed,
);
export const BindingLeaf = Type.Union([DataLeaf, OtherLeaf]);

export const BindingOperation = Type.Object(
  {
    method: Method,
    /** OpenAPI path template, e.g. /residents/{id}. */
    path: Type.String({ minLength: 1, maxLength: 1024, pattern: '^/' }),
    /** The one place where the person's (or company's) identifier stands, and the element that names its scheme. */
    subject: Type.Union([
      Type.Object(
        {
          in: Type.Union([Type.Literal('path'), Type.Literal('query'), Type.Literal('body')]),
          /** Parameter name, or for `body` a JSON Pointer. */
          name: Type.String({ minLength: 1, maxLength: 256 }),
          scheme: EntryRef,
        },
        closed,
      ),
      Type.Null(),
    ]),
    /** Query parameter that takes the day for which the caller asks; null when only the present can be asked for. */
    asOf: Type.Union([Type.String({ minLength: 1, maxLength: 128 }), Type.Null()]),
    /** Purposes the provider offers it for; empty: whatever an access right names. */
    purposes: Type.Array(Type.String({ pattern: PURPOSE_PATTERN }), { maxItems: 100, uniqueItems: true }),
    responses: Type.Array(
      Type.Object(
        {
          status: Type.String({ pattern: '^(?:[1-5][0-9]{2}|[1-5]XX|default)$' }),
          /** Media type without parameters, lower case. */
          mediaType: Type.String({ minLength: 3, maxLength: 128 }),
          leaves: Type.Array(BindingLeaf, { maxItems: 2000 }),
        },
        closed,
      ),
      { maxItems: 64 },
    ),
  },
  closed,
);

export const BindingTable = Type.Object(
  {
    v: Type.Literal(1),
    service: Type.String({ pattern: SERVICE_ID_PATTERN }),
    jurisdiction: Type.String({ pattern: '^[A-Za-z0-9-]{1,32}$' }),
    /** The highest sensitivity in the table. */
    level: Level,
    operations: Type.Array(BindingOperation, { minItems: 1, maxItems: 500 }),
  },
  closed,
);

export type DataLeaf = Static<typeof DataLeaf>;
export type OtherLeaf = Static<typeof OtherLeaf>;
export type BindingLeaf = Static<typeof BindingLeaf>;
export type BindingOperation = Static<typeof BindingOperation>;
export type BindingTable = Static<typeof BindingTable>;

/** The one spelling of a table; its SHA-256 is what the service's registration carries. */
export function bindingTableText(table: BindingTable): string {
  return canonicalJson(table as unknown as JsonValue);
}
