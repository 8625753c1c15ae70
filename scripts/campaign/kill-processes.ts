// The processes of the campaigns `kill` and `stream`: for each server one that runs and one that stands by with everything
// loaded, so that a restart costs what recovery costs and not what loading a program costs.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Worse } from './kill-server.ts';

const START_TIMEOUT_MS = 20_000;

interface Spare {
  child: ChildProcess;
  said: (line: 'loaded' | 'ready' | 'worse') => Promise<void>;
}

/** One server that can be killed and started again on the same folder. */
export class KilledServer {
  readonly name: string;
  readonly #file: string;
  readonly #onError: (line: string) => void;
  #running: ChildProcess | null = null;
  #said: Spare['said'] = async () => {};
  #spare: Spare | null = null;
  /** All that were ever started: where something fails, one may be on its way that is neither of the two. */
  readonly #children: ChildProcess[] = [];

  /** @param file path of its KillServerFile */
  constructor(name: string, file: string, onError: (line: string) => void) {
    this.name = name;
    this.#file = file;
    this.#onError = onError;
  }

  /** Begins to load a spare unless there is one. */
  standBy(): void {
    this.#spare ??= this.#load();
  }

  #takeSpare(): Spare {
    const spare = this.#spare ?? this.#load();
    this.#spare = null;
    return spare;
  }

  #load(): Spare {
    const script = new URL('./server-process.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [script, this.#file], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {}, // where compiled code is kept it says itself, once its flags stand
    });
    this.#children.push(child);
    child.stdin?.on('error', () => {}); // it may be killed while it is spoken to
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', this.#onError);
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    const heard = new Set<string>();
    lines.on('line', (line) => heard.add(line));
    const said = async (wanted: string): Promise<void> => {
      const deadline = AbortSignal.timeout(START_TIMEOUT_MS);
      while (!heard.has(wanted)) {
        if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${this.name} ended early`);
        await Promise.race([once(lines, 'line', { signal: deadline }), once(child, 'exit')]);
      }
    };
    return { child, said };
  }

  /** Starts the spare; resolves when it takes lookups. */
  async start(): Promise<void> {
    const { child, said } = this.#takeSpare();
    await said('loaded');
    this.#running = child;
    this.#said = said;
    child.stdin?.write('go\n');
    await said('ready');
  }

  /** The one that runs, and no other, does its work worse from now on. */
  async worsen(worse: Worse): Promise<void> {
    this.#running?.stdin?.write(JSON.stringify(worse));
    await this.#said('worse');
  }

  /** Starts the spare and kills it while it recovers, then starts the next. */
  async startAndKillEarly(afterMs: number): Promise<void> {
    const { child, said } = this.#takeSpare();
    await said('loaded');
    this.#running = child;
    child.stdin?.write('go\n');
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    this.standBy();
    await this.kill();
    await this.start();
  }

  /** Of the one that runs. */
  get pid(): number {
    return this.#running?.pid ?? 0;
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.#running;
    this.#running = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** Lets it drain and close, and lets the spare go. */
  async stop(): Promise<void> {
    const child = this.#running;
    for (const other of this.#children) if (other !== child) other.kill('SIGKILL');
    if (child === null || child.exitCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  }
}
