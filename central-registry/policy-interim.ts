// Stands in for policy/dictionary/{check,diff}.ts and policy/binding/compile.ts until they are there; goes with them.
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import type { JsonObject } from '#schemas/json.ts';
import type { ProblemCode } from '#schemas/problems.ts';

export function compileBinding(
  _document: JsonObject,
  _options: { service: string; instance: string; dictionary: Dictionary; day: string; previousLevel: Level | null },
): { table: BindingTable | null; faults: { code: ProblemCode; pointer: string; detail: string }[] } {
  throw new TypeError('the compiler is not there yet');
}
