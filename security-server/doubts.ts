// Reports of doubt at the provider's own server: kept, answered by its administrator, and looked up at every release, so
// that an element is delivered as `underInvestigation` while somebody's doubt about it waits for an answer.
//
// What was reported is sealed under a key derived from the storage key; the person it is about is found by a keyed tag
// only, so that the file alone tells neither values nor persons. A closed doubt is forgotten after a year.
//
// A report comes from a department that received the value, or from the citizen it is about (provider/citizen-doubt.ts);
// then `client` and `peer` are the consent service that carried it and its server.
import type { KeyObject } from 'node:crypto';
import { cipherKey, decipher, encipher } from '#certs/record-cipher.ts';
import { storageSubkeyOf } from '#certs/storage-key.ts';
import type { Clock } from '#core/clock.ts';
import { newMessageId } from '#core/message-id.ts';
import type { Subject } from '#policy/binding/binding.ts';
import type { DoubtReport, DoubtState } from '#schemas/doubt.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import { parseJsonObject } from '#schemas/json.ts';
import {
  DOUBT_KEPT_MS,
  MAX_DOUBTS_SHOWN,
  MAX_WAITING_DOUBTS_PER_CLIENT,
  MAX_WAITING_DOUBTS_PER_PERSON,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { openSubjectTag } from './subject-tag.ts';

/** Who said what and when: the report, the provider's answers, and what was added to the report. */
interface Word {
  atMs: number;
  state: DoubtState;
  note: string | null;
}

interface DoubtFacts {
  /** UUIDv7 */
  id: string;
  reporter: 'department' | 'citizen';
  peer: string;
  client: string;
  service: string;
  element: string;
  exchange: string;
  state: DoubtState;
  createdAtMs: number;
  changedAtMs: number;
}

export interface Doubt extends DoubtFacts {
  about: Pick<DoubtReport, 'path' | 'subject' | 'doubted' | 'proposed' | 'evidenceHash'>;
  words: Word[];
}

interface NewDoubt {
  reporter: DoubtFacts['reporter'];
  peer: string;
  client: string;
  service: string;
  report: DoubtReport;
}

/** A row of the store: facts in clear, the tag of the subject (base64url), and the rest sealed. */
export interface DoubtRow extends DoubtFacts {
  subjectTag: string;
  sealed: Buffer;
}

/** Where rows are kept; a change is durable when the call returns. */
export interface DoubtStore {
  insert(row: DoubtRow): void;
  /** Replaces state, time of change and what is sealed. */
  update(row: DoubtRow): void;
  row(id: string): DoubtRow | null;
  /** The one doubt about this element and subject from this exchange. */
  same(doubt: Pick<DoubtRow, 'peer' | 'exchange' | 'element' | 'subjectTag'>): DoubtRow | null;
  /** Ascending by id, behind `after`. */
  page(state: DoubtState | null, after: string | null, limit: number): DoubtRow[];
  /** Those that the person reported, newest first. */
  ofCitizen(subjectTag: string, limit: number): DoubtRow[];
  /** All that are `open` or `needs-info`. */
  waiting(): Pick<DoubtRow, 'reporter' | 'service' | 'element' | 'subjectTag' | 'client' | 'state'>[];
  /** Deletes those closed before that time. */
  forgetClosed(beforeMs: number): void;
  close(): void;
}

export interface Doubts {
  /** True while a doubt about this element of this subject, as this service gives it, waits for an answer. */
  isDoubted(service: string, element: string, subject: Subject | null): boolean;
  /**
   * Keeps a report; the same one again finds the first, and opens it again when it needed information.
   * @throws DOUBT_LIMIT
   */
  report(doubt: NewDoubt): { doubt: Doubt; isNew: boolean };
  find(id: string): Doubt | null;
  page(state: DoubtState | null, after: string | null, limit: number): Doubt[];
  /** What the person reported about services of that subsystem, newest first, at most MAX_DOUBTS_SHOWN of all. */
  ofCitizen(subject: Subject, provider: string): Doubt[];
  /** The provider's answer. @throws DOUBT_UNKNOWN, DOUBT_CLOSED */
  answer(id: string, state: Exclude<DoubtState, 'open'>, note: string | null): Doubt;
  /** How many wait for the provider. */
  open(): number;
  close(): void;
}

const FORGET_EVERY_MS = 86_400_000;
const isWaiting = (state: DoubtState) => state === 'open' || state === 'needs-info';

/** @param storageKey the server's, 32 bytes */
export function openDoubts(store: DoubtStore, storageKey: Buffer, clock: Clock): Doubts {
  const tagOf = openSubjectTag(storageKey, 'doubt subjects');
  const seals = cipherKey(storageSubkeyOf(storageKey, 'doubts'));
  const index = openIndex(store);
  let forgottenMs = 0;

  function forgetOld(nowMs: number): void {
    if (Math.abs(nowMs - forgottenMs) < FORGET_EVERY_MS) return;
    store.forgetClosed(nowMs - DOUBT_KEPT_MS);
    forgottenMs = nowMs;
  }

  function change(row: DoubtRow, doubt: Doubt, state: DoubtState, note: string | null): Doubt {
    // A clock that was set back must not put a later word before an earlier one.
    const atMs = Math.max(clock.nowMs(), row.changedAtMs);
    const changed: Doubt = { ...doubt, state, changedAtMs: atMs, words: [...doubt.words, { atMs, state, note }] };
    store.update({ ...row, state, changedAtMs: atMs, sealed: seal(seals, changed) });
    index.move(row, state);
    return changed;
  }

  function reportAgain(row: DoubtRow, { about }: Pick<Doubt, 'about'>, note: string | null): Doubt {
    const doubt = unseal(seals, row);
    if (row.state !== 'needs-info') return doubt;
    return change(row, { ...doubt, about: { ...about, subject: doubt.about.subject } }, 'open', note);
  }

  forgetOld(clock.nowMs());
  return {
    isDoubted: (service, element, subject) =>
      subject !== null && index.has(service, element) && index.hasSubject(service, element, tagOf(subject)),
    report({ reporter, peer, client, service, report }) {
      const nowMs = clock.nowMs();
      forgetOld(nowMs);
      const { element, exchange, path, subject, doubted, proposed, evidenceHash, note } = report;
      const about = { path, subject, doubted, proposed, evidenceHash };
      const subjectTag = tagOf(subject);
      const same = store.same({ peer, exchange, element, subjectTag });
      if (same !== null) return { doubt: reportAgain(same, { about }, note), isNew: false };
      const most = reporter === 'citizen' ? MAX_WAITING_DOUBTS_PER_PERSON : MAX_WAITING_DOUBTS_PER_CLIENT;
      const waiting = index.waitingOf({ reporter, client, subjectTag });
      if (waiting >= most) throw new AccordError('DOUBT_LIMIT', `${most} wait`);
      const named = { id: newMessageId(nowMs), reporter, peer, client, service, element, exchange };
      const facts = { ...named, state: 'open' as const };
      const words = [{ atMs: nowMs, state: 'open' as const, note }];
      const doubt: Doubt = { ...facts, createdAtMs: nowMs, changedAtMs: nowMs, about, words };
      const { about: _about, words: _words, ...clear } = doubt;
      const row = { ...clear, subjectTag, sealed: seal(seals, doubt) };
      store.insert(row);
      index.add(row);
      return { doubt, isNew: true };
    },
    find(id) {
      const row = store.row(id);
      return row === null ? null : unseal(seals, row);
    },
    page: (state, after, limit) => store.page(state, after, limit).map((row) => unseal(seals, row)),
    ofCitizen: (subject, provider) =>
      store
        .ofCitizen(tagOf(subject), MAX_DOUBTS_SHOWN)
        .filter(({ service }) => subsystemOfService(service) === provider)
        .map((row) => unseal(seals, row)),
    answer(id, state, note) {
      const row = store.row(id);
      if (row === null) throw new AccordError('DOUBT_UNKNOWN', id.slice(0, 64));
      if (!isWaiting(row.state)) throw new AccordError('DOUBT_CLOSED', `${row.state} already`);
      return change(row, unseal(seals, row), state, note);
    },
    open: () => index.open(),
    close: () => store.close(),
  };
}

/** Binds what is sealed to its row, so that the content of one cannot stand in another. */
function label({ id, reporter, peer, client, service, element, exchange }: DoubtFacts): Buffer {
  const names = ['accord-doubt/1', id, peer, client, service, element, exchange];
  return Buffer.from([...names, ...(reporter === 'citizen' ? [reporter] : [])].join('\0'));
}

function seal(key: KeyObject, doubt: Doubt): Buffer {
  return encipher(key, label(doubt), Buffer.from(JSON.stringify({ about: doubt.about, words: doubt.words })));
}

/** @throws RECORD_UNREADABLE */
function unseal(key: KeyObject, { subjectTag: _tag, sealed, ...facts }: DoubtRow): Doubt {
  const plain = decipher(key, label(facts), sealed);
  if (plain === null) throw new AccordError('RECORD_UNREADABLE', `doubt ${facts.id}`);
  const { about, words } = parseJsonObject(plain) as unknown as Pick<Doubt, 'about' | 'words'>;
  return { ...facts, about, words };
}

type Waiting = ReturnType<DoubtStore['waiting']>[number];

/** The waiting doubts in memory, because every release of every element asks for them. */
function openIndex(store: DoubtStore) {
  const subjects = new Map<string, Map<string, number>>();
  const reporters = new Map<string, number>();
  let open = 0;
  // Without the major: what is doubted is the same in every form of the element.
  const place = (service: string, element: string) => `${service} ${element.split('@', 1)[0]}`;
  const count = (counts: Map<string, number>, name: string, by: 1 | -1) => {
    const now = (counts.get(name) ?? 0) + by;
    if (now > 0) counts.set(name, now);
    else counts.delete(name);
  };
  // One consent service carries the reports of all its citizens: each of them has a limit of their own.
  const who = ({ reporter, client, subjectTag }: Pick<Waiting, 'reporter' | 'client' | 'subjectTag'>) =>
    reporter === 'citizen' ? `person ${subjectTag}` : client;
  const put = (row: Waiting, by: 1 | -1) => {
    const { service, element, subjectTag, state } = row;
    if (!isWaiting(state)) return;
    const at = place(service, element);
    const tags = subjects.get(at) ?? new Map<string, number>();
    count(tags, subjectTag, by);
    if (tags.size > 0) subjects.set(at, tags);
    else subjects.delete(at);
    count(reporters, who(row), by);
    if (state === 'open') open += by;
  };
  for (const row of store.waiting()) put(row, 1);
  return {
    has: (service: string, element: string) => subjects.has(place(service, element)),
    hasSubject: (service: string, element: string, tag: string) =>
      subjects.get(place(service, element))?.has(tag) ?? false,
    waitingOf: (reporter: Parameters<typeof who>[0]) => reporters.get(who(reporter)) ?? 0,
    open: () => open,
    add: (row: Waiting) => put(row, 1),
    move(row: Waiting, state: DoubtState) {
      put(row, -1);
      put({ ...row, state }, 1);
    },
  };
}
