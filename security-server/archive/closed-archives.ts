// The closed logs of a server (core/log/new-origin.ts) on their way to the archive, oldest log first, by the same rules as the
// log in use. One that is damaged, or of which the archive holds more, stays where it is and stands in the way of no other.
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import {
  archiveClosedSegment,
  type ClosedPlace,
  type ClosedState,
  closedLogs,
  closedState,
} from '#core/archive/closed-log.ts';
import type { WhatIsOld } from '#core/archive/plan.ts';
import type { ArchiveRun } from '#core/archive/run-archive.ts';
import { findingOf } from '#core/log/audit-finding.ts';
import type { MessageLog } from '#core/log/message-log.ts';
import { StoreError } from '#core/log/store.ts';
import { isAccordError, type ProblemCode } from '#schemas/problems.ts';

export interface ClosedLogState extends ClosedState {
  trouble: { code: ProblemCode; detail: string } | null;
}

interface ClosedPorts {
  log: MessageLog;
  folder: string;
  logFolder: string;
  logger: FastifyBaseLogger;
}

/** Not the log's own fault: tried again with everything else. */
const PASSES: ReadonlySet<ProblemCode> = new Set([
  ...(['ARCHIVE_UNREACHABLE', 'ARCHIVE_LOCK_REFUSED', 'LOG_IN_USE'] as const),
  ...(['LOG_UNAVAILABLE', 'LOG_DISK_FULL', 'LOG_CLOSED'] as const),
]);

export class ClosedArchives {
  readonly #ports: ClosedPorts;
  readonly #places: ClosedPlace[];
  /** Read once, and again when something went. */
  #states: ClosedLogState[];
  readonly #said = new Set<string>();

  constructor(ports: ClosedPorts) {
    this.#ports = ports;
    this.#places = closedLogs(ports.logFolder, ports.log.origin);
    this.#states = this.#places.map((place) => stateOf(place));
  }

  states(): readonly ClosedLogState[] {
    return this.#states;
  }

  /**
   * Archives all that is old; null only completes what was begun.
   * @throws ARCHIVE_UNREACHABLE, ARCHIVE_LOCK_REFUSED, LOG_* of the log in use, StoreError; what is wrong with one log stands in its state
   */
  async run(
    run: Pick<ArchiveRun, 'destination' | 'key' | 'configurationVersion'>,
    old: WhatIsOld | null,
    signal: AbortSignal,
  ) {
    for (const [i, place] of this.#places.entries()) {
      const planFile = join(this.#ports.folder, `archive-plan-${place.number}.json`);
      try {
        for (let isMore = true; isMore && !signal.aborted; ) {
          const made = await archiveClosedSegment({ ...run, log: this.#ports.log, planFile }, place, old);
          this.#states[i] = stateOf(place);
          if (made !== null) this.#say(place, made);
          isMore = made !== null && old !== null;
        }
      } catch (error) {
        if (error instanceof StoreError || signal.aborted) throw error;
        const { code, message } = findingOf(error);
        if (PASSES.has(code)) throw error;
        this.#trouble(i, place, { code, detail: message });
      }
    }
  }

  #say({ origin }: ClosedPlace, { from, to }: { from: number; to: number }): void {
    this.#ports.logger.info({ origin, from, to }, 'a segment of a closed log is in the archive and was read back');
  }

  /** Said once while this process runs: it does not pass by itself. */
  #trouble(i: number, place: ClosedPlace, trouble: { code: ProblemCode; detail: string }): void {
    this.#states[i] = { ...stateOf(place), trouble };
    const { code, detail } = trouble;
    if (this.#said.has(`${place.origin} ${code}`)) return;
    this.#said.add(`${place.origin} ${code}`);
    this.#ports.logger.error({ alarm: code, origin: place.origin, detail }, 'alarm of the archive of a closed log');
  }
}

/** The one with the oldest entry that can go and has not gone; what is in trouble was said and does not wait. */
export function waitingOf(closed: readonly ClosedLogState[]): (ClosedLogState & { oldestMs: number }) | null {
  const waiting = closed.flatMap((one) =>
    one.oldestMs === null || one.trouble !== null ? [] : [{ ...one, oldestMs: one.oldestMs }],
  );
  return waiting.sort((a, b) => a.oldestMs - b.oldestMs)[0] ?? null;
}

function stateOf(place: ClosedPlace): ClosedLogState {
  try {
    return { ...closedState(place), trouble: null };
  } catch (error) {
    if (!isAccordError(error)) throw error;
    const { code, detail } = error;
    return {
      origin: place.origin,
      entries: 0,
      archivedUntil: 0,
      signedUntil: 0,
      oldestMs: null,
      trouble: { code, detail },
    };
  }
}
