// The consent service's domain over its store (consents.ts says what each method promises). What changes anything runs one
// after the other: look, judge, append, and only when the records are durable is it told, in this order, to the status
// lists and to the caller. Between a crash and the next start nothing is lost: whatever was told is in the records.
import { randomBytes } from 'node:crypto';
import { sha256 } from '#certs/commitment.ts';
import type { NamedKey } from '#certs/registered-key.ts';
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSource } from '#core/configuration/snapshot.ts';
import { newMessageId } from '#core/message-id.ts';
import { dayAt } from '#policy/calendar.ts';
import type { ConsentRecord, ConsentRequest, ConsentState } from '#schemas/consent.ts';
import {
  CONSENT_COOL_DOWN_MS,
  CONSENT_LINK_AFTER_OPENING_MS,
  CONSENT_REFUSALS_BEFORE_PAUSE,
  MAX_WAITING_CONSENTS_PER_CLIENT,
  MAX_WAITING_CONSENTS_PER_PERSON,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Consents, ConsentView, Person } from './consents.ts';
import { judgeFiling } from './filing.ts';
import { chosenOf, issueReceipts, requireBound, requireLevel, requirePurpose } from './giving.ts';
import { openPeople } from './people.ts';
import { nextRecords, statusOf, verifyRecords } from './records.ts';
import { mayFollow } from './state.ts';
import type { StatusBook } from './status-book.ts';
import type { Change, ConsentRow, ConsentStore, StoredReceipt, StoredRecord } from './store.ts';
import { termsOf, viewsOf } from './views.ts';

const SHOWN_WAITING = 100;
const SHOWN_PERMISSIONS = 200;
const SHOWN_TO_CLIENT = 100;
/** Of one client, purpose and person: enough to see two refusals, an open request and what is superseded. */
const ALIKE = 200;
const ENDED_AT_ONCE = 200;
const LINK_BYTES = 32;

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

type Actor = ConsentRecord['by'];

/** Reads and checks all records first. @throws CONSENT_RECORDS_DAMAGED, CONSENT_STORE_FAILED */
export async function openConsents(options: ConsentsOptions): Promise<Consents> {
  const head = await verifyRecords(options.store);
  const life = new ConsentLife(options, head);
  return {
    file: (client, request) => life.file(client, request),
    ofClient: async (client, id) => life.view(await life.rowOfClient(client, id)),
    listOfClient: (client) => life.listOfClient(client, SHOWN_TO_CLIENT),
    revokeByClient: (client, id) => life.move(() => life.rowOfClient(client, id), 'REVOKED', 'client'),
    byLink: (link, person) => life.byLink(link, person),
    waiting: (person) => life.list(person, true, SHOWN_WAITING),
    permissions: (person) => life.list(person, false, SHOWN_PERMISSIONS),
    one: async (person, id) => life.view(await life.rowOfPerson(person, id)),
    give: (person, id, given, language) => life.give(person, id, given, language),
    refuse: (person, id) => life.move(() => life.rowOfPerson(person, id), 'REFUSED', 'citizen'),
    withdraw: (person, id) => life.move(() => life.rowOfPerson(person, id), 'WITHDRAWN', 'citizen'),
    suspend: (person, id) => life.move(() => life.rowOfPerson(person, id), 'SUSPENDED', 'citizen'),
    resume: (person, id) => life.move(() => life.rowOfPerson(person, id), 'GIVEN', 'citizen', 'SUSPENDED'),
    tick: () => life.tick(),
  };
}

class ConsentLife {
  readonly #options: ConsentsOptions;
  readonly #people: ReturnType<typeof openPeople>;
  #head: StoredRecord | null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ConsentsOptions, head: StoredRecord | null) {
    this.#options = options;
    this.#people = openPeople(options.storageKey);
    this.#head = head;
  }

  file(client: string, request: ConsentRequest): Promise<{ id: string; link: string; expiresAtMs: number }> {
    return this.#alone(async () => {
      const { store, configuration } = this.#options;
      const nowMs = this.#nowMs();
      const subject = this.#people.tag(request.subject);
      const asked = judgeFiling(configuration.current(), client, request, subject, nowMs);
      const services = servicesOf(request.items);
      await this.#requireWelcome(client, request.purpose, subject, services, nowMs);
      const id = newMessageId(nowMs);
      const link = randomBytes(LINK_BYTES).toString('base64url');
      const { expiresAtMs } = asked;
      const { id: purpose, hash: purposeHash } = asked.purpose;
      const row: ConsentRow = {
        ...{ id, client, purpose, purposeHash, subject, services, state: 'REQUESTED' },
        ...{ filedAtMs: nowMs, expiresAtMs, decidedAtMs: null, validUntilMs: null },
      };
      await this.#append([{ atMs: nowMs, consent: id, state: 'REQUESTED', by: 'client', asked }], {
        filed: [row],
        links: [{ hash: sha256(link), consent: id, untilMs: expiresAtMs }],
        sealed: [{ consent: id, kind: 'subject', bytes: this.#people.seal(id, 'subject', request.subject) }],
      });
      await store.purgeLinks(nowMs);
      return { id, link, expiresAtMs };
    });
  }

  /** @throws CONSENT_OPEN_ALREADY, CONSENT_COOL_DOWN, CONSENT_TOO_MANY */
  async #requireWelcome(client: string, purpose: string, subject: string, services: string, nowMs: number) {
    const { store } = this.#options;
    const alike = await store.alike(client, purpose, subject, ALIKE);
    const open = alike.find((row) => row.state === 'REQUESTED' && row.services === services && row.expiresAtMs > nowMs);
    if (open !== undefined) throw new AccordError('CONSENT_OPEN_ALREADY', open.id);
    // Refusals since something was given, newest first.
    const given = alike.findIndex(({ validUntilMs }) => validUntilMs !== null);
    const refusals = alike.slice(0, given === -1 ? alike.length : given).filter(({ state }) => state === 'REFUSED');
    const refusedAtMs = Math.max(...refusals.map(({ decidedAtMs }) => decidedAtMs ?? 0));
    if (refusals.length >= CONSENT_REFUSALS_BEFORE_PAUSE && nowMs < refusedAtMs + CONSENT_COOL_DOWN_MS) {
      const until = dayAt(refusedAtMs + CONSENT_COOL_DOWN_MS, 0);
      throw new AccordError('CONSENT_COOL_DOWN', `until ${until}`);
    }
    const waiting = await store.waitingOf(client, subject);
    if (waiting.all >= MAX_WAITING_CONSENTS_PER_CLIENT || waiting.person >= MAX_WAITING_CONSENTS_PER_PERSON) {
      throw new AccordError('CONSENT_TOO_MANY');
    }
  }

  give(person: Person, id: string, given: readonly { service: string; element: string }[], language: 'zh' | 'en') {
    return this.#alone(async () => {
      const { store, configuration, self, key, book } = this.#options;
      const row = await this.rowOfPerson(person, id);
      const nowMs = this.#nowMs();
      this.#requireStep(row, 'GIVEN', 'citizen', 'REQUESTED');
      if (nowMs >= row.expiresAtMs) throw new AccordError('CONSENT_TRANSITION_REFUSED', 'it has lapsed');
      const asked = (await termsOf(store, [id])).get(id)?.asked;
      if (asked === undefined) throw new AccordError('CONSENT_RECORDS_DAMAGED', `no terms of ${id}`);
      const snapshot = configuration.current();
      const chosen = chosenOf(asked, given);
      requirePurpose(snapshot, asked, nowMs);
      requireLevel(asked, chosen, person);
      requireBound({ consent: id, asked, given, language, person });
      const subject = this.#people.openSubject(id, await store.sealed(id, 'subject'));
      const seq = this.#head === null ? 0 : this.#head.seq + 1;
      const issuer = { self, key, people: this.#people, book };
      const decision = { consent: id, asked, given, language, person, subject, seq, nowMs };
      const { data, receipts, lists, statuses } = issueReceipts(snapshot, issuer, decision, chosen);
      const moved = { id, state: 'GIVEN', decidedAtMs: nowMs, validUntilMs: data.validUntilMs } as const;
      const before = await this.#superseded(row, chosen, nowMs);
      await this.#append(
        [{ atMs: nowMs, consent: id, state: 'GIVEN', by: 'citizen', given: data }, ...before.records],
        {
          moved: [moved, ...before.moved],
          sealed: [{ consent: id, kind: 'sign-in', bytes: this.#people.seal(id, 'sign-in', person.signIn) }],
          receipts,
          lists,
          statuses: [...statuses, ...before.statuses],
        },
        [...receipts, ...before.receipts],
      );
      return this.view({ ...row, ...moved });
    });
  }

  /** What the same client may do for the same purpose at one of these services ends with the new permission. */
  async #superseded(row: ConsentRow, chosen: readonly { service: string }[], nowMs: number) {
    const { store } = this.#options;
    const names = new Set(chosen.map(({ service }) => service));
    const alike = (await store.alike(row.client, row.purpose, row.subject, ALIKE)).filter(isInForce);
    const receipts = await store.receiptsOf(alike.map(({ id }) => id));
    const old = alike.filter(({ id }) => receipts.some(({ consent, service }) => consent === id && names.has(service)));
    return this.#ended(old, 'SUPERSEDED', nowMs, receipts);
  }

  /** Records and rows with which the service itself ends some consents. */
  async #ended(rows: readonly ConsentRow[], state: ConsentState, nowMs: number, known?: readonly StoredReceipt[]) {
    const ids = rows.map(({ id }) => id);
    const all = known ?? (await this.#options.store.receiptsOf(ids));
    const receipts = all.filter(({ consent }) => ids.includes(consent));
    return {
      records: ids.map((consent) => ({ atMs: nowMs, consent, state, by: 'service' as const })),
      moved: rows.map(({ id, decidedAtMs, validUntilMs }) => ({ id, state, decidedAtMs, validUntilMs })),
      statuses: receipts.map(({ list, idx }) => ({ list, idx, value: statusOf(state) })),
      receipts,
    };
  }

  /** Every step but filing and giving. @param from only from this state, when the machine knows others too */
  move(find: () => Promise<ConsentRow>, state: ConsentState, by: Actor, from?: ConsentState): Promise<ConsentView> {
    return this.#alone(async () => {
      const row = await find();
      const nowMs = this.#nowMs();
      this.#requireStep(row, state, by, from);
      if (isInForce(row) && nowMs >= (row.validUntilMs ?? 0)) {
        throw new AccordError('CONSENT_TRANSITION_REFUSED', 'it has ended');
      }
      const decidedAtMs = row.state === 'REQUESTED' ? nowMs : row.decidedAtMs;
      const moved = { id: row.id, state, decidedAtMs, validUntilMs: row.validUntilMs };
      const receipts = await this.#options.store.receiptsOf([row.id]);
      const statuses = receipts.map(({ list, idx }) => ({ list, idx, value: statusOf(state) }));
      await this.#append([{ atMs: nowMs, consent: row.id, state, by }], { moved: [moved], statuses }, receipts);
      return this.view({ ...row, ...moved });
    });
  }

  async byLink(link: string, person: Person): Promise<ConsentView> {
    const { store } = this.#options;
    const nowMs = this.#nowMs();
    const hash = sha256(link);
    const row = await this.rowOfPerson(person, (await store.consentOfLink(hash, nowMs)) ?? '');
    if (row.state !== 'REQUESTED') throw new AccordError('CONSENT_UNKNOWN');
    await store.shortenLink(hash, nowMs + CONSENT_LINK_AFTER_OPENING_MS);
    return this.view(row);
  }

  async tick(): Promise<number> {
    let count = 0;
    for (let round = 0; round < 100; round++) {
      const ended = await this.#alone(() => this.#endSome());
      count += ended;
      if (ended === 0) break;
    }
    return count;
  }

  async #endSome(): Promise<number> {
    const { store } = this.#options;
    const nowMs = this.#nowMs();
    const rows = await store.due(nowMs, ENDED_AT_ONCE);
    const [waiting, late] = [rows.filter(({ state }) => state === 'REQUESTED'), rows.filter(isInForce)];
    const changed = rows.length > 0 ? [] : await this.#withEndedPurpose(nowMs);
    const parts = [
      await this.#ended([...waiting, ...changed.filter((row) => !isInForce(row))], 'LAPSED', nowMs),
      await this.#ended(late, 'EXPIRED', nowMs),
      await this.#ended(changed.filter(isInForce), 'INVALIDATED', nowMs),
    ];
    const records = parts.flatMap((part) => part.records);
    if (records.length === 0) return 0;
    const [moved, statuses] = [parts.flatMap((part) => part.moved), parts.flatMap((part) => part.statuses)];
    await this.#append(
      records,
      { moved, statuses },
      parts.flatMap((part) => part.receipts),
    );
    return records.length;
  }

  /** Whose words are no longer in force: the version has ended, or a newer one has begun. */
  async #withEndedPurpose(nowMs: number): Promise<ConsentRow[]> {
    const { store, configuration } = this.#options;
    if (configuration.freshness() === 'too-old') return [];
    const snapshot = configuration.current();
    for (const { purpose, purposeHash } of await store.purposesInUse()) {
      // What the configuration does not know at all may be a fault of the configuration: that ends nothing for ever.
      if (snapshot.purposeByHash(purposeHash) === undefined) continue;
      try {
        requirePurpose(snapshot, { purpose: { id: purpose, hash: purposeHash } }, nowMs);
      } catch {
        return store.withPurpose(purposeHash, ENDED_AT_ONCE);
      }
    }
    return [];
  }

  async list(person: Person, waiting: boolean, limit: number): Promise<ConsentView[]> {
    const { store } = this.#options;
    const nowMs = this.#nowMs();
    const rows = await store.ofSubjects(person.subjects.map(this.#people.tag), waiting, limit);
    return viewsOf(store, waiting ? rows.filter(({ expiresAtMs }) => expiresAtMs > nowMs) : rows, nowMs);
  }

  async listOfClient(client: string, limit: number): Promise<ConsentView[]> {
    const { store } = this.#options;
    return viewsOf(store, await store.ofClient(client, limit), this.#nowMs());
  }

  /** @throws CONSENT_UNKNOWN, alike for none and for another's */
  async rowOfPerson(person: Person, id: string): Promise<ConsentRow> {
    const row = await this.#options.store.consent(id);
    const tags = person.subjects.map(this.#people.tag);
    if (row === null || !tags.includes(row.subject)) throw new AccordError('CONSENT_UNKNOWN');
    return row;
  }

  /** @throws CONSENT_UNKNOWN */
  async rowOfClient(client: string, id: string): Promise<ConsentRow> {
    const row = await this.#options.store.consent(id);
    if (row === null || row.client !== client) throw new AccordError('CONSENT_UNKNOWN');
    return row;
  }

  async view(row: ConsentRow): Promise<ConsentView> {
    const [view] = await viewsOf(this.#options.store, [row], this.#nowMs());
    if (view === undefined) throw new AccordError('CONSENT_UNKNOWN');
    return view;
  }

  #requireStep(row: ConsentRow, state: ConsentState, by: Actor, from?: ConsentState): void {
    const last = { state: row.state, by: 'service', atMs: 0 } as const;
    const isDecision = row.state === 'REQUESTED' && state === 'GIVEN';
    const refusal = mayFollow([last], { state, by, atMs: 0, ...(isDecision && { given: true }) });
    if (refusal !== null || (from !== undefined && row.state !== from)) {
      throw new AccordError('CONSENT_TRANSITION_REFUSED', `${row.state} to ${state}`);
    }
  }

  /** Durable first; then the lists; then, by returning, the caller. */
  async #append(
    made: Parameters<typeof nextRecords>[1],
    change: Omit<Change, 'records'>,
    touched: readonly StoredReceipt[] = [],
  ): Promise<void> {
    const { store, book, onStatusChange } = this.#options;
    const records = nextRecords(this.#head, made);
    await store.append({ ...change, records });
    this.#head = records.at(-1) ?? this.#head;
    const lists = book.apply(change.lists ?? [], change.statuses ?? []);
    if (lists.length > 0) onStatusChange(lists, [...new Set(touched.map(({ service }) => service))]);
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => {});
    return mine;
  }

  #nowMs(): number {
    return this.#options.clock.nowMs();
  }
}

function isInForce({ state }: ConsentRow): boolean {
  return state === 'GIVEN' || state === 'SUSPENDED';
}

function servicesOf(items: ConsentRequest['items']): string {
  return items
    .map(({ service }) => service)
    .sort()
    .join(' ');
}
