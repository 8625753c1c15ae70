// The store contract of the consent service. A store keeps lines and rows; it knows nothing of keys, time or the state
// machine. The records are the truth: everything else is there so that it can be found, and is compared with them at each
// start (records.ts).
//
// What a store promises:
// - One writer. Opening what another process writes fails with CONSENT_STORE_IN_USE.
// - `append` is all or nothing, and durable when it resolves: a power cut afterwards loses nothing of it.
// - Records are accepted only as size, size + 1, …; records and receipts are never updated, replaced or deleted, an
//   invalid status never becomes another one. Whatever the caller does wrong, the database refuses by rules of its own.
// - CONSENT_STORE_FAILED from `append` means that nobody knows what was kept. The store then refuses every further
//   change; only a restart, which reads back what the disk really holds, tells.
// - Reading gives back the stored text exactly.
//
// No identifier of a person lies in it in clear: people are found by keyed tags, and identifiers are sealed.
import type { ConsentState } from '#schemas/consent.ts';
import type { MandateEnd, MandateState, MandateTerms } from '#schemas/mandate.ts';

export interface StoredRecord {
  seq: number;
  /** The record's one spelling, and its SHA-256 in base64url. */
  line: string;
  hash: string;
  /** What it is about: id of the consent, or of the mandate. */
  consent: string;
}

export interface ConsentRow {
  id: string;
  client: string;
  purpose: string;
  purposeHash: string;
  /** Keyed tag of the person. */
  subject: string;
  /** Ids of the services, ascending, with a space between them. */
  services: string;
  state: ConsentState;
  filedAtMs: number;
  /** When it lapses unanswered. */
  expiresAtMs: number;
  decidedAtMs: number | null;
  validUntilMs: number | null;
  /** The mandate under which a representative decided; null when the person did, or nobody has. */
  mandate: string | null;
}

export interface MandateRow extends MandateTerms {
  id: string;
  state: MandateState;
  filedAtMs: number;
  endedAtMs: number | null;
  reason: MandateEnd | null;
}

export interface StoredReceipt {
  jti: string;
  consent: string;
  service: string;
  jws: string;
  /** Its place in a status list. */
  list: string;
  idx: number;
}

export interface StoredList {
  id: string;
  /** The provider's subsystem. */
  subsystem: string;
  /** Where it is served; receipts name it. */
  uri: string;
  /** How long the list is; grows. */
  places: number;
}

export interface StoredStatus {
  list: string;
  idx: number;
  /** schemas/receipt.ts STATUS */
  value: number;
}

/** Of a consent: the person, and the sign-in that decided. Of a mandate: its two persons, and the sign-ins that agreed. */
export type SealedKind = 'subject' | 'sign-in' | 'persons' | 'offer' | 'acceptance';

/** What becomes durable together. */
export interface Change {
  records: readonly StoredRecord[];
  filed?: readonly ConsentRow[];
  /** `mandate` is set once, with the decision. */
  moved?: readonly (Pick<ConsentRow, 'id' | 'state' | 'decidedAtMs' | 'validUntilMs'> & { mandate?: string })[];
  mandates?: readonly MandateRow[];
  mandatesMoved?: readonly Pick<MandateRow, 'id' | 'state' | 'endedAtMs' | 'reason'>[];
  links?: readonly { hash: string; consent: string; untilMs: number }[];
  /** Enciphered by the service; `kind` says what it is. */
  sealed?: readonly { consent: string; kind: SealedKind; bytes: Buffer }[];
  receipts?: readonly StoredReceipt[];
  lists?: readonly StoredList[];
  statuses?: readonly StoredStatus[];
}

export interface ConsentStore {
  /** The last record; null while there is none. */
  head(): Promise<StoredRecord | null>;
  /** Ascending. */
  records(fromSeq: number, limit: number): Promise<StoredRecord[]>;
  /** Of some consents, ascending. */
  recordsOf(consents: readonly string[]): Promise<StoredRecord[]>;
  /** @throws CONSENT_STORE_FAILED */
  append(change: Change): Promise<void>;

  consent(id: string): Promise<ConsentRow | null>;
  /** All, ascending by id. */
  consents(afterId: string, limit: number): Promise<ConsentRow[]>;
  consentOfLink(linkHash: string, nowMs: number): Promise<string | null>;
  /** A link that was opened ends at `untilMs` at the latest. */
  shortenLink(linkHash: string, untilMs: number): Promise<void>;
  /** Waiting ones (oldest first), or all others (newest first). */
  ofSubjects(subjects: readonly string[], waiting: boolean, limit: number): Promise<ConsentRow[]>;
  /** Of one client, purpose and person, newest first. */
  alike(client: string, purpose: string, subject: string, limit: number): Promise<ConsentRow[]>;
  /** Newest first. */
  ofClient(client: string, limit: number): Promise<ConsentRow[]>;
  /** Of one client: all that wait, and those of one person. */
  waitingOf(client: string, subject: string): Promise<{ all: number; person: number }>;
  /** What time has ended and no record says so yet. */
  due(nowMs: number, limit: number): Promise<ConsentRow[]>;
  /** Purposes of what waits or is in force. */
  purposesInUse(): Promise<{ purpose: string; purposeHash: string }[]>;
  withPurpose(purposeHash: string, limit: number): Promise<ConsentRow[]>;

  mandate(id: string): Promise<MandateRow | null>;
  mandatesOf(ids: readonly string[]): Promise<MandateRow[]>;
  /** All, ascending by id. */
  mandates(afterId: string, limit: number): Promise<MandateRow[]>;
  /** Where one of these persons is represented, or represents: those that have not ended first, then the newest. */
  mandatesWith(role: 'represented' | 'representative', tags: readonly string[], limit: number): Promise<MandateRow[]>;
  /** What time has ended and no record says so yet. @param today the legal day */
  mandatesDue(nowMs: number, today: string, limit: number): Promise<MandateRow[]>;
  /** What is given under a mandate, and not paused. */
  givenUnder(mandates: readonly string[], limit: number): Promise<ConsentRow[]>;

  sealed(consent: string, kind: SealedKind): Promise<Buffer | null>;
  receiptsOf(consents: readonly string[]): Promise<StoredReceipt[]>;
  lists(): Promise<StoredList[]>;
  statuses(list: string): Promise<StoredStatus[]>;
  /** Forgets links that have ended. */
  purgeLinks(nowMs: number): Promise<void>;
  close(): Promise<void>;
}
