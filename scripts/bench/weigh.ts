// What a process took, as the kernel accounts it (proc(5)). Zero where there is no /proc, or the process is gone.
import { readdirSync, readFileSync } from 'node:fs';

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
