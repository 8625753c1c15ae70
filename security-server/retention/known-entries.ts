// Holds, intents and certificates as the message log says them, kept at hand. The log has the last word: at each start what
// was written since the last look is read again, and everything when the store was lost. Other people's files (a closed log)
// may be missing: then nobody knows which holds they held, and nothing is destroyed.

import { leafHash } from '#certs/merkle.ts';
import type { AllLogs, NoteEntry } from '#core/retention/all-logs.ts';
import { RetentionEntries } from '#core/retention/entries.ts';
import { base64url } from '#schemas/base64url.ts';
import { encodeLogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import { type HoldNote, readDone, readHold, readIntent, readLift } from '#schemas/retention.ts';
import type { KnownDone, KnownIntent, RetentionDocuments, RetentionStore } from './retention-store.ts';

export class KnownEntries {
  readonly #store: RetentionStore;
  readonly #logs: AllLogs;
  readonly #onFault: (detail: string) => void;
  readonly #intents: Map<string, KnownIntent>;
  readonly #done: Map<string, KnownDone>;
  readonly #holds: Map<string, HoldNote>;
  readonly #lifted: Map<string, RetentionDocuments['lifted']>;
  readonly #read: Map<string, { nextSeq: number }>;
  #unread: string[] = [];

  /** @param onFault told of notes that are not what their kind says */
  constructor(store: RetentionStore, logs: AllLogs, onFault: (detail: string) => void) {
    this.#store = store;
    this.#logs = logs;
    this.#onFault = onFault;
    this.#intents = store.all('intent');
    this.#done = store.all('done');
    this.#holds = store.all('hold');
    this.#lifted = store.all('lifted');
    this.#read = store.all('read');
  }

  /** Logs that could not be looked through. */
  get unread(): readonly string[] {
    return this.#unread;
  }

  get holds(): readonly HoldNote[] {
    return [...this.#holds.values()];
  }

  hold(id: string): HoldNote | undefined {
    return this.#holds.get(id);
  }

  get lifted(): readonly RetentionDocuments['lifted'][] {
    return [...this.#lifted.values()];
  }

  intent(id: string): KnownIntent | undefined {
    return this.#intents.get(id);
  }

  done(id: string): KnownDone | undefined {
    return this.#done.get(id);
  }

  /** Begun and not done, oldest first. */
  get open(): KnownIntent[] {
    const open = [...this.#intents].filter(([id]) => !this.#done.has(id)).map(([, intent]) => intent);
    return open.sort((a, b) => a.note.approved.atMs - b.note.approved.atMs);
  }

  /** All that were carried out. */
  get all(): { intent: KnownIntent; done: KnownDone | null }[] {
    return [...this.#intents].map(([id, intent]) => ({ intent, done: this.#done.get(id) ?? null }));
  }

  async catchUp(): Promise<void> {
    const unread: string[] = [];
    for (const origin of this.#logs.origins) {
      try {
        const { notes, nextSeq } = await this.#logs.notes(origin, this.#read.get(origin)?.nextSeq ?? 0);
        for (const one of notes) this.take(origin, one);
        if (this.#read.get(origin)?.nextSeq !== nextSeq) {
          this.#store.put('read', origin, { nextSeq });
          this.#read.set(origin, { nextSeq });
        }
      } catch (error) {
        if (!isAccordError(error)) throw error;
        unread.push(origin);
        // The server is ending, and nothing is wrong with the log.
        if (error.code === 'LOG_CLOSED') continue;
        this.#onFault(`${origin}: ${error.code} ${error.detail}`);
      }
    }
    this.#unread = unread;
  }

  /** Takes one entry, which may be known. */
  take(origin: string, { entry, note }: NoteEntry): void {
    if (!RetentionEntries.isKind(entry.kind)) return;
    const { id, seq, t } = entry;
    try {
      if (entry.kind === 'destruction-intended') {
        const leaf = base64url(leafHash(encodeLogEntry(entry)));
        const intent = { origin, seq, leaf, note: readIntent(note) };
        this.#store.put('intent', id, intent);
        this.#intents.set(id, intent);
      } else if (entry.kind === 'destruction-done') {
        const done = { origin, seq, atMs: t, certificate: readDone(note).certificate };
        this.#store.put('done', id, done);
        this.#done.set(id, done);
      } else if (entry.kind === 'hold-placed') {
        if (this.#lifted.has(id)) return;
        const hold = readHold(note);
        this.#store.put('hold', id, hold);
        this.#holds.set(id, hold);
      } else this.#lift(id, note);
    } catch (error) {
      if (!isAccordError(error)) throw error;
      this.#onFault(`entry ${seq} of ${origin}: ${error.code} ${error.detail}`);
    }
  }

  #lift(id: string, note: Uint8Array): void {
    const { requested, approved, reason } = readLift(note);
    const hold = this.#holds.get(id);
    if (hold === undefined) return;
    const lifted = { hold, requested, approved, reason };
    this.#store.put('lifted', id, lifted);
    this.#lifted.set(id, lifted);
    this.#holds.delete(id);
    for (const kind of ['hold', 'subject', 'lift'] as const) this.#store.remove(kind, id);
  }
}
