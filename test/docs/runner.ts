// Runs the commands that a page of documentation shows, as a reader would: one shell for a page, in the page's order.
// Fences say what they are: ```sh runnable, and ```sh runnable background for a program that keeps running, whose one line
// of JSON on standard output says that it is ready. Ports on loopback are exchanged for free ones.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface Block {
  page: string;
  line: number;
  background: boolean;
  text: string;
}

const FENCE = /^```(.*)$/;

/** All fences of a page with their info string, in order. */
export function fences(page: string): { info: string; line: number; text: string }[] {
  const found: { info: string; line: number; text: string }[] = [];
  let open: { info: string; line: number; text: string } | undefined;
  for (const [at, line] of readFileSync(page, 'utf8').split('\n').entries()) {
    const info = FENCE.exec(line)?.[1];
    if (info === undefined) {
      if (open) open.text += `${line}\n`;
    } else if (open) {
      found.push(open);
      open = undefined;
    } else {
      open = { info, line: at + 1, text: '' };
    }
  }
  if (open) throw new Error(`${page}:${open.line} is not closed`);
  return found;
}

export function runnableBlocks(page: string): Block[] {
  return fences(page)
    .filter(({ info }) => /^sh runnable\b/.test(info))
    .map(({ info, line, text }) => ({ page, line, text, background: info.endsWith(' background') }));
}

export class Shell {
  readonly #child: ChildProcess;
  readonly #ports: ReadonlyMap<string, number>;
  #output = '';
  #wake: () => void = () => {};

  constructor(folder: string, ports: ReadonlyMap<string, number>, environment: Record<string, string>) {
    this.#ports = ports;
    const cheap = `--import=${import.meta.resolve('#test/cheap-passphrases.ts')}`;
    const env = {
      ...process.env,
      ...environment,
      NODE_OPTIONS: cheap,
      PATH: `${join(process.execPath, '..')}:${process.env['PATH']}`,
    };
    for (const name of Object.keys(env))
      if (/^ACCORD_(?:KEY|CA|API|REGISTRY)/.test(name)) delete (env as Record<string, string | undefined>)[name];
    // A group of its own, so that what runs in the background ends with it.
    this.#child = spawn('bash', ['--noprofile', '--norc'], {
      cwd: folder,
      env,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk) => {
        this.#output += chunk;
        this.#wake();
      });
    }
    // A command that failed has ended the shell; what is written to it then goes nowhere.
    this.#child.stdin?.on('error', () => {});
    const launcher = join(process.cwd(), 'bin/accord.js');
    this.#child.stdin?.write(`set -o pipefail; accord() { "${process.execPath}" "${launcher}" "$@"; }\n`);
  }

  /** Runs a block with `set -e`; its exit status and what it printed on both streams. */
  async run(
    { text, background }: Pick<Block, 'text' | 'background'>,
    timeoutMs = 30_000,
  ): Promise<{ code: number; output: string }> {
    const script = text.replace(/(127\.0\.0\.1|localhost):(\d+)/g, (all, host, port) => {
      const other = this.#ports.get(port);
      return other === undefined ? all : `${host}:${other}`;
    });
    this.#output = '';
    if (background) {
      this.#child.stdin?.write(`{ ${script.trim()}\n} &\n`);
      return await this.#until(/^\{"ready":true.*\}$/m, timeoutMs, () => 0);
    }
    // In this shell, so that exports stay; a trap tells the status when `set -e` ends a command.
    this.#child.stdin?.write(
      `set -e; trap 'printf "\\n@@ %d\\n" $?' EXIT\n${script}\nset +e; trap - EXIT; printf "\\n@@ 0\\n"\n`,
    );
    return await this.#until(/^@@ (\d+)$/m, timeoutMs, ([, code]) => Number(code));
  }

  async #until(
    pattern: RegExp,
    timeoutMs: number,
    codeOf: (found: RegExpExecArray) => number,
  ): Promise<{ code: number; output: string }> {
    const signal = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const found = pattern.exec(this.#output);
      if (found) return { code: codeOf(found), output: this.#output };
      if (signal.aborted || this.#child.exitCode !== null) return { code: -1, output: this.#output };
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      await woken;
    }
  }

  /** Ends everything it started. */
  async close(): Promise<void> {
    const { pid } = this.#child;
    if (pid === undefined) return;
    const isOver = this.#child.exitCode !== null || this.#child.signalCode !== null;
    const ended = isOver ? undefined : once(this.#child, 'exit');
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      if (!killGroup(pid, signal)) break;
      await ended;
      // What ran in the background drains; nobody waits for more than a moment.
      for (let waited = 0; waited < 40 && killGroup(pid, 0); waited += 1) await delay(50);
    }
  }
}

function killGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}
