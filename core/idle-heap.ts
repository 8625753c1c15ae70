// A start, a new dictionary or a burst of work leaves much behind that nobody needs any more, and V8 keeps the pages of
// what it collects: by itself it comes back to a small heap after a quarter of an hour, if at all. A program that has had
// nothing to do for some seconds has time for it: it collects everything once and gives the pages back. That takes some
// 60 milliseconds (150 with 10,000 members), in which whoever comes just then waits; so it is done only when there is
// something to gain, and not often. For programs that run for months; nothing from outside is read here.
import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const LOOK_EVERY_MS = 1_000;
/** So many looks one after the other at which less than this share of the time was worked. */
const QUIET_LOOKS = 3;
const QUIET_SHARE = 0.03;
/** Less is not worth it. */
const GROWN_BYTES = 8 * 1024 * 1024;
/** Looks between two collections, ten minutes; so little work goes on that the heap does not grow fast. */
const REST_LOOKS = 600;

type Collect = (how: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;

/**
 * Once the program is ready: from then on its heap is small again whenever it has had nothing to do. Returns how to stop.
 * @param onCollected told of each time, with the bytes that the heap took before and takes now
 */
export function collectWhenIdle(
  onCollected: (beforeBytes: number, bytes: number) => void = () => {},
  lookEveryMs = LOOK_EVERY_MS,
): () => void {
  let [quiet, rest, smallest] = [0, 0, 0];
  let last: EventLoopUtilization = performance.eventLoopUtilization();
  const look = () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    quiet = utilization < QUIET_SHARE ? quiet + 1 : 0;
    rest -= 1;
    const before = heapBytes();
    if (quiet < QUIET_LOOKS || rest > 0 || before < smallest + GROWN_BYTES) return;
    collectEverything();
    [smallest, rest] = [heapBytes(), REST_LOOKS];
    onCollected(before, smallest);
  };
  const timer = setInterval(look, lookEveryMs).unref();
  return () => clearInterval(timer);
}

function heapBytes(): number {
  return getHeapStatistics().total_physical_size;
}

/** The function is V8's own and there only for those who ask for it; a context of its own is the way to come by it later. */
function collectEverything(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
