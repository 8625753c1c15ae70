// Everything the demonstration stands on: four databases, their adapters, the consent office, five security servers and the
// registry. Each security server, each adapter and the consent service is a process of its own, as in life; this process
// holds the registry, the identity provider and, because it is a demonstration, the keys of both approvers.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { pino } from 'pino';
import { exportPublicJwk, generateKeys, thumbprint } from '#certs/keys.ts';
import type { NamedKey } from '#certs/registered-key.ts';
import {
  type DevNetwork,
  type DevServer,
  endWithUs,
  firstLine,
  openDevNetwork,
  stopProcess,
} from '#cli/dev/network.ts';
import { OWN_DICTIONARY, readDictionaryFolder } from '#cli/dictionary-folder.ts';
import { systemClock } from '#core/clock.ts';
import { parseJson } from '#schemas/json.ts';
import { type RunningPostgres, startPostgres } from '#scripts/postgres.ts';
import { type ConsentOffice, openConsentOffice } from './consent-office.ts';
import { makeDatabases } from './databases.ts';
import {
  CONSENT_OFFICE,
  CONSENT_REQUESTS,
  FILING_RIGHT,
  GRANTS,
  INSTANCE,
  MEMBERS,
  PURPOSES,
  serviceOf,
  subsystemOf,
} from './departments.ts';
import { LEAN_ENVIRONMENT } from './lean.ts';
import { pssMiB } from './memory.ts';
import { citizensOf } from './people.ts';
import type { Population } from './residents.ts';
import { DEPARTMENTS, type Department } from './tables.ts';

export interface World {
  network: DevNetwork;
  servers: Record<Department, DevServer>;
  consentOffice: ConsentOffice & { server: DevServer };
  /** Keys of two officials of Medical Insurance; in life each stays with its official. */
  officials: readonly [NamedKey, NamedKey];
  /** The release of the shared dictionary, and its entries by kind. */
  dictionary: { release: string; entries: Record<string, number> };
  /** Why there is no PostgreSQL, or null when the tax office runs on it. */
  withoutPostgres: string | null;
  /** MiB by process, summed PSS; null where the kernel does not tell. */
  memory(): { name: string; mib: number | null }[];
  close(): Promise<void>;
}

const DICTIONARY_RELEASE = '1.0.0';
/** China's legal day. */
const UTC_OFFSET_MINUTES = 480;

interface Adapter {
  url: string;
  child: ChildProcess;
  description: { info: { title: string } };
}

/** @param processes whether security servers and consent service are processes of their own, as in life, or run in this one */
export async function openWorld(folder: string, population: Population, processes = true): Promise<World> {
  const ending: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const end of ending.reverse()) await end();
  };
  try {
    // The servers need nothing of the databases to start, so both are made at once.
    const [network, databases] = await Promise.all([openNetwork(folder, processes), openDatabases(folder, population)]);
    ending.push(() => databases.postgres?.stop() ?? Promise.resolve());
    ending.push(() => network.close());
    const servers = Object.fromEntries(DEPARTMENTS.map((name, at) => [name, network.servers[at]])) as World['servers'];
    const [consentOffice, adapters] = await Promise.all([
      openOffice(folder, network, population, processes),
      openAdapters(databases.adapterFiles, databases.environment),
    ]);
    ending.push(() => Promise.all(Object.values(adapters).map(({ child }) => stopProcess(child))));
    ending.push(() => consentOffice.close());
    const dictionary = await releaseDictionary(network);
    await network.addPurposes(PURPOSES);
    await registerOffice(network, consentOffice);
    const officials = [namedKey(), namedKey()] as const;
    await registerOfficials(network, officials);
    await publishServices(network, servers, adapters);
    await consentOffice.server.call('POST', '/access-rights', FILING_RIGHT);
    return {
      network,
      servers,
      consentOffice,
      officials,
      dictionary,
      withoutPostgres: databases.withoutPostgres,
      memory: () => [
        { name: 'registry, identity provider and this demonstration', mib: pssMiB(process.pid) },
        ...DEPARTMENTS.map((name) => ({ name: servers[name].id, mib: pssMiB(servers[name].pid ?? 0) })),
        { name: consentOffice.server.id, mib: pssMiB(consentOffice.server.pid ?? 0) },
        { name: 'consent service', mib: pssMiB(consentOffice.pid ?? 0) },
        ...DEPARTMENTS.map((name) => ({ name: `adapter ${name}`, mib: pssMiB(adapters[name].child.pid ?? 0) })),
      ],
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function openNetwork(folder: string, processes: boolean): Promise<DevNetwork> {
  return openDevNetwork({
    folder: join(folder, 'network'),
    instance: INSTANCE,
    members: [...DEPARTMENTS.map((name) => MEMBERS[name]), CONSENT_OFFICE],
    clock: systemClock,
    logger: pino({ level: 'error' }, pino.destination(2)),
    processes,
  });
}

async function openOffice(folder: string, network: DevNetwork, population: Population, processes: boolean) {
  const server = network.servers[DEPARTMENTS.length];
  if (server === undefined) throw new Error('the consent office has no security server');
  const { registry, passphraseFile } = network;
  const office = await openConsentOffice({
    folder: join(folder, 'consent-service'),
    anchorText: JSON.stringify(registry.anchor),
    citizens: citizensOf(population),
    ...{ server, passphraseFile, processes },
  });
  return { ...office, server };
}

/** What `accord registry consent-service-set`, `identity-provider-set` and `limit-set` hand in, and its one service. */
async function registerOffice(network: DevNetwork, office: World['consentOffice']): Promise<void> {
  const { registry } = network;
  const { registration, identityProvider, server, urls } = office;
  await registry.call('POST', '/consent-services', registration);
  await registry.call('POST', '/identity-providers', identityProvider);
  await registry.call('POST', '/limits', { name: 'utcOffsetMinutes', value: UTC_OFFSET_MINUTES });
  const service = { id: CONSENT_REQUESTS, title: 'Consent requests', url: urls.filing };
  await network.addService(server, { ...service, personalData: false, safe: false });
}

function namedKey(): NamedKey {
  const { privateKey } = generateKeys('P-256');
  return { kid: thumbprint(privateKey), privateKey };
}

async function registerOfficials({ registry }: DevNetwork, officials: readonly NamedKey[]): Promise<void> {
  const keys = officials.map(({ kid, privateKey }) => ({ kid, jwk: exportPublicJwk(privateKey) }));
  keys.sort((one, other) => (one.kid < other.kid ? -1 : 1));
  await registry.call('POST', '/official-keys', { subsystem: subsystemOf('medical-insurance'), keys });
}

async function openDatabases(folder: string, population: Population) {
  const started = await startPostgres();
  const postgres: RunningPostgres | null = 'url' in started ? started : null;
  const withoutPostgres = 'url' in started ? null : started.skipped;
  try {
    const made = await makeDatabases(join(folder, 'departments'), population, postgres?.url);
    return { ...made, postgres, withoutPostgres };
  } catch (error) {
    await postgres?.stop();
    throw error;
  }
}

async function openAdapters(
  files: Record<Department, string>,
  environment: Record<string, string>,
): Promise<Record<Department, Adapter>> {
  const opened = await Promise.all(
    DEPARTMENTS.map(async (department) => {
      const script = 'cli/main.ts';
      const child = spawn(
        process.execPath,
        [...process.execArgv, script, 'adapter', 'serve', files[department], '--port', '0', '--json'],
        {
          cwd: join(import.meta.dirname, '../..'),
          env: { ...process.env, ...LEAN_ENVIRONMENT, ...environment },
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      endWithUs(child);
      const { url } = parseJson(await firstLine(child)) as { url: string };
      const description = (await (await fetch(`${url}/openapi.json`)).json()) as Adapter['description'];
      return [department, { url, child, description }] as const;
    }),
  );
  return Object.fromEntries(opened) as unknown as Record<Department, Adapter>;
}

/** The dictionary that Accord comes with, whole; the registry runs every test in it before it takes it. */
async function releaseDictionary(network: DevNetwork): Promise<World['dictionary']> {
  const { entries, failures } = readDictionaryFolder(OWN_DICTIONARY);
  const [broken] = failures;
  if (broken !== undefined) throw new Error(`${broken.entry}: ${broken.code} ${broken.detail}`);
  await network.releaseDictionary(DICTIONARY_RELEASE, entries);
  const counts: Record<string, number> = {};
  for (const { kind } of entries) counts[kind] = (counts[kind] ?? 0) + 1;
  return { release: DICTIONARY_RELEASE, entries: counts };
}

async function publishServices(
  network: DevNetwork,
  servers: World['servers'],
  adapters: Record<Department, Adapter>,
): Promise<void> {
  for (const department of DEPARTMENTS) {
    const { url, description } = adapters[department];
    // Its words x-accord-… bind it to the dictionary: the registry compiles them into the service's binding table.
    await network.addService(servers[department], {
      id: serviceOf(department),
      title: description.info.title,
      url,
      personalData: true,
      safe: true,
      description,
    });
  }
  await network.publish();
  // A right names elements that its service gives, so the tables must have arrived.
  for (const { provider, right } of GRANTS) await servers[provider].call('POST', '/access-rights', right);
}
