// The load of the benchmark, a process of its own: it reads one order a line on standard input, asks one variant at one
// concurrency for so many seconds, and prints what it saw, with what the named processes took meanwhile. Each turn begins
// with a lead-in that is not counted, in which connections are made.
import { createInterface } from 'node:readline';
import { randomFrom } from '#scripts/demo/random.ts';
import { type Asked, asksOf } from './asked.ts';
import type { Size } from './assistance.ts';
import { runSlot } from './slot.ts';
import { cpuMicros, rssMiB } from './weigh.ts';

export interface Order {
  url: string;
  /** Which service of the security server; null for the variants without one. */
  service: 'safe' | 'write' | null;
  /** Sizes, and how many of a thousand requests have each. */
  mix: readonly { size: Size; perThousand: number }[];
  concurrency: number;
  seconds: number;
  leadInSeconds: number;
  /** Processes to weigh, by role. */
  pids: Record<string, readonly number[]>;
}

export interface Seen {
  /** Answers in the counted time. */
  answers: number;
  seconds: number;
  p50Millis: number;
  p99Millis: number;
  /** All answers, with the lead-in and those that were still under way at the end. */
  answersInAll: number;
  failures: number;
  /** The first few. */
  found: string[];
  /** Processor time in the counted time, by role; `load` is this process. */
  cpuMicros: Record<string, number>;
  /** The most that one process of a role took in the counted time. */
  rssMiB: Record<string, number>;
}

const SAMPLE_MS = 100;
const SHOWN_FAILURES = 5;
const SEED = 7;

const prepared = new Map<string, Asked[]>();
function prepare(size: Size, service: Order['service']): Asked[] {
  const key = `${size} ${service}`;
  const found = prepared.get(key) ?? asksOf(size, service);
  prepared.set(key, found);
  return found;
}

/** Sizes in an order that looks random and is the same for each variant. */
function picker({ mix, service }: Order): () => Asked {
  const [only] = mix;
  const chance = randomFrom(SEED);
  let at = 0;
  const of = (size: Size) => {
    const asks = prepare(size, service);
    at += 1;
    return asks[at % asks.length] as Asked;
  };
  for (const { size } of mix) prepare(size, service);
  if (mix.length === 1 && only !== undefined) return () => of(only.size);
  return () => {
    let left = chance.integer(0, 999);
    for (const { size, perThousand } of mix) {
      left -= perThousand;
      if (left < 0) return of(size);
    }
    throw new TypeError('a mix of a thousand');
  };
}

function weighAll(pids: Order['pids'], of: (pid: number) => number, join: (a: number, b: number) => number) {
  const all = { ...pids, load: [process.pid] };
  return Object.fromEntries(Object.entries(all).map(([role, list]) => [role, list.map(of).reduce(join, 0)]));
}
const sum = (a: number, b: number) => a + b;

async function carryOut(order: Order): Promise<Seen> {
  const pick = picker(order);
  const startMs = performance.now();
  const countFromMs = startMs + order.leadInSeconds * 1000;
  const untilMs = countFromMs + order.seconds * 1000;
  const durations: number[] = [];
  const found: string[] = [];
  let [answersInAll, failures] = [0, 0];
  const run = {
    next: () => (performance.now() < untilMs && failures === 0 ? pick() : null),
    answered(fromMs: number, atMs: number) {
      answersInAll += 1;
      if (atMs >= countFromMs && atMs < untilMs) durations.push(atMs - fromMs);
    },
    failed(what: string) {
      failures += 1;
      if (found.length < SHOWN_FAILURES) found.push(what);
    },
  };
  let rss: Record<string, number> = {};
  const sample = () => {
    const now = weighAll(order.pids, rssMiB, (a, b) => Math.max(a, b));
    rss = Object.fromEntries(Object.entries(now).map(([role, mib]) => [role, Math.max(mib, rss[role] ?? 0)]));
  };
  let [before, after]: Record<string, number>[] = [{}, {}];
  const timers = [
    setTimeout(() => {
      before = weighAll(order.pids, cpuMicros, sum);
      sample();
      timers.push(setInterval(sample, SAMPLE_MS));
    }, order.leadInSeconds * 1000),
    setTimeout(
      () => {
        after = weighAll(order.pids, cpuMicros, sum);
      },
      (order.leadInSeconds + order.seconds) * 1000,
    ),
  ];
  await Promise.all(Array.from({ length: order.concurrency }, () => runSlot(order.url, run)));
  for (const timer of timers) clearTimeout(timer);
  durations.sort((a, b) => a - b);
  const at = (share: number) => durations[Math.floor(durations.length * share)] ?? 0;
  const took = Object.entries(after ?? {}).map(([role, micros]) => [role, micros - (before?.[role] ?? 0)]);
  return {
    answers: durations.length,
    seconds: order.seconds,
    p50Millis: at(0.5),
    p99Millis: at(0.99),
    answersInAll,
    failures,
    found,
    cpuMicros: Object.fromEntries(took),
    rssMiB: rss,
  };
}

const lines = createInterface({ input: process.stdin });
for await (const line of lines) console.log(JSON.stringify(await carryOut(JSON.parse(line) as Order)));
