// All message logs of one server: the one in use and those that were closed before it (core/log/new-origin.ts). Keys of
// records and holds outlive a log, so what is destroyed or held is looked for in all of them. Each is opened for reading
// only while it is asked, because a reader keeps the write-ahead log of the writer from being cut.
import { setImmediate } from 'node:timers/promises';
import { closedLogFolder } from '#core/log/new-origin.ts';
import { numberedOrigin, originNumber } from '#core/log/origin.ts';
import { MS_PER_DAY } from '#core/log/record-keys.ts';
import type { LogReader, StoredNote } from '#core/log/store.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { AccordError } from '#schemas/problems.ts';

/** Entries looked through at once: some milliseconds. */
const STEP = 20_000;
const MAX_OF_EXCHANGE = 10_000;

export interface SealedEntry {
  origin: string;
  entry: LogEntry;
  leaf: Buffer;
  keyId: Buffer;
}

export interface NoteEntry {
  entry: LogEntry;
  note: Buffer;
}

export class AllLogs {
  readonly #logs: { origin: string; folder: string }[];
  #isStopped = false;

  /** @param folder of the log in use @param origin of the log in use */
  constructor(folder: string, origin: string) {
    const { base, number } = originNumber(origin);
    const closed = Array.from({ length: number - 1 }, (_, i) => i + 1);
    this.#logs = [
      ...closed.map((n) => ({ origin: numberedOrigin(base, n), folder: closedLogFolder(folder, n) })),
      { origin, folder },
    ];
  }

  /** Whoever reads now stops at the next step. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Lets others run. @throws LOG_CLOSED */
  async #step(): Promise<void> {
    await setImmediate();
    if (this.#isStopped) throw new AccordError('LOG_CLOSED');
  }

  /** In the order in which they were written. */
  get places(): readonly { origin: string; folder: string }[] {
    return this.#logs;
  }

  get origins(): string[] {
    return this.#logs.map(({ origin }) => origin);
  }

  /** Notes from an entry on, in order, and where to go on the next time. @throws LOG_* */
  async notes(origin: string, fromSeq: number): Promise<{ notes: NoteEntry[]; nextSeq: number }> {
    return this.#reading(origin, async (log) => {
      const size = log.size();
      const found: StoredNote[] = [];
      for (let at = fromSeq; at < size; at += STEP) {
        found.push(...log.notes(at, Math.min(size, at + STEP)));
        await this.#step();
      }
      return { notes: found.map(({ line, note }) => ({ entry: parseLogEntry(line), note })), nextSeq: size };
    });
  }

  /** Sealed records of an exchange, of one peer unless it is null; in all logs, oldest log first. @throws LOG_* */
  async sealedOf(exchanges: readonly { id: string; peer: string | null }[]): Promise<SealedEntry[]> {
    const found: SealedEntry[] = [];
    for (const { origin } of this.#logs) {
      await this.#reading(origin, async (log) => {
        for (const [i, { id, peer }] of exchanges.entries()) {
          for (const { seq, line, leaf } of log.linesOf(id, MAX_OF_EXCHANGE).reverse()) {
            const keyId = log.sealed(seq)?.keyId;
            const entry = parseLogEntry(line);
            if (keyId !== undefined && (peer === null || entry.peer === peer))
              found.push({ origin, entry, leaf, keyId });
          }
          if (i % 500 === 499) await this.#step();
        }
      });
    }
    return found;
  }

  /** @throws LOG_* */
  entries(origin: string, seqs: readonly number[]): LogEntry[] {
    const log = openLogAuditSqlite(this.#folderOf(origin));
    try {
      return seqs.map((seq) => parseLogEntry(log.lines(seq, 1)[0]?.line ?? ''));
    } finally {
      log.close();
    }
  }

  /** Ids of the keys of these entries. @throws LOG_*, RECORD_KEYS_LOST for an entry without sealed parts */
  keyIds(origin: string, seqs: readonly number[]): Buffer[] {
    const log = openLogAuditSqlite(this.#folderOf(origin));
    try {
      return seqs.map((seq) => {
        const keyId = log.sealed(seq)?.keyId;
        if (keyId === undefined)
          throw new AccordError('RECORD_KEYS_LOST', `entry ${seq} of ${origin} has no sealed parts`);
        return keyId;
      });
    } finally {
      log.close();
    }
  }

  /** Entries of a class with sealed parts, written on these days. @throws LOG_* */
  async countSealed(retention: string, firstDay: number, lastDay: number): Promise<number> {
    let sum = 0;
    for (const { origin } of this.#logs) {
      await this.#reading(origin, async (log) => {
        const [from, until] = [firstSeqAt(log, firstDay * MS_PER_DAY), firstSeqAt(log, (lastDay + 1) * MS_PER_DAY)];
        for (let at = from; at < until; at += STEP) {
          sum += log.countSealed(at, Math.min(until, at + STEP), retention);
          await this.#step();
        }
      });
    }
    return sum;
  }

  async #reading<T>(origin: string, read: (log: LogReader) => Promise<T>): Promise<T> {
    const log = openLogAuditSqlite(this.#folderOf(origin));
    try {
      return await read(log);
    } finally {
      log.close();
    }
  }

  #folderOf(origin: string): string {
    const found = this.#logs.find((one) => one.origin === origin);
    if (found === undefined) throw new AccordError('LOG_MISSING', origin);
    return found.folder;
  }
}

/** The first entry that was not written before this time; times of a log never go back. */
export function firstSeqAt(log: Pick<LogReader, 'size' | 'lines'>, atMs: number): number {
  let [low, high] = [0, log.size()];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const line = log.lines(middle, 1)[0]?.line ?? '';
    if (parseLogEntry(line).t < atMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
