// `accord dictionary diff|release`: what a folder of entries would change against the release in the registry (or another
// folder), whom that touches, and handing it to the registry. A release is in force when the content that holds it was
// approved by two, like all content.
import { Command, InvalidArgumentError } from 'commander';
import { systemClock } from '#core/clock.ts';
import { entryReader } from '#core/configuration/dictionary-parts.ts';
import { type Dictionary, openDictionary } from '#policy/dictionary/dictionary.ts';
import { type DictionaryDiff, diffDictionaries } from '#policy/dictionary/diff.ts';
import type { Touched } from '#policy/dictionary/impact.ts';
import type { AccessRight } from '#schemas/access-right.ts';
import { BindingTable } from '#schemas/binding-table.ts';
import { isJsonObject } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { compile } from '#schemas/validate.ts';
import { listAdmin } from './admin-client.ts';
import { judgeFolder, OWN_DICTIONARY, refuseFailures, UNRELEASED } from './dictionary-folder.ts';
import { outputFormat, print, runAction } from './output.ts';
import type { ShownPurpose } from './purpose.ts';
import { callRegistry, listRegistry, type RegistryCallOptions, withChange, withRegistry } from './registry-call.ts';

interface CompareOptions extends RegistryCallOptions {
  dir?: string;
  admin?: string;
  adminKeyFile?: string;
}

interface Comparison extends DictionaryDiff {
  /** Release compared with; null when there was none. */
  against: string | null;
  /** Who was asked whom the changes touch. */
  asked: { services: boolean; purposes: boolean; rights: boolean };
}

const REGISTRY = 'registry';

export function diffCommand(): Command {
  const command = new Command('diff')
    .description('what the entries would change, whether they may, and whom it touches')
    .argument('[folder]', 'folder of entries; the dictionary of Accord by default', OWN_DICTIONARY)
    .option('--against <folder|registry>', 'what to compare with: a folder, or the release the registry has', REGISTRY);
  return withServer(withRegistry(command)).action(runAction(diff));
}

async function diff(folder: string, options: CompareOptions & { against: string }): Promise<void> {
  const next = judged(folder, UNRELEASED);
  const isRegistry = options.against === REGISTRY;
  const before = isRegistry ? await released(options) : judged(options.against, options.against);
  const asksRegistry = isRegistry || options.registry !== undefined || process.env['ACCORD_REGISTRY'] !== undefined;
  const comparison = await compare(before, next, options, asksRegistry);
  show(comparison, options);
  refuseFailures(comparison.faults);
}

export function releaseCommand(): Command {
  const command = new Command('release')
    .description('check the entries, compare them with the release before, and hand them to the registry')
    .argument('[folder]', 'folder of entries; the dictionary of Accord by default', OWN_DICTIONARY)
    .requiredOption('--release <version>', 'semantic version of the release, 1.1.0', version)
    .option('--released-on <day>', 'its date; by default today (UTC)');
  return withServer(withChange(command)).action(runAction(release));
}

interface ReleaseOptions extends CompareOptions {
  release: string;
  releasedOn?: string;
}

async function release(folder: string, options: ReleaseOptions): Promise<void> {
  const next = judged(folder, options.release);
  const comparison = await compare(await released(options), next, options, true);
  const isTable = outputFormat(options) === 'table';
  if (isTable) show(comparison, options);
  refuseFailures(comparison.faults);
  const releasedOn = options.releasedOn ?? new Date(systemClock.nowMs()).toISOString().slice(0, 10);
  const body = { release: options.release, releasedOn, entries: next.entries };
  const answer = await callRegistry(options, 'POST', '/dictionary', body);
  const facts = { ...(options.dryRun && { dryRun: true }), ...(isJsonObject(answer) && answer) };
  print(isTable ? facts : { ...facts, ...comparison }, options);
}

function withServer(command: Command): Command {
  return command
    .option('--dir <folder>', "a security server's data folder, to ask for its access rights")
    .option('--admin <url>', 'or the admin API of that server')
    .option('--admin-key-file <file>', 'file whose first line is an API key of that server');
}

/** A folder that passes. @throws DICTIONARY_REFUSED */
function judged(folder: string, release: string): Dictionary {
  const { dictionary, failures } = judgeFolder(folder, release);
  refuseFailures(failures);
  return dictionary;
}

const readEntry = entryReader('SCHEMA_MISMATCH');
const readTable = compile(BindingTable, 'SCHEMA_MISMATCH');

/** What the registry has; null when nothing was released yet. */
async function released(options: RegistryCallOptions): Promise<Dictionary | null> {
  const answer = await callRegistry(options, 'GET', '/dictionary');
  const { release = null, entries } = isJsonObject(answer) ? answer : {};
  if (release === null) return null;
  if (typeof release !== 'string' || !Array.isArray(entries)) throw new AccordError('SCHEMA_MISMATCH', '/dictionary');
  return openDictionary(release, entries.map(readEntry));
}

async function compare(
  before: Dictionary | null,
  next: Dictionary,
  options: CompareOptions,
  asksRegistry: boolean,
): Promise<Comparison> {
  const asksServer = options.dir !== undefined || options.admin !== undefined;
  const touched: Touched = {
    tables: asksRegistry ? (await listRegistry(options, '/bindings')).map(readTable) : [],
    purposes: asksRegistry ? await livingPurposes(options) : [],
    rights: asksServer ? await accessRights(options) : [],
  };
  const { changes, impact, lossyMappings, faults } = diffDictionaries(
    before ?? openDictionary(UNRELEASED, []),
    next,
    touched,
  );
  const asked = { services: asksRegistry, purposes: asksRegistry, rights: asksServer };
  return { against: before?.release ?? null, changes, impact, lossyMappings, faults, asked };
}

/** Versions that count, or will; one that only ends a purpose has no day. */
async function livingPurposes(options: RegistryCallOptions): Promise<Touched['purposes']> {
  const registered = (await listRegistry(options, '/purposes')) as unknown as ShownPurpose[];
  return registered
    .filter(({ state }) => state === 'in-force' || state === 'not-begun')
    .filter(({ from, until }) => until === null || from < until)
    .map(({ id, version, elements }) => ({ id: `${id}@${version}`, elements }));
}

async function accessRights({ dir, admin, adminKeyFile }: CompareOptions): Promise<Touched['rights']> {
  const rights = await listAdmin(
    {
      ...(dir !== undefined && { dir }),
      ...(admin !== undefined && { admin }),
      ...(adminKeyFile !== undefined && { apiKeyFile: adminKeyFile }),
    },
    '/access-rights',
  );
  return rights as unknown as Pick<AccessRight, 'id' | 'elements'>[];
}

function show(comparison: Comparison, options: CompareOptions): void {
  if (outputFormat(options) !== 'table') {
    print(comparison, options);
    return;
  }
  const { against, changes, impact, lossyMappings, faults, asked } = comparison;
  const write = (text: string) => process.stdout.write(`${text}\n`);
  write(`Changes against ${against ?? 'nothing: this is the first release'}`);
  const versions = (before: string | null, after: string | null) =>
    [...new Set([before, after])].filter((one) => one !== null).join(' → ');
  print(
    changes.map((one) => ({
      entry: one.entry,
      change: one.breaking ? `${one.change}, breaking` : one.change,
      version: versions(one.versionBefore, one.versionAfter),
      state: versions(one.stateBefore, one.stateAfter),
      why: one.why.join('\n'),
    })),
    options,
  );
  write('Whom they touch');
  const lists = impact.map(({ entry, services, purposes, rights }) => ({
    entry,
    services: services.join('\n'),
    purposes: purposes.join('\n'),
    'access rights': rights.join('\n'),
  }));
  print(lists, options);
  if (!asked.services) write('services and purposes: not asked; name the registry with --registry');
  if (!asked.rights) write('access rights: not asked; name a security server with --dir or --admin');
  if (lossyMappings.length > 0)
    write(`Mappings that became lossy, or ways that were lost\n  ${lossyMappings.join('\n  ')}`);
  if (faults.length > 0) {
    write('Faults');
    print(faults, options, ['entry', 'code', 'detail']);
  }
}

function version(text: string): string {
  if (!/^[1-9][0-9]{0,3}\.[0-9]{1,4}\.[0-9]{1,4}$/.test(text)) throw new InvalidArgumentError('Write it like 1.1.0.');
  return text;
}
