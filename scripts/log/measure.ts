// `node scripts/log/measure.ts [--entries N] [--batch B] [--json]`: what a message log costs as it grows. Fills a log with
// made exchanges up to N entries (10,000,000 take a quarter of an hour and 13 GB) and says, at 10,000 and at N: appends and
// look-ups a second, time of a start, the audit of the whole log with and without who signed, on one processor, how long
// turns wait for their commit, bytes of an exchange on the disk. The figures in docs/performance.md come from here.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { verifyLog } from '#core/log/audit.ts';
import { type MessageLog, openMessageLog } from '#core/log/message-log.ts';
import { MADE_SIGNERS, madeAnswers, madeLogOptions, madeRequests } from './made-log.ts';

const EARLY = 10_000;
const SAMPLE = 10_000;
const LOOK_UPS = 2_000;
/** Turns whose commits are timed. */
const TURNS = 600;
/** While it is filled; the batches that are measured are `batch` large. */
const REST_BATCH = 64;

const { values } = parseArgs({
  options: { entries: { type: 'string' }, batch: { type: 'string' }, json: { type: 'boolean' } },
});
const entries = Number(values.entries ?? 1_000_000);
const batch = Number(values.batch ?? 64);
if (!(entries >= 2 * (EARLY + SAMPLE) && batch >= 1 && batch <= 256)) {
  console.error(`--entries at least ${2 * (EARLY + SAMPLE)}, --batch 1 to 256`);
  process.exit(2);
}

interface Rate {
  aSecond: number;
  /** Processor time of this process, for machines that are shared. */
  aProcessorSecond: number;
}

async function rateOf(count: number, work: () => Promise<unknown>): Promise<Rate> {
  const [fromMs, used] = [performance.now(), process.cpuUsage()];
  await work();
  const [tookMs, { user, system }] = [performance.now() - fromMs, process.cpuUsage(used)];
  return { aSecond: Math.round((count / tookMs) * 1e3), aProcessorSecond: Math.round((count / (user + system)) * 1e6) };
}

const ids: string[] = [];
/** Paths are not among it: a turn here holds a whole batch. */
const stored = { entries: 0, evidenceBytes: 0 };

/** Requests and answers in turn, `size` under each signature. Returns what appends them. */
function exchanges(count: number, size: number, sealed: boolean): ((log: MessageLog) => Promise<void>)[] {
  const turns: ((log: MessageLog) => Promise<void>)[] = [];
  for (let made = 0; made < count; made += 2 * size) {
    const requests = madeRequests({ size: Math.min(size, Math.ceil((count - made) / 2)), nowMs: Date.now(), sealed });
    ids.push(requests[0]?.id ?? '');
    for (const records of [requests, madeAnswers(requests, Date.now(), sealed)]) {
      for (const { evidence } of records) {
        const { jws = '', size = 1 } = evidence?.signature ?? {};
        stored.entries++;
        stored.evidenceBytes += (evidence?.statement.length ?? 0) + jws.length / size;
      }
      turns.push(async (log) => void (await Promise.all(records.map((record) => log.append(record)))));
    }
  }
  return turns;
}

async function appends(log: MessageLog, size: number, sealed: boolean, count = SAMPLE): Promise<Rate> {
  const turns = exchanges(count, size, sealed);
  return rateOf(count, async () => {
    for (const append of turns) await append(log);
  });
}

/** How long the records of a turn wait until they are durable, in milliseconds. */
async function commits(log: MessageLog, size: number): Promise<{ p50: number; p99: number }> {
  const turns = exchanges(TURNS * size, size, true);
  const tookMs: number[] = [];
  for (const append of turns) {
    const fromMs = performance.now();
    await append(log);
    tookMs.push(performance.now() - fromMs);
  }
  tookMs.sort((a, b) => a - b);
  const at = (part: number) => Math.round(10 * (tookMs[Math.floor(tookMs.length * part)] ?? 0)) / 10;
  return { p50: at(0.5), p99: at(0.99) };
}

function lookUps(log: MessageLog): Promise<Rate> {
  return rateOf(LOOK_UPS, async () => {
    for (let i = 0; i < LOOK_UPS; i++) log.find(null, ids[(i * 7_919) % ids.length] ?? '');
  });
}

const place = mkdtempSync(join(tmpdir(), 'accord-measure-'));
const options = madeLogOptions(place);
const say = (line: string) => console.error(line);
try {
  let log = await openMessageLog(options);
  const fill = async (to: number) => {
    while (log.size() < to) {
      for (const append of exchanges(Math.min(20_000, to - log.size()), REST_BATCH, false)) await append(log);
    }
  };
  await fill(EARLY);
  const at = async () => ({ append: await appends(log, batch, false), lookUp: await lookUps(log) });
  const early = await at();
  say('filling');
  await fill(entries - SAMPLE);
  const late = await at();
  say(`${log.size()} entries`);
  const lines = log.read(entries - 1_000, 1_000).map(({ line }) => line.length);
  const entryBytesPerExchange = Math.round((2 * lines.reduce((sum, length) => sum + length, 0)) / lines.length);
  await log.close();
  const bytesPerExchange = Math.round((2 * statSync(join(options.folder, 'messages.db')).size) / entries);
  const evidenceBytesPerExchange = Math.round((2 * stored.evidenceBytes) / stored.entries);

  const startedMs = performance.now();
  log = await openMessageLog(options);
  const startMs = Math.round(performance.now() - startedMs);
  await log.close();
  const audited = async (signers?: typeof MADE_SIGNERS) => {
    let ok = false;
    const { folder, checkpointFile } = options;
    const rate = await rateOf(entries, async () => {
      ({ ok } = await verifyLog({ folder, checkpointFile, threads: 0, ...(signers && { signers }) }));
    });
    return { ok, ...rate };
  };
  const audit = { entriesAlone: await audited(), withSignatures: await audited(MADE_SIGNERS) };
  log = await openMessageLog(options);
  const sealed = { batch: await appends(log, batch, true), alone: await appends(log, 1, true, 4_000) };
  const commit = await commits(log, batch);
  await log.close();
  const ratio = (now: Rate, before: Rate) => Math.round((100 * now.aProcessorSecond) / before.aProcessorSecond) / 100;
  const result = {
    entries,
    batch,
    startMs,
    early,
    late,
    ratio: { append: ratio(late.append, early.append), lookUp: ratio(late.lookUp, early.lookUp) },
    audit,
    sealed,
    commit,
    bytesPerExchange,
    entryBytesPerExchange,
    evidenceBytesPerExchange,
  };
  console.log(JSON.stringify(result, null, values.json ? 0 : 2));
} finally {
  rmSync(place, { recursive: true, force: true });
}
