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

async function measure(setting: LoadedSetting, size: number, say: (line: string) => void): Promise<Measured> {
  const { pids } = setting;
  const port = Number(new URL(setting.consumerUrl).port);
  const turns: LoadSeen[] = [];
  const ask = async (order: Pick<LoadOrder, 'closed' | 'open' | 'burst' | 'seconds' | 'leadInSeconds'>) => {
    const seen = await setting.ask<LoadSeen>({ port, request: REQUEST, pids, ...order });
    turns.push(seen);
    return seen;
  };
  const seconds = Math.min(10, Math.max(0.4, size / 10));
  const leadInSeconds = Math.min(1, seconds / 4);
  // Cold programs read half.
  await ask({ closed: 64, seconds: Math.min(8, size / 2), leadInSeconds: 0 });
  const closed = async (at: number) => {
    const seen = await ask({ closed: at, seconds, leadInSeconds });
    const capacity = { at, goodput: seen.good / seen.seconds, seen };
    say(`${at} at once: ${told(seen)}`);
    return capacity;
  };
  const found = [];
  const isShort = size < WHOLE_SECONDS / 6;
  for (const at of isShort ? [64] : CONCURRENCIES) found.push(await closed(at));
  const best = Math.max(...found.map(({ goodput }) => goodput));
  const before = found.find(({ goodput }) => goodput >= best * NEARLY) ?? found[0];
  if (before === undefined) throw new TypeError('one of them is the best');
  if (!isShort) {
    // What refuses is warmed too: memory is compared with that of servers that have done everything once.
    await ask({ open: best * FACTOR, burst: BURST, seconds: seconds / 2, leadInSeconds: 0 });
    await closed(before.at);
  }
  const rssBefore = await settled(setting, size, null);
  const ended = new AbortController();
  const probing = probeUntil(port, isShort ? PROBE_EVERY_MS / 2 : PROBE_EVERY_MS, ended.signal);
  const over = await ask({ open: best * FACTOR, burst: BURST, seconds: size, leadInSeconds });
  ended.abort();
  say(`${FACTOR} times that: ${told(over)}`);
  const rssOver = weigh(setting);
  const after = await closed(before.at);
  const rssAfter = await settled(setting, size, rssBefore);
  return { size, best, before, over, after, turns, probes: await probing, rss: { rssBefore, rssOver, rssAfter } };
}

function told({ good, seconds, refused, sent, cores, ...seen }: LoadSeen): string {
  const per = (count: number) => (count / seconds).toFixed(0);
  const refusals =
    refused === 0
      ? ''
      : `; of ${per(sent)} asked, ${per(refused)} refused in ${seen.refusedP50Millis} ms, p99 ${seen.refusedP99Millis}, most ${seen.refusedMostMillis}`;
  return `${per(good)} a second, p50 ${seen.goodP50Millis} ms, p99 ${seen.goodP99Millis}${refusals}; cores ${JSON.stringify(cores)}`;
}

async function run({ size, broken, say = () => {} }: CampaignRun<BrokenOverload>): Promise<CampaignResult> {
  const setting = await openLoadedSetting('./overload-load.ts', broken);
  try {
    const measured = await measure(setting, size, say);
    const { numbers, found } = verdict(measured);
    found.push(...logFaults(measured.turns, await setting.stop()), ...setting.complaints);
    return { size, failures: found.length, found, ...numbers };
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
