// How commands ask through the own security server, as a department's information system does: its address, a client
// certificate where it is https, and what a script is told when there is no answer. What comes back is that server's word
// and the other department's.
import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Accord, AccordClientError, type LookupAnswer, openAccord } from '#adapters/client.ts';
import { readSecretFile } from './argument-secrets.ts';
import { CommandEnd, EXIT, type OutputOptions, outputFormat, print, RemoteProblem, withOutput } from './output.ts';

export interface SystemOptions extends OutputOptions {
  server: string;
  client?: string;
  cert?: string;
  key?: string;
  ca?: string;
}

const DEFAULT_SERVER = 'http://127.0.0.1:8080';

/** Adds the address and the certificate, and how to print. */
export function withSystem(command: Command): Command {
  return withOutput(
    command
      .addOption(
        new Option('--server <url>', "security server's address for systems")
          .env('ACCORD_SERVER')
          .default(DEFAULT_SERVER),
      )
      .option('--cert <file>', 'own client certificate, PEM, for an https address')
      .option('--key <file>', 'its private key, PEM, mode 0600')
      .option('--ca <file>', "authority of the security server's certificate, PEM"),
  );
}

/** Opens the connection, works, closes it. @throws CommandEnd, RemoteProblem as `told` says */
export async function asSystem<T>(options: SystemOptions, work: (accord: Accord) => Promise<T>): Promise<T> {
  const accord = open(options);
  try {
    return await work(accord);
  } catch (error) {
    if (error instanceof AccordClientError) throw told(error, options);
    throw error;
  } finally {
    await accord.close();
  }
}

function open({ server, client, cert, key, ca }: SystemOptions): Accord {
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

/** How a script is told: the outcome decides where there was an exchange, the problem's own row where there was none. */
function told(error: AccordClientError, options: SystemOptions): Error {
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

/** What an outcome means for a script. */
export function exitOf(outcome: LookupAnswer['outcome']): number {
  if (outcome === 'ok') return EXIT.ok;
  if (outcome === 'refused') return EXIT.exchangeRefused;
  return outcome === 'not-sent' ? EXIT.peerUnavailable : EXIT.failed;
}

/** SCHEME=VALUE or SCHEME=@FILE: whom something is about, as it is written. */
export function splitSubject(text: string): { scheme: string; value: string } {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Write it like gx.person.resident_id@1=IDENTIFIER.');
  return { scheme: text.slice(0, at), value: text.slice(at + 1) };
}

/** The same with the value read from its file, which is done when the command runs and not while its words are parsed. */
export function readSubject({ scheme, value }: { scheme: string; value: string }): { scheme: string; value: string } {
  return { scheme, value: readValue(value) };
}

/** A value, or with @FILE the first line of a file that nobody else may read. */
export function readValue(value: string): string {
  return value.startsWith('@') ? readSecretFile(value.slice(1)) : value;
}

function usage(what: string, next: string): CommandEnd {
  return new CommandEnd(EXIT.usage, `${what}.\nNext: ${next}`.replace('?.', '?'));
}
