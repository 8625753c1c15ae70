// A thread of an audit (audit-threads.ts): reads the log through a connection of its own and verifies the ranges it is
// told, in the order it is told them.
import { parentPort, workerData } from 'node:worker_threads';
import { type SignerKeys, signerAmong } from './audit-batches.ts';
import { rangeVerifier } from './audit-entries.ts';
import { openLogAuditSqlite } from './store-sqlite.ts';

const { folder, signers } = workerData as { folder: string; signers: SignerKeys | undefined };
const log = openLogAuditSqlite(folder);
const verify = rangeVerifier(log, signerAmong(signers));

parentPort?.on('message', ({ from, to }: { from: number; to: number }) => {
  log.renew();
  const range = verify(from, to);
  parentPort?.postMessage(range, [range.leaves.buffer as ArrayBuffer]);
});
