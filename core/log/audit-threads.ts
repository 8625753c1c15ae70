// Entries verified in several threads. Each has a snapshot of its own, which is the same for every entry below the size
// that is given, because a log only grows. Results come in the order of the log, a few ahead at most.
import { Worker } from 'node:worker_threads';
import type { SignerKeys } from './audit-batches.ts';
import type { VerifiedRange } from './audit-entries.ts';

/** Ranges a thread has before it: the one it works on, and one so that it need not wait. */
const AHEAD = 2;

interface Thread {
  verify(from: number, to: number): Promise<VerifiedRange>;
  end(): Promise<unknown>;
}

/**
 * The entries [from, to) in ranges of `width`, in order; ends after a range with a finding.
 * @throws what stops a thread
 */
export async function* rangesInThreads(
  { folder, signers }: { folder: string; signers: SignerKeys | undefined },
  { from, to: end, width }: { from: number; to: number; width: number },
  threads: number,
): AsyncGenerator<VerifiedRange> {
  const all = Array.from({ length: threads }, () => startThread({ folder, signers }));
  const ahead: Promise<VerifiedRange>[] = [];
  let asked = from;
  try {
    while (asked < end || ahead.length > 0) {
      while (asked < end && ahead.length < threads * AHEAD) {
        const to = Math.min(end, asked + width);
        const range = all[Math.floor(asked / width) % threads]?.verify(asked, to);
        if (range === undefined) throw new TypeError('no thread');
        range.catch(() => {}); // it is awaited in its turn
        ahead.push(range);
        asked = to;
      }
      const range = await ahead.shift();
      if (range === undefined) return;
      yield range;
      if (range.finding !== null) return;
    }
  } finally {
    await Promise.all(all.map((thread) => thread.end()));
  }
}

function startThread(workerData: { folder: string; signers: SignerKeys | undefined }): Thread {
  const worker = new Worker(new URL('./audit-worker.ts', import.meta.url), { workerData });
  const waiting: { resolve: (range: VerifiedRange) => void; reject: (error: unknown) => void }[] = [];
  worker.on('message', (range: VerifiedRange) => waiting.shift()?.resolve(range));
  worker.on('error', (error) => {
    for (const { reject } of waiting.splice(0)) reject(error);
  });
  return {
    verify: (from, to) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        worker.postMessage({ from, to });
      }),
    end: () => worker.terminate(),
  };
}
