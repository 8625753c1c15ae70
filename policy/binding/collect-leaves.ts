// From the shape of an answer to its leaves: every place where a value may stand, by path, each bound to one thing. The
// shape must be closed all the way down; the filter would drop what is not bound anyway, so this protects the author,
// who would otherwise learn only in operation what does not arrive.
import type { BindingLeaf } from '#schemas/binding-table.ts';
import { judgeLeaf, type LeafRules } from './leaf.ts';
import { patternRefusal } from './pattern-guard.ts';
import { type Budget, isNothing, type Shape, spend, TooLarge } from './shape.ts';
import { mayBe, mayBeScalar } from './value-limits.ts';
import { segmentOf } from './walk-schema.ts';

export const MAX_LEAVES = 2000;
const MAX_SEGMENTS = 16;
const MAX_SEGMENT_LENGTH = 256;
const MAX_PATH_LENGTH = 512;

interface Collection {
  rules: LeafRules;
  budget: Budget;
  leaves: Map<string, { leaf: BindingLeaf; shape: Shape }>;
  /** Paths where an object may stand. */
  containers: Map<string, string>;
}

/** Ascending by path. Faults go to `rules.faults`. @throws TooLarge */
export function collectLeaves(rules: LeafRules, shape: Shape, budget: Budget): BindingLeaf[] {
  const collection: Collection = { rules, budget, leaves: new Map(), containers: new Map() };
  place(collection, shape, '');
  for (const [path, { shape: at }] of collection.leaves) {
    const object = collection.containers.get(path);
    if (object === undefined) continue;
    rules.faults.add('BIND_AMBIGUOUS_BRANCH', at.pointer, `${path}: a value here, an object in another branch`);
  }
  const found = [...collection.leaves.values()].map(({ leaf }) => withSibling(collection, leaf));
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function place(collection: Collection, shape: Shape, path: string): void {
  spend(collection.budget);
  if (isNothing(shape)) return;
  const { limits, pointer, marks } = shape;
  const { faults } = collection.rules;
  if (limits.types === null) {
    faults.add('BIND_OPEN_SCHEMA', pointer, `${path}: has no type`);
    return;
  }
  if (mayBe(limits, 'object')) {
    const [mark] = marks.filter(
      ({ element, role, map }) => element !== undefined || role !== undefined || map !== undefined,
    );
    if (mark !== undefined && !mayBeScalar(limits)) {
      faults.add('BIND_TYPE_CONFLICT', mark.pointer, `${path}: an object cannot be bound, its values can`);
    }
    collection.containers.set(path, pointer);
    objectPlaces(collection, shape, path);
  }
  if (mayBe(limits, 'array')) {
    if (shape.itemsOpen) faults.add('BIND_OPEN_SCHEMA', pointer, `${path}: an array whose items are not described`);
    if (shape.items !== null) place(collection, shape.items, path);
  }
  if (mayBeScalar(limits)) leafPlace(collection, shape, path);
}

function objectPlaces(collection: Collection, shape: Shape, path: string): void {
  const { faults } = collection.rules;
  const { pointer, members } = shape;
  if (members.size === 0) faults.add('BIND_OPEN_SCHEMA', pointer, `${path}: an object without properties`);
  if (!shape.closed) {
    const how = 'additionalProperties: false, or unevaluatedProperties: false beside a composition';
    faults.add('BIND_OPEN_SCHEMA', pointer, `${path}: other names may stand here; say ${how}`);
  }
  for (const [segment, { shape: member }] of members) {
    const further = `${path}/${segment}`;
    const refusal = segmentRefusal(segment) ?? (isTooDeep(further) ? 'nested too deeply or too long a path' : null);
    if (refusal === null) place(collection, member, further);
    else faults.add('BIND_OPEN_SCHEMA', member.pointer, `${further.slice(0, 200)}: ${refusal}`);
  }
  overlaps(collection, shape, path);
}

function isTooDeep(path: string): boolean {
  return path.length > MAX_PATH_LENGTH || path.split('/').length - 1 > MAX_SEGMENTS;
}

function segmentRefusal(segment: string): string | null {
  if (segment === '' || segment.length > MAX_SEGMENT_LENGTH) return 'a name of 1 to 256 characters is needed';
  if (segment === '__proto__') return 'this name is never accepted in JSON';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f]/.test(segment)) return 'control characters in a name';
  return segment.startsWith('{') ? patternRefusal(patternOf(segment)) : null;
}

function patternOf(segment: string): string {
  return unescaped(segment.slice(1, -1));
}

function nameOf(segment: string): string {
  return segment.startsWith('~2') ? `{${unescaped(segment.slice(2))}` : unescaped(segment);
}

function unescaped(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** A name that a pattern also allows has two descriptions: both must bind alike. So must two patterns. */
function overlaps(collection: Collection, { members }: Shape, path: string): void {
  const patterns = [...members].filter(([segment]) => segment.startsWith('{') && segmentRefusal(segment) === null);
  for (const [index, [pattern, { shape }]] of patterns.entries()) {
    const expression = new RegExp(patternOf(pattern), 'u');
    spend(collection.budget, 10 * members.size);
    const names = [...members.keys()].filter((segment) => !segment.startsWith('{') && expression.test(nameOf(segment)));
    const others = patterns.slice(index + 1).filter(([other]) => !areDisjoint(patternOf(pattern), patternOf(other)));
    for (const segment of [...names, ...others.map(([other]) => other)]) {
      spend(collection.budget, collection.leaves.size);
      if (boundBelow(collection, `${path}/${pattern}`) === boundBelow(collection, `${path}/${segment}`)) continue;
      const detail = `${path}/${pattern}: the same name may be ${segment}, which is bound differently`;
      collection.rules.faults.add('BIND_AMBIGUOUS_BRANCH', shape.pointer, detail);
    }
  }
}

/** What is bound at a path and below it, as text to compare. */
function boundBelow({ leaves }: Collection, path: string): string {
  const found = [...leaves].filter(([each]) => each === path || each.startsWith(`${path}/`));
  return JSON.stringify(found.map(([each, { leaf }]) => [each.slice(path.length), bindingOf(leaf)]).sort());
}

function bindingOf(leaf: BindingLeaf): string {
  if (leaf.role === 'data') return JSON.stringify([leaf.element, leaf.map ?? null, leaf.asOf ?? null]);
  return JSON.stringify([leaf.role, leaf.domain]);
}

/** Both begin with plain text, and neither text begins with the other. */
function areDisjoint(a: string, b: string): boolean {
  const [one, other] = [plainStart(a), plainStart(b)];
  return !one.startsWith(other) && !other.startsWith(one);
}

function plainStart(pattern: string): string {
  if (pattern.includes('|')) return '';
  const [, text = '', next = ''] = /^\^([A-Za-z0-9_-]*)(.?)/su.exec(pattern) ?? [];
  return ['?', '*', '{'].includes(next) ? text.slice(0, -1) : text;
}

function leafPlace(collection: Collection, shape: Shape, path: string): void {
  const { rules, leaves } = collection;
  const leaf = judgeLeaf(rules, shape, path);
  if (leaf === null) return;
  const known = leaves.get(path);
  if (known !== undefined && bindingOf(known.leaf) !== bindingOf(leaf)) {
    rules.faults.add('BIND_AMBIGUOUS_BRANCH', shape.pointer, `${path}: bound to two things`);
  }
  if (known === undefined) leaves.set(path, { leaf, shape });
  if (leaves.size > MAX_LEAVES) throw new TooLarge();
}

/** The day for which a value is true stands beside it, as a date of its own. */
function withSibling({ rules, leaves }: Collection, leaf: BindingLeaf): BindingLeaf {
  if (leaf.role !== 'data' || leaf.asOf === undefined) return leaf;
  const asOf = `${leaf.path.slice(0, leaf.path.lastIndexOf('/'))}/${segmentOf(leaf.asOf)}`;
  const pointer = leaves.get(leaf.path)?.shape.pointer ?? '';
  const sibling = leaves.get(asOf);
  if (sibling === undefined || asOf === leaf.path) {
    rules.faults.add('BIND_UNBOUND_LEAF', pointer, `${leaf.path}: x-accord-as-of names no bound value beside it`);
    return leaf;
  }
  const { types, format } = sibling.shape.limits;
  if (types?.has('string') !== true || (format !== 'date' && format !== 'date-time')) {
    rules.faults.add('BIND_TYPE_CONFLICT', pointer, `${leaf.path}: x-accord-as-of names ${asOf}, which is no date`);
  }
  return { ...leaf, asOf };
}
