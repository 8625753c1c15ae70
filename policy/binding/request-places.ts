// Where a request of an operation carries what Accord itself must read: the subject (DESIGN: one place, exactly once)
// and the day that is asked for. Named by x-accord words on parameters and on properties of a JSON body.
import type { BindingOperation } from '#schemas/binding-table.ts';
import { isJsonObject, type JsonValue } from '#schemas/json.ts';
import { bareMediaType, isJsonType } from './binding.ts';
import { below, type Located, objectAt } from './document.ts';
import { isInUse, type LeafRules } from './leaf.ts';
import { parameterOf, segmentsOf } from './path-template.ts';
import { isNothing, type Shape, spend } from './shape.ts';
import { mayBe } from './value-limits.ts';
import { type SchemaReader, shapeOf } from './walk-schema.ts';

/** What every step of reading an operation is told. */
export interface OperationRules extends LeafRules, SchemaReader {}

type Subject = NonNullable<BindingOperation['subject']>;
type Places = Pick<BindingOperation, 'subject' | 'asOf'>;

/** Faults: BIND_AMBIGUOUS_BRANCH for two places or one that cannot be read, BIND_UNKNOWN_ELEMENT for the scheme. */
export function requestPlaces(rules: OperationRules, template: string, item: Located, operation: Located): Places {
  const names = templateNames(rules, template);
  const subjects: Located<Subject>[] = [];
  const days: Located<string>[] = [];
  for (const { value, pointer } of parametersOf(rules, item, operation)) {
    const { name, in: place, schema } = value;
    const inSchema = isJsonObject(schema) ? schema : {};
    const scheme = value['x-accord-subject'] ?? inSchema['x-accord-subject'];
    const role = value['x-accord-role'] ?? inSchema['x-accord-role'];
    if (scheme === undefined && role !== 'as-of') continue;
    const isUsable = (place === 'query' || (place === 'path' && names.includes(String(name)))) && isName(name);
    if (!isUsable || (role === 'as-of' && place !== 'query')) {
      const detail = 'a subject stands in the path template, the query or the body, a day in the query';
      rules.faults.add('BIND_AMBIGUOUS_BRANCH', pointer, detail);
      continue;
    }
    if (role === 'as-of') days.push({ value: name, pointer });
    if (scheme !== undefined)
      subjects.push({ value: { in: place, name, scheme: schemeOf(rules, scheme, pointer) }, pointer });
  }
  subjects.push(...bodySubjects(rules, operation));
  return { subject: only(rules, subjects, 'subject'), asOf: only(rules, days, 'x-accord-role: as-of') };
}

const MAX_NAME_LENGTH = 128;

function isName(name: JsonValue | undefined): name is string {
  return typeof name === 'string' && name.length > 0 && name.length <= MAX_NAME_LENGTH;
}

function only<T>({ faults }: OperationRules, found: readonly Located<T>[], what: string): T | null {
  const [first, second] = found;
  if (second !== undefined) faults.add('BIND_AMBIGUOUS_BRANCH', second.pointer, `an operation has one ${what} at most`);
  return first?.value ?? null;
}

/** A parameter is one whole segment, and each has a name of its own. */
function templateNames({ faults }: OperationRules, template: string): string[] {
  const names: string[] = [];
  for (const segment of segmentsOf(template)) {
    const name = parameterOf(segment);
    if (name !== null && !names.includes(name)) names.push(name);
    else if (/[{}]/.test(segment)) {
      faults.add('BIND_AMBIGUOUS_BRANCH', below('/paths', template), 'a parameter is a whole segment of its own');
    }
  }
  return names;
}

/** The operation's own, then those of its path that it does not replace. */
function parametersOf({ document, faults }: OperationRules, item: Located, operation: Located): Located[] {
  const found = new Map<string, Located>();
  for (const { value, pointer } of [operation, item]) {
    const { parameters } = value;
    if (!Array.isArray(parameters)) continue;
    for (const [index, written] of parameters.entries()) {
      const place = below(below(pointer, 'parameters'), index);
      const parameter = objectAt(document, written, place);
      if (parameter === null) {
        faults.add('BIND_OPEN_SCHEMA', place, 'the reference leads nowhere in this document');
        continue;
      }
      const key = JSON.stringify([parameter.value['in'], parameter.value['name']]);
      if (!found.has(key)) found.set(key, parameter);
    }
  }
  return [...found.values()];
}

function schemeOf({ dictionary, faults }: OperationRules, scheme: JsonValue, pointer: string): string {
  const ref = String(scheme);
  const element = dictionary.element(ref);
  if (element === undefined || !isInUse(element)) {
    faults.add('BIND_UNKNOWN_ELEMENT', pointer, `x-accord-subject: ${ref} is no element in use`);
  }
  return ref;
}

/** What a request's schema leaves open does not matter here: only the words are looked for. */
function bodySubjects(rules: OperationRules, operation: Located): Located<Subject>[] {
  const body = objectAt(rules.document, operation.value['requestBody'], below(operation.pointer, 'requestBody'));
  const content = body?.value['content'];
  if (body === null || !isJsonObject(content)) return [];
  const found = new Map<string, Located<Subject>>();
  const reader = { document: rules.document, budget: rules.budget, known: new Map(), fault: () => {} };
  for (const [type, media] of Object.entries(content)) {
    if (!isJsonType(bareMediaType(type)) || !isJsonObject(media) || media['schema'] === undefined) continue;
    const pointer = below(below(below(body.pointer, 'content'), type), 'schema');
    findSubjects(rules, shapeOf(reader, media['schema'], pointer), '', false, found);
  }
  return [...found.values()];
}

const MAX_BODY_POINTER_LENGTH = 256;

function findSubjects(
  rules: OperationRules,
  shape: Shape,
  path: string,
  isRepeated: boolean,
  found: Map<string, Located<Subject>>,
): void {
  spend(rules.budget);
  if (isNothing(shape) || path.length > MAX_BODY_POINTER_LENGTH) return;
  for (const { subject, pointer } of shape.marks) {
    if (subject === undefined) continue;
    if (isRepeated || path === '') {
      rules.faults.add('BIND_AMBIGUOUS_BRANCH', pointer, 'a subject in a body stands at one named property');
      continue;
    }
    const scheme = schemeOf(rules, subject, pointer);
    const value: Subject = { in: 'body', name: path, scheme };
    found.set(`${path} ${scheme}`, { value, pointer });
  }
  for (const [segment, member] of shape.members) {
    const isPattern = segment.startsWith('{');
    const name = segment.startsWith('~2') ? `{${segment.slice(2)}` : segment;
    findSubjects(rules, member.shape, `${path}/${name}`, isRepeated || isPattern, found);
  }
  if (shape.items !== null && mayBe(shape.limits, 'array')) findSubjects(rules, shape.items, path, true, found);
}
