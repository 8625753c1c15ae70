// What a decision looks at (DESIGN: who may ask for what). Everything is a value: the server gathers it, `decide` judges it,
// the archive keeps it, an auditor judges it again. Times are milliseconds since the epoch.
import type { AccessRight } from '#schemas/access-right.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import type { Basis } from '#schemas/statement.ts';

/** One element or predicate that the request's fields lead to, by the service's binding table. */
export interface AskedElement {
  /** Null for a predicate. */
  path: string | null;
  element: string;
  level: Level;
  /** Of a predicate: the elements it looks at. */
  inputs: readonly string[];
  /** Atomic group at its place in the answer: what shares it is released together or not at all. */
  group: string | null;
}

/** What the binding table makes of a request for a bound service. */
export interface AskedOfBinding {
  /** SHA-256 of the table, and `METHOD /path/{template}`; null when the table has no such operation. */
  table: string;
  operation: string | null;
  needsSubject: boolean;
  /** Purposes the provider offers the operation for; empty: any. */
  purposes: readonly string[];
  asked: readonly AskedElement[];
  /** Fields that the table does not know, as the request wrote them. */
  unknown: readonly string[];
  tooMany: boolean;
}

export interface DecisionInputs {
  v: 1;
  nowMs: number;
  request: {
    client: string;
    service: string;
    method: string;
    path: string;
    purpose: string | null;
    basis: Basis;
    userId: string | null;
    issue: string | null;
    /** Whom it is about, as the bound operation's one place for it says. */
    subject: { scheme: string; value: string } | null;
    fields: readonly string[] | null;
    /** Whether what is not permitted may be left out. */
    partial: boolean;
    /** The day from which the citizen is shown it; null for at once. */
    hiddenUntil: string | null;
  };
  /**
   * The access right whose /r1 defaults stand in `request` as purpose, basis and fields: the call itself named none (its
   * statement says no purpose and `open`). Null: they are the call's own.
   */
  defaultsFrom: string | null;
  clientRegistered: boolean;
  /** Groups the client is a member of, as access rights name them, ascending. */
  groups: readonly string[];
  /** Id of the emergency whose review is overdue: until it is done the client gets nothing anywhere; null when none is. */
  lockedFor: string | null;
  /** The legal day of `nowMs`, YYYY-MM-DD. */
  today: string;
  /** What the provider's server knows of the service; null when it has none of that name. */
  service: { enabled: boolean; notice: string | null; personalData: boolean } | null;
  /** Null for a service that is not bound. */
  binding: AskedOfBinding | null;
  /** The purpose of a request for a bound service, as it is in force today; null when none of that name is. */
  purpose: PurposeFacts | null;
  /** One of that name has begun, whether or not it is still in force. */
  purposeEnded: boolean;
  /** What a request on the basis of consent brought; null on every other basis. */
  consent: ConsentFacts | null;
  /** The tokens a request on the basis of law or emergency brought; null on every other basis. */
  evidence: EvidenceFacts | null;
  /** The access rights of this client and its groups at this service, with what this client has used of each today. */
  rights: { right: AccessRight; usedToday: number }[];
  /** Predicates over each input that this client has asked of this subject within the window, and how many it may. */
  predicateUse: { input: string; used: readonly string[]; budget: number }[];
}

/** A registered purpose in force: its bounds, and the hash of the words that were approved. */
export interface PurposeFacts {
  version: number;
  hash: string;
  bases: readonly Basis[];
  elements: readonly string[];
  quotaPerDay: number | null;
  /** Requests of this client at this provider for this purpose today. */
  usedToday: number;
}

/** A receipt that is genuine: signed by a registered consent service, for this client, provider, service and purpose. */
export interface ReceiptFacts {
  jti: string;
  purposeHash: string;
  elements: readonly string[];
  notBeforeMs: number;
  notAfterMs: number;
  uses: number | null;
  /** Requests it was used for, this one not counted. */
  used: number;
  /** Absent when it says none. */
  frequency?: FrequencyFacts;
  /** The provider has other servers, which do not know what was counted here; absent when it has none. */
  countedApart?: true;
}

/** How often a receipt may be used within its days, and was; this request not counted. */
export interface FrequencyFacts {
  uses: number;
  days: number;
  /** The end of the window: `trustedNowMs`, but not before the newest record in the message log. */
  untilMs: number;
  /** Requests later than `days` × 24 h before that. */
  used: number;
  /** When the next would be within it again; null when one is now, or none will be before the receipt ends. */
  againAtMs: number | null;
}

export interface ConsentFacts {
  /** Whether the request carried a receipt at all. */
  given: boolean;
  /** Null when it is not genuine; why is told to nobody, so that nobody can probe. */
  receipt: ReceiptFacts | null;
  /** The entry of the status list, and when the list was signed; null while there is no list. */
  status: { value: number; listIatMs: number } | null;
  /** The later of the clock and the newest signed time, and how far the clock is from it. */
  trustedNowMs: number;
  deviationMs: number;
}

/** An official of the asking department, as a genuine token names them. */
interface OfficialFacts {
  id: string;
  unit: string;
}

/** Tokens are genuine when a registered key of the client signed them; why one is not is told nobody. */
export interface EvidenceFacts {
  /** How many tokens the request carried. */
  given: number;
  /** The basis law: who asks, by a genuine token that is bound to this very request and good at this time. */
  official: OfficialFacts | null;
  /** That token was used for another request before. */
  usedBefore: boolean;
  /** The basis emergency: both tokens genuine, of the same terms, by different people of different units. */
  emergency: EmergencyFacts | null;
}

export interface EmergencyFacts {
  id: string;
  /** Who opened it and who confirmed it. */
  officials: readonly OfficialFacts[];
  /** As both signed it, for the citizen. */
  reason: string;
  purpose: string;
  services: readonly string[];
  fromMs: number;
  untilMs: number;
  /** Different persons it may be used for, and how many others than the one now asked about it was used for. */
  persons: number;
  otherPersons: number;
}
