// Random cases for campaign `filter`: a service's answer schema with its binding leaves, an answer that follows it or does
// not, and a decision. Names and values are picked to be awkward: those that JavaScript or JSON Pointer treat specially,
// containers where scalars belong, lists in lists.
import { openBinding } from '#policy/binding/binding.ts';
import { type Dictionary, openDictionary } from '#policy/dictionary/dictionary.ts';
import type { BackendAnswer } from '#policy/release/answer.ts';
import type { BindingLeaf, BindingTable, DataLeaf } from '#schemas/binding-table.ts';
import type { DictionaryEntry, ElementEntry, Scalar, ValueDomain } from '#schemas/dictionary-entry.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#schemas/json.ts';
import type { Source } from '#scripts/demo/random.ts';

export interface FilterCase {
  leaves: BindingLeaf[];
  /** Decided data paths. */
  paths: Set<string>;
  answer: JsonValue;
}

const NAMES = [
  ...['name', 'id', 'list', 'a', 'b', '0', 'constructor', 'toString', 'hasOwnProperty', 'prototype', 'then'],
  ...['a/b', 'm~n', '~1', '~2', '{x}', '{', '{^x}', '}', '名称', 'É', ' ', 'p1', 'x-a', 'length'],
] as const;
/** Some allow the same names, and some allow names that also stand by themselves. */
const PATTERNS = ['^p[0-9]$', '^x-', '^x-a', '^[a-c]$', '/', '~', '^\\{', '^\\p{L}{2}$', ''] as const;
/** What a backend may send besides: bound nowhere, or only by a pattern. */
const STRANGE = ['__proto__', 'x-a', 'x-b', 'p7', 'c', 'q', '/', '', 'zz', 'a/b/c', '{y', '__defineGetter__'] as const;
/** No pattern is asked about a name longer than a path's segment, so that it is unknown in every table. */
const TOO_LONG_NAME = 'n'.repeat(257);
const STRUCTURAL: ValueDomain = { type: 'string', enum: ['page', 'resident'] };
const TECHNICAL: ValueDomain = { type: 'integer', minimum: 100, maximum: 599 };

const common = {
  version: '1.0.0',
  state: 'standard',
  labels: { zh: '试', en: 'test' },
  definition: { zh: '试', en: 'test' },
} as const;
const element = (id: string, domain: ValueDomain): ElementEntry => ({
  kind: 'element',
  id: `gx.${id}`,
  ...common,
  domain,
  level: 2,
  authorities: [],
  tests: [],
});
const ENTRIES: DictionaryEntry[] = [
  element('text', { type: 'string', maxLength: 20 }),
  element('number', { type: 'number', minimum: 0 }),
  element('sex', { type: 'string', pattern: '^[12]$' }),
  {
    kind: 'mapping',
    id: 'gx.map.sex',
    ...common,
    from: { value: 'local:sex' },
    to: { value: 'gx.sex@1' },
    fidelity: 'lossless',
    steps: [{ op: 'enumMap', at: 'value', table: { M: '1', F: '2' } }],
    onUnmapped: 'fail',
    examples: [],
  },
];
export const FILTER_DICTIONARY: Dictionary = openDictionary('1.0.0', ENTRIES);
const ELEMENTS = [
  { element: 'gx.text@1' },
  { element: 'gx.number@1' },
  { element: 'gx.sex@1', map: 'gx.map.sex@1' },
] as const;
const SCALARS: readonly Scalar[] = ['page', 'resident', 'M', 'F', 'X', '', 'secret', 'far too long to be a text', 200];
const MORE_SCALARS: readonly Scalar[] = [404, 5, -1, 0.5, 1e21, true, false, null, '1', '__proto__'];

type Schema =
  | { kind: 'leaf'; role: BindingLeaf['role'] }
  | { kind: 'list'; items: Schema }
  | { kind: 'object'; members: { name: string; pattern: boolean; schema: Schema }[] };

function makeSchema(chance: Source, depth: number): Schema {
  const kind = depth === 0 ? 1 : chance.integer(1, 10);
  if (kind <= 4) return { kind: 'leaf', role: chance.pick(['data', 'data', 'data', 'structural', 'technical']) };
  if (kind <= 6) return { kind: 'list', items: makeSchema(chance, depth - 1) };
  return makeObject(chance, depth);
}

function makeObject(chance: Source, depth: number): Schema {
  const members = Array.from({ length: chance.integer(1, 6) }, () => {
    const pattern = chance.chance(0.2);
    return { name: chance.pick<string>(pattern ? PATTERNS : NAMES), pattern, schema: makeSchema(chance, depth - 1) };
  });
  return { kind: 'object', members };
}

function makeLeaves(schema: Schema, path: string, chance: Source): BindingLeaf[] {
  if (schema.kind === 'list') return makeLeaves(schema.items, path, chance);
  if (schema.kind === 'object') {
    return schema.members.flatMap(({ name, pattern, schema: below }) => {
      const token = name.replace(/~/g, '~0').replace(/\//g, '~1');
      const segment = pattern ? `{${token}}` : token.replace(/^\{/, '~2');
      return makeLeaves(below, `${path}/${segment}`, chance);
    });
  }
  if (schema.role === 'data') return [{ role: 'data', path, level: 2, ...chance.pick(ELEMENTS) }];
  return [{ role: schema.role, path, domain: schema.role === 'structural' ? STRUCTURAL : TECHNICAL }];
}

function scalar(chance: Source): Scalar {
  return chance.pick([...SCALARS, ...MORE_SCALARS]);
}

/** Follows the schema for the most part. `wild`: how often it does not. */
function makeValue(schema: Schema, chance: Source, wild: number): JsonValue {
  if (chance.chance(wild)) return wildValue(chance, 2);
  if (schema.kind === 'leaf') {
    if (chance.chance(0.1)) return [scalar(chance), [scalar(chance)]];
    if (schema.role === 'structural') return chance.pick(['page', 'resident']);
    return schema.role === 'technical' ? chance.pick([200, 404]) : scalar(chance);
  }
  if (schema.kind === 'list') {
    return Array.from({ length: chance.integer(0, 3) }, () => makeValue(schema.items, chance, wild));
  }
  const members: [string, JsonValue][] = [];
  for (const { name, pattern, schema: below } of schema.members) {
    const own = pattern ? chance.pick<string>([...STRANGE, ...NAMES]) : name;
    if (chance.chance(0.85)) members.push([own, makeValue(below, chance, wild)]);
  }
  while (chance.chance(wild * 2)) members.push([chance.pick<string>([...STRANGE, ...NAMES]), wildValue(chance, 2)]);
  return objectOf(members);
}

function wildValue(chance: Source, depth: number): JsonValue {
  const kind = depth === 0 ? 1 : chance.integer(1, 6);
  if (kind <= 3) return scalar(chance);
  const count = chance.integer(0, 3);
  if (kind === 4) return Array.from({ length: count }, () => wildValue(chance, depth - 1));
  return objectOf(
    Array.from({ length: count }, () => [chance.pick<string>([...STRANGE, ...NAMES]), wildValue(chance, depth - 1)]),
  );
}

/** As JSON.parse would make it: `__proto__` becomes a member like any other. */
function objectOf(members: readonly [string, JsonValue][]): JsonObject {
  const unique = new Map(members);
  const text = [...unique].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  return JSON.parse(`{${text.join()}}`);
}

/** What several members of a schema say about one path is one leaf in a table. */
function unique(leaves: readonly BindingLeaf[]): BindingLeaf[] {
  return [...new Map(leaves.map((leaf) => [leaf.path, leaf])).values()];
}

export function makeCase(chance: Source): FilterCase {
  const depth = chance.integer(1, 5);
  const schema = chance.chance(0.1) ? makeSchema(chance, depth) : makeObject(chance, depth);
  const leaves = unique(makeLeaves(schema, '', chance));
  const share = chance.pick([0, 0.3, 0.7, 0.7, 1]);
  const paths = leaves.filter(({ role }) => role === 'data' && chance.chance(share)).map(({ path }) => path);
  return { leaves, paths: new Set(paths), answer: makeValue(schema, chance, chance.pick([0, 0.05, 0.3])) };
}

/** The same case as a backend's answer with status 200. */
export function asBackendAnswer({ leaves, paths, answer }: FilterCase): BackendAnswer {
  const response = { status: '200', mediaType: 'application/json', leaves };
  const operation = {
    method: 'GET',
    path: '/x',
    subject: null,
    asOf: null,
    purposes: [],
    responses: [response],
  } as const;
  const table = { v: 1, service: 'GX/GOV/1001/registry/x', jurisdiction: 'GX', level: 2, operations: [operation] };
  const binding = openBinding(table as unknown as BindingTable, FILTER_DICTIONARY);
  const bound = binding.operation('GET', '/x');
  if (bound === null) throw new TypeError('the table does not bind its own operation');
  const decided = leaves.filter((leaf): leaf is DataLeaf => leaf.role === 'data' && paths.has(leaf.path));
  return {
    binding,
    bound,
    dictionary: FILTER_DICTIONARY,
    decided: {
      asked: decided.map(({ path, element, level, map }) => {
        return { field: path, path, element, level, maps: map === undefined ? [] : [map] };
      }),
      omitted: [],
    },
    status: 200,
    mediaType: 'application/json',
    body: Buffer.from(JSON.stringify(answer), 'utf8'),
    states: null,
    source: 'GX/GOV/1001',
    nowMs: 1_800_000_000_000,
    doubted: () => false,
  };
}

/** Puts `secret` somewhere it must not be; null where the case offers no such place. */
export function plantLeak(chance: Source, { leaves, paths }: FilterCase, released: JsonValue): JsonValue | null {
  const copy: JsonValue = structuredClone(released);
  const objects: JsonObject[] = [];
  const collect = (value: JsonValue): void => {
    if (Array.isArray(value)) for (const item of value) collect(item);
    else if (isJsonObject(value)) {
      objects.push(value);
      for (const member of Object.values(value)) collect(member);
    }
  };
  collect(copy);
  const hidden = leaves.find(({ role, path }) => role === 'data' && !paths.has(path) && /^\/[a-z]+$/.test(path));
  if (hidden !== undefined && isJsonObject(copy) && chance.chance(0.5)) {
    const name = hidden.path.slice(1);
    copy[name] = isJsonObject(copy[name]) || Array.isArray(copy[name]) ? [copy[name], 'secret'] : 'secret';
    return copy;
  }
  if (objects.length === 0) return null;
  chance.pick(objects)[TOO_LONG_NAME] = chance.pick<JsonValue>(['secret', ['secret'], { a: {} }, {}]);
  return copy;
}
