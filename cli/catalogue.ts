// `accord catalogue search|show`: what the shared dictionary means and which service gives it (DESIGN: the dictionary),
// asked of the own security server as an information system does. `accord catalogue TEXT` is short for `search`.
import { Command, InvalidArgumentError, Option } from 'commander';
import type { CatalogueItem, CatalogueSearch } from '#adapters/client-dictionary.ts';
import { MAX_CATALOGUE_ITEMS } from '#schemas/limits.ts';
import { outputFormat, print, runAction } from './output.ts';
import { asSystem, type SystemOptions, withSystem } from './system-client.ts';

interface SearchOptions extends SystemOptions {
  limit: number;
  level?: NonNullable<CatalogueSearch['level']>;
  kind?: NonNullable<CatalogueSearch['kind']>;
}

const LEVELS = [1, 2, 3, 4] as const;

export function catalogueCommand(): Command {
  return new Command('catalogue')
    .description('which elements and predicates there are, and which service gives them')
    .addCommand(searchCommand(), { isDefault: true })
    .addCommand(showCommand());
}

function searchCommand(): Command {
  const command = new Command('search')
    .description('search labels, definitions and synonyms, in Chinese and English; without a text list everything')
    .argument('[text]', 'what to look for', '')
    .option('--limit <n>', `at most so many, up to ${MAX_CATALOGUE_ITEMS}`, limit, 20)
    .option('--level <n>', 'nothing more sensitive than this level, 1 to 4', level)
    .addOption(new Option('--kind <kind>', 'only these').choices(['element', 'predicate']));
  return withSystem(command).action(runAction(search));
}

async function search(text: string, { limit, level, kind, ...options }: SearchOptions): Promise<void> {
  const query = { limit, ...(level && { level }), ...(kind && { kind }) };
  const found = await asSystem(options, (accord) => accord.catalogue(text, query));
  print(outputFormat(options) === 'table' ? found.items.map(row) : found, options);
}

function row({ element, labels, level, state, services, moreServices }: CatalogueItem) {
  const lines = [...new Set(services.map(({ service, title }) => `${service} ${title}`))];
  if (moreServices > 0) lines.push(`and ${moreServices} more`);
  const marked = state === 'standard' ? element : `${element} (${state})`;
  return { element: marked, label: `${labels.zh}\n${labels.en}`, level, service: lines.join('\n') };
}

function showCommand(): Command {
  const command = new Command('show')
    .description('one element or predicate, and everywhere it can be asked for')
    .argument('<ref>', 'id@major');
  return withSystem(command).action(runAction(show));
}

async function show(ref: string, options: SystemOptions): Promise<void> {
  const { item } = await asSystem(options, (accord) => accord.catalogueEntry(ref));
  if (outputFormat(options) !== 'table') {
    print(item, options);
    return;
  }
  const { labels, definition, services, moreServices, score: _, ...facts } = item;
  const texts = { 'label zh': labels.zh, 'label en': labels.en, zh: definition.zh, en: definition.en };
  print({ ...facts, ...texts, ...(moreServices > 0 && { 'more services': moreServices }) }, options);
  print(
    services.map(({ service, title, method, path, subjectScheme, purposes, leafPath }) => ({
      service: `${service}\n${title}`,
      operation: `${method} ${path}`,
      subject: subjectScheme,
      purposes: purposes.join('\n'),
      'in the answer': leafPath,
    })),
    options,
  );
}

function limit(text: string): number {
  const count = /^[1-9][0-9]{0,2}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > MAX_CATALOGUE_ITEMS) throw new InvalidArgumentError(`1 to ${MAX_CATALOGUE_ITEMS}.`);
  return count;
}

function level(text: string): (typeof LEVELS)[number] {
  const known = LEVELS.find((one) => String(one) === text);
  if (known === undefined) throw new InvalidArgumentError('1 to 4.');
  return known;
}
