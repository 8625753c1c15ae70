// The schemas of this program (JSON Schema 2020-12) as values from which TypeBox's types read what they allow. TypeBox's own
// builders bring two hundred modules, a quarter of what a command takes to start, for the dozen kinds that are used here:
// they are made here, in the same form, and of TypeBox only types are taken, which cost nothing when a program runs.
import type { JsonTypeBuilder, TProperties, TSchema } from '@sinclair/typebox';

export type { Static, TSchema } from '@sinclair/typebox';

type Kinds =
  | ('Array' | 'Boolean' | 'Integer' | 'Literal' | 'Null' | 'Number' | 'Object')
  | ('Omit' | 'Optional' | 'Record' | 'String' | 'Union' | 'Unknown' | 'Unsafe');

type Fields = Record<string | symbol, unknown>;

/** Marks a property that may be absent; symbols are no part of the schema that is checked or written. */
const OPTIONAL = Symbol('optional');
const ANY_NAME = '^(.*)$';

const simple = (type: string) => (options?: Fields) => ({ ...options, type });

function objectOf(properties: TProperties, options?: Fields): Fields {
  const required = Object.keys(properties).filter((name) => !(OPTIONAL in (properties[name] as object)));
  return { ...options, type: 'object', ...(required.length > 0 ? { required } : {}), properties };
}

function omit(object: Fields, names: readonly string[], options?: Fields): Fields {
  const { type: _type, required: _required, properties, ...rest } = object;
  const left = Object.entries(properties as TProperties).filter(([name]) => !names.includes(name));
  return { ...objectOf(Object.fromEntries(left), rest), ...options };
}

function union(of: readonly TSchema[], options?: Fields): Fields {
  if (of.length === 0) throw new TypeError('a union of nothing');
  return of.length === 1 ? { ...options, ...of[0] } : { ...options, anyOf: of };
}

/** TypeBox's `Type`, for schemas alone: no transforms, references or mapped types, and of `Omit` only objects. */
export const Type = {
  Array: (items: TSchema, options?: Fields) => ({ ...options, type: 'array', items }),
  Boolean: simple('boolean'),
  Integer: simple('integer'),
  Literal: (value: unknown, options?: Fields) => ({ ...options, const: value, type: typeof value }),
  Null: simple('null'),
  Number: simple('number'),
  Object: objectOf,
  Omit: omit,
  Optional: (schema: TSchema) => ({ ...schema, [OPTIONAL]: true }),
  Record: (names: { pattern?: string }, of: TSchema, options?: Fields) => ({
    ...options,
    type: 'object',
    patternProperties: { [names.pattern ?? ANY_NAME]: of },
  }),
  String: simple('string'),
  Union: union,
  Unknown: (options?: Fields) => ({ ...options }),
  Unsafe: (schema: Fields = {}) => ({ ...schema }),
} as unknown as Pick<JsonTypeBuilder, Kinds>;
