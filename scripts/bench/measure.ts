// Rounds: in each the variants take turns at one scenario, so that what else the machine does falls on all of them. What
// is told is the median over the rounds; of a ratio, the median of the rounds' ratios.
import { ask } from './processes.ts';
import type { Scenario } from './scenarios.ts';
import type { Variant, VariantName, Variants } from './variants.ts';
import type { Order, Seen } from './window.ts';

export interface Turns {
  rounds: number;
  seconds: number;
  /** Each turn ends with so many answers in place of its seconds; null: it does not. */
  answers: number | null;
  leadInSeconds: number;
}

export interface Measured {
  aSecond: number;
  p50Millis: number;
  p99Millis: number;
  /** Microseconds of processor time for one exchange, by role; `load` is the load itself. */
  cpuMicros: Record<'consumer' | 'provider' | 'backend' | 'load', number>;
  /** The most that one process took. */
  rssMiB: Record<'consumer' | 'provider', number>;
}

export type Results = Partial<Record<VariantName, Measured>>;

export interface ScenarioResult {
  scenario: Scenario;
  results: Results;
  /** Throughput against nginx and against plain, of those that were measured. */
  ratios: { toNginx: Partial<Record<VariantName, number>>; toPlain: Partial<Record<VariantName, number>> };
  /** Processor time of both servers for one exchange of `safe` against that of both hops of `plain`: the least of the rounds'. */
  cpuToPlain: number | null;
}

/** Everything that went wrong, and how many exchanges the servers were asked for. */
export interface Tally {
  failures: number;
  found: string[];
  exchanges: Record<'safe' | 'write', number>;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = 0, high = low] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}

/** One turn of one variant. */
export async function turn(
  { load }: Pick<Variants, 'load'>,
  variant: Variant,
  scenario: Pick<Scenario, 'name' | 'mix' | 'concurrency'>,
  { seconds, answers, leadInSeconds }: Omit<Turns, 'rounds'>,
  tally: Tally,
): Promise<Seen> {
  const { url, service, pids } = variant;
  const { mix, concurrency } = scenario;
  const order: Order = { url, service, mix, concurrency, seconds, answers, leadInSeconds, pids };
  const seen = await ask<Seen>(load, 'the load', order);
  tally.failures += seen.failures;
  tally.found.push(...seen.found.map((what) => `${scenario.name}, ${variant.name}: ${what}`));
  if (service !== null) tally.exchanges[service] += seen.answersInAll;
  return seen;
}

/** @param around called before and after each turn */
export async function measure(
  variants: Variants,
  scenario: Scenario,
  turns: Turns,
  tally: Tally,
  around: { before?(variant: Variant): void; after?(variant: Variant, seen: Seen): void } = {},
): Promise<ScenarioResult> {
  const rounds = new Map<VariantName, Seen[]>();
  const taking = variants.all.filter(({ name }) => scenario.variants.includes(name));
  for (let round = 0; round < turns.rounds; round += 1) {
    for (const variant of taking) {
      around.before?.(variant);
      const seen = await turn(variants, variant, scenario, turns, tally);
      around.after?.(variant, seen);
      rounds.set(variant.name, [...(rounds.get(variant.name) ?? []), seen]);
    }
  }
  const rateOf = ({ answers, seconds }: Seen) => answers / seconds;
  const ratioTo = (base: VariantName) => {
    const bases = rounds.get(base);
    if (bases === undefined) return {};
    const ratios = [...rounds].map(([name, list]) => [
      name,
      median(list.map((seen, at) => rateOf(seen) / Math.max(rateOf(bases[at] ?? seen), 1e-9))),
    ]);
    return Object.fromEntries(ratios) as Partial<Record<VariantName, number>>;
  };
  return {
    scenario,
    results: Object.fromEntries([...rounds].map(([name, list]) => [name, summary(list)])),
    ratios: { toNginx: ratioTo('nginx'), toPlain: ratioTo('plain') },
    cpuToPlain: leastCpu(rounds.get('safe')) / leastCpu(rounds.get('plain')) || null,
  };
}

/** What else the machine does only adds to it, so that the least of the rounds is the nearest to what it costs. */
function leastCpu(list: readonly Seen[] = []): number {
  const ofServers = ({ cpuMicros, answers }: Seen) =>
    ((cpuMicros['consumer'] ?? 0) + (cpuMicros['provider'] ?? 0)) / Math.max(answers, 1);
  return Math.min(...list.map(ofServers));
}

function summary(list: readonly Seen[]): Measured {
  const of = (read: (seen: Seen) => number) => median(list.map(read));
  const cpu = (role: string) => of((seen) => (seen.cpuMicros[role] ?? 0) / Math.max(seen.answers, 1));
  const rss = (role: string) => Math.max(...list.map((seen) => seen.rssMiB[role] ?? 0));
  return {
    aSecond: of(({ answers, seconds }) => answers / seconds),
    p50Millis: of(({ p50Millis }) => p50Millis),
    p99Millis: of(({ p99Millis }) => p99Millis),
    cpuMicros: { consumer: cpu('consumer'), provider: cpu('provider'), backend: cpu('backend'), load: cpu('load') },
    rssMiB: { consumer: rss('consumer'), provider: rss('provider') },
  };
}
