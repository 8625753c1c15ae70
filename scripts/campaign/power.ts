// Campaign `power`: true power cuts under a message log, its record keys and checkpoint file, a witness's memory, a server's
// state and an archive; and a disk that refuses each write of a short run, one at a time. Nothing acknowledged is lost, the
// log verifies, and starts. It needs root, a loop device and perl for the cuts, and strace for the faults: what is missing is
// said, and skipped.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomFrom } from '#scripts/demo/random.ts';
import type { Campaign, CampaignResult, CampaignRun } from './campaign.ts';
import { cutPower } from './power-cuts.ts';
import { type FaultsResult, failWrites } from './power-faults.ts';

/** A child that acknowledges records before they are written. */
export interface BrokenPower {
  early: boolean;
}

/** From so many cuts on, every write of the run fails once; with fewer it is this many for each cut. */
const ALL_FAULTS = 200;
const FAULTS_PER_CUT = 2;
const NO_FAULTS: FaultsResult = { faults: 0, points: 0, found: [], ends: {}, skipped: null };
const IN_MEMORY = '/dev/shm';

async function run({ size, seed, broken, say }: CampaignRun<BrokenPower>): Promise<CampaignResult> {
  const place = mkdtempSync(join(existsSync(IN_MEMORY) ? IN_MEMORY : tmpdir(), 'accord-power-'));
  const chance = randomFrom(seed);
  const early = broken?.early ?? false;
  const tell = say ?? (() => {});
  try {
    const cuts = await cutPower(place, { cuts: size, early }, chance, tell);
    if (cuts.skipped !== null) tell(`SKIPPED: no power cut was made: ${cuts.skipped}`);
    const wanted = size >= ALL_FAULTS ? Number.MAX_SAFE_INTEGER : size * FAULTS_PER_CUT;
    // One way suffices to find a planted fault.
    const faults =
      early && cuts.found.length > 0 ? NO_FAULTS : await failWrites(place, { faults: wanted, early }, chance, tell);
    if (faults.skipped !== null) tell(`SKIPPED: no write was made to fail: ${faults.skipped}`);
    const found = [...cuts.found, ...faults.found].map((one) => `${one}; replay with --seed ${seed}`);
    const { promises, how } = cuts;
    const skipped = [cuts.skipped, faults.skipped].filter((reason) => reason !== null);
    return {
      size: cuts.cuts,
      failures: found.length,
      found,
      ...{ promises, how, faults: faults.faults, writes: faults.points, ends: faults.ends, skipped },
    };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

export const power: Campaign<BrokenPower> = {
  name: 'power',
  title: 'power cuts and failing writes: nothing acknowledged is lost',
  defaultSize: 200,
  run,
};
