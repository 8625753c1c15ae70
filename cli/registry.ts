// `accord member`, `subsystem`, `server register|list|renew` and `service register|list|show`: what is registered in the
// central registry, over its admin API. Nothing that changes here is in force before a content with it was approved.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { pemCertificates } from '#certs/pem.ts';
import { base64url } from '#schemas/base64url.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJson, parseJsonObject } from '#schemas/json.ts';
import type { RegisteredMember } from '#schemas/registrations.ts';
import { CommandEnd, EXIT, print, runAction } from './output.ts';
import { confirm } from './passphrase.ts';
import { callRegistry, listRegistry, type RegistryCallOptions, withChange, withRegistry } from './registry-call.ts';
import { registrationOfFolder } from './server-registration.ts';

type ChangeOptions = RegistryCallOptions & { yes?: true };

export function memberCommand(): Command {
  const member = new Command('member').description('members of the instance (registry)');
  withChange(member.command('add <id>').description('register a member, INSTANCE/CLASS/MEMBER'))
    .requiredOption('--name <name>', 'its name')
    .action(
      runAction(async (id: string, options: ChangeOptions & { name: string }) => {
        print(await callRegistry(options, 'POST', '/members', { id, name: options.name }), options);
      }),
    );
  withChange(member.command('add-class <code>').description('add or rename a member class'))
    .requiredOption('--title <title>', 'its title')
    .action(
      runAction(async (code: string, options: ChangeOptions & { title: string }) => {
        print(await callRegistry(options, 'POST', '/classes', { code, title: options.title }), options);
      }),
    );
  withRegistry(member.command('list').description('list the members')).action(
    runAction(async (options: RegistryCallOptions) => {
      const rows = (await members(options)).map(({ id, name, subsystems, servers }) => ({
        id,
        name,
        subsystems: subsystems.length,
        servers: servers.length,
      }));
      print(rows, options);
    }),
  );
  withRegistry(member.command('show <id>').description('one member with all that belongs to it')).action(
    runAction(async (id: string, options: RegistryCallOptions) => {
      print(await callRegistry(options, 'GET', `/members/${id}`), options);
    }),
  );
  return member.addCommand(removal('member'));
}

export function subsystemCommand(): Command {
  const subsystem = new Command('subsystem').description('subsystems of members (registry)');
  withChange(subsystem.command('add <id>').description('register a subsystem, INSTANCE/CLASS/MEMBER/SUBSYSTEM'))
    .option('--name <name>', 'its name; by default its code')
    .action(
      runAction(async (id: string, options: ChangeOptions & { name?: string }) => {
        const name = options.name ?? id.split('/').at(-1) ?? id;
        print(await callRegistry(options, 'POST', '/subsystems', { id, name }), options);
      }),
    );
  withRegistry(subsystem.command('list').description('list the subsystems')).action(
    runAction(async (options: RegistryCallOptions) => {
      const rows = (await members(options)).flatMap((member) =>
        member.subsystems.map(({ code, name }) => ({ id: `${member.id}/${code}`, name })),
      );
      print(rows, options);
    }),
  );
  return subsystem.addCommand(removal('subsystem'));
}

interface ServerOptions extends ChangeOptions {
  dir?: string;
  from?: string;
  address?: string;
  authCert: string[];
  signCert: string[];
  subsystem: string[];
  remove: string[];
}

/** The registry's verbs of `accord server`; `init` and others are added by the caller. */
export function serverCommand(): Command {
  const server = new Command('server').description('security servers');
  serverFacts(withChange(server.command('register [id]').description('register a security server')))
    .option('--dir <folder>', "the server's data folder: all but the subsystems is read there")
    .option('--from <file>', 'file with the registration: {id, address, …}')
    .action(
      runAction(async (id: string | undefined, options: ServerOptions) => {
        const given = await givenFacts(options);
        const body = { subsystems: [], ...given, ...(id !== undefined && { id }), ...changedFacts(options) };
        print(await callRegistry(options, 'POST', '/servers', body), options);
      }),
    );
  serverFacts(withChange(server.command('renew <id>').description('add or end certificates and keys of a server')))
    .option('--dir <folder>', "the server's data folder: its certificates and keys are read there")
    .option('--from <file>', 'file with the members to change: {encryptionKeys, …}')
    .option('--remove <hash>', 'hash of a certificate or kid of a key that ends; repeatable', collect, [])
    .action(
      runAction(async (id: string, options: ServerOptions) => {
        const given = await givenFacts(options);
        const { id: _, ...facts } = options.dir === undefined ? given : await newFacts(id, given, options);
        const body = {
          ...facts,
          ...changedFacts(options),
          ...(options.remove.length > 0 && { remove: options.remove }),
        };
        print(await callRegistry(options, 'POST', `/servers/${id}/renewals`, body), options);
      }),
    );
  withRegistry(server.command('list').description('list the registered security servers')).action(
    runAction(async (options: RegistryCallOptions) => {
      const rows = (await members(options)).flatMap((member) =>
        member.servers.map(({ code, address, subsystems }) => ({ id: `${member.id}/${code}`, address, subsystems })),
      );
      print(rows, options);
    }),
  );
  return server.addCommand(removal('server', 'deregister'));
}

export function serviceCommand(): Command {
  const service = new Command('service').description('services of subsystems (registry)');
  withChange(service.command('register <id>').description('register a service, …/SUBSYSTEM/SERVICE'))
    .requiredOption('--title <title>', 'its title')
    .option('--description <file>', 'its OpenAPI 3 document, JSON; without it the type is REST')
    .option('--no-personal-data', 'no answer ever holds personal data')
    .option('--safe', 'every operation only reads')
    .action(
      runAction(async (id: string, options: ChangeOptions & ServiceOptions) => {
        const document = options.description === undefined ? null : parseJson(readFileSync(options.description));
        if (document !== null && !isJsonObject(document))
          throw new CommandEnd(EXIT.usage, 'The description is no object.');
        const body = {
          id,
          title: options.title,
          type: document === null ? 'REST' : 'OPENAPI',
          personalData: options.personalData,
          safe: options.safe ?? false,
          description: document,
        };
        print(await callRegistry(options, 'POST', '/services', body), options);
      }),
    );
  withRegistry(service.command('list').description('list the services')).action(
    runAction(async (options: RegistryCallOptions) => {
      print(await listRegistry(options, '/services'), options, ['id', 'title', 'type', 'personalData', 'safe']);
    }),
  );
  withRegistry(service.command('show <id>').description('one service'))
    .option('--description', 'print its OpenAPI document instead')
    .action(
      runAction(async (id: string, options: RegistryCallOptions & { description?: true }) => {
        const path = `/services/${id}${options.description ? '/description' : ''}`;
        print(await callRegistry(options, 'GET', path), options.description ? { json: true } : options);
      }),
    );
  return service.addCommand(removal('service'));
}

interface ServiceOptions {
  title: string;
  description?: string;
  personalData: boolean;
  safe?: true;
}

function removal(noun: 'member' | 'subsystem' | 'server' | 'service', verb = 'remove'): Command {
  return withChange(new Command(verb).argument('<id>').description(`remove a ${noun} from the registry`))
    .option('--yes', 'do not ask')
    .action(
      runAction(async (id: string, options: ChangeOptions) => {
        if (!options.dryRun) await confirm(`Remove ${noun} ${id}?`, options.yes);
        print(await callRegistry(options, 'DELETE', `/${noun}s/${id}`), options);
      }),
    );
}

/** What of a data folder's facts the registry does not have yet: it refuses to register a thing twice. */
async function newFacts(id: string, given: JsonObject, options: ServerOptions): Promise<JsonObject> {
  const registered = await callRegistry(options, 'GET', `/servers/${id}`);
  const known = JSON.stringify(registered);
  const isNew = (one: JsonValue) => !known.includes(String(isJsonObject(one) ? one['kid'] : one));
  const lists = Object.entries(given).flatMap(([name, value]): [string, JsonValue][] =>
    Array.isArray(value) ? [[name, value.filter(isNew)]] : [],
  );
  const changed = lists.filter(([, value]) => (value as JsonValue[]).length > 0);
  const { log } = given;
  const isMoved =
    log !== undefined && JSON.stringify(log) !== JSON.stringify(isJsonObject(registered) ? registered['log'] : null);
  return { address: given['address'] ?? '', ...(isMoved && { log }), ...Object.fromEntries(changed) };
}

async function givenFacts({ dir, from }: ServerOptions): Promise<JsonObject> {
  if (from !== undefined) return parseJsonObject(readFileSync(from));
  return dir === undefined ? {} : await registrationOfFolder(dir);
}

function serverFacts(command: Command): Command {
  return command
    .option('--address <url>', 'where peers reach it, https://host:port')
    .option('--auth-cert <file>', 'PEM file of a TLS certificate; repeatable', collect, [])
    .option('--sign-cert <file>', 'PEM file of a signing certificate; repeatable', collect, [])
    .option('--subsystem <id>', 'subsystem it speaks for; repeatable', collect, []);
}

function changedFacts({ address, authCert, signCert, subsystem }: ServerOptions): JsonObject {
  return {
    ...(address !== undefined && { address }),
    ...(authCert.length > 0 && { authenticationCertificates: authCert.map(leafOf) }),
    ...(signCert.length > 0 && { signingCertificates: signCert.map(leafOf) }),
    ...(subsystem.length > 0 && { subsystems: subsystem }),
  };
}

/** The first certificate of a PEM file. */
function leafOf(file: string): string {
  const [leaf] = pemCertificates(readFileSync(file, 'utf8'));
  if (!leaf) throw new CommandEnd(EXIT.usage, `${file} holds no certificate.`);
  return base64url(leaf);
}

async function members(options: RegistryCallOptions): Promise<RegisteredMember[]> {
  return (await listRegistry(options, '/members')) as unknown as RegisteredMember[];
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}
