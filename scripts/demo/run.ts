// What `npm run demo` does: four departments, four security servers, one story.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '#core/clock.ts';
import { readPersonas } from './personas.ts';
import { generatePopulation } from './residents.ts';
import { tellStory } from './story.ts';
import { DEPARTMENTS } from './tables.ts';
import { openTranscript, type Transcript } from './transcript.ts';
import { openWorld, type World } from './world.ts';

const HELP = `npm run demo [-- options]
  --json        one JSON object a line: {step, ok, …}
  --stay        leave everything running, print the addresses, end with Ctrl-C
  --data FILE   residents from a file of Myinfo v3 personas instead of made-up ones
  --seed N      another set of made-up residents (default 1)
`;
const MEMORY_LIMIT_MIB = 800;

/** Runs the demonstration; the exit status says whether every step did what it says. */
export async function runDemo(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      stay: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      data: { type: 'string' },
      seed: { type: 'string', default: '1' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new TypeError('--seed is a whole number');
  const tell = openTranscript(values.json, (text) => process.stdout.write(text));
  const folder = mkdtempSync(join(tmpdir(), 'accord-demo-'));
  const startedMs = systemClock.monotonicMs();
  // Given up half way: the processes of the story end with this one, and nothing of it stays on the disk.
  const giveUp = () => process.exit(130);
  process.once('SIGINT', giveUp);
  process.once('SIGTERM', giveUp);
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  let world: World | undefined;
  try {
    const population = values.data === undefined ? generatePopulation(seed) : readPersonas(readFileSync(values.data));
    tell.heading('Four departments');
    world = await openWorld(folder, population);
    tellWorld(tell, world, population.residents.length, systemClock.monotonicMs() - startedMs);
    await tellStory(world, population, tell, folder);
    tellMemory(tell, world, systemClock.monotonicMs() - startedMs);
    if (values.stay) {
      process.off('SIGINT', giveUp);
      process.off('SIGTERM', giveUp);
      await stay(world, values.json);
    }
  } finally {
    await world?.close();
    rmSync(folder, { recursive: true, force: true });
  }
  process.exitCode = tell.failed ? 1 : 0;
}

function tellWorld(tell: Transcript, world: World, residents: number, tookMs: number): void {
  const database = world.withoutPostgres === null ? 'PostgreSQL' : 'SQLite';
  tell.step('departments', residents > 0, { residents, taxDatabase: database, milliseconds: Math.round(tookMs) }, [
    `${residents} residents in the databases of Civil Affairs, Tax, Housing and Medical Insurance.`,
    world.withoutPostgres === null
      ? 'The Tax Office keeps its own on PostgreSQL, the others on SQLite.'
      : `All on SQLite: ${world.withoutPostgres}.`,
  ]);
  const { registry, servers } = world.network;
  const ids = servers.map((server) => server.id);
  const { release, entries } = world.dictionary;
  tell.step('dictionary', (entries['element'] ?? 0) > 0, { release, entries }, [
    `One dictionary for all, release ${release}: ${entries['element']} elements, ${entries['codelist']} codelists, ${entries['mapping']} mappings, ${entries['predicate']} predicates.`,
    'Each of the four services is bound to it: what stands at which place of an answer was compiled when it was published.',
  ]);
  tell.step('servers', servers.length === DEPARTMENTS.length, { servers: ids, registry: registry.configurationUrl }, [
    `${servers.length} security servers, each a process of its own, know each other from the registry’s signed configuration.`,
    'For the demonstration this process holds both approvers’ keys; in a real instance two persons do.',
  ]);
}

function tellMemory(tell: Transcript, world: World, tookMs: number): void {
  const processes = world.memory();
  const known = processes.filter((one) => one.mib !== null);
  const sum = known.reduce((total, one) => total + (one.mib ?? 0), 0);
  tell.heading('What it took');
  const seconds = Math.round(tookMs / 100) / 10;
  tell.step('resources', sum <= MEMORY_LIMIT_MIB, { seconds, memoryMiB: sum, limitMiB: MEMORY_LIMIT_MIB, processes }, [
    `${seconds} s, and ${sum} MiB for all ${known.length} processes together (summed PSS, without PostgreSQL).`,
    ...known.map((one) => `${String(one.mib).padStart(4)} MiB  ${one.name}`),
  ]);
}

async function stay(world: World, json: boolean): Promise<void> {
  const addresses = {
    registry: { configuration: world.network.registry.configurationUrl, admin: world.network.registry.adminUrl },
    servers: world.network.servers.map(({ id, subsystem, urls, folder }) => ({
      id,
      subsystem,
      ...urls,
      dataDir: folder,
    })),
  };
  process.stdout.write(
    json ? `${JSON.stringify({ step: 'stay', ok: true, ...addresses })}\n` : '\nEverything is running:\n',
  );
  if (!json) process.stdout.write(`${JSON.stringify(addresses, null, 2)}\nEnd with Ctrl-C.\n`);
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
}
