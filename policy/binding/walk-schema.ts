// JSON Schema 2020-12 as OpenAPI 3.1 uses it, read into shapes: `$ref`, allOf, oneOf, anyOf, if/then/else,
// dependentSchemas, properties, patternProperties, items, prefixItems, const, enum, boolean schemas. What is not a
// reference within the document, or leads back to itself, is refused: a table of finitely many places cannot hold it.
// The service's author controls the document.
import { isJsonObject, type JsonObject, type JsonValue } from '#schemas/json.ts';
import type { BindingFault } from './binding-fault.ts';
import { below, escapeToken, resolveReference } from './document.ts';
import {
  anything,
  type Budget,
  intersect,
  isNothing,
  type Mark,
  type Member,
  nothing,
  type Shape,
  spend,
  unite,
} from './shape.ts';
import { limitsOf, mayBe, mayBeScalar } from './value-limits.ts';

export interface SchemaReader {
  document: JsonObject;
  budget: Budget;
  fault(code: BindingFault['code'], pointer: string, detail: string): void;
  /** Shapes by the pointer of their schema; null while one is being read. */
  known: Map<string, Shape | null>;
}

/** Nested schemas and chains of references. */
const MAX_SCHEMA_DEPTH = 100;

export function shapeOf(reader: SchemaReader, schema: JsonValue | undefined, pointer: string, depth = 0): Shape {
  if (schema === true) return anything(pointer);
  if (schema === false) return nothing(pointer);
  if (!isJsonObject(schema)) return refused(reader, pointer, 'not a schema');
  if (depth > MAX_SCHEMA_DEPTH) return refused(reader, pointer, 'nested too deeply');
  const known = reader.known.get(pointer);
  if (known !== undefined && known !== null) return known;
  spend(reader.budget);
  reader.known.set(pointer, null);
  const parts = [...composed(reader, schema, pointer, depth), ...conditional(reader, schema, pointer, depth)];
  const [referred] = parts;
  const isReferenceOnly = '$ref' in schema && Object.keys(schema).every((name) => NEUTRAL.has(name));
  let shape = isReferenceOnly && referred !== undefined ? referred : ownShape(reader, schema, pointer, depth);
  for (const part of parts) shape = intersect(shape, part, reader.budget);
  shape = settle(closing(shape, schema), reader.budget);
  reader.known.set(pointer, shape);
  return shape;
}

const NEUTRAL = new Set(['$ref', 'description', 'title', 'summary', 'examples', 'example', 'deprecated']);

function refused(reader: SchemaReader, pointer: string, detail: string): Shape {
  reader.fault('BIND_OPEN_SCHEMA', pointer, detail);
  return nothing(pointer);
}

/** What holds besides the schema's own keywords, without condition; a reference's target comes first. */
function composed(reader: SchemaReader, schema: JsonObject, pointer: string, depth: number): Shape[] {
  const parts: Shape[] = [];
  if ('$dynamicRef' in schema) refused(reader, below(pointer, '$dynamicRef'), '$dynamicRef has no one target');
  if ('$ref' in schema) {
    const target = resolveReference(reader.document, schema['$ref'] ?? null);
    const place = below(pointer, '$ref');
    if (target === null) parts.push(refused(reader, place, 'the reference leads nowhere in this document'));
    else if (reader.known.get(target.pointer) === null) parts.push(refused(reader, place, 'recursive'));
    else parts.push(shapeOf(reader, target.value, target.pointer, depth + 1));
  }
  const listed = (name: string): Shape[] => {
    const list = schema[name];
    if (!Array.isArray(list)) return [];
    return list.map((each, index) => shapeOf(reader, each, below(below(pointer, name), index), depth + 1));
  };
  parts.push(...listed('allOf'));
  for (const name of ['oneOf', 'anyOf']) {
    const [first, ...more] = listed(name);
    if (first !== undefined) parts.push(more.reduce((a, b) => unite(a, b, reader.budget), first));
  }
  return parts;
}

/** if/then/else and dependentSchemas: what holds in one case, or in the other. */
function conditional(reader: SchemaReader, schema: JsonObject, pointer: string, depth: number): Shape[] {
  const parts: Shape[] = [];
  const at = (name: string) => shapeOf(reader, schema[name], below(pointer, name), depth + 1);
  if ('if' in schema) {
    const then = 'then' in schema ? at('then') : anything(below(pointer, 'if'));
    const otherwise = 'else' in schema ? at('else') : anything(pointer);
    parts.push(unite(intersect(then, at('if'), reader.budget), otherwise, reader.budget));
  }
  const dependent = schema['dependentSchemas'];
  if (isJsonObject(dependent)) {
    for (const [name, each] of Object.entries(dependent)) {
      const shape = shapeOf(reader, each, below(below(pointer, 'dependentSchemas'), name), depth + 1);
      parts.push(unite(shape, anything(pointer), reader.budget));
    }
  }
  return parts;
}

function ownShape(reader: SchemaReader, schema: JsonObject, pointer: string, depth: number): Shape {
  const mark = markOf(schema, pointer);
  const isBound = mark?.element !== undefined || mark?.role !== undefined;
  const additional = schema['additionalProperties'];
  return {
    pointer,
    limits: limitsOf(schema),
    marks: mark === null ? [] : [mark],
    bare: isBound ? null : pointer,
    members: membersOf(reader, schema, pointer, depth),
    closed: additional === false,
    opened: additional !== undefined && additional !== false,
    ...itemsOf(reader, schema, pointer, depth),
  };
}

function markOf(schema: JsonObject, pointer: string): Mark | null {
  const words = { element: 'element', role: 'role', map: 'map', asOf: 'as-of', subject: 'subject' } as const;
  const said = Object.entries(words).flatMap(([name, word]) => {
    const value = schema[`x-accord-${word}`];
    return value === undefined ? [] : [[name, value]];
  });
  return said.length === 0 ? null : { pointer, ...Object.fromEntries(said) };
}

function membersOf(reader: SchemaReader, schema: JsonObject, pointer: string, depth: number): Map<string, Member> {
  const members = new Map<string, Member>();
  const kinds: [string, (name: string) => string][] = [
    ['properties', segmentOf],
    ['patternProperties', (pattern) => `{${escapeToken(pattern)}}`],
  ];
  for (const [keyword, segment] of kinds) {
    const described = schema[keyword];
    if (!isJsonObject(described)) continue;
    for (const [name, each] of Object.entries(described)) {
      const shape = shapeOf(reader, each, below(below(pointer, keyword), name), depth + 1);
      members.set(segment(name), { shape, soft: null });
    }
  }
  return members;
}

/** A literal name as a segment of a path (schemas/binding-table.ts). */
export function segmentOf(name: string): string {
  const token = escapeToken(name);
  return token.startsWith('{') ? `~2${token.slice(1)}` : token;
}

function itemsOf(reader: SchemaReader, schema: JsonObject, pointer: string, depth: number) {
  const first = Array.isArray(schema['prefixItems']) ? schema['prefixItems'] : [];
  const shapes = first.map((each, index) =>
    shapeOf(reader, each, below(below(pointer, 'prefixItems'), index), depth + 1),
  );
  const { items } = schema;
  if (items !== undefined) {
    const rest = shapeOf(reader, items, below(pointer, 'items'), depth + 1);
    if (!isNothing(rest) || shapes.length === 0) shapes.push(rest);
  }
  const [head, ...more] = shapes;
  if (head === undefined) return { items: null, itemsOpen: items === undefined };
  return { items: more.reduce((a, b) => unite(a, b, reader.budget), head), itemsOpen: items === undefined };
}

/** The unevaluated* keywords see what stands beside them and in every composition. */
function closing(shape: Shape, schema: JsonObject): Shape {
  const closed = shape.closed || (schema['unevaluatedProperties'] === false && !shape.opened);
  const itemsOpen = shape.itemsOpen && schema['unevaluatedItems'] !== false;
  return { ...shape, closed, itemsOpen };
}

/** A mark on an array is a mark on what its items are. */
function settle(shape: Shape, budget: Budget): Shape {
  const { limits, marks, bare, items } = shape;
  if (marks.length === 0 || items === null || !mayBe(limits, 'array') || mayBeScalar(limits)) return shape;
  const marked = intersect(items, { ...anything(items.pointer), marks, bare }, budget);
  return { ...shape, marks: [], bare: shape.pointer, items: marked };
}
