// What campaigns `overload` and `soak` run on: two servers, the backend and the load, each a process of its own, and what
// the servers took and left behind.

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { type LogSize, logSize } from '#scripts/bench/log-size-sqlite.ts';
import { KilledServer } from './kill-processes.ts';
import type { Worse } from './kill-server.ts';
import { type KillSetting, openKillSetting } from './kill-setting.ts';

export interface LoadedSetting extends KillSetting {
  pids: { consumer: number; provider: number; backend: number };
  /** Problems that the servers told of. */
  complaints: string[];
  /** One order to the load, answered with one line. */
  ask<T>(order: object): Promise<T>;
  /** Put into both servers. */
  worsen(worse: Worse): Promise<void>;
  /** What is in their logs now. */
  logs(): { consumer: LogSize; provider: LogSize };
  /** Ends both servers as an operator would; what they left in their logs. */
  stop(): Promise<{ consumer: LogSize; provider: LogSize }>;
  close(): Promise<void>;
}

const COMPILED = join(import.meta.dirname, '../../node_modules/.cache/accord');

interface Script {
  child: ChildProcess;
  lines: Interface;
}

function openScript(name: string): Script {
  const child = spawn(process.execPath, [new URL(name, import.meta.url).pathname], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { NODE_COMPILE_CACHE: COMPILED },
  });
  child.stdin?.on('error', () => {});
  return { child, lines: createInterface({ input: child.stdout as NodeJS.ReadableStream }) };
}

/** @param load the script that takes orders */
export async function openLoadedSetting(load: string): Promise<LoadedSetting> {
  const backend = openScript('./overload-backend.ts');
  const loading = openScript(load);
  const [backendUrl] = (await once(backend.lines, 'line')) as [string];
  const setting = await openKillSetting({ backendUrl, safe: true });
  const complaints: string[] = [];
  const open = (name: 'consumer' | 'provider') =>
    new KilledServer(name, setting.files[name], (line) => complaints.push(`${name}: ${line}`.slice(0, 2_000)));
  const servers = { consumer: open('consumer'), provider: open('provider') };
  let stopped = false;
  const end = async () => {
    if (stopped) return;
    stopped = true;
    await Promise.all([servers.consumer.stop(), servers.provider.stop()]);
  };
  const close = async () => {
    backend.child.kill();
    loading.child.kill();
    await end();
    setting.close();
    rmSync(setting.folder, { recursive: true, force: true });
  };
  const logs = () => ({ consumer: logSize(setting.folders.consumer), provider: logSize(setting.folders.provider) });
  try {
    await Promise.all([servers.consumer.start(), servers.provider.start()]);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    ...setting,
    pids: { consumer: servers.consumer.pid, provider: servers.provider.pid, backend: backend.child.pid ?? 0 },
    complaints,
    async ask(order) {
      loading.child.stdin?.write(`${JSON.stringify(order)}\n`);
      const [line] = (await once(loading.lines, 'line', { signal: AbortSignal.timeout(3_600_000) })) as [string];
      return JSON.parse(line);
    },
    async worsen(worse) {
      await Promise.all([servers.consumer.worsen(worse), servers.provider.worsen(worse)]);
    },
    logs,
    async stop() {
      await end();
      return logs();
    },
    close,
  };
}
