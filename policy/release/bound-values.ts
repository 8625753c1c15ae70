// Values that are read from an unfiltered answer without leaving with it: the inputs of predicates, and the day for which
// a value is true. The backend controls the answer, the approved table says where to look.
import type { BindingLeaf } from '#schemas/binding-table.ts';
import type { Scalar } from '#schemas/dictionary-entry.ts';
import type { JsonValue } from '#schemas/json.ts';
import { memberPlace, type Place, placeTree } from './place-tree.ts';

export interface ValuesAt {
  values: Scalar[];
  /** An array stood on the way: then even one value is a list. */
  listed: boolean;
  /** Some object in a list held several values at once: they pair with nothing beside it. */
  uneven: boolean;
}

/**
 * The scalars that stand at each wanted path, in the order of the document; arrays are transparent. In a list every
 * object counts once, with null where it has no value, so that the n-th values of two paths belong to one object.
 * @param wanted paths of bound leaves or of their `asOf`, as the table spells them
 */
export function valuesAt(
  answer: JsonValue,
  leaves: readonly BindingLeaf[],
  wanted: ReadonlySet<string>,
): Map<string, ValuesAt> {
  const reading = new Reading(wanted);
  if (wanted.size > 0) reading.visit(placeTree(leaves), answer, false);
  return reading.found;
}

class Reading {
  readonly found = new Map<string, ValuesAt>();
  readonly #wanted: ReadonlySet<string>;
  /** Every path that leads to a wanted one, itself included. */
  readonly #ways = new Set<string>();

  constructor(wanted: ReadonlySet<string>) {
    this.#wanted = wanted;
    for (const path of wanted) {
      for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) this.#ways.add(path.slice(0, end));
    }
  }

  visit(place: Place, value: JsonValue, listed: boolean): void {
    if (Array.isArray(value)) {
      for (const item of value) this.visit(place, item, true);
      if (value.length === 0 && listed) this.#missing(place);
    } else if (typeof value === 'object' && value !== null) {
      this.#members(place, value, listed);
    } else if (this.#wanted.has(place.path)) {
      this.#tell(place.path, value, listed);
    } else if (listed) {
      this.#missing(place);
    }
  }

  #members(place: Place, members: { [name: string]: JsonValue }, listed: boolean): void {
    // A container where a value should be; what is bound below it is looked for all the same.
    if (listed && this.#wanted.has(place.path)) this.#tell(place.path, null, listed);
    for (const [name, next] of place.named) {
      if (!this.#ways.has(next.path)) continue;
      const member = Object.hasOwn(members, name) ? members[name] : undefined;
      if (member === undefined) {
        if (listed) this.#missing(next);
        continue;
      }
      this.visit(next, member, listed);
      const told = this.found.get(next.path);
      if (told !== undefined && listed && Array.isArray(member)) told.uneven = true;
    }
    if (!place.patterns.some((one) => this.#ways.has(one.place.path))) return;
    for (const name of Object.keys(members)) {
      const next = place.named.has(name) ? null : memberPlace(place, name);
      const member = members[name];
      if (next !== null && member !== undefined && this.#ways.has(next.path)) this.visit(next, member, true);
    }
  }

  #missing(place: Place): void {
    if (!this.#ways.has(place.path) && place.path !== '') return;
    if (this.#wanted.has(place.path)) this.#tell(place.path, null, true);
    for (const next of place.named.values()) this.#missing(next);
  }

  #tell(path: string, value: Scalar, listed: boolean): void {
    const at = this.found.get(path) ?? { values: [], listed: false, uneven: false };
    at.values.push(value);
    at.listed ||= listed;
    this.found.set(path, at);
  }
}
