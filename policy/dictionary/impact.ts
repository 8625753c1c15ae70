// Whom a change of the dictionary touches: services whose binding tables speak of an entry or of what depends on it,
// purposes and access rights that name it. The registry knows the tables and the purposes, a security server its own access
// rights. Consents are known to the consent services alone, which tell nobody what citizens allowed.
import type { BindingTable } from '#schemas/binding-table.ts';
import { refOf } from '#schemas/dictionary-entry.ts';
import type { Dictionary } from './dictionary.ts';

export interface Touched {
  tables: readonly BindingTable[];
  /** `id@version` and its elements. */
  purposes: readonly { id: string; elements: readonly string[] }[];
  rights: readonly { id: string; elements: readonly string[] | null }[];
}

export interface Impact {
  /** Ref of the entry that changed. */
  entry: string;
  services: string[];
  /** `id@version`. */
  purposes: string[];
  /** Ids of access rights. */
  rights: string[];
}

/** Only entries that touch somebody, in the order given. */
export function impactOf(changed: readonly string[], dictionaries: readonly Dictionary[], touched: Touched): Impact[] {
  const dependents = dependentsOf(dictionaries);
  const services = new Map<string, Set<string>>();
  for (const table of touched.tables) for (const ref of refsOf(table)) addTo(services, ref, table.service);
  const purposes = new Map<string, Set<string>>();
  for (const { id, elements } of touched.purposes) for (const ref of elements) addTo(purposes, ref, id);
  const rights = new Map<string, Set<string>>();
  for (const { id, elements } of touched.rights) for (const ref of elements ?? []) addTo(rights, ref, id);
  return changed.flatMap((entry): Impact[] => {
    const reached = reachedFrom(entry, dependents);
    const impact = {
      entry,
      services: collect(services, [...reached, ...inputsOf(entry, dictionaries)]),
      purposes: collect(purposes, reached),
      rights: collect(rights, reached),
    };
    const touches = [impact.services, impact.purposes, impact.rights].some((list) => list.length > 0);
    return touches ? [impact] : [];
  });
}

/** Everything of the dictionary that a table speaks of. */
function refsOf({ operations }: BindingTable): Set<string> {
  const refs = new Set<string>();
  for (const { subject, responses } of operations) {
    if (subject !== null) refs.add(subject.scheme);
    for (const { leaves } of responses) {
      for (const leaf of leaves) {
        if (leaf.role !== 'data') continue;
        for (const ref of [leaf.element, leaf.map, leaf.group]) if (ref !== undefined) refs.add(ref);
      }
    }
  }
  return refs;
}

/** Which refs depend directly on a ref, before or after the change. */
function dependentsOf(dictionaries: readonly Dictionary[]): Map<string, Set<string>> {
  const dependents = new Map<string, Set<string>>();
  for (const { entries } of dictionaries) {
    for (const entry of entries) {
      const ref = refOf(entry);
      if (entry.kind === 'element' && entry.codelist !== undefined) addTo(dependents, entry.codelist, ref);
      if (entry.kind === 'predicate') for (const input of Object.values(entry.inputs)) addTo(dependents, input, ref);
      // Turned round: what a group binds together is its members.
      if (entry.kind === 'group') for (const member of entry.members) addTo(dependents, ref, member);
    }
  }
  return dependents;
}

function reachedFrom(entry: string, dependents: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const reached = new Set([entry]);
  for (const ref of reached) for (const next of dependents.get(ref) ?? []) reached.add(next);
  return [...reached];
}

/** A predicate stands in no table: the services that could answer it hold its inputs. */
function inputsOf(ref: string, dictionaries: readonly Dictionary[]): string[] {
  return dictionaries.flatMap((dictionary) => Object.values(dictionary.predicate(ref)?.inputs ?? {}));
}

function collect(index: ReadonlyMap<string, ReadonlySet<string>>, refs: readonly string[]): string[] {
  return [...new Set(refs.flatMap((ref) => [...(index.get(ref) ?? [])]))].sort();
}

function addTo(index: Map<string, Set<string>>, key: string, value: string): void {
  const known = index.get(key);
  if (known === undefined) index.set(key, new Set([value]));
  else known.add(value);
}
