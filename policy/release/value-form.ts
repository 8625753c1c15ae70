// A backend's value in the dictionary's form (DESIGN: the dictionary): mappings are applied in order, and what comes out
// must lie in the element's value domain. A provider's mistake must not become a citizen's data: a value that no mapping
// knows becomes null, one that does not fit is dropped, and both are told without being quoted.
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import { domainMisfit } from '#policy/dictionary/value-domain.ts';
import { applyToValue } from '#policy/mapping/apply.ts';
import type { ElementEntry, MappingEntry, Scalar } from '#schemas/dictionary-entry.ts';

export interface Form {
  dictionary: Dictionary;
  element: ElementEntry;
  mappings: readonly MappingEntry[];
  /** YYYY-MM-DD, for crosswalks with dates. */
  on: string;
}

/** Undefined when the dictionary lacks the element or a mapping. */
export function formOf(dictionary: Dictionary, elementRef: string, maps: readonly string[], on: string) {
  const element = dictionary.element(elementRef);
  const mappings = maps.map((ref) => dictionary.mapping(ref)).filter((mapping) => mapping !== undefined);
  if (element === undefined || mappings.length !== maps.length) return undefined;
  return { dictionary, element, mappings, on };
}

/** @returns `value` undefined: it is dropped; `fault`: what was wrong with it, or null */
export function inForm(form: Form, value: Scalar): { value: Scalar | undefined; fault: string | null } {
  let formed = value;
  if (form.mappings.length > 0) {
    const mapped = applyToValue(form.mappings, value, form.on);
    if (!mapped.ok) return { value: null, fault: mapped.code };
    formed = mapped.record['value'] ?? null;
  }
  if (formed === null) return { value: null, fault: null };
  const misfit = domainMisfit(formed, form.element, form.dictionary);
  return misfit === null ? { value: formed, fault: null } : { value: undefined, fault: `the value ${misfit}` };
}
