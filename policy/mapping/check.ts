// What keeps a mapping out of a release: its steps must lead from the names of one side to those of the other, its sides
// must exist, its examples must come out as written and fit the dictionary, and a mapping and its inverse must round-trip
// over both's examples (ISO/IEC 11179: a conversion between representations of one concept). Entries are the editors'.
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import { codesOf, domainMisfit } from '#policy/dictionary/value-domain.ts';
import { type MappingEntry, type MappingStep, refOf, type Scalar } from '#schemas/dictionary-entry.ts';
import { applyMapping } from './apply.ts';
import { dateTokens } from './date-form.ts';

export interface MappingFailure {
  code:
    | 'MAP_SIDE_UNKNOWN'
    | 'MAP_STEPS'
    | 'MAP_EXAMPLE'
    | 'MAP_EXAMPLE_DOMAIN'
    | 'MAP_TABLE_DOMAIN'
    | 'MAP_INVERSE'
    | 'MAP_ROUND_TRIP';
  detail: string;
}

/** The day on which an example without `on` is run. */
const EXAMPLE_DAY = '2026-01-01';

/** Everything that is wrong with a mapping; none when it may be released. */
export function mappingFailures(mapping: MappingEntry, dictionary: Dictionary): MappingFailure[] {
  const failures: MappingFailure[] = [];
  for (const side of [mapping.from, mapping.to]) {
    for (const [name, form] of Object.entries(side)) {
      if (form.startsWith('local:')) continue;
      if (dictionary.element(form) === undefined && dictionary.codelist(form) === undefined) {
        failures.push({ code: 'MAP_SIDE_UNKNOWN', detail: `${name}: ${form}` });
      }
    }
  }
  failures.push(...stepFailures(mapping));
  if (failures.length > 0) return failures;
  failures.push(...exampleFailures(mapping, dictionary), ...tableFailures(mapping, dictionary));
  if (mapping.inverse !== undefined) failures.push(...inverseFailures(mapping, dictionary));
  return failures;
}

/** Follows the names through the steps, without values. */
function stepFailures({ from, to, steps }: MappingEntry): MappingFailure[] {
  const names = new Set(Object.keys(from));
  for (const [index, step] of steps.entries()) {
    const wrong = namesThrough(step, names) ?? formFault(step);
    if (wrong !== null) return [{ code: 'MAP_STEPS', detail: `step ${index + 1} (${step.op}): ${wrong}` }];
  }
  const [ends, wanted] = [[...names].sort(), Object.keys(to).sort()];
  const same = ends.length === wanted.length && ends.every((name, index) => name === wanted[index]);
  return same ? [] : [{ code: 'MAP_STEPS', detail: `they end in ${ends.join(', ') || 'nothing'}` }];
}

function namesThrough(step: MappingStep, names: Set<string>): string | null {
  if (step.op === 'default') {
    names.add(step.at);
    return null;
  }
  const taken =
    step.op === 'const' ? [] : step.op === 'rename' ? [step.from] : step.op === 'concat' ? step.from : [step.at];
  const consumes = step.op === 'rename' || step.op === 'concat' || step.op === 'split' || step.op === 'drop';
  for (const name of taken) {
    if (!names.has(name)) return `there is no ${name}`;
    if (consumes) names.delete(name);
  }
  const made =
    step.op === 'split'
      ? step.into
      : step.op === 'const' || step.op === 'rename' || step.op === 'concat'
        ? [step.to]
        : [];
  for (const name of made) {
    if (names.has(name)) return `there is a ${name} already`;
    names.add(name);
  }
  return null;
}

/** What a step can never do, whatever the value. */
function formFault(step: MappingStep): string | null {
  switch (step.op) {
    case 'dateFormat': {
      const [read, written] = [dateTokens(step.from), dateTokens(step.to)];
      if (new Set(read).size !== read.length) return 'a part of the date is read twice';
      return written.every((token) => read.includes(token)) ? null : 'a part of the date is written that is not read';
    }
    case 'unit':
      return step.digits === undefined && !ends(step.numerator, step.denominator)
        ? 'its results have no end: give digits'
        : null;
    case 'lookup':
      return overlapping(step.crosswalk);
    default:
      return null;
  }
}

/** True when numerator / denominator is a finite decimal: nothing but twos and fives is left below. */
function ends(numerator: number, denominator: number): boolean {
  let [a, b] = [numerator, denominator];
  while (b !== 0) [a, b] = [b, a % b];
  let rest = denominator / a;
  for (const prime of [2, 5]) while (rest % prime === 0) rest /= prime;
  return rest === 1;
}

/** Two rows of one code may not count on one day: which of them is read would then hang on their order. */
function overlapping(crosswalk: Extract<MappingStep, { op: 'lookup' }>['crosswalk']): string | null {
  const rows = crosswalk.toSorted((a, b) => order(a.from, b.from) || order(a.since ?? '', b.since ?? ''));
  for (const [index, row] of rows.entries()) {
    if (row.until !== undefined && row.until <= (row.since ?? '')) return `${row.from} ends before it begins`;
    const next = rows[index + 1];
    if (next?.from === row.from && (row.until === undefined || (next.since ?? '') < row.until))
      return `${row.from} overlaps`;
  }
  return null;
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function exampleFailures(mapping: MappingEntry, dictionary: Dictionary): MappingFailure[] {
  return mapping.examples.flatMap((example, index): MappingFailure[] => {
    const where = `example ${index + 1}`;
    const mapped = applyMapping(mapping, example.in, example.on ?? EXAMPLE_DAY);
    if (!mapped.ok) return example.out === null ? [] : [{ code: 'MAP_EXAMPLE', detail: `${where}: ${mapped.detail}` }];
    if (!same(mapped.record, example.out)) {
      return [{ code: 'MAP_EXAMPLE', detail: `${where} gives ${JSON.stringify(mapped.record)}` }];
    }
    const misfits = [
      ...misfitsOf(example.in, mapping.from, dictionary),
      ...misfitsOf(mapped.record, mapping.to, dictionary),
    ];
    return misfits.map((misfit) => ({ code: 'MAP_EXAMPLE_DOMAIN', detail: `${where}: ${misfit}` }));
  });
}

/**
 * Runs every row of a table or crosswalk that is the first step and the whole of its side, so that no code is named that
 * the other side does not have.
 */
function tableFailures(mapping: MappingEntry, dictionary: Dictionary): MappingFailure[] {
  const [step] = mapping.steps;
  if (step === undefined || (step.op !== 'enumMap' && step.op !== 'lookup') || Object.keys(mapping.from).length !== 1)
    return [];
  const rows =
    step.op === 'enumMap'
      ? Object.keys(step.table).map((from) => ({ from, on: EXAMPLE_DAY }))
      : step.crosswalk.map(({ from, since }) => ({ from, on: since ?? '0001-01-01' }));
  return rows.flatMap(({ from, on }): MappingFailure[] => {
    const mapped = applyMapping(mapping, { [step.at]: from }, on);
    const misfits = mapped.ok ? misfitsOf(mapped.record, mapping.to, dictionary) : [mapped.detail];
    return misfits.map((misfit) => ({ code: 'MAP_TABLE_DOMAIN', detail: `${from}: ${misfit}` }));
  });
}

function misfitsOf(record: Record<string, Scalar>, side: Record<string, string>, dictionary: Dictionary): string[] {
  return Object.entries(record).flatMap(([name, value]) => {
    const form = side[name];
    if (value === null || form === undefined || form.startsWith('local:')) return [];
    const element = dictionary.element(form);
    const codelist = dictionary.codelist(form);
    if (element !== undefined) {
      const misfit = domainMisfit(value, element, dictionary);
      return misfit === null ? [] : [`${name} ${misfit}`];
    }
    const known = codelist !== undefined && typeof value === 'string' && codesOf(codelist).has(value);
    return known ? [] : [`${name} is no code of ${form}`];
  });
}

function inverseFailures(mapping: MappingEntry, dictionary: Dictionary): MappingFailure[] {
  const inverse = dictionary.mapping(mapping.inverse ?? '');
  if (inverse === undefined) return [{ code: 'MAP_INVERSE', detail: `there is no ${mapping.inverse}` }];
  if (!same(inverse.from, mapping.to) || !same(inverse.to, mapping.from)) {
    return [{ code: 'MAP_INVERSE', detail: `${mapping.inverse} has other sides` }];
  }
  if (inverse.inverse !== refOf(mapping))
    return [{ code: 'MAP_INVERSE', detail: `${mapping.inverse} does not name it` }];
  if (mapping.fidelity !== 'lossless' || inverse.fidelity !== 'lossless') return [];
  return [...roundTrips(mapping, inverse), ...roundTrips(inverse, mapping)];
}

/** Brings each example there and back. An example that fails, or whose value is not known, has nothing to bring back. */
function roundTrips(there: MappingEntry, back: MappingEntry): MappingFailure[] {
  return there.examples.flatMap(({ in: given, out, on }, index): MappingFailure[] => {
    if (out === null || Object.values(out).includes(null)) return [];
    const returned = applyMapping(back, out, on ?? EXAMPLE_DAY);
    const detail = `${there.id} example ${index + 1}`;
    return returned.ok && same(returned.record, given) ? [] : [{ code: 'MAP_ROUND_TRIP', detail }];
  });
}

function same(one: Record<string, Scalar>, other: Record<string, Scalar> | null): boolean {
  if (other === null) return false;
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && one[name] === other[name])
  );
}
