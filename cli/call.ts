// `accord call SERVICE [PATH]`: one lookup through the own security server, as a department's backend makes it,
// `accord call --settle ID` for one whose outcome stayed unknown, `--effective` to learn what would be released without
// looking anything up, and `--sign-as` to have an official sign it. The answer's body goes to standard output as it came, everything about it to standard error, so that
// it can be piped. What comes back is the other department's.
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Accord, Lookup, LookupAnswer } from '#adapters/client.ts';
import type { EffectiveAnswer } from '#adapters/client-dictionary.ts';
import { type JsonValue, parseJson } from '#schemas/json.ts';
import { isProblemCode, PROBLEMS } from '#schemas/problems.ts';
import { readSecretFile } from './argument-secrets.ts';
import { inNameOf, withToken } from './call-signed.ts';
import { collectWords } from './option-values.ts';
import { CommandEnd, EXIT, outputFormat, print, runAction } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption } from './passphrase.ts';
import {
  asSystem,
  exitOf,
  readSubject,
  readValue,
  type SystemOptions,
  splitSubject,
  withSystem,
} from './system-client.ts';

interface CallOptions extends SystemOptions, PassphraseOptions {
  method?: string;
  query?: [string, string][];
  header?: [string, string][];
  data?: string;
  contentType?: string;
  field?: string[];
  element?: string[];
  subject?: { scheme: string; value: string };
  receipt?: string;
  partial?: true;
  asOf?: string;
  purpose?: string;
  basis?: (typeof BASES)[number];
  userId?: string;
  issue?: string;
  evidence?: string[];
  signAs?: string;
  hiddenUntil?: string;
  effective?: true;
  settle?: string;
  proof?: true;
  dryRun?: true;
}

const BASES = ['open', 'law', 'consent', 'emergency'] as const;
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'];

export function callCommand(): Command {
  const command = new Command('call')
    .description('ask a service of another department through the own security server')
    .argument('[service]', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE')
    .argument('[path]', 'path behind the service, percent-encoded')
    .option('--client <id>', 'the own subsystem that asks, INSTANCE/CLASS/MEMBER/SUBSYSTEM')
    .addOption(new Option('--method <method>', 'default GET, with --data POST').choices(METHODS))
    .option('--query <name=value>', 'query parameter, not yet encoded; repeatable', collectQuery)
    .option('--header <name:value>', 'header; NAME:@FILE takes the value from a file; repeatable', collectHeader)
    .option('--data <json>', 'body: JSON, or @FILE for the bytes of a file, @- for standard input')
    .option('--content-type <type>', 'media type of the body; for a file whose name does not end in .json')
    .option(
      '--field <list>',
      'paths, elements or predicates of a bound service, comma-separated; repeatable',
      collectWords,
    )
    .option(
      '--element <list>',
      'elements or predicates; without SERVICE the authority is found; repeatable',
      collectWords,
    )
    .option('--subject <scheme=value>', 'whom it is about; SCHEME=@FILE takes the value from a file', splitSubject)
    .option('--receipt <receipt>', 'on the basis of consent: the receipt, or @FILE whose first line it is')
    .option('--partial', 'leave out what is not permitted, and name it')
    .option('--as-of <day>', 'the day for which it is asked, YYYY-MM-DD')
    .option('--purpose <purpose>', 'purpose that the access right names')
    .addOption(
      new Option('--basis <basis>', 'legal basis; default open, with a receipt consent, with --sign-as law').choices(
        BASES,
      ),
    )
    .option('--user-id <id>', 'the official who asks')
    .option('--issue <case>', 'case number')
    .option('--evidence <file...>', "file with the official's token; for an emergency the files of both officials")
    .option('--sign-as <file>', 'JSON file of an official, who signs this lookup: id, name, unit, key')
    .addOption(passphraseOption(PASSPHRASE_VARIABLE))
    .option('--hidden-until <day>', 'the day from which the citizen is shown it, YYYY-MM-DD, where the law delays it')
    .option('--effective', 'say what would be released, and look nothing up')
    .option('--settle <id>', 'find out what became of the lookup with this id, instead of asking')
    .option('--proof', 'also print what proves the exchange')
    .option('--dry-run', 'print what would be asked, and stop');
  return withSystem(command).action(runAction(call));
}

async function call(service: string | undefined, path: string | undefined, options: CallOptions): Promise<void> {
  const read = options.settle === undefined ? readLookup(service, path, options) : undefined;
  const signed = read && options.signAs !== undefined ? inNameOf(options.signAs, read) : undefined;
  const lookup = signed?.lookup ?? read;
  if (service !== undefined && options.settle !== undefined) {
    throw usage('--settle takes no service', 'Settle with `accord call --settle ID`.');
  }
  if (options.effective && options.settle !== undefined) {
    throw usage('--effective looks nothing up, so there is nothing to settle', 'Give one of the two.');
  }
  if (options.dryRun) {
    print(
      {
        dryRun: true,
        ...(options.effective && { effective: true }),
        server: options.server,
        client: options.client,
        ...(lookup ?? { settle: options.settle }),
      },
      options,
    );
    return;
  }
  await asSystem(options, async (accord) => {
    if (lookup === undefined) return settle(accord, options.settle ?? '', options);
    const asked = signed === undefined ? lookup : await withToken(accord, options.client ?? '', signed, options);
    if (options.effective) showEffective(await accord.effectiveAccess(asked), options);
    else show(await accord.lookup(asked), options);
  });
}

function readLookup(service: string | undefined, path: string | undefined, options: CallOptions): Lookup {
  const { client, purpose, userId, issue, query = [], header = [], field, element, subject, asOf } = options;
  const receipt = options.receipt === undefined ? undefined : readValue(options.receipt);
  const isFound = receipt !== undefined || (element !== undefined && subject !== undefined);
  if (service === undefined && !isFound)
    throw usage('Which service?', 'Write `accord call SERVICE [PATH] --client ID`, or give --element and --subject.');
  if (client === undefined) throw usage('Who asks?', 'Name the own subsystem with --client.');
  const body = options.data === undefined ? undefined : readData(options.data);
  const contentType = options.contentType;
  const pairs = query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  const names = header.map(([name]) => name.toLowerCase());
  if (new Set(names).size !== names.length) throw usage('A header stands twice', 'Give each --header once.');
  return {
    ...(service !== undefined && { service }),
    ...(path !== undefined && { path }),
    ...(options.method !== undefined && { method: options.method }),
    ...(field !== undefined && { fields: field }),
    ...(element !== undefined && { elements: element }),
    ...(subject !== undefined && { subject: readSubject(subject) }),
    ...(receipt !== undefined && { receipt }),
    ...(options.partial && { partial: true }),
    ...(asOf !== undefined && { asOf }),
    ...(options.evidence !== undefined && { evidence: options.evidence.map((file) => readSecretFile(file)) }),
    ...(options.hiddenUntil !== undefined && { hiddenUntil: options.hiddenUntil }),
    ...(options.basis !== undefined && { basis: options.basis }),
    ...(pairs.length > 0 && { query: pairs.join('&') }),
    ...(header.length > 0 && { headers: Object.fromEntries(header.map(([name, value]) => [name, readValue(value)])) }),
    ...(body !== undefined && { body }),
    ...(contentType !== undefined && { contentType }),
    ...(purpose !== undefined && { purpose }),
    ...(userId !== undefined && { userId }),
    ...(issue !== undefined && { issue }),
  };
}

/** SCHEME=VALUE; a value that other people on this machine should not see stands in a file. */

/** JSON in the argument or in a file NAME.json; the bytes of any other file. @throws JSON_INVALID and the like */
function readData(data: string): JsonValue | Uint8Array {
  if (!data.startsWith('@')) return parseJson(Buffer.from(data));
  const bytes = readFileSync(data === '@-' ? 0 : data.slice(1));
  return data.endsWith('.json') ? parseJson(bytes) : bytes;
}

/** Prints an answer. */
function show(answer: LookupAnswer, options: CallOptions): void {
  if (outputFormat(options) !== 'table') {
    print(answer, options);
  } else {
    writeBody(answer);
    if (answer.release !== undefined) writeRelease(answer.release);
    if (options.proof) print({ id: answer.id, status: answer.status, ...answer.evidence }, options);
  }
  if (answer.status >= 400) process.stderr.write(`The other department answered with status ${answer.status}.\n`);
}

/** Prints what would be released, line by line. @throws CommandEnd for what would be refused */
function showEffective(effective: EffectiveAnswer, options: CallOptions): void {
  const { id, allowed, code, detail, release, evidence } = effective;
  if (outputFormat(options) !== 'table') {
    print(effective, options);
  } else {
    const row = (released: string) => (one: { path: string | null; element: string }) => ({ ...one, released });
    const rows = [...(release?.asked ?? []).map(row('yes')), ...(release?.omitted ?? []).map(row('left out'))];
    if (allowed) print(release === null ? { released: 'the whole answer' } : rows, options);
    if (options.proof) print({ id, evidence }, options);
  }
  if (!allowed) throw new CommandEnd(EXIT.exchangeRefused, explained(code, detail));
}

/** What the provider's server says about the answer: predicates, what is doubted or stale, what was left out. */
function writeRelease({ predicates, elements, omitted }: NonNullable<LookupAnswer['release']>): void {
  for (const { predicate, result } of predicates) process.stderr.write(`${predicate}: ${result}\n`);
  for (const { path, element, state, stale, asOf } of elements) {
    if (state !== 'present') process.stderr.write(`${path} (${element}): ${state}\n`);
    else if (stale) process.stderr.write(`${path} (${element}): stale, as of ${asOf}\n`);
  }
  for (const { path, element } of omitted) process.stderr.write(`${path ?? element}: not permitted, left out\n`);
}

/** JSON for people to read; anything else as the bytes it is. */
function writeBody({ body, bodyEncoding }: LookupAnswer): void {
  if (bodyEncoding === 'base64') process.stdout.write(Buffer.from(String(body), 'base64'));
  else if (body !== null) process.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
}

async function settle(accord: Accord, id: string, options: CallOptions): Promise<void> {
  const settled = await accord.settle(id);
  const { state, code, answer } = settled;
  const isTable = outputFormat(options) === 'table';
  if (!isTable) print(settled, options);
  if (state === 'answered' && answer !== undefined) {
    if (isTable) {
      process.stderr.write(`${id}: ${answer.outcome}\n`);
      writeBody(answer);
      if (options.proof) print({ id, status: answer.status, ...answer.evidence }, options);
    }
    if (answer.outcome !== 'ok') throw new CommandEnd(exitOf(answer.outcome), explained(answer.code ?? code));
    return;
  }
  if (isTable) print({ id, state, code }, options);
  if (state === 'void') throw new CommandEnd(EXIT.precondition, explained('OUTCOME_VOID'));
  if (state === 'received') {
    throw new CommandEnd(
      EXIT.failed,
      `${id}: the other department has the request, and no answer to it.\nNext: Ask its operator; do not send the request again before you know.`,
    );
  }
  if (state === 'answered') {
    throw new CommandEnd(
      EXIT.failed,
      `${id}: it was answered, but the answer was erased here.\nNext: Send a new request.`,
    );
  }
  throw new CommandEnd(
    EXIT.peerUnavailable,
    `${code}: the other department could not be asked.\nNext: Settle again later.`,
  );
}

function explained(code: string, detail = ''): string {
  const told = detail === '' ? '' : ` (${detail})`;
  if (!isProblemCode(code)) return `${code}${told}`;
  const { title, next } = PROBLEMS[code];
  return `${code}: ${title}${told}\nNext: ${next}`;
}

function collectQuery(text: string, before: [string, string][] = []): [string, string][] {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Write it as name=value.');
  return [...before, [text.slice(0, at), text.slice(at + 1)]];
}

function collectHeader(text: string, before: [string, string][] = []): [string, string][] {
  const at = text.indexOf(':');
  if (at < 1) throw new InvalidArgumentError('Write it as name:value.');
  const value = text.slice(at + 1).trim();
  return [...before, [text.slice(0, at), value]];
}

function usage(what: string, next: string): CommandEnd {
  return new CommandEnd(EXIT.usage, `${what}.\nNext: ${next}`.replace('?.', '?'));
}
