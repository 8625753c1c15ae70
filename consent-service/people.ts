// How people stand in the records: a keyed tag that finds a person again, the identifier itself enciphered, and the
// pairwise pseudonym that goes into receipts. Each has a key of its own, derived from the storage key; the database alone
// names nobody.
import { createHmac } from 'node:crypto';
import { pseudonymOf } from '#certs/pseudonym.ts';
import { cipherKey, decipher, encipher } from '#certs/record-cipher.ts';
import { storageSubkeyOf } from '#certs/storage-key.ts';
import { parseJson } from '#schemas/json.ts';
import type { PersonOfMandate } from '#schemas/mandate.ts';
import { AccordError } from '#schemas/problems.ts';
import type { SealedKind } from './store.ts';

export interface Subject {
  scheme: string;
  value: string;
}

export interface People {
  tag(subject: Subject): string;
  /** Name of the person at one client. */
  pseudonym(client: string, subject: Subject): string;
  /** Bound to the consent: the bytes open nowhere else. */
  seal(consent: string, kind: SealedKind, value: object): Buffer;
  /** @throws CONSENT_RECORDS_DAMAGED */
  openSubject(consent: string, sealed: Buffer | null): Subject;
  /** The two of a mandate. @throws CONSENT_RECORDS_DAMAGED */
  openPersons(mandate: string, sealed: Buffer | null): Persons;
}

export interface Persons {
  represented: PersonOfMandate;
  representative: PersonOfMandate;
}

/** @param storageKey 32 bytes */
export function openPeople(storageKey: Buffer): People {
  const tagKey = storageSubkeyOf(storageKey, 'consent-subject-tag');
  const pseudonymKey = storageSubkeyOf(storageKey, 'consent-pseudonym');
  const key = cipherKey(storageSubkeyOf(storageKey, 'consent-sealed'));
  const place = (consent: string, kind: SealedKind) => Buffer.from(`${consent} ${kind}`);
  const opened = (id: string, kind: SealedKind, sealed: Buffer | null) => {
    const bytes = sealed === null ? null : decipher(key, place(id, kind), sealed);
    if (bytes === null) throw new AccordError('CONSENT_RECORDS_DAMAGED', `${kind} of ${id} does not open`);
    return parseJson(bytes);
  };
  return {
    tag: ({ scheme, value }) =>
      createHmac('sha256', tagKey)
        .update(JSON.stringify([scheme, value]))
        .digest('base64url'),
    pseudonym: (client, subject) => pseudonymOf(pseudonymKey, client, subject),
    seal: (consent, kind, value) => encipher(key, place(consent, kind), Buffer.from(JSON.stringify(value))),
    openSubject: (consent, sealed) => opened(consent, 'subject', sealed) as unknown as Subject,
    openPersons: (mandate, sealed) => opened(mandate, 'persons', sealed) as unknown as Persons,
  };
}
