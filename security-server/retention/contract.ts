// What the rest of a security server asks of retention (retention.ts does it), and what it is told.
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '#core/clock.ts';
import type { MessageLog } from '#core/log/message-log.ts';
import type { Subject } from '#policy/binding/binding.ts';
import type { HeldScope, HoldNote, Person } from '#schemas/retention.ts';
import type { Accesses } from '#security-server/accesses.ts';
import type { SigningKey } from '#security-server/envelope/signer.ts';
import type { SubjectTag } from '#security-server/subject-tag.ts';
import type { RetentionClasses } from './classes.ts';
import type { RetentionPlan } from './plan.ts';
import type { DestructionRequest, KnownIntent, RetentionStore } from './retention-store.ts';

/** The steps of a destruction, in order; a test may stop the process behind each. */
type DestructionStep = 'intended' | 'keys' | 'rows' | 'done';

export interface RetentionPorts {
  /** INSTANCE/CLASS/MEMBER/SERVER */
  server: string;
  store: RetentionStore;
  log: MessageLog;
  /** Of the log in use. */
  logFolder: string;
  accesses: Accesses;
  subjectTag: SubjectTag;
  signing(): SigningKey;
  configurationVersion(): number;
  clock: Clock;
  logger: FastifyBaseLogger;
  /** The data folder was put back from a backup: rows of who looked may be there again. */
  wasRestored?: boolean;
  onStep?: (step: DestructionStep) => void;
}

/** A hold on a person names the person; the tag takes their place at once. */
export type WantedHold = Exclude<HeldScope, { kind: 'subject' }> | ({ kind: 'subject' } & Subject);

export interface WantedDestruction {
  /** Days of a class that are due, up to one of them; all that are due for null. */
  retention: string | null;
  throughDay: number | null;
  exchanges: { id: string; peer: string | null }[];
  legalBasis: string | null;
  reason: string;
}

interface HeldRecords {
  hold: string;
  records: number;
}

export interface PlanView extends RetentionPlan {
  /** Records that are held one by one, by hold. */
  kept: HeldRecords[];
  /** Why nothing at all can be destroyed now: logs that cannot be read, holds whose person is not known any more. */
  blocked: string[];
}

export interface DestructionView {
  id: string;
  state: 'waiting' | 'withdrawn' | 'under-way' | 'done';
  request: DestructionRequest | null;
  intent: KnownIntent | null;
  certificate: string | null;
}

export interface HoldView extends HoldNote {
  /** Who asked for it to be lifted, while a second person is waited for. */
  lift: { requested: Person; reason: string } | null;
}

export interface Retention extends Pick<RetentionClasses, 'longest' | 'ofClient'> {
  readonly classes: RetentionClasses;
  /** Reads what the log says since the last time, and completes what was begun. */
  start(): Promise<void>;
  /** What is done every hour, and every minute while something is under way. */
  tick(): Promise<void>;
  /** Deletes rows of who looked that are older than they are ever shown, unless they are held. */
  forgetAccesses(): Promise<void>;
  plan(): Promise<PlanView>;
  destructions(): DestructionView[];
  /** @throws DESTRUCTION_UNKNOWN */
  destruction(id: string): DestructionView;
  /** @throws DESTRUCTION_NOT_DUE, DESTRUCTION_HELD, RETENTION_CLASS_UNKNOWN */
  request(wanted: WantedDestruction, by: Person): Promise<DestructionView>;
  /** Destroys. @throws SAME_PERSON, DESTRUCTION_UNKNOWN, DESTRUCTION_CLOSED, DESTRUCTION_NOT_DUE, DESTRUCTION_HELD, DESTRUCTION_UNDER_WAY */
  approve(id: string, by: Person): Promise<DestructionView>;
  /** @throws DESTRUCTION_UNKNOWN, DESTRUCTION_CLOSED */
  withdraw(id: string, by: Person): Promise<DestructionView>;
  holds(): HoldView[];
  /** @throws HOLD_LIMIT, DESTRUCTION_UNDER_WAY */
  place(wanted: WantedHold, legalBasis: string, reason: string, by: Person): Promise<HoldView>;
  /** The first call asks, that of a second person lifts. @throws HOLD_UNKNOWN, SAME_PERSON */
  lift(id: string, reason: string | null, by: Person): Promise<{ lifted: boolean }>;
  /** For gauges: days by which the oldest is overdue as of the last look, and what waits. */
  overdueDays(): number;
  waiting(): number;
  held(): number;
  underWay(): number;
  /** Waits for what is being done. */
  close(): Promise<void>;
}
