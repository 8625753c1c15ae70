// `accord registry time-stamps|time-stamps-set|time-stamps-remove`: the time-stamp authorities of the instance, in the order
// they are asked, and how long an entry may wait for one. Nothing that changes here is in force before a content with it
// was approved; approvers see each authority and certificate. The PEM files are the authorities'; the registry judges them.
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { pemCertificatesAndLists } from '#certs/pem.ts';
import { base64url } from '#schemas/base64url.ts';
import { isJsonObject, type JsonValue } from '#schemas/json.ts';
import type { TimeStampsPart } from '#schemas/time-stamps-part.ts';
import { CommandEnd, EXIT, print, runAction } from './output.ts';
import { confirm } from './passphrase.ts';
import { callRegistry, type RegistryCallOptions, withChange, withRegistry } from './registry-call.ts';

interface NamedAuthority {
  name: string;
  url: string;
  file: string;
}

interface NamedAddress {
  name: string;
  url: string;
}

type SetOptions = RegistryCallOptions & {
  authority: NamedAuthority[];
  crlUrl: NamedAddress[];
  ocspUrl: NamedAddress[];
  graceMinutes?: number;
};

const MS_PER_MINUTE = 60_000;

export function timeStampCommands(): Command[] {
  const show = new Command('time-stamps').description('time-stamp authorities in the order they are asked');
  const set = new Command('time-stamps-set')
    .description('name the time-stamp authorities; replaces what was named before')
    .requiredOption(
      '--authority <name=url=file>',
      'its name, where it is asked, and a PEM file with its root, what helps to it, and revocation lists; in order',
      namedAuthority,
      [],
    )
    .option('--crl-url <name=url>', 'where a revocation list of its certificates is; at most four each', address, [])
    .option('--ocsp-url <name=url>', 'who answers OCSP requests about its certificate', address, [])
    .option('--grace-minutes <minutes>', 'so long may an entry wait for a time-stamp (default: 240)', minutes);
  const remove = new Command('time-stamps-remove')
    .description('name no time-stamp authorities any more')
    .option('--yes', 'do not ask');
  return [
    withRegistry(show).action(
      runAction(async (options: RegistryCallOptions) => {
        print(partOf(await callRegistry(options, 'GET', '/time-stamps')), options);
      }),
    ),
    withChange(set).action(
      runAction(async (options: SetOptions) => {
        print(partOf(await callRegistry(options, 'POST', '/time-stamps', partFrom(options))), options);
      }),
    ),
    withChange(remove).action(
      runAction(async (options: RegistryCallOptions & { yes?: true }) => {
        if (!options.dryRun) await confirm('Name no time-stamp authorities any more?', options.yes);
        print(await callRegistry(options, 'DELETE', '/time-stamps'), options);
      }),
    ),
  ];
}

function partOf(answer: JsonValue | undefined): JsonValue | undefined {
  return isJsonObject(answer) ? (answer['timeStamps'] ?? answer) : answer;
}

function partFrom({ authority, crlUrl, ocspUrl, graceMinutes }: SetOptions): TimeStampsPart {
  const stranger = [...crlUrl, ...ocspUrl].find(({ name }) => !authority.some((one) => one.name === name));
  if (stranger !== undefined) throw new CommandEnd(EXIT.usage, `No --authority is called ${stranger.name}.`);
  const files = authority.map(({ file }) => pemCertificatesAndLists(readFileSync(file, 'utf8')));
  const crls = [...new Set(files.flatMap((file) => file.crls.map(base64url)))];
  return {
    authorities: authority.map(({ name, url }, at) => {
      const crlUrls = crlUrl.flatMap((one) => (one.name === name ? [one.url] : []));
      const ocsp = ocspUrl.find((one) => one.name === name);
      return {
        ...{ name, url, certificates: (files[at]?.certificates ?? []).map(base64url) },
        ...(crlUrls.length > 0 && { crlUrls }),
        ...(ocsp && { ocspUrl: ocsp.url }),
      };
    }),
    ...(crls.length > 0 && { crls }),
    ...(graceMinutes !== undefined && { graceMs: graceMinutes * MS_PER_MINUTE }),
  };
}

function address(text: string, before: NamedAddress[]): NamedAddress[] {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1) throw new InvalidArgumentError('NAME=URL.');
  return [...before, { name: text.slice(0, at), url: text.slice(at + 1) }];
}

/** Neither a name nor an address of ours has an equals sign before its file; a query may. */
function namedAuthority(text: string, before: NamedAuthority[]): NamedAuthority[] {
  const [first, last] = [text.indexOf('='), text.lastIndexOf('=')];
  if (first < 1 || last <= first + 1 || last === text.length - 1) throw new InvalidArgumentError('NAME=URL=FILE.');
  const one = { name: text.slice(0, first), url: text.slice(first + 1, last), file: text.slice(last + 1) };
  return [...before, one];
}

function minutes(text: string): number {
  if (!/^[1-9][0-9]{0,4}$/.test(text)) throw new InvalidArgumentError('A whole number of minutes.');
  return Number(text);
}
