// A service's binding table, opened for use (DESIGN: the dictionary): which operation a request is, where its subject
// stands, which leaves its answers have, and what the fields that a caller names mean there. The table comes from the
// verified global configuration; method, path, query, body and fields are the calling system's.
import { createHash } from 'node:crypto';
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import { planMapping } from '#policy/mapping/plan.ts';
import { unchanging } from '#policy/unchanging.ts';
import {
  type BindingLeaf,
  type BindingOperation,
  type BindingTable,
  bindingTableText,
  type DataLeaf,
} from '#schemas/binding-table.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { MAX_RELEASED_PATHS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import { PathTemplates } from './path-template.ts';
import { bodyValue, queryValue } from './subject.ts';

export interface Subject {
  /** Element ref that names what kind of identifier it is. */
  scheme: string;
  value: string;
}

export interface BoundOperation {
  operation: BindingOperation;
  /** Values of the path template, percent-decoded. */
  parameters: Record<string, string>;
  /** Where the subject stands in the path; for query and body see `subjectOf`. */
  subject: Subject | null;
  /** Data leaves of all 2xx responses, each path once, ascending by path, with the level of the newest dictionary. */
  leaves: readonly DataLeaf[];
}

export interface AskedField {
  /** The field that led here, in the caller's words; the first of several. */
  field: string;
  /** Null for a predicate, which stands at no path. */
  path: string | null;
  /** Element (in the form that was asked for) or predicate. */
  element: string;
  level: Level;
  /** Mappings in order, from what the backend answers to the asked element; a predicate's inputs bring their own. */
  maps: readonly string[];
  /** Of a predicate: input name to the path where its element stands. */
  inputs?: Readonly<Record<string, string>>;
}

export interface ResolvedFields {
  /** The fields themselves. */
  fields: readonly string[];
  /** Ascending by path, then predicates by ref. */
  asked: readonly AskedField[];
  /** What leads nowhere in this operation, as it was written. */
  unknown: readonly string[];
  /** More than MAX_RELEASED_PATHS results. */
  tooMany: boolean;
}

export interface Binding {
  /** SHA-256 of `bindingTableText`, base64url. */
  readonly hash: string;
  readonly table: BindingTable;
  /** @param path '' or '/...', exactly as it is forwarded. Null when no operation of the table covers it. */
  operation(method: string, path: string): BoundOperation | null;
}

/** Pure; the work is done when it is first needed, because a server holds many tables and uses few. */
export function openBinding(table: BindingTable, dictionary: Dictionary): Binding {
  const byMethod = new Map<string, PathTemplates<BindingOperation>>();
  const leavesOf = new Map<BindingOperation, readonly DataLeaf[]>();
  let hash: string | undefined;
  return {
    table,
    get hash() {
      hash ??= createHash('sha256').update(bindingTableText(table)).digest('base64url');
      return hash;
    },
    operation(method, path) {
      if (byMethod.size === 0) indexOperations(table, byMethod);
      const matched = byMethod.get(method)?.match(path);
      if (matched === null || matched === undefined) return null;
      const { value: operation, parameters } = matched;
      const leaves = leavesOf.get(operation) ?? unionOfLeaves(operation, dictionary);
      leavesOf.set(operation, leaves);
      return { operation, parameters, subject: pathSubject(operation, parameters), leaves };
    },
  };
}

function indexOperations(table: BindingTable, byMethod: Map<string, PathTemplates<BindingOperation>>): void {
  for (const operation of table.operations) {
    const templates = byMethod.get(operation.method) ?? new PathTemplates();
    templates.add(operation.path, operation);
    byMethod.set(operation.method, templates);
  }
}

function pathSubject(operation: BindingOperation, parameters: Record<string, string>): Subject | null {
  const { subject } = operation;
  if (subject?.in !== 'path' || !Object.hasOwn(parameters, subject.name)) return null;
  const value = parameters[subject.name];
  return value === undefined ? null : { scheme: subject.scheme, value };
}

function unionOfLeaves(operation: BindingOperation, dictionary: Dictionary): DataLeaf[] {
  const statuses = operation.responses.some(({ status }) => status.startsWith('2')) ? '2' : 'default';
  const byPath = new Map<string, DataLeaf>();
  for (const { status, leaves } of operation.responses) {
    if (!status.startsWith(statuses)) continue;
    for (const leaf of leaves) {
      if (leaf.role !== 'data' || byPath.has(leaf.path)) continue;
      const level = highest(leaf.level, dictionary.element(leaf.element)?.level);
      byPath.set(leaf.path, level === leaf.level ? leaf : { ...leaf, level });
    }
  }
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

export function highest(level: Level, other: Level | undefined): Level {
  return other !== undefined && other > level ? other : level;
}

/** Where the operation declares its subject, when it stands there exactly once; else null. */
export function subjectOf(bound: BoundOperation, query: string | null, body: Buffer): Subject | null {
  const { subject } = bound.operation;
  if (subject === null || subject.in === 'path') return bound.subject;
  const value = subject.in === 'query' ? queryValue(query, subject.name) : bodyValue(body, subject.name);
  return value === null ? null : { scheme: subject.scheme, value };
}

/**
 * The leaves of one answer, or null when the operation does not describe it: then it must not pass.
 * @param mediaType as the backend wrote it; parameters and case do not count
 */
export function responseFor(bound: BoundOperation, status: number, mediaType: string): readonly BindingLeaf[] | null {
  const type = bareMediaType(mediaType);
  for (const wanted of [String(status), `${Math.floor(status / 100)}XX`, 'default']) {
    const found = bound.operation.responses.find((each) => each.status === wanted && each.mediaType === type);
    if (found !== undefined) return found.leaves;
  }
  return null;
}

/** A media type as the table spells it: lower case, without parameters. */
export function bareMediaType(mediaType: string): string {
  return (mediaType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** application/json, or a type with the suffix +json (RFC 6839). */
export function isJsonType(bare: string): boolean {
  return bare.length <= 128 && /^(?:application\/json|[a-z0-9.+_-]+\/[a-z0-9.+_-]+\+json)$/.test(bare);
}

/** What stands where in one operation; made once for its leaves. */
interface LeafIndex {
  byPath: Map<string, DataLeaf>;
  byElement: Map<string, DataLeaf[]>;
  /** Element id without major: the majors that are bound, newest first. */
  majors: Map<string, number[]>;
  /** Atomic group and container: the leaves that are released together. */
  together: Map<string, DataLeaf[]>;
}

/** `chosen`: the caller also said in which form. */
type Found = AskedField & { chosen: boolean };

const indexes = new WeakMap<readonly DataLeaf[], LeafIndex>();

/**
 * What the caller's fields mean in this operation. A field is a path, the path of a container, an element ref, an
 * element id without major (the newest that is bound), or a predicate ref. Atomic groups are closed. One place can be
 * released in one form only: a second ref that asks for another form of it is `unknown`. The result is frozen, and the
 * same object for the same question while that is remembered.
 */
export function resolveFields(
  bound: BoundOperation,
  _binding: Binding,
  dictionary: Dictionary,
  fields: readonly string[],
): ResolvedFields {
  const key = fields.join('\n');
  const known = answers.get(bound.leaves)?.get(key);
  if (known?.dictionary === dictionary && isSame(known.resolved.fields, fields)) return known.resolved;
  const resolved = resolve(bound, dictionary, unchanging([...fields]));
  unchanging(resolved);
  if (key.length <= MAX_REMEMBERED_LENGTH) remember(bound.leaves, key, { dictionary, resolved });
  return resolved;
}

/** Information systems ask for the same fields again and again: what these mean depends on leaves and dictionary alone. */
interface Answered {
  dictionary: Dictionary;
  resolved: ResolvedFields;
}

let answers = new WeakMap<readonly DataLeaf[], Map<string, Answered>>();
let remembered = 0;
const MAX_REMEMBERED = 256;
const MAX_REMEMBERED_LENGTH = 4_096;

function remember(leaves: readonly DataLeaf[], key: string, answered: Answered): void {
  if (remembered >= MAX_REMEMBERED) {
    answers = new WeakMap();
    remembered = 0;
  }
  remembered += 1;
  const ofLeaves = answers.get(leaves) ?? new Map<string, Answered>();
  answers.set(leaves, ofLeaves.set(key, answered));
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((one, at) => one === others[at]);
}

function resolve(bound: BoundOperation, dictionary: Dictionary, fields: readonly string[]): ResolvedFields {
  const index = indexes.get(bound.leaves) ?? indexOf(bound.leaves);
  indexes.set(bound.leaves, index);
  const asked = new Map<string, Found>();
  const unknown = new Set<string>();
  for (const field of fields) {
    const found = field.startsWith('/') ? atPath(field, bound, index) : ofElement(field, index, dictionary);
    const closed = closeGroups(found, index);
    const contradicts = (one: Found) => {
      const before = asked.get(keyOf(one));
      return before?.chosen === true && one.chosen && before.element !== one.element;
    };
    if (closed.length === 0 || closed.some(contradicts)) {
      unknown.add(field);
      continue;
    }
    for (const one of closed) {
      const before = asked.get(keyOf(one));
      // A path says where, a ref also says in which form.
      if (before === undefined) asked.set(keyOf(one), one);
      else if (one.chosen && !before.chosen) asked.set(keyOf(one), { ...one, field: before.field });
    }
  }
  const inOrder = [...asked.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    fields,
    asked: inOrder.map(([, { chosen: _, ...one }]) => one),
    unknown: [...unknown],
    tooMany: asked.size > MAX_RELEASED_PATHS,
  };
}

/** A path begins with '/', which sorts before '|'. */
function keyOf({ path, element }: AskedField): string {
  return path ?? `|${element}`;
}

function atPath(field: string, { leaves }: BoundOperation, { byPath }: LeafIndex): Found[] {
  const leaf = byPath.get(field);
  if (leaf !== undefined) return [asBound(field, leaf)];
  return leaves.filter(({ path }) => path.startsWith(`${field}/`)).map((below) => asBound(field, below));
}

function asBound(field: string, leaf: DataLeaf, chosen = false): Found {
  const maps = leaf.map === undefined ? [] : [leaf.map];
  return { field, path: leaf.path, element: leaf.element, level: leaf.level, maps, chosen };
}

function ofElement(field: string, index: LeafIndex, dictionary: Dictionary): Found[] {
  const at = field.indexOf('@');
  if (at === -1) {
    const [newest] = index.majors.get(field) ?? [];
    return (index.byElement.get(`${field}@${newest}`) ?? []).map((leaf) => asBound(field, leaf));
  }
  const exact = index.byElement.get(field);
  if (exact !== undefined) return exact.map((leaf) => asBound(field, leaf, true));
  const predicate = ofPredicate(field, index, dictionary);
  return predicate ?? inAnotherMajor(field, field.slice(0, at), index, dictionary);
}

/** Null when it is no predicate; empty when not every input stands at exactly one place. */
function ofPredicate(field: string, index: LeafIndex, dictionary: Dictionary) {
  const entry = dictionary.predicate(field);
  if (entry === undefined) return null;
  if (entry.state === 'draft' || entry.state === 'retired') return [];
  const inputs: [string, string][] = [];
  for (const [name, element] of Object.entries(entry.inputs)) {
    const [leaf, second] = index.byElement.get(element) ?? [];
    if (leaf === undefined || second !== undefined) return [];
    inputs.push([name, leaf.path]);
  }
  return [
    {
      field,
      path: null,
      element: field,
      level: entry.level,
      maps: [],
      inputs: Object.fromEntries(inputs),
      chosen: true,
    },
  ];
}

/** The newest bound major from which mappings lead to the one that is asked for. */
function inAnotherMajor(field: string, id: string, index: LeafIndex, dictionary: Dictionary) {
  const target = dictionary.element(field);
  if (target === undefined || target.state === 'draft' || target.state === 'retired') return [];
  for (const major of index.majors.get(id) ?? []) {
    const from = `${id}@${major}`;
    const plan = planned(dictionary, from, field);
    if (plan === null) continue;
    return (index.byElement.get(from) ?? []).map((leaf) => {
      const one = asBound(field, leaf, true);
      return { ...one, element: field, level: highest(leaf.level, target.level), maps: [...one.maps, ...plan] };
    });
  }
  return [];
}

function planned(dictionary: Dictionary, from: string, to: string): string[] | null {
  try {
    return planMapping(dictionary, from, to);
  } catch (error) {
    if (isAccordError(error, 'MAP_NO_PATH')) return null;
    throw error;
  }
}

/** With a member of an atomic group come those that are bound beside it, in the form in which they are bound. */
function closeGroups(found: Found[], { byPath, together }: LeafIndex) {
  const paths = new Set(found.map(({ path }) => path));
  const added: Found[] = [];
  for (const { field, path } of found) {
    const leaf = path === null ? undefined : byPath.get(path);
    for (const other of leaf === undefined ? [] : (together.get(groupKey(leaf)) ?? [])) {
      if (paths.has(other.path)) continue;
      paths.add(other.path);
      added.push(asBound(field, other));
    }
  }
  return [...found, ...added];
}

function groupKey({ group, path }: DataLeaf): string {
  return group === undefined ? path : `${group} ${path.slice(0, path.lastIndexOf('/'))}`;
}

function indexOf(leaves: readonly DataLeaf[]): LeafIndex {
  const index: LeafIndex = { byPath: new Map(), byElement: new Map(), majors: new Map(), together: new Map() };
  const into = (map: Map<string, DataLeaf[]>, key: string, leaf: DataLeaf) => {
    const list = map.get(key);
    if (list === undefined) map.set(key, [leaf]);
    else list.push(leaf);
  };
  for (const leaf of leaves) {
    index.byPath.set(leaf.path, leaf);
    into(index.byElement, leaf.element, leaf);
    if (leaf.group !== undefined) into(index.together, groupKey(leaf), leaf);
  }
  for (const ref of index.byElement.keys()) {
    const at = ref.indexOf('@');
    const id = ref.slice(0, at);
    const majors = [...(index.majors.get(id) ?? []), Number(ref.slice(at + 1))];
    index.majors.set(
      id,
      majors.sort((a, b) => b - a),
    );
  }
  return index;
}
