// One place where a value may stand: what it is bound to, and whether that fits (DESIGN: the dictionary). Data leaves
// hold an element of the dictionary for which this member is the authority, in the element's form or, through a mapping,
// in one of the provider's own. Technical and structural leaves hold nothing about anybody: their domain is closed.
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import { domainMisfit } from '#policy/dictionary/value-domain.ts';
import type { BindingLeaf } from '#schemas/binding-table.ts';
import {
  type DictionaryEntry,
  type ElementEntry,
  refOf,
  type Scalar,
  type ValueDomain,
} from '#schemas/dictionary-entry.ts';
import type { JsonValue } from '#schemas/json.ts';
import type { FaultList } from './binding-fault.ts';
import { patternRefusal } from './pattern-guard.ts';
import type { Mark, Shape } from './shape.ts';
import { SCALAR_TYPES, type ValueLimits } from './value-limits.ts';

export interface LeafRules {
  dictionary: Dictionary;
  /** Who publishes the service. */
  member: string;
  jurisdiction: string;
  /** YYYY-MM-DD on which authorities are asked for. */
  day: string;
  faults: FaultList;
}

const MAX_TECHNICAL_LENGTH = 128;

/** The leaf of a place that may hold a scalar; null when it is faulty. `asOf` is still the sibling's bare name. */
export function judgeLeaf(rules: LeafRules, shape: Shape, path: string): BindingLeaf | null {
  const mark = oneMark(rules, shape, path);
  if (mark === null) return null;
  const types = SCALAR_TYPES.filter((type) => shape.limits.types?.has(type));
  const [type, second] = types;
  if (type === undefined || second !== undefined) {
    rules.faults.add('BIND_OPEN_SCHEMA', shape.pointer, `${path}: a value has one type, and null at most`);
    return null;
  }
  const scalar = type as ValueDomain['type'];
  return mark.role === undefined
    ? dataLeaf(rules, mark, shape, scalar, path)
    : otherLeaf(rules, mark, shape, scalar, path);
}

function oneMark({ faults }: LeafRules, { pointer, marks, bare }: Shape, path: string): Mark | null {
  const [mark, other] = marks;
  if (mark !== undefined && other !== undefined) {
    faults.add(
      'BIND_AMBIGUOUS_BRANCH',
      other.pointer,
      `${path}: ${named(mark)} in one branch, ${named(other)} in another`,
    );
    return null;
  }
  if (mark === undefined || bare !== null) {
    faults.add(
      'BIND_UNBOUND_LEAF',
      bare ?? pointer,
      `${path}: ${mark === undefined ? 'unbound' : 'unbound in a branch'}`,
    );
    return null;
  }
  if (mark.element !== undefined && mark.role !== undefined) {
    faults.add('BIND_UNBOUND_LEAF', mark.pointer, `${path}: has both x-accord-element and x-accord-role`);
    return null;
  }
  return mark;
}

function named({ element, role, map }: Mark): string {
  const bound = element ?? role ?? 'nothing';
  return map === undefined ? String(bound) : `${bound} by ${map}`;
}

function dataLeaf(
  rules: LeafRules,
  mark: Mark,
  shape: Shape,
  type: ValueDomain['type'],
  path: string,
): BindingLeaf | null {
  const { dictionary, faults, member, jurisdiction, day } = rules;
  const ref = String(mark.element);
  const element = dictionary.element(ref);
  if (element === undefined || !isInUse(element)) {
    const why = element === undefined ? 'not an element of the dictionary' : `is ${element.state}`;
    faults.add('BIND_UNKNOWN_ELEMENT', mark.pointer, `${path}: ${ref} ${why}`);
    return null;
  }
  const conflict =
    mark.map === undefined
      ? conflictOf(rules, shape.limits, type, element)
      : mapConflict(rules, mark.map, ref, shape.limits, type);
  if (conflict !== null) faults.add('BIND_TYPE_CONFLICT', shape.pointer, `${path}: ${ref} ${conflict}`);
  const authority = dictionary.authority(ref, jurisdiction, day);
  if (authority !== member) {
    const who = authority ?? 'nobody';
    faults.add('BIND_NOT_AUTHORITY', mark.pointer, `${path}: for ${ref} in ${jurisdiction} the authority is ${who}`);
  }
  const group = dictionary.atomicGroupOf(ref);
  return {
    role: 'data',
    path,
    element: ref,
    level: element.level,
    ...(mark.map !== undefined && { map: String(mark.map) }),
    ...(group !== undefined && { group: refOf(group) }),
    ...(mark.asOf !== undefined && { asOf: String(mark.asOf) }),
  };
}

export function isInUse({ state }: DictionaryEntry): boolean {
  return state !== 'draft' && state !== 'retired';
}

/** Why values of the schema need not be values of the element; null when they fit. */
function conflictOf(
  { dictionary }: LeafRules,
  limits: ValueLimits,
  type: ValueDomain['type'],
  element: ElementEntry,
): string | null {
  const { domain } = element;
  if (type !== domain.type && !(type === 'integer' && domain.type === 'number'))
    return `is ${domain.type}, not ${type}`;
  const listed = scalars(limits.values);
  if (listed !== null) {
    const wrong = listed.find((value) => domainMisfit(value, element, dictionary) !== null);
    return wrong === undefined ? null : `does not have the value ${JSON.stringify(wrong).slice(0, 60)}`;
  }
  return domain.format !== undefined && limits.format !== domain.format ? `has the format ${domain.format}` : null;
}

/** The listed scalars besides null; null when nothing is listed. */
function scalars(values: readonly JsonValue[] | null): Scalar[] | null {
  return (
    values?.filter((value): value is string | number | boolean => value !== null && typeof value !== 'object') ?? null
  );
}

function mapConflict(
  rules: LeafRules,
  map: JsonValue,
  element: string,
  limits: ValueLimits,
  type: ValueDomain['type'],
): string | null {
  const mapping = rules.dictionary.mapping(String(map));
  if (mapping === undefined || !isInUse(mapping)) return `cannot come by ${map}: no mapping in use`;
  const [[from, moreFrom], [to, moreTo]] = [Object.values(mapping.from), Object.values(mapping.to)];
  if (from === undefined || moreFrom !== undefined || to !== element || moreTo !== undefined) {
    return `cannot come by ${map}: it does not lead from one value to this element`;
  }
  const source = rules.dictionary.element(from);
  const conflict = source === undefined ? null : conflictOf(rules, limits, type, source);
  return conflict === null ? null : `comes by ${map} from ${from}, which ${conflict}`;
}

function otherLeaf(
  rules: LeafRules,
  mark: Mark,
  shape: Shape,
  type: ValueDomain['type'],
  path: string,
): BindingLeaf | null {
  const { faults } = rules;
  const { role } = mark;
  if (role !== 'structural' && role !== 'technical') {
    faults.add('BIND_UNBOUND_LEAF', mark.pointer, `${path}: x-accord-role is structural or technical`);
    return null;
  }
  if (mark.map !== undefined || mark.asOf !== undefined) {
    faults.add('BIND_TYPE_CONFLICT', mark.pointer, `${path}: x-accord-map and x-accord-as-of belong to elements`);
    return null;
  }
  const domain = closedDomain(shape.limits, type);
  if (typeof domain !== 'string') return { role, path, domain };
  faults.add('BIND_OPEN_SCHEMA', shape.pointer, `${path}: ${domain}`);
  return null;
}

const CLOSED_FORMATS = ['date', 'date-time', 'uuid'] as const;
const MAX_LISTED = 500;

/** A domain that cannot carry anything about anybody, or why there is none. */
function closedDomain(limits: ValueLimits, type: ValueDomain['type']): ValueDomain | string {
  const listed = scalars(limits.values)?.filter((value) => typeof value === (type === 'integer' ? 'number' : type));
  if (listed !== undefined && listed.length > MAX_LISTED) return `lists more than ${MAX_LISTED} values`;
  if (listed?.some((value) => typeof value === 'string' && value.length > 1000))
    return 'lists a value that is too long';
  if (listed?.some((value) => typeof value === 'number' && !isExact(value))) return 'lists a number beyond 2^53';
  if (listed !== undefined && listed.length > 0) return { type, enum: listed };
  if (type === 'boolean') return { type };
  if (type !== 'string') return { type, ...range(limits) };
  const format = CLOSED_FORMATS.find((one) => one === limits.format);
  if (format !== undefined) return { type, format };
  const { pattern, maxLength, minLength } = limits;
  if (pattern === undefined || maxLength === undefined || maxLength > MAX_TECHNICAL_LENGTH || maxLength < 1) {
    return `a technical text needs enum, const, a format, or a pattern and maxLength up to ${MAX_TECHNICAL_LENGTH}`;
  }
  const refusal = patternRefusal(pattern);
  if (refusal !== null) return refusal;
  return { type, pattern, maxLength, ...(isCount(minLength) && { minLength }) };
}

/** Numbers that every reader takes for the same one; a table has one spelling. */
function range({ minimum, maximum, multipleOf }: ValueLimits): Partial<ValueDomain> {
  return {
    ...(isExact(minimum) && { minimum }),
    ...(isExact(maximum) && { maximum }),
    ...(isExact(multipleOf) && multipleOf > 0 && { multipleOf }),
  };
}

function isExact(value: number | undefined): value is number {
  return value !== undefined && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
}

function isCount(value: number | undefined): boolean {
  return value !== undefined && Number.isInteger(value) && value >= 0;
}
