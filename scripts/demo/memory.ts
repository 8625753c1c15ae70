// Proportional set size of processes, as the kernel accounts it: shared pages are divided among those who share them,
// so the sum over several processes is what they really take together.
import { readFileSync } from 'node:fs';

/** MiB, or null where the kernel does not tell (not Linux, or the process is gone). */
export function pssMiB(pid: number): number | null {
  try {
    const found = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
    return found?.[1] === undefined ? null : Math.round(Number(found[1]) / 1024);
  } catch {
    return null;
  }
}
