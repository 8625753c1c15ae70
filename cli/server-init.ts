// `accord server init` and `accord server start`: from an empty folder to a running security server.
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { Command } from 'commander';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { untilSignal } from '#core/program.ts';
import { serverId } from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
import { FILES, initServerFolder } from '#security-server/data-folder.ts';
import { DEFAULT_SETTINGS, OVERRIDES, resolveSettings } from '#security-server/settings.ts';
import { type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';

export function serverInitCommand(): Command {
  return withOutput(
    new Command('init')
      .description('make the data folder of a security server: keys, certificate requests, settings')
      .requiredOption('--dir <folder>', 'an empty folder')
      .requiredOption('--id <server>', 'INSTANCE/CLASS/MEMBER/SERVER')
      .requiredOption('--address <url>', 'how peers reach it, e.g. https://ss1.example.gov:5500')
      .requiredOption('--anchor <file>', 'the configuration anchor that the registry handed over')
      .option('--host <address>', 'where the ports for peers and systems listen', '0.0.0.0')
      .addOption(passphraseOption(PASSPHRASE_VARIABLE)),
  ).action(runAction(init));
}

interface InitFlags extends OutputOptions, PassphraseOptions {
  dir: string;
  id: string;
  address: string;
  anchor: string;
  host: string;
}

async function init(options: InitFlags): Promise<void> {
  const id = serverId(options.id);
  const anchorText = readFileSync(options.anchor, 'utf8');
  const { instance } = readAnchor(anchorText);
  if (!id.startsWith(`${instance}/`)) throw new AccordError('IDENTIFIER_INVALID', `the instance is ${instance}`);
  const address = URL.parse(options.address);
  if (address?.protocol !== 'https:') throw new AccordError('SETTINGS_INVALID', '--address is not an https address');
  const hostname = address.hostname.replace(/^\[|\]$/g, '');
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'New passphrase: ', twice: true });
  await initServerFolder({
    folder: options.dir,
    settings: { id, address: address.origin, host: options.host, ...portOf(address) },
    anchorText,
    passphrase,
    nowMs: systemClock.nowMs(),
    dnsNames: isIP(hostname) === 0 ? [hostname] : [],
    ipAddresses: isIP(hostname) === 0 ? [] : [hostname],
  });
  const requests = ['authentication', 'signing'].map((name) => join(options.dir, FILES.requests, `${name}.csr.pem`));
  const certificates = ['authentication', 'signing'].map((name) =>
    join(options.dir, FILES.certificates, `${name}.pem`),
  );
  const made = { id, folder: options.dir, requests, certificates, adminKey: join(options.dir, FILES.adminKey) };
  if (outputFormat(options) !== 'table') return print(made, options);
  process.stdout.write(
    `Made ${id} in ${options.dir}.\nNext: have the two requests certified and write the certificates here:\n${requests
      .map((request, at) => `  ${request}  →  ${certificates[at]}`)
      .join('\n')}\n`,
  );
}

/** The port of the address is the one to listen on, unless it is the default; behind a gateway, change it in the file. */
function portOf({ port }: URL): { ports?: typeof DEFAULT_SETTINGS.ports } {
  if (port === '' || Number(port) === DEFAULT_SETTINGS.ports.peer) return {};
  return { ports: { ...DEFAULT_SETTINGS.ports, peer: Number(port) } };
}

export function serverStartCommand(): Command {
  const command = new Command('start')
    .description('run the security server of a data folder until SIGTERM')
    .requiredOption('--dir <folder>', 'the data folder')
    .option('--print', 'print the settings and where each comes from, and end')
    .addOption(passphraseOption(PASSPHRASE_VARIABLE));
  for (const [name, path] of Object.entries(OVERRIDES)) command.option(`--${name} <value>`, `overrides ${path}`);
  return command.action(runAction(start));
}

async function start(options: Record<string, unknown> & PassphraseOptions & { dir: string; print?: boolean }) {
  const text = readFileSync(join(options.dir, FILES.settings), 'utf8');
  const flags: Record<string, string> = {};
  for (const name of Object.keys(OVERRIDES)) {
    const camel = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    const value = options[camel];
    if (typeof value === 'string') flags[name] = value;
  }
  const { settings, origins } = resolveSettings(text, process.env, flags);
  if (options.print === true) return print({ settings, origins }, { json: true });
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the keys: ' });
  // Loaded by the command that runs the server only: the others are short.
  const [{ startServer }, { pino }] = await Promise.all([import('#security-server/start.ts'), import('pino')]);
  const logger = pino({ level: settings.logLevel, base: { server: settings.id } }, pino.destination(2));
  const server = await startServer({ folder: options.dir, settings, passphrase, clock: systemClock, logger });
  process.stdout.write(`${JSON.stringify({ ready: true, id: server.id, ...server.urls })}\n`);
  await untilSignal();
  logger.info('draining');
  await server.close();
}
