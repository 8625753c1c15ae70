// A profile as a person reads it: where the processor time of a server went, by function, by what it was spent on, and by
// the function of ours that caused it.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

interface ProfileNode {
  id: number;
  callFrame: { functionName: string; url: string; lineNumber: number };
  children?: number[];
}

interface Profile {
  nodes: ProfileNode[];
  samples: number[];
  timeDeltas: number[];
}

export interface Share {
  name: string;
  /** Of the time in which the server was not idle. */
  percent: number;
}

export interface ProfileSummary {
  busyMs: number;
  idlePercent: number;
  functions: Share[];
  groups: Share[];
  /** By the nearest function of ours on the stack. */
  ours: Share[];
}

const PROFILER = '/scripts/bench/profiled.ts';
const SIGNAL_TIMEOUT_MS = 60_000;
const ROOT = new URL('../../', import.meta.url).href;

/** What time was spent on: of the nearest frame on the stack that some row knows, the first such row. */
const GROUPS: readonly [string, RegExp][] = [
  ['garbage collector', /^\(garbage collector\)/],
  ['sign', /^sign\w* node:internal\/crypto\/sig|envelope\/signer\.ts/],
  [
    'verify',
    /node:internal\/crypto\/sig|envelope\/verify\.ts|certificate-trust\.ts| certs\/(?:jws|x509|revocation|path|ecdsa)/,
  ],
  [
    'seal',
    / certs\/(?:seal|ticket|jwe)|node:internal\/crypto\/hkdf|envelope\/(?:channels|frame|incoming|outgoing)\.ts/,
  ],
  [
    'log and other databases',
    /better-sqlite3|-sqlite\.ts| core\/log\/| certs\/record-cipher\.ts|provider\/note-access|accesses\.ts/,
  ],
  [
    'decision and filter',
    / policy\/|provider\/(?:judge|release|place-subject|consent)|over-delivery|find-operation|dictionary-(?:in-force|parts)/,
  ],
  ['hashes, random, ids', / certs\/(?:merkle|commitment|batch)|core\/message-id|subject-tag/],
  ['JSON and schemas', / schemas\/|ajv|json-schema/],
  ['structured log and metrics', /pino|sonic-boom|prom-client|security-server\/metrics/],
  [
    'HTTP server',
    /fastify|avvio|find-my-way|node:_http_(?:server|incoming|outgoing|common)| core\/http\/(?:server-frame|mtls|problem)/,
  ],
  ['HTTP client', /undici| core\/http\/(?:client|connect)/],
  [
    'TLS, sockets, streams',
    /node:(?:net|tls|_tls|internal\/(?:streams|stream_base|tls|js_stream))|node:(?:stream|events)/,
  ],
  [
    'timers, promises, callbacks',
    /node:(?:internal\/(?:timers|process|async|promise|abort|event|perf)|timers|async_hooks)/,
  ],
  ['exchange itself', / security-server\//],
];

/** Begins or ends the profiles of these processes; resolves when that is done. @returns the files */
export async function signalProfiles(
  folder: string,
  pids: readonly number[],
  what: 'started' | 'cpuprofile',
): Promise<string[]> {
  for (const pid of pids) process.kill(pid, 'SIGUSR2');
  const files = pids.map((pid) => join(folder, `${pid}.${what}`));
  for (let waitedMs = 0; !files.every((file) => existsSync(file)); waitedMs += 50) {
    if (waitedMs > SIGNAL_TIMEOUT_MS) throw new Error(`no profile: ${files.join(', ')}`);
    await delay(50);
  }
  return files;
}

export const readProfile = (file: string): ProfileSummary =>
  summarise(JSON.parse(readFileSync(file, 'utf8')) as Profile);

function nameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  if (url === '') return name;
  const place = url
    .replace(ROOT, '')
    .replace(/^.*node_modules\//, 'node_modules/')
    .replace(/^file:\/\//, '');
  return `${name} ${place}:${lineNumber + 1}`;
}

const isOurs = ({ callFrame: { url } }: ProfileNode) => url.startsWith(ROOT) && !url.includes('node_modules');

export function summarise({ nodes, samples, timeDeltas }: Profile): ProfileSummary {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)));
  const self = new Map<number, number>();
  for (const [at, id] of samples.entries()) self.set(id, (self.get(id) ?? 0) + (timeDeltas[at] ?? 0));
  const stackOf = (id: number) => {
    const stack: ProfileNode[] = [];
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const node = byId.get(at);
      if (node !== undefined) stack.push(node);
    }
    return stack;
  };
  const [functions, groups, ours] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
  let [busy, idle] = [0, 0];
  const add = (to: Map<string, number>, name: string, micros: number) => to.set(name, (to.get(name) ?? 0) + micros);
  for (const [id, micros] of self) {
    const stack = stackOf(id);
    const [leaf] = stack;
    if (leaf === undefined) continue;
    if (stack.some(({ callFrame }) => callFrame.url.endsWith(PROFILER))) continue;
    if (leaf.callFrame.functionName === '(idle)') {
      idle += micros;
      continue;
    }
    busy += micros;
    const [, caller] = stack;
    const isNative = leaf.callFrame.url === '' && !leaf.callFrame.functionName.startsWith('(');
    add(functions, nameOf(leaf) + (isNative && caller !== undefined ? ` called by ${nameOf(caller)}` : ''), micros);
    add(groups, groupOf(stack), micros);
    const cause = stack.find(isOurs);
    add(ours, cause === undefined ? nameOfOutside(leaf) : nameOf(cause), micros);
  }
  const shares = (from: Map<string, number>): Share[] =>
    [...from].map(([name, micros]) => ({ name, percent: (100 * micros) / busy })).sort((a, b) => b.percent - a.percent);
  return {
    busyMs: busy / 1000,
    idlePercent: (100 * idle) / Math.max(busy + idle, 1),
    functions: shares(functions),
    groups: shares(groups),
    ours: shares(ours),
  };
}

const nameOfOutside = (leaf: ProfileNode) =>
  leaf.callFrame.functionName.startsWith('(') ? leaf.callFrame.functionName : '(outside our functions)';

function groupOf(stack: readonly ProfileNode[]): string {
  for (const node of stack) {
    const name = nameOf(node);
    const row = GROUPS.find(([, pattern]) => pattern.test(name));
    if (row !== undefined) return row[0];
  }
  return stack[0]?.callFrame.functionName === '(program)' ? 'program (system calls, native code)' : 'other';
}

/** @param rows how many of each list */
export function told(title: string, summary: ProfileSummary, rows: number): string[] {
  const list = (heading: string, shares: readonly Share[], most: number) => [
    `  ${heading}`,
    ...shares.slice(0, most).map(({ name, percent }) => `    ${percent.toFixed(1).padStart(5)} %  ${name}`),
  ];
  return [
    `${title}: ${Math.round(summary.busyMs)} ms at work, ${summary.idlePercent.toFixed(0)} % idle`,
    ...list('by what it was spent on', summary.groups, 30),
    ...list('by function, its own time', summary.functions, rows),
    ...list('by the function of ours that caused it', summary.ours, rows),
  ];
}
