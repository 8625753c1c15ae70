// The thread of the auditor's pages (thread.ts): looks into the log through connections of its own, one task behind the other,
// so that exchanges never wait for an auditor.
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '#core/clock.ts';
import { sealPack } from '#core/evidence/seal.ts';
import { writeZip } from '#core/evidence/zip.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { AUDITOR_SEARCH_MS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import { type AuditorPlaces, examine, packOf } from './examine.ts';
import { searchLog } from './search-log.ts';
import type { AuditorTask, TaskAnswer } from './thread.ts';

const places = asBuffers(workerData as AuditorPlaces);
let last: Promise<void> = Promise.resolve();

parentPort?.on('message', (task: AuditorTask) => {
  last = last.then(() => answer(task));
});

async function answer(task: AuditorTask): Promise<void> {
  let told: TaskAnswer;
  try {
    told = { result: await run(task) };
  } catch (error) {
    // A thread sends no class over: a coded error goes as what it is made of.
    told = isAccordError(error)
      ? { code: error.code, detail: error.detail }
      : { failed: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  parentPort?.postMessage(told);
}

async function run(task: AuditorTask): Promise<unknown> {
  if (task.kind === 'search') {
    const log = openLogAuditSqlite(places.log);
    try {
      const endsMs = systemClock.monotonicMs() + AUDITOR_SEARCH_MS;
      return searchLog(log, task.search, () => systemClock.monotonicMs() > endsMs);
    } finally {
      log.close();
    }
  }
  const { signer } = task;
  const own = { ...signer, certificate: Buffer.from(signer.certificate) };
  if (task.kind === 'examine') return await examine(places, { ...task, signer: own });
  const files = await packOf(places, task);
  return writeZip(sealPack(files, own, task.nowMs));
}

/** Buffers come over as plain arrays of bytes. */
function asBuffers(sent: AuditorPlaces): AuditorPlaces {
  return { ...sent, storageKey: Buffer.from(sent.storageKey) };
}
