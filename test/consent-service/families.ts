// People, offers and filings for tests of mandates, and a consent service without ports in which they meet.
import type { Consents, Person } from '#consent-service/consents.ts';
import { openConsents } from '#consent-service/open-consents.ts';
import { openStatusBook } from '#consent-service/status-book.ts';
import type { ConsentStore } from '#consent-service/store.ts';
import { type Clock, systemClock } from '#core/clock.ts';
import type { MandateFiling, MandateOffer } from '#schemas/mandate.ts';
import type { HeldConfiguration } from '#scripts/campaign/held-configuration.ts';
import { CLIENT, CONSENT, configurationOf, DAY_MS, namedKey, PERSON, PURPOSE, REQUEST } from './desk.ts';

export const REGISTER = 'DEV/GOV/5005/guardians';

export function personOf(value: string): Person {
  return { ...PERSON, subjects: [{ scheme: 'gx.id@1', value }] };
}

export function offerTo(person: Person, nowMs: number, over: Partial<MandateOffer>): MandateOffer {
  return {
    representative: { ...person.subjects[0]!, name: '李华' },
    name: '王小明',
    purposes: null,
    maxLevel: 2,
    notBeforeMs: nowMs,
    validUntilMs: nowMs + 90 * DAY_MS,
    ...over,
  };
}

export function guardianship(
  child: Person,
  guardian: Person,
  nowMs: number,
  over: Partial<MandateFiling>,
): MandateFiling {
  return {
    v: 1,
    kind: 'guardian',
    represented: { ...child.subjects[0]!, name: '小小' },
    representative: { ...guardian.subjects[0]!, name: '李华' },
    purposes: null,
    maxLevel: 4,
    notBeforeMs: nowMs,
    validUntilMs: nowMs + 3_000 * DAY_MS,
    majorityOn: '2040-01-01',
    ...over,
  };
}

/** Stands still, so that a millisecond before midnight is one. */
class HeldClock implements Clock {
  aheadMs = 0;
  readonly #startMs = systemClock.nowMs();

  nowMs(): number {
    return this.#startMs + this.aheadMs;
  }

  monotonicMs(): number {
    return this.aheadMs;
  }
}

export interface Office {
  consents: Consents;
  store: ConsentStore;
  clock: HeldClock;
  configuration: HeldConfiguration;
  /** A request to this person; items of both services. */
  file(person?: Person, purpose?: string): Promise<string>;
  /** @param isOpen false when the store was closed before */
  restart(isOpen?: boolean): Promise<void>;
}

/** @param open the same store each time */
export async function officeOver(open: () => Promise<ConsentStore>): Promise<Office> {
  const key = namedKey();
  const configuration = configurationOf(key, { civil: namedKey(), tax: namedKey() });
  const [registered] = configuration.consentServices;
  configuration.consentServices = [{ ...registered!, mandateRegisters: [REGISTER] }];
  configuration.purposes = [PURPOSE, { ...PURPOSE, id: 'housing' }];
  configuration.utcOffsetMinutes = 480;
  const levels: Record<string, number> = { 'gx.income': 4, 'gx.currency': 3 };
  configuration.dictionary = {
    release: '1.1.0',
    entries: configuration.dictionary!.entries.map((entry) => {
      const level = levels[entry.id];
      return (level === undefined ? entry : { ...entry, level }) as typeof entry;
    }),
  };
  const clock = new HeldClock();
  const start = async () => {
    const store = await open();
    try {
      const book = await openStatusBook(store);
      const options = { store, configuration, clock, self: CONSENT, key, storageKey: Buffer.alloc(32, 7), book };
      return { store, consents: await openConsents({ ...options, onStatusChange() {} }) };
    } catch (error) {
      await store.close();
      throw error;
    }
  };
  const office: Office = {
    ...(await start()),
    ...{ clock, configuration },
    file: async (person = PERSON, purpose = 'social-aid') =>
      (await office.consents.file(CLIENT, { ...REQUEST, purpose, subject: person.subjects[0]! })).id,
    async restart(isOpen = true) {
      if (isOpen) await office.store.close();
      Object.assign(office, await start());
    },
  };
  return office;
}
