// A start, a new dictionary or a burst of work leaves much behind that nobody needs any more, and V8 keeps the pages of
// what it collects: by itself it comes back to a small heap after a quarter of an hour, if at all. A program that has had
// nothing to do for some seconds has time for it: it collects everything once and gives the pages back. That takes some
// 60 milliseconds (150 with 10,000 members), in which whoever comes just then waits; so it is done only when there is
// something to gain, and not often. For programs that run for months; nothing from outside is read here.
import { getHeapStatistics } from 'node:v8';
import { collectEverything } from './collect.ts';

const LOOK_EVERY_MS = 1_000;
/** So many looks one after the other, between which less than this share of the time was worked, as the processor counts. */
const QUIET_LOOKS = 3;
const QUIET_SHARE = 0.03;
/** Less is not worth it. */
const GROWN_BYTES = 8 * 1024 * 1024;
/** Looks until the next collection: few while a server is being set up, each time twice as many, at the end ten minutes. */
const REST_LOOKS = { first: 8, most: 600 };
/** At a collection before this look nothing but the start has run; later it may be what every exchange needs. */
const START_LOOKS = 20;

/**
 * Once the program is ready: from then on its heap is small again whenever it has had nothing to do. Returns how to stop.
 * @param onCollected told of each time, with the bytes that the heap took before and takes now
 */
export function collectWhenIdle(
  onCollected: (beforeBytes: number, bytes: number) => void = () => {},
  lookEveryMs = LOOK_EVERY_MS,
): () => void {
  let [looks, quiet, smallest, restUntil, rest] = [0, 0, 0, 0, REST_LOOKS.first];
  const mostMicros = lookEveryMs * 1_000 * QUIET_SHARE;
  let last = process.threadCpuUsage();
  const look = () => {
    // Of the clock, a busy machine lets everybody wait, and nobody would seem to be idle.
    const { user, system } = process.threadCpuUsage(last);
    last = process.threadCpuUsage();
    quiet = user + system < mostMicros ? quiet + 1 : 0;
    looks += 1;
    const before = heapBytes();
    if (quiet < QUIET_LOOKS || looks < restUntil || before < smallest + GROWN_BYTES) return;
    collectEverything(looks <= START_LOOKS);
    [smallest, restUntil, rest] = [heapBytes(), looks + rest, Math.min(2 * rest, REST_LOOKS.most)];
    onCollected(before, smallest);
  };
  const timer = setInterval(look, lookEveryMs).unref();
  return () => clearInterval(timer);
}

function heapBytes(): number {
  return getHeapStatistics().total_physical_size;
}
