// `accord access grant|list|revoke|explain`: the access rights that a provider grants at its own security server (DESIGN: who may
// ask for what). A change is in force when the command ends.
import { Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '#core/clock.ts';
import type { AccessRight, EndpointRule, R1Defaults } from '#schemas/access-right.ts';
import { METHODS } from '#schemas/context.ts';
import { explainCommand } from './access-explain.ts';
import { type AdminOptions, callAdmin, listAdmin, withAdmin } from './admin-client.ts';
import { collectWords } from './option-values.ts';
import { CommandEnd, EXIT, outputFormat, print, runAction } from './output.ts';

/** What a right without an end says; far behind every date a person writes. */
const NO_END_MS = Number.MAX_SAFE_INTEGER;
const BASES = ['open', 'law', 'consent', 'emergency'] as const;

interface GrantOptions extends AdminOptions {
  client: string;
  service: string;
  endpoint?: EndpointRule[];
  basis: AccessRight['bases'];
  purpose?: string[];
  element?: string[];
  statute?: string;
  casePattern?: string;
  evidence?: AccessRight['evidence'];
  secrecyDays?: number;
  from?: number;
  until?: number;
  quota?: number;
  r1Purpose?: string;
  r1Basis?: R1Defaults['basis'];
  r1Field?: string[];
  retention: string;
  dryRun?: true;
}

/** Shown with the help, because the weaker choice is the shorter one. */
const WHAT_IS_LOST = `With --evidence server the asking department's security server alone says which official asks and for which case:
whoever holds that server can ask in any official's name, and no official can prove that they did not. With
--evidence official it can not: each request needs a token that the department's sign-on made for it.
The basis emergency needs no --statute; two officials of two units sign each emergency.`;

export function accessCommand(): Command {
  const access = new Command('access').description('access rights: who may ask which service for what');
  return access
    .addCommand(grantCommand())
    .addCommand(listCommand())
    .addCommand(revokeCommand())
    .addCommand(explainCommand(collectEndpoint));
}

function grantCommand(): Command {
  const command = new Command('grant')
    .description('let a subsystem of another member, or a group of them, ask a service of this server')
    .requiredOption(
      '--client <id>',
      'who may ask: INSTANCE/CLASS/MEMBER/SUBSYSTEM, local-group:CODE or global-group:INSTANCE/CODE',
    )
    .requiredOption('--service <id>', 'which service: INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE')
    .option(
      '--endpoint <rule>',
      "method and path, 'GET /residents/*'; repeatable; by default every endpoint",
      collectEndpoint,
    )
    .requiredOption('--basis <list>', `legal bases, comma-separated: ${BASES.join(', ')}`, bases)
    .option('--purpose <list>', 'purposes one of which must be named, comma-separated; repeatable', collectWords)
    .option(
      '--element <list>',
      'elements and predicates (id@major) that may be released, comma-separated; repeatable; needed for a bound service',
      collectWords,
    )
    .option('--statute <text>', 'for the basis law: the statute that allows it')
    .option('--case-pattern <form>', 'for the basis law: form of the case number; # is a digit, A a letter')
    .addOption(
      new Option(
        '--evidence <who>',
        'for the basis law: whose word is needed; default official, who signs each request',
      ).choices(['official', 'server']),
    )
    .option('--secrecy-days <n>', 'for the basis law: how many days the citizen may at most not be shown it', days)
    .option('--from <date>', 'first moment, ISO 8601; a day begins at 00:00 UTC', (text) => moment(text, 'start'))
    .option('--until <date>', 'last moment, ISO 8601; a day ends at 24:00 UTC', (text) => moment(text, 'end'))
    .option('--quota <n>', 'requests a day (UTC) of each client', quota)
    .option('--r1-purpose <purpose>', 'calls below /r1 that name nothing ask for this purpose')
    .addOption(
      new Option('--r1-basis <basis>', 'calls below /r1 that name nothing ask on this basis').choices(['open', 'law']),
    )
    .option(
      '--r1-field <list>',
      'calls below /r1 that name nothing ask for these paths, elements or predicates, comma-separated; repeatable',
      collectWords,
    )
    .option('--retention <class>', 'retention class of the records', 'standard')
    .option('--dry-run', 'print the access right, grant nothing');
  return withAdmin(command.addHelpText('after', `\n${WHAT_IS_LOST}\n`)).action(runAction(grant));
}

async function grant(options: GrantOptions): Promise<void> {
  const right = rightOf(options);
  if (options.dryRun) {
    print({ dryRun: true, ...right }, options);
    return;
  }
  print(await callAdmin(options, 'POST', '/access-rights', right), options);
}

function rightOf(options: GrantOptions): Omit<AccessRight, 'id' | 'pins'> {
  const { client, service, basis, statute, casePattern } = options;
  if (basis.includes('law') !== (statute !== undefined)) {
    const next = 'Name the statute with --statute, and the form of its case numbers with --case-pattern.';
    throw new CommandEnd(EXIT.usage, `The basis law and --statute go together.\nNext: ${next}`);
  }
  const { evidence = 'official', secrecyDays = null } = options;
  if (!basis.includes('law') && (options.evidence !== undefined || secrecyDays !== null)) {
    throw new CommandEnd(
      EXIT.usage,
      '--evidence and --secrecy-days are for the basis law.\nNext: Leave them out, or add law to --basis.',
    );
  }
  const notBeforeMs = options.from ?? systemClock.nowMs();
  const notAfterMs = options.until ?? NO_END_MS;
  if (notAfterMs <= notBeforeMs) {
    throw new CommandEnd(EXIT.usage, 'The access right would end before it begins.\nNext: Correct --from and --until.');
  }
  return {
    client,
    service,
    endpoints: options.endpoint ?? [{ method: '*', path: '/**' }],
    bases: basis,
    purposes: options.purpose ?? [],
    elements: options.element ?? null,
    statute: statute ?? null,
    casePattern: casePattern ?? null,
    evidence,
    secrecyDays,
    r1Defaults: defaultsOf(options),
    notBeforeMs,
    notAfterMs,
    quotaPerDay: options.quota ?? null,
    retention: options.retention,
  };
}

/** Null when nothing is said of calls below /r1. */
function defaultsOf({ r1Purpose, r1Basis, r1Field }: GrantOptions): AccessRight['r1Defaults'] {
  if (r1Purpose === undefined && r1Basis === undefined && r1Field === undefined) return null;
  if (r1Basis === undefined) {
    throw new CommandEnd(EXIT.usage, '--r1-purpose and --r1-field need --r1-basis.\nNext: Add --r1-basis open or law.');
  }
  return { purpose: r1Purpose ?? null, basis: r1Basis, fields: r1Field ?? null };
}

function listCommand(): Command {
  const command = new Command('list')
    .description('list the access rights that this server grants')
    .option('--client <id>', 'only those of this subsystem or group')
    .option('--service <id>', 'only those at this service');
  return withAdmin(command).action(runAction(list));
}

async function list(options: AdminOptions & { client?: string; service?: string }): Promise<void> {
  const all = (await listAdmin(options, '/access-rights')) as unknown as AccessRight[];
  const rights = all.filter(
    ({ client, service }) =>
      (options.client === undefined || client === options.client) &&
      (options.service === undefined || service === options.service),
  );
  print(outputFormat(options) === 'table' ? rights.map(brief) : rights, options);
}

function brief(right: AccessRight) {
  const { id, client, service, endpoints, bases, purposes, elements, r1Defaults, notAfterMs, quotaPerDay } = right;
  return {
    id,
    client,
    service,
    endpoints: endpoints.map(({ method, path }) => `${method} ${path}`).join('\n'),
    bases: bases.map((basis) => (basis === 'law' ? lawOf(right) : basis)).join(', '),
    purposes: purposes.join(', '),
    elements: elements?.join('\n') ?? 'whole answer',
    r1: r1Defaults === null ? '' : defaultsInWords(r1Defaults),
    until: dateOf(notAfterMs),
    quota: quotaPerDay,
  };
}

function defaultsInWords({ purpose, basis, fields }: R1Defaults): string {
  return [basis, ...(purpose === null ? [] : [`for ${purpose}`]), ...(fields ?? [])].join('\n');
}

function lawOf({ evidence, secrecyDays }: AccessRight): string {
  const delay = secrecyDays === null ? '' : `, hidden up to ${secrecyDays} days`;
  return `law (${evidence === 'official' ? "the official's token" : "the server's word"}${delay})`;
}

function dateOf(atMs: number): string {
  const date = new Date(atMs);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString();
}

function revokeCommand(): Command {
  const command = new Command('revoke')
    .description('withdraw an access right, at once')
    .argument('<id>', 'as `accord access list` shows it')
    .option('--dry-run', 'show the access right, withdraw nothing');
  return withAdmin(command).action(runAction(revoke));
}

async function revoke(id: string, options: AdminOptions & { dryRun?: true }): Promise<void> {
  if (options.dryRun) {
    const found = (await listAdmin(options, '/access-rights')).find((right) => right['id'] === id);
    if (found === undefined)
      throw new CommandEnd(EXIT.notFound, `There is no access right ${id}.\nNext: See \`accord access list\`.`);
    print({ dryRun: true, ...found }, options);
    return;
  }
  await callAdmin(options, 'DELETE', `/access-rights/${encodeURIComponent(id)}`);
  print({ id, revoked: true }, options);
}

function collectEndpoint(text: string, before: EndpointRule[] = []): EndpointRule[] {
  const [, method = '', path = ''] = /^(\S+)\s+(\S+)$/.exec(text.trim()) ?? [];
  const known = ['*' as const, ...METHODS].find((one) => one === method.toUpperCase());
  if (known === undefined || !/^(?:\/|\*\*$)/.test(path)) {
    throw new InvalidArgumentError(`Write it like 'GET /residents/*'; methods are ${METHODS.join(', ')} or *.`);
  }
  return [...before, { method: known, path }];
}

function bases(text: string): AccessRight['bases'] {
  return [...new Set(text.split(','))].map((word) => {
    const known = BASES.find((basis) => basis === word.trim());
    if (known === undefined) throw new InvalidArgumentError(`One or more of ${BASES.join(', ')}.`);
    return known;
  });
}

function moment(text: string, day: 'start' | 'end'): number {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const isMoment = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})$/.test(text);
  const atMs = isDay || isMoment ? Date.parse(isDay ? `${text}T00:00:00Z` : text) : Number.NaN;
  // Date.parse turns 31 February into March.
  const isReal = !isDay || (!Number.isNaN(atMs) && new Date(atMs).toISOString().startsWith(text));
  if (Number.isNaN(atMs) || !isReal) {
    throw new InvalidArgumentError('Write a day like 2027-12-31 or a moment like 2027-12-31T17:00:00+08:00.');
  }
  return isDay && day === 'end' ? atMs + 86_400_000 - 1 : atMs;
}

function quota(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new InvalidArgumentError('Write a whole number from 1.');
  return Number(text);
}

function days(text: string): number {
  if (!/^[1-9][0-9]{0,3}$/.test(text) || Number(text) > 3_650) {
    throw new InvalidArgumentError('Write a whole number from 1 to 3650.');
  }
  return Number(text);
}
