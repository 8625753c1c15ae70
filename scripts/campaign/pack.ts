// The campaign `pack`: an evidence pack of two real servers, damaged. Every byte of the zip and of the unpacked files is
// flipped, one at a time, and the library finds each. A sample is shown to `verify.sh` as well, half of it sealed again by
// the exporter, so that manifest and seal have nothing to say; and every damage of the table (pack-damages.ts). Library and
// script agree on all of them, check by check.
import { availableParallelism } from 'node:os';
import { PackFinding } from '#core/evidence/finding.ts';
import { MANIFEST, SEAL, SEAL_CERTIFICATE } from '#core/evidence/layout.ts';
import { readZip, writeZip } from '#core/evidence/zip.ts';
import type { Campaign, CampaignRun } from './campaign.ts';
import { damagedPacks } from './pack-damages.ts';
import { damagedDestructions } from './pack-destructions.ts';
import type { Files } from './pack-edits.ts';
import { openPackSetting, type PackSetting } from './pack-setting.ts';
import { libraryChecks, libraryVerdict, newOpenssl, scriptChecks, scriptVerdict } from './pack-verdicts.ts';

/** A verdict on the files of a pack, in place of the library's. */
export type BrokenPackVerdict = (files: Files) => string;

/** What the script says where this openssl knows no ML-DSA-44: then one verdict of the library's is out of its sight. */
const UNSEEN = '    NOT CHECKED  the ML-DSA-44';

export const pack: Campaign<BrokenPackVerdict> = {
  name: 'pack',
  title: 'evidence packs: every byte flipped, and what a lying department could seal',
  defaultSize: 300,
  async run(options) {
    const made = await openPackSetting();
    try {
      return await damage(made, options);
    } finally {
      await made.close();
    }
  },
};

/** Files of one exchange, and of two whose contents were destroyed after their checkpoint. */
async function exchanges(made: PackSetting): Promise<{ whole: Files; destroyed: Files; other: Files }> {
  await made.ask();
  await made.anchorLog('provider');
  const ids = [await made.ask(), await made.ask(), await made.ask()];
  await made.anchorLog('provider');
  for (const id of ids.slice(1)) await made.destroy('provider', id);
  await made.anchorLog('provider');
  const [whole = new Map(), destroyed = new Map(), other = new Map()] = await Promise.all(
    ids.map(async (id) => made.files('provider', id)),
  );
  return { whole, destroyed, other };
}

async function damage(made: PackSetting, { size, seed, broken, say }: CampaignRun<BrokenPackVerdict>) {
  const { whole, destroyed, other } = await exchanges(made);
  const sealed = made.seal('provider', whole);
  const judge = broken ?? ((files: Files) => libraryVerdict(made, files));
  const found: string[] = [];
  // The short form looks at every 97th byte.
  const step = size < 100 ? 97 : 1;
  const certificates = new Map(
    [...made.seal('provider', destroyed)].filter(([name]) => name.startsWith('destruction/')),
  );
  const flips =
    flipZip(sealed, step, found) +
    flipFiles(sealed, sealed, step, judge, found) +
    flipFiles(made.seal('provider', destroyed), certificates, step, judge, found);
  say?.(`${flips} bytes flipped, one at a time`);
  const cases = [
    ...sample(made, [whole, destroyed], size, random(seed)),
    ...[...damagedPacks(made, whole), ...damagedDestructions(made, destroyed, other)].filter(
      (_, at) => size >= 100 || at === 16,
    ),
  ];
  const openssl = newOpenssl();
  let [shown, unseen] = [0, 0];
  const queue = cases.values();
  const worker = async () => {
    for (const { name, files, verdict } of queue) {
      const [library, script] = [judge(files), await scriptVerdict(made, files, openssl)];
      shown++;
      const isUnseen = library === 'INVALID(COSIGNATURE_WRONG)' && script.lines.some((line) => line.startsWith(UNSEEN));
      if (isUnseen) unseen++;
      else if (library !== script.verdict) found.push(`${name}: library ${library}, script ${script.verdict}`);
      else if (broken === undefined) found.push(...differences(name, libraryChecks(made, files), scriptChecks(script)));
      if (verdict === null ? /^(?:VALID|COMMITMENT-ONLY)$/.test(library) : library !== verdict) {
        found.push(`${name}: ${library}`);
      }
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return { size: flips + shown, failures: found.length, found, flips, shownToScript: shown, unseen };
}

/** Checks that the two see differently, though they end alike. */
function differences(name: string, library: readonly string[], script: readonly string[]): string[] {
  const all = library.map((one, at) => (one === script[at] ? '' : `${name}: library ${one}, script ${script[at]}`));
  return [...all.filter((one) => one !== ''), ...(library.length === script.length ? [] : [`${name}: missing checks`])];
}

function flipZip(sealed: Files, step: number, found: string[]): number {
  const zip = writeZip(sealed);
  let flips = 0;
  for (let at = 0; at < zip.length; at += step) {
    flips++;
    if (whenFlipped(zip, at, () => isRead(zip))) found.push(`byte ${at} of the zip`);
  }
  return flips;
}

function isRead(zip: Buffer): boolean {
  try {
    readZip(zip);
    return true;
  } catch (error) {
    if (error instanceof PackFinding) return false;
    throw error;
  }
}

/** @param flipped those of the files in which bytes are flipped */
function flipFiles(sealed: Files, flipped: Files, step: number, judge: BrokenPackVerdict, found: string[]): number {
  const files = new Map([...sealed].map(([name, bytes]) => [name, Buffer.from(bytes)]));
  let flips = 0;
  for (const [name, bytes] of [...files].filter(([name]) => flipped.has(name))) {
    for (let at = 0; at < bytes.length; at += step) {
      flips++;
      const verdict = whenFlipped(bytes, at, () => judge(files));
      if (!verdict.startsWith('INVALID')) found.push(`${name} byte ${at}: ${verdict}`);
    }
  }
  return flips;
}

function whenFlipped<T>(bytes: Buffer, at: number, look: () => T): T {
  const before = bytes[at] ?? 0;
  bytes[at] = before ^ (1 << (at % 8));
  try {
    return look();
  } finally {
    bytes[at] = before;
  }
}

/** Single flips in files chosen at random, half of them sealed again. */
function sample(made: PackSetting, packs: readonly Files[], size: number, next: (below: number) => number) {
  return Array.from({ length: size }, (_, i) => {
    const isSealedAgain = i % 2 === 0;
    const whole = packs[next(packs.length)] ?? new Map();
    const files = isSealedAgain ? new Map(whole) : made.seal('provider', whole);
    const names = [...files].filter(([, bytes]) => bytes.length > 0).map(([name]) => name);
    const name = names[next(names.length)] ?? '';
    const bytes = Buffer.from(files.get(name) ?? '');
    const at = next(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << next(8));
    files.set(name, bytes);
    const isOutside = [MANIFEST, SEAL, SEAL_CERTIFICATE].includes(name);
    const shown = isSealedAgain && !isOutside ? made.seal('provider', files) : files;
    return { name: `${name} byte ${at}${isSealedAgain ? ', sealed again' : ''}`, files: shown, verdict: null };
  });
}

function random(seed: number): (below: number) => number {
  let state = BigInt(seed) + 0x9e3779b97f4a7c15n;
  return (below) => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number((state >> 33n) % BigInt(below));
  };
}
