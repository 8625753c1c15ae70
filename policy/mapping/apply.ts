// Mappings are data (DESIGN: the dictionary): a closed list of steps brings a flat record from one form into another. The
// steps are the dictionary's and were checked before its release (./check.ts); the values come from backends. Pure and
// total: every record gives a record with exactly the names of the mapping's other side, or says why not.
import type { MappingEntry, MappingStep, Scalar } from '#schemas/dictionary-entry.ts';
import { reformatDate } from './date-form.ts';
import { convertUnit, decimalOf } from './decimal.ts';

export type Mapped =
  | { ok: true; record: Record<string, Scalar> }
  | { ok: false; code: 'MAP_UNMAPPED' | 'MAP_INPUT'; detail: string };

/** The only name of a record that holds one value, for `applyToValue`. */
const VALUE = 'value';

/**
 * Applies one mapping to one record.
 * A null stays null through every step but `const` and `default`; a name of the `from` side that is missing counts as
 * null. Numbers and booleans count as their JSON text where a step works on text.
 * @param on YYYY-MM-DD: the day whose rows of a dated crosswalk count
 * @returns MAP_UNMAPPED: a value that no table or form knows, under `onUnmapped: fail`; MAP_INPUT: the record has a name
 * that the mapping does not know, or a value that a step cannot work on at all
 */
export function applyMapping(mapping: MappingEntry, record: Record<string, Scalar>, on: string): Mapped {
  const values = new Map<string, Scalar>();
  for (const name of Object.keys(mapping.from))
    values.set(name, Object.hasOwn(record, name) ? (record[name] ?? null) : null);
  for (const name of Object.keys(record)) {
    if (!values.has(name)) return { ok: false, code: 'MAP_INPUT', detail: `${name} is not on the from side` };
  }
  for (const [index, step] of mapping.steps.entries()) {
    const failed = applyStep(step, values, mapping.onUnmapped, on);
    if (failed !== null)
      return { ok: false, code: failed.code, detail: `step ${index + 1} (${step.op}): ${failed.detail}` };
  }
  const names = Object.keys(mapping.to);
  if (values.size !== names.length || !names.every((name) => values.has(name))) {
    return { ok: false, code: 'MAP_INPUT', detail: 'the steps do not end in the names of the to side' };
  }
  return { ok: true, record: Object.fromEntries(names.map((name) => [name, values.get(name) ?? null])) };
}

/**
 * Applies mappings of one name on each side one after another.
 * @returns the record `{value}`, or what the first mapping that failed says
 */
export function applyToValue(mappings: readonly MappingEntry[], value: Scalar, on: string): Mapped {
  let current = value;
  for (const mapping of mappings) {
    const [[from, ...moreFrom], [to, ...moreTo]] = [Object.keys(mapping.from), Object.keys(mapping.to)];
    if (from === undefined || to === undefined || moreFrom.length + moreTo.length > 0) {
      return { ok: false, code: 'MAP_INPUT', detail: `${mapping.id} does not map one value to one value` };
    }
    const mapped = applyMapping(mapping, { [from]: current }, on);
    if (!mapped.ok) return mapped;
    current = mapped.record[to] ?? null;
  }
  return { ok: true, record: { [VALUE]: current } };
}

type Failure = { code: 'MAP_UNMAPPED' | 'MAP_INPUT'; detail: string };
type Rule = MappingEntry['onUnmapped'];
/** What a value step makes of a value: another one, or that it does not know it, or that it cannot work on it. */
type Outcome = { value: Scalar } | 'unmapped' | 'unfit';

function applyStep(step: MappingStep, values: Map<string, Scalar>, rule: Rule, on: string): Failure | null {
  switch (step.op) {
    case 'const':
      values.set(step.to, step.value);
      return null;
    case 'default':
      if ((values.get(step.at) ?? null) === null) values.set(step.at, step.value);
      return null;
    case 'concat':
      return concat(step, values);
    default:
      break;
  }
  const name = step.op === 'rename' ? step.from : step.at;
  const value = values.get(name);
  if (value === undefined) return { code: 'MAP_INPUT', detail: `there is no ${name}` };
  if (step.op === 'rename') {
    values.delete(name);
    values.set(step.to, value);
  } else if (step.op === 'drop') {
    values.delete(name);
  } else if (step.op === 'split') {
    return split(step, value, values, rule);
  } else if (value !== null) {
    const outcome = changed(step, value, on);
    if (outcome === 'unfit')
      return { code: 'MAP_INPUT', detail: `${name} is a ${typeof value} that it cannot work on` };
    if (outcome !== 'unmapped') values.set(name, outcome.value);
    else if (rule === 'fail') return { code: 'MAP_UNMAPPED', detail: `the value of ${name} is not known` };
    else if (rule === 'unknown') values.set(name, null);
  }
  return null;
}

type ValueStep = Extract<MappingStep, { op: 'enumMap' | 'dateFormat' | 'trim' | 'pad' | 'unit' | 'lookup' }>;

function changed(step: ValueStep, value: string | number | boolean, on: string): Outcome {
  const text = String(value);
  switch (step.op) {
    case 'enumMap': {
      const found = Object.hasOwn(step.table, text) ? step.table[text] : undefined;
      return found === undefined ? 'unmapped' : { value: found };
    }
    case 'lookup': {
      const row = step.crosswalk.find(
        ({ from, since, until }) => from === text && (since ?? '') <= on && (until === undefined || on < until),
      );
      return row === undefined ? 'unmapped' : { value: row.to };
    }
    case 'dateFormat': {
      const written = reformatDate(text, step.from, step.to);
      return written === null ? 'unmapped' : { value: written };
    }
    case 'trim':
      return { value: typeof value === 'string' ? value.trim() : value };
    case 'pad':
      if (typeof value === 'boolean') return 'unfit';
      return {
        value: step.side === 'start' ? text.padStart(step.length, step.with) : text.padEnd(step.length, step.with),
      };
    case 'unit': {
      if (typeof value === 'boolean') return 'unfit';
      const decimal = decimalOf(value);
      if (decimal === null) return 'unmapped';
      const converted = convertUnit(decimal, step);
      return converted === null ? 'unfit' : { value: converted };
    }
  }
}

/** The wrong number of pieces is a value that the form does not know; kept, the whole of it is the first piece. */
function split(
  step: Extract<MappingStep, { op: 'split' }>,
  value: Scalar,
  values: Map<string, Scalar>,
  rule: Rule,
): Failure | null {
  const pieces = value === null ? [] : String(value).split(step.separator);
  const fits = pieces.length === step.into.length;
  if (!fits && value !== null && rule === 'fail') {
    return { code: 'MAP_UNMAPPED', detail: `${step.at} has not ${step.into.length} pieces` };
  }
  values.delete(step.at);
  for (const [index, name] of step.into.entries()) values.set(name, fits ? (pieces[index] ?? null) : null);
  const [first] = step.into;
  if (!fits && rule === 'keep' && first !== undefined) values.set(first, value);
  return null;
}

/** One unknown part makes the whole unknown. */
function concat(step: Extract<MappingStep, { op: 'concat' }>, values: Map<string, Scalar>): Failure | null {
  const parts: Scalar[] = [];
  for (const name of step.from) {
    const value = values.get(name);
    if (value === undefined) return { code: 'MAP_INPUT', detail: `there is no ${name}` };
    parts.push(value);
  }
  for (const name of step.from) values.delete(name);
  values.set(step.to, parts.includes(null) ? null : parts.join(step.separator));
  return null;
}
