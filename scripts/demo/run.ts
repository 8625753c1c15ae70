// What `npm run demo` does: four departments, a consent office, five security servers, one story.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '#core/clock.ts';
import { untilSignal } from '#core/program.ts';
import { typed } from './accord-command.ts';
import { asHousing, requestCommand, tellConsent } from './consent-story.ts';
import { tellEmergency } from './emergency-story.ts';
import { tellEvidence } from './evidence-story.ts';
import { chooseResident } from './people.ts';
import { readPersonas } from './personas.ts';
import { generatePopulation } from './residents.ts';
import { tellStory } from './story.ts';
import { DEPARTMENTS } from './tables.ts';
import { openTranscript, type Transcript } from './transcript.ts';
import { openHttpVisitor, type Visitor } from './visitor.ts';
import { openWorld, type World } from './world.ts';

const HELP = `npm run demo [-- options]
  --json        one JSON object a line: {step, ok, …}
  --stay        leave everything running, print the addresses and what to try, end with Ctrl-C
  --browser     the citizen's part in Chromium, with pictures, when there is one; else over HTTP as always
  --data FILE   residents from a file of Myinfo v3 personas instead of made-up ones
  --seed N      another set of made-up residents (default 1)
`;
const MEMORY_LIMIT_MIB = 1024;

/** Runs the demonstration; the exit status says whether every step did what it says. */
export async function runDemo(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      stay: { type: 'boolean', default: false },
      browser: { type: 'boolean', default: false },
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
  let visitor: Visitor | undefined;
  try {
    const population = values.data === undefined ? generatePopulation(seed) : readPersonas(readFileSync(values.data));
    tell.heading('Four departments and a consent office');
    world = await openWorld(folder, population);
    tellWorld(tell, world, population.residents.length, systemClock.monotonicMs() - startedMs);
    const lookup = await tellStory(world, population, tell, folder);
    visitor = await openVisitor(tell, values.browser);
    const story = { world, tell, folder, visitor, resident: chooseResident(population).resident };
    await tellConsent(story);
    await tellEmergency(story);
    await tellEvidence(story, lookup ?? '');
    tellPictures(tell, visitor);
    tellMemory(tell, world, systemClock.monotonicMs() - startedMs);
    if (values.stay) {
      process.off('SIGINT', giveUp);
      process.off('SIGTERM', giveUp);
      await stay(world, folder, values.json);
    }
  } finally {
    await visitor?.close();
    await world?.close();
    rmSync(folder, { recursive: true, force: true });
  }
  process.exitCode = tell.failed ? 1 : 0;
}

/** Chromium where it was asked for and is there. */
async function openVisitor(tell: Transcript, isBrowser: boolean): Promise<Visitor> {
  if (!isBrowser) return openHttpVisitor();
  const { openChromiumVisitor } = await import('./visitor-chromium.ts');
  const opened = await openChromiumVisitor();
  if (!('skipped' in opened)) return opened;
  const { skipped } = opened;
  tell.step('browser', true, { skipped }, [`Without Chromium the citizen’s part goes over HTTP: ${skipped}.`]);
  return openHttpVisitor();
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
  tell.step(
    'servers',
    servers.length === DEPARTMENTS.length + 1,
    { servers: ids, registry: registry.configurationUrl },
    [
      `${servers.length} security servers, each a process of its own, know each other from the registry’s signed configuration.`,
      'The fifth is the consent office’s: it runs the consent service, and citizens sign in at an identity provider.',
      'For the demonstration this process holds both approvers’ keys; in a real instance two persons do.',
    ],
  );
}

function tellPictures(tell: Transcript, { pictures }: Visitor): void {
  if (pictures === null) return;
  const files = readdirSync(pictures);
  tell.step('pictures', files.length > 0, { folder: pictures, files }, [
    `What the resident saw: ${files.length} pictures in ${pictures}.`,
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

async function stay(world: World, folder: string, json: boolean): Promise<void> {
  const { registry, servers } = world.network;
  const { urls, citizens } = world.consentOffice;
  const addresses = {
    registry: { configuration: registry.configurationUrl, admin: registry.adminUrl },
    servers: servers.map(({ id, subsystem, urls, folder }) => ({ id, subsystem, ...urls, dataDir: folder })),
    citizen: { url: urls.citizen, signInAs: citizens },
  };
  const commands = commandsToTry(world, folder);
  const inOneLine = commands.map((words) => typed(words).join('\n'));
  if (json) {
    process.stdout.write(`${JSON.stringify({ step: 'stay', ok: true, ...addresses, commands: inOneLine })}\n`);
  } else {
    const people = citizens.map(({ name, id }) => `${name} (${id})`).join(', ');
    const lines = [
      `\nEverything is running:\n${JSON.stringify(addresses, null, 2)}`,
      `\nThe citizen’s pages: ${urls.citizen}\nSign in there as ${people}.`,
      `\nTo try, in this folder in another window:\nalias accord="$PWD/bin/accord.js"\n${inOneLine.join('\n')}`,
      '\nEnd with Ctrl-C.\n',
    ];
    process.stdout.write(lines.join('\n'));
  }
  await untilSignal();
}

/** Another request for the citizen to decide, what became of all, and the message log of who was asked. */
function commandsToTry(world: World, folder: string): string[][] {
  return [
    requestCommand(world, folder),
    ['consent', 'list', ...asHousing(world)],
    ['log', 'show', '--dir', world.servers['civil-affairs'].folder, '--limit', '1000'],
  ];
}
