// Campaign `stream`: bodies far larger than what a server may take of memory, through two real servers, with the caller
// and the backend in processes of their own. The promises: every byte arrives as it was sent, the memory of both servers
// stays flat while it does, and nothing stays in the spool. The size is the largest body in MiB.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { randomFrom, type Source } from '#scripts/demo/random.ts';
import type { Campaign, CampaignResult, CampaignRun } from './campaign.ts';
import { KilledServer } from './kill-processes.ts';
import { type KillSetting, openKillSetting } from './kill-setting.ts';
import { CLIENT, SERVICE } from './pair.ts';
import type { Transfer, Transferred } from './stream-end.ts';

/** Servers that gather bodies in memory. */
export interface BrokenStream {
  spoolInMemory: boolean;
}

/** A test goes on with what stands. */
export interface StreamRun extends CampaignRun<BrokenStream> {
  afterwards?: (standing: {
    setting: KillSetting;
    servers: Record<'consumer' | 'provider', KilledServer>;
  }) => Promise<void>;
}

const COMPILED = join(import.meta.dirname, '../../node_modules/.cache/accord');
const MIB = 1024 * 1024;
/** What each server may take more than when it is warm and idle, whatever passes through it; a small size has to show it too. */
const maxGrowthMib = (size: number) => Math.min(64, 32 + size);
const SAMPLE_MS = 100;
/** A smaller one warms less. */
const SHORT_MIB = 64;
const IN_FLIGHT = 16;
/** So many of the largest pairs at once have to stand out from what a loaded machine adds by itself. */
const BROKEN_AT_ONCE = 6;

interface End {
  child: ChildProcess;
  lines: Interface;
}

function openEnd(role: 'backend' | 'caller'): End {
  const script = new URL('./stream-end.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, role], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { NODE_COMPILE_CACHE: COMPILED },
  });
  return { child, lines: createInterface({ input: child.stdout as NodeJS.ReadableStream }) };
}

/** One server while it works: the most it took, and what it has open. */
class Weighed {
  readonly name: string;
  readonly #pid: number;
  readonly #spool: string;
  #baseMib = 0;
  #mostMib = 0;

  constructor(name: string, pid: number, folder: string) {
    this.name = name;
    this.#pid = pid;
    this.#spool = join(folder, 'spool');
  }

  sample(): void {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.#pid}/status`, 'latin1'))?.[1];
    this.#mostMib = Math.max(this.#mostMib, Number(kib) / 1024);
  }

  /** What it takes now is where counting begins. */
  begin(): void {
    this.#mostMib = 0;
    this.sample();
    this.#baseMib = this.#mostMib;
  }

  get baseMib(): number {
    return Math.round(this.#baseMib);
  }

  get growthMib(): number {
    return Math.round(this.#mostMib - this.#baseMib);
  }

  /** Files of the spool that it still holds, with a name or without. */
  leftOpen(): number {
    const folder = `/proc/${this.#pid}/fd`;
    const open = readdirSync(folder).filter((fd) => {
      try {
        return readlinkSync(join(folder, fd)).startsWith(this.#spool);
      } catch {
        return false; // closed meanwhile
      }
    });
    return open.length + readdirSync(this.#spool).length;
  }
}

/** What passes at the same time, one list after the other. */
function rounds(sizeMib: number, chance: Source): Pick<Transfer, 'up' | 'down' | 'chunked'>[][] {
  const large = sizeMib * MIB;
  const middle = Math.ceil(Math.min(10, sizeMib / 16) * MIB);
  const mixed = () => Math.floor(2 ** (chance.integer(0, 10 * Math.log2(middle)) / 10));
  return [
    // One server pair, the largest body in each direction at once.
    [
      { up: large, down: 1, chunked: false },
      { up: 0, down: large, chunked: false },
    ],
    Array.from({ length: IN_FLIGHT }, () => ({ up: middle, down: middle, chunked: chance.chance(0.5) })),
    Array.from({ length: IN_FLIGHT }, () => ({ up: mixed(), down: mixed(), chunked: chance.chance(0.5) })),
  ];
}

/** Then everything was loaded and compiled, the pools are there, and the young heap is as large as under load. */
const warming = (sizeMib: number) =>
  Array.from({ length: sizeMib < SHORT_MIB ? 2 : 3 }, () =>
    Array.from({ length: IN_FLIGHT }, (_, one) => ({ up: MIB, down: MIB, chunked: one % 2 === 0 })),
  );

async function passAll(caller: End, transfers: readonly Transfer[]): Promise<{ faults: string[]; slowestMs: number }> {
  const waiting = new Map(transfers.map((one) => [one.id, one]));
  const faults: string[] = [];
  let slowestMs = 0;
  const heard = ({ id, fault, durationMs }: Transferred) => {
    const { up, down } = waiting.get(id) ?? {};
    waiting.delete(id);
    slowestMs = Math.max(slowestMs, durationMs);
    if (fault !== null) faults.push(`transfer ${id} (${up} up, ${down} down): ${fault}`);
  };
  const listen = (line: string) => heard(JSON.parse(line) as Transferred);
  caller.lines.on('line', listen);
  for (const one of transfers) caller.child.stdin?.write(`${JSON.stringify(one)}\n`);
  while (waiting.size > 0) await once(caller.lines, 'line');
  caller.lines.off('line', listen);
  return { faults, slowestMs };
}

function leftIn(one: Weighed): string[] {
  const left = one.leftOpen();
  return left > 0 ? [`${one.name}: ${left} files are left in the spool`] : [];
}

async function run({ size, seed, thenBroken, say, afterwards }: StreamRun): Promise<CampaignResult> {
  const chance = randomFrom(seed);
  const ends = { backend: openEnd('backend'), caller: openEnd('caller') };
  const [backendUrl] = (await once(ends.backend.lines, 'line')) as [string];
  const setting = await openKillSetting({ backendUrl });
  const found: string[] = [];
  const foundBroken: string[] = [];
  const open = (name: 'consumer' | 'provider') =>
    new KilledServer(name, setting.files[name], (line) => found.push(`${name}: ${line}`.slice(0, 2_000)));
  const servers = { consumer: open('consumer'), provider: open('provider') };
  await Promise.all([servers.consumer.start(), servers.provider.start()]);
  const weighed = (['consumer', 'provider'] as const).map(
    (name) => new Weighed(name, servers[name].pid, setting.folders[name]),
  );
  let next = 0;
  const pass = (list: readonly Pick<Transfer, 'up' | 'down' | 'chunked'>[]) =>
    passAll(
      ends.caller,
      list.map((one) => ({ ...one, url: `${setting.consumerUrl}/r1/${SERVICE}`, client: CLIENT, id: next++ })),
    );
  let sampling: NodeJS.Timeout | undefined;
  const speeds: string[] = [];
  const weighAll = () => {
    for (const one of weighed) one.begin();
    sampling = setInterval(() => {
      for (const one of weighed) one.sample();
    }, SAMPLE_MS);
  };
  const passEach = async (lists: ReturnType<typeof rounds>): Promise<string[]> => {
    const found: string[] = [];
    for (const list of lists) {
      const { faults, slowestMs } = await pass(list);
      found.push(...faults);
      const mib = list.reduce((sum, { up, down }) => sum + up + down, 0) / MIB;
      speeds.push(`${Math.round(mib)} MiB in ${(slowestMs / 1000).toFixed(1)} s`);
      const growth = weighed.map(({ name, growthMib, baseMib }) => `${name} ${baseMib} + ${growthMib} MiB`);
      for (const one of weighed) {
        if (one.growthMib > maxGrowthMib(size)) found.push(`${one.name}: ${one.growthMib} MiB more memory`);
      }
      say?.(`${list.length} transfers, ${speeds.at(-1)}; memory: ${growth.join(', ')}`);
      if (found.length > 0) break;
    }
    return found;
  };
  let growthMib: Record<string, number> = {};
  try {
    for (const few of warming(size)) found.push(...(await pass(few)).faults);
    await delay(SAMPLE_MS);
    weighAll();
    found.push(...(await passEach(rounds(size, chance))));
    clearInterval(sampling);
    growthMib = Object.fromEntries(weighed.map(({ name, growthMib: more }) => [name, more]));
    await delay(SAMPLE_MS);
    found.push(...weighed.flatMap(leftIn));
    if (thenBroken !== undefined && found.length === 0) {
      await Promise.all(Object.values(servers).map((server) => server.worsen(thenBroken)));
      weighAll();
      const [largest = []] = rounds(size, chance);
      foundBroken.push(...(await passEach([Array.from({ length: BROKEN_AT_ONCE }, () => largest).flat()])));
    }
    clearInterval(sampling);
    await afterwards?.({ setting, servers });
  } catch (error) {
    found.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    clearInterval(sampling);
    for (const { child } of Object.values(ends)) child.kill();
    await Promise.all([servers.consumer.stop(), servers.provider.stop()]);
    setting.close();
    rmSync(setting.folder, { recursive: true, force: true });
  }
  return {
    size,
    failures: found.length,
    found,
    foundBroken,
    growthMib,
    idleMib: weighed.map(({ baseMib }) => baseMib),
    speeds,
  };
}

export const stream: Omit<Campaign, 'run'> & { run(options: StreamRun): Promise<CampaignResult> } = {
  name: 'stream',
  title: 'bodies of up to so many MiB in both directions, and the memory that the servers take for them',
  defaultSize: 1024,
  run,
};
