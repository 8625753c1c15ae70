// What campaign `overload` saw, judged. Goodput is compared with what is left for the servers: the load shares their
// processors, and ten times as many requests cost it ten times as much. Both figures are told. A short run on a busy
// machine only shows that nothing collapses.
import type { LogSize } from '#scripts/bench/log-size-sqlite.ts';
import type { LoadSeen } from './overload-load.ts';

interface Capacity {
  at: number;
  goodput: number;
  seen: LoadSeen;
}

type Rss = Record<'consumer' | 'provider', number>;

export interface Measured {
  size: number;
  /** The best goodput before, at any concurrency. */
  best: number;
  /** At the concurrency whose times are compared. */
  before: Capacity;
  over: LoadSeen;
  after: Capacity;
  turns: LoadSeen[];
  probes: { refused: number; slowestMs: number };
  rss: { rssBefore: Rss; rssOver: Rss; rssAfter: Rss };
}

/** From this length on the promises are judged as they stand. */
export const WHOLE_SECONDS = 60;
/** Goodput, p99 of what is admitted, p99 of refusals, memory. A short run judges by no time: cold programs, busy machines. */
const STRICT = { offered: 3, goodput: 0.9, slower: 2, refusedMs: 50, memory: 0.05 };
const LOOSE = { offered: 0, goodput: 0, slower: Infinity, refusedMs: Infinity, memory: 1 };

export function verdict({ size, best, before, over, after, turns, probes, rss }: Measured) {
  const limits = size >= WHOLE_SECONDS ? STRICT : LOOSE;
  const found = turns.flatMap((turn) => turn.found);
  const expect = (holds: boolean, what: string) => {
    if (!holds) found.push(what);
  };
  const goodput = over.good / over.seconds;
  const capacity = (Math.max(best, before.goodput) + after.goodput) / 2;
  const left = coresLeft(over) / coresLeft(before.seen);
  const ratios = { ofCapacity: goodput / capacity, ofWhatIsLeft: goodput / (capacity * Math.min(1, left)) };
  const usualP99 = Math.max(before.seen.goodP99Millis, after.seen.goodP99Millis);
  const slower = over.goodP99Millis / Math.max(usualP99, 0.1);
  const offered = over.sent / over.seconds / capacity;
  expect(offered >= limits.offered, `the load itself offered only ${offered.toFixed(1)} times the capacity`);
  expect(over.refusedInAll > 0, `nobody was refused of ${over.sent} that were too many`);
  expect(ratios.ofWhatIsLeft >= limits.goodput, `goodput fell to ${ratios.ofWhatIsLeft.toFixed(2)} of what it can be`);
  expect(slower <= limits.slower, `p99 of what is admitted is ${slower.toFixed(1)} times what it was`);
  expect(over.refusedP99Millis <= limits.refusedMs, `p99 of refusals is ${over.refusedP99Millis} ms`);
  expect(probes.refused > 0, 'nobody was refused before the body was sent');
  expect(
    probes.slowestMs < limits.refusedMs * 20,
    `one without its body waited ${Math.round(probes.slowestMs)} ms for its refusal`,
  );
  for (const turn of turns) expect(turn.unanswered === 0, `${turn.unanswered} requests got no answer`);
  for (const side of ['consumer', 'provider'] as const) {
    const growth = rss.rssAfter[side] / rss.rssBefore[side] - 1;
    expect(growth <= limits.memory, `${side}: ${Math.round(growth * 100)} % more memory than before`);
  }
  const round = (value: number) => Math.round(value * 1000) / 1000;
  const numbers = {
    capacity: Math.round(capacity),
    atOnce: before.at,
    offered: round(offered),
    goodput: Math.round(goodput),
    goodputOfCapacity: round(ratios.ofCapacity),
    goodputOfWhatIsLeft: round(ratios.ofWhatIsLeft),
    p99Millis: { before: before.seen.goodP99Millis, over: over.goodP99Millis, after: after.seen.goodP99Millis },
    refusedMillis: { p50: over.refusedP50Millis, p99: over.refusedP99Millis, most: over.refusedMostMillis },
    withoutBody: probes,
    coresBefore: before.seen.cores,
    coresOver: over.cores,
    rssMiB: Object.fromEntries(
      Object.entries(rss).map(([when, of]) => [when, [of.consumer, of.provider].map(Math.round)]),
    ),
  };
  return { numbers, found };
}

/** What backend and servers had or could have had. */
function coresLeft({ cores }: LoadSeen): number {
  const used = Object.values(cores).reduce((sum, each) => sum + each, 0);
  return used - (cores['load'] ?? 0);
}

/** Whoever was answered has two entries in each log, and nobody else has any. */
export function logFaults(turns: readonly LoadSeen[], logs: { consumer: LogSize; provider: LogSize }): string[] {
  const good = turns.reduce((sum, { goodInAll }) => sum + goodInAll, 0);
  const found: string[] = [];
  for (const [side, kinds] of [
    ['consumer', ['request-sent', 'response-received']],
    ['provider', ['request-received', 'response-sent']],
  ] as const) {
    for (const kind of kinds) {
      const count = logs[side].entries[`${kind} echo`] ?? 0;
      if (count !== good) found.push(`${side}: ${count} entries ${kind} for ${good} answers`);
    }
    const other = Object.keys(logs[side].entries).filter((name) => !kinds.some((kind) => name === `${kind} echo`));
    const known = other.filter((name) => !/^(?:summary|genesis|opened|start)/.test(name));
    if (known.length > 0) found.push(`${side}: other entries: ${known.join(', ')}`);
  }
  return found;
}
