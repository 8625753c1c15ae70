// From a decision to receipts (DESIGN: who may ask for what, Consent): one for each service, for its provider alone, with
// the citizen's identifier sealed to that provider and a pseudonym for the client. The citizen controls which of the items
// are given; everything else comes from the request as it was filed and from the configuration in force.
import { sha256 } from '#certs/commitment.ts';
import { signReceipt } from '#certs/receipt.ts';
import type { NamedKey } from '#certs/registered-key.ts';
import { sealSubject } from '#certs/sealed-subject.ts';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { newMessageId } from '#core/message-id.ts';
import { dayAt } from '#policy/calendar.ts';
import type { AskedConsent, GivenConsent } from '#schemas/consent.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
import { STATUS } from '#schemas/receipt.ts';
import type { EncryptionKey } from '#schemas/registrations.ts';
import { agreementNonce } from './agreement.ts';
import type { Person } from './consents.ts';
import type { People, Subject } from './people.ts';
import type { StatusBook } from './status-book.ts';
import type { StoredList, StoredReceipt, StoredStatus } from './store.ts';

const DAY_MS = 86_400_000;

export interface Decision {
  consent: string;
  asked: AskedConsent;
  given: readonly { service: string; element: string }[];
  language: 'zh' | 'en';
  person: Person;
  subject: Subject;
  /** Who acts for the person; null when nobody does. */
  actor: Subject | null;
  /** Number of the record that this decision becomes. */
  seq: number;
  nowMs: number;
}

export interface Issuer {
  /** Subsystem of the consent service. */
  self: string;
  key: NamedKey;
  people: People;
  book: StatusBook;
}

/** What was chosen, service by service in the order in which it was asked. @throws CONSENT_OUT_OF_BOUNDS */
export function chosenOf(asked: AskedConsent, given: Decision['given']): GivenConsent['given'] {
  const wanted = new Set(given.map(({ service, element }) => `${service} ${element}`));
  const chosen = asked.services.flatMap(({ service, items }) => {
    const elements = items.map(({ element }) => element).filter((element) => wanted.delete(`${service} ${element}`));
    return elements.length === 0 ? [] : [{ service, elements }];
  });
  for (const { service, items } of asked.services) {
    const given = new Set(chosen.find((one) => one.service === service)?.elements);
    const halved = items.find(
      ({ element, together }) =>
        together !== undefined &&
        !given.has(element) &&
        items.some((other) => other.together === together && given.has(other.element)),
    );
    if (halved)
      throw new AccordError('CONSENT_OUT_OF_BOUNDS', `${service} gives this only together: ${halved.element}`);
  }
  if (wanted.size > 0) throw new AccordError('CONSENT_OUT_OF_BOUNDS', 'an item that was not asked for');
  if (chosen.length === 0) throw new AccordError('CONSENT_OUT_OF_BOUNDS', 'no item was chosen');
  return chosen;
}

/** The purpose must be the one whose words were shown. @throws PURPOSE_ENDED, PURPOSE_CHANGED */
export function requirePurpose(
  snapshot: ConfigurationSnapshot,
  { purpose }: { purpose: Pick<AskedConsent['purpose'], 'id' | 'hash'> },
  nowMs: number,
): void {
  const current = snapshot.purpose(purpose.id, dayAt(nowMs, snapshot.utcOffsetMinutes));
  if (current === undefined) throw new AccordError('PURPOSE_ENDED', purpose.id);
  if (current.hash !== purpose.hash) throw new AccordError('PURPOSE_CHANGED', purpose.id);
}

/** @throws STEP_UP_REQUIRED when an item of level 4 is given by somebody who did not prove enough */
export function requireLevel(asked: AskedConsent, chosen: GivenConsent['given'], { level }: Person): void {
  const given = new Set(chosen.flatMap(({ service, elements }) => elements.map((element) => `${service} ${element}`)));
  const isMost = asked.services.some(({ service, items }) =>
    items.some((item) => item.level === 4 && given.has(`${service} ${item.element}`)),
  );
  if (isMost && level < 4) throw new AccordError('STEP_UP_REQUIRED', 'an item of level 4');
}

/** The citizen's identity provider has signed for this decision and no other. @throws SIGN_IN_NOT_BOUND */
export function requireBound({
  consent,
  asked,
  given,
  language,
  person,
}: Omit<Decision, 'subject' | 'actor' | 'seq' | 'nowMs'>): void {
  if (person.signIn.nonce !== agreementNonce({ consent, terms: asked, given, language })) {
    throw new AccordError('SIGN_IN_NOT_BOUND', consent);
  }
}

/** @throws CONSENT_PROVIDER_NOT_READY */
export function issueReceipts(
  snapshot: ConfigurationSnapshot,
  { self, key, people, book }: Issuer,
  { consent, asked, language, person, subject, actor, seq, nowMs }: Decision,
  chosen: GivenConsent['given'],
): { data: GivenConsent; receipts: StoredReceipt[]; lists: StoredList[]; statuses: StoredStatus[] } {
  const statusUrl = snapshot.consentService(self)?.statusUrl;
  if (statusUrl === undefined)
    throw new AccordError('CONSENT_PROVIDER_NOT_READY', `${self} is not registered for consent`);
  const iat = Math.floor(nowMs / 1000);
  const exp = iat + Math.floor((asked.validDays * DAY_MS) / 1000);
  const notice = { hash: sha256(asked.notice[language]), language };
  const sealedTo = new Map(chosen.map(({ service }) => [service, subjectKeysOf(snapshot, service, exp * 1000, nowMs)]));
  const lists = new Map<string, StoredList>();
  const receipts = chosen.map(({ service, elements }): StoredReceipt => {
    const aud = subsystemOfService(service);
    const { list, idx } = book.take(aud, statusUrl);
    lists.set(list.id, list);
    const jti = newMessageId(nowMs);
    const { id, version, hash } = asked.purpose;
    const jws = signReceipt(
      {
        v: 1,
        iss: self,
        jti,
        iat,
        nbf: iat,
        exp,
        client: asked.client.id,
        aud,
        service,
        purpose: { id, version, hash },
        elements,
        sub: people.pseudonym(asked.client.id, subject),
        actor: actor === null ? null : people.pseudonym(asked.client.id, actor),
        subject: (sealedTo.get(service) ?? []).map((to) => sealSubject({ jti, ...subject }, to)),
        uses: asked.uses,
        ...(asked.frequency != null && { frequency: asked.frequency }),
        retentionDays: asked.retentionDays,
        notice,
        // One sign-in gives many receipts: under its own number each says it in other words, so that nobody can join them.
        signIn: { hash: sha256(Buffer.from(`${jti} ${person.signIn.idTokenHash}`)), record: seq, level: person.level },
        status: { uri: list.uri, idx },
      },
      key,
    );
    return { jti, consent, service, jws, list: list.id, idx };
  });
  const data: GivenConsent = {
    given: chosen,
    validUntilMs: exp * 1000,
    notice,
    signIn: {
      issuer: person.signIn.issuer,
      hash: person.signIn.idTokenHash,
      nonce: person.signIn.nonce,
      level: person.level,
    },
    receipts: receipts.map(({ service, jti, jws }) => ({ service, jti, hash: sha256(jws) })),
  };
  const statuses = receipts.map(({ list, idx }) => ({ list, idx, value: STATUS.valid }));
  return { data, receipts, lists: [...lists.values()], statuses };
}

/** Up to four: the newest of every server first; those that outlive the receipt before those that do not. */
function subjectKeysOf(
  snapshot: ConfigurationSnapshot,
  service: string,
  untilMs: number,
  nowMs: number,
): EncryptionKey[] {
  const rank = (key: EncryptionKey) => (key.notAfterMs >= untilMs ? 0 : 1);
  const perServer = snapshot
    .serversOf(subsystemOfService(service))
    .map(({ subjectKeys }) =>
      subjectKeys
        .filter(({ notAfterMs }) => notAfterMs > nowMs)
        .toSorted((a, b) => rank(a) - rank(b) || b.notAfterMs - a.notAfterMs),
    );
  const found: EncryptionKey[] = [];
  for (let round = 0; round < 4; round++) {
    for (const key of perServer.flatMap((keys) => keys[round] ?? [])) {
      if (found.length < 4 && !found.some(({ kid }) => kid === key.kid)) found.push(key);
    }
  }
  if (found.length === 0) throw new AccordError('CONSENT_PROVIDER_NOT_READY', service);
  return found;
}
