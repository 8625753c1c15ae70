// The entries a log makes about retention, as an audit judges them: `destruction-intended`, `destruction-done`,
// `hold-placed`, `hold-lifted`. Pure; whoever held the disk controls entries and notes. What has to hold: a note says what
// its kind says, two different persons decided, what was done had been intended before, in the same words, once; nothing
// was intended that a hold of a class, a period or single exchanges kept, and a hold is lifted once.
//
// The key store is not looked at here (undestroyed.ts does). A destruction that was intended and not done is no fault: the
// server was stopped between the two and completes it at its next start.
import { leafHash } from '#certs/merkle.ts';
import { originNumber } from '#core/log/origin.ts';
import { base64url } from '#schemas/base64url.ts';
import { encodeLogEntry, type LogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import {
  areTwoPersons,
  type DestroyedDays,
  type HoldNote,
  type IntentNote,
  readDone,
  readHold,
  readIntent,
  readLift,
} from '#schemas/retention.ts';
import { coversEntry, type Destroyed, isCertificateOf, readCertificate } from './certificate.ts';

const MS_PER_DAY = 86_400_000;
const RETENTION_KINDS = ['destruction-intended', 'destruction-done', 'hold-placed', 'hold-lifted'] as const;
type RetentionKind = (typeof RETENTION_KINDS)[number];

/** An intent as it stands in the log. */
export interface LoggedIntent {
  note: IntentNote;
  seq: number;
  /** Leaf hash of its entry, base64url. */
  leaf: string;
}

/** An entry that a hold may keep. */
export interface HeldRecord {
  entry: LogEntry;
  leaf: Uint8Array;
  /** Something was sealed beside it: there is, or was, a key to be destroyed. */
  isSealed: boolean;
}

/** Entries of the log, by what holds and destructions name them by. */
export interface RecordLookup {
  ofExchange(id: string): HeldRecord[];
  at(seq: number): HeldRecord | null;
}

/** What the entries of a log come to, in their order. */
export class RetentionEntries {
  readonly #origin: string;
  readonly #lookup: RecordLookup | null;
  /** Everything that was intended, done or not. */
  readonly #intents: Destroyed[] = [];
  /** What a server's first log does not hold was never there; a later one may go on with what was begun before it. */
  readonly #number: number;
  /** By their ids. */
  readonly open = new Map<string, LoggedIntent>();
  readonly done = new Map<string, { intent: LoggedIntent; certificate: string; seq: number }>();
  readonly holds = new Map<string, HoldNote>();
  readonly #lifted = new Set<string>();

  /** @param lookup without it holds on single exchanges, and of single records, are not looked at */
  constructor(origin: string, lookup: RecordLookup | null = null) {
    this.#origin = origin;
    this.#lookup = lookup;
    this.#number = originNumber(origin).number;
  }

  static isKind(kind: LogEntry['kind']): kind is RetentionKind {
    return (RETENTION_KINDS as readonly string[]).includes(kind);
  }

  /** Takes the next entry. @returns what is wrong with it, or null */
  follow(entry: LogEntry, note: Uint8Array): string | null {
    try {
      switch (entry.kind as RetentionKind) {
        case 'destruction-intended':
          return this.#intended(entry, readIntent(note));
        case 'destruction-done':
          return this.#done(entry, note);
        case 'hold-placed':
          return this.#placed(entry, readHold(note));
        case 'hold-lifted':
          return this.#liftedBy(entry, note);
      }
    } catch (error) {
      if (isAccordError(error)) return `${error.code} ${error.detail}`.trim();
      throw error;
    }
  }

  #intended(entry: LogEntry, note: IntentNote): string | null {
    const fault = intentFault(note);
    if (note.destruction !== entry.id) return 'a destruction of another id';
    if (fault !== null) return fault;
    if (this.open.has(entry.id) || this.done.has(entry.id)) return 'intended twice';
    const held = note.days.find((days) => [...this.holds.values()].some((hold) => holdsDays(hold, days)));
    if (held !== undefined) return `${held.retention} ${held.firstDay} to ${held.lastDay} was held`;
    const intent = { note, seq: entry.seq, leaf: base64url(leafHash(encodeLogEntry(entry))) };
    const { days, except, records } = note;
    const destroyed = { origin: this.#origin, intent: { seq: intent.seq, leaf: intent.leaf }, days, except, records };
    const kept = this.#held(destroyed);
    if (kept !== null) return `entry ${kept} was held`;
    this.#intents.push(destroyed);
    this.open.set(entry.id, intent);
    return null;
  }

  /**
   * An entry of this log that a hold keeps and the destruction covers. What was sealed beside it may have been destroyed
   * before the hold was placed; whom a hold on a person keeps, entries do not say.
   */
  #held(destroyed: Destroyed): number | null {
    const lookup = this.#lookup;
    if (lookup === null || this.holds.size === 0) return null;
    const covers = (one: Destroyed, { entry, leaf }: HeldRecord) => coversEntry(one, this.#origin, entry, leaf);
    const goes = (one: HeldRecord) =>
      one.isSealed && covers(destroyed, one) && !this.#intents.some((before) => covers(before, one));
    for (const { scope } of this.holds.values()) {
      for (const id of scope.kind === 'exchanges' ? scope.ids : []) {
        const found = lookup.ofExchange(id).find(goes);
        if (found !== undefined) return found.entry.seq;
      }
    }
    for (const { origin, seq } of destroyed.records) {
      const one = origin === this.#origin ? lookup.at(seq) : null;
      if (one === null || !goes(one)) continue;
      const day = Math.floor(one.entry.t / MS_PER_DAY);
      const days = { retention: one.entry.retention, firstDay: day, lastDay: day, records: 1, keys: 1 };
      if ([...this.holds.values()].some((hold) => holdsDays(hold, days))) return seq;
    }
    return null;
  }

  #done({ id, seq, t }: LogEntry, bytes: Uint8Array): string | null {
    const note = readDone(bytes);
    if (note.destruction !== id) return 'a destruction of another id';
    const intent = this.open.get(id);
    const { certificate } = readCertificate(note.certificate);
    if (intent === undefined && this.#isEarlier(certificate.origin)) return null;
    if (intent === undefined) return this.done.has(id) ? 'done twice' : 'done without an intent';
    const { origin, intent: cited, destroyedAtMs } = certificate;
    if (origin !== this.#origin || cited.seq !== intent.seq || cited.leaf !== intent.leaf)
      return 'another intent is cited';
    if (!isCertificateOf(certificate, intent.note)) return 'something else was done than intended';
    if (destroyedAtMs > t) return 'done after it was written down';
    this.open.delete(id);
    this.done.set(id, { intent, certificate: note.certificate, seq });
    return null;
  }

  #placed({ id }: LogEntry, note: HoldNote): string | null {
    if (note.hold !== id) return 'a hold of another id';
    if (this.holds.has(id) || this.#lifted.has(id)) return 'placed twice';
    if (note.scope.kind === 'period' && note.scope.lastDay < note.scope.firstDay)
      return 'a period that ends before it begins';
    this.holds.set(id, note);
    return null;
  }

  #liftedBy({ id }: LogEntry, bytes: Uint8Array): string | null {
    const note = readLift(bytes);
    if (note.hold !== id) return 'a hold of another id';
    if (!areTwoPersons(note.requested, note.approved)) return 'lifted by one person';
    if (this.#lifted.has(id)) return 'lifted twice';
    if (!this.holds.delete(id) && this.#number === 1) return 'lifted without a hold';
    this.#lifted.add(id);
    return null;
  }

  #isEarlier(origin: string): boolean {
    const { base, number } = originNumber(origin);
    return base === originNumber(this.#origin).base && number < this.#number;
  }
}

function intentFault({ requested, approved, days, except, records }: IntentNote): string | null {
  if (!areTwoPersons(requested, approved)) return 'intended by one person';
  if (requested.role !== 'administrator') return 'requested by an auditor';
  if (days.length === 0 && records.length === 0) return 'nothing is destroyed';
  const isInOrder = days.every((one, i) => {
    const before = days[i - 1];
    const isBehind =
      before === undefined ||
      before.retention < one.retention ||
      (before.retention === one.retention && before.lastDay < one.firstDay);
    return one.firstDay <= one.lastDay && isBehind;
  });
  if (!isInOrder) return 'days are not in order';
  if (except.some(({ seqs }) => seqs.some((seq, i) => i > 0 && seq <= (seqs[i - 1] ?? -1))))
    return 'seqs are not in order';
  return null;
}

/** Whether a hold of a class or a period keeps some of these days. */
export function holdsDays(
  { scope }: Pick<HoldNote, 'scope'>,
  { retention, firstDay, lastDay }: DestroyedDays,
): boolean {
  if (scope.kind === 'class') return scope.retention === retention;
  return scope.kind === 'period' && scope.firstDay <= lastDay && firstDay <= scope.lastDay;
}
