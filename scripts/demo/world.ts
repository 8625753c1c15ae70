// Everything the demonstration stands on: four databases, their adapters, four security servers and the registry. Each
// security server and each adapter is a process of its own, as in life; this process holds the registry and, because it
// is a demonstration, the keys of both approvers.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { pino } from 'pino';
import {
  type DevNetwork,
  type DevServer,
  endWithUs,
  firstLine,
  LEAN_MEMORY,
  openDevNetwork,
  stopProcess,
} from '#cli/dev/network.ts';
import { OWN_DICTIONARY, readDictionaryFolder } from '#cli/dictionary-folder.ts';
import { systemClock } from '#core/clock.ts';
import { parseJson } from '#schemas/json.ts';
import { type RunningPostgres, startPostgres } from '#scripts/postgres.ts';
import { makeDatabases } from './databases.ts';
import { GRANTS, INSTANCE, MEMBERS, PURPOSES, serviceOf } from './departments.ts';
import { pssMiB } from './memory.ts';
import type { Population } from './residents.ts';
import { DEPARTMENTS, type Department } from './tables.ts';

export interface World {
  network: DevNetwork;
  servers: Record<Department, DevServer>;
  /** The release of the shared dictionary, and its entries by kind. */
  dictionary: { release: string; entries: Record<string, number> };
  /** Why there is no PostgreSQL, or null when the tax office runs on it. */
  withoutPostgres: string | null;
  /** MiB by process, summed PSS; null where the kernel does not tell. */
  memory(): { name: string; mib: number | null }[];
  close(): Promise<void>;
}

const DICTIONARY_RELEASE = '1.0.0';

interface Adapter {
  url: string;
  child: ChildProcess;
  description: object;
}

/** @param processes whether each security server is a process of its own, as in life, or runs in this one */
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
    const adapters = await openAdapters(databases.adapterFiles, databases.environment);
    ending.push(() => Promise.all(Object.values(adapters).map(({ child }) => stopProcess(child))));
    const servers = Object.fromEntries(DEPARTMENTS.map((name, at) => [name, network.servers[at]])) as World['servers'];
    const dictionary = await releaseDictionary(network);
    await network.addPurposes(PURPOSES);
    await publishServices(network, servers, adapters);
    return {
      network,
      servers,
      dictionary,
      withoutPostgres: databases.withoutPostgres,
      memory: () => [
        { name: 'registry and this demonstration', mib: pssMiB(process.pid) },
        ...DEPARTMENTS.map((name) => ({ name: servers[name].id, mib: pssMiB(servers[name].pid ?? 0) })),
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
    members: DEPARTMENTS.map((name) => MEMBERS[name]),
    clock: systemClock,
    logger: pino({ level: 'error' }, pino.destination(2)),
    processes,
  });
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
          env: { ...process.env, ...LEAN_MEMORY, ...environment },
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      endWithUs(child);
      const { url } = parseJson(await firstLine(child)) as { url: string };
      const description = (await (await fetch(`${url}/openapi.json`)).json()) as object;
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
      title: MEMBERS[department].title,
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
