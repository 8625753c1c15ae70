// A release of the shared data dictionary, opened for reading (DESIGN: the dictionary): every other rule asks it by ref
// (`id@major`). Opening checks nothing; the rules that a release has to keep are in check.ts. The entries were written by
// the dictionary's editors and, on a server, came with the signed global configuration.
import {
  type CodelistEntry,
  type DictionaryEntry,
  type ElementEntry,
  type EntryKind,
  type GroupEntry,
  type MappingEntry,
  type PredicateEntry,
  refOf,
} from '#schemas/dictionary-entry.ts';

export interface Dictionary {
  /** Semantic version of the release. */
  release: string;
  /** Ascending by kind, then by ref. */
  entries: readonly DictionaryEntry[];
  get(ref: string): DictionaryEntry | undefined;
  /** The entry of that ref if it is of this kind. */
  element(ref: string): ElementEntry | undefined;
  codelist(ref: string): CodelistEntry | undefined;
  mapping(ref: string): MappingEntry | undefined;
  predicate(ref: string): PredicateEntry | undefined;
  group(ref: string): GroupEntry | undefined;
  /** The group with which this element is released together or not at all. */
  atomicGroupOf(element: string): GroupEntry | undefined;
  mappings: readonly MappingEntry[];
  predicates: readonly PredicateEntry[];
  /** Member that is the element's authority in a jurisdiction on a day (YYYY-MM-DD), or undefined. */
  authority(element: string, jurisdiction: string, day: string): string | undefined;
}

/** Pure, and no judge: of two entries with one ref the first is found, and check.ts names the second. */
export function openDictionary(release: string, entries: readonly DictionaryEntry[]): Dictionary {
  const sorted = sortEntries(entries);
  const byRef = new Map<string, DictionaryEntry>();
  for (const { ref, entry } of sorted) if (!byRef.has(ref)) byRef.set(ref, entry);
  const find =
    <K extends EntryKind>(kind: K) =>
    (ref: string): EntryOf<K> | undefined => {
      const entry = byRef.get(ref);
      return entry !== undefined && isOf(entry, kind) ? entry : undefined;
    };
  const element = find('element');
  const ordered = sorted.map(({ entry }) => entry);
  const atomic = atomicGroups(ordered.filter((entry) => isOf(entry, 'group')));
  return {
    release,
    entries: ordered,
    get: (ref) => byRef.get(ref),
    element,
    codelist: find('codelist'),
    mapping: find('mapping'),
    predicate: find('predicate'),
    group: find('group'),
    atomicGroupOf: (ref) => atomic.get(ref),
    mappings: ordered.filter((entry) => isOf(entry, 'mapping')),
    predicates: ordered.filter((entry) => isOf(entry, 'predicate')),
    authority: (ref, jurisdiction, day) =>
      element(ref)?.authorities.find(
        (one) => one.jurisdiction === jurisdiction && one.from <= day && (one.until === null || day < one.until),
      )?.member,
  };
}

type EntryOf<K extends EntryKind> = Extract<DictionaryEntry, { kind: K }>;

function isOf<K extends EntryKind>(entry: DictionaryEntry, kind: K): entry is EntryOf<K> {
  return entry.kind === kind;
}

function sortEntries(entries: readonly DictionaryEntry[]): { ref: string; entry: DictionaryEntry }[] {
  const keyed = entries.map((entry) => ({ ref: refOf(entry), entry }));
  return keyed.sort((a, b) => compare(a.entry.kind, b.entry.kind) || compare(a.ref, b.ref));
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/**
 * The atomic groups in force: retired ones bind nothing any more, and of one group the newest major binds, so that a new
 * major may stand beside the one it replaces.
 */
export function bindingGroups(groups: readonly GroupEntry[]): GroupEntry[] {
  const newest = new Map<string, GroupEntry>();
  for (const group of groups) {
    if (!group.atomic || group.state === 'retired') continue;
    const known = newest.get(group.id);
    if (known === undefined || majorOf(known) < majorOf(group)) newest.set(group.id, group);
  }
  return [...newest.values()];
}

function majorOf({ version }: DictionaryEntry): number {
  return Number.parseInt(version, 10);
}

function atomicGroups(groups: readonly GroupEntry[]): Map<string, GroupEntry> {
  const byElement = new Map<string, GroupEntry>();
  for (const group of bindingGroups(groups)) {
    for (const member of group.members) if (!byElement.has(member)) byElement.set(member, group);
  }
  return byElement;
}
