// What auditors do here is noted before it is done: signing in and out, opening a record, exporting a pack, starting and
// stopping a verification. One JSON line each at the end of a file of the data folder, durable before anything is shown, and
// the same in the operator's log. The auditor controls the reason; nothing of a record stands there.
import { open } from 'node:fs/promises';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '#core/clock.ts';
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

async function append(path: string, line: string): Promise<void> {
  const file = await open(path, 'a', 0o600);
  try {
    await file.writeFile(line);
    await file.datasync();
  } finally {
    await file.close();
  }
}
