// Acting for another as the faces of the consent service use it (DESIGN: who may ask for what, Consent): citizens offer and
// accept, registers file and revoke, time ends. Every method that changes something is done when its record is durable;
// whoever is neither of the two persons, nor the register, gets MANDATE_UNKNOWN, the same as for one that does not exist.
import type { Level } from '#schemas/dictionary-entry.ts';
import type { MandateEnd, MandateFiling, MandateKind, MandateOffer, MandateState } from '#schemas/mandate.ts';
import type { Person } from './consents.ts';

type Bilingual = { zh: string; en: string };

export interface MandateView {
  id: string;
  kind: MandateKind;
  state: MandateState;
  /** How it ended; null while it has not. */
  reason: MandateEnd | null;
  /** Who filed it; null for a citizen's. */
  register: { id: string; name: string } | null;
  /** Names as the citizen or the register wrote them. */
  represented: string;
  representative: string;
  /** With the title in force where there is one; null for all purposes. */
  purposes: { id: string; title: Bilingual | null }[] | null;
  maxLevel: Level;
  notBeforeMs: number;
  /** Exclusive. */
  validUntilMs: number;
  majorityOn: string | null;
  answerUntilMs: number | null;
  filedAtMs: number;
  endedAtMs: number | null;
  /** Whether the representative can act at this moment. */
  isActive: boolean;
}

export interface Mandates {
  /**
   * A citizen asks somebody to act for them. The answer is the same whether there is such a person or not. The citizen's
   * own identifier in it is the first of the sign-in's.
   * @throws MANDATE_OUT_OF_BOUNDS, MANDATE_OPEN_ALREADY, MANDATE_COOL_DOWN, MANDATE_TOO_MANY
   */
  offer(person: Person, offer: MandateOffer): Promise<MandateView>;
  /** What an offer can name: kinds of identifiers that people sign in with, purposes in force that rest on consent. */
  choices(person: Person): {
    schemes: { ref: string; label: Bilingual }[];
    purposes: { id: string; title: Bilingual }[];
  };
  /** @throws MANDATE_UNKNOWN, MANDATE_TRANSITION_REFUSED, MANDATE_TOO_MANY */
  accept(person: Person, id: string): Promise<MandateView>;
  /** By the one who was offered it. @throws MANDATE_UNKNOWN, MANDATE_TRANSITION_REFUSED */
  decline(person: Person, id: string): Promise<MandateView>;
  /** A citizen's, by either of the two; what was given under it stays. @throws MANDATE_UNKNOWN, MANDATE_TRANSITION_REFUSED */
  end(person: Person, id: string): Promise<MandateView>;
  /** Who may act for this person, and for whom this person may act: the open ones first, at most 100 each. */
  mine(person: Person): Promise<{ forMe: MandateView[]; byMe: MandateView[] }>;
  /** @throws MANDATE_UNKNOWN */
  one(person: Person, id: string): Promise<MandateView & { role: 'represented' | 'representative' }>;

  /**
   * A register says that somebody acts for somebody else. Ends by `revoke`, or by itself.
   * @param register a subsystem
   * @throws MANDATE_REGISTER_REFUSED, MANDATE_OUT_OF_BOUNDS, MANDATE_OPEN_ALREADY, MANDATE_TOO_MANY
   */
  file(register: string, filing: MandateFiling): Promise<MandateView>;
  /** What it filed itself. @throws MANDATE_REGISTER_REFUSED, MANDATE_UNKNOWN */
  ofRegister(register: string, id: string): Promise<MandateView>;
  /** @throws MANDATE_REGISTER_REFUSED, MANDATE_UNKNOWN, MANDATE_TRANSITION_REFUSED */
  revoke(register: string, id: string): Promise<MandateView>;

  /** What time ends: offers, mandates, guardians' mandates at majority. Returns how many. */
  tick(): Promise<number>;
}
