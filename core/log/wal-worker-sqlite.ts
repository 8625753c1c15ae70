// The thread that moves a write-ahead log into its database (wal-checkpoints-sqlite.ts). It opens the file for each time only:
// the last connection that closes a database tidies it up, and that has to be the writer's.
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';

const { file, state } = workerData as { file: string; state: Int32Array };

parentPort?.on('message', () => {
  try {
    const db = new Database(file, { fileMustExist: true, timeout: 0 });
    try {
      db.pragma('synchronous = FULL');
      db.pragma('wal_checkpoint(PASSIVE)');
    } finally {
      db.close();
    }
  } catch {
    // The writer meets the same disk with its next commit, and says so.
  } finally {
    Atomics.store(state, 0, 0);
    Atomics.notify(state, 0);
  }
  parentPort?.postMessage(null);
});
