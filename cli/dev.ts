// `accord dev up`: a whole exchange on loopback in one process, with throw-away keys in a folder of its own. For people
// who want to try Accord or to develop an information system against it; nothing here protects anything.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { pino } from 'pino';
import { systemClock } from '#core/clock.ts';
import { untilSignal } from '#core/program.ts';
import { PLAIN_TERMS } from '#schemas/access-right.ts';
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
    `  registry  ${registry.configurationUrl}  admin ${registry.adminUrl}`,
    options.backend === undefined
      ? 'No service yet; start again with --backend URL.'
      : `Try: npm run -s accord -- call ${SERVICE} / --client ${client} --server ${url}`,
    `Stop with Ctrl-C; keys and logs stay in ${network.folder}.`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
