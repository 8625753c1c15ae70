// What should be left of an answer, worked out the slow way and without anything of policy/release: every value is looked
// for in the list of leaves by its names, one after the other. Campaign `filter` and the tests compare the two.
import type { BindingLeaf } from '#schemas/binding-table.ts';
import type { Scalar, ValueDomain } from '#schemas/dictionary-entry.ts';
import { isJsonObject, type JsonValue } from '#schemas/json.ts';

/** What a decided value becomes; undefined when it does not leave. */
export type Keep = (leaf: BindingLeaf, value: Scalar) => Scalar | undefined;

interface Place {
  /** Members' names from the root; lists do not count. */
  names: readonly string[];
  value: Scalar;
}

export function expected(answer: JsonValue, leaves: readonly BindingLeaf[], keep: Keep): JsonValue | undefined {
  const dataBelow = (value: JsonValue, names: readonly string[]): boolean =>
    scalarsIn(value, names).some((place) => {
      const leaf = leafAt(leaves, place.names);
      return leaf?.role === 'data' && keep(leaf, place.value) !== undefined;
    });
  const rebuild = (value: JsonValue, names: readonly string[], besideData: boolean): JsonValue | undefined => {
    if (Array.isArray(value)) {
      const items = value.map((item) => rebuild(item, names, besideData)).filter((item) => item !== undefined);
      return items.length > 0 ? items : undefined;
    }
    if (isJsonObject(value)) {
      const beside = dataBelow(value, names);
      const members = Object.entries(value)
        .map(([name, member]) => [name, rebuild(member, [...names, name], beside)] as const)
        .filter(([, member]) => member !== undefined);
      return members.length > 0 ? (Object.fromEntries(members) as JsonValue) : undefined;
    }
    const leaf = leafAt(leaves, names);
    if (leaf === undefined) return undefined;
    if (leaf.role === 'data') return keep(leaf, value);
    return (leaf.role === 'technical' || besideData) && isWithin(leaf.domain, value) ? value : undefined;
  };
  return rebuild(answer, [], dataBelow(answer, []));
}

/** Every scalar with the names that lead to it. */
export function scalarsIn(value: JsonValue, names: readonly string[] = []): Place[] {
  if (Array.isArray(value)) return value.flatMap((item) => scalarsIn(item, names));
  if (isJsonObject(value))
    return Object.entries(value).flatMap(([name, member]) => scalarsIn(member, [...names, name]));
  return [{ names, value }];
}

/** The leaf that these names lead to: own names first, then the one pattern that allows a name. */
export function leafAt(leaves: readonly BindingLeaf[], names: readonly string[]): BindingLeaf | undefined {
  let left = leaves.map((leaf) => ({ leaf, segments: leaf.path === '' ? [] : leaf.path.slice(1).split('/') }));
  for (const [index, name] of names.entries()) {
    if (name === '__proto__') return undefined;
    const own = left.filter(({ segments }) => nameOf(segments[index]) === name);
    const allowing = left.filter(({ segments }) => name.length <= 256 && allows(segments[index], name));
    const patterns = new Set(allowing.map(({ segments }) => segments[index]));
    left = own.length > 0 ? own : patterns.size === 1 ? allowing : [];
  }
  return left.find(({ segments }) => segments.length === names.length)?.leaf;
}

function nameOf(segment: string | undefined): string | undefined {
  if (segment === undefined || segment.startsWith('{')) return undefined;
  return plain(segment.replace(/^~2/, '{'));
}

function allows(segment: string | undefined, name: string): boolean {
  const pattern = /^\{(.*)\}$/su.exec(segment ?? '')?.[1];
  return pattern !== undefined && new RegExp(plain(pattern), 'u').test(name);
}

function plain(segment: string): string {
  return segment.replace(/~[01]/g, (token) => (token === '~0' ? '~' : '/'));
}

/** Only what the cases use. */
function isWithin(domain: ValueDomain, value: Scalar): boolean {
  if (domain.type === 'string') return domain.enum?.includes(value) ?? false;
  return Number.isInteger(value) && Number(value) >= (domain.minimum ?? 0) && Number(value) <= (domain.maximum ?? 0);
}
