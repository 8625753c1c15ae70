// What a JSON Schema lets stand where, and what is bound there: the compiler's view of a schema in which composition has
// been worked out. `intersect` is allOf (and `$ref` beside other keywords): both descriptions hold. `unite` is oneOf,
// anyOf and if/then/else: one of them holds. Arrays are transparent: an array's items stand where the array stands.
//
// What a place is bound to are its marks; `bare` is where a branch is written that binds it to nothing. A name that only
// one branch describes is `soft`: nothing is said of it in the others, which matters only if something beside the
// branches lets the name stand there too.
import type { JsonValue } from '#schemas/json.ts';
import { bothLimits, eitherLimits, mayBe, mayBeScalar, type ValueLimits } from './value-limits.ts';

/** The x-accord words that stand together at one place. */
export interface Mark {
  pointer: string;
  element?: JsonValue;
  role?: JsonValue;
  map?: JsonValue;
  asOf?: JsonValue;
  subject?: JsonValue;
}

export interface Shape {
  /** Where it is written. */
  pointer: string;
  limits: ValueLimits;
  /** More than one: branches differ. */
  marks: readonly Mark[];
  bare: string | null;
  /** By segment of a path: an escaped name, or `{pattern}`. */
  members: ReadonlyMap<string, Member>;
  /** No other names may stand here. */
  closed: boolean;
  /** `additionalProperties` allows further names, whatever stands beside it. */
  opened: boolean;
  items: Shape | null;
  /** There may be items that nothing describes. */
  itemsOpen: boolean;
}

export interface Member {
  shape: Shape;
  soft: string | null;
}

/** Steps that are left; references can make a small document describe a very large answer. */
export interface Budget {
  steps: number;
}

export class TooLarge extends Error {}

export function spend(budget: Budget, steps = 1): void {
  budget.steps -= steps;
  if (budget.steps < 0) throw new TooLarge();
}

/** Anything may stand here. */
export function anything(pointer: string): Shape {
  return {
    pointer,
    limits: { types: null, values: null },
    marks: [],
    bare: pointer,
    members: new Map(),
    closed: false,
    opened: false,
    items: null,
    itemsOpen: true,
  };
}

/** Nothing can stand here. */
export function nothing(pointer: string): Shape {
  return { ...anything(pointer), limits: { types: new Set(), values: null }, bare: null, closed: true };
}

export function isNothing({ limits }: Shape): boolean {
  return limits.types?.size === 0;
}

const MARK_WORDS = ['element', 'role', 'map', 'asOf', 'subject'] as const;
/** Two are a contradiction already; the rest would only make it longer. */
const MAX_MARKS = 4;

export function intersect(a: Shape, b: Shape, budget: Budget): Shape {
  spend(budget);
  if (a === b) return a;
  const limits = bothLimits(a.limits, b.limits);
  if (limits.types?.size === 0) return nothing(a.pointer);
  const members = new Map(a.members);
  for (const [name, member] of b.members) {
    const known = members.get(name);
    members.set(name, known === undefined ? member : bothMembers(known, member, budget));
  }
  const bare = a.bare !== null && b.bare !== null ? (b.marks.length > 0 ? b.bare : a.bare) : null;
  return {
    pointer: a.pointer,
    limits,
    marks: bothMarks(a.marks, b.marks),
    bare,
    members,
    closed: a.closed || b.closed,
    opened: a.opened || b.opened,
    items: a.items !== null && b.items !== null ? intersect(a.items, b.items, budget) : (a.items ?? b.items),
    itemsOpen: a.itemsOpen && b.itemsOpen,
  };
}

function bothMembers(a: Member, b: Member, budget: Budget): Member {
  if (a.soft !== null && b.soft !== null) return { shape: unite(a.shape, b.shape, budget), soft: a.soft };
  const described = (member: Member) => (member.soft === null ? member.shape : loosen(member.shape, member.soft));
  const [first, second] = a.soft === null ? [a, b] : [b, a];
  return { shape: intersect(described(first), described(second), budget), soft: null };
}

/** What is left of a description when the branch it is written in need not hold. */
function loosen(shape: Shape, branch: string): Shape {
  const members = [...shape.members].map(([name, member]): [string, Member] => [
    name,
    { shape: member.shape, soft: member.soft ?? branch },
  ]);
  const { pointer, marks, opened, items } = shape;
  return { ...anything(pointer), marks, bare: branch, members: new Map(members), opened, items };
}

export function unite(a: Shape, b: Shape, budget: Budget): Shape {
  spend(budget);
  if (a === b || isNothing(b)) return a;
  if (isNothing(a)) return b;
  const members = new Map<string, Member>();
  for (const name of new Set([...a.members.keys(), ...b.members.keys()])) {
    const member = eitherMember(a, b, name, budget);
    if (member !== null) members.set(name, member);
  }
  return {
    pointer: a.pointer,
    limits: eitherLimits(a.limits, b.limits),
    marks: distinct([...a.marks, ...b.marks]),
    bare: bareOf(a) ?? bareOf(b),
    members,
    closed: ofEither(a, b, 'object', ({ closed }) => closed),
    opened: a.opened || b.opened,
    items: a.items !== null && b.items !== null ? unite(a.items, b.items, budget) : (a.items ?? b.items),
    itemsOpen: !ofEither(a, b, 'array', ({ itemsOpen }) => !itemsOpen),
  };
}

function eitherMember(a: Shape, b: Shape, name: string, budget: Budget): Member | null {
  const [one, other] = [a.members.get(name), b.members.get(name)];
  if (one !== undefined && other !== undefined) {
    return { shape: unite(one.shape, other.shape, budget), soft: one.soft ?? other.soft };
  }
  const [member, absent] = one !== undefined ? [one, b] : [other, a];
  if (member === undefined) return null;
  const isAllowed = mayBe(absent.limits, 'object') && !absent.closed;
  return { shape: member.shape, soft: member.soft ?? (isAllowed ? absent.pointer : null) };
}

/** Whether it holds for each of the two that can be of this type. */
function ofEither(a: Shape, b: Shape, type: 'object' | 'array', holds: (shape: Shape) => boolean) {
  return [a, b].filter(({ limits }) => mayBe(limits, type)).every(holds);
}

function bareOf(shape: Shape): string | null {
  return mayBeScalar(shape.limits) ? shape.bare : null;
}

function bothMarks(a: readonly Mark[], b: readonly Mark[]): readonly Mark[] {
  if (a.length === 0 || b.length === 0) return a.length === 0 ? b : a;
  return distinct(a.flatMap((one) => b.flatMap((other) => together(one, other))));
}

/** One mark where neither contradicts the other, else both. */
function together(a: Mark, b: Mark): Mark[] {
  const agree = MARK_WORDS.every((word) => a[word] === undefined || b[word] === undefined || a[word] === b[word]);
  return agree ? [{ ...b, ...a }] : [a, b];
}

function distinct(marks: readonly Mark[]): Mark[] {
  const left: Mark[] = [];
  for (const mark of marks) {
    const known = left.some((one) => MARK_WORDS.every((word) => one[word] === mark[word]));
    if (!known && left.length < MAX_MARKS) left.push(mark);
  }
  return left;
}
