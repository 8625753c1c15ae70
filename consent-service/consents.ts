// The consent service's domain as its faces use it (DESIGN: who may ask for what, Consent): departments file requests,
// citizens decide them, time ends them. Every method that changes something is done when its record is durable; whoever is
// not the addressee, or the client, of a consent gets CONSENT_UNKNOWN, the same as for one that does not exist.
import type { AskedConsent, AskedItem, ConsentRecord, ConsentRequest, ConsentState } from '#schemas/consent.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import type { Frequency } from '#schemas/frequency.ts';
import type { MandateKind } from '#schemas/mandate.ts';
import type { Mandates } from './mandates.ts';

export type { AskedItem, ConsentRequest };

type ConsentActor = ConsentRecord['by'];

/** Who is signed in: made by the sign-in, never from what a request says. */
export interface Person {
  subjects: readonly { scheme: string; value: string }[];
  level: Level;
  /** `idTokenHash` is SHA-256(salt ‖ ID token), both base64url; `nonce` is the one in that token (agreement.ts). */
  signIn: { issuer: string; idTokenHash: string; salt: string; nonce: string };
}

type Bilingual = { zh: string; en: string };

/** A representative as the pages name them; names as the citizen or the register wrote them. */
export interface ActingFor {
  mandate: string;
  kind: MandateKind;
  represented: string;
  representative: string;
}

export interface ConsentView {
  id: string;
  state: ConsentState;
  client: { id: string; name: string };
  purpose: AskedConsent['purpose'];
  services: {
    service: string;
    title: string;
    /** Name of the member that answers. */
    provider: string;
    items: AskedItem[];
    /** Refs of the items that were given; empty while nothing is. */
    given: string[];
    /** Number of its receipt, also after the end; null while nothing was given. */
    receipt: string | null;
    /** How often the receipt was used, and within the days of the frequency, as its provider says; null where nobody has told. */
    used: { times: number; lastAtMs: number | null; inWindow: number } | null;
  }[];
  uses: number | null;
  /** And within any so many days. */
  frequency: Frequency | null;
  /** At the service where the fewest are left. Only the providers count uses; null where one has not told, or without limit. */
  usesLeft: number | null;
  /** While it waits: what it would be if it were given now. */
  validUntilMs: number;
  validDays: number;
  retentionDays: number;
  reason: Bilingual | null;
  requestedAtMs: number;
  decidedAtMs: number | null;
  lastUsedAtMs: number | null;
  /** Of the request: unanswered it lapses then. */
  expiresAtMs: number;
  /** The exact text that is shown; its SHA-256 goes into record and receipt. */
  notice: Bilingual;
  /** A withdrawal counts everywhere at the latest this many seconds later. */
  revocationBoundS: number;
  /** One for each service, while it is given or paused. */
  receipts: { service: string; jti: string; jws: string }[];
  /**
   * While a representative looks at it: items above `maxLevel` are not theirs to give; unless `isWithin`, they can neither
   * refuse nor change it. The notice then says who decides for whom.
   */
  actingFor: (ActingFor & { maxLevel: Level; isWithin: boolean }) | null;
  /** The representative who decided; null when the person did, or nobody has. */
  decidedBy: ActingFor | null;
  /** Who caused the present state, and the representative if it was one. */
  last: { by: ConsentActor; acting: ActingFor | null };
}

/** Where the citizen port shows the request that a link stands for; `link` as `file` returned it. */
export function linkUrl(citizenUrl: string, link: string): string {
  return `${citizenUrl}/link/${link}`;
}

/**
 * A citizen's methods take `actingFor`, the id of a mandate: the person then acts for whom it represents, as far as it
 * reaches. For a mandate that is not this person's, or not in force, for purposes outside it, and for what a citizen's helper
 * had no part in, there is nothing (CONSENT_UNKNOWN); beyond its level it is MANDATE_EXCEEDED.
 */
export interface Consents {
  /** They share the records. */
  readonly mandates: Mandates;
  /**
   * A department asks. `link` is the path token of the one address that the department hands to the citizen.
   * @throws PURPOSE_UNKNOWN, CONSENT_OUT_OF_BOUNDS, CONSENT_OPEN_ALREADY, CONSENT_COOL_DOWN, CONSENT_TOO_MANY
   */
  file(client: string, request: ConsentRequest): Promise<{ id: string; link: string; expiresAtMs: number }>;
  /** @throws CONSENT_UNKNOWN */
  ofClient(client: string, id: string): Promise<ConsentView>;
  /** The newest first, at most 100. */
  listOfClient(client: string): Promise<ConsentView[]>;
  /** @throws CONSENT_UNKNOWN, CONSENT_TRANSITION_REFUSED */
  revokeByClient(client: string, id: string): Promise<ConsentView>;

  /** Also for whoever acts for the addressee. The link ends 15 minutes after its addressee opened it, and when the request is decided. @throws CONSENT_UNKNOWN */
  byLink(link: string, person: Person): Promise<ConsentView>;
  /** Requests that wait for this person, oldest first, at most 100. */
  waiting(person: Person, actingFor?: string): Promise<ConsentView[]>;
  /** Everything that was decided or ended, newest first, at most 200. */
  permissions(person: Person, actingFor?: string): Promise<ConsentView[]>;
  /** @throws CONSENT_UNKNOWN */
  one(person: Person, id: string, actingFor?: string): Promise<ConsentView>;
  /**
   * Gives some of what was asked, at least one item; receipts are issued, one for each service.
   * @param person whose ID token was made for this very decision: its nonce is the hash of it (agreement.ts)
   * @param language of the notice that was shown
   * @throws SIGN_IN_NOT_BOUND, CONSENT_UNKNOWN, CONSENT_TRANSITION_REFUSED, CONSENT_OUT_OF_BOUNDS (items that were not asked for),
   *   STEP_UP_REQUIRED, PURPOSE_ENDED, PURPOSE_CHANGED, CONSENT_PROVIDER_NOT_READY
   */
  give(
    person: Person,
    id: string,
    given: readonly { service: string; element: string }[],
    language: 'zh' | 'en',
    actingFor?: string,
  ): Promise<ConsentView>;
  /** @throws CONSENT_UNKNOWN, CONSENT_TRANSITION_REFUSED */
  refuse(person: Person, id: string, actingFor?: string): Promise<ConsentView>;
  /** For ever. @throws CONSENT_UNKNOWN, CONSENT_TRANSITION_REFUSED */
  withdraw(person: Person, id: string, actingFor?: string): Promise<ConsentView>;
  /** A pause, until `resume`. @throws CONSENT_UNKNOWN, CONSENT_TRANSITION_REFUSED */
  suspend(person: Person, id: string, actingFor?: string): Promise<ConsentView>;
  /** @throws CONSENT_UNKNOWN, CONSENT_TRANSITION_REFUSED */
  resume(person: Person, id: string, actingFor?: string): Promise<ConsentView>;

  /** What time ends: LAPSED, EXPIRED, INVALIDATED (the purpose ended or was changed). Returns how many. */
  tick(): Promise<number>;
}
