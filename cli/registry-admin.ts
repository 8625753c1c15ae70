// `accord registry`: the central registry itself. `start` runs it from its folder; the other verbs say over its admin API
// which authorities it trusts, who may administer it, and what its administrators did. What `start` reads belongs to the
// registry's operator; files named on the command line are other people's and are judged by the registry.
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import type { Registry, RegistryOptions } from '#central-registry/registry.ts';
import { openKey } from '#certs/key-file.ts';
import { certificateHash } from '#certs/path.ts';
import { pemCertificates } from '#certs/pem.ts';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { untilSignal } from '#core/program.ts';
import { base64url } from '#schemas/base64url.ts';
import { isJsonObject, type JsonValue } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { groupCommands } from './group-registry.ts';
import { CommandEnd, EXIT, print, runAction } from './output.ts';
import {
  confirm,
  PASSPHRASE_VARIABLE,
  type PassphraseOptions,
  passphraseOption,
  readPassphrase,
} from './passphrase.ts';
import { callRegistry, type RegistryCallOptions, withChange, withRegistry } from './registry-call.ts';
import { consentCommands } from './registry-consent.ts';
import { limitCommands } from './registry-limits.ts';
import { ocspCommands } from './registry-ocsp.ts';
import { timeStampCommands } from './registry-time-stamps.ts';
import { witnessStateCommands } from './registry-witness.ts';
import { witnessCommands } from './registry-witnesses.ts';

const TRUST_KINDS = ['anchor', 'intermediate', 'crl'] as const;
const ROLES = ['registry-admin', 'registration-officer', 'publisher', 'auditor'] as const;

type ChangeOptions = RegistryCallOptions & { yes?: true };

export function registryCommand(): Command {
  const registry = new Command('registry').addCommand(startCommand());
  const verbs = [
    ...trustCommands(),
    ...limitCommands(),
    ...groupCommands(),
    ...witnessCommands(),
    ...witnessStateCommands(),
    ...timeStampCommands(),
    ...ocspCommands(),
    ...consentCommands(),
    ...keyCommands(),
  ];
  for (const command of verbs) registry.addCommand(command);
  const audit = new Command('audit').description('what administrators did, in order').option('--after <seq>', 'from');
  return registry.addCommand(
    withRegistry(audit).action(
      runAction(async (options: RegistryCallOptions & { after?: string }) => {
        print(itemsOf(await callRegistry(options, 'GET', `/audit?limit=1000&after=${options.after ?? 0}`)), options);
      }),
    ),
  );
}

interface StartOptions extends PassphraseOptions {
  dir: string;
  configuration: string;
  admin: string;
  adminCert?: string;
  adminKey?: string;
  logLevel: string;
}

function startCommand(): Command {
  return new Command('start')
    .description('run the central registry of a folder until SIGTERM')
    .requiredOption('--dir <folder>', 'root.1.jws, anchor.json and freshness.key.json lie there')
    .option('--configuration <host:port>', 'where the configuration is served', '0.0.0.0:4400')
    .option('--admin <host:port>', 'where the admin API listens', '127.0.0.1:4401')
    .option('--admin-cert <file>', 'certificate for the admin API, PEM; with --admin-key')
    .option('--admin-key <file>', 'its private key, PEM')
    .addOption(new Option('--log-level <level>', 'of the log on standard error').default('info'))
    .addOption(passphraseOption(PASSPHRASE_VARIABLE))
    .action(runAction(start));
}

async function start(options: StartOptions): Promise<void> {
  const { dir, adminCert, adminKey } = options;
  if ((adminCert === undefined) !== (adminKey === undefined)) {
    throw new CommandEnd(EXIT.usage, 'A certificate and its key go together.\nNext: Give both or none.');
  }
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the online key: ' });
  // Loaded by the command that runs the registry only: the others are short.
  const [{ openRegistry }, { openWitnessKeys }, { pino }] = await Promise.all([
    import('#central-registry/registry.ts'),
    import('#central-registry/witness-keys.ts'),
    import('pino'),
  ]);
  const logger = pino({ level: options.logLevel }, pino.destination(2));
  const { privateKey } = await openKey(readFileSync(join(dir, 'freshness.key.json')), passphrase);
  const tls =
    adminCert && adminKey ? { cert: readFileSync(adminCert, 'utf8'), key: readFileSync(adminKey, 'utf8') } : undefined;
  const anchor = readAnchor(readFileSync(join(dir, 'anchor.json')));
  const witness = await openWitnessKeys(dir, anchor.instance, passphrase);
  if (witness === undefined) logger.warn('no keys of a witness: no log is cosigned (accord registry init-witness)');
  const registry = await openRegistry({
    folder: dir,
    clock: systemClock,
    rootFile: readFileSync(join(dir, 'root.1.jws')),
    anchor,
    ...(witness && { witness }),
    freshnessKey: privateKey,
    configuration: address(options.configuration),
    admin: { ...address(options.admin), ...(tls && { tls }) },
    logger,
    onAlarm: (what, error) => logger.error({ err: error }, what),
  });
  const adminKeyFile = firstApiKey(dir, registry);
  const { configurationUrl, adminUrl } = registry;
  process.stdout.write(`${JSON.stringify({ ready: true, configurationUrl, adminUrl, adminKeyFile })}\n`);
  await untilSignal();
  await registry.close();
}

/** The first administrator's key; without one nobody could make any. */
function firstApiKey(dir: string, registry: Registry): string | undefined {
  if (registry.hasApiKeys()) return undefined;
  const file = join(dir, 'admin.api-key');
  if (existsSync(file)) throw new AccordError('FOLDER_IN_USE', `${file} is of an earlier registry; take it away first`);
  writeFileSync(file, `${registry.makeApiKey('first administrator', 'registry-admin')}\n`, { mode: 0o600 });
  return file;
}

function address(hostAndPort: string): NonNullable<RegistryOptions['configuration']> {
  const [, host, port] = /^(\[[0-9a-f:]+\]|[^:]+):(\d{1,5})$/.exec(hostAndPort) ?? [];
  if (!host || !port) throw new CommandEnd(EXIT.usage, `${hostAndPort} is not HOST:PORT.`);
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}

function trustCommands(): Command[] {
  const add = new Command('trust-add')
    .description('trust the certificates of an authority, from the next approved configuration on')
    .argument('<file>', 'certificates or one revocation list, PEM')
    .addOption(new Option('--kind <kind>', 'what the file holds').choices(TRUST_KINDS).makeOptionMandatory());
  const list = new Command('trust-list').description('authorities that are trusted');
  const remove = new Command('trust-remove')
    .description('trust an authority no longer')
    .argument('<hash>', 'as `accord registry trust-add` shows it; last and behind -- where it begins with a dash')
    .option('--yes', 'do not ask');
  return [
    withChange(add).action(
      runAction(async (file: string, options: RegistryCallOptions & { kind: (typeof TRUST_KINDS)[number] }) => {
        const rows = [];
        for (const der of dersOf(file, options.kind)) {
          rows.push(await callRegistry(options, 'POST', '/trust', { kind: options.kind, der: base64url(der) }));
        }
        print(rows, options);
      }),
    ),
    withRegistry(list).action(
      runAction(async (options: RegistryCallOptions) => {
        print(trustRows(await callRegistry(options, 'GET', '/trust')), options);
      }),
    ),
    withChange(remove).action(
      runAction(async (hash: string, options: ChangeOptions) => {
        if (!options.dryRun) await confirm(`Trust ${hash} no longer?`, options.yes);
        print(await callRegistry(options, 'DELETE', `/trust/${hash}`), options);
      }),
    ),
  ];
}

function trustRows(answer: JsonValue): object[] {
  const of = (name: string) => {
    const ders = isJsonObject(answer) ? answer[name] : [];
    return (Array.isArray(ders) ? ders : []).map((der) => Buffer.from(String(der), 'base64url'));
  };
  const certificates = (name: string, kind: string) =>
    of(name).map((der) => {
      const { subject, validTo } = new X509Certificate(der);
      return { kind, hash: certificateHash(der), subject: subject.replaceAll('\n', ', '), notAfter: validTo };
    });
  const crls = of('crls').map((der) => ({ kind: 'crl', hash: certificateHash(der), subject: '', notAfter: '' }));
  return [...certificates('anchors', 'anchor'), ...certificates('intermediates', 'intermediate'), ...crls];
}

function dersOf(file: string, kind: (typeof TRUST_KINDS)[number]): Buffer[] {
  const text = readFileSync(file, 'utf8');
  if (kind !== 'crl') return pemCertificates(text);
  const [, body = ''] = /^-----BEGIN X509 CRL-----\s([A-Za-z0-9+/=\s]+)-----END X509 CRL-----\s*$/.exec(text) ?? [];
  if (body === '') throw new AccordError('PEM_INVALID', `${file} is not one revocation list`);
  return [Buffer.from(body, 'base64')];
}

function keyCommands(): Command[] {
  const add = new Command('key-add')
    .description('make an API key; it is written to a file once and never shown again')
    .argument('<name>', 'whose it is')
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES).makeOptionMandatory())
    .requiredOption('--out <file>', 'new file for the key, mode 0600');
  const list = new Command('key-list').description('API keys, without their secrets');
  const revoke = new Command('key-revoke').description('revoke an API key, at once').argument('<id>');
  return [
    withRegistry(add).action(
      runAction(async (name: string, options: RegistryCallOptions & { role: string; out: string }) => {
        // The file first: a key that cannot be kept must not be made.
        writeFileSync(options.out, '', { flag: 'wx', mode: 0o600 });
        try {
          const made = await callRegistry(options, 'POST', '/api-keys', { name, role: options.role });
          if (!isJsonObject(made)) throw new AccordError('SCHEMA_MISMATCH', "the registry's answer");
          const { apiKey, ...shown } = made;
          writeFileSync(options.out, `${String(apiKey)}\n`);
          print({ ...shown, file: options.out }, options);
        } catch (error) {
          rmSync(options.out);
          throw error;
        }
      }),
    ),
    withRegistry(list).action(
      runAction(async (options: RegistryCallOptions) => {
        print(itemsOf(await callRegistry(options, 'GET', '/api-keys')), options);
      }),
    ),
    withChange(revoke.option('--yes', 'do not ask')).action(
      runAction(async (id: string, options: ChangeOptions) => {
        if (!options.dryRun) await confirm(`Revoke the API key ${id}?`, options.yes);
        print(await callRegistry(options, 'DELETE', `/api-keys/${id}`), options);
      }),
    ),
  ];
}

function itemsOf(answer: JsonValue): JsonValue {
  return (isJsonObject(answer) ? answer['items'] : undefined) ?? [];
}
