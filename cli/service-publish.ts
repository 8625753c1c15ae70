// `accord service publish FILE`: registers a service with the OpenAPI document that binds it to the dictionary. What
// keeps it from binding is shown all at once, each with its line in the file, and nothing is registered. Without a
// registry, against a folder of dictionary entries, it is the author's own check.
import { Command } from 'commander';
import { systemClock } from '#core/clock.ts';
import { bindingHashOf } from '#core/configuration/dictionary-parts.ts';
import { openDictionary } from '#policy/dictionary/dictionary.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import { serviceId } from '#schemas/identifiers.ts';
import { isJsonObject, type JsonObject } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { readDictionaryFolder, refuseFailures, UNRELEASED } from './dictionary-folder.ts';
import type { DocumentFile } from './document-file.ts';
import { CommandEnd, EXIT, outputFormat, print, runAction } from './output.ts';
import { callRegistry, type RegistryCallOptions, withChange } from './registry-call.ts';

interface PublishOptions extends RegistryCallOptions {
  id: string;
  title?: string;
  safe?: true;
  personalData: boolean;
  dictionary?: string;
}

interface Judged {
  faults: { code: string; pointer: string; detail: string }[];
  table: BindingTable | null;
  bindingHash: string | null;
}

export function publishCommand(): Command {
  const command = new Command('publish')
    .description('register a service with the OpenAPI 3.1 document that binds it to the dictionary')
    .argument('<file>', 'its OpenAPI 3.1 document, YAML or JSON')
    .requiredOption('--id <id>', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE')
    .option('--title <title>', "its title; by default the document's")
    .option('--safe', 'every operation only reads')
    .option('--no-personal-data', 'no answer ever holds personal data')
    .option('--dictionary <folder>', 'judge it here by a folder of entries; ask a registry only with --registry');
  return withChange(command).action(runAction(publish));
}

async function publish(file: string, options: PublishOptions): Promise<void> {
  const id = serviceId(options.id);
  // Loaded here, because every other verb of this noun does without.
  const { readDocumentFile } = await import('./document-file.ts');
  const opened = readDocumentFile(file);
  const isOffline = options.dictionary !== undefined && options.registry === undefined;
  let judged: Judged | null = null;
  if (options.dictionary !== undefined) {
    judged = await judgeHere(id, opened.document, options.dictionary);
    refuseFaults(file, opened, judged, options);
  }
  if (isOffline && judged !== null) {
    print({ id, registered: false, ...summaryOf(judged) }, options);
    return;
  }
  const body = bodyOf(id, opened.document, options);
  // Judging changes nothing, so it is asked in earnest in a dry run too.
  const { dryRun, ...asking } = options;
  judged = readJudged(await callRegistry(asking, 'POST', '/services/judge', body));
  refuseFaults(file, opened, judged, options);
  await callRegistry(options, 'POST', '/services', body);
  print({ id, registered: dryRun !== true, ...summaryOf(judged) }, options);
}

function bodyOf(id: string, document: JsonObject, { title, personalData, safe }: PublishOptions): JsonObject {
  const info = document['info'];
  const named = title ?? (isJsonObject(info) ? info['title'] : undefined);
  if (typeof named !== 'string' || named === '') {
    throw new CommandEnd(EXIT.usage, 'The document has no title.\nNext: Give --title TITLE.');
  }
  return { id, title: named, type: 'OPENAPI', personalData, safe: safe === true, description: document };
}

async function judgeHere(id: string, document: JsonObject, folder: string): Promise<Judged> {
  const { compileBinding } = await import('#policy/binding/compile.ts');
  const { entries, failures } = readDictionaryFolder(folder);
  refuseFailures(failures);
  const { table, faults } = compileBinding(document, {
    service: id,
    instance: id.slice(0, id.indexOf('/')),
    dictionary: openDictionary(UNRELEASED, entries),
    day: new Date(systemClock.nowMs()).toISOString().slice(0, 10),
    previousLevel: null,
  });
  return { table, faults, bindingHash: table && bindingHashOf(table) };
}

function readJudged(answer: unknown): Judged {
  const judged = answer as Judged;
  if (typeof answer === 'object' && answer !== null && Array.isArray(judged.faults)) return judged;
  throw new AccordError('SCHEMA_MISMATCH', "the registry's judgement");
}

/** Ends the command when there are faults, or when nothing is bound. */
function refuseFaults(
  file: string,
  { placeOf }: DocumentFile,
  { faults, table }: Judged,
  options: PublishOptions,
): void {
  if (faults.length === 0 && table !== null) return;
  if (faults.length === 0) {
    throw new CommandEnd(
      EXIT.usage,
      `Nothing in ${file} is bound to the dictionary.\nNext: Give its values x-accord-element, or use \`accord service register\`.`,
    );
  }
  const placed = faults.map((fault) => ({ file, ...placeOf(fault.pointer), ...fault }));
  placed.sort((a, b) => a.line - b.line || a.column - b.column);
  if (outputFormat(options) !== 'table') print({ id: options.id, registered: false, faults: placed }, options);
  const lines = placed.map(({ line, column, code, pointer, detail }) =>
    oneLine(`${file}:${line}:${column} ${code} ${pointer || '/'} ${detail}`),
  );
  const count = faults.length === 1 ? '1 fault' : `${faults.length} faults`;
  const next = 'Next: Correct the document; docs/errors.md says of each code what to do.';
  throw new CommandEnd(EXIT.usage, [...lines, `${count}; nothing was registered.`, next].join('\n'));
}

/** Names come from the document; a line stays one line. */
function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ');
}

function summaryOf({ table, bindingHash }: Judged): JsonObject {
  const operations = table?.operations ?? [];
  const leaves = operations.flatMap(({ responses }) => responses.flatMap((response) => response.leaves));
  const elements = new Set(leaves.flatMap((leaf) => (leaf.role === 'data' ? [leaf.element] : [])));
  return {
    operations: operations.length,
    leaves: leaves.length,
    elements: elements.size,
    level: table?.level ?? null,
    bindingHash,
  };
}
