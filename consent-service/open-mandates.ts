// Mandates over the store of the consent service (mandates.ts says what each method promises, mandate-state.ts is the
// rule). Citizens and registers control what is offered and filed; who somebody is comes from the sign-in, who files from
// the security server.
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSource } from '#core/configuration/snapshot.ts';
import { dayAt } from '#policy/calendar.ts';
import type { MandateRecord } from '#schemas/consent.ts';
import {
  MANDATE_OFFER_LIFETIME_MS,
  MAX_MANDATES_OF_REPRESENTATIVE,
  MAX_MANDATES_OF_REPRESENTED,
} from '#schemas/limits.ts';
import type { MandateEnd, MandateFiling, MandateOffer } from '#schemas/mandate.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Person } from './consents.ts';
import { endedBy } from './ending.ts';
import type { Ledger } from './ledger.ts';
import { isSame, requireWelcome } from './mandate-offers.ts';
import { pausedBy } from './mandate-pauses.ts';
import { mandateOf, recordOf, requireStep } from './mandate-rows.ts';
import { endOf, isActive } from './mandate-state.ts';
import { choicesOf, mandateView } from './mandate-views.ts';
import type { Mandates, MandateView } from './mandates.ts';
import type { People, Persons } from './people.ts';
import type { ConsentStore, MandateRow } from './store.ts';

const SHOWN = 100;
/** Of one person, to count and compare: more than may be open together, with a month's offers that came to nothing. */
const LOOKED_AT = 500;
const ENDED_AT_ONCE = 50;

export interface MandatesOptions {
  store: ConsentStore;
  configuration: ConfigurationSource;
  clock: Clock;
  /** Subsystem of the consent service. */
  self: string;
  people: People;
  ledger: Ledger;
}

/** What the domain of the consents asks, beside the faces. */
export interface MandateOffice {
  mandates: Mandates;
  /** A mandate under which this person may act now; null alike for none, another's, and one that is not in force. */
  standing(person: Person, id: string): Promise<MandateRow | null>;
  /** All of them, for one represented person (keyed tag). */
  standingsFor(person: Person, represented: string): Promise<MandateRow[]>;
  /** By mandate. @throws CONSENT_RECORDS_DAMAGED */
  personsOf(ids: readonly string[]): Promise<Map<string, Persons>>;
}

export function openMandates(options: MandatesOptions): MandateOffice {
  const life = new MandateLife(options);
  return {
    mandates: {
      offer: (person, offer) => life.offer(person, offer),
      choices: (person) => choicesOf(options.configuration.current(), person, options.clock.nowMs()),
      accept: (person, id) => life.accept(person, id),
      decline: (person, id) => life.endBy(() => life.rowOfRepresentative(person, id), 'representative', 'declined'),
      end: (person, id) => life.endByEither(person, id),
      mine: (person) => life.mine(person),
      one: (person, id) => life.one(person, id),
      file: (register, filing) => life.file(register, filing),
      ofRegister: async (register, id) => life.view(await life.rowOfRegister(register, id)),
      revoke: (register, id) => life.endBy(() => life.rowOfRegister(register, id), 'register', 'revoked'),
      tick: () => life.tick(),
    },
    standing: (person, id) => life.standing(person, id),
    standingsFor: (person, represented) => life.standingsFor(person, represented),
    personsOf: (ids) => life.personsOf(ids),
  };
}

type Role = 'represented' | 'representative';

class MandateLife {
  readonly #options: MandatesOptions;

  constructor(options: MandatesOptions) {
    this.#options = options;
  }

  offer(person: Person, offer: MandateOffer): Promise<MandateView> {
    const { people, ledger, store } = this.#options;
    return ledger.alone(async () => {
      const nowMs = this.#nowMs();
      const [self] = person.subjects;
      if (self === undefined) throw new AccordError('MANDATE_OUT_OF_BOUNDS', 'no identifier');
      const { representative, name, ...terms } = offer;
      const tag = people.tag(representative);
      if (person.subjects.map(people.tag).includes(tag)) {
        throw new AccordError('MANDATE_OUT_OF_BOUNDS', 'nobody represents themself');
      }
      const row = mandateOf(
        {
          ...{ ...terms, kind: 'citizen', register: null, majorityOn: null },
          ...{ represented: people.tag(self), representative: tag },
          answerUntilMs: Math.min(nowMs + MANDATE_OFFER_LIFETIME_MS, terms.validUntilMs),
        },
        nowMs,
      );
      this.#requirePurposes(terms.purposes, nowMs);
      const known = await store.mandatesWith('represented', [row.represented], LOOKED_AT);
      requireWelcome(known, row, nowMs, this.#zone());
      const persons: Persons = { represented: { ...self, name }, representative };
      const { signIn, sealed } = this.#signInOf(row.id, 'offer', person);
      const bytes = people.seal(row.id, 'persons', persons);
      await ledger.append([{ ...recordOf(row, 'represented', nowMs), signIn }], {
        mandates: [row],
        sealed: [{ consent: row.id, kind: 'persons', bytes }, sealed],
      });
      return this.#viewOf(row, persons);
    });
  }

  accept(person: Person, id: string): Promise<MandateView> {
    const { ledger, store, people } = this.#options;
    return ledger.alone(async () => {
      const nowMs = this.#nowMs();
      const row = await this.rowOfRepresentative(person, id);
      if (this.#endOf(row, nowMs) !== null) throw new AccordError('MANDATE_TRANSITION_REFUSED', 'it has ended');
      const { signIn, sealed } = this.#signInOf(id, 'acceptance', person);
      const made = { mandate: id, state: 'ACTIVE', by: 'representative', atMs: nowMs, signIn } as const;
      requireStep(row, made);
      const all = await store.mandatesWith('representative', person.subjects.map(people.tag), LOOKED_AT);
      if (all.filter(({ state }) => state === 'ACTIVE').length >= MAX_MANDATES_OF_REPRESENTATIVE) {
        throw new AccordError('MANDATE_TOO_MANY');
      }
      const moved = { id, state: 'ACTIVE', endedAtMs: null, reason: null } as const;
      await ledger.append([made], { mandatesMoved: [moved], sealed: [sealed] });
      return this.view({ ...row, ...moved });
    });
  }

  file(register: string, filing: MandateFiling): Promise<MandateView> {
    const { people, ledger, store } = this.#options;
    return ledger.alone(async () => {
      this.#requireRegister(register);
      const nowMs = this.#nowMs();
      const { v: _, represented, representative, ...terms } = filing;
      const tags = { represented: people.tag(represented), representative: people.tag(representative) };
      const row = mandateOf({ ...terms, ...tags, register, answerUntilMs: null }, nowMs);
      if (terms.majorityOn !== null && terms.majorityOn <= dayAt(nowMs, this.#zone())) {
        throw new AccordError('MANDATE_OUT_OF_BOUNDS', 'majorityOn: that day has come');
      }
      this.#requirePurposes(terms.purposes, nowMs);
      const all = await store.mandatesWith('represented', [tags.represented], LOOKED_AT);
      const open = all.filter((one) => one.state !== 'ENDED' && this.#endOf(one, nowMs) === null);
      const twin = open.find((one) => one.register === register && isSame(one, row));
      if (twin !== undefined) throw new AccordError('MANDATE_OPEN_ALREADY', twin.id);
      if (open.filter((one) => one.register !== null).length >= MAX_MANDATES_OF_REPRESENTED) {
        throw new AccordError('MANDATE_TOO_MANY');
      }
      const persons = { represented, representative };
      await ledger.append([recordOf(row, 'register', nowMs)], {
        mandates: [row],
        sealed: [{ consent: row.id, kind: 'persons', bytes: people.seal(row.id, 'persons', persons) }],
      });
      return this.#viewOf(row, persons);
    });
  }

  /** By the one who is represented it is withdrawn, by the other resigned. */
  endByEither(person: Person, id: string): Promise<MandateView> {
    const { people } = this.#options;
    return this.#ending(async () => {
      const row = await this.rowOf(person, id);
      const isOwn = person.subjects.map(people.tag).includes(row.represented);
      return isOwn
        ? { row, by: 'represented', reason: 'withdrawn' }
        : { row, by: 'representative', reason: 'resigned' };
    });
  }

  endBy(find: () => Promise<MandateRow>, by: 'representative' | 'register', reason: MandateEnd): Promise<MandateView> {
    return this.#ending(async () => ({ row: await find(), by, reason }));
  }

  #ending(find: () => Promise<{ row: MandateRow; by: MandateRecord['by']; reason: MandateEnd }>): Promise<MandateView> {
    return this.#options.ledger.alone(async () => {
      const { row, by, reason } = await find();
      const nowMs = this.#nowMs();
      if (this.#endOf(row, nowMs) !== null) throw new AccordError('MANDATE_TRANSITION_REFUSED', 'it has ended');
      await this.#end([{ row, by, reason }], nowMs);
      return this.view({ ...row, state: 'ENDED', endedAtMs: nowMs, reason });
    });
  }

  async tick(): Promise<number> {
    const { ledger, store, configuration } = this.#options;
    let count = 0;
    for (let round = 0; round < 100; round++) {
      const ended = await ledger.alone(async () => {
        if (configuration.freshness() === 'too-old') return 0; // the legal day is not known
        const nowMs = this.#nowMs();
        const rows = await store.mandatesDue(nowMs, dayAt(nowMs, this.#zone()), ENDED_AT_ONCE);
        const due = rows.flatMap((row) => {
          const reason = this.#endOf(row, nowMs);
          return reason === null ? [] : [{ row, by: 'service' as const, reason }];
        });
        if (due.length > 0) await this.#end(due, nowMs);
        return due.length;
      });
      count += ended;
      if (ended === 0) break;
    }
    return count;
  }

  /** The ends, and in the same write the pauses that follow from them. */
  async #end(
    ended: readonly { row: MandateRow; by: MandateRecord['by']; reason: MandateEnd }[],
    nowMs: number,
  ): Promise<void> {
    const { store, ledger } = this.#options;
    const made = ended.map(({ row, by, reason }) => {
      const record = { mandate: row.id, state: 'ENDED', by, atMs: nowMs, reason } as const;
      requireStep(row, record);
      return record;
    });
    const rows = await pausedBy(
      store,
      ended.map(({ row }) => row),
      nowMs,
      this.#zone(),
    );
    const paused = await endedBy(store, rows, 'SUSPENDED', nowMs);
    const mandatesMoved = ended.map(({ row: { id }, reason }) => ({
      id,
      state: 'ENDED' as const,
      endedAtMs: nowMs,
      reason,
    }));
    const { records, receipts, ...change } = paused;
    await ledger.append([...made, ...records], { ...change, mandatesMoved }, receipts);
  }

  async mine(person: Person): Promise<{ forMe: MandateView[]; byMe: MandateView[] }> {
    const { store, people } = this.#options;
    const tags = person.subjects.map(people.tag);
    const [forMe, byMe] = await Promise.all(
      (['represented', 'representative'] as const).map((role) => store.mandatesWith(role, tags, SHOWN)),
    );
    return { forMe: await this.#viewsOf(forMe ?? []), byMe: await this.#viewsOf(byMe ?? []) };
  }

  async one(person: Person, id: string): Promise<MandateView & { role: Role }> {
    const row = await this.rowOf(person, id);
    const isOwn = person.subjects.map(this.#options.people.tag).includes(row.represented);
    return { ...(await this.view(row)), role: isOwn ? 'represented' : 'representative' };
  }

  async standing(person: Person, id: string): Promise<MandateRow | null> {
    const { store, people } = this.#options;
    const row = await store.mandate(id);
    const isOwn = row !== null && person.subjects.map(people.tag).includes(row.representative);
    return isOwn && isActive(row, this.#nowMs(), this.#zone()) ? row : null;
  }

  async standingsFor(person: Person, represented: string): Promise<MandateRow[]> {
    const { store, people } = this.#options;
    const all = await store.mandatesWith('representative', person.subjects.map(people.tag), LOOKED_AT);
    const nowMs = this.#nowMs();
    return all.filter((row) => row.represented === represented && isActive(row, nowMs, this.#zone()));
  }

  async personsOf(ids: readonly string[]): Promise<Map<string, Persons>> {
    const { store, people } = this.#options;
    const found = [...new Set(ids)].map(
      async (id) => [id, people.openPersons(id, await store.sealed(id, 'persons'))] as const,
    );
    return new Map(await Promise.all(found));
  }

  /** @throws MANDATE_UNKNOWN, alike for none and for other people's */
  async rowOf(person: Person, id: string): Promise<MandateRow> {
    const { store, people } = this.#options;
    const row = await store.mandate(id);
    const tags = person.subjects.map(people.tag);
    if (row === null || !(tags.includes(row.represented) || tags.includes(row.representative))) {
      throw new AccordError('MANDATE_UNKNOWN');
    }
    return row;
  }

  /** @throws MANDATE_UNKNOWN, MANDATE_TRANSITION_REFUSED for the one who is represented */
  async rowOfRepresentative(person: Person, id: string): Promise<MandateRow> {
    const row = await this.rowOf(person, id);
    if (person.subjects.map(this.#options.people.tag).includes(row.representative)) return row;
    throw new AccordError('MANDATE_TRANSITION_REFUSED', 'the other person answers');
  }

  /** @throws MANDATE_REGISTER_REFUSED, MANDATE_UNKNOWN */
  async rowOfRegister(register: string, id: string): Promise<MandateRow> {
    this.#requireRegister(register);
    const row = await this.#options.store.mandate(id);
    if (row === null || row.register !== register) throw new AccordError('MANDATE_UNKNOWN');
    return row;
  }

  async view(row: MandateRow): Promise<MandateView> {
    const [view] = await this.#viewsOf([row]);
    if (view === undefined) throw new AccordError('MANDATE_UNKNOWN');
    return view;
  }

  async #viewsOf(rows: readonly MandateRow[]): Promise<MandateView[]> {
    const persons = await this.personsOf(rows.map(({ id }) => id));
    return rows.flatMap((row) => {
      const two = persons.get(row.id);
      return two === undefined ? [] : [this.#viewOf(row, two)];
    });
  }

  #viewOf(row: MandateRow, persons: Persons): MandateView {
    return mandateView(row, persons, this.#options.configuration.current(), this.#nowMs());
  }

  /** A misspelt purpose would make a mandate that never does anything. */
  #requirePurposes(purposes: readonly string[] | null, nowMs: number): void {
    const snapshot = this.#options.configuration.current();
    const today = dayAt(nowMs, snapshot.utcOffsetMinutes);
    const unknown = purposes?.find((purpose) => snapshot.purpose(purpose, today) === undefined);
    if (unknown !== undefined) throw new AccordError('MANDATE_OUT_OF_BOUNDS', `there is no purpose ${unknown}`);
  }

  #requireRegister(register: string): void {
    const { configuration, self } = this.#options;
    const registers = configuration.current().consentService(self)?.mandateRegisters ?? [];
    if (!registers.includes(register)) throw new AccordError('MANDATE_REGISTER_REFUSED', register);
  }

  #signInOf(id: string, kind: 'offer' | 'acceptance', { signIn, level }: Person) {
    const { issuer, idTokenHash } = signIn;
    return {
      signIn: { issuer, hash: idTokenHash, level },
      sealed: { consent: id, kind, bytes: this.#options.people.seal(id, kind, signIn) },
    };
  }

  #endOf(row: MandateRow, nowMs: number): MandateEnd | null {
    return endOf(row, nowMs, this.#zone());
  }

  #zone(): number {
    return this.#options.configuration.current().utcOffsetMinutes;
  }

  #nowMs(): number {
    return this.#options.clock.nowMs();
  }
}
