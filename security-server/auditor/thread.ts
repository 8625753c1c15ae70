// What the auditor's pages ask of the log, done in a thread beside the server: it is started when it is first asked, ends when
// nobody asked for a while, and is stopped when one task takes too long. The auditor controls what is asked.
import { Worker } from 'node:worker_threads';
import { AUDITOR_TASK_MS, MAX_AUDITOR_TASKS } from '#schemas/limits.ts';
import { AccordError, type ProblemCode } from '#schemas/problems.ts';
import type { AuditorPlaces, Examine, Examined } from './examine.ts';
import type { Search, SearchResult } from './search-log.ts';

export interface Export extends Examine {
  /** With contexts and bodies: they name the person. */
  withContent: boolean;
}

export type AuditorTask =
  | { kind: 'search'; search: Search }
  | ({ kind: 'examine' } & Examine)
  | ({ kind: 'export' } & Export);

export type TaskAnswer = { result: unknown } | { code: ProblemCode; detail: string } | { failed: string };

interface Asked {
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
}

const IDLE_MS = 60_000;

export class AuditorThread {
  readonly #places: () => AuditorPlaces;
  readonly #waiting: Asked[] = [];
  #worker: Worker | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(places: () => AuditorPlaces) {
    this.#places = places;
  }

  /** @throws SERVER_BUSY, AUDITOR_TASK_TOO_LONG, LOG_* */
  async search(search: Search): Promise<SearchResult> {
    return (await this.#ask({ kind: 'search', search })) as SearchResult;
  }

  /** @throws EXCHANGE_NOT_FOUND, SERVER_BUSY, AUDITOR_TASK_TOO_LONG, LOG_*, RECORD_KEYS_* */
  async examine(task: Examine): Promise<Examined> {
    return (await this.#ask({ kind: 'examine', ...task })) as Examined;
  }

  /** The zip of an evidence pack. @throws as `exportPack`, SERVER_BUSY, AUDITOR_TASK_TOO_LONG */
  async export(task: Export): Promise<Buffer> {
    return Buffer.from((await this.#ask({ kind: 'export', ...task })) as Uint8Array);
  }

  async close(): Promise<void> {
    await this.#end(new AccordError('SERVER_STOPPING'));
  }

  async #ask(task: AuditorTask): Promise<unknown> {
    if (this.#waiting.length >= MAX_AUDITOR_TASKS) throw new AccordError('SERVER_BUSY', 'the auditor’s pages');
    const worker = this.#worker ?? this.#start();
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      worker.postMessage(task);
      if (this.#waiting.length === 1) this.#watch();
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL('./thread-worker.ts', import.meta.url), { workerData: this.#places() });
    worker.unref();
    worker.on('message', (told: TaskAnswer) => {
      settle(this.#waiting.shift(), told);
      this.#watch();
    });
    worker.on('error', (error) => void this.#end(error instanceof Error ? error : new Error(String(error)), worker));
    this.#worker = worker;
    return worker;
  }

  /** The first in the row may take so long; an idle thread ends after a while. */
  #watch(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const isIdle = this.#waiting.length === 0;
    const end = () => void this.#end(new AccordError(isIdle ? 'SERVER_BUSY' : 'AUDITOR_TASK_TOO_LONG'));
    this.#timer = setTimeout(end, isIdle ? IDLE_MS : AUDITOR_TASK_MS);
    this.#timer.unref();
  }

  async #end(error: Error, worker = this.#worker): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (worker === null || worker !== this.#worker) return;
    this.#worker = null;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    await worker.terminate();
  }
}

function settle(asked: Asked | undefined, told: TaskAnswer): void {
  if (asked === undefined) return;
  if ('result' in told) asked.resolve(told.result);
  else if ('code' in told) asked.reject(new AccordError(told.code, told.detail));
  else asked.reject(new Error(told.failed));
}
