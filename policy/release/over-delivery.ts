// The consumer's server looks again at what a provider's server released (DESIGN: the dictionary): whatever stands in an
// answer outside the decided paths and the closed places of the table is over-delivery, and refused with an alarm. The
// other server controls the body. Everything that `select` leaves passes here.
import type { BindingLeaf } from '#schemas/binding-table.ts';
import type { JsonValue } from '#schemas/json.ts';
import { memberPath, memberPlace, type Place, placeTree } from './place-tree.ts';
import { fitsOthers } from './select.ts';

/** Paths named of one answer; more do not help whoever repairs it. */
const MAX_NAMED_PATHS = 20;
const MAX_PATH_LENGTH = 512;

/**
 * @param paths the decided data paths, as the table spells them
 * @returns paths that hold what should not be there, each once, at most 20: values outside `paths`, values outside the
 *   domain of a place that holds no data, and unknown names, whose letters alone could tell something. Names that the
 *   table does not know are spelled as they are: show them to operators only.
 */
export function overDelivered(body: JsonValue, leaves: readonly BindingLeaf[], paths: ReadonlySet<string>): string[] {
  const found = new Set<string>();
  visit(placeTree(leaves), '', body);
  return [...found];

  function visit(place: Place | null, path: string, value: JsonValue): void {
    if (found.size >= MAX_NAMED_PATHS) return;
    if (Array.isArray(value)) {
      if (value.length === 0 && place === null) tell(path);
      for (const item of value) visit(place, path, item);
    } else if (typeof value === 'object' && value !== null) {
      const names = Object.keys(value);
      if (names.length === 0 && place === null) tell(path);
      for (const name of names) {
        const next = place === null ? null : memberPlace(place, name);
        const member = value[name];
        if (member !== undefined) visit(next, next?.path ?? memberPath(path, name), member);
      }
    } else if (!mayStand(place, value)) {
      tell(path);
    }
  }

  function tell(path: string): void {
    if (found.size < MAX_NAMED_PATHS) found.add(path.slice(0, MAX_PATH_LENGTH).toWellFormed());
  }

  function mayStand(place: Place | null, value: null | boolean | number | string): boolean {
    if (place === null) return false;
    return place.data === null ? fitsOthers(place, value) : paths.has(place.data.path);
  }
}
