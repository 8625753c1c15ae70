// The archive of one security server: what of the message log is old enough goes to its destination, a segment at a time,
// and is let go here when it was read back. Looked at every hour and when an operator asks; what a stopped run left is
// completed first. Trouble keeps everything where it is; it is an alarm when records wait two days longer than they should.
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { ArchiveKey } from '#certs/archive-cipher.ts';
import type { ArchiveDestination } from '#core/archive/destination.ts';
import type { archiveSegment } from '#core/archive/run-archive.ts';
import type { Clock } from '#core/clock.ts';
import { type BoundedClient, openClient } from '#core/http/client.ts';
import type { MessageLog } from '#core/log/message-log.ts';
import { StoreError } from '#core/log/store.ts';
import { ARCHIVE_SEGMENT_ENTRIES } from '#schemas/limits.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { ClosedArchives, type ClosedLogState, waitingOf } from './closed-archives.ts';

const DAY_MS = 86_400_000;
/** How much longer than asked for records may wait: segments are made once a day, and a destination may be away. */
const SLACK_DAYS = 2;

export interface ArchiveOptions {
  /** Opened when the server starts; `signal` is aborted when it stops. */
  open(ports: { clock: Clock; http: BoundedClient; signal: AbortSignal }): ArchiveDestination;
  key: ArchiveKey;
  afterDays: number;
  /** So many entries may stay however old the oldest are not; 0 for any number. */
  keepEntries: number;
}

interface ArchiveState {
  /** Null: none is set. */
  destination: string | null;
  locked: boolean;
  /** What lies beside the entries before this one is in the archive and not here. */
  archivedUntil: number;
  entries: number;
  afterDays: number | null;
  /** When the oldest entry that is not in the archive was written; null when there is none. */
  oldestMs: number | null;
  overdue: boolean;
  running: boolean;
  /** The newest segment that this process made. */
  newest: { from: number; to: number; atMs: number } | null;
  trouble: { code: ProblemCode; detail: string; sinceMs: number } | null;
  /** Logs that were closed before the one in use, oldest first. */
  closed: readonly ClosedLogState[];
}

export interface ServerArchive {
  /** Every hour. */
  tick(): Promise<void>;
  /** Begins to archive what is older than so many days, however little it is. @throws ARCHIVE_OFF, ARCHIVE_BUSY */
  begin(afterDays?: number): void;
  /** Completes what a stopped run left. */
  start(): Promise<void>;
  state(): ArchiveState;
  stop(): Promise<void>;
}

export interface ArchivePorts {
  log: MessageLog;
  folder: string;
  logFolder: string;
  clock: Clock;
  logger: FastifyBaseLogger;
  configurationVersion: () => number;
}

/** @throws SETTINGS_INVALID */
export function openServerArchive(ports: ArchivePorts, options: ArchiveOptions | null): ServerArchive {
  return options === null ? noArchive(ports) : new Archive(ports, options);
}

function noArchive(ports: ArchivePorts): ServerArchive {
  const { log } = ports;
  const closed = new ClosedArchives(ports).states();
  return {
    tick: async () => {},
    begin: () => {
      throw new AccordError('ARCHIVE_OFF');
    },
    start: async () => {},
    state: () => ({
      ...{ destination: null, locked: false, archivedUntil: log.archivedUntil(), entries: log.size() },
      ...{ afterDays: null, oldestMs: null, overdue: false, running: false, newest: null, trouble: null, closed },
    }),
    stop: async () => {},
  };
}

class Archive implements ServerArchive {
  readonly #ports: ArchivePorts;
  readonly #options: ArchiveOptions;
  readonly #http = openClient({ maxConnectionsPerOrigin: 2, maxOrigins: 2 });
  readonly #stopping = new AbortController();
  readonly #destination: ArchiveDestination;
  readonly #closed: ClosedArchives;
  #running: Promise<void> | null = null;
  #newest: ArchiveState['newest'] = null;
  #trouble: ArchiveState['trouble'] = null;

  constructor(ports: ArchivePorts, options: ArchiveOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#closed = new ClosedArchives(ports);
    const { signal } = this.#stopping;
    this.#destination = stoppable(options.open({ clock: ports.clock, http: this.#http, signal }), signal);
  }

  async tick(): Promise<void> {
    const state = this.state();
    if (state.overdue) {
      const why = state.trouble === null ? '' : `; ${state.trouble.code} ${state.trouble.detail}`;
      this.#alarm('ARCHIVE_OVERDUE', `${sayOldest(state)}${why}`);
    }
    if (this.#running !== null || !this.#isDue(state)) return;
    this.begin();
    await this.#running;
  }

  begin(afterDays: number = this.#options.afterDays): void {
    if (this.#running !== null) throw new AccordError('ARCHIVE_BUSY');
    const beforeMs = this.#ports.clock.nowMs() - afterDays * DAY_MS;
    const keepEntries = this.#keepEntries();
    this.#run(async () => {
      while (!this.#stopping.signal.aborted && (await this.#segment({ beforeMs, keepEntries })));
      // What may stay is the newest of all logs.
      const keepClosed = Math.max(0, keepEntries - this.#ports.log.size());
      await this.#closed.run(this.#runOf(), { beforeMs, keepEntries: keepClosed }, this.#stopping.signal);
    });
  }

  async start(): Promise<void> {
    if (this.#running !== null) return;
    this.#run(async () => {
      await this.#segment(null);
      await this.#closed.run(this.#runOf(), null, this.#stopping.signal);
    });
    await this.#running;
  }

  state(): ArchiveState {
    const { log } = this.#ports;
    const archivedUntil = log.archivedUntil();
    const oldestMs = log.read(archivedUntil, 1)[0]?.entry.t ?? null;
    const { afterDays } = this.#options;
    const { name: destination, isLocked: locked } = this.#destination;
    const lateMs = this.#ports.clock.nowMs() - (afterDays + SLACK_DAYS) * DAY_MS;
    const closed = this.#closed.states();
    const overdue = Math.min(oldestMs ?? lateMs, waitingOf(closed)?.oldestMs ?? lateMs) < lateMs;
    return {
      ...{ destination, locked, archivedUntil, entries: log.size(), afterDays, oldestMs, overdue },
      ...{ running: this.#running !== null, newest: this.#newest, trouble: this.#trouble, closed },
    };
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#destination.close();
    await this.#http.close();
  }

  #keepEntries(): number {
    return this.#options.keepEntries === 0 ? Number.MAX_SAFE_INTEGER : this.#options.keepEntries;
  }

  /** Once a day, so that a quiet server does not make a segment of every hour; or a whole segment at once. */
  #isDue({ oldestMs, entries, archivedUntil, closed }: ArchiveState): boolean {
    const dueMs = this.#ports.clock.nowMs() - (this.#options.afterDays + 1) * DAY_MS;
    const isOld = Math.min(oldestMs ?? dueMs, waitingOf(closed)?.oldestMs ?? dueMs) < dueMs;
    return isOld || entries - archivedUntil > this.#keepEntries() + ARCHIVE_SEGMENT_ENTRIES;
  }

  #run(work: () => Promise<void>): void {
    const done = work().then(
      () => {
        this.#trouble = null;
      },
      (error: unknown) => this.#failed(error),
    );
    this.#running = done.finally(() => {
      this.#running = null;
    });
  }

  #runOf() {
    const { configurationVersion } = this.#ports;
    const { key } = this.#options;
    return { destination: this.#destination, key, configurationVersion: configurationVersion() };
  }

  async #segment(old: Parameters<typeof archiveSegment>[1]): Promise<boolean> {
    const { log, folder, logFolder, logger, clock } = this.#ports;
    const planFile = join(folder, 'archive-plan.json');
    // With all of an audit behind it: for servers that have an archive.
    const { archiveSegment } = await import('#core/archive/run-archive.ts');
    const made = await archiveSegment({ ...this.#runOf(), log, folder: logFolder, planFile }, old);
    if (made === null) return false;
    const { from, to, files } = made;
    this.#newest = { from, to, atMs: clock.nowMs() };
    logger.info({ from, to, files: files.length }, 'a segment of the log is in the archive and was read back');
    return true;
  }

  #failed(error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    const isStore = error instanceof StoreError;
    const code = isAccordError(error) ? error.code : isStore ? 'LOG_UNAVAILABLE' : 'INTERNAL';
    const detail = isAccordError(error) ? error.detail : error instanceof Error ? error.message : String(error);
    this.#trouble = { code, detail, sinceMs: this.#trouble?.sinceMs ?? this.#ports.clock.nowMs() };
    this.#alarm(code, detail);
  }

  #alarm(code: ProblemCode, detail: string): void {
    this.#ports.logger.error({ alarm: code, detail }, 'alarm of the archive');
  }
}

function sayOldest({ oldestMs, archivedUntil, closed }: ArchiveState): string {
  const waiting = waitingOf(closed);
  const isClosed = waiting !== null && (oldestMs === null || waiting.oldestMs < oldestMs);
  const which = isClosed ? `entry ${waiting.archivedUntil} of ${waiting.origin}` : `entry ${archivedUntil}`;
  return `${which} is of ${new Date((isClosed ? waiting.oldestMs : oldestMs) ?? 0).toISOString()}`;
}

/** Nothing is begun any more once the server stops. */
function stoppable(destination: ArchiveDestination, signal: AbortSignal): ArchiveDestination {
  const going = <T>(run: () => Promise<T>): Promise<T> => {
    if (signal.aborted) throw new AccordError('ARCHIVE_UNREACHABLE', 'the server stops');
    return run();
  };
  return {
    ...destination,
    put: async (name, bytes) => going(() => destination.put(name, bytes)),
    get: async (name, maxBytes) => going(() => destination.get(name, maxBytes)),
    list: async (prefix, ending) => going(() => destination.list(prefix, ending)),
  };
}
