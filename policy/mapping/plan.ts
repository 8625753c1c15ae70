// The way from one form of a value to another through the dictionary's mappings. Only lossless mappings of one value, of
// state standard or candidate; the shortest way, and of two of the same length the one whose refs come first, so that
// every server finds the same. A local form means something only at the end of a way: two authors may use one name.
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import { type MappingEntry, refOf } from '#schemas/dictionary-entry.ts';
import { AccordError } from '#schemas/problems.ts';

interface Edge {
  ref: string;
  to: string;
}

const edgesOf = new WeakMap<Dictionary, ReadonlyMap<string, readonly Edge[]>>();

/**
 * Refs of the mappings from the form `from` to the form `to`, in order; none when both are the same.
 * @param from what may stand on a mapping's side: the ref of an element or codelist, or `local:…`
 * @throws MAP_NO_PATH
 */
export function planMapping(dictionary: Dictionary, from: string, to: string): string[] {
  if (from === to) return [];
  const edges = edgesOf.get(dictionary) ?? readEdges(dictionary);
  edgesOf.set(dictionary, edges);
  // Breadth first, neighbours in the order of their refs: the first way that reaches a form is the shortest, and among
  // those the first by refs, because the queue of each length is itself in that order.
  const ways = new Map<string, string[]>([[from, []]]);
  for (const [form, way] of ways) {
    if (form !== from && form.startsWith('local:')) continue;
    for (const edge of edges.get(form) ?? []) {
      if (ways.has(edge.to)) continue;
      const longer = [...way, edge.ref];
      if (edge.to === to) return longer;
      ways.set(edge.to, longer);
    }
  }
  throw new AccordError('MAP_NO_PATH', `${from} to ${to}`);
}

function readEdges(dictionary: Dictionary): ReadonlyMap<string, readonly Edge[]> {
  const edges = new Map<string, Edge[]>();
  for (const mapping of dictionary.mappings) {
    const sides = oneToOne(mapping);
    if (sides === null) continue;
    const known = edges.get(sides.from) ?? [];
    known.push({ ref: refOf(mapping), to: sides.to });
    edges.set(sides.from, known);
  }
  for (const leaving of edges.values()) leaving.sort((a, b) => (a.ref < b.ref ? -1 : 1));
  return edges;
}

function oneToOne({ from, to, fidelity, state }: MappingEntry): { from: string; to: string } | null {
  if (fidelity !== 'lossless' || (state !== 'standard' && state !== 'candidate')) return null;
  const [[source, ...moreFrom], [target, ...moreTo]] = [Object.values(from), Object.values(to)];
  return source === undefined || target === undefined || moreFrom.length + moreTo.length > 0
    ? null
    : { from: source, to: target };
}
