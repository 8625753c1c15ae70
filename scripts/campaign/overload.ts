// Campaign `overload`: two real servers are first asked as much as they can take, then ten times that, whatever becomes of
// it, and then again what they can take. The promises (docs/operations.md): what is admitted is answered nearly as fast and
// nearly as often as before, what is not is told so at once with 503 and Retry-After before its body is read, each admitted
// request has its entries in both logs and no other has any, and the memory comes back. The size is the overload's seconds.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { rssMiB } from '#scripts/bench/weigh.ts';
import type { Campaign, CampaignResult, CampaignRun } from './campaign.ts';
import type { LoadOrder, LoadSeen } from './overload-load.ts';
import { type LoadedSetting, openLoadedSetting } from './overload-setting.ts';
import { logFaults, type Measured, verdict, WHOLE_SECONDS } from './overload-verdict.ts';
import { CLIENT, SERVICE } from './pair.ts';

/** Servers that let everybody in. */
export interface BrokenOverload {
  admitAll: boolean;
}

const FACTOR = 10;
const BURST = 8;
/** A short overload comes at once, on as many connections: the places of two cold servers have to be taken too. */
const SHORT_REQUESTS = 400;
const KNOCK = 'GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n';
const CONCURRENCIES = [16, 64, 256];
/** Of the best goodput; the least concurrency that reaches it is the one whose times are compared. */
const NEARLY = 0.95;
const PROBE_EVERY_MS = 100;
const PROBES_READY = 16;
const SETTLING_SECONDS = 20;

const MIB = 1024 * 1024;
const body = JSON.stringify({
  ...{ client: CLIENT, service: SERVICE, method: 'POST', path: '/records', contentType: 'application/json' },
  body: { remarks: 'treated as an in-patient; '.repeat(40).slice(0, 1_000) },
});
const head = (length: number) =>
  `POST /lookups HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;
const REQUEST = `${head(Buffer.byteLength(body))}${body}`;

interface Probes {
  refused: number;
  slowestMs: number;
}

/**
 * Heads whose bodies never come: who is refused is told so all the same. One that is let in takes a second. Their
 * connections are there before: one that is made while hundreds of others are waits for all of them.
 */
async function probeUntil(port: number, everyMs: number, signal: AbortSignal): Promise<Probes> {
  const probes: Probes = { refused: 0, slowestMs: 0 };
  const open = () => connect(port, '127.0.0.1').on('error', () => {});
  const ready = Array.from({ length: PROBES_READY }, open);
  const probe = async (socket: Socket) => {
    const sentMs = performance.now();
    socket.write(head(MIB / 2));
    const answered = once(socket, 'data', { signal: AbortSignal.any([signal, AbortSignal.timeout(1_000)]) });
    const [chunk] = (await answered.catch(() => [null])) as [Buffer | null];
    if (chunk?.toString('latin1', 9, 12) === '503') {
      probes.refused += 1;
      probes.slowestMs = Math.max(probes.slowestMs, performance.now() - sentMs);
    }
    socket.destroy();
  };
  const underWay: Promise<void>[] = [];
  while (!signal.aborted) {
    await delay(everyMs, null, { signal }).catch(() => {});
    ready.push(open());
    const socket = ready.shift();
    if (socket !== undefined) underWay.push(probe(socket));
  }
  await Promise.all(underWay);
  for (const socket of ready) socket.destroy();
  return probes;
}

const weigh = ({ pids }: LoadedSetting) => ({ consumer: rssMiB(pids.consumer), provider: rssMiB(pids.provider) });

/** When nothing is asked for a while, the collector gives back what it holds; waits no longer than that takes. */
async function settled(setting: LoadedSetting, size: number, wanted: ReturnType<typeof weigh> | null) {
  let least = weigh(setting);
  for (let left = Math.min(SETTLING_SECONDS, size / 2); left > 0; left -= 1) {
    await delay(Math.min(1, left) * 1000);
    const now = weigh(setting);
    least = { consumer: Math.min(least.consumer, now.consumer), provider: Math.min(least.provider, now.provider) };
    if (wanted !== null && least.consumer <= wanted.consumer && least.provider <= wanted.provider) break;
  }
  return least;
}

const isShort = (size: number) => size < WHOLE_SECONDS / 6;

/** Of one concurrency; a short one ends only when enough was answered. */
function turnOf(size: number): { seconds: number; leadInSeconds: number } {
  const seconds = Math.min(10, Math.max(isShort(size) ? 0.1 : 0.4, size / 10));
  return { seconds, leadInSeconds: Math.min(1, seconds / 4) };
}

type Asked = Pick<LoadOrder, 'closed' | 'open' | 'burst' | 'knock' | 'seconds' | 'leadInSeconds'>;

function askLoad(setting: LoadedSetting, order: Asked): Promise<LoadSeen> {
  const port = Number(new URL(setting.consumerUrl).port);
  return setting.ask<LoadSeen>({ port, request: REQUEST, pids: setting.pids, ...order });
}

/** Many times what they can take. */
async function overTurn(
  setting: LoadedSetting,
  size: number,
  best: number,
): Promise<Pick<Measured, 'over' | 'probes'>> {
  const ended = new AbortController();
  const port = Number(new URL(setting.consumerUrl).port);
  const probing = probeUntil(port, isShort(size) ? PROBE_EVERY_MS / 4 : PROBE_EVERY_MS, ended.signal);
  const { leadInSeconds } = turnOf(size);
  const many = isShort(size)
    ? { open: SHORT_REQUESTS / size, burst: 1, knock: KNOCK }
    : { open: best * FACTOR, burst: BURST };
  const over = await askLoad(setting, { ...many, seconds: size, leadInSeconds });
  ended.abort();
  return { over, probes: await probing };
}

async function measure(setting: LoadedSetting, size: number, say: (line: string) => void): Promise<Measured> {
  const turns: LoadSeen[] = [];
  const ask = async (order: Asked) => {
    const seen = await askLoad(setting, order);
    turns.push(seen);
    return seen;
  };
  const { seconds, leadInSeconds } = turnOf(size);
  // Cold programs read half.
  if (!isShort(size)) await ask({ closed: 64, seconds: Math.min(8, size / 2), leadInSeconds: 0 });
  const closed = async (at: number) => {
    const seen = await ask({ closed: at, seconds, leadInSeconds });
    const capacity = { at, goodput: seen.good / seen.seconds, seen };
    say(`${at} at once: ${told(seen)}`);
    return capacity;
  };
  const found = [];
  for (const at of isShort(size) ? [64] : CONCURRENCIES) found.push(await closed(at));
  const best = Math.max(...found.map(({ goodput }) => goodput));
  const before = found.find(({ goodput }) => goodput >= best * NEARLY) ?? found[0];
  if (before === undefined) throw new TypeError('one of them is the best');
  if (!isShort(size)) {
    // What refuses is warmed too: memory is compared with that of servers that have done everything once.
    await ask({ open: best * FACTOR, burst: BURST, seconds: seconds / 2, leadInSeconds: 0 });
    await closed(before.at);
  }
  const rssBefore = await settled(setting, size, null);
  const { over, probes } = await overTurn(setting, size, best);
  turns.push(over);
  say(`${FACTOR} times that: ${told(over)}`);
  const rssOver = weigh(setting);
  const after = await closed(before.at);
  const rssAfter = await settled(setting, size, rssBefore);
  return { size, best, before, over, after, turns, probes, rss: { rssBefore, rssOver, rssAfter } };
}

function told({ good, seconds, refused, sent, cores, ...seen }: LoadSeen): string {
  const per = (count: number) => (count / seconds).toFixed(0);
  const refusals =
    refused === 0
      ? ''
      : `; of ${per(sent)} asked, ${per(refused)} refused in ${seen.refusedP50Millis} ms, p99 ${seen.refusedP99Millis}, most ${seen.refusedMostMillis}`;
  return `${per(good)} a second, p50 ${seen.goodP50Millis} ms, p99 ${seen.goodP99Millis}${refusals}; cores ${JSON.stringify(cores)}`;
}

async function run({ size, thenBroken, say = () => {} }: CampaignRun<BrokenOverload>): Promise<CampaignResult> {
  const setting = await openLoadedSetting('./overload-load.ts');
  try {
    const measured = await measure(setting, size, say);
    const { numbers, found } = verdict(measured);
    let foundBroken: string[] = [];
    if (thenBroken === undefined) {
      found.push(...logFaults(measured.turns, await setting.stop()));
    } else {
      // Before: servers that let everybody in may still be at work when nobody waits any more.
      found.push(...logFaults(measured.turns, setting.logs()));
      await setting.worsen(thenBroken);
      const { over, probes } = await overTurn(setting, size, measured.best);
      foundBroken = verdict({ ...measured, turns: [over], over, probes }).found;
    }
    found.push(...setting.complaints);
    return { size, failures: found.length, found, foundBroken, ...numbers };
  } finally {
    await setting.close();
  }
}

export const overload: Campaign<BrokenOverload> = {
  name: 'overload',
  title: 'ten times what two servers can take, for so many seconds',
  defaultSize: 300,
  run,
};
