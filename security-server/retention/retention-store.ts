// What is kept of retention beside the message log. Classes, rules and requests live here only. Holds, intents and
// certificates are copies of what the log says, so that nobody has to read the whole log at each start: a store that was
// lost or put back from a backup catches up with the log before anything is destroyed.
import type { DestroyedDays, HoldNote, IntentNote, Person, RetentionClass } from '#schemas/retention.ts';

/** What is asked for; counted again when it is approved. */
export interface RequestedScope {
  days: DestroyedDays[];
  /** Single exchanges, of one peer unless it is null. */
  exchanges: { id: string; peer: string | null }[];
}

export interface DestructionRequest {
  id: string;
  scope: RequestedScope;
  legalBasis: string;
  reason: string;
  requested: Person;
  withdrawn: Person | null;
}

export interface KnownIntent {
  /** Of the log that holds it. */
  origin: string;
  seq: number;
  /** base64url. */
  leaf: string;
  note: IntentNote;
}

export interface KnownDone {
  origin: string;
  seq: number;
  atMs: number;
  /** Compact JWS. */
  certificate: string;
}

export interface ConsumerRule {
  client: string;
  /** Null: all services. */
  service: string | null;
  retention: string;
}

/** Rows of who looked that the citizen has not been shown yet, though their records are gone. */
interface HiddenRows {
  intent: Pick<IntentNote, 'days' | 'except' | 'records'>;
}

export interface RetentionDocuments {
  /** By name. */
  class: { class: RetentionClass; requested: Person; approved: Person };
  /** A class that waits for a second person, by name. */
  change: { class: RetentionClass; requested: Person };
  rule: ConsumerRule;
  /** By id, as the following. */
  request: DestructionRequest;
  intent: KnownIntent;
  done: KnownDone;
  hold: HoldNote;
  /** Tag and salt of a hold on a person. */
  subject: { tag: string; salt: string };
  /** A hold that waits for a second person to be lifted. */
  lift: { requested: Person; reason: string };
  /** Holds that were lifted: their notes. */
  lifted: { hold: HoldNote; requested: Person; approved: Person; reason: string };
  rest: HiddenRows;
  /** By origin: the first entry that was not looked at. */
  read: { nextSeq: number };
}

/** A change is durable when the call returns. */
export interface RetentionStore {
  all<K extends keyof RetentionDocuments>(kind: K): Map<string, RetentionDocuments[K]>;
  put<K extends keyof RetentionDocuments>(kind: K, id: string, document: RetentionDocuments[K]): void;
  remove(kind: keyof RetentionDocuments, id: string): boolean;
  close(): void;
}
