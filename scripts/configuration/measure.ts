// `node scripts/configuration/measure.ts [--members 10,1000,10000] [--log-entries N] [--no-start] [--json]`: what a global
// configuration costs a security server as it grows. For each size, in a process of its own: the first load over HTTP,
// look-ups of random servers, reloads of contents in which one member changed (with the longest time the event loop stood
// still), memory a member; and a whole server (`security-server/main.ts`) from its start to its ready line and idle. The
// figures in docs/performance.md come from here.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DEV_KEY_FILE_COST, endWithUs, firstLine, LEAN_SERVER, stopProcess } from '#cli/dev/network.ts';
import { systemClock } from '#core/clock.ts';
import { openConfigurationClient } from '#core/configuration/client.ts';
import { fetchOverHttp } from '#core/configuration/fetch.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import { openClient } from '#core/http/client.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import { randomFrom } from '#scripts/demo/random.ts';
import { madeAnswers, madeRequests } from '#scripts/log/made-log.ts';
import { FILES, foldersOf, initServerFolder } from '#security-server/data-folder.ts';
import { folderKeySource, readRegistration } from '#security-server/folder-keys.ts';
import { currentLogOrigin } from '#security-server/log-origin.ts';
import { MADE_INSTANCE, type MadeConfiguration, makeConfiguration } from './made-configuration.ts';
import { watchLoop } from './watch-loop.ts';

const LOOK_UPS = 200_000;
const RELOADS = 20;
const STARTS = 3;
// A server collects what its start left behind when it had nothing to do for three seconds.
const IDLE_AFTER_MS = 8_000;
const PASSPHRASE = 'only for measuring, thrown away';

const { values } = parseArgs({
  options: {
    members: { type: 'string' },
    'log-entries': { type: 'string' },
    'no-start': { type: 'boolean' },
    json: { type: 'boolean' },
    one: { type: 'string' },
  },
});
const sizes = (values.members ?? '10,1000,10000').split(',').map(Number);
const logEntries = Number(values['log-entries'] ?? 0);
if (sizes.some((size) => !(size >= 1 && size <= 20_000)) || !(logEntries >= 0 && logEntries <= 10_000_000)) {
  console.error('--members 1 to 20000 each, --log-entries up to 10000000');
  process.exit(2);
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const rounded = (value: number, digits = 1) => Math.round(value * 10 ** digits) / 10 ** digits;

function spread(samples: number[]) {
  samples.sort((a, b) => a - b);
  const at = (share: number) => rounded(samples[Math.min(samples.length - 1, Math.floor(samples.length * share))] ?? 0);
  return { median: at(0.5), most: at(1) };
}

/** Objects on V8's heap and bytes beside it, in KiB. */
async function memoryKiB() {
  for (let turn = 0; turn < 3; turn += 1) {
    collectGarbage();
    await wait(20);
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed / 1024, bytes: arrayBuffers / 1024 };
}

/** What the measured process is told: where the configuration is, and where its copy lies. */
interface Errand {
  anchor: MadeConfiguration['anchor'];
  url: string;
  folder: string;
  members: number;
}

async function measureClient({ anchor, url, folder, members }: Errand) {
  const http = openClient();
  const options = { folder, anchor, clock: systemClock, fetch: [fetchOverHttp(http, url)], pollMs: 0 };
  const before = await memoryKiB();
  const loop = watchLoop();
  let fromMs = performance.now();
  let client = await openConfigurationClient(options);
  client.current().hasSubsystem('GX/GOV/10000/registry');
  const firstLoad = { ms: rounded(performance.now() - fromMs, 0), ...loop.stop() };
  const memory = await memoryKiB();
  const lookUpMicros = { first: lookUps(client.current(), members, members) };
  const warm = { ...lookUpMicros, warm: lookUps(client.current(), members, LOOK_UPS) };
  const used = await memoryKiB();
  const each = (now: number, then: number) => rounded((now - then) / members, 2);
  const kibPerMember = { heap: each(memory.heap, before.heap), bytes: each(memory.bytes, before.bytes) };
  const kibPerMemberUsed = { heap: each(used.heap, before.heap), bytes: each(used.bytes, before.bytes) };
  const reload = await reloads(client, http, url, members);
  await client.close();
  fromMs = performance.now();
  const cpu = process.cpuUsage();
  client = await openConfigurationClient({ ...options, fetch: [] });
  client.current().hasSubsystem('GX/GOV/10000/registry');
  const { user, system } = process.cpuUsage(cpu);
  const fromDisk = { ms: rounded(performance.now() - fromMs, 0), cpuMs: rounded((user + system) / 1e3, 0) };
  await client.close();
  await http.close();
  return { members, firstLoad, fromDisk, kibPerMember, kibPerMemberUsed, lookUpMicros: warm, reload };
}

type Snapshot = ReturnType<Awaited<ReturnType<typeof openConfigurationClient>>['current']>;

/** Mean microseconds of processor time of what an exchange asks: a server by id, by certificate, those of a subsystem, a service. */
function lookUps(snapshot: Snapshot, members: number, count: number) {
  const chance = randomFrom(1);
  const names = Array.from({ length: Math.min(count, members) }, () => {
    const id = `GX/GOV/${10_000 + chance.integer(0, members - 1)}`;
    const server = `${id}/ss${chance.integer(1, 2)}`;
    return { id, server, subsystem: `${id}/registry`, service: `${id}/registry/search`, hash: '' };
  });
  const found: (ServerEntry | undefined)[] = [];
  const timed = (look: (at: number) => unknown) => {
    const from = process.threadCpuUsage();
    for (let turn = 0; turn < count; turn += 1) if (look(turn % names.length) === undefined) throw new Error('absent');
    const { user, system } = process.threadCpuUsage(from);
    return rounded((user + system) / count, 2);
  };
  const name = (at: number) => names[at] ?? { id: '', server: '', subsystem: '', service: '', hash: '' };
  const server = timed((at) => snapshot.server(name(at).server));
  for (const one of names) found.push(snapshot.server(one.server));
  names.forEach((one, at) => {
    one.hash = found[at]?.authenticationCertificates[0]?.hash ?? '';
  });
  return {
    server,
    certificate: timed((at) => snapshot.serverByAuthenticationHash(name(at).hash)),
    subsystem: timed((at) => snapshot.serversOf(name(at).subsystem)[0]),
    isRegistered: timed((at) => snapshot.hasSubsystem(name(at).subsystem) || undefined),
    service: timed((at) => snapshot.service(name(at).service)),
  };
}

async function reloads(
  client: Awaited<ReturnType<typeof openConfigurationClient>>,
  http: ReturnType<typeof openClient>,
  url: string,
  members: number,
) {
  const [took, stalls, turns, cpus]: number[][] = [[], [], [], []];
  for (let turn = 0; turn < RELOADS; turn += 1) {
    await http.request({ method: 'GET', url: `${url}next`, headers: [], maxResponseBytes: 100, timeoutMs: 60_000 });
    const loop = watchLoop();
    const [fromMs, cpu] = [performance.now(), process.threadCpuUsage()];
    // Whoever watches the loop uses the processor.
    if (turn % 2 === 0) loop.stop();
    const { outcome, detail } = await client.refresh();
    if (outcome !== 'updated') throw new Error(`${outcome} ${detail}`);
    // The first question of the next exchange belongs to it.
    client.current().server(`GX/GOV/${10_000 + (turn % members)}/ss1`);
    took?.push(performance.now() - fromMs);
    const { user, system } = process.threadCpuUsage(cpu);
    if (turn % 2 === 0) {
      cpus?.push((user + system) / 1e3);
      continue;
    }
    const { longestMs, longestTurnMs } = loop.stop();
    stalls?.push(longestMs);
    turns?.push(longestTurnMs);
  }
  const [ms, stallMs, longestTurnMs, cpuMs] = [took, stalls, turns, cpus].map((list) => spread(list ?? []));
  return { ms, cpuMs, stallMs, longestTurnMs };
}

/** From spawning to the ready line, with everything on its disk already; then what it takes when nothing happens. */
async function measureStart(made: MadeConfiguration) {
  const folder = mkdtempSync(join(tmpdir(), 'accord-measure-start-'));
  try {
    const id = `${made.members[0]?.id}/ss1`;
    await makeServerFolder(folder, id, made);
    const passphraseFile = join(folder, 'passphrase');
    writeFileSync(passphraseFile, `${PASSPHRASE}\n`, { mode: 0o600 });
    const env = { ...process.env, ...LEAN_SERVER, ACCORD_KEY_PASSPHRASE_FILE: passphraseFile };
    const [starts, cpus]: [number[], number[]] = [[], []];
    let idleMiB = 0;
    for (let turn = 0; turn <= STARTS; turn += 1) {
      const fromMs = performance.now();
      const child = spawn(process.execPath, ['security-server/main.ts', '--dir', folder, '--log-level', 'error'], {
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      endWithUs(child);
      await firstLine(child);
      // The first start fetches everything, and compiles the program.
      if (turn > 0) {
        starts.push(performance.now() - fromMs);
        cpus.push(cpuMillis(child.pid ?? 0));
      }
      if (turn === STARTS) {
        await wait(IDLE_AFTER_MS);
        const status = readFileSync(`/proc/${child.pid}/status`, 'latin1');
        idleMiB = rounded(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024, 0);
      }
      await stopProcess(child);
    }
    return { readyMs: spread(starts), cpuMs: spread(cpus), idleMiB, logEntries };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Of all threads of a process since it began. */
function cpuMillis(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanos = threads.map((id) =>
    Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'latin1').split(' ', 1)[0]),
  );
  return nanos.reduce((sum, one) => sum + one, 0) / 1e6;
}

async function makeServerFolder(folder: string, id: string, made: MadeConfiguration): Promise<void> {
  const { requests } = await initServerFolder({
    folder,
    settings: {
      ...{ id, address: 'https://127.0.0.1:5500', host: '127.0.0.1' },
      ports: { peer: 0, systems: 0, loopback: 0, admin: 0, health: 0 },
    },
    anchorText: JSON.stringify(made.anchor),
    passphrase: PASSPHRASE,
    nowMs: systemClock.nowMs(),
    dnsNames: [],
    ipAddresses: ['127.0.0.1'],
    keyFileCost: DEV_KEY_FILE_COST,
  });
  for (const profile of ['authentication', 'signing'] as const) {
    const pem = await made.authority.certify(profile, id, requests[profile] ?? '');
    writeFileSync(join(folder, FILES.certificates, `${profile}.pem`), pem);
  }
  const [member] = made.members;
  const server = member?.servers[0];
  if (member === undefined || server === undefined) throw new TypeError('there is a first member');
  const own = { ...server, ...(await readRegistration(folder, id, systemClock.nowMs())) };
  made.members[0] = { ...member, servers: [own, ...member.servers.slice(1)] };
  made.publish();
  if (logEntries > 0) await fillLog(folder, id);
}

async function fillLog(folder: string, id: string): Promise<void> {
  const keys = await folderKeySource(folder, PASSPHRASE).open();
  const at = foldersOf(folder);
  mkdirSync(at.log, { recursive: true, mode: 0o700 });
  const log = await openMessageLog({
    folder: at.log,
    keyFolder: at.recordKeys,
    checkpointFile: at.checkpointFile,
    origin: currentLogOrigin(id, folder),
    checkpointKey: keys.checkpoint,
    storageKey: keys.storageKey,
    clock: systemClock,
  });
  while (log.size() < logEntries) {
    const requests = madeRequests({ size: 256, nowMs: systemClock.nowMs(), sealed: false });
    await Promise.all(requests.map((record) => log.append(record)));
    await Promise.all(madeAnswers(requests, systemClock.nowMs(), false).map((record) => log.append(record)));
  }
  await log.close();
}

/** In a process of its own: what other sizes left behind, and what makes and serves it, is not counted. */
async function inOwnProcess(errand: Errand): Promise<unknown> {
  const file = join(errand.folder, 'errand.json');
  writeFileSync(file, JSON.stringify(errand));
  const child = spawn(process.execPath, [import.meta.filename, '--one', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  endWithUs(child);
  const pieces: Buffer[] = [];
  for await (const piece of child.stdout) pieces.push(piece as Buffer);
  return JSON.parse(Buffer.concat(pieces).toString()) as unknown;
}

async function measure(members: number) {
  const made = await makeConfiguration(members, systemClock);
  const folder = mkdtempSync(join(tmpdir(), 'accord-measure-'));
  try {
    made.publish();
    const partBytesPerMember = Math.round(made.partBytes() / members);
    const client = await inOwnProcess({ anchor: made.anchor, url: made.url, folder, members });
    const start = values['no-start'] ? null : await measureStart(made);
    return { ...(client as object), partBytesPerMember, start };
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await made.close();
  }
}

if (values.one === undefined) {
  const results: unknown[] = [];
  for (const size of sizes) results.push(await measure(size));
  console.log(JSON.stringify({ instance: MADE_INSTANCE, results }, null, values.json ? 0 : 2));
} else {
  console.log(JSON.stringify(await measureClient(JSON.parse(readFileSync(values.one, 'utf8')) as Errand)));
}
