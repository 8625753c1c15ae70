// `accord purpose add|list|show|end`: what data may be asked for at all, in the registry (schemas/purpose.ts). The file is
// written by the department whose task it is; a version never changes once it is registered, and counts when two approvers
// signed a content that holds it.
import { Command, InvalidArgumentError } from 'commander';
import { isJsonObject } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Purpose } from '#schemas/purpose.ts';
import { CommandEnd, EXIT, outputFormat, print, runAction } from './output.ts';
import { confirm } from './passphrase.ts';
import { callRegistry, listRegistry, type RegistryCallOptions, withChange, withRegistry } from './registry-call.ts';

/** One version as the registry shows it: its hash pins it, the state is that of the instance's legal day. */
export type ShownPurpose = Purpose & { hash: string; state: 'in-force' | 'not-begun' | 'superseded' | 'ended' };

export function purposeCommand(): Command {
  const purpose = new Command('purpose').description('what data may be asked for (registry)');
  return purpose.addCommand(addCommand()).addCommand(listCommand()).addCommand(showCommand()).addCommand(endCommand());
}

function addCommand(): Command {
  const command = new Command('add')
    .description('register a purpose, or its next version')
    .argument(
      '<file>',
      'YAML or JSON: {id, version, title, text, bases, elements, retentionDays, quotaPerDay, from, until}',
    );
  return withChange(command).action(
    runAction(async (file: string, options: RegistryCallOptions) => {
      const { readDocumentFile } = await import('./document-file.ts');
      const answer = await callRegistry(options, 'POST', '/purposes', readDocumentFile(file).document);
      printOne(answer as unknown as ShownPurpose, options);
    }),
  );
}

function listCommand(): Command {
  const command = new Command('list')
    .description('purposes in force, and those that have not begun')
    .option('--all', 'every version, ended and superseded ones too');
  return withRegistry(command).action(
    runAction(async (options: RegistryCallOptions & { all?: true }) => {
      const every = (await listRegistry(options, '/purposes')) as unknown as ShownPurpose[];
      const shown = options.all ? every : every.filter(({ state }) => state === 'in-force' || state === 'not-begun');
      if (outputFormat(options) === 'table') print(shown.map(rowOf), options);
      else print(shown, options);
    }),
  );
}

function rowOf({ id, version, state, title, bases, elements, from, until }: ShownPurpose) {
  const days = `${from} to ${until ?? 'on'}`;
  return { purpose: `${id}@${version}`, state, title: `${title.zh}\n${title.en}`, bases, items: elements.length, days };
}

function showCommand(): Command {
  const command = new Command('show')
    .description('one purpose: the version in force, or the newest; with --json all versions')
    .argument('<id[@version]>', 'its id, or one version of it');
  return withRegistry(command).action(
    runAction(async (name: string, options: RegistryCallOptions) => {
      const [id = '', version] = name.split('@', 2);
      const answer = await callRegistry(options, 'GET', `/purposes/${encodeURIComponent(id)}`);
      const versions = isJsonObject(answer) ? (answer['versions'] as unknown as ShownPurpose[]) : [];
      if (version === undefined && outputFormat(options) !== 'table') {
        print(answer, options);
        return;
      }
      const chosen =
        version === undefined
          ? (versions.find(({ state }) => state === 'in-force') ?? versions.at(-1))
          : versions.find((one) => String(one.version) === version);
      if (!chosen) throw new AccordError('REGISTRATION_UNKNOWN', name);
      printOne(chosen, options);
    }),
  );
}

/** Texts in lines of their own, so that a person can read what citizens will. */
function printOne(purpose: ShownPurpose, options: RegistryCallOptions): void {
  if (outputFormat(options) !== 'table') {
    print(purpose, options);
    return;
  }
  const { title, text, bases, elements, retentionDays, quotaPerDay, id, version, state, hash, from, until } = purpose;
  const facts = {
    purpose: `${id}@${version}`,
    state,
    title: `${title.zh}\n${title.en}`,
    zh: text.zh,
    en: text.en,
    bases: bases.join(', '),
    elements: elements.join('\n'),
    'kept (days)': retentionDays,
    'quota a day': quotaPerDay ?? 'none',
    from,
    until: until ?? '',
    hash,
  };
  print(facts, options);
}

function endCommand(): Command {
  const command = new Command('end')
    .description('end a purpose: registers a last version; from that day on nobody may ask for it')
    .argument('<id>')
    .requiredOption('--on <day>', 'first day on which it counts no longer, YYYY-MM-DD', day)
    .option('--yes', 'do not ask');
  return withChange(command).action(
    runAction(async (id: string, options: RegistryCallOptions & { on: string; yes?: true }) => {
      if (id.includes('@'))
        throw new CommandEnd(EXIT.usage, `${id}: a purpose ends as a whole.\nNext: Name it without a version.`);
      if (!options.dryRun) await confirm(`End purpose ${id} on ${options.on}?`, options.yes);
      const path = `/purposes/${encodeURIComponent(id)}/end`;
      printOne((await callRegistry(options, 'POST', path, { until: options.on })) as unknown as ShownPurpose, options);
    }),
  );
}

function day(text: string): string {
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text)) throw new InvalidArgumentError('Write it like 2027-12-31.');
  return text;
}
