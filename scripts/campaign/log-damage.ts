// Campaign `log-damage`: random damage in copies of a message log. A changed bit of an entry, of its evidence, of a
// checkpoint or of a tile must be found, and pinned to the first entry where that can be done; damage anywhere in the
// database file must be found, or change nothing that is read back.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogAudit, type LogAuditOptions, verifyLog } from '#core/log/audit.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import { randomFrom, type Source } from '#scripts/demo/random.ts';
import { madeAnswers, madeLogOptions, madeRequests } from '#scripts/log/made-log.ts';
import type { Campaign, CampaignResult, CampaignRun } from './campaign.ts';
import { type Change, changeRow, contentOf, PLACES } from './log-damage-sqlite.ts';

/** An audit that is worse than the real one. */
export interface BrokenAudit {
  verify: (options: LogAuditOptions) => Promise<LogAudit>;
}

const EXCHANGES = 150;
/** Of ten cases this many change a row, the others a byte of the file. */
const ROWS_OF_TEN = 7;

interface Subject {
  folder: string;
  checkpointFile: string;
  verifierKey: string;
  original: Buffer;
  content: string;
}

/** A closed log of requests and answers in batches of different sizes, with several checkpoints. */
async function makeSubject(place: string, chance: Source): Promise<Subject> {
  const options = madeLogOptions(place);
  let left = EXCHANGES;
  let verifierKey = '';
  while (left > 0) {
    const log = await openMessageLog(options);
    for (let turn = 0; turn < 4 && left > 0; turn++) {
      const size = Math.min(left, chance.integer(1, 20));
      const nowMs = options.clock.nowMs();
      const requests = madeRequests({ size, nowMs, sealed: chance.chance(0.5) });
      // A batch that comes in two turns is stored with its paths.
      const whole = chance.chance(0.6) ? size : Math.ceil(size / 2);
      await Promise.all(requests.slice(0, whole).map((record) => log.append(record)));
      await Promise.all(requests.slice(whole).map((record) => log.append(record)));
      await Promise.all(madeAnswers(requests, nowMs, false).map((record) => log.append(record)));
      left -= size;
    }
    verifierKey = log.verifierKey;
    await log.close();
  }
  const file = join(options.folder, 'messages.db');
  const { folder, checkpointFile } = options;
  return { folder, checkpointFile, verifierKey, original: readFileSync(file), content: contentOf(file) };
}

/** @returns what is wrong with the finding, or null */
function judgeRow(change: Change, { ok, firstBadSeq, code }: LogAudit): string | null {
  const where = `${change.place} of ${change.row}`;
  if (ok) return `${where}: not found`;
  if (firstBadSeq !== change.expectedSeq) return `${where}: ${code} at ${firstBadSeq}, not at ${change.expectedSeq}`;
  return null;
}

async function run({ size, seed, broken, say }: CampaignRun<BrokenAudit>): Promise<CampaignResult> {
  const chance = randomFrom(seed);
  const place = mkdtempSync(join(tmpdir(), 'accord-log-damage-'));
  const verify = broken?.verify ?? verifyLog;
  const found: string[] = [];
  const codes: Record<string, number> = {};
  let harmless = 0;
  try {
    const subject = await makeSubject(join(place, 'subject'), chance);
    const { checkpointFile, verifierKey } = subject;
    const folder = join(place, 'copy');
    cpSync(subject.folder, folder, { recursive: true });
    const file = join(folder, 'messages.db');
    const audit = () => verify({ folder, checkpointFile, verifierKey });
    for (let done = 0; done < size; done++) {
      if (done % 500 === 0 && done > 0) say?.(`${done} damaged copies`);
      writeFileSync(file, subject.original);
      if (chance.integer(1, 10) <= ROWS_OF_TEN) {
        const change = changeRow(file, chance.pick(PLACES), chance);
        const finding = await audit();
        const fault = judgeRow(change, finding);
        if (fault !== null) found.push(fault);
        codes[finding.code ?? 'none'] = (codes[finding.code ?? 'none'] ?? 0) + 1;
      } else {
        const damaged = Buffer.from(subject.original);
        const at = chance.integer(0, damaged.length - 1);
        damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << chance.integer(0, 7)), at);
        writeFileSync(file, damaged);
        const { ok, code } = await audit();
        if (!ok) codes[code ?? 'none'] = (codes[code ?? 'none'] ?? 0) + 1;
        else if (contentOf(file) === subject.content) harmless++;
        else found.push(`byte ${at} of the file: not found, and it is read back differently`);
      }
    }
    writeFileSync(file, subject.original);
    const { ok, code } = await audit();
    if (!ok) found.push(`the undamaged log is called damaged (${code})`);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
  return { size, failures: found.length, found, codes, harmless };
}

export const logDamage: Campaign<BrokenAudit> = {
  name: 'log-damage',
  title: 'random damage in copies of a message log: all of it found, in its place',
  defaultSize: 2_000,
  run,
};
