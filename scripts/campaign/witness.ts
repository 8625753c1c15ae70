import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { leafHash, verifyInclusion } from '#certs/merkle.ts';
import { type BoundedClient, openClient } from '#core/http/client.ts';
import { openCheckpoint } from '#core/log/signed-note.ts';
import { formatAddCheckpoint } from '#core/witness/add-checkpoint.ts';
import { goodCosignatures } from '#core/witness/cosignature.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { isAccordError } from '#schemas/problems.ts';
import { randomFrom, type Source } from '#scripts/demo/random.ts';
import { freePort } from '#scripts/free-port.ts';
import type { Campaign, CampaignResult, CampaignRun } from './campaign.ts';
import { startWitnessProcess, type WitnessProcess } from './witness-child.ts';
import type { WitnessAnswerOfProcess } from './witness-process.ts';
import {
  type CampaignLog,
  makeLogs,
  makeSetting,
  noteOf,
  partOf,
  SharedTree,
  type WitnessSetting,
  writeProcessFile,
} from './witness-setting.ts';

/** A registry whose memory does not outlive its process. */
export interface BrokenWitness {
  forgets: true;
}

const MINUTES = 3;
/** Below it two minutes do. */
const FEW = 1_000;
/** Entries that every log has more each minute: proofs are as long as those of busy servers. */
const GROWTH = 20_011;
const GROWTH_OF_FEW = 211;
const CONNECTIONS = 64;
/** Answers and anchorings of which everything is verified, each round. */
const SAMPLE = 50;

interface Site {
  setting: WitnessSetting;
  tree: SharedTree;
  http: BoundedClient;
  registry: WitnessProcess;
  department: WitnessProcess;
  found: string[];
  bytes: { sent: number; received: number; anchorings: number };
}

interface Round {
  cpuMs: number;
  departmentCpuMs: number;
  seconds: number;
  databaseBytes: number;
  answer: WitnessAnswerOfProcess;
}

/** Runs `each` over all, so many at once. */
async function inParallel<T>(all: readonly T[], each: (one: T, at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    while (next < all.length) {
      const at = next++;
      await each(all[at] as T, at);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, run));
}

/** One server's add-checkpoint; a cosignature that came counts. @returns the status; 0 when nobody answered */
async function submit(site: Site, log: CampaignLog, size: number, verifyIt: boolean): Promise<number> {
  const { setting, tree, http, registry, bytes, found } = site;
  const note = noteOf(log, size, tree.root(size));
  let oldSize = log.cosigned;
  for (let tries = 0; tries < 2; tries++) {
    const body = formatAddCheckpoint({ oldSize, proof: oldSize === 0 ? [] : tree.proof(oldSize, size), note });
    const answer = await ask(http, `${registry.url}/witness/add-checkpoint`, body);
    if (answer === null) return 0;
    bytes.sent += body.length;
    bytes.received += answer.body.length;
    if (answer.status === 200) {
      log.cosigned = size;
      const good = verifyIt ? goodCosignatures(note + answer.body.toString('utf8'), setting.registry.keys).length : 2;
      if (good !== 2) found.push(`${log.origin}: ${good} good cosignatures`);
      return 200;
    }
    // It stored the tree, and was killed before it answered.
    const held = Number(answer.body.toString('latin1'));
    if (answer.status !== 409 || held < log.cosigned || held > size) return answer.status;
    oldSize = held;
  }
  return 409;
}

async function ask(http: BoundedClient, url: string, body?: Buffer): Promise<{ status: number; body: Buffer } | null> {
  try {
    return await http.request({ method: body === undefined ? 'GET' : 'POST', url, ...(body && { body }) });
  } catch (error) {
    if (isAccordError(error)) return null;
    throw error;
  }
}

/** Everybody's checkpoint, then the minute's aggregate checkpoint. */
async function round(site: Site, size: number): Promise<Round> {
  const { setting, registry, department, found } = site;
  const [before, departmentBefore] = await Promise.all([
    registry.ask({ do: 'usage' }),
    department.ask({ do: 'usage' }),
  ]);
  const startedMs = performance.now();
  const every = Math.max(1, Math.floor(setting.logs.length / SAMPLE));
  await inParallel(setting.logs, async (log, at) => {
    const status = await submit(site, log, size, at % every === 0);
    if (status !== 200) found.push(`${log.origin} at ${size}: ${status}`);
  });
  const ticked = await registry.ask({ do: 'tick' });
  await inParallel(setting.logs, (log, at) => checkAnchoring(site, log, size, at % every === 0));
  const answer = await registry.ask({ do: 'usage' });
  const seconds = (performance.now() - startedMs) / 1000;
  const departmentAfter = await department.ask({ do: 'usage' });
  for (const alarm of [...ticked.alarms, ...answer.alarms, ...departmentAfter.alarms]) found.push(alarm);
  if (departmentAfter.finished !== answer.finished) found.push('the department stands for another size');
  return {
    cpuMs: answer.cpuMs - before.cpuMs,
    departmentCpuMs: departmentAfter.cpuMs - departmentBefore.cpuMs,
    seconds,
    databaseBytes: answer.databaseBytes,
    answer,
  };
}

async function checkAnchoring(site: Site, log: CampaignLog, size: number, verifyIt: boolean): Promise<void> {
  const { setting, tree, http, registry, found } = site;
  const answer = await ask(http, `${registry.url}/aggregate/anchoring?origin=${log.origin}&size=${size}`);
  if (answer?.status !== 200) {
    found.push(`${log.origin} at ${size}: no anchoring (${answer?.status})`);
    return;
  }
  const { aggregate } = JSON.parse(answer.body.toString('utf8')) as {
    aggregate: { checkpoint: string; index: number; path: string[] };
  };
  site.bytes.anchorings += answer.body.length;
  if (!verifyIt) return;
  const head = openCheckpoint(aggregate.checkpoint, setting.aggregate);
  const path = aggregate.path.map(fromBase64url);
  const leaf = leafHash(noteOf(log, size, tree.root(size)));
  if (!verifyInclusion(leaf, aggregate.index, head.size, path, head.root)) found.push(`${log.origin}: not included`);
  if (goodCosignatures(aggregate.checkpoint, setting.department.keys).length !== 2) found.push('not cosigned');
}

/** Kills the registry in the middle of a minute and starts it again. */
async function killed(site: Site, chance: Source, size: number, file: string): Promise<void> {
  const { setting, registry } = site;
  const killAt = chance.integer(1, Math.max(2, Math.floor(setting.logs.length * 0.7)));
  let done = 0;
  let dead: Promise<void> | undefined;
  await inParallel(setting.logs, async (log) => {
    if (++done === killAt) dead = registry.kill();
    if (dead === undefined) await submit(site, log, size, false);
  });
  await dead;
  site.registry = await startWitnessProcess(file);
}

/** Who was cosigned before shows another history of the very size. @returns how many tried */
async function fork(site: Site, chance: Source): Promise<number> {
  const { setting, tree, http, registry, found } = site;
  const other = new SharedTree(Math.max(...setting.logs.map(({ cosigned }) => cosigned)), 1);
  let tried = 0;
  for (let turn = 0; turn < SAMPLE; turn++) {
    const log = setting.logs[chance.integer(0, setting.logs.length - 1)];
    if (log === undefined || log.cosigned === 0) continue;
    tried++;
    for (const [oldSize, proof] of [
      [log.cosigned, []],
      [0, []],
      [1, other.proof(1, log.cosigned)],
    ] as [number, Buffer[]][]) {
      const note = noteOf(log, log.cosigned, other.root(log.cosigned));
      const answer = await ask(
        http,
        `${registry.url}/witness/add-checkpoint`,
        formatAddCheckpoint({ oldSize, proof, note }),
      );
      if (answer?.status !== 409) found.push(`${log.origin}: a second history at ${log.cosigned}: ${answer?.status}`);
    }
    if (other.root(log.cosigned).equals(tree.root(log.cosigned))) throw new Error('the two histories are one');
  }
  return tried;
}

async function openSite(place: string, size: number, broken: BrokenWitness | undefined) {
  const setting = makeSetting(place, makeLogs(size));
  const ports = { registry: await freePort(), department: await freePort() };
  const database = broken === undefined ? join(place, 'witness.db') : ':memory:';
  const file = writeProcessFile(setting, 'registry', ports, database);
  const [registry, department] = await Promise.all([
    startWitnessProcess(file),
    startWitnessProcess(writeProcessFile(setting, 'department', ports, join(place, 'department.db'))),
  ]);
  await registry.ask({ do: 'policy', part: partOf(setting, registry.url, department.url) });
  const http = openClient({ maxConnectionsPerOrigin: CONNECTIONS });
  const growth = size < FEW ? GROWTH_OF_FEW : GROWTH;
  const tree = new SharedTree(growth * (MINUTES + 2));
  const site: Site = {
    setting,
    tree,
    http,
    registry,
    department,
    found: [],
    bytes: { sent: 0, received: 0, anchorings: 0 },
  };
  return { site, file, growth };
}

async function run({ size: wanted, seed, broken, say }: CampaignRun<BrokenWitness>): Promise<CampaignResult> {
  const size = Math.max(10, wanted);
  const chance = randomFrom(seed);
  const place = mkdtempSync(join(tmpdir(), 'accord-witness-'));
  const { site, file, growth } = await openSite(place, size, broken);
  const { setting, found } = site;
  const minutes = broken ? 1 : size < FEW ? 2 : MINUTES;
  try {
    const rounds: Round[] = [];
    for (let minute = 1; minute <= minutes; minute++) {
      const one = await round(site, minute * growth);
      rounds.push(one);
      say?.(`minute ${minute}: ${told(one, size)}`);
    }
    const bytes = { ...site.bytes };
    await killed(site, chance, (minutes + 1) * growth, file);
    const forksTried = await fork(site, chance);
    if (broken) return { size, failures: found.length, found, forksTried };
    await site.registry.ask({ do: 'policy', part: partOf(setting, site.registry.url, site.department.url) });
    const last = await round(site, (minutes + 2) * growth);
    say?.(`after the kill: ${told(last, size)}; ${forksTried} tried another history`);
    return { size, failures: found.length, found, forksTried, ...numbersOf(rounds, bytes, size) };
  } finally {
    await Promise.all([site.registry.kill(), site.department.kill()]);
    await site.http.close();
    rmSync(place, { recursive: true, force: true });
  }
}

function told({ cpuMs, departmentCpuMs, seconds, answer }: Round, size: number): string {
  const cpu = `${(cpuMs / 1000).toFixed(2)} s of processor time at the registry`;
  const department = `${(departmentCpuMs / 1000).toFixed(2)} s at the department`;
  return `${size} logs in ${seconds.toFixed(1)} s; ${cpu}, ${department}; ${answer.rssMib} MiB; ${answer.turns} commits so far`;
}

function numbersOf(rounds: readonly Round[], { sent, received, anchorings }: Site['bytes'], size: number) {
  // The first minute warms up, and has no proofs.
  const warm = rounds.slice(1);
  const mean = (of: (one: Round) => number) => warm.reduce((sum, one) => sum + of(one), 0) / Math.max(1, warm.length);
  const last = rounds.at(-1);
  const hundredth = (value: number) => Math.round(value * 100) / 100;
  return {
    minutes: rounds.length,
    cpuSecondsPerMinute: hundredth(mean(({ cpuMs }) => cpuMs) / 1000),
    departmentCpuSecondsPerMinute: hundredth(mean(({ departmentCpuMs }) => departmentCpuMs) / 1000),
    secondsPerMinute: hundredth(mean(({ seconds }) => seconds)),
    bytesSentPerCheckpoint: Math.round(sent / (size * rounds.length)),
    bytesReceivedPerCheckpoint: Math.round(received / (size * rounds.length)),
    bytesPerAnchoring: Math.round(anchorings / (size * rounds.length)),
    storedBytesPerCheckpoint: Math.round((last?.databaseBytes ?? 0) / (size * rounds.length)),
    commitsPerMinute: Math.round((last?.answer.turns ?? 0) / rounds.length),
    rssMib: last?.answer.rssMib ?? 0,
  };
}

export const witness: Campaign<BrokenWitness> = {
  name: 'witness',
  title: 'cosignatures and aggregate log for so many security servers a minute',
  defaultSize: 10_000,
  run,
};
