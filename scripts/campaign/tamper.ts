// Campaign `tamper`: message logs, archives and evidence packs under attack. Single bytes, entries swapped, dropped, inserted,
// cut off, a forked history, everything signed again with the server's own key, and all of it rolled back together with the
// checkpoint file. Every edit is found, with the right first position where it can be pinned to one; what only a forger with
// key, disk and checkpoint file can do is found by what others hold: witness, shown checkpoints, the other department's log.
// An edit may stay unfound only where what is read back is the same, which is compared.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomFrom } from '#scripts/demo/random.ts';
import type { Campaign, CampaignResult, CampaignRun } from './campaign.ts';
import { tamperArchive } from './tamper-archive.ts';
import { makeArchiveTarget, type ReadArchive } from './tamper-archive-target.ts';
import { type Case, makeLogTargets, tamperLog, type VerifyLog } from './tamper-log.ts';
import { openPackTargets, type PackJudge, tamperPack } from './tamper-pack.ts';

/** Whoever judges, worse than the real one. */
export interface BrokenTamper {
  verify?: VerifyLog;
  readArchive?: ReadArchive;
  judgePack?: PackJudge;
}

/** Of ten edits. */
const [LOGS, ARCHIVES, PACKS] = [0.6, 0.2, 0.2];
/** With fewer, one kind of log is made instead of three, so that the short form is short. */
const FEW = 500;
/** A disk in memory, where there is one: a hundred thousand files are written. */
const IN_MEMORY = '/dev/shm';

async function run({ size, seed, broken, say }: CampaignRun<BrokenTamper>): Promise<CampaignResult> {
  const chance = randomFrom(seed);
  const place = mkdtempSync(join(existsSync(IN_MEMORY) ? IN_MEMORY : tmpdir(), 'accord-tamper-'));
  const found: string[] = [];
  const by: Record<string, number> = {};
  const edits = { log: 0, archive: 0, pack: 0 };
  try {
    const logs = await makeLogTargets(join(place, 'logs'), size < FEW ? 2 : 3, broken?.verify, chance);
    const archive = await makeArchiveTarget(join(place, 'archive'), broken?.readArchive, chance);
    const packs = await openPackTargets(broken?.judgePack);
    try {
      for (let done = 0; done < size; done++) {
        if (done % 2_000 === 0 && done > 0) say?.(`${done} edits, ${found.length} failures`);
        // Each case has a chance of its own, so that one can be looked at alone.
        const number = chance.integer(0, 2 ** 31 - 1);
        const own = randomFrom(number);
        const which =
          (['log', 'archive', 'pack'] as const)[chance.weighted([LOGS ?? 0, ARCHIVES ?? 0, PACKS ?? 0])] ?? 'log';
        edits[which]++;
        const one: Case =
          which === 'log'
            ? await tamperLog(logs, own)
            : which === 'archive'
              ? await tamperArchive(archive, own)
              : await tamperPack(packs, own);
        by[one.by] = (by[one.by] ?? 0) + 1;
        if (one.fault !== null) found.push(`case ${done} of seed ${seed}, ${which}: ${one.edit}: ${one.fault}`);
      }
    } finally {
      await packs.made.close();
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
  return { size, failures: found.length, found, edits, by };
}

export const tamper: Campaign<BrokenTamper> = {
  name: 'tamper',
  title: 'logs, archives and packs under attack: every edit found, in its place',
  defaultSize: 10_000,
  run,
};
