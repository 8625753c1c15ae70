// `accord registry ocsp|ocsp-set`: what OCSP answers mean to the members' servers, and whom these ask. Nothing that changes
// here is in force before a content with it was approved; approvers see each responder.
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { certificateHash } from '#certs/path.ts';
import { pemCertificates } from '#certs/pem.ts';
import { isJsonObject } from '#schemas/json.ts';
import { CommandEnd, EXIT, print, runAction } from './output.ts';
import { callRegistry, type RegistryCallOptions, withChange, withRegistry } from './registry-call.ts';

interface SetOptions extends RegistryCallOptions {
  mode: 'off' | 'prefer' | 'require';
  responder?: Responder[];
  namedInCertificate?: true;
  freshnessMinutes: number;
  graceMinutes: number;
}

const MINUTE_MS = 60_000;

export function ocspCommands(): Command[] {
  const show = new Command('ocsp').description('what OCSP answers mean, and which responders are asked');
  const set = new Command('ocsp-set')
    .description('set what OCSP answers mean, and which responders are asked; replaces what was set before')
    .addOption(
      new Option('--mode <mode>', 'what a signature without an answer is worth')
        .choices(['off', 'prefer', 'require'])
        .makeOptionMandatory(),
    )
    .option('--responder <certificate=url>', 'an authority, PEM, and where its responder is; may repeat', responder)
    .option('--named-in-certificate', 'ask the responder that a certificate names, where none is listed for its issuer')
    .option('--freshness-minutes <n>', 'how long an answer counts', wholeNumber, 24 * 60)
    .option('--grace-minutes <n>', 'how much longer with an alarm', wholeNumber, 4 * 60);
  return [
    withRegistry(show).action(
      runAction(async (options: RegistryCallOptions) => {
        print(await callRegistry(options, 'GET', '/ocsp'), options);
      }),
    ),
    withChange(set).action(
      runAction(async (options: SetOptions) => {
        const { mode, responder: responders = [], freshnessMinutes, graceMinutes } = options;
        const answer = await callRegistry(options, 'POST', '/ocsp', {
          ...{ mode, responders: responders.map(named), namedInCertificate: options.namedInCertificate === true },
          ...{ freshnessMs: freshnessMinutes * MINUTE_MS, graceMs: graceMinutes * MINUTE_MS },
        });
        print(isJsonObject(answer) ? (answer['ocsp'] ?? answer) : answer, options);
      }),
    ),
  ];
}

interface Responder {
  /** The authority's certificate, PEM. */
  file: string;
  url: string;
}

function responder(text: string, before: Responder[] = []): Responder[] {
  const cut = text.indexOf('=');
  const [file, url] = [text.slice(0, cut), text.slice(cut + 1)];
  if (cut < 1 || !/^https?:\/\/[^?#\s]+$/.test(url)) {
    throw new InvalidArgumentError('Write it like issuing.crt=http://ocsp.example.gov/');
  }
  return [...before, { file, url }];
}

/** As the registry knows it. */
function named({ file, url }: Responder): { issuer: string; url: string } {
  const [der, more] = pemCertificates(readFileSync(file, 'latin1'));
  if (der === undefined || more !== undefined) {
    throw new CommandEnd(EXIT.usage, `${file} holds not one certificate.\nNext: Give the authority's own, as PEM.`);
  }
  return { issuer: certificateHash(der), url };
}

function wholeNumber(text: string): number {
  if (!/^[0-9]{1,6}$/.test(text)) throw new InvalidArgumentError('A whole number of minutes.');
  return Number(text);
}
