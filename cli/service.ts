// `accord service`: services where they are offered (add, enable, disable, remove at a security server, which knows their
// backends) and where all can see them (publish, register, show, deregister in the registry). A service answers when both are done
// and an access right covers the request.
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { isJsonObject, type JsonObject } from '#schemas/json.ts';
import { MAX_DEADLINE_MS } from '#schemas/limits.ts';
import { type AdminOptions, callAdmin, listAdmin, withAdmin } from './admin-client.ts';
import { CommandEnd, EXIT, print, runAction } from './output.ts';
import { confirm } from './passphrase.ts';
import { serviceCommand } from './registry.ts';
import { listRegistry, type RegistryCallOptions } from './registry-call.ts';
import { describeCommand } from './service-describe.ts';
import { publishCommand } from './service-publish.ts';

const DEFAULT_TIMEOUT_MS = 30_000;

interface AddOptions extends AdminOptions {
  url: string;
  title: string;
  safe?: true;
  personalData: boolean;
  timeout?: number;
  tlsCa?: string;
  tlsInsecure?: true;
  disabled?: true;
  dryRun?: true;
}

type ChangeOptions = AdminOptions & { dryRun?: true; yes?: true };

/** Both sides under one noun: the registry's `list` becomes part of ours, its `remove` is `deregister`. */
export function serviceNoun(): Command {
  const service = new Command('service');
  for (const command of [
    addCommand(),
    enableCommand(),
    disableCommand(),
    removeCommand(),
    listCommand(),
    publishCommand(),
    describeCommand(),
  ]) {
    service.addCommand(command);
  }
  for (const command of serviceCommand().commands) {
    if (command.name() === 'list') continue;
    service.addCommand(command.name() === 'remove' ? command.name('deregister') : command);
  }
  return service;
}

function addCommand(): Command {
  const command = new Command('add')
    .description('offer a service at this security server, or change it: where its backend is')
    .argument('<id>', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE')
    .requiredOption('--url <url>', "the backend's base address, http or https")
    .requiredOption('--title <title>', 'its title')
    .option('--safe', 'every operation only reads: a call repeated after a crash does no harm')
    .option('--no-personal-data', 'no answer ever holds personal data')
    .option('--timeout <seconds>', `how long the backend may take, up to ${MAX_DEADLINE_MS / 1000}`, seconds)
    .option('--tls-ca <file>', 'authorities that the certificate of an https backend is checked against, PEM')
    .option('--tls-insecure', 'check neither certificate nor host name of an https backend')
    .option('--disabled', 'add it switched off')
    .option('--dry-run', 'print the service, change nothing');
  return withAdmin(command).action(runAction(add));
}

async function add(id: string, options: AddOptions): Promise<void> {
  const service = {
    id,
    title: options.title,
    url: options.url,
    enabled: options.disabled !== true,
    notice: null,
    timeoutMs: options.timeout ?? DEFAULT_TIMEOUT_MS,
    personalData: options.personalData,
    safe: options.safe === true,
    ...backendTls(options),
  };
  await put(service, options);
}

function backendTls({ url, tlsCa, tlsInsecure }: AddOptions): JsonObject {
  if (tlsCa === undefined && tlsInsecure === undefined) return {};
  if (tlsCa !== undefined && tlsInsecure !== undefined) {
    throw new CommandEnd(EXIT.usage, 'Checked or not?\nNext: Give --tls-ca or --tls-insecure, not both.');
  }
  if (!url.startsWith('https:')) {
    throw new CommandEnd(EXIT.usage, `${url} is not https.\nNext: Leave --tls-ca and --tls-insecure out.`);
  }
  return { tls: tlsCa === undefined ? { insecure: true } : { caPem: readFileSync(tlsCa, 'utf8') } };
}

function enableCommand(): Command {
  const command = new Command('enable')
    .description('switch a service of this server on')
    .argument('<id>', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE')
    .option('--dry-run', 'print the service, change nothing');
  return withAdmin(command).action(
    runAction(async (id: string, options: ChangeOptions) => {
      await put({ ...(await find(id, options)), enabled: true, notice: null }, options);
    }),
  );
}

function disableCommand(): Command {
  const command = new Command('disable')
    .description('switch a service of this server off; requests are refused and told why')
    .argument('<id>', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE')
    .option('--notice <text>', 'what those who ask are told')
    .option('--dry-run', 'print the service, change nothing');
  return withAdmin(command).action(
    runAction(async (id: string, options: ChangeOptions & { notice?: string }) => {
      await put({ ...(await find(id, options)), enabled: false, notice: options.notice ?? null }, options);
    }),
  );
}

async function put(service: JsonObject, options: ChangeOptions): Promise<void> {
  if (options.dryRun) print({ dryRun: true, ...service }, options);
  else print(await callAdmin(options, 'PUT', '/services', service), options);
}

function removeCommand(): Command {
  const command = new Command('remove')
    .description('offer a service no longer at this security server; its access rights stay')
    .argument('<id>', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE')
    .option('--dry-run', 'show the service, change nothing')
    .option('--yes', 'do not ask');
  return withAdmin(command).action(
    runAction(async (id: string, options: ChangeOptions) => {
      const service = await find(id, options);
      if (options.dryRun) {
        print({ dryRun: true, ...service }, options);
        return;
      }
      await confirm(`Remove the service ${id} from this server?`, options.yes);
      await callAdmin(options, 'DELETE', `/services/${id}`);
      print({ id, removed: true }, options);
    }),
  );
}

function listCommand(): Command {
  const command = new Command('list')
    .description('list the services of the registry, or with --dir or --admin those of one security server')
    .option('--registry <url>', 'admin API of the registry; or set ACCORD_REGISTRY (http://127.0.0.1:4401)');
  return withAdmin(command).action(
    runAction(async (options: AdminOptions & RegistryCallOptions) => {
      const { dir, admin, registry } = options;
      const atServer = dir !== undefined || admin !== undefined;
      if (atServer && registry !== undefined) {
        throw new CommandEnd(EXIT.usage, 'Registry or security server?\nNext: Give --registry, or --dir or --admin.');
      }
      if (atServer) {
        const columns = ['id', 'title', 'url', 'enabled', 'notice', 'timeoutMs', 'personalData', 'safe'];
        print(await listAdmin(options, '/services'), options, columns);
      } else {
        print(await listRegistry(options, '/services'), options, ['id', 'title', 'type', 'personalData', 'safe']);
      }
    }),
  );
}

async function find(id: string, options: AdminOptions): Promise<JsonObject> {
  const found = (await listAdmin(options, '/services')).find((one) => isJsonObject(one) && one['id'] === id);
  if (found !== undefined) return found;
  throw new CommandEnd(
    EXIT.notFound,
    `This server has no service ${id}.\nNext: See \`accord service list --dir DATADIR\`.`,
  );
}

/** Seconds as a person writes them, in milliseconds. */
function seconds(text: string): number {
  const timeoutMs = /^\d{1,4}(?:\.\d{1,3})?$/.test(text) ? Math.round(Number(text) * 1000) : 0;
  if (timeoutMs < 100 || timeoutMs > MAX_DEADLINE_MS) {
    throw new InvalidArgumentError(`Write seconds from 0.1 to ${MAX_DEADLINE_MS / 1000}.`);
  }
  return timeoutMs;
}
