// Moving the write-ahead log into the database, in a thread beside the server: copying and syncing thousands of pages
// would hold up every hundredth commit by several times its own time. The thread copies what was committed when it began;
// the little that came meanwhile is copied here, so that the next commit begins the write-ahead log anew. Where the thread
// does not keep up, or a reader holds it up, the writer does it itself: the write-ahead log has a cap.
//
// A checkpoint that fails loses nothing: what is durable stays in the write-ahead log, and the next commit meets the same
// disk and says what is wrong with it.
import { Worker } from 'node:worker_threads';
import type Database from 'better-sqlite3';

type Connection = InstanceType<typeof Database>;

/** Pages a commit writes beside those that are full of its rows: the ends of trees and their indexes. */
const PAGES_OF_COMMIT = 8;
/** Bytes of write-ahead log after which the thread begins, and after which the writer does not wait for it. */
export const WAL_BYTES = 8_192_000;
const MAX_WAL_BYTES = 2 * WAL_BYTES;
const MAX_CLOSING_MS = 10_000;

const IDLE = 0;
const BUSY = 1;

export interface WalCheckpoints {
  /** After every commit: bytes of its rows. */
  wrote(bytes: number): void;
  /** Waits until no other connection of this process has the file open. */
  end(): void;
}

/** @param db the writer's connection, which must not checkpoint by itself any more */
export function walCheckpoints(db: Connection, file: string): WalCheckpoints {
  const pageBytes = db.pragma('page_size', { simple: true }) as number;
  const state = new Int32Array(new SharedArrayBuffer(4));
  let waiting = 0;
  let worker: Worker | null = null;
  let isEnded = false;

  const copyRest = (): void => {
    try {
      const [{ log, checkpointed }] = db.pragma('wal_checkpoint(PASSIVE)') as [{ log: number; checkpointed: number }];
      waiting = Math.max(0, log - checkpointed) * pageBytes;
    } catch {
      waiting = 0; // it is tried again after as much more
    }
  };
  const begin = (): void => {
    if (worker === null) {
      const place = new URL('./wal-worker-sqlite.ts', import.meta.url);
      const resourceLimits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32 };
      worker = new Worker(place, { workerData: { file, state }, resourceLimits });
      worker.unref();
      worker.on('message', () => {
        if (!isEnded) copyRest();
      });
      worker.on('error', () => {
        Atomics.store(state, 0, IDLE);
        worker = null;
      });
    }
    Atomics.store(state, 0, BUSY);
    worker.postMessage(null);
  };
  return {
    wrote: (bytes) => {
      waiting += bytes + PAGES_OF_COMMIT * pageBytes;
      if (waiting >= MAX_WAL_BYTES) copyRest();
      else if (waiting >= WAL_BYTES && Atomics.load(state, 0) === IDLE) begin();
    },
    end: () => {
      isEnded = true;
      Atomics.wait(state, 0, BUSY, MAX_CLOSING_MS);
      void worker?.terminate();
    },
  };
}
