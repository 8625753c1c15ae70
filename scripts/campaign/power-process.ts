// The child of campaign `power`, and what it says.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Promised } from './power-setting.ts';

const SCRIPT = new URL('./power-child.ts', import.meta.url).pathname;
const COMPILED = join(import.meta.dirname, '../../node_modules/.cache/accord');
const MAX_SECONDS = 120;

export interface PowerProcess {
  pid: number;
  /** In the order in which it was said; grows. */
  said: Promised[];
  /** Resolves when so many promises were made, or it ended. */
  until(count: number): Promise<void>;
  /** Resolves when it ended and everything that it said is there. */
  end(): Promise<void>;
  kill(): void;
}

/** @param before a program that runs it, with its arguments; node itself and the script come behind */
export function startPowerProcess(file: string, before: readonly string[] = []): PowerProcess {
  const [program = process.execPath, ...args] = [...before, process.execPath, SCRIPT, file];
  const env = { PATH: process.env['PATH'], UV_THREADPOOL_SIZE: '1', NODE_COMPILE_CACHE: COMPILED };
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], env });
  const said: Promised[] = [];
  let wake: () => void = () => {};
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  // Half a line is no promise.
  lines.on('line', (line) => {
    if (!line.endsWith('}')) return;
    said.push(JSON.parse(line) as Promised);
    wake();
  });
  let isEnded = false;
  const ended = Promise.all([once(child, 'close'), once(lines, 'close')]).then(() => {
    isEnded = true;
    wake();
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), MAX_SECONDS * 1000);
  void ended.then(() => clearTimeout(timer));
  return {
    pid: child.pid ?? 0,
    said,
    async until(count) {
      while (!isEnded && said.length < count) await new Promise<void>((resolve) => (wake = resolve));
    },
    end: () => ended,
    kill: () => void child.kill('SIGKILL'),
  };
}
