// Starts, asks and kills a process of campaign `witness` (witness-process.ts).
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { WitnessAnswerOfProcess, WitnessOrder } from './witness-process.ts';

const COMPILED = join(import.meta.dirname, '../../node_modules/.cache/accord');
const START_TIMEOUT_MS = 30_000;
const ANSWER_TIMEOUT_MS = 120_000;

export interface WitnessProcess {
  url: string;
  ask(order: WitnessOrder): Promise<WitnessAnswerOfProcess>;
  /** Without a word, as a power cut does to a process. */
  kill(): Promise<void>;
}

/** @param file path of its WitnessProcessFile */
export async function startWitnessProcess(file: string): Promise<WitnessProcess> {
  const script = new URL('./witness-process.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, file], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { NODE_COMPILE_CACHE: COMPILED },
  });
  const { url } = await nextMessage<{ url: string }>(child, START_TIMEOUT_MS);
  return {
    url,
    ask(order) {
      child.send(order);
      return nextMessage<WitnessAnswerOfProcess>(child, ANSWER_TIMEOUT_MS);
    },
    async kill() {
      const ended = once(child, 'exit');
      if (child.exitCode !== null || !child.kill('SIGKILL')) return;
      await ended;
    },
  };
}

async function nextMessage<T>(child: ChildProcess, timeoutMs: number): Promise<T> {
  const heard = new AbortController();
  const signal = AbortSignal.any([heard.signal, AbortSignal.timeout(timeoutMs)]);
  const ended = once(child, 'exit', { signal }).then(() =>
    Promise.reject(new Error('a process of the campaign ended')),
  );
  ended.catch(() => undefined);
  try {
    const [message] = await Promise.race([once(child, 'message', { signal }), ended]);
    return message as T;
  } finally {
    heard.abort();
  }
}
