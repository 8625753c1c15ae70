// Campaign `revocation`: consents are given and ended under load, with real processes, and the provider's log says how long
// each was still honoured. The provider hears of an end by a hint; or only by asking for the list, because hints are cut off;
// or not at all, because somebody also holds the lists back; and at last the consent service is killed half way and is away
// for longer than a list may be old. One case is one withdrawal.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '#core/clock.ts';
import { randomFrom, type Source } from '#scripts/demo/random.ts';
import type { Campaign, CampaignResult, CampaignRun } from './campaign.ts';
import { auditFolder } from './kill-verdict.ts';
import { ask, Citizen, type Heard, type Permission, type Phase, startLoad } from './revocation-people.ts';
import { ASKED, openRevocationSetting, type RevocationSetting } from './revocation-setting.ts';
import { type Away, BOUND_MS, judgeReleases, readAnswers, shares } from './revocation-verdict.ts';

/** The consent service comes back with what it had on disk before the withdrawals. */
export interface BrokenRevocation {
  forgetful: true;
}

/** From this size on: every phase, servers in processes of their own, and waiting for bounds to pass. */
const FULL_SIZE = 100;
const AWAY_MS = 45_000;
/** As many as were ended are asked with again at the end. */
const ASKED_AGAIN = 300;
const WATCH_EVERY_MS = 100;

interface Campaigning {
  setting: RevocationSetting;
  citizens: Citizen[];
  /** Somebody whose permissions are left alone: a newer one would take their place. */
  keeper: Citizen;
  chance: Source;
  heard: Heard[];
  permissions: Permission[];
  inUse: Set<Permission>;
  watches: Promise<void>[];
  aways: Away[];
  isFull: boolean;
}

/** A batch of permissions, no two of them for the same citizen, department and purpose. */
async function give(
  run: Campaigning,
  count: number,
  phase: Phase,
  by: readonly Citizen[] = run.citizens,
): Promise<{ citizen: Citizen; permission: Permission }[]> {
  const { setting } = run;
  const places = by.flatMap((citizen) =>
    setting.consumers.flatMap((consumer) => ASKED.map((asked) => ({ citizen, consumer, asked }))),
  );
  // Most of those that hang on the bound alone are of the level with the shortest one.
  const chosen =
    phase === 'held' ? places.toSorted((a, b) => b.asked.level - a.asked.level) : shuffled(places, run.chance);
  return await Promise.all(
    chosen.slice(0, count).map(async ({ citizen, consumer, asked }) => {
      const permission = await citizen.give(consumer, asked, phase);
      run.permissions.push(permission);
      run.inUse.add(permission);
      await ask(permission, run.heard);
      return { citizen, permission };
    }),
  );
}

function shuffled<T>(list: readonly T[], chance: Source): T[] {
  return list
    .map((one) => ({ one, at: chance.normal() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
}

/** Asks closely until the end is known or the bound has passed, and leaves it among those in use for a little longer. */
async function watch(run: Campaigning, permission: Permission): Promise<void> {
  const untilMs = systemClock.nowMs() + BOUND_MS[permission.level] + 1_000;
  while (systemClock.nowMs() < untilMs && (await ask(permission, run.heard)) !== 'CONSENT_WITHDRAWN') {
    await delay(WATCH_EVERY_MS);
  }
  await delay(run.isFull ? 2_000 : 200);
  run.inUse.delete(permission);
}

/** Gives and ends `count` consents, in rounds, each ended at a moment of its own. */
async function endMany(run: Campaigning, count: number, phase: Phase, spreadMs: number): Promise<void> {
  const { citizens, setting, chance } = run;
  const most = citizens.length * setting.consumers.length * ASKED.length;
  for (let left = count; left > 0; left -= most) {
    const given = await give(run, Math.min(left, most), phase);
    await Promise.all(given.map((one) => endOne(run, one, chance.integer(0, spreadMs))));
  }
}

async function endOne(
  run: Campaigning,
  { citizen, permission }: { citizen: Citizen; permission: Permission },
  afterMs: number,
): Promise<void> {
  const by = run.chance.chance(0.3) ? 'department' : 'citizen';
  await delay(afterMs);
  await citizen.end(permission, by);
  run.watches.push(watch(run, permission));
}

/** Lists are held back as well as hints: only the age of what is held protects anybody. */
async function endHeld(run: Campaigning, count: number): Promise<void> {
  const { citizen, hints } = run.setting.relays;
  const given = await give(run, count, 'held');
  hints.passage = () => 'cut';
  citizen.passage = (path) => (path.startsWith('/status/') ? 'held' : 'open');
  await Promise.all(given.map((one) => endOne(run, one, run.chance.integer(0, 8_000))));
  await Promise.all(run.watches.splice(0));
  citizen.passage = () => 'open';
  hints.passage = () => 'open';
}

/** Half of them are ended when the consent service dies; whoever got no word clicks again when it is back. */
async function endKilled(run: Campaigning, count: number, forgetful: boolean): Promise<void> {
  const { setting, citizens, chance, isFull } = run;
  const given = await give(run, count, 'killed');
  if (forgetful) setting.copyRecords();
  const spreadMs = isFull ? 4_000 : 400;
  const ended = given.map((one) => endOne(run, one, chance.integer(0, spreadMs)).catch(() => one));
  await delay(spreadMs / 2);
  // A planted fault shows only in what somebody saw refused.
  if (forgetful) {
    await Promise.all(ended);
    await Promise.all(run.watches.splice(0));
  }
  const killedMs = systemClock.nowMs();
  await setting.killConsentService();
  const unconfirmed = (await Promise.all(ended)).filter((one) => one !== undefined);
  await delay(isFull ? AWAY_MS : 0);
  if (forgetful) setting.restoreRecords();
  await setting.startConsentService();
  run.aways.push({ killedMs, backMs: systemClock.nowMs() });
  for (const { citizen, permission } of unconfirmed) {
    permission.clickedMs = null;
    // It may have been written before the answer was lost.
    await endOne(run, { citizen, permission }, 0).catch(() => {
      permission.clickedMs = null;
      run.inUse.delete(permission);
    });
  }
  // A new consent makes the provider fetch a list of the one that came back.
  await give(run, 1, 'hints', citizens.slice(0, 1));
  await delay(500);
}

/** What was ended stays ended, whoever forgot what; what was not is answered. */
async function askAgain({ permissions, heard, chance, isFull }: Campaigning): Promise<string[]> {
  const found: string[] = [];
  const ended = shuffled(permissions, chance).filter(({ confirmedMs }) => confirmedMs !== null);
  for (const permission of ended.slice(0, isFull ? ASKED_AGAIN : ended.length)) {
    const code = await ask(permission, heard);
    if (code !== 'CONSENT_WITHDRAWN') found.push(`${permission.id}: ended, and at last answered with ${code}`);
  }
  return found;
}

async function campaign(run: Campaigning, size: number, say: (line: string) => void): Promise<string[]> {
  const { relays } = run.setting;
  const share = (part: number) => (run.isFull ? Math.round(size * part) : 0);
  const [polled, held, killed] = [share(0.35), Math.min(36, share(0.05)), Math.min(40, Math.max(2, share(0.07)))];
  say(`${size - polled - held - killed} with hints`);
  await endMany(run, size - polled - held - killed, 'hints', run.isFull ? 3_000 : 300);
  await Promise.all(run.watches.splice(0));
  if (run.isFull) {
    say(`${polled} without hints`);
    relays.hints.passage = () => 'cut';
    await endMany(run, polled, 'polled', 3_000);
    await Promise.all(run.watches.splice(0));
    relays.hints.passage = () => 'open';
    say(`${held} with lists held back`);
    await endHeld(run, held);
  }
  // Some are never ended: they have to be answered again when the consent service is back.
  const kept = await give(run, 1, 'hints', [run.keeper]);
  say(`${killed} while the consent service is killed`);
  await endKilled(run, killed, false);
  await Promise.all(run.watches.splice(0));
  const found: string[] = [];
  for (const { permission } of kept) {
    const code = await ask(permission, run.heard);
    if (code !== 'OK') found.push(`${permission.id}: never ended, and at last answered with ${code}`);
  }
  return [...found, ...(await askAgain(run))];
}

/** A fault that is planted into what stands: two more end, and the consent service comes back without knowing of it. */
async function forget(run: Campaigning): Promise<string[]> {
  const before = run.permissions.length;
  await endKilled(run, 2, true);
  await Promise.all(run.watches.splice(0));
  return await askAgain({ ...run, permissions: run.permissions.slice(before) });
}

/** What the provider's log says, and whether it is whole; its server may be running. */
async function judge({ setting, permissions, heard, aways }: Campaigning) {
  const clients = new Set(setting.consumers.map(({ subsystem }) => subsystem));
  const verdict = judgeReleases(permissions, heard, readAnswers(setting.provider.folder, clients), aways);
  const audit = await auditFolder(setting.provider.folder);
  return { ...verdict, found: [...verdict.found, ...(audit === null ? [] : [audit])] };
}

async function run({ size, seed, thenBroken, say = () => {} }: CampaignRun<BrokenRevocation>): Promise<CampaignResult> {
  const isFull = size >= FULL_SIZE;
  const folder = mkdtempSync(join(tmpdir(), 'accord-revocation-'));
  const shape = isFull ? { citizens: 9, consumers: 2 } : { citizens: 3, consumers: 1 };
  const setting = await openRevocationSetting({ folder, ...shape, processes: isFull });
  const none = { heard: [], permissions: [], inUse: new Set<Permission>(), watches: [], aways: [] };
  const [first, ...others] = setting.citizens;
  if (first === undefined) throw new TypeError('nobody lives here');
  const citizens = others.map((resident) => new Citizen(resident, setting));
  const keeper = new Citizen(first, setting);
  const running: Campaigning = { setting, citizens, keeper, chance: randomFrom(seed), isFull, ...none };
  const found: string[] = [];
  const stopLoad = startLoad(running.inUse, running.heard, isFull ? 8 : 2, isFull ? 20 : 150);
  try {
    found.push(...(await campaign(running, size, say)));
  } catch (error) {
    found.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  await stopLoad();
  await Promise.allSettled(running.watches);
  if (thenBroken === undefined) await setting.close();
  const verdict = await judge(running);
  const { permissions, heard, aways } = running;
  const ended = permissions.filter(({ confirmedMs }) => confirmedMs !== null).length;
  const codes = Object.groupBy(heard, ({ code }) => code);
  found.push(...verdict.found);
  if (isFull && codes['STATUS_STALE'] === undefined) found.push('nothing was refused while nobody could say');
  const foundBroken = thenBroken === undefined ? [] : await forget(running);
  await setting.close();
  rmSync(folder, { recursive: true, force: true });
  return {
    ...{ size: ended, failures: found.length, found, foundBroken, releases: verdict.releases },
    codes: Object.fromEntries(Object.entries(codes).map(([code, list]) => [code, list?.length ?? 0])),
    delaysMs: Object.fromEntries(Object.entries(verdict.delays).map(([phase, list]) => [phase, shares(list)])),
    awayMs: aways.map(({ killedMs, backMs }) => backMs - killedMs),
  };
}

export const revocation: Campaign<BrokenRevocation> = {
  name: 'revocation',
  title: 'consents ended under load: none is honoured later than its bound',
  defaultSize: 1_000,
  run,
};
