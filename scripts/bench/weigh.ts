// What a process took, as the kernel accounts it (proc(5)). Zero where there is no /proc, or the process is gone.
import { readFileSync } from 'node:fs';

/** `getconf CLK_TCK`: 100 on every Linux that Node runs on. */
const TICKS_A_SECOND = 100;

/** Processor time of all its threads, user and system, in microseconds; in steps of 10 ms. */
export function cpuMicros(pid: number): number {
  try {
    // The name in parentheses may hold anything; utime and stime are the 12th and 13th field behind it.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_A_SECOND;
  } catch {
    return 0;
  }
}

export function rssMiB(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
