// `accord retention …`: how long records are kept at one security server, and their destruction by two persons
// (docs/evidence.md, Retention and erasure). Each person shows an API key of their own: --api-key-file, or ACCORD_API_KEY.
// `verify` compares the certificates in the log with the key store on disk, with or without a server running.
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { openKey } from '#certs/key-file.ts';
import { storageKeyOf } from '#certs/storage-key.ts';
import { readKeyFile } from '#core/key-store.ts';
import { originOfFolder } from '#core/log/origin.ts';
import { MS_PER_DAY } from '#core/log/record-keys.ts';
import { auditErasure } from '#core/retention/undestroyed.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#schemas/json.ts';
import { AccordError, PROBLEMS } from '#schemas/problems.ts';
import { FILES } from '#security-server/data-folder.ts';
import { LOG_PLACES } from '#security-server/log-origin.ts';
import { type AdminOptions, callAdmin, listAdmin, withAdmin } from './admin-client.ts';
import { collectWords } from './option-values.ts';
import { CommandEnd, EXIT, type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';
import {
  confirm,
  PASSPHRASE_VARIABLE,
  type PassphraseOptions,
  passphraseOption,
  readPassphrase,
} from './passphrase.ts';
import { holdCommand } from './retention-hold.ts';

interface ClassOptions extends AdminOptions {
  days: number;
  title: string;
  legalBasis: string;
  automatic?: true;
  dryRun?: true;
}

interface RequestOptions extends AdminOptions {
  class?: string;
  through?: number;
  exchange?: string[];
  peer?: string;
  legalBasis?: string;
  reason: string;
  dryRun?: true;
}

export function retentionCommand(): Command {
  const retention = new Command('retention')
    .description('how long records are kept, their destruction by two persons, holds')
    .addCommand(classCommand())
    .addCommand(ruleCommand());
  withAdmin(retention.command('classes').description('classes with their longest time, and changes that wait')).action(
    runAction(classes),
  );
  withAdmin(retention.command('rules').description('classes of the records of own requests')).action(
    runAction(async (options: AdminOptions) => print(await listAdmin(options, '/retention/rules'), options)),
  );
  withAdmin(
    retention.command('plan').description('what is due for destruction and what is held; changes nothing'),
  ).action(runAction(plan));
  const request = retention
    .command('request')
    .description('ask for a destruction: what is due, or single exchanges by order of a court')
    .option('--class <name>', 'only what is due of this class')
    .option('--through <date>', 'only up to this day (UTC)', dayOf)
    .option('--exchange <list>', 'single exchanges instead, whatever is due, comma-separated; repeatable', collectWords)
    .option('--peer <id>', 'with --exchange: only those with this security server')
    .option('--legal-basis <text>', 'law or order; by default that of the class')
    .requiredOption('--reason <text>', 'why; it stays in the log, so no personal data')
    .option('--dry-run', 'print the request, and stop');
  withAdmin(request).action(runAction(ask));
  const approve = retention
    .command('approve')
    .description('destroy what somebody else asked for; it cannot be taken back')
    .argument('<id>', 'as `accord retention requests` shows it')
    .option('--yes', 'do not ask');
  withAdmin(approve).action(runAction(approveRequest));
  withAdmin(retention.command('withdraw').description('take back a request').argument('<id>', 'of the request')).action(
    runAction(async (id: string, options: AdminOptions) =>
      print(brief(object(await callAdmin(options, 'DELETE', destructionPath(id)))), options),
    ),
  );
  withAdmin(retention.command('requests').description('requests for destruction, and what became of them')).action(
    runAction(async (options: AdminOptions) => {
      const items = await listAdmin(options, '/retention/destructions');
      print(outputFormat(options) === 'table' ? items.map(brief) : items, options);
    }),
  );
  withAdmin(
    retention.command('show').description('one destruction with its certificate').argument('<id>', 'of the request'),
  ).action(
    runAction(async (id: string, options: AdminOptions) =>
      print(await callAdmin(options, 'GET', destructionPath(id)), options),
    ),
  );
  const verify = retention
    .command('verify')
    .description('look for keys that were certified as destroyed and still open something; also while the server runs')
    .requiredOption('--dir <folder>', "the server's data folder")
    .addOption(passphraseOption(PASSPHRASE_VARIABLE));
  withOutput(verify).action(runAction(verifyErasure));
  return retention.addCommand(holdCommand());
}

function classCommand(): Command {
  const command = new Command('class').description('retention classes: asked for by one person, approved by another');
  const set = command
    .command('set')
    .description('ask for a class, or for a change of one')
    .argument('<name>', 'as access rights name it')
    .requiredOption('--days <n>', 'the longest time its records are kept', days)
    .requiredOption('--title <text>', 'what people call it')
    .requiredOption('--legal-basis <text>', 'the law that says so')
    .option('--automatic', 'destroy what is due without a request each time')
    .option('--dry-run', 'print the class, and stop');
  withAdmin(set).action(
    runAction(async (name: string, options: ClassOptions) => {
      const { title, legalBasis, automatic = false } = options;
      const wanted = { name, title, days: options.days, legalBasis, automatic };
      if (options.dryRun) return print({ dryRun: true, ...wanted }, options);
      print(await callAdmin(options, 'PUT', '/retention/classes', wanted), options);
      process.stderr.write(`Next: A second person runs \`accord retention class approve ${name}\`.\n`);
    }),
  );
  const byName = (verb: string, description: string) =>
    withAdmin(command.command(verb).description(description).argument('<name>', 'of the class'));
  byName('approve', 'look at what waits, and approve it as the second person')
    .option('--yes', 'do not ask')
    .action(runAction(approveClass));
  byName('withdraw', 'take back a change that waits').action(
    runAction(async (name: string, options: AdminOptions) => {
      await callAdmin(options, 'DELETE', `${classPath(name)}/change`);
      print({ name, withdrawn: true }, options);
    }),
  );
  return command;
}

/** Exactly what was shown is approved: what somebody asks for meanwhile is not. */
async function approveClass(name: string, options: AdminOptions & { yes?: true }): Promise<void> {
  const { changes } = object(await callAdmin(options, 'GET', '/retention/classes'));
  const waiting = (Array.isArray(changes) ? changes.filter(isJsonObject) : []).map(({ class: wanted }) =>
    object(wanted),
  );
  const wanted = waiting.find((one) => one['name'] === name);
  if (wanted === undefined) throw new AccordError('RETENTION_CHANGE_UNKNOWN', name);
  process.stderr.write(`${linesOf(wanted)}\n`);
  await confirm('Put this class in force?', options.yes);
  print(await callAdmin(options, 'POST', `${classPath(name)}/approve`, wanted), options);
}

function linesOf(shown: object): string {
  return Object.entries(shown)
    .map(([name, value]) => `${name.padEnd(12)} ${String(value)}`)
    .join('\n');
}

function ruleCommand(): Command {
  const command = new Command('rule').description('classes of the records of own requests, at the asking side');
  const one = (verb: string, description: string) =>
    withAdmin(command.command(verb).description(description))
      .requiredOption('--client <id>', 'the own subsystem that asks')
      .option('--service <id>', 'only requests to this service; by default to every service');
  const put = async (options: AdminOptions & { client: string; service?: string; class?: string }) => {
    const { client, service = null } = options;
    const rule = { client, service, retention: options.class ?? null };
    print(await callAdmin(options, 'PUT', '/retention/rules', rule), options);
  };
  one('set', 'give them a class').requiredOption('--class <name>', 'the class').action(runAction(put));
  one('remove', 'back to the default').action(runAction(put));
  return command;
}

async function classes(options: AdminOptions): Promise<void> {
  const answer = object(await callAdmin(options, 'GET', '/retention/classes'));
  if (outputFormat(options) !== 'table') return print(answer, options);
  const { items, changes } = answer;
  const rows = (value: JsonValue | undefined) => (Array.isArray(value) ? value.filter(isJsonObject) : []);
  const waiting = rows(changes).map(({ class: wanted, requested }) => ({
    ...object(wanted),
    state: `waits: asked for by ${object(requested)['name']}`,
  }));
  print([...rows(items).map((one) => ({ ...one, state: 'in force' })), ...waiting], options);
}

async function plan(options: AdminOptions): Promise<void> {
  const answer = object(await callAdmin(options, 'GET', '/retention/plan'));
  if (outputFormat(options) !== 'table') return print(answer, options);
  const rows = ['due', 'held', 'undefined'].flatMap((state) => {
    const listed = answer[state];
    return (Array.isArray(listed) ? listed.filter(isJsonObject) : []).map((row) => ({
      what: state === 'undefined' ? 'class not defined' : state,
      class: row['retention'],
      'first day': dateOf(row['firstDay']),
      'last day': dateOf(row['lastDay']),
      keys: row['keys'],
      'overdue days': row['overdueDays'] ?? null,
      'legal basis': row['legalBasis'] ?? null,
      holds: row['holds'] ?? null,
    }));
  });
  print(rows, options);
  const listed = (name: string) => (Array.isArray(answer[name]) ? answer[name] : []);
  for (const one of listed('kept').filter(isJsonObject)) {
    process.stderr.write(`Hold ${one['hold']} keeps ${one['records']} records.\n`);
  }
  for (const why of listed('blocked')) process.stderr.write(`Nothing can be destroyed: ${String(why)}.\n`);
}

async function ask(options: RequestOptions): Promise<void> {
  const { exchange = null, through = null, peer = null, legalBasis = null, reason } = options;
  if (exchange !== null && (options.class !== undefined || through !== null)) {
    throw new CommandEnd(EXIT.usage, '--exchange stands for itself.\nNext: Leave out --class and --through.');
  }
  if (exchange !== null && legalBasis === null) {
    throw new CommandEnd(EXIT.usage, 'Single exchanges need --legal-basis.\nNext: Name the order of the court.');
  }
  const wanted = {
    retention: options.class ?? null,
    throughDay: through,
    exchanges: exchange,
    peer,
    legalBasis,
    reason,
  };
  if (options.dryRun) return print({ dryRun: true, ...wanted }, options);
  const asked = object(await callAdmin(options, 'POST', '/retention/destructions', wanted));
  print(outputFormat(options) === 'table' ? brief(asked) : asked, options);
  process.stderr.write(`Next: A second person runs \`accord retention approve ${asked['id']}\`.\n`);
}

async function approveRequest(id: string, options: AdminOptions & { yes?: true }): Promise<void> {
  const asked = object(await callAdmin(options, 'GET', destructionPath(id)));
  process.stderr.write(`${linesOf(brief(asked))}\n`);
  await confirm('Destroy these records for ever?', options.yes);
  const done = object(await callAdmin(options, 'POST', `${destructionPath(id)}/approve`));
  print(outputFormat(options) === 'table' ? brief(done) : done, options);
}

async function verifyErasure(options: OutputOptions & PassphraseOptions & { dir: string }): Promise<void> {
  const folder = join(options.dir, LOG_PLACES.log);
  const origin = originOfFolder(folder, join(options.dir, LOG_PLACES.checkpointFile));
  if (origin === null) throw new AccordError('LOG_MISSING', folder);
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the keys: ' });
  const { privateKey } = await openKey(await readKeyFile(join(options.dir, FILES.keys), 'storage'), passphrase);
  const keyFolder = join(options.dir, LOG_PLACES.recordKeys);
  const audit = await auditErasure({ folder, origin, keyFolder, storageKey: storageKeyOf(privateKey) });
  print(audit, options);
  if (audit.code === null) return;
  const { title, next } = PROBLEMS[audit.code];
  const place = `entry ${audit.seq} of ${audit.origin}, ${audit.detail}`;
  throw new CommandEnd(EXIT.verificationFailed, `${audit.code}: ${title} (${place})\nNext: ${next}`);
}

function brief({ id, state, requested, approved, legalBasis, reason, days, exchanges, records }: JsonObject) {
  const rows = (Array.isArray(days) ? days : []).filter(isJsonObject);
  const name = (person: JsonValue | undefined) => (isJsonObject(person) ? (person['name'] ?? null) : null);
  return {
    id,
    state,
    what: [
      ...rows.map(
        (row) => `${row['retention']} ${dateOf(row['firstDay'])} to ${dateOf(row['lastDay'])}: ${row['keys']} keys`,
      ),
      ...(Array.isArray(exchanges) && exchanges.length > 0 ? [`exchanges ${exchanges.join(', ')}`] : []),
      ...(records === 0 ? [] : [`${records} single records`]),
    ].join('\n'),
    'legal basis': legalBasis,
    reason,
    requested: name(requested),
    approved: name(approved),
  };
}

function destructionPath(id: string): string {
  return `/retention/destructions/${encodeURIComponent(id)}`;
}

function classPath(name: string): string {
  return `/retention/classes/${encodeURIComponent(name)}`;
}

function object(value: JsonValue | undefined): JsonObject {
  if (value === undefined || !isJsonObject(value)) throw new AccordError('SCHEMA_MISMATCH', 'an object is expected');
  return value;
}

function dateOf(day: JsonValue | undefined): string | null {
  return typeof day === 'number' ? new Date(day * MS_PER_DAY).toISOString().slice(0, 10) : null;
}

/** Days since the epoch. */
function dayOf(text: string): number {
  const atMs = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(atMs)) throw new InvalidArgumentError('Write a day like 2026-11-23.');
  return atMs / MS_PER_DAY;
}

function days(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('Write a number of days.');
  return Number(text);
}
