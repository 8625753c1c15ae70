// What a process took, as the kernel accounts it (proc(5)). Zero where there is no /proc, or the process is gone.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

const LOOK_EVERY_MS = 250;
/** A server with nothing to do for three seconds gives back what its start took, once: so long that is waited for. */
const MOST_LOOKS = 40;
/** Looks without less, after it has begun to fall. */
const SETTLED_LOOKS = 4;

/** Processor time of all its threads in microseconds, from the scheduler's own count in nanoseconds. */
export function cpuMicros(pid: number): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    return threads.reduce((sum, thread) => sum + onProcessorNanos(pid, thread), 0) / 1000;
  } catch {
    return 0;
  }
}

function onProcessorNanos(pid: number, thread: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ', 1)[0]);
  } catch {
    return 0; // it ended meanwhile
  }
}

export function rssMiB(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** What processes take, each in its order, that have had nothing to do: when it has fallen and falls no further. */
export async function idleRssMiB(pids: readonly number[]): Promise<number[]> {
  const begun = pids.map(rssMiB);
  let [last, settled] = [begun, 0];
  for (let look = 0; look < MOST_LOOKS && settled < SETTLED_LOOKS; look += 1) {
    await wait(LOOK_EVERY_MS);
    const now = pids.map(rssMiB);
    const hasFallen = now.every((each, at) => each < (begun[at] ?? 0) - 4);
    settled = hasFallen && now.every((each, at) => each > (last[at] ?? 0) - 0.5) ? settled + 1 : 0;
    last = now;
  }
  return last;
}
