// Campaign `soak`: two real servers under a moderate load of everything that a day brings (soak-load.ts), looked at once a
// minute. The promises: every request ends as it should, and what the servers take of memory and of open files does not grow.
// The size is minutes.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { rssMiB } from '#scripts/bench/weigh.ts';
import { LOG_PLACES } from '#security-server/log-origin.ts';
import type { Campaign, CampaignResult, CampaignRun } from './campaign.ts';
import { type LoadedSetting, openLoadedSetting } from './overload-setting.ts';
import type { SoakOrder, SoakSeen } from './soak-load.ts';

/** Servers that keep a file open and memory taken with every record. */
export interface BrokenSoak {
  leaks: boolean;
}

const SIDES = ['consumer', 'provider'] as const;
const LEAST_LOOKS = 8;
const PER_SECOND = 60;
/** In the second half, from its line of best fit: what memory may grow by (a share and a least amount), and open files. */
const LIMITS = { rssShare: 0.1, rssMiB: 24, files: 40 };
/** Of a run that is over before a program in Node has settled. */
const SHORT_MINUTES = 3;
const SHORT_RSS_MIB = 200;

interface Look {
  rssMiB: number;
  heapMiB: number;
  files: number;
  logMiB: number;
  walMiB: number;
}

type Looks = Record<(typeof SIDES)[number], Look[]>;

const MIB = 1024 * 1024;
const sizeMib = (file: string) => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) / MIB;

async function lookAt(setting: LoadedSetting, side: (typeof SIDES)[number]): Promise<Look> {
  const pid = setting.pids[side];
  const metrics = await (await fetch(setting.metricsUrls[side])).text();
  const heap = Number(/^nodejs_heap_size_used_bytes (\S+)$/m.exec(metrics)?.[1] ?? 0);
  const log = join(setting.folders[side], LOG_PLACES.log);
  const ofLog = (end: RegExp) =>
    readdirSync(log).reduce((sum, name) => sum + (end.test(name) ? sizeMib(join(log, name)) : 0), 0);
  return {
    rssMiB: rssMiB(pid),
    heapMiB: heap / MIB,
    files: readdirSync(`/proc/${pid}/fd`).length,
    logMiB: ofLog(/\.db$/),
    walMiB: ofLog(/-wal$/),
  };
}

/** How much a value grew from the first to the last look of the second half, by the line that fits best (least squares). */
export function growth(values: readonly number[]): number {
  const half = values.slice(Math.floor(values.length / 2));
  const middle = (half.length - 1) / 2;
  const mean = half.reduce((sum, value) => sum + value, 0) / half.length;
  const [above, below] = half.reduce(
    ([up, down], value, at) => [up + (at - middle) * (value - mean), down + (at - middle) ** 2],
    [0, 0],
  );
  return below === 0 ? 0 : (above / below) * (half.length - 1);
}

function judge(side: string, looks: readonly Look[], minutes: number): string[] {
  const found: string[] = [];
  const grew = (of: keyof Look) => growth(looks.map((look) => look[of]));
  const most = Math.max(...looks.map((look) => look.rssMiB));
  const allowed = minutes < SHORT_MINUTES ? SHORT_RSS_MIB : Math.max(LIMITS.rssMiB, most * LIMITS.rssShare);
  if (grew('rssMiB') > allowed)
    found.push(`${side}: memory grew by ${Math.round(grew('rssMiB'))} MiB in the second half`);
  if (grew('files') > LIMITS.files)
    found.push(`${side}: ${Math.round(grew('files'))} more open files in the second half`);
  return found;
}

async function run({ size, seed, thenBroken, say = () => {} }: CampaignRun<BrokenSoak>): Promise<CampaignResult> {
  const setting = await openLoadedSetting('./soak-load.ts');
  let looks: Looks = { consumer: [], provider: [] };
  const kinds: Record<string, number> = {};
  const found: string[] = [];
  let faults = 0;
  const foundBroken: string[] = [];
  const lookAll = async () => {
    looks = { consumer: [], provider: [] };
    const count = Math.max(LEAST_LOOKS, Math.round(size));
    for (let at = 0; at < count; at += 1) {
      const port = Number(new URL(setting.consumerUrl).port);
      const order: SoakOrder = { port, perSecond: PER_SECOND, seconds: (size * 60) / count, seed: seed + at };
      const seen = await setting.ask<SoakSeen>(order);
      faults += seen.faults;
      found.push(...seen.found);
      for (const [kind, times] of Object.entries(seen.kinds)) kinds[kind] = (kinds[kind] ?? 0) + times;
      for (const side of SIDES) looks[side].push(await lookAt(setting, side));
      say(
        `${(((at + 1) * size) / count).toFixed(1)} min: ${SIDES.map((side) => told(side, looks[side].at(-1))).join('; ')}`,
      );
    }
    return SIDES.flatMap((side) => judge(side, looks[side], size));
  };
  try {
    found.push(...(await lookAll()));
    if (thenBroken !== undefined) {
      await setting.worsen(thenBroken);
      foundBroken.push(...(await lookAll()));
    }
    // A caller that is gone is no complaint.
    found.push(...setting.complaints.filter((line) => !/broke off|BODY_|aborted/i.test(line)));
    await setting.stop();
  } finally {
    await setting.close();
  }
  const last = Object.fromEntries(SIDES.map((side) => [side, looks[side].at(-1)]));
  return { size, failures: found.length, found, foundBroken, faults, kinds, last };
}

function told(side: string, look: Look | undefined): string {
  const of = (value = 0) => value.toFixed(value < 10 ? 1 : 0);
  return `${side} ${of(look?.rssMiB)} MiB, heap ${of(look?.heapMiB)}, ${look?.files} files, log ${of(look?.logMiB)} + WAL ${of(look?.walMiB)} MiB`;
}

export const soak: Campaign<BrokenSoak> = {
  name: 'soak',
  title: 'so many minutes of a moderate load of every kind, and whether memory and open files grow',
  defaultSize: 30,
  run,
};
