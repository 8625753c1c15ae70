// `accord dictionary check|diff|release|search|show`: the editors' side of the shared data dictionary. check, search and
// show work on a folder of entries and need no server; diff and release also ask the registry.
import { Command, InvalidArgumentError } from 'commander';
import { type Dictionary, openDictionary } from '#policy/dictionary/dictionary.ts';
import { openSearch } from '#policy/dictionary/search.ts';
import type { EntryKind } from '#schemas/dictionary-entry.ts';
import { describeEntry } from './dictionary-entry.ts';
import { judgeFolder, OWN_DICTIONARY, readDictionaryFolder, refuseFailures, UNRELEASED } from './dictionary-folder.ts';
import { diffCommand, releaseCommand } from './dictionary-release.ts';
import { CommandEnd, EXIT, type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';

interface FolderOptions extends OutputOptions {
  folder: string;
}

export function dictionaryCommand(): Command {
  const dictionary = new Command('dictionary').description(
    'the shared data dictionary: check, compare, release, search',
  );
  return dictionary
    .addCommand(checkCommand())
    .addCommand(diffCommand())
    .addCommand(releaseCommand())
    .addCommand(searchCommand())
    .addCommand(showCommand());
}

function checkCommand(): Command {
  const command = new Command('check')
    .description('check all entries and run the tests inside them')
    .argument('[folder]', 'folder of entries; the dictionary of Accord by default', OWN_DICTIONARY);
  return withOutput(command).action(runAction(check));
}

function check(folder: string, options: OutputOptions): void {
  const { dictionary, failures } = judgeFolder(folder, UNRELEASED);
  const entries: Record<EntryKind, number> = { element: 0, codelist: 0, mapping: 0, predicate: 0, group: 0 };
  for (const { kind } of dictionary.entries) entries[kind] += 1;
  const isTable = outputFormat(options) === 'table';
  if (isTable && failures.length > 0) print(failures, options, ['entry', 'code', 'detail']);
  print({ elements: entries.element, failures: isTable ? failures.length : failures, entries }, options);
  refuseFailures(failures);
}

function searchCommand(): Command {
  const command = new Command('search')
    .description('find entries by their labels, synonyms, ids and definitions, in Chinese or English')
    .argument('<text...>', 'what to look for')
    .option('--limit <n>', 'how many at most', limit, 20);
  return withFolder(command).action(runAction(search));
}

function search(text: string[], options: FolderOptions & { limit: number }): void {
  const dictionary = read(options.folder);
  const found = openSearch(dictionary).search(text.join(' '), options.limit);
  const rows = found.flatMap(({ ref, score }) => {
    const entry = dictionary.get(ref);
    if (entry === undefined) return [];
    const { kind, state, labels } = entry;
    const level = 'level' in entry ? entry.level : null;
    return [{ ref, kind, state, level, zh: labels.zh, en: labels.en, score: Math.round(score * 100) / 100 }];
  });
  print(rows, options);
}

function showCommand(): Command {
  const command = new Command('show')
    .description('one entry with all it says')
    .argument('<ref>', 'id@major, or an id for its newest major');
  return withFolder(command).action(runAction(show));
}

function show(asked: string, options: FolderOptions): void {
  const dictionary = read(options.folder);
  const majors = dictionary.entries.filter(({ id }) => id === asked);
  const newest = majors.toSorted((a, b) => Number.parseInt(b.version, 10) - Number.parseInt(a.version, 10))[0];
  const entry = dictionary.get(asked) ?? newest;
  if (entry === undefined) {
    const next = 'Find it with `accord dictionary search`.';
    throw new CommandEnd(EXIT.notFound, `There is no entry ${asked}.\nNext: ${next}`);
  }
  print(outputFormat(options) === 'table' ? describeEntry(entry, dictionary) : entry, options);
}

function withFolder(command: Command): Command {
  return withOutput(command.option('--folder <folder>', 'folder of entries', OWN_DICTIONARY));
}

/** For reading only: what cannot be read is left out, `check` tells about it. */
function read(folder: string): Dictionary {
  return openDictionary(UNRELEASED, readDictionaryFolder(folder).entries);
}

function limit(text: string): number {
  if (!/^[1-9][0-9]{0,2}$/.test(text)) throw new InvalidArgumentError('Write a whole number from 1 to 999.');
  return Number(text);
}
