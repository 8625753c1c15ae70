// The load of the benchmark, a process of its own: it reads one order a line on standard input, asks one variant at one
// concurrency for so many seconds, and prints what it saw, with what the named processes took meanwhile. Each turn begins
// with a lead-in that is not counted, in which connections are made.
import { createInterface } from 'node:readline';
import { randomFrom } from '#scripts/demo/random.ts';
import { type Asked, asksOf } from './asked.ts';
import type { Size } from './assistance.ts';
import { runSlot } from './slot.ts';
import { type Order, type Seen, Window } from './window.ts';

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

async function carryOut(order: Order): Promise<Seen> {
  const pick = picker(order);
  const window = new Window(order);
  const run = {
    next: () => (window.isOver() ? null : pick()),
    answered: (fromMs: number, untilMs: number) => window.answered(fromMs, untilMs),
    failed: (what: string) => window.failed(what),
  };
  window.open();
  await Promise.all(Array.from({ length: order.concurrency }, () => runSlot(order.url, run)));
  return window.seen();
}

const lines = createInterface({ input: process.stdin });
for await (const line of lines) console.log(JSON.stringify(await carryOut(JSON.parse(line) as Order)));
