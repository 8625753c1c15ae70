// The consent service's domain over its store (consents.ts says what each method promises). What changes anything runs one
// after the other through the ledger: look, judge, append. Citizens act for themselves, or for another under a mandate.
import { randomBytes } from 'node:crypto';
import { sha256 } from '#certs/commitment.ts';
import type { NamedKey } from '#certs/registered-key.ts';
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSource } from '#core/configuration/snapshot.ts';
import { newMessageId } from '#core/message-id.ts';
import type { ConsentRequest, ConsentState } from '#schemas/consent.ts';
import { CONSENT_LINK_AFTER_OPENING_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Actor, actorOf, type Found, reaches, requireReach } from './acting.ts';
import type { Consents, ConsentView, Person } from './consents.ts';
import { dueOf, endedBy, isInForce } from './ending.ts';
import { judgeFiling } from './filing.ts';
import { chosenOf, issueReceipts, requireBound, requireLevel, requirePurpose } from './giving.ts';
import { type Ledger, openLedger } from './ledger.ts';
import { reachesPurpose, requireWithin } from './mandate-state.ts';
import { type MandateOffice, openMandates } from './open-mandates.ts';
import { openPeople, type People, type Subject } from './people.ts';
import { statusOf } from './records.ts';
import { mayFollow } from './state.ts';
import type { StatusBook } from './status-book.ts';
import type { ConsentRow, ConsentStore, MandateRow } from './store.ts';
import { type Terms, termsOf, viewsOf } from './views.ts';
import { ALIKE, requireWelcome } from './welcome.ts';

const SHOWN_WAITING = 100;
const SHOWN_PERMISSIONS = 200;
const SHOWN_TO_CLIENT = 100;
const LINK_BYTES = 32;
/** Of one represented person, to find among them what the mandate reaches. */
const LOOKED_AT = 1_000;

export interface ConsentsOptions {
  store: ConsentStore;
  configuration: ConfigurationSource;
  clock: Clock;
  /** Subsystem of the consent service. */
  self: string;
  /** Signs receipts. */
  key: NamedKey;
  /** 32 bytes. */
  storageKey: Buffer;
  book: StatusBook;
  /** Statuses in these lists have changed and are durable; `services` are those whose receipts did. */
  onStatusChange(lists: readonly string[], services: readonly string[]): void;
}

/** Reads and checks all records first. @throws CONSENT_RECORDS_DAMAGED, CONSENT_STORE_FAILED */
export async function openConsents(options: ConsentsOptions): Promise<Consents> {
  const people = openPeople(options.storageKey);
  const ledger = await openLedger(options);
  const office = openMandates({ ...options, people, ledger });
  const life = new ConsentLife(options, people, ledger, office);
  const step =
    (state: ConsentState, from?: ConsentState) =>
    (person: Person, id: string, actingFor?: string): Promise<ConsentView> =>
      life.move(() => life.found(person, id, actingFor), state, 'citizen', from);
  return {
    mandates: office.mandates,
    file: (client, request) => life.file(client, request),
    ofClient: async (client, id) => life.view(await life.ofClient(client, id)),
    listOfClient: (client) => life.listOfClient(client, SHOWN_TO_CLIENT),
    revokeByClient: (client, id) => life.move(() => life.ofClient(client, id), 'REVOKED', 'client'),
    byLink: (link, person) => life.byLink(link, person),
    waiting: (person, actingFor) => life.list(person, true, SHOWN_WAITING, actingFor),
    permissions: (person, actingFor) => life.list(person, false, SHOWN_PERMISSIONS, actingFor),
    one: async (person, id, actingFor) => life.view(await life.found(person, id, actingFor)),
    give: (person, id, given, language, actingFor) => life.give(person, id, given, language, actingFor),
    refuse: step('REFUSED'),
    withdraw: step('WITHDRAWN'),
    suspend: step('SUSPENDED'),
    resume: step('GIVEN', 'SUSPENDED'),
    tick: async () => (await office.mandates.tick()) + (await life.tick()),
  };
}

class ConsentLife {
  readonly #options: ConsentsOptions;
  readonly #people: People;
  readonly #ledger: Ledger;
  readonly #office: MandateOffice;

  constructor(options: ConsentsOptions, people: People, ledger: Ledger, office: MandateOffice) {
    this.#options = options;
    this.#people = people;
    this.#ledger = ledger;
    this.#office = office;
  }

  file(client: string, request: ConsentRequest): Promise<{ id: string; link: string; expiresAtMs: number }> {
    return this.#ledger.alone(async () => {
      const { store, configuration } = this.#options;
      const nowMs = this.#nowMs();
      const subject = this.#people.tag(request.subject);
      const asked = judgeFiling(configuration.current(), client, request, subject, nowMs);
      const services = servicesOf(request.items);
      await requireWelcome(store, { client, purpose: request.purpose, subject, services }, nowMs);
      const id = newMessageId(nowMs);
      const link = randomBytes(LINK_BYTES).toString('base64url');
      const { expiresAtMs } = asked;
      const { id: purpose, hash: purposeHash } = asked.purpose;
      const row: ConsentRow = {
        ...{ id, client, purpose, purposeHash, subject, services, state: 'REQUESTED' },
        ...{ filedAtMs: nowMs, expiresAtMs, decidedAtMs: null, validUntilMs: null, mandate: null },
      };
      await this.#ledger.append([{ atMs: nowMs, consent: id, state: 'REQUESTED', by: 'client', asked }], {
        filed: [row],
        links: [{ hash: sha256(link), consent: id, untilMs: expiresAtMs }],
        sealed: [{ consent: id, kind: 'subject', bytes: this.#people.seal(id, 'subject', request.subject) }],
      });
      await store.purgeLinks(nowMs);
      return { id, link, expiresAtMs };
    });
  }

  give(
    person: Person,
    id: string,
    given: readonly { service: string; element: string }[],
    language: 'zh' | 'en',
    actingFor?: string,
  ): Promise<ConsentView> {
    return this.#ledger.alone(async () => {
      const { store, configuration, self, key, book } = this.#options;
      const { row, mandate } = await this.found(person, id, actingFor);
      const nowMs = this.#nowMs();
      const terms = await this.#termsOf(id);
      this.#requireStep(row, terms, 'GIVEN', mandate === null ? 'citizen' : 'representative', 'REQUESTED');
      if (nowMs >= row.expiresAtMs) throw new AccordError('CONSENT_TRANSITION_REFUSED', 'it has lapsed');
      const { view, actor } = await this.#shown(row, mandate);
      const asked = { ...terms.asked, notice: view.notice };
      const snapshot = configuration.current();
      const chosen = chosenOf(asked, given);
      if (mandate !== null) requireWithin(mandate, asked, chosen);
      requirePurpose(snapshot, asked, nowMs);
      requireLevel(asked, chosen, person);
      const before = await this.#superseded(row, chosen, nowMs, mandate);
      requireBound({ consent: id, asked, given, language, person });
      const subject = this.#people.openSubject(id, await store.sealed(id, 'subject'));
      const issuer = { self, key, people: this.#people, book };
      const decision = {
        consent: id,
        asked,
        given,
        language,
        person,
        subject,
        actor,
        seq: this.#ledger.nextSeq(),
        nowMs,
      };
      const { data, receipts, lists, statuses } = issueReceipts(snapshot, issuer, decision, chosen);
      const moved = { id, state: 'GIVEN', decidedAtMs: nowMs, validUntilMs: data.validUntilMs } as const;
      const record = { atMs: nowMs, consent: id, state: 'GIVEN', ...actorOf(mandate, 'citizen'), given: data } as const;
      await this.#ledger.append(
        [record, ...before.records],
        {
          moved: [{ ...moved, ...(mandate !== null && { mandate: mandate.id }) }, ...before.moved],
          sealed: [{ consent: id, kind: 'sign-in', bytes: this.#people.seal(id, 'sign-in', person.signIn) }],
          receipts,
          lists,
          statuses: [...statuses, ...before.statuses],
        },
        [...receipts, ...before.receipts],
      );
      return this.view({ row: { ...row, ...moved, mandate: mandate?.id ?? null }, mandate });
    });
  }

  /** The notice that the one who decides is shown, and who that is when it is not the person. */
  async #shown(row: ConsentRow, mandate: MandateRow | null): Promise<{ view: ConsentView; actor: Subject | null }> {
    const view = await this.view({ row, mandate });
    if (mandate === null) return { view, actor: null };
    const { scheme, value } = (await this.#office.personsOf([mandate.id])).get(mandate.id)?.representative ?? {};
    if (scheme === undefined || value === undefined) throw new AccordError('CONSENT_RECORDS_DAMAGED', mandate.id);
    return { view, actor: { scheme, value } };
  }

  /** What the same client may do for the same purpose at one of these services ends with the new permission. */
  async #superseded(
    row: ConsentRow,
    chosen: readonly { service: string }[],
    nowMs: number,
    mandate: MandateRow | null,
  ) {
    const { store } = this.#options;
    const names = new Set(chosen.map(({ service }) => service));
    const alike = (await store.alike(row.client, row.purpose, row.subject, ALIKE)).filter(isInForce);
    const receipts = await store.receiptsOf(alike.map(({ id }) => id));
    const old = alike.filter(({ id }) => receipts.some(({ consent, service }) => consent === id && names.has(service)));
    // A representative ends by a new permission only what they could have withdrawn.
    for (const one of mandate === null ? [] : old)
      requireReach({ row: one, mandate }, await this.#termsOf(one.id), 'SUPERSEDED');
    return endedBy(store, old, 'SUPERSEDED', nowMs, receipts);
  }

  /** Every step but filing and giving. @param from only from this state, when the machine knows others too */
  move(find: () => Promise<Found>, state: ConsentState, by: Actor, from?: ConsentState): Promise<ConsentView> {
    return this.#ledger.alone(async () => {
      const { row, mandate } = await find();
      const nowMs = this.#nowMs();
      const actor = actorOf(mandate, by);
      const terms = await this.#termsOf(row.id);
      this.#requireStep(row, terms, state, actor.by, from);
      if (isInForce(row) && nowMs >= (row.validUntilMs ?? 0)) {
        throw new AccordError('CONSENT_TRANSITION_REFUSED', 'it has ended');
      }
      requireReach({ row, mandate }, terms, state);
      const isDecision = row.state === 'REQUESTED';
      const moved = {
        id: row.id,
        state,
        decidedAtMs: isDecision ? nowMs : row.decidedAtMs,
        validUntilMs: row.validUntilMs,
      };
      const under = isDecision && mandate !== null ? { mandate: mandate.id } : {};
      const receipts = await this.#options.store.receiptsOf([row.id]);
      const statuses = receipts.map(({ list, idx }) => ({ list, idx, value: statusOf(state) }));
      const record = { atMs: nowMs, consent: row.id, state, ...actor };
      await this.#ledger.append([record], { moved: [{ ...moved, ...under }], statuses }, receipts);
      return this.view({ row: { ...row, ...moved, ...under }, mandate });
    });
  }

  async byLink(link: string, person: Person): Promise<ConsentView> {
    const { store } = this.#options;
    const nowMs = this.#nowMs();
    const hash = sha256(link);
    const row = await store.consent((await store.consentOfLink(hash, nowMs)) ?? '');
    if (row?.state !== 'REQUESTED') throw new AccordError('CONSENT_UNKNOWN');
    const isOwn = person.subjects.map(this.#people.tag).includes(row.subject);
    const standings = isOwn ? [] : await this.#office.standingsFor(person, row.subject);
    const mandate = standings.find((one) => reachesPurpose(one, row.purpose)) ?? null;
    if (!isOwn && mandate === null) throw new AccordError('CONSENT_UNKNOWN');
    await store.shortenLink(hash, nowMs + CONSENT_LINK_AFTER_OPENING_MS);
    return this.view({ row, mandate });
  }

  async tick(): Promise<number> {
    let count = 0;
    for (let round = 0; round < 100; round++) {
      const ended = await this.#ledger.alone(() => this.#endSome());
      count += ended;
      if (ended === 0) break;
    }
    return count;
  }

  async #endSome(): Promise<number> {
    const { store, configuration } = this.#options;
    const { records, receipts, ...change } = await dueOf(store, configuration, this.#nowMs());
    if (records.length > 0) await this.#ledger.append(records, change, receipts);
    return records.length;
  }

  async list(person: Person, waiting: boolean, limit: number, actingFor?: string): Promise<ConsentView[]> {
    const { store } = this.#options;
    const nowMs = this.#nowMs();
    const mandate = await this.#standing(person, actingFor);
    const tags = mandate === null ? person.subjects.map(this.#people.tag) : [mandate.represented];
    const rows = await store.ofSubjects(tags, waiting, mandate === null ? limit : LOOKED_AT);
    const shown = rows.filter((row) => (!waiting || row.expiresAtMs > nowMs) && reaches({ row, mandate }));
    const { personsOf } = this.#office;
    return viewsOf(store, shown.slice(0, limit), nowMs, { mandate, personsOf });
  }

  async listOfClient(client: string, limit: number): Promise<ConsentView[]> {
    const { store } = this.#options;
    const { personsOf } = this.#office;
    return viewsOf(store, await store.ofClient(client, limit), this.#nowMs(), { mandate: null, personsOf });
  }

  /** @throws CONSENT_UNKNOWN, alike for none, for another's and for what the mandate does not reach */
  async found(person: Person, id: string, actingFor?: string): Promise<Found> {
    const row = await this.#options.store.consent(id);
    const mandate = await this.#standing(person, actingFor);
    const tags = mandate === null ? person.subjects.map(this.#people.tag) : [mandate.represented];
    if (row === null || !tags.includes(row.subject) || !reaches({ row, mandate }))
      throw new AccordError('CONSENT_UNKNOWN');
    return { row, mandate };
  }

  /** Null for somebody who acts for themself. @throws CONSENT_UNKNOWN */
  async #standing(person: Person, actingFor: string | undefined): Promise<MandateRow | null> {
    if (actingFor === undefined) return null;
    const mandate = await this.#office.standing(person, actingFor);
    if (mandate === null) throw new AccordError('CONSENT_UNKNOWN');
    return mandate;
  }

  /** @throws CONSENT_UNKNOWN */
  async ofClient(client: string, id: string): Promise<Found> {
    const row = await this.#options.store.consent(id);
    if (row === null || row.client !== client) throw new AccordError('CONSENT_UNKNOWN');
    return { row, mandate: null };
  }

  async view({ row, mandate }: Found): Promise<ConsentView> {
    const { personsOf } = this.#office;
    const [view] = await viewsOf(this.#options.store, [row], this.#nowMs(), { mandate, personsOf });
    if (view === undefined) throw new AccordError('CONSENT_UNKNOWN');
    return view;
  }

  async #termsOf(id: string): Promise<Terms> {
    const terms = (await termsOf(this.#options.store, [id])).get(id);
    if (terms === undefined) throw new AccordError('CONSENT_RECORDS_DAMAGED', `no terms of ${id}`);
    return terms;
  }

  #requireStep(
    { state: from }: ConsentRow,
    { last }: Terms,
    state: ConsentState,
    by: Actor,
    only?: ConsentState,
  ): void {
    const isDecision = from === 'REQUESTED' && state === 'GIVEN';
    const step = {
      state,
      by,
      atMs: 0,
      ...(isDecision && { given: true }),
      ...(by === 'representative' && { acting: true }),
    };
    if (mayFollow([last], step) !== null || (only !== undefined && from !== only)) {
      throw new AccordError('CONSENT_TRANSITION_REFUSED', `${from} to ${state}`);
    }
  }

  #nowMs(): number {
    return this.#options.clock.nowMs();
  }
}

function servicesOf(items: ConsentRequest['items']): string {
  return items
    .map(({ service }) => service)
    .sort()
    .join(' ');
}
