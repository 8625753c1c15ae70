// The first process of a security server, where others serve its information systems: it starts them, hands them what they
// have to know, writes the log for all of them, and ends last. One that ends is started again, after a moment that grows
// while it ends again; what it had under way is settled as after a crash. Each listens on the same two ports itself
// (SO_REUSEPORT), and the kernel shares new connections out: `node:cluster` would hand them over, and lose those that are on
// the way to one that ends.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FastifyBaseLogger } from 'fastify';
import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import { everyUnref } from '#core/clock.ts';
import { writeHint } from '#core/configuration/serve-held.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import type { Settings } from '#security-server/settings.ts';
import { Calls } from './calls.ts';
import { answerForLog, type LogAnswers } from './shared-log.ts';

type ProcessMetrics = MetricObjectWithValues<MetricValue<string>>[];

/** What the first process knows of the log beside its records: why no exchange may begin, null when one may. */
export interface Standing {
  overdue: string | null;
}

interface Hello {
  folder: string;
  number: number;
  settings: Settings;
  origin: string;
  /** As the first of them got them, where the settings leave it to the system. */
  ports: { systems: number; loopback: number };
}

interface Urls {
  systems: string;
  loopback: string;
}

/** What the first process answers. */
export type FirstAnswers = LogAnswers & {
  hello(value: null): Hello;
  /** Its ports listen. */
  ready(urls: Urls): Standing;
  /** A file of the published configuration, null when it is not held. */
  configurationFile(path: string): Buffer | null;
};

/** What the others answer; each resolves when it is done. */
export type ProcessAnswers = {
  /** False when it could not be taken, or not yet. */
  configurationChanged(value: null): Promise<boolean>;
  stateChanged(value: null): void;
  keysChanged(value: null): Promise<void>;
  stands(now: Standing): void;
  metrics(value: null): Promise<ProcessMetrics>;
  drain(drainMs: number): Promise<void>;
};

export interface OtherProcesses {
  /** Resolves when all of them listen. @throws PROCESS_ENDED when one ends before */
  start(parts: ServerParts): Promise<Urls>;
  /** Tells all of them, of a newer configuration too, and resolves when each has taken it in. */
  changed(what: 'state' | 'keys'): Promise<void>;
  metrics(): Promise<ProcessMetrics[]>;
  state(): { wanted: number; running: number };
  /** They end what is under way, at most `drainMs`, and then themselves. */
  close(drainMs: number): Promise<void>;
}

const PROGRAM = fileURLToPath(new URL('./main.ts', import.meta.url));
const LEAST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** One that ran so long begins anew. */
const STEADY_MS = 60_000;
/** So long what is newer here may be unknown there, where nobody waits for it. */
const LOOK_EVERY_MS = 1_000;
/** For what is answered at once; one that hangs does not keep an administrator waiting for ever. */
const TOLD_WITHIN_MS = 10_000;
/** Beyond the time for what is under way. */
const END_WITHIN_MS = 5_000;

interface One {
  number: number;
  child: ChildProcess | null;
  calls: Calls<ProcessAnswers> | null;
  isReady: boolean;
  waitMs: number;
}

interface Ready {
  number: number;
  child: ChildProcess;
  calls: Calls<ProcessAnswers>;
}

/** @param settings as resolved; `consumerProcesses` of them are started */
export function openOtherProcesses(folder: string, settings: Settings, logger: FastifyBaseLogger): OtherProcesses {
  return new Others(folder, settings, logger);
}

class Others implements OtherProcesses {
  readonly #folder: string;
  readonly #settings: Settings;
  readonly #logger: FastifyBaseLogger;
  readonly #all: One[];
  #parts: ServerParts | undefined;
  #urls: Urls = { systems: '', loopback: '' };
  #told: Standing = { overdue: null };
  #toldOf = '';
  #isEnding = false;
  #stopLooking = () => {};

  constructor(folder: string, settings: Settings, logger: FastifyBaseLogger) {
    this.#folder = folder;
    this.#settings = settings;
    this.#logger = logger;
    this.#all = Array.from({ length: settings.consumerProcesses }, (_, at) => ({
      ...{ number: at + 1, child: null, calls: null, isReady: false, waitMs: LEAST_WAIT_MS },
    }));
  }

  async start(parts: ServerParts): Promise<Urls> {
    this.#parts = parts;
    this.#stopLooking = everyUnref(LOOK_EVERY_MS, () => {
      this.#tellStanding();
      void this.#tellConfiguration();
    });
    const [one, ...others] = this.#all;
    if (one !== undefined) await this.#begin(one);
    await Promise.all(others.map((other) => this.#begin(other)));
    return this.#urls;
  }

  async changed(what: 'state' | 'keys'): Promise<void> {
    await Promise.all(this.#ready().map((one) => this.#tell(one, `${what}Changed`)));
    await this.#tellConfiguration();
  }

  async metrics(): Promise<ProcessMetrics[]> {
    const asked = this.#ready().map(({ calls }) => within(TOLD_WITHIN_MS, calls.ask('metrics', null)).catch(() => []));
    return (await Promise.all(asked)).filter(({ length }) => length > 0);
  }

  state(): { wanted: number; running: number } {
    return { wanted: this.#all.length, running: this.#ready().length };
  }

  async close(drainMs: number): Promise<void> {
    this.#isEnding = true;
    this.#stopLooking();
    await Promise.all(
      this.#all.map(async ({ child, calls }) => {
        if (child === null) return;
        const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
        const drained = calls?.ask('drain', drainMs).catch(() => {});
        await within(drainMs + END_WITHIN_MS, Promise.resolve(drained)).catch(() => {});
        child.kill('SIGKILL');
        await ended;
      }),
    );
  }

  #ready(): Ready[] {
    return this.#all.flatMap(({ number, child, calls, isReady }) =>
      isReady && calls !== null && child !== null ? [{ number, child, calls }] : [],
    );
  }

  /** What it answered; undefined when it did not. */
  async #tell<Name extends keyof ProcessAnswers>({ number, calls, child }: Ready, what: Name) {
    try {
      return await within(TOLD_WITHIN_MS, calls.ask(what, null as never));
    } catch (err) {
      // One that does not take it in must not go on with what was before: it begins anew with what is there now.
      this.#logger.error({ err, process: number, what }, 'a process did not take in a change');
      child.kill('SIGKILL');
      return undefined;
    }
  }

  /** Content, distrust or freshness: whatever is newer here than what all of them were told of. */
  async #tellConfiguration(): Promise<void> {
    const versions = this.#parts?.configuration.files?.versions();
    const held = versions === undefined ? '' : writeHint(versions);
    if (held === this.#toldOf) return;
    const taken = await Promise.all(this.#ready().map((one) => this.#tell(one, 'configurationChanged')));
    if (taken.every((took) => took === true)) this.#toldOf = held;
  }

  /** Resolves when it listens. */
  #begin(one: One): Promise<void> {
    const parts = this.#parts;
    if (parts === undefined) throw new TypeError('begun before the server');
    const beganMs = parts.clock.monotonicMs();
    const child = fork(PROGRAM, [], { serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    one.child = child;
    return new Promise((resolve, reject) => {
      const failed = (err: unknown) =>
        this.#logger.error({ err, process: one.number }, 'a question of a process failed');
      const ready = (urls: Urls): Standing => {
        this.#urls = urls;
        one.isReady = true;
        this.#toldOf = ''; // it may have looked a moment before the last news
        this.#logger.info({ process: one.number, ...urls }, 'a process serves information systems');
        resolve();
        return this.#told;
      };
      const calls = new Calls<ProcessAnswers>((message) => child.send(message as object, unsent), failed);
      calls.serve(this.#answers(one, parts, ready));
      one.calls = calls;
      child.on('message', (message) => calls.heard(message));
      child.on('error', failed);
      child.once('exit', (status, signal) => {
        calls.end();
        one.isReady = false;
        one.child = null;
        reject(new AccordError('PROCESS_ENDED', `${one.number}: ${signal ?? status}`));
        if (!this.#isEnding) this.#again(one, parts.clock.monotonicMs() - beganMs, signal ?? status ?? '');
      });
    });
  }

  #answers(one: One, parts: ServerParts, ready: FirstAnswers['ready']): FirstAnswers {
    const [folder, settings] = [this.#folder, this.#settings];
    return {
      ...answerForLog(parts.log),
      hello: () => ({ folder, number: one.number, settings, origin: parts.log.origin, ports: this.#ports() }),
      ready,
      configurationFile: (path) => parts.configuration.files?.file(path) ?? null,
    };
  }

  #ports(): Hello['ports'] {
    const { systems, loopback } = this.#urls;
    return systems === '' ? this.#settings.ports : { systems: portOf(systems), loopback: portOf(loopback) };
  }

  #again(one: One, ranMs: number, ended: string | number): void {
    one.waitMs = ranMs >= STEADY_MS ? LEAST_WAIT_MS : Math.min(one.waitMs * 2, LONGEST_WAIT_MS);
    const about = { alarm: 'PROCESS_ENDED', process: one.number, ended, againInMs: one.waitMs };
    this.#logger.error(about, 'a process that served information systems ended');
    setTimeout(() => {
      if (!this.#isEnding) this.#begin(one).catch(() => {});
    }, one.waitMs).unref();
  }

  #tellStanding(): void {
    const now = standingOf(this.#parts);
    if (now.overdue === this.#told.overdue) return;
    this.#told = now;
    for (const { calls } of this.#ready()) void calls.ask('stands', now).catch(() => {});
  }
}

/** What waits for an answer learns of a closed pipe when the process has ended. */
const unsent = () => {};

const portOf = (url: string): number => Number(new URL(url).port);

function standingOf(parts: ServerParts | undefined): Standing {
  try {
    parts?.anchoring.grace.requireInTime();
    return { overdue: null };
  } catch (error) {
    return { overdue: isAccordError(error) ? error.detail : String(error) };
  }
}

async function within<T>(ms: number, done: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new AccordError('PROCESS_ENDED', `no answer within ${ms} ms`)), ms);
  });
  return await Promise.race([done, late]).finally(() => clearTimeout(timer));
}
