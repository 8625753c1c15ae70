// One run of the benchmark: everything is opened, warmed, measured scenario by scenario, looked into afterwards, and told.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BytesAnExchange, everythingWasOn, forbiddenIsRefused, growth } from './all-on.ts';
import { logSize } from './log-size-sqlite.ts';
import { measure, type ScenarioResult, type Tally, type Turns, turn } from './measure.ts';
import { type ProfileSummary, readProfile, signalProfiles } from './profile.ts';
import type { Scenario } from './scenarios.ts';
import { openVariants, serverComplaints, type Variant, type Variants } from './variants.ts';
import { idleRssMiB } from './weigh.ts';

export interface BenchOptions extends Turns {
  scenarios: readonly Scenario[];
  /** Each Node variant works so long before anything is counted. */
  warmSeconds: number;
  /** And has answered so often, within a multiple of that time. */
  warmExchanges: number;
  profile: boolean;
  dictionary: 'whole' | 'asked';
  /** Verifies both logs at the end. */
  audit: boolean;
  say(line: string): void;
}

export interface Sides<T> {
  consumer: T;
  provider: T;
}

export interface BenchResult {
  failures: number;
  found: string[];
  withoutNginx: string | null;
  scenarios: ScenarioResult[];
  /** Null in a run of so many answers, which does not wait for it. */
  idleRssMiB: Sides<number> | null;
  /** Of the exchanges of `at64`; null when it was not measured. */
  bytes: Sides<BytesAnExchange> | null;
  exchanges: number;
  profiles: Sides<ProfileSummary> | null;
}

const MOST_WARM_TURNS = 6;
const SIDES = ['consumer', 'provider'] as const;
const sides = <T>(of: (side: 'consumer' | 'provider') => T): Sides<T> => ({
  consumer: of('consumer'),
  provider: of('provider'),
});

export async function bench(options: BenchOptions): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'accord-bench-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  const profileFolder = options.profile ? join(folder, 'profiles') : null;
  if (profileFolder !== null) mkdirSync(profileFolder);
  const variants = await openVariants(folder, { profileFolder, dictionary: options.dictionary });
  if (variants.withoutNginx !== null) {
    options.say(`!!! Without nginx there is nothing to compare with: ${variants.withoutNginx}. Its ratios are null.`);
  }
  try {
    return await run(variants, options, profileFolder);
  } finally {
    await variants.close();
    remove();
    process.off('exit', remove);
  }
}

async function run(variants: Variants, options: BenchOptions, profileFolder: string | null): Promise<BenchResult> {
  const { say } = options;
  const { network } = variants;
  const tally: Tally = { failures: 0, found: [], exchanges: { safe: 0, write: 0 } };
  const idle = options.answers === null ? await idleSides(network.pids) : null;
  tally.found.push(...(await forbiddenIsRefused(network)));
  await warm(variants, options, tally);
  const scenarios: ScenarioResult[] = [];
  let bytes: BenchResult['bytes'] = null;
  for (const scenario of options.scenarios) {
    if (tally.failures > 0) break;
    const around = scenario.name === 'at64' ? watchLogs(variants, (grown) => (bytes ??= grown)) : {};
    const result = await measure(variants, scenario, options, tally, around);
    scenarios.push(result);
    say(line(result));
  }
  const profiles = profileFolder === null ? null : await profileBoth(variants, options, tally, profileFolder);
  const wrong = await everythingWasOn(network, tally, 1, options.audit);
  const found = [...tally.found, ...wrong, ...serverComplaints(variants.logFile)];
  const { exchanges } = tally;
  return {
    failures: Math.max(tally.failures, found.length),
    found,
    withoutNginx: variants.withoutNginx,
    scenarios,
    idleRssMiB: idle,
    bytes,
    exchanges: exchanges.safe + exchanges.write,
    profiles,
  };
}

async function idleSides({ consumer, provider }: Sides<number>): Promise<Sides<number>> {
  const [ofConsumer = 0, ofProvider = 0] = await idleRssMiB([consumer, provider]);
  return { consumer: ofConsumer, provider: ofProvider };
}

/**
 * Until each has worked so long and has answered so often: what a program in Node costs settles after thousands of calls.
 * Both services of the exchange share their servers, so half of it each.
 */
async function warm(
  variants: Variants,
  { scenarios, warmSeconds, warmExchanges, answers: each, say }: BenchOptions,
  tally: Tally,
): Promise<void> {
  const isNeeded = ({ name }: Variant) =>
    name === 'safe' || scenarios.some(({ variants: named }) => named.includes(name));
  const scenario = { name: 'warm', concurrency: 32, mix: [{ size: '1k', perThousand: 1000 }] } as const;
  for (const variant of variants.all.filter(isNeeded)) {
    const share = variant.name === 'nginx' ? 0.1 : variant.service === null ? 1 : 0.5;
    let [turns, answers, seconds] = [0, 0, 0];
    const length = { seconds: warmSeconds * share, answers: each, leadInSeconds: 0 };
    while (tally.failures === 0 && (turns === 0 || (answers < warmExchanges * share && turns < MOST_WARM_TURNS))) {
      const seen = await turn(variants, variant, scenario, length, tally);
      answers += seen.answersInAll;
      seconds += seen.seconds;
      turns += 1;
    }
    say(`${variant.name}: warm after ${answers} answers in ${seconds.toFixed(1)} s`);
  }
}

/** Looks at both logs before and after a turn of the safe service. */
function watchLogs({ network }: Variants, tell: (grown: Sides<BytesAnExchange>) => void) {
  const look = () => sides((side) => logSize(network.folders[side]));
  let before: ReturnType<typeof look> | null = null;
  return {
    before: ({ name }: { name: string }) => {
      before = name === 'safe' ? look() : null;
    },
    after: () => {
      if (before === null) return;
      const [from, to] = [before, look()];
      tell(sides((side) => growth(from[side], to[side])));
    },
  };
}

async function profileBoth(
  variants: Variants,
  { seconds }: BenchOptions,
  tally: Tally,
  folder: string,
): Promise<Sides<ProfileSummary>> {
  const safe = variants.all.find(({ name }) => name === 'safe');
  if (safe === undefined) throw new TypeError('the exchange is always measured');
  const scenario = { name: 'profile', concurrency: 64, mix: [{ size: '1k', perThousand: 1000 }] } as const;
  const pids = SIDES.map((side) => variants.network.pids[side]);
  await signalProfiles(folder, pids, 'started');
  await turn(variants, safe, scenario, { seconds: Math.max(seconds, 3), answers: null, leadInSeconds: 0 }, tally);
  const [consumer = '', provider = ''] = await signalProfiles(folder, pids, 'cpuprofile');
  return { consumer: readProfile(consumer), provider: readProfile(provider) };
}

/** What one scenario gave, in one line, while the others are measured. */
function line({ scenario, results, ratios }: ScenarioResult): string {
  const rates = Object.entries(results).map(
    ([name, { aSecond }]) => `${name} ${aSecond.toFixed(aSecond < 100 ? 1 : 0)}`,
  );
  const { safe } = ratios.toNginx;
  return `${scenario.name}: ${rates.join(', ')} a second${safe === undefined ? '' : `; safe/nginx ${safe.toFixed(3)}`}`;
}
