// What may leave of an answer (DESIGN: the dictionary, Release). A scalar leaves only where a data leaf is bound at its
// exact path and that path was decided; what holds no data leaves only within its closed domain, structural places only
// beside data that leaves. Everything else goes: unknown names, containers where a scalar is bound, scalars where a
// container is, and containers in which nothing is left. Arrays are transparent at any depth. The backend controls the
// value (its depth and size were capped when it was parsed), the approved table the leaves.
import { misfit } from '#policy/dictionary/value-domain.ts';
import type { BindingLeaf, DataLeaf } from '#schemas/binding-table.ts';
import type { Scalar } from '#schemas/dictionary-entry.ts';
import type { JsonObject, JsonValue } from '#schemas/json.ts';
import { memberPlace, type Place, placeTree } from './place-tree.ts';

/** What a data leaf's value becomes, or undefined when it may not leave. Asked of every scalar that stands at one. */
export type KeepValue = (leaf: DataLeaf, value: Scalar) => Scalar | undefined;

/**
 * @param paths the decided data paths, as the table spells them
 * @returns undefined when nothing is left; the argument is never changed. select(select(x)) equals select(x).
 */
export function select(
  value: JsonValue,
  leaves: readonly BindingLeaf[],
  paths: ReadonlySet<string>,
): JsonValue | undefined {
  return selectValues(value, leaves, (leaf, scalar) => (paths.has(leaf.path) ? scalar : undefined));
}

/** The same walk, with the values that leave brought into another form. */
export function selectValues(value: JsonValue, leaves: readonly BindingLeaf[], keep: KeepValue): JsonValue | undefined {
  const selection = new Selection(keep);
  const root = placeTree(leaves);
  const left = selection.value(root, value);
  // Above the root there is no object that could hold data beside it.
  return selection.dataLeft || !isStructural(root) ? left : withoutScalars(left);
}

class Selection {
  readonly #keep: KeepValue;
  /** Whether a data leaf remained in the container that is being walked, or below it. */
  dataLeft = false;

  constructor(keep: KeepValue) {
    this.#keep = keep;
  }

  value(place: Place, value: JsonValue): JsonValue | undefined {
    if (Array.isArray(value)) return this.#array(place, value);
    if (typeof value === 'object' && value !== null) return this.#object(place, value);
    return this.#scalar(place, value);
  }

  #array(place: Place, items: readonly JsonValue[]): JsonValue[] | undefined {
    const left: JsonValue[] = [];
    for (const item of items) {
      const kept = this.value(place, item);
      if (kept !== undefined) left.push(kept);
    }
    return left.length === 0 ? undefined : left;
  }

  #object(place: Place, members: JsonObject): JsonObject | undefined {
    const outer = this.dataLeft;
    this.dataLeft = false;
    // `__proto__`, the one name that an assignment would not make a member, is never bound (memberPlace).
    const left: JsonObject = {};
    const structural: string[] = [];
    let size = 0;
    for (const name of Object.keys(members)) {
      const next = memberPlace(place, name);
      const member = members[name];
      if (next === null || member === undefined) continue;
      const kept = this.value(next, member);
      if (kept === undefined) continue;
      left[name] = kept;
      size += 1;
      if (isStructural(next)) structural.push(name);
    }
    if (!this.dataLeft) {
      for (const name of structural) {
        const rest = withoutScalars(left[name]);
        if (rest === undefined) {
          delete left[name];
          size -= 1;
        } else {
          left[name] = rest;
        }
      }
    }
    this.dataLeft ||= outer;
    return size === 0 ? undefined : left;
  }

  #scalar(place: Place, value: Scalar): Scalar | undefined {
    if (place.data !== null) {
      const kept = this.#keep(place.data, value);
      if (kept !== undefined) this.dataLeft = true;
      return kept;
    }
    return fitsOthers(place, value) ? value : undefined;
  }
}

/** True when the value lies in a closed domain of a place that holds no data. */
export function fitsOthers(place: Place, value: Scalar): boolean {
  return place.others.some(({ domain }) => misfit(value, domain) === null);
}

/** Technical only where every leaf bound here is: the stricter role wins. What left here as data is data beside itself. */
function isStructural(place: Place): boolean {
  return place.others.some(({ role }) => role === 'structural');
}

/** Takes away the scalars that stand here, arrays being transparent; objects below were judged by themselves. */
function withoutScalars(value: JsonValue | undefined): JsonValue | undefined {
  if (Array.isArray(value)) {
    const rest = value.map(withoutScalars).filter((item) => item !== undefined);
    return rest.length === 0 ? undefined : rest;
  }
  return typeof value === 'object' && value !== null ? value : undefined;
}
