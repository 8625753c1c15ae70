// Answers a predicate of the dictionary (`gx.pred.age_ge_18`) on the provider's server, so that the consumer learns yes,
// no or unknown and never the value (DESIGN: the dictionary). The inputs come from a backend's answer: any scalar may
// stand in them, or nothing. What is not known for sure is `unknown`; nothing here ever throws.
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import { domainMisfit } from '#policy/dictionary/value-domain.ts';
import type { PredicateEntry, Scalar } from '#schemas/dictionary-entry.ts';
import { compileExpression, type Expression, MAX_INPUT_LIST } from './expression.ts';

export type Verdict = 'true' | 'false' | 'unknown';
/** One value, the values of an element under arrays in document order, or undefined: the answer has none. */
export type PredicateInput = Scalar | Scalar[] | undefined;

/** Compiled once per entry; null when the expression is refused, so that every verdict is `unknown`. */
const compiled = new WeakMap<PredicateEntry, Expression | null>();

/** Stands where a value is not known: the library refuses every operation on it, and || and && weigh that as CEL does. */
class UnknownValue {}
const UNKNOWN = new UnknownValue();

/**
 * The verdict over `inputs` (by the names that the entry declares) on the day `today` (YYYY-MM-DD).
 * An input that is null or missing makes `unknown` of everything that depends on it, unless the expression compares that
 * input with null itself.
 */
export function evaluate(entry: PredicateEntry, inputs: Record<string, PredicateInput>, today: string): Verdict {
  const expression = expressionOf(entry);
  if (expression === null) return 'unknown';
  // Without a prototype: an input may be named `constructor`, and where it is missing nothing may stand.
  const values: Record<string, unknown> = Object.assign(Object.create(null), { thresholds: entry.thresholds, today });
  for (const name of Object.keys(entry.inputs)) {
    const given = Object.hasOwn(inputs, name) ? (inputs[name] ?? null) : null;
    if (Array.isArray(given)) {
      if (given.length > MAX_INPUT_LIST) return 'unknown';
      values[name] = given.map((value) => value ?? UNKNOWN);
    } else if (given !== null || expression.nullable.has(name)) values[name] = given;
  }
  try {
    const result = expression.run(values);
    return result === true ? 'true' : result === false ? 'false' : 'unknown';
  } catch {
    return 'unknown';
  }
}

/** What keeps this entry out of a release: its expression, its inputs, and tests that do not come out as they say. */
export function predicateFailures(entry: PredicateEntry, dictionary: Dictionary): { code: string; detail: string }[] {
  const failures: { code: string; detail: string }[] = [...compileExpression(entry).failures];
  for (const [name, ref] of Object.entries(entry.inputs)) {
    if (dictionary.element(ref) === undefined) failures.push({ code: 'PRED_INPUT_UNKNOWN', detail: `${name}: ${ref}` });
  }
  if (failures.length > 0) return failures;
  const results = new Set<Verdict>();
  for (const [index, test] of entry.tests.entries()) {
    const where = `test ${index + 1}`;
    for (const misfit of inputMisfits(entry, test, dictionary)) {
      failures.push({ code: 'PRED_TEST_INPUT', detail: `${where}: ${misfit}` });
    }
    const verdict = evaluate(entry, test.inputs, test.today);
    results.add(verdict);
    if (verdict !== test.result)
      failures.push({ code: 'PRED_TEST', detail: `${where}: ${verdict}, not ${test.result}` });
  }
  for (const verdict of ['true', 'false'] as const) {
    if (!results.has(verdict)) failures.push({ code: 'PRED_TESTS_ONE_SIDED', detail: `no test is ${verdict}` });
  }
  return failures;
}

/** A test that expects an answer has to bring what a backend could say; one that expects `unknown` may bring rubbish. */
function inputMisfits(entry: PredicateEntry, test: PredicateEntry['tests'][number], dictionary: Dictionary): string[] {
  return Object.entries(test.inputs).flatMap(([name, given]) => {
    const element = Object.hasOwn(entry.inputs, name) ? dictionary.element(entry.inputs[name] ?? '') : undefined;
    if (element === undefined) return [`${name} is no input`];
    if (test.result === 'unknown') return [];
    const misfits = [given].flat().map((value) => (value === null ? null : domainMisfit(value, element, dictionary)));
    return misfits.flatMap((misfit) => (misfit === null ? [] : [`${name} ${misfit}`]));
  });
}

function expressionOf(entry: PredicateEntry): Expression | null {
  let expression = compiled.get(entry);
  if (expression === undefined) {
    expression = compileExpression(entry).expression;
    compiled.set(entry, expression);
  }
  return expression;
}
