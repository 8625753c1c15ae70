// Campaign `power`, true power cuts: a child writes and promises, the disk is cut off under it at a moment chosen by chance,
// mounted again, and read. The folder stays for some rounds, so that a log is recovered more than once.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Source } from '#scripts/demo/random.ts';
import { CUTS, PowerDisk } from './power-disk.ts';
import { startPowerProcess } from './power-process.ts';
import { makePowerFile, type PowerFile, type Promised, writePowerFile } from './power-setting.ts';
import { brokenPromises } from './power-verdict.ts';

/** Rounds on one folder. */
const ROUNDS = 5;
const MAX_PROMISES = 60;

export interface CutsResult {
  cuts: number;
  promises: number;
  found: string[];
  how: Record<string, number>;
  /** Why there were none. */
  skipped: string | null;
}

/** @param place a folder of this campaign's own, on another disk */
export async function cutPower(
  place: string,
  { cuts, early }: { cuts: number; early: boolean },
  chance: Source,
  say: (line: string) => void,
): Promise<CutsResult> {
  const disk = PowerDisk.make(place);
  const result: CutsResult = { cuts: 0, promises: 0, found: [], how: {}, skipped: null };
  if (typeof disk === 'string') return { ...result, skipped: disk };
  try {
    let held: { file: PowerFile; promised: Promised[] } | null = null;
    for (let round = 0; round < cuts; round++) {
      if (held === null || round % ROUNDS === 0) {
        const folder = join(disk.folder, `round-${round}`);
        if (held !== null) rmSync(held.file.folder, { recursive: true, force: true });
        held = { file: makePowerFile(folder, { steps: null, early }), promised: [] };
        disk.makeFolder(folder);
      }
      const how = chance.weighted([0.1, 0.2, 0.7]);
      result.how[CUTS[how] ?? ''] = (result.how[CUTS[how] ?? ''] ?? 0) + 1;
      const wanted = chance.integer(1, MAX_PROMISES);
      const faults = await cutOnce(disk, place, held, { how, wanted, pauseMs: chance.integer(0, 4) });
      result.found.push(...faults.map((fault) => `cut ${round} (${CUTS[how]}, after ${wanted}): ${fault}`));
      result.cuts++;
      if (faults.length > 0) held = null;
      else if (round % 10 === 9) say(`${round + 1} power cuts, ${held.promised.length} promises in this folder`);
      result.promises += held?.promised.length ?? 0;
    }
  } finally {
    disk.remove();
  }
  return result;
}

async function cutOnce(
  disk: PowerDisk,
  place: string,
  { file, promised }: { file: PowerFile; promised: Promised[] },
  { how, wanted, pauseMs }: { how: number; wanted: number; pauseMs: number },
): Promise<string[]> {
  const config = join(place, 'power.json');
  writePowerFile(config, file);
  const child = startPowerProcess(config);
  const power = await disk.arm(child.pid);
  try {
    await child.until(1 + wanted);
    await delay(pauseMs);
    await power.cut(how);
  } finally {
    power.disarm();
  }
  child.kill();
  await child.end();
  const failed = child.said.find(({ kind }) => kind === 'failed');
  const isStarted = child.said.some(({ kind }) => kind === 'ready');
  promised.push(...child.said);
  const faults = [disk.unmount(), disk.mount()].filter((fault) => fault !== null);
  if (faults.length > 0) throw new Error(faults.join('; '));
  const broken = await brokenPromises(file, promised);
  return isStarted ? broken : [`the child did not start: ${JSON.stringify(failed)}`, ...broken];
}
