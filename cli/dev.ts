// `accord dev up`: a whole exchange on loopback in one process, with throw-away keys in a folder of its own. For people
// who want to try Accord or to develop an information system against it; nothing here protects anything.
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { pino } from 'pino';
import { systemClock } from '#core/clock.ts';
import { openDevelopmentTimeStampAuthority } from '#core/development-time-stamp-authority.ts';
import { untilSignal } from '#core/program.ts';
import { PLAIN_TERMS } from '#schemas/access-right.ts';
import { FILES } from '#security-server/data-folder.ts';
import { type DevNetwork, openDevNetwork } from './dev/network.ts';
import { type OutputOptions, outputFormat, runAction, withOutput } from './output.ts';

const INSTANCE = 'DEV';
const CONSUMER = { id: 'DEV/GOV/1001', name: 'Consumer department', subsystem: 'consumer', server: 'ss1' };
const PROVIDER = { id: 'DEV/GOV/2002', name: 'Provider department', subsystem: 'provider', server: 'ss2' };
const SERVICE = 'DEV/GOV/2002/provider/echo';

export function devCommand(): Command {
  const dev = new Command('dev').description('a whole exchange on this machine, for development');
  withOutput(
    dev
      .command('up')
      .description('registry, two security servers and a certification authority on loopback, until SIGTERM')
      .option('--backend <url>', 'register this backend as REST service `echo` of the provider')
      .option(
        '--dir <folder>',
        'an empty folder for keys and logs (default: a new temporary one; it stays, so that logs can be read)',
      ),
  ).action(runAction(up));
  withOutput(
    dev
      .command('time-stamp-authority')
      .description('a time-stamp authority (RFC 3161) on loopback with a throw-away key, until SIGTERM')
      .requiredOption('--ca-file <file>', 'where its root certificate is written, PEM')
      .option('--name <name>', 'what it is called in its certificates', 'development-time')
      .option('--port <port>', 'where it listens (default: any that is free)', port),
  ).action(runAction(timeStampAuthority));
  return dev;
}

async function up(options: OutputOptions & { backend?: string; dir?: string }): Promise<void> {
  const folder = options.dir ?? mkdtempSync(join(tmpdir(), 'accord-dev-'));
  const logger = pino({ level: 'warn' }, pino.destination(2));
  const members = [CONSUMER, PROVIDER];
  const stopped = untilSignal();
  const network = await openDevNetwork({
    folder,
    instance: INSTANCE,
    members,
    clock: systemClock,
    logger,
    processes: false,
  });
  try {
    if (options.backend !== undefined) await addEcho(network, options.backend);
    show(network, options);
    await stopped;
  } finally {
    await network.close();
  }
}

async function timeStampAuthority(
  options: OutputOptions & { caFile: string; name: string; port?: number },
): Promise<void> {
  const stopped = untilSignal();
  const { name, port: at = 0 } = options;
  const authority = await openDevelopmentTimeStampAuthority({ name, clock: systemClock, port: at });
  try {
    const pem = authority.certificates.map((der) => new X509Certificate(der).toString()).join('');
    writeFileSync(options.caFile, pem);
    const { url } = authority;
    const text = `Time-stamps at ${url}; its root is in ${options.caFile}. Its key protects nothing. Stop with Ctrl-C.`;
    const ready = { ready: true, name, url, caFile: options.caFile };
    process.stdout.write(outputFormat(options) === 'json' ? `${JSON.stringify(ready)}\n` : `${text}\n`);
    await stopped;
  } finally {
    await authority.close();
  }
}

function port(text: string): number {
  const number = Number(text);
  if (!/^[0-9]{1,5}$/.test(text) || number > 65_535) throw new InvalidArgumentError('A port: 0 to 65535.');
  return number;
}

/** The backend as service `echo`: open, unbound, free of personal data, every endpoint, no purpose. */
async function addEcho(network: DevNetwork, url: string): Promise<void> {
  const provider = network.servers[1];
  if (provider === undefined) throw new TypeError('two servers were asked for');
  await network.addService(provider, { id: SERVICE, title: 'Echo', url, personalData: false, safe: false });
  await provider.call('POST', '/access-rights', {
    client: `${CONSUMER.id}/${CONSUMER.subsystem}`,
    service: SERVICE,
    endpoints: [{ method: '*', path: '/**' }],
    bases: ['open'],
    ...PLAIN_TERMS,
  });
  await network.publish();
}

function show(network: DevNetwork, options: OutputOptions & { backend?: string }): void {
  const { registry } = network;
  const servers = network.servers.map(({ id, urls, folder }) => ({
    name: id,
    admin: urls.admin,
    auditor: { url: `${urls.admin}/auditor`, keyFile: join(folder, FILES.auditorKey) },
    health: urls.health,
    dataDir: folder,
  }));
  const client = network.servers[0]?.subsystem;
  const url = network.servers[0]?.urls.loopback;
  const ready = {
    ready: true,
    instance: INSTANCE,
    consumer: { url, client },
    service: options.backend === undefined ? null : SERVICE,
    registry: { configuration: registry.configurationUrl, admin: registry.adminUrl },
    servers,
  };
  if (outputFormat(options) === 'json') {
    process.stdout.write(`${JSON.stringify(ready)}\n`);
    return;
  }
  const lines = [
    'Accord is up, with throw-away keys; this process holds both approvers’ keys, which a real instance never does.',
    `  consumer  ${url}  as ${client}`,
    ...servers.map(
      (server) => `  ${server.name}  admin ${server.admin}  health ${server.health}  data ${server.dataDir}`,
    ),
    ...servers.map(({ name, auditor }) => `  auditor of ${name}  ${auditor.url}  key in ${auditor.keyFile}`),
    `  registry  ${registry.configurationUrl}  admin ${registry.adminUrl}`,
    options.backend === undefined
      ? 'No service yet; start again with --backend URL.'
      : `Try: npm run -s accord -- call ${SERVICE} / --client ${client} --server ${url}`,
    `Stop with Ctrl-C; keys and logs stay in ${network.folder}.`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
