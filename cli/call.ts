// `accord call SERVICE [PATH]`: one lookup through the own security server, as a department's backend makes it, and
// `accord call --settle ID` for one whose outcome stayed unknown. The answer's body goes to standard output as it came,
// everything about it to standard error, so that it can be piped. What comes back is the other department's.
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Accord, AccordClientError, type Lookup, type LookupAnswer, openAccord } from '#adapters/client.ts';
import { type JsonValue, parseJson } from '#schemas/json.ts';
import { isProblemCode, PROBLEMS } from '#schemas/problems.ts';
import { readSecretFile } from './argument-secrets.ts';
import {
  CommandEnd,
  EXIT,
  type OutputOptions,
  outputFormat,
  print,
  RemoteProblem,
  runAction,
  withOutput,
} from './output.ts';

interface CallOptions extends OutputOptions {
  server: string;
  client?: string;
  method?: string;
  query?: [string, string][];
  header?: [string, string][];
  data?: string;
  contentType?: string;
  purpose?: string;
  basis: 'open' | 'law';
  userId?: string;
  issue?: string;
  settle?: string;
  evidence?: true;
  cert?: string;
  key?: string;
  ca?: string;
  dryRun?: true;
}

const DEFAULT_SERVER = 'http://127.0.0.1:8080';
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'];

export function callCommand(): Command {
  const command = new Command('call')
    .description('ask a service of another department through the own security server')
    .argument('[service]', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE')
    .argument('[path]', 'path behind the service, percent-encoded', '')
    .option('--client <id>', 'the own subsystem that asks, INSTANCE/CLASS/MEMBER/SUBSYSTEM')
    .addOption(new Option('--method <method>', 'default GET, with --data POST').choices(METHODS))
    .option('--query <name=value>', 'query parameter, not yet encoded; repeatable', collectQuery)
    .option('--header <name:value>', 'header; NAME:@FILE takes the value from a file; repeatable', collectHeader)
    .option('--data <json>', 'body: JSON, or @FILE for the bytes of a file, @- for standard input')
    .option('--content-type <type>', 'media type of the body; for a file whose name does not end in .json')
    .option('--purpose <purpose>', 'purpose that the access right names')
    .addOption(new Option('--basis <basis>', 'legal basis').choices(['open', 'law']).default('open'))
    .option('--user-id <id>', 'the official who asks')
    .option('--issue <case>', 'case number')
    .option('--settle <id>', 'find out what became of the lookup with this id, instead of asking')
    .option('--evidence', 'also print what proves the exchange')
    .option('--dry-run', 'print what would be asked, and stop')
    .addOption(
      new Option('--server <url>', "security server's address for systems")
        .env('ACCORD_SERVER')
        .default(DEFAULT_SERVER),
    )
    .option('--cert <file>', 'own client certificate, PEM, for an https address')
    .option('--key <file>', 'its private key, PEM, mode 0600')
    .option('--ca <file>', "authority of the security server's certificate, PEM");
  return withOutput(command).action(runAction(call));
}

async function call(service: string | undefined, path: string, options: CallOptions): Promise<void> {
  const lookup = options.settle === undefined ? readLookup(service, path, options) : undefined;
  if (service !== undefined && options.settle !== undefined) {
    throw usage('--settle takes no service', 'Settle with `accord call --settle ID`.');
  }
  if (options.dryRun) {
    print(
      { dryRun: true, server: options.server, client: options.client, ...(lookup ?? { settle: options.settle }) },
      options,
    );
    return;
  }
  const accord = open(options);
  try {
    if (lookup !== undefined) show(await accord.lookup(lookup), options);
    else await settle(accord, options.settle ?? '', options);
  } catch (error) {
    if (error instanceof AccordClientError) throw told(error, options);
    throw error;
  } finally {
    await accord.close();
  }
}

function readLookup(service: string | undefined, path: string, options: CallOptions): Lookup {
  const { client, purpose, basis, userId, issue, query = [], header = [] } = options;
  if (service === undefined) throw usage('Which service?', 'Write `accord call SERVICE [PATH] --client ID`.');
  if (client === undefined) throw usage('Who asks?', 'Name the own subsystem with --client.');
  const body = options.data === undefined ? undefined : readData(options.data);
  const contentType = options.contentType;
  const pairs = query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  const names = header.map(([name]) => name.toLowerCase());
  if (new Set(names).size !== names.length) throw usage('A header stands twice', 'Give each --header once.');
  return {
    service,
    path,
    method: options.method ?? (body === undefined ? 'GET' : 'POST'),
    basis,
    ...(pairs.length > 0 && { query: pairs.join('&') }),
    ...(header.length > 0 && { headers: Object.fromEntries(header.map(([name, value]) => [name, readValue(value)])) }),
    ...(body !== undefined && { body }),
    ...(contentType !== undefined && { contentType }),
    ...(purpose !== undefined && { purpose }),
    ...(userId !== undefined && { userId }),
    ...(issue !== undefined && { issue }),
  };
}

/** A header's value, or with @FILE the first line of a file that nobody else may read. */
function readValue(value: string): string {
  return value.startsWith('@') ? readSecretFile(value.slice(1)) : value;
}

/** JSON in the argument or in a file NAME.json; the bytes of any other file. @throws JSON_INVALID and the like */
function readData(data: string): JsonValue | Uint8Array {
  if (!data.startsWith('@')) return parseJson(Buffer.from(data));
  const bytes = readFileSync(data === '@-' ? 0 : data.slice(1));
  return data.endsWith('.json') ? parseJson(bytes) : bytes;
}

function open({ server, client, cert, key, ca }: CallOptions): Accord {
  if (!/^https?:$/.test(URL.parse(server)?.protocol ?? '')) {
    throw usage(`--server ${server} is no http or https address`, `Write it like ${DEFAULT_SERVER}.`);
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw usage('A client certificate and its key go together', 'Give both --cert and --key, or none.');
  }
  const tls =
    cert === undefined && ca === undefined
      ? undefined
      : {
          ...(cert !== undefined && { cert: readFileSync(cert) }),
          ...(key !== undefined && { key: readKey(key) }),
          ...(ca !== undefined && { ca: readFileSync(ca) }),
        };
  return openAccord({ url: server, client: client ?? '', ...(tls && { tls }) });
}

function readKey(file: string): Buffer {
  readSecretFile(file); // for its mode
  return readFileSync(file);
}

/** Prints an answer. */
function show(answer: LookupAnswer, options: CallOptions): void {
  if (outputFormat(options) !== 'table') {
    print(answer, options);
  } else {
    writeBody(answer);
    if (options.evidence) print({ id: answer.id, status: answer.status, ...answer.evidence }, options);
  }
  if (answer.status >= 400) process.stderr.write(`The other department answered with status ${answer.status}.\n`);
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
      if (options.evidence) print({ id, status: answer.status, ...answer.evidence }, options);
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

/** How a script is told: the outcome decides where there was an exchange, the problem's own row where there was none. */
function told(error: AccordClientError, options: CallOptions): Error {
  const { code, outcome, status, next, problem } = error;
  if (problem !== undefined && outputFormat(options) !== 'table') print(problem, options);
  const detail = error.message.slice(code.length + 2);
  const title = typeof problem?.['title'] === 'string' ? problem['title'] : '';
  if (outcome === 'refused' && problem?.['outcome'] === undefined) {
    return new RemoteProblem({
      code,
      title,
      status: status ?? 500,
      next,
      ...(detail !== title && detail !== '' && { detail }),
    });
  }
  const what = [title || detail, ...(title && detail && detail !== title ? [`(${detail})`] : [])].join(' ');
  const known = problem?.['id'] ?? problem?.['instance'];
  const id = typeof known === 'string' ? `\nId: ${known.replace('urn:uuid:', '')}` : '';
  return new CommandEnd(exitOf(outcome), `${code}: ${what || outcome}${id}\nNext: ${next}`);
}

function exitOf(outcome: LookupAnswer['outcome']): number {
  if (outcome === 'ok') return EXIT.ok;
  if (outcome === 'refused') return EXIT.exchangeRefused;
  return outcome === 'not-sent' ? EXIT.peerUnavailable : EXIT.failed;
}

function explained(code: string): string {
  if (!isProblemCode(code)) return code;
  const { title, next } = PROBLEMS[code];
  return `${code}: ${title}\nNext: ${next}`;
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
