// `accord consent-service init|start`: from an empty folder to a running consent service (docs/consent.md).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { CONSENT_FILES, initConsentFolder } from '#consent-service/data-folder.ts';
import { DEFAULT_CONSENT_SETTINGS, readConsentSettings } from '#consent-service/settings.ts';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { untilSignal } from '#core/program.ts';
import { subsystemId } from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
import { type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';

export function consentServiceCommand(): Command {
  return new Command('consent-service')
    .description('the consent service: make it, run it')
    .addCommand(initCommand())
    .addCommand(startCommand());
}

interface InitFlags extends OutputOptions, PassphraseOptions {
  dir: string;
  id: string;
  citizenUrl: string;
  anchor: string;
  host: string;
  port: string;
  filingPort: string;
  server: string;
}

function initCommand(): Command {
  const { citizen, filing, server } = DEFAULT_CONSENT_SETTINGS;
  return withOutput(
    new Command('init')
      .description('make the data folder of a consent service: keys, settings, its registration')
      .requiredOption('--dir <folder>', 'an empty folder')
      .requiredOption('--id <subsystem>', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM that issues the receipts')
      .requiredOption('--citizen-url <url>', 'origin that citizens open, e.g. https://consent.example.gov')
      .requiredOption('--anchor <file>', 'the configuration anchor that the registry handed over')
      .option('--host <address>', 'where the citizen port listens', citizen.host)
      .option('--port <port>', 'of the citizen port', String(citizen.port))
      .option('--filing-port <port>', 'on loopback, the backend of the own security server', String(filing.port))
      .option('--server <url>', "the own security server's port for plain HTTP", server)
      .addOption(passphraseOption(PASSPHRASE_VARIABLE)),
  ).action(runAction(init));
}

async function init(options: InitFlags): Promise<void> {
  const subsystem = subsystemId(options.id);
  const anchorText = readFileSync(options.anchor, 'utf8');
  const { instance } = readAnchor(anchorText);
  if (!subsystem.startsWith(`${instance}/`)) throw new AccordError('IDENTIFIER_INVALID', `the instance is ${instance}`);
  const settings = readConsentSettings(
    JSON.stringify({
      ...DEFAULT_CONSENT_SETTINGS,
      subsystem,
      citizenUrl: options.citizenUrl,
      citizen: { host: options.host, port: Number(options.port) },
      filing: { host: DEFAULT_CONSENT_SETTINGS.filing.host, port: Number(options.filingPort) },
      server: options.server,
    }),
  );
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'New passphrase: ', twice: true });
  const nowMs = systemClock.nowMs();
  const { registration, kid } = await initConsentFolder({
    folder: options.dir,
    settings,
    anchorText,
    passphrase,
    nowMs,
  });
  if (outputFormat(options) !== 'table')
    return print({ id: subsystem, folder: options.dir, registration, kid }, options);
  process.stdout.write(
    `Made ${subsystem} in ${options.dir}.\nNext: have it registered: accord registry consent-service-set ${registration}\n`,
  );
}

function startCommand(): Command {
  return new Command('start')
    .description('run the consent service of a data folder until SIGTERM')
    .requiredOption('--dir <folder>', 'the data folder')
    .option('--print', 'print the settings, and end')
    .addOption(passphraseOption(PASSPHRASE_VARIABLE))
    .action(runAction(start));
}

async function start(options: PassphraseOptions & { dir: string; print?: true }): Promise<void> {
  const settings = readConsentSettings(readFileSync(join(options.dir, CONSENT_FILES.settings), 'utf8'));
  if (options.print) return print({ settings }, { json: true });
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the keys: ' });
  // Loaded by the command that runs the service only: the others are short.
  const [{ startConsentService }, { pino }] = await Promise.all([import('#consent-service/start.ts'), import('pino')]);
  const logger = pino({ level: settings.logLevel, base: { server: settings.subsystem } }, pino.destination(2));
  const databaseUrl = process.env['ACCORD_CONSENT_DATABASE'];
  const service = await startConsentService({
    ...{ folder: options.dir, settings, passphrase, clock: systemClock, logger },
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
  });
  process.stdout.write(`${JSON.stringify({ ready: true, id: service.id, ...service.urls })}\n`);
  await untilSignal();
  logger.info('draining');
  await service.close();
}
