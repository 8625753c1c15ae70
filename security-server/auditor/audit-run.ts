// The verification of the whole log that an auditor starts: one at a time, in a thread of its own beside the server, and what
// came of the last one, kept in a file of the data folder. A run that is stopped says nothing. The file is this server's own
// word; whoever can write to the folder can write it.
import { existsSync, readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '#core/clock.ts';
import type { RangeReport } from '#core/log/audit-range-report.ts';
import { replaceFileMeanwhile } from '#core/replace-file.ts';
import { parseJson } from '#schemas/json.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import type { AuditorPlaces } from './examine.ts';

export interface AuditEnd {
  /** The auditor's name. */
  by: string;
  startedAtMs: number;
  endedAtMs: number;
  outcome: 'reported' | 'stopped' | 'failed';
  /** Null unless it reported. */
  report: RangeReport | null;
}

export interface AuditState {
  running: { by: string; startedAtMs: number; done: number; size: number } | null;
  /** The last one that came to its end, also of an earlier start of the server. */
  last: AuditEnd | null;
  /** The last one since this start, whatever became of it. */
  ended: AuditEnd | null;
}

export interface AuditRunPorts {
  places: () => AuditorPlaces;
  file: string;
  clock: Clock;
  logger: FastifyBaseLogger;
}

export type AuditMessage = { done: number; size: number } | { report: RangeReport } | { failed: string };

const count = Type.Integer({ minimum: 0 });
// The report is shown as far as it is understood; its members are those of the version that wrote it.
const Kept = Type.Object({
  by: Type.String({ maxLength: 100 }),
  startedAtMs: count,
  endedAtMs: count,
  outcome: Type.Literal('reported'),
  report: Type.Object({
    v: Type.Literal(1),
    ok: Type.Boolean(),
    code: Type.Union([Type.String({ pattern: '^[A-Z][A-Z0-9_]{1,63}$' }), Type.Null()]),
    detail: Type.String(),
    startedAt: count,
    endedAt: count,
    size: count,
    signatures: Type.Boolean(),
    checkpoints: count,
    heartbeatsMissing: count,
  }),
});
const checkKept = compile(Kept, 'SCHEMA_MISMATCH');
type Kept = Static<typeof Kept>;

export class AuditRun {
  readonly #ports: AuditRunPorts;
  #worker: Worker | null = null;
  #running: AuditState['running'] = null;
  #last: AuditEnd | null;
  #ended: AuditEnd | null = null;

  constructor(ports: AuditRunPorts) {
    this.#ports = ports;
    this.#last = this.#read();
  }

  state(): AuditState {
    return { running: this.#running && { ...this.#running }, last: this.#last, ended: this.#ended };
  }

  /** @throws AUDIT_RUNNING */
  start(by: string, size: number, withBodies: boolean): void {
    if (this.#running !== null) throw new AccordError('AUDIT_RUNNING');
    const startedAtMs = this.#ports.clock.nowMs();
    const running = { by, startedAtMs, done: 0, size };
    const workerData = { places: this.#ports.places(), withBodies };
    const worker = new Worker(new URL('./audit-run-worker.ts', import.meta.url), { workerData });
    worker.unref();
    // Only now: where no thread can be had, the next one may ask again.
    this.#running = running;
    this.#worker = worker;
    worker.on('message', (message: AuditMessage) => {
      if (this.#running !== running) return;
      if ('done' in message) Object.assign(running, { done: message.done, size: Math.max(message.size, message.done) });
      else if ('report' in message) void this.#end('reported', message.report);
      else this.#fail(message.failed);
    });
    worker.on('error', (error) => {
      if (this.#running === running)
        this.#fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
    });
  }

  /** Ends the run there is, if there is one. */
  async stop(): Promise<void> {
    if (this.#running !== null) await this.#end('stopped', null);
  }

  #fail(why: string): void {
    this.#ports.logger.error({ why }, 'the audit of the log ended by a fault');
    void this.#end('failed', null);
  }

  async #end(outcome: AuditEnd['outcome'], report: RangeReport | null): Promise<void> {
    const [running, worker] = [this.#running, this.#worker];
    if (running === null) return;
    const { by, startedAtMs } = running;
    const end = { by, startedAtMs, endedAtMs: this.#ports.clock.nowMs(), outcome, report };
    this.#running = null;
    this.#worker = null;
    this.#ended = end;
    if (report !== null) this.#last = end;
    await worker?.terminate();
    if (report === null) return;
    if (!report.ok) this.#ports.logger.error({ alarm: report.code, detail: report.detail }, 'the log does not verify');
    try {
      await replaceFileMeanwhile(this.#ports.file, Buffer.from(`${JSON.stringify(end)}\n`), 0o600);
    } catch (err) {
      this.#ports.logger.error({ err }, 'the report of the audit could not be kept');
    }
  }

  #read(): AuditEnd | null {
    const { file, logger } = this.#ports;
    if (!existsSync(file)) return null;
    try {
      const kept: Kept = checkKept(parseJson(readFileSync(file)));
      return kept as unknown as AuditEnd;
    } catch (error) {
      if (!isAccordError(error)) throw error;
      logger.error({ err: error }, 'the report of the last audit cannot be read');
      return null;
    }
  }
}
