// The values of an unfiltered answer that the release needs and that need not leave: inputs of the decided predicates, and
// the days for which decided values are true. Each is brought into the form of the element that the table binds there.
import type { BindingLeaf } from '#schemas/binding-table.ts';
import type { Scalar } from '#schemas/dictionary-entry.ts';
import type { JsonValue } from '#schemas/json.ts';
import { type BackendAnswer, dataLeaves, dayOf, type Faults } from './answer.ts';
import { valuesAt } from './bound-values.ts';
import { formOf, inForm } from './value-form.ts';

interface Hidden {
  /** Null for a place that holds no data. */
  element: string | null;
  /** Null where the value is missing, not known to its mapping, or outside its domain. */
  values: Scalar[];
  listed: boolean;
  uneven: boolean;
}

export interface HiddenValues {
  at(path: string): Hidden | undefined;
  /** What stands at the place that holds the day of this one. */
  asOfBeside(path: string): readonly Scalar[];
}

export const NOTHING_HIDDEN: HiddenValues = { at: () => undefined, asOfBeside: () => [] };

export function hiddenValues(
  answer: BackendAnswer,
  value: JsonValue,
  leaves: readonly BindingLeaf[],
  faults: Faults,
): HiddenValues {
  const bound = dataLeaves(leaves);
  const wanted = new Set<string>();
  for (const { path, inputs } of answer.decided.asked) {
    const asOf = path === null ? undefined : bound.get(path)?.asOf;
    if (asOf !== undefined) wanted.add(asOf);
    if (path === null) for (const input of Object.values(inputs ?? {})) wanted.add(input);
  }
  const hidden = new Map<string, Hidden>();
  for (const [path, { values, listed, uneven }] of valuesAt(value, leaves, wanted)) {
    const leaf = bound.get(path);
    const maps = leaf?.map === undefined ? [] : [leaf.map];
    const form = leaf === undefined ? undefined : formOf(answer.dictionary, leaf.element, maps, dayOf(answer));
    const formed = values.map((one) => {
      if (leaf === undefined) return one;
      if (form === undefined) return null;
      const { value: fitting, fault } = inForm(form, one);
      if (fault !== null) faults.add(path, fault);
      return fitting ?? null;
    });
    hidden.set(path, { element: leaf?.element ?? null, values: formed, listed, uneven });
  }
  const asOfBeside = (path: string) => hidden.get(bound.get(path)?.asOf ?? '')?.values ?? [];
  return { at: (path) => hidden.get(path), asOfBeside };
}
