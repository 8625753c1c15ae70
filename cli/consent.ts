// `accord consent request|show|list|revoke`: how a department asks a citizen for consent, through its own security server,
// at the service of a consent service (docs/consent.md). The answers are that service's; identifiers of persons may come
// from files, because everyone on a machine can read the arguments of all its processes.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import type { ConsentRequest } from '#schemas/consent.ts';
import type { Frequency } from '#schemas/frequency.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#schemas/json.ts';
import { isProblemCode, PROBLEMS } from '#schemas/problems.ts';
import { wholeNumber } from './option-values.ts';
import { CommandEnd, EXIT, outputFormat, print, RemoteProblem, runAction } from './output.ts';
import { confirm } from './passphrase.ts';
import { asSystem, readSubject, type SystemOptions, splitSubject, withSystem } from './system-client.ts';

interface ConsentOptions extends SystemOptions {
  client: string;
  service: string;
}

interface RequestOptions extends ConsentOptions {
  subject: { scheme: string; value: string };
  purpose: string;
  item: ConsentRequest['items'];
  uses?: string;
  frequency?: Frequency;
  validDays: string;
  retentionDays: string;
  reasonZh?: string;
  reasonEn?: string;
  dryRun?: true;
}

export function consentCommand(): Command {
  return new Command('consent')
    .description('ask citizens for consent, and use what they gave')
    .addCommand(requestCommand())
    .addCommand(showCommand())
    .addCommand(listCommand())
    .addCommand(revokeCommand());
}

function asClient(command: Command): Command {
  return withSystem(
    command
      .requiredOption('--client <id>', 'the own subsystem that asks')
      .requiredOption('--service <id>', "the consent service's: INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE"),
  );
}

function requestCommand(): Command {
  const command = new Command('request')
    .description('file a request; prints the link that the citizen opens')
    .requiredOption(
      '--subject <scheme=value>',
      'the citizen; SCHEME=@FILE takes the identifier from a file',
      splitSubject,
    )
    .requiredOption('--purpose <id>', 'a purpose that `accord purpose list` shows')
    .requiredOption('--item <service=refs>', 'what from whom: SERVICE=ELEMENT,PREDICATE…; repeatable', collectItem)
    .option('--uses <number>', 'lookups at each service; without it as many as are needed')
    .option('--frequency <uses/days>', 'and at most so many within any so many days: 3/30', readFrequency)
    .option('--valid-days <number>', 'how long it lasts', '30')
    .option('--retention-days <number>', 'how long the answers are kept', '0')
    .option('--reason-zh <text>', 'why now, in Chinese; goes with --reason-en')
    .option('--reason-en <text>', 'why now, in English')
    .option('--dry-run', 'print what would be asked, and stop');
  return asClient(command).action(
    runAction(async (options: RequestOptions) => {
      const request = requestOf(options);
      if (options.dryRun) print({ dryRun: true, client: options.client, service: options.service, request }, options);
      else print(await ask(options, 'POST', '/requests', request as unknown as JsonObject), options);
    }),
  );
}

function requestOf({ subject, purpose, item, reasonZh, reasonEn, ...options }: RequestOptions): ConsentRequest {
  if ((reasonZh === undefined) !== (reasonEn === undefined)) {
    throw new CommandEnd(
      EXIT.usage,
      'The reason is needed in both languages.\nNext: Give --reason-zh and --reason-en.',
    );
  }
  return {
    v: 1,
    subject: readSubject(subject),
    purpose,
    items: item,
    uses: options.uses === undefined ? null : wholeNumber(options.uses, '--uses'),
    ...(options.frequency !== undefined && { frequency: options.frequency }),
    validDays: wholeNumber(options.validDays, '--valid-days'),
    retentionDays: options.retentionDays === '0' ? 0 : wholeNumber(options.retentionDays, '--retention-days'),
    reason: reasonZh === undefined || reasonEn === undefined ? null : { zh: reasonZh, en: reasonEn },
  };
}

function readFrequency(text: string): Frequency {
  const [, uses, days] = /^(\d{1,6})\/(\d{1,3})$/.exec(text) ?? [];
  if (uses === undefined || days === undefined) {
    throw new CommandEnd(
      EXIT.usage,
      `--frequency ${text} is not USES/DAYS.\nNext: Write 3/30 for three within any 30 days.`,
    );
  }
  return { uses: wholeNumber(uses, '--frequency'), days: wholeNumber(days, '--frequency') };
}

function collectItem(text: string, before: ConsentRequest['items'] = []): ConsentRequest['items'] {
  const at = text.indexOf('=');
  if (at < 1) throw new CommandEnd(EXIT.usage, `--item ${text} is not SERVICE=ELEMENT,ELEMENT.`);
  const elements = text.slice(at + 1).split(',');
  return [...before, { service: text.slice(0, at), elements: elements.map((ref) => ref.trim()) }];
}

function showCommand(): Command {
  const command = new Command('show')
    .description('what became of a request; while it is given, with the receipts')
    .argument('<id>', 'as `accord consent request` printed it')
    .option('--receipts <folder>', 'write each receipt into a file, for `accord call --receipt @FILE`');
  return asClient(command).action(
    runAction(async (id: string, options: ConsentOptions & { receipts?: string }) => {
      const answer = await ask(options, 'GET', `/requests/${encodeURIComponent(id)}`);
      const files = options.receipts === undefined ? undefined : writeReceipts(options.receipts, answer);
      if (outputFormat(options) !== 'table') return print(files ? { ...answer, files } : answer, options);
      const { receipts, purpose, services, frequency, ...rest } = answer;
      const given = Array.isArray(services) ? services.filter(isJsonObject).map(givenOf).join('\n') : '';
      const count = Array.isArray(receipts) ? receipts.length : 0;
      const purposeId = isJsonObject(purpose) ? (purpose['id'] ?? null) : null;
      const often = isJsonObject(frequency) ? `${frequency['uses']}/${frequency['days']}` : null;
      print(
        { ...dated(rest), frequency: often, purpose: purposeId, given, receipts: files?.join('\n') ?? count },
        options,
      );
    }),
  );
}

function givenOf({ service, asked, given }: JsonObject): string {
  const [of, some] = [asked, given].map((list) => (Array.isArray(list) ? list.length : 0));
  return `${service}: ${some} of ${of}${Array.isArray(given) && given.length > 0 ? ` (${given.join(', ')})` : ''}`;
}

/** One line in each, mode 0600: who holds one may ask with it, if it is the client. */
function writeReceipts(folder: string, { receipts }: JsonObject): string[] {
  if (!Array.isArray(receipts)) return [];
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return receipts.filter(isJsonObject).map(({ service, jws }) => {
    const file = join(folder, `${String(service).replace(/[^A-Za-z0-9._-]/g, '-')}.receipt`);
    writeFileSync(file, `${String(jws)}\n`, { mode: 0o600 });
    return file;
  });
}

function listCommand(): Command {
  const command = new Command('list').description('the own requests, newest first');
  return asClient(command).action(
    runAction(async (options: ConsentOptions) => {
      const { requests } = await ask(options, 'GET', '/requests');
      const rows = Array.isArray(requests) ? requests.filter(isJsonObject) : [];
      const columns = ['id', 'state', 'purpose', 'requestedAtMs', 'validUntilMs'];
      print(outputFormat(options) === 'table' ? rows.map(dated) : rows, options, columns);
    }),
  );
}

function revokeCommand(): Command {
  const command = new Command('revoke')
    .description('give a consent back that is no longer needed; only the citizen can give it again')
    .argument('<id>')
    .option('--yes', 'do not ask');
  return asClient(command).action(
    runAction(async (id: string, options: ConsentOptions & { yes?: true }) => {
      await confirm(`Give back ${id}?`, options.yes);
      const { state } = await ask(options, 'POST', `/requests/${encodeURIComponent(id)}/revoke`, {});
      print({ id, state: state ?? null }, options);
    }),
  );
}

/** One exchange with the consent service. @throws RemoteProblem when it refuses, and what `asSystem` throws */
async function ask(options: ConsentOptions, method: string, path: string, body?: JsonObject): Promise<JsonObject> {
  const { service } = options;
  const answer = await asSystem(options, (accord) =>
    accord.lookup({ service, method, path, basis: 'open', ...(body !== undefined && { body }) }),
  );
  const told = isJsonObject(answer.body) ? answer.body : {};
  if (answer.status < 400) return told;
  const { code, title, detail } = told;
  const known = typeof code === 'string' && isProblemCode(code) ? PROBLEMS[code] : undefined;
  throw new RemoteProblem({
    code: String(code ?? 'INTERNAL'),
    title: String(title ?? known?.title ?? ''),
    status: answer.status,
    next: known?.next ?? 'Tell the operator of the consent service.',
    ...(typeof detail === 'string' && { detail }),
  });
}

/** Times as people read them. */
function dated(row: JsonObject): Record<string, JsonValue> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      name.endsWith('AtMs') || name.endsWith('UntilMs')
        ? typeof value === 'number'
          ? new Date(value).toISOString()
          : ''
        : value,
    ]),
  );
}
