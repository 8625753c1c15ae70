// Path templates of which two could cover one path with neither being the more specific. OpenAPI leaves such a path to
// the tool; two tools would then take one request for two operations, with two tables.
import type { BindingOperation } from '#schemas/binding-table.ts';
import type { Located } from './document.ts';
import { parameterOf, segmentsOf } from './path-template.ts';

interface Template {
  /** Null stands for any segment. */
  segments: (string | null)[];
  pointer: string;
  path: string;
}

/** The later of two such operations, by the document's order. */
export function refusedOverlaps(
  operations: readonly Located<BindingOperation>[],
): { pointer: string; detail: string }[] {
  const groups = new Map<string, Template[]>();
  const refused: { pointer: string; detail: string }[] = [];
  for (const { value, pointer } of operations) {
    const segments = segmentsOf(value.path).map((segment) => (parameterOf(segment) === null ? segment : null));
    const key = `${value.method} ${segments.length}`;
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    const template = { segments, pointer, path: value.path };
    const other = group.find((one) => areAmbiguous(one.segments, segments));
    if (other !== undefined) refused.push({ pointer, detail: `${value.path} and ${other.path} can be the same path` });
    group.push(template);
  }
  return refused;
}

function areAmbiguous(a: readonly (string | null)[], b: readonly (string | null)[]): boolean {
  let isFirstNarrower = false;
  let isSecondNarrower = false;
  for (const [index, segment] of a.entries()) {
    const other = b[index] ?? null;
    if (segment !== null && other !== null && segment !== other) return false;
    if (segment !== null && other === null) isFirstNarrower = true;
    if (segment === null && other !== null) isSecondNarrower = true;
  }
  return isFirstNarrower === isSecondNarrower;
}
