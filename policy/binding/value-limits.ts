// What a schema says about one value, as far as the binding compiler asks: types, listed values and the keywords that a
// closed domain may use. `both` is what holds where two schemas apply (allOf), `either` where one of them does (oneOf);
// where that cannot be said in these keywords, the wider is taken.
import { isJsonObject, type JsonObject, type JsonValue } from '#schemas/json.ts';

export type TypeName = 'null' | 'boolean' | 'integer' | 'number' | 'string' | 'object' | 'array';
export const SCALAR_TYPES: readonly TypeName[] = ['boolean', 'integer', 'number', 'string'];
const TYPE_NAMES: readonly TypeName[] = ['null', 'object', 'array', ...SCALAR_TYPES];

/** Null: any type. A set with `number` never has `integer`. */
export type Types = ReadonlySet<TypeName> | null;

export interface ValueLimits {
  types: Types;
  /** `enum` or `const`; null: not listed. */
  values: readonly JsonValue[] | null;
  format?: string;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  multipleOf?: number;
}

const WORDS = ['format', 'pattern'] as const;
const LOWER = ['minLength', 'minimum'] as const;
const UPPER = ['maxLength', 'maximum'] as const;

export function limitsOf(schema: JsonObject): ValueLimits {
  const values = 'const' in schema ? [schema['const'] ?? null] : enumOf(schema['enum']);
  const types = bothTypes(typesOf(schema['type']), values === null ? null : normal(values.map(typeOf)));
  const limits: ValueLimits = { types, values };
  for (const word of WORDS) {
    const said = schema[word];
    if (typeof said === 'string') limits[word] = said;
  }
  for (const word of [...LOWER, ...UPPER, 'multipleOf'] as const) {
    const said = schema[word];
    if (typeof said === 'number') limits[word] = said;
  }
  return limits;
}

function enumOf(value: JsonValue | undefined): JsonValue[] | null {
  return Array.isArray(value) ? value : null;
}

/** @returns null for no or a malformed `type` */
function typesOf(type: JsonValue | undefined): Types {
  const names = (Array.isArray(type) ? type : [type]).filter((one) => TYPE_NAMES.includes(one as TypeName));
  return names.length === 0 ? null : normal(names as TypeName[]);
}

function normal(names: readonly TypeName[]): Set<TypeName> {
  const set = new Set(names);
  if (set.has('number')) set.delete('integer');
  return set;
}

function typeOf(value: JsonValue): TypeName {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (isJsonObject(value)) return 'object';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value === 'string' ? 'string' : 'boolean';
}

function bothTypes(a: Types, b: Types): Types {
  if (a === null || b === null) return a ?? b;
  const left = new Set([...a].filter((type) => b.has(type)));
  if ((a.has('integer') && b.has('number')) || (a.has('number') && b.has('integer'))) left.add('integer');
  return left;
}

export function bothLimits(a: ValueLimits, b: ValueLimits): ValueLimits {
  const types = bothTypes(a.types, b.types);
  const values = a.values === null ? b.values : b.values === null ? a.values : a.values.filter(isIn(b.values));
  const limits: ValueLimits = { ...a, ...b, types, values };
  for (const word of WORDS) {
    const said = a[word] ?? b[word];
    if (said !== undefined) limits[word] = said;
  }
  for (const word of LOWER) pick(limits, word, a, b, Math.max);
  for (const word of UPPER) pick(limits, word, a, b, Math.min);
  return limits;
}

export function eitherLimits(a: ValueLimits, b: ValueLimits): ValueLimits {
  const types = a.types === null || b.types === null ? null : normal([...a.types, ...b.types]);
  // A branch that cannot hold a scalar says nothing about scalars.
  if (!mayBeScalar(a)) return { ...b, types };
  if (!mayBeScalar(b)) return { ...a, types };
  const values = a.values === null || b.values === null ? null : [...a.values, ...b.values.filter(isOut(a.values))];
  const limits: ValueLimits = { types, values };
  for (const word of [...WORDS, 'multipleOf'] as const) {
    if (a[word] !== undefined && a[word] === b[word]) Object.assign(limits, { [word]: a[word] });
  }
  for (const word of LOWER) if (a[word] !== undefined && b[word] !== undefined) pick(limits, word, a, b, Math.min);
  for (const word of UPPER) if (a[word] !== undefined && b[word] !== undefined) pick(limits, word, a, b, Math.max);
  return limits;
}

function pick(
  limits: ValueLimits,
  word: (typeof LOWER)[number] | (typeof UPPER)[number],
  a: ValueLimits,
  b: ValueLimits,
  choose: (a: number, b: number) => number,
): void {
  const [one, other] = [a[word] ?? b[word], b[word] ?? a[word]];
  if (one !== undefined && other !== undefined) limits[word] = choose(one, other);
}

/** Compared as text: listed values are scalars, or make no leaf. */
function isIn(values: readonly JsonValue[]): (value: JsonValue) => boolean {
  const texts = new Set(values.map((value) => JSON.stringify(value)));
  return (value) => texts.has(JSON.stringify(value));
}

function isOut(values: readonly JsonValue[]): (value: JsonValue) => boolean {
  const known = isIn(values);
  return (value) => !known(value);
}

export function mayBeScalar({ types }: { types: Types }): boolean {
  return types === null || SCALAR_TYPES.some((type) => types.has(type));
}

export function mayBe({ types }: { types: Types }, type: TypeName): boolean {
  return types?.has(type) ?? true;
}
