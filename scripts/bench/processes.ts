// The processes of the benchmark: started, listened to, ended.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';

const ROOT = join(import.meta.dirname, '../..');
const STOP_TIMEOUT_MS = 30_000;

export interface Started {
  /** Its first line. */
  line: string;
  pids: number[];
  stop(): Promise<void>;
}

export interface Talking extends Started {
  child: ChildProcess;
  lines: Interface;
}

interface StartOptions {
  /** Descriptor for standard error; by default this process's own. */
  stderr?: number;
  environment?: Record<string, string>;
  /** Does not wait for a first line. */
  silent?: boolean;
}

/** One script of this folder; it ends when its standard input does. @throws Error when it ends before its first line */
export async function startScript(name: string, args: string[], options: StartOptions = {}): Promise<Talking> {
  const child = spawn(process.execPath, [join(import.meta.dirname, name), ...args], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', options.stderr ?? 'inherit'],
    env: { ...process.env, ...options.environment },
  });
  child.stdin?.on('error', () => {});
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const line = options.silent ? '' : await nextLine(child, lines, name);
  return {
    line,
    pids: [child.pid ?? 0],
    child,
    lines,
    async stop() {
      child.stdin?.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

async function nextLine(child: ChildProcess, lines: Interface, name: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const ended = () => reject(new Error(`${name} ended before it answered`));
  lines.once('line', resolve);
  child.once('exit', ended);
  try {
    return await promise;
  } finally {
    lines.off('line', resolve);
    child.off('exit', ended);
  }
}

/** One order to a process that answers each line with one. */
export async function ask<T>({ child, lines }: Talking, name: string, order: object): Promise<T> {
  child.stdin?.write(`${JSON.stringify(order)}\n`);
  return JSON.parse(await nextLine(child, lines, name)) as T;
}
