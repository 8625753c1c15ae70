// The end of the story: an auditor who believes none of its parties. Each department exports what proves the first lookup, from its
// own log alone; `accord audit verify` and `verify.sh`, which needs only a shell and openssl 3, say the same of it.
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#core/clock.ts';
import { readPackFiles } from '#core/evidence/read-pack.ts';
import { accordHere } from '#scripts/accord-here.ts';
import { scriptVerdict, writePack } from '#scripts/campaign/pack-verdicts.ts';
import { typed } from './accord-command.ts';
import type { Told } from './consent-story.ts';
import { MEMBERS } from './departments.ts';
import type { Department } from './tables.ts';

const PARTIES = ['medical-insurance', 'civil-affairs'] as const satisfies Department[];
const CHANGED = 'answer/body';
const REFUSED = 'INVALID(PACK_FILE_CHANGED)';
/** `verify.sh` ends so where there is no openssl 3, before it looks at anything. */
const NO_OPENSSL = 2;

type Files = ReadonlyMap<string, Buffer>;

/** The auditor's desk: the anchor, got by hand as a server gets it, and what the departments hand over. */
interface Desk {
  packs: string;
  anchor: string;
}

interface Judged {
  /** As `verify.sh` ends; null without openssl 3. */
  script: string | null;
  /** As `accord audit verify` ends. */
  command: string;
}

/** @param exchange id of the first lookup, whose entries have been anchored since */
export async function tellEvidence(story: Told, exchange: string): Promise<void> {
  const { world, tell, folder } = story;
  tell.heading('Evidence');
  const startedMs = systemClock.monotonicMs();
  const desk = { packs: join(folder, 'packs'), anchor: join(folder, 'auditor') };
  for (const made of Object.values(desk)) mkdirSync(made, { mode: 0o700 });
  copyFileSync(join(world.servers['medical-insurance'].folder, 'anchor.json'), join(desk.anchor, 'anchor.json'));
  const packs = [];
  for (const party of PARTIES) packs.push(await exportedBy(story, desk, party, exchange));
  const files = packs.map((pack) => (pack.status === 0 ? readPackFiles(pack.file) : new Map<string, Buffer>()));
  const verdicts = await judgedBoth(desk, files);
  const milliseconds = Math.round(systemClock.monotonicMs() - startedMs);
  tell.step(
    'evidence',
    verdicts.every(({ script, command }) => command === 'VALID' && (script ?? 'VALID') === 'VALID'),
    { exchange, milliseconds, packs: packs.map((pack, at) => ({ ...pack, files: files[at]?.size, ...verdicts[at] })) },
    [
      'An auditor doubts the first answer, and believes neither department. Each hands over what its own log proves:',
      ...typed(packs[0]?.words ?? []),
      'The auditor has verify.sh and the anchor of the configuration from elsewhere, unpacks both packs, and checks each:',
      ...typedChecks(desk, packs[0]?.file ?? ''),
      ...PARTIES.map((party, at) => `${MEMBERS[party].title}: ${files[at]?.size} files, ${saidOf(verdicts[at])}`),
    ],
  );
  await tellChange(story, desk, files[0] ?? new Map());
}

async function exportedBy({ world }: Told, { packs }: Desk, party: Department, exchange: string) {
  const file = join(packs, `${party}.zip`);
  const place = ['--dir', world.servers[party].folder, '--passphrase-file', world.network.passphraseFile];
  const words = ['audit', 'export', exchange, ...place, '--out', file];
  const { code: status, stderr } = await accordHere(words);
  return { party, file, words, status, stderr };
}

/** The scripts beside one another, since each runs openssl many times; the command meanwhile. */
async function judgedBoth(desk: Desk, packs: readonly Files[]): Promise<Judged[]> {
  const scripts = Promise.all(packs.map((files) => scriptVerdict({ anchorFolder: desk.anchor }, files)));
  const commands: string[] = [];
  for (const party of PARTIES) commands.push(await verified(desk, join(desk.packs, `${party}.zip`)));
  const ended = await scripts;
  return ended.map(({ verdict, exit }, at) => ({
    script: exit === NO_OPENSSL ? null : verdict,
    command: commands[at] ?? '',
  }));
}

async function verified({ anchor }: Desk, pack: string): Promise<string> {
  const { stdout } = await accordHere(['audit', 'verify', pack, '--anchor', anchor]);
  return stdout.trimEnd().split('\n').at(-1) ?? '';
}

/** The smallest lie: one bit of what Civil Affairs answered, in the pack that Medical Insurance handed over. */
async function tellChange({ tell }: Told, desk: Desk, files: Files): Promise<void> {
  const body = Buffer.from(files.get(CHANGED) ?? '?');
  body.writeUInt8(body.readUInt8(0) ^ 1, 0);
  const changed = new Map([...files, [CHANGED, body]]);
  const folder = join(desk.packs, 'changed');
  writePack(folder, changed);
  const script = scriptVerdict({ anchorFolder: desk.anchor }, changed);
  const command = await verified(desk, folder);
  const { verdict, exit } = await script;
  const judged = { script: exit === NO_OPENSSL ? null : verdict, command };
  tell.step(
    'evidence changed',
    command === REFUSED && (judged.script ?? REFUSED) === REFUSED,
    { file: CHANGED, ...judged },
    [`Somebody changes one bit of the answer in it: ${saidOf(judged)}`],
  );
}

function typedChecks({ anchor }: Desk, zip: string): string[] {
  const folder = zip.replace(/\.zip$/, '');
  return [
    `unzip -d ${folder} ${zip}`,
    `sh scripts/verify.sh ${folder} --anchor ${anchor}`,
    `accord audit verify ${zip} --anchor ${anchor}`,
  ];
}

function saidOf(judged: Judged | undefined): string {
  const { script = null, command = '' } = judged ?? {};
  return script === command
    ? `both say ${command}.`
    : `accord audit verify says ${command}, verify.sh ${script ?? 'needs openssl 3'}.`;
}
