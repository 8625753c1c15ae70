// Campaign `kill`: kill -9 of real processes under load, restart on the same folder, then an audit of both logs. The
// promises: no acknowledged record is lost, no request is executed twice, and whatever is left open can be settled in
// agreement with what the backend did. One case is one kill with its restart.
import { appendFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { randomFrom, type Source } from '#scripts/demo/random.ts';
import type { Campaign, CampaignResult, CampaignRun } from './campaign.ts';
import { KilledServer } from './kill-processes.ts';
import { type KillSetting, openKillSetting } from './kill-setting.ts';
import { auditFolder, contradictions, readExecutions, readKinds, type Told } from './kill-verdict.ts';
import { CLIENT, SERVICE } from './pair.ts';

/** The provider's log acknowledges answers before it writes them. */
export interface BrokenKill {
  earlyAnswersMs: number;
}

const CLIENTS = 6;
/** A server is killed after this many further answers, so that it is killed at work, or after this time without them. */
const ANSWERS = { from: 1, to: 12 };
const MAX_LOAD_MS = 2_000;
const AUDIT_EVERY = 25;

/** Calls the consumer's server; null when it died before it answered. */
async function call(url: string, body: object | null): Promise<Record<string, unknown> | null> {
  try {
    const answer = await fetch(url, {
      method: 'POST',
      ...(body === null ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    });
    return (await answer.json()) as Record<string, unknown>;
  } catch {
    return null;
  }
}

async function settle(url: string, id: string): Promise<Told> {
  const said = await call(`${url}/lookups/${id}/settle`, null);
  return { id, outcome: `settled ${String(said?.['state'] ?? 'unknown')}` };
}

/** Clients that ask without a pause until told to stop; what they heard goes into `told`. */
function startLoad(setting: KillSetting, told: Told[], chance: Source): () => Promise<void> {
  let stopping = false;
  async function client(number: number): Promise<void> {
    for (let asked = 0; !stopping; asked += 1) {
      const body = {
        client: CLIENT,
        service: SERVICE,
        method: 'POST',
        path: `/do/${number}/${asked}`,
        body: { asked },
      };
      const said = await call(`${setting.consumerUrl}/lookups`, { ...body, deadlineMs: 1_500 });
      const { id, outcome } = said ?? {};
      if (typeof id !== 'string' || typeof outcome !== 'string') await delay(20);
      else told.push({ id, outcome });
      // Some are settled at once, while the provider may still be working on them or recovering.
      if (outcome === 'unknown' && chance.chance(0.5)) {
        const settled = await settle(setting.consumerUrl, String(id));
        if (settled.outcome !== 'settled unknown') told.push(settled);
      }
    }
  }
  const clients = Array.from({ length: CLIENTS }, (_, number) => client(number));
  return async () => {
    stopping = true;
    await Promise.all(clients);
  };
}

/** The provider, the consumer, both at once: a short run sees each of them; after these it is left to chance. */
function chooseKilled([consumer, provider]: readonly [KilledServer, KilledServer], done: number, chance: Source) {
  const choices = [[provider], [consumer], [consumer, provider]] as const;
  return choices[done - 1] ?? choices[chance.weighted([0.4, 0.4, 0.2])] ?? choices[2];
}

/** One kill and what follows it. */
async function cycle(chosen: readonly KilledServer[], told: readonly Told[], chance: Source): Promise<string> {
  for (const server of chosen) server.standBy();
  const answers = () => told.reduce((count, { outcome }) => count + (outcome === 'ok' ? 1 : 0), 0);
  const wanted = answers() + chance.integer(ANSWERS.from, ANSWERS.to);
  for (let waitedMs = 0; answers() < wanted && waitedMs < MAX_LOAD_MS; waitedMs += 5) await delay(5);
  await delay(chance.integer(0, 8));
  await Promise.all(chosen.map((server) => server.kill()));
  const early = chance.chance(0.1);
  await Promise.all(chosen.map((server) => (early ? server.startAndKillEarly(chance.integer(0, 60)) : server.start())));
  return chosen.map((server) => server.name).join(' and ');
}

/** Every request without an answer and without a word that it never left is settled. */
async function settleAll(setting: KillSetting): Promise<Told[]> {
  const open = [...readKinds(setting.folders.consumer)].filter(
    ([, kinds]) => kinds.has('request-sent') && !kinds.has('response-received') && !kinds.has('not-sent'),
  );
  const settled: Told[] = [];
  for (let at = 0; at < open.length; at += CLIENTS) {
    settled.push(...(await Promise.all(open.slice(at, at + CLIENTS).map(([id]) => settle(setting.consumerUrl, id)))));
  }
  return settled;
}

async function run({ size, seed, thenBroken, say }: CampaignRun<BrokenKill>): Promise<CampaignResult> {
  const chance = randomFrom(seed);
  const setting = await openKillSetting();
  const errors: string[] = [];
  const open = (name: 'consumer' | 'provider') =>
    new KilledServer(name, setting.files[name], (line) => {
      if (!line.includes('"level":40')) errors.push(`${name}: ${line}`.slice(0, 2000));
    });
  const servers = [open('consumer'), open('provider')] as const;
  const told: Told[] = [];
  const found: string[] = [];
  const foundBroken: string[] = [];
  const killed: Record<string, number> = {};
  try {
    await Promise.all(servers.map((server) => server.start()));
    const stopLoad = startLoad(setting, told, chance);
    for (let done = 1; done <= size; done += 1) {
      const who = await cycle(chooseKilled(servers, done, chance), told, chance);
      killed[who] = (killed[who] ?? 0) + 1;
      if (done % AUDIT_EVERY !== 0) continue;
      say?.(`${done} kills, ${told.length} outcomes told`);
      found.push(...(await auditBoth(setting)));
    }
    await stopLoad();
    told.push(...(await settleAll(setting)));
    if (thenBroken === undefined) await Promise.all(servers.map((server) => server.stop()));
    found.push(...(await auditBoth(setting)), ...contradict(setting, told));
    if (thenBroken !== undefined) foundBroken.push(...(await breakProvider(setting, servers[1], thenBroken, chance)));
    await Promise.all(servers.map((server) => server.stop()));
  } catch (error) {
    found.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
    await Promise.all(servers.map((server) => server.kill()));
    await Promise.all(servers.map((server) => server.stop()));
  }
  setting.close();
  const outcomes = Object.groupBy(told, ({ outcome }) => outcome);
  const executed = readExecutions(setting.executions).size;
  if (found.length === 0) rmSync(setting.folder, { recursive: true, force: true });
  else appendFileSync(join(setting.folder, 'found.txt'), [...found, ...errors].join('\n'));
  return {
    size,
    failures: found.length,
    found: [...found, ...errors.slice(0, 5)],
    foundBroken,
    killed,
    told: Object.fromEntries(Object.entries(outcomes).map(([outcome, list]) => [outcome, list?.length ?? 0])),
    executed,
  };
}

/** What was told, and what both logs and the backend say. */
function contradict({ folders, executions }: KillSetting, told: readonly Told[]): string[] {
  return contradictions(told, readKinds(folders.consumer), readKinds(folders.provider), readExecutions(executions));
}

/** A provider that works worse is killed under load, and not started again. */
async function breakProvider(
  setting: KillSetting,
  provider: KilledServer,
  worse: BrokenKill,
  chance: Source,
): Promise<string[]> {
  await provider.worsen(worse);
  const told: Told[] = [];
  const stopLoad = startLoad(setting, told, chance);
  const isAnswered = () => told.some(({ outcome }) => outcome === 'ok');
  for (let waitedMs = 0; !isAnswered() && waitedMs < MAX_LOAD_MS; waitedMs += 5) await delay(5);
  await provider.kill();
  await stopLoad();
  return contradict(setting, told);
}

async function auditBoth({ folders }: KillSetting): Promise<string[]> {
  const audits = await Promise.all([auditFolder(folders.consumer), auditFolder(folders.provider)]);
  return audits.filter((fault) => fault !== null);
}

export const kill: Campaign<BrokenKill> = {
  name: 'kill',
  title: 'kill -9 of security servers under load, then an audit of both logs',
  defaultSize: 200,
  run,
};
