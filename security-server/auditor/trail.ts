// What auditors do here is noted before it is done: signing in and out, opening a record, exporting a pack, starting and
// stopping a verification. One JSON line each at the end of a file of the data folder, durable before anything is shown, and
// the same in the operator's log. The auditor controls the reason; nothing of a record stands there.
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '#core/clock.ts';
import { syncFolder } from '#core/log/checkpoint-file.ts';
import { AccordError } from '#schemas/problems.ts';

export interface Deed {
  action: 'sign-in' | 'sign-out' | 'open-record' | 'export' | 'verify-log' | 'stop-verifying';
  /** The auditor's name. */
  auditor: string;
  exchange?: string;
  peer?: string;
  seq?: number;
  /** Contexts and bodies went along. */
  withContent?: boolean;
  reason?: string;
}

const LINE_FEED = 0x0a;

export class AuditorTrail {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #logger: FastifyBaseLogger;
  #last: Promise<unknown> = Promise.resolve();

  constructor(file: string, clock: Clock, logger: FastifyBaseLogger) {
    this.#file = file;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Resolves when the deed is on disk. @throws AUDITOR_NOT_NOTED: then it must not be done */
  async note(deed: Deed): Promise<void> {
    const line = `${JSON.stringify({ atMs: this.#clock.nowMs(), ...deed })}\n`;
    const written = this.#last.then(() => append(this.#file, line));
    this.#last = written.catch(() => undefined);
    try {
      await written;
    } catch (err) {
      this.#logger.error({ alarm: 'AUDITOR_NOT_NOTED', err }, 'what an auditor does cannot be noted');
      throw new AccordError('AUDITOR_NOT_NOTED', deed.action, { cause: err });
    }
    // At a level that is not left out on a quiet server.
    this.#logger.warn({ ...deed, role: 'auditor' }, 'administration');
  }
}

/** What a full disk or a crash left of a line stays a line of its own; a new file is there after a crash as well. */
async function append(path: string, line: string): Promise<void> {
  const file = await open(path, 'a+', 0o600);
  try {
    const { size } = await file.stat();
    const last = Buffer.alloc(1);
    if (size > 0) await file.read(last, 0, 1, size - 1);
    await file.appendFile(size > 0 && last[0] !== LINE_FEED ? `\n${line}` : line);
    await file.datasync();
    if (size === 0) syncFolder(dirname(path));
  } finally {
    await file.close();
  }
}
