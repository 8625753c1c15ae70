// What keeps a release of the dictionary out (DESIGN: the dictionary): references that lead nowhere, two authorities for
// one element at one time, tests inside an entry that do not come out as written. The editors' command line, the registry
// and every server that loads a release ask the same question. Entries passed the schema of their kind before.
import { mappingFailures } from '#policy/mapping/check.ts';
import { predicateFailures } from '#policy/predicate/evaluate.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import { type DictionaryEntry, type EntryKind, type GroupEntry, refOf } from '#schemas/dictionary-entry.ts';
import type { JsonValue } from '#schemas/json.ts';
import { codelistFailures } from './check-codelist.ts';
import { type EntryFailure, elementFailures } from './check-element.ts';
import { bindingGroups, type Dictionary } from './dictionary.ts';

export interface DictionaryFailure extends EntryFailure {
  /** Ref of the entry. */
  entry: string;
}

/** Everything that is wrong, ascending by kind and ref of the entry; none when the release may be taken. */
export function checkDictionary(dictionary: Dictionary): DictionaryFailure[] {
  const failures: DictionaryFailure[] = [];
  const seen = new Set<string>();
  const kinds = new Map<string, EntryKind>();
  for (const entry of dictionary.entries) {
    const ref = refOf(entry);
    const found = [...commonFailures(entry, dictionary), ...kindFailures(entry, dictionary)];
    if (seen.has(ref)) found.push({ code: 'DICT_DUPLICATE_REF', detail: `${entry.version} beside another version` });
    seen.add(ref);
    const kind = kinds.get(entry.id) ?? entry.kind;
    if (kind !== entry.kind) found.push({ code: 'DICT_KIND', detail: `is ${kind} and ${entry.kind}` });
    kinds.set(entry.id, kind);
    for (const failure of found) failures.push({ entry: ref, ...failure });
  }
  return [...failures, ...groupOverlaps(dictionary)];
}

function kindFailures(entry: DictionaryEntry, dictionary: Dictionary): EntryFailure[] {
  switch (entry.kind) {
    case 'element':
      return elementFailures(entry, dictionary);
    case 'codelist':
      return codelistFailures(entry);
    case 'mapping':
      return mappingFailures(entry, dictionary);
    case 'predicate':
      return predicateFailures(entry, dictionary);
    default:
      return [];
  }
}

function commonFailures(entry: DictionaryEntry, dictionary: Dictionary): EntryFailure[] {
  const failures: EntryFailure[] = [];
  if (/\b0[0-9]/.test(entry.version))
    failures.push({ code: 'DICT_VERSION', detail: `${entry.version} has a zero too many` });
  if (!hasOneSpelling(entry))
    failures.push({ code: 'DICT_NUMBER', detail: 'a number is too large to be written exactly' });
  failures.push(...languageFailures(entry), ...referenceFailures(entry, dictionary));
  const isLeaving = entry.state === 'deprecated' || entry.state === 'retired';
  const isExplained = EXPLAINS.zh.test(entry.definition.zh) && EXPLAINS.en.test(entry.definition.en);
  if (isLeaving && entry.replacedBy === undefined && !isExplained) {
    const detail = `${entry.state}: neither replacedBy nor a definition that says why`;
    failures.push({ code: 'DICT_REPLACEMENT', detail });
  }
  return failures;
}

/** What has none could not be released: parts of the configuration are written in canonical JSON. */
function hasOneSpelling(entry: DictionaryEntry): boolean {
  try {
    canonicalJson(entry as unknown as JsonValue);
    return true;
  } catch {
    return false;
  }
}

/** How a definition says that its entry is given up without a successor. */
const EXPLAINS = {
  zh: /停用|废止|弃用|不再|取消|取代|替代/u,
  en: /\b(?:withdrawn|abolished|discontinued|deprecated|retired|replaced|superseded|no longer)\b/i,
};
const LANGUAGE = { zh: /\p{Script=Han}/u, en: /\p{Script=Latin}/u };

function languageFailures({ labels, definition }: DictionaryEntry): EntryFailure[] {
  const texts = { labels, definition };
  return (['labels', 'definition'] as const).flatMap((name) =>
    (['zh', 'en'] as const)
      .filter((language) => !LANGUAGE[language].test(texts[name][language]))
      .map((language) => ({ code: 'DICT_LANGUAGE', detail: `${name}.${language} is not written in that language` })),
  );
}

interface Reference {
  /** Where it stands in the entry. */
  at: string;
  ref: string;
  kinds: readonly EntryKind[];
}

/** Refs of mappings' sides and predicates' inputs are judged with the mapping and the predicate. */
function referencesOf(entry: DictionaryEntry): Reference[] {
  const references: Reference[] = [];
  if (entry.replacedBy !== undefined) references.push({ at: 'replacedBy', ref: entry.replacedBy, kinds: [entry.kind] });
  if (entry.kind === 'element' && entry.codelist !== undefined) {
    references.push({ at: 'codelist', ref: entry.codelist, kinds: ['codelist'] });
  }
  if (entry.kind === 'group') {
    for (const ref of entry.members) references.push({ at: 'members', ref, kinds: ['element'] });
  }
  return references;
}

/** They lead to an entry of the right kind, and what is standard stands on nothing that is a draft or retired. */
function referenceFailures(entry: DictionaryEntry, dictionary: Dictionary): EntryFailure[] {
  return referencesOf(entry).flatMap(({ at, ref, kinds }): EntryFailure[] => {
    const target = dictionary.get(ref);
    if (target === undefined) return [{ code: 'DICT_REFERENCE', detail: `${at}: there is no ${ref}` }];
    if (!kinds.includes(target.kind)) return [{ code: 'DICT_REFERENCE', detail: `${at}: ${ref} is a ${target.kind}` }];
    if (at === 'replacedBy' && refOf(target) === refOf(entry)) {
      return [{ code: 'DICT_REFERENCE', detail: `${at}: itself` }];
    }
    const weak = target.state === 'retired' || (target.state === 'draft' && entry.state === 'standard');
    return weak && entry.state !== 'retired'
      ? [{ code: 'DICT_REFERENCE_STATE', detail: `${at}: ${ref} is ${target.state}` }]
      : [];
  });
}

/** An element in two atomic groups could be released neither without the one nor without the other. */
function groupOverlaps(dictionary: Dictionary): DictionaryFailure[] {
  const groups = dictionary.entries.filter((entry): entry is GroupEntry => entry.kind === 'group');
  const first = new Map<string, GroupEntry>();
  const failures: DictionaryFailure[] = [];
  for (const group of bindingGroups(groups)) {
    for (const member of group.members) {
      const other = first.get(member);
      if (other === undefined) first.set(member, group);
      else
        failures.push({
          entry: refOf(group),
          code: 'DICT_GROUP_OVERLAP',
          detail: `${member} is also in ${refOf(other)}`,
        });
    }
  }
  return failures;
}
