// Reads the dictionary's folder: one JSON file for each entry, in the folder of its kind, named after it (DESIGN: the
// dictionary). The editors write the files; everything wrong with one is told, so that one run shows all there is to do.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { entryReader } from '#core/configuration/dictionary-parts.ts';
import { checkDictionary, type DictionaryFailure } from '#policy/dictionary/check.ts';
import { type Dictionary, openDictionary } from '#policy/dictionary/dictionary.ts';
import { MAX_PART_BYTES } from '#schemas/configuration.ts';
import { type DictionaryEntry, type EntryKind, refOf } from '#schemas/dictionary-entry.ts';
import { parseJson } from '#schemas/json.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';

/** The dictionary that Accord comes with. */
export const OWN_DICTIONARY = fileURLToPath(new URL('../schemas/dictionary', import.meta.url));

/** Stands for a release's number while there is none. */
export const UNRELEASED = 'unreleased';

const FOLDERS: Record<EntryKind, string> = {
  element: 'elements',
  codelist: 'codelists',
  mapping: 'mappings',
  predicate: 'predicates',
  group: 'groups',
};
const MAX_FILES = 200_000;
const MAX_FILE_VALUES = 500_000;

const readEntry = entryReader('SCHEMA_MISMATCH');

export interface FolderContent {
  entries: DictionaryEntry[];
  /** `entry` is the file's path below the folder. */
  failures: DictionaryFailure[];
}

/**
 * All entries that can be read, and what is wrong with the other files.
 * @throws the file system's errors, ENOENT when there is no such folder
 */
export function readDictionaryFolder(folder: string): FolderContent {
  const content: FolderContent = { entries: [], failures: [] };
  const kinds = new Map(Object.entries(FOLDERS).map(([kind, name]) => [name, kind]));
  for (const name of readdirSync(folder)) {
    if (!kinds.has(name) && !isNote(name)) {
      content.failures.push(misplaced(name, `no folder of a kind: ${[...kinds.keys()].join(', ')}`));
    }
  }
  for (const [name, kind] of kinds) {
    const below = join(folder, name);
    if (!existsSync(below)) continue;
    for (const file of readdirSync(below).sort()) {
      if (isNote(file)) continue;
      if (content.entries.length + content.failures.length >= MAX_FILES) {
        content.failures.push(misplaced(name, `over ${MAX_FILES} files`));
        return content;
      }
      readFile(join(below, file), `${name}/${file}`, kind, content);
    }
  }
  return content;
}

/** What people leave beside the entries. */
function isNote(name: string): boolean {
  return name === 'README.md' || name.startsWith('.');
}

function readFile(path: string, shown: string, kind: string, content: FolderContent): void {
  const stem = shown.slice(shown.indexOf('/') + 1).replace(/\.json$/, '');
  if (!shown.endsWith('.json') || !statSync(path).isFile()) {
    content.failures.push(misplaced(shown, 'no JSON file'));
    return;
  }
  try {
    const text = readFileSync(path);
    const entry = readEntry(parseJson(text, { maxBytes: MAX_PART_BYTES, maxValues: MAX_FILE_VALUES }));
    content.entries.push(entry);
    if (entry.kind !== kind)
      content.failures.push(misplaced(shown, `${entry.kind} belongs into ${FOLDERS[entry.kind]}`));
    if (stem !== entry.id && stem !== refOf(entry)) {
      content.failures.push(
        misplaced(shown, `holds ${refOf(entry)}: name it ${entry.id}.json or ${refOf(entry)}.json`),
      );
    }
  } catch (error) {
    if (!isAccordError(error)) throw error;
    content.failures.push({ entry: shown, code: error.code, detail: error.detail });
  }
}

function misplaced(entry: string, detail: string): DictionaryFailure {
  return { entry, code: 'DICT_FILE', detail };
}

/** Files, rules and the tests inside the entries. */
export function judgeFolder(
  folder: string,
  release: string,
): { dictionary: Dictionary; failures: DictionaryFailure[] } {
  const { entries, failures } = readDictionaryFolder(folder);
  const dictionary = openDictionary(release, entries);
  return { dictionary, failures: [...failures, ...checkDictionary(dictionary)] };
}

/** @throws DICTIONARY_REFUSED when there are any */
export function refuseFailures(failures: readonly DictionaryFailure[]): void {
  const [first] = failures;
  if (first === undefined) return;
  const more = failures.length === 1 ? '' : ` and ${failures.length - 1} more`;
  throw new AccordError('DICTIONARY_REFUSED', `${first.entry}: ${first.code} ${first.detail}${more}`);
}
