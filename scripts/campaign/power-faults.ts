// Campaign `power`, a disk that refuses: the same child in a short run, once for every write, sync, cut and rename that it
// makes, which strace lets fail with EIO or ENOSPC. Nothing acknowledged is lost; after the first I/O error of the log nothing
// more is acknowledged; a full disk is left again as soon as a write succeeds. The counters of strace are one for each system
// call and thread, so that one case is one failing call.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Source } from '#scripts/demo/random.ts';
import { startPowerProcess } from './power-process.ts';
import { makePowerFile, PLACES, type Promised, writePowerFile } from './power-setting.ts';
import { brokenPromises } from './power-verdict.ts';

const STEPS = 6;
const CALLS = [
  'write',
  'writev',
  'pwrite64',
  'pwritev',
  'fsync',
  'fdatasync',
  'ftruncate',
  'fallocate',
  'rename',
  'renameat',
];
const ERRORS = ['EIO', 'ENOSPC'] as const;
const AT_ONCE = 2;
/** A disk that is full refuses to write; nobody can say what a sync means that fails so. */
const WRITING = /^(p?write(?:v|64)?|ftruncate|fallocate)$/;
/** The log's own files: what happens to them decides whether it may go on. */
const LOGS = new RegExp(
  `/(?:${PLACES.log}/messages\\.db|${PLACES.log}>|${PLACES.recordKeys}|${PLACES.checkpointFile})`,
);

interface Fault {
  call: string;
  error: (typeof ERRORS)[number];
  when: number;
}

export interface FaultsResult {
  faults: number;
  /** Writes of the short run, all told. */
  points: number;
  found: string[];
  /** How the log took it. */
  ends: Record<string, number>;
  skipped: string | null;
}

/** @param faults how many; all of them when there are fewer */
export async function failWrites(
  place: string,
  { faults, early }: { faults: number; early: boolean },
  chance: Source,
  say: (line: string) => void,
): Promise<FaultsResult> {
  const result: FaultsResult = { faults: 0, points: 0, found: [], ends: {}, skipped: missing() };
  if (result.skipped !== null) return result;
  const counts = await countCalls(place);
  const all = Object.entries(counts).flatMap(([call, count]) =>
    ERRORS.flatMap((error) => Array.from({ length: count }, (_, at): Fault => ({ call, error, when: at + 1 }))),
  );
  result.points = all.length / ERRORS.length;
  const chosen = faults >= all.length ? all : sample(all, faults, chance);
  say(`${result.points} writes of a short run: ${JSON.stringify(counts)}`);
  const queue = chosen.entries();
  const worker = async (which: number) => {
    for (const [done, fault] of queue) {
      if (done > 0 && done % 50 === 0) say(`${done} of ${chosen.length} failing writes`);
      const { end, found } = await failOne(join(place, `faults-${which}`), fault, early);
      result.faults++;
      result.ends[end] = (result.ends[end] ?? 0) + 1;
      result.found.push(...found.map((one) => `${fault.error} at ${fault.call} ${fault.when}: ${one}`));
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, chosen.length) }, (_, which) => worker(which)));
  return result;
}

function missing(): string | null {
  const { error, stdout } = spawnSync('strace', ['--version'], { encoding: 'utf8' });
  if (error !== undefined) return 'strace is not there';
  const [, major = '0'] = /version (\d+)/.exec(stdout) ?? [];
  if (Number(major) < 5) return `strace ${major} cannot inject faults under a filter`;
  const traced = spawnSync('strace', ['-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', 'true'], { encoding: 'utf8' });
  return traced.status === 0 ? null : `strace may not trace here: ${traced.stderr.trim().slice(0, 200)}`;
}

function sample(all: readonly Fault[], count: number, chance: Source): Fault[] {
  const left = [...all];
  return Array.from({ length: count }, () => left.splice(chance.integer(0, left.length - 1), 1)[0]).filter(
    (one) => one !== undefined,
  );
}

/** Every file that the child writes, by name: what strace may touch. `$$` is the child's number, in names of its own. */
function pathsOf(folder: string): string[] {
  const databases = [
    `${PLACES.log}/messages.db`,
    `${PLACES.log}/writer.lock`,
    `${PLACES.recordKeys}/record-keys.db`,
    PLACES.witness,
    PLACES.state,
  ];
  const files = databases.flatMap((file) => ['', '-wal', '-shm', '-journal'].map((end) => `${file}${end}`));
  const { checkpointFile, plan } = PLACES;
  const replaced = [plan, ...Array.from({ length: STEPS }, (_, step) => `${PLACES.archive}/loose/object-${step}`)];
  const folders = ['', PLACES.log, PLACES.recordKeys, PLACES.archive, `${PLACES.archive}/loose`];
  return [
    ...files,
    ...[checkpointFile, `${checkpointFile}.new`],
    ...replaced.flatMap((file) => [file, `${file}.$$.tmp`]),
    ...folders,
  ].map((one) => join(folder, one));
}

async function traced(folder: string, rules: readonly string[], early: boolean) {
  rmSync(folder, { recursive: true, force: true });
  const data = join(folder, 'data');
  mkdirSync(data, { recursive: true });
  const [config, output] = [join(folder, 'power.json'), join(folder, 'strace.txt')];
  const file = makePowerFile(data, { steps: STEPS, early });
  writePowerFile(config, file);
  const paths = pathsOf(data).map((path) => `-P "${path}"`);
  const options = rules.map((rule) => `-e ${rule}`);
  const command = ['exec strace -D -f -y -qq --seccomp-bpf', `-o "${output}"`, ...options, ...paths, '"$@"'].join(' ');
  const child = startPowerProcess(config, ['sh', '-c', command, 'sh']);
  await child.end();
  return { file, said: child.said, lines: readFileSync(output, 'utf8').split('\n') };
}

/** Of each system call the most that one thread makes. */
async function countCalls(place: string): Promise<Record<string, number>> {
  const folder = join(place, 'count');
  const { said, lines } = await traced(folder, [`trace=${CALLS.join(',')}`], false);
  rmSync(folder, { recursive: true, force: true });
  const end = said.at(-1);
  if (end?.kind !== 'end' || !end.ok) throw new Error(`a run without a fault ends with ${JSON.stringify(end)}`);
  const counts = new Map<string, number>();
  for (const line of lines) {
    const [, thread, call] = /^(\d+) +([a-z0-9]+)\(/.exec(line) ?? [];
    if (call !== undefined) counts.set(`${call} ${thread}`, (counts.get(`${call} ${thread}`) ?? 0) + 1);
  }
  const most: Record<string, number> = {};
  for (const [key, count] of counts) {
    const [call = ''] = key.split(' ');
    most[call] = Math.max(most[call] ?? 0, count);
  }
  return most;
}

async function failOne(folder: string, { call, error, when }: Fault, early: boolean) {
  const { file, said, lines } = await traced(
    folder,
    [`trace=${call}`, `inject=${call}:error=${error}:when=${when}`],
    early,
  );
  const hit = lines.filter((line) => line.includes('(INJECTED)'));
  const end = endOf(said);
  const isAside = hit.every((line) => needNotBeNoticed(line, lines));
  const found = [...judge({ call, error, when }, said, { hit, isAside }, end), ...(await brokenPromises(file, said))];
  rmSync(folder, { recursive: true, force: true });
  const where = /<[^>]*\/data\/?([^>]*)>|"[^"]*\/data\/([^"]*)"/.exec(hit[0] ?? '');
  return { end, found: found.map((one) => `${one} (${where?.[1] ?? where?.[2] ?? 'nowhere'})`) };
}

function endOf(said: readonly Promised[]): string {
  const last = said.at(-1);
  if (last?.kind === 'failed') return 'did not start';
  if (last?.kind !== 'end') return 'died';
  if (!last.ok) return 'stopped';
  return said.some(({ kind }) => kind === 'refused') ? 'refused and went on' : 'not noticed';
}

function judge(
  { call, error }: Fault,
  said: readonly Promised[],
  { hit, isAside }: { hit: readonly string[]; isAside: boolean },
  end: string,
): string[] {
  if (end === 'died') return ['the child died'];
  if (hit.length === 0) return [];
  const found: string[] = [];
  const isLog = hit.some((line) => LOGS.test(line));
  const isRefused = (one: Promised) => one.kind === 'refused' && (one.what === 'log' || one.what === 'checkpoint');
  const first = said.findIndex(isRefused);
  const isAcknowledged = first >= 0 && said.slice(first + 1).some(({ kind }) => kind === 'log');
  // Records of the same turn may have been acknowledged beside one that is refused for itself, never behind it.
  if (isLog && error === 'EIO' && end === 'refused and went on' && first >= 0) found.push('goes on after an I/O error');
  if (isLog && error === 'EIO' && isAcknowledged) found.push('acknowledges after an I/O error');
  if (isLog && error === 'EIO' && end === 'not noticed' && !isAside) found.push('an I/O error is not noticed');
  if (isLog && error === 'ENOSPC' && WRITING.test(call) && end === 'stopped')
    found.push('a full disk is not left again');
  const witnessed = said.findIndex((one) => one.kind === 'refused' && one.what === 'witness');
  if (error === 'EIO' && witnessed >= 0 && said.slice(witnessed).some(({ kind }) => kind === 'witness')) {
    found.push('the witness cosigns after an I/O error');
  }
  return found;
}

/**
 * The shared-memory index of a write-ahead log is made again from it; nothing durable stands in it. Of a folder SQLite itself
 * does not say when its sync fails; then it is our own that comes behind (syncFolder), and has to.
 */
function needNotBeNoticed(hit: string, lines: readonly string[]): boolean {
  if (hit.includes('-shm')) return true;
  const [, folder] = /fsync\(\d+<([^>]*\/(?:log|record-keys))>\)/.exec(hit) ?? [];
  const behind = folder === undefined ? [] : lines.slice(lines.indexOf(hit) + 1);
  return behind.some((line) => line.includes(`<${folder}>)`) && / = 0$/.test(line));
}
