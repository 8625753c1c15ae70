// Answers the decided predicates from an answer as it was before anything was cut away, so that their inputs need not
// leave (DESIGN: the dictionary). Whatever is not plainly there is unknown.
import type { AskedField } from '#policy/binding/binding.ts';
import { evaluate, type PredicateInput, type Verdict } from '#policy/predicate/evaluate.ts';
import type { Scalar } from '#schemas/dictionary-entry.ts';
import type { PredicateResult } from '#schemas/release.ts';
import { type BackendAnswer, dataLeaves, dayOf } from './answer.ts';
import type { HiddenValues } from './hidden-values.ts';

/** Ascending by ref, each once. */
export function predicateResults(answer: BackendAnswer, hidden: HiddenValues): PredicateResult[] {
  const results = new Map<string, PredicateResult>();
  for (const field of answer.decided.asked) {
    if (field.path !== null || results.has(field.element)) continue;
    results.set(field.element, { predicate: field.element, result: verdict(answer, field, hidden) });
  }
  return [...results.values()].sort((a, b) => (a.predicate < b.predicate ? -1 : 1));
}

function verdict(answer: BackendAnswer, { element, inputs }: AskedField, hidden: HiddenValues): Verdict {
  const entry = answer.dictionary.predicate(element);
  if (entry === undefined || Math.floor(answer.status / 100) !== 2) return 'unknown';
  const decided = dataLeaves(answer.bound.leaves);
  const given: Record<string, PredicateInput> = {};
  const lists: Scalar[][] = [];
  let uneven = false;
  for (const [name, path] of Object.entries(inputs ?? {})) {
    const found = hidden.at(path);
    // Another good answer may bind another element at this path; this predicate is not about that one.
    if (found === undefined || found.element !== decided.get(path)?.element) continue;
    if (found.listed) lists.push(found.values);
    given[name] = found.listed ? found.values : found.values[0];
    uneven ||= found.uneven;
  }
  // Values of several inputs belong together by their place in the list; where that does not hold, nothing is said.
  if (uneven && lists.length > 1) return 'unknown';
  const result = evaluate(entry, given, dayOf(answer));
  if (result !== 'unknown' || lists.length === 0 || lists.some((list) => list.length !== 1)) return result;
  // A list of one is also that one: a question about a person fits an answer that lists one person.
  const single = Object.entries(given).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]);
  return evaluate(entry, Object.fromEntries(single), dayOf(answer));
}
