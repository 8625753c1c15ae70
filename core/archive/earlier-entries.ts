// Entries of an archive's other segments that an entry of the log about itself rests on: an OCSP answer, the hold that is
// lifted, the intent of a destruction, and for a destruction the entries that holds keep. They are sought when such an entry
// is met, because segments are read one after the other; what was found is kept, it is little. Whoever holds the archive
// controls every byte.
import { statusEntryId } from '#core/log/status-answers.ts';
import type { StoredNote } from '#core/log/store.ts';
import { messageIdTimeMs } from '#core/message-id.ts';
import type { ArchiveManifest } from '#schemas/archive.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import { readHold, readIntent } from '#schemas/retention.ts';
import { kindIn } from './archived-page.ts';
import type { Line, OpenSegment } from './open-segment.ts';

/** An answer may come long behind its request; clocks differ. */
const AROUND_MS = 600_000;

interface KeptEntry extends Line {
  /** Its statement or note; null without one. */
  note: Buffer | null;
  keyId: Buffer | null;
}

type LookInto = (number: number, look: (segment: OpenSegment) => void) => Promise<void>;

/** Says of a segment whether entries of these exchanges may stand in it, by the time that their ids say. */
export function likelyFor(ids: readonly string[]): (segment: Pick<ArchiveManifest, 'firstMs' | 'lastMs'>) => boolean {
  const times = ids.map(messageIdTimeMs);
  return ({ firstMs, lastMs }) => times.some((atMs) => atMs >= firstMs - AROUND_MS && atMs <= lastMs + AROUND_MS);
}

export class EarlierEntries {
  readonly #chain: readonly ArchiveManifest[];
  readonly #lookInto: LookInto;
  readonly #bySeq = new Map<number, KeptEntry>();
  readonly #byId = new Map<string, KeptEntry[]>();
  /** Of exchanges that holds on single ones name. */
  readonly #held = new Set<string>();
  /** Whether holds and destructions before the beginning were looked for. */
  #isWhole = false;

  constructor(chain: readonly ArchiveManifest[], lookInto: LookInto) {
    this.#chain = chain;
    this.#lookInto = lookInto;
  }

  linesOf(id: string): Line[] {
    return this.#byId.get(id) ?? [];
  }

  row(seq: number): KeptEntry | undefined {
    return this.#bySeq.get(seq);
  }

  /** Those about holds and destructions that were looked for. */
  notes(fromSeq: number, untilSeq: number): StoredNote[] {
    return [...this.#bySeq.values()]
      .filter(({ seq, line }) => seq >= fromSeq && seq < untilSeq && isOfRetention(kindIn(Buffer.from(line))))
      .sort((a, b) => a.seq - b.seq)
      .map(({ seq, line, leaf, note }) => ({ seq, line, leaf, note: note ?? Buffer.alloc(0) }));
  }

  /** @param start where the audit began */
  async own({ kind, id, ocsp, seq }: LogEntry, note: Uint8Array | null, start: number): Promise<void> {
    if (kind === 'hold-placed' && note !== null) this.#hold(note);
    if (kind === 'destruction-intended' && note !== null) await this.#intended(seq, note, start);
    if (start === 0) return;
    if (kind === 'destruction-done' || kind === 'hold-lifted') await this.#seek(id, start);
    if (ocsp !== null) await this.#seek(statusEntryId(ocsp), start);
  }

  #hold(note: Uint8Array): void {
    try {
      const { scope } = readHold(note);
      for (const id of scope.kind === 'exchanges' ? scope.ids : []) this.#held.add(id);
    } catch (error) {
      // The audit says what is wrong with it.
      if (!isAccordError(error)) throw error;
    }
  }

  async #intended(seq: number, note: Uint8Array, start: number): Promise<void> {
    if (start > 0 && !this.#isWhole) await this.#allBefore(start);
    const ids = [...this.#held];
    const records = recordsIn(note);
    if (ids.length === 0 && records.length === 0) return;
    const isLikely = likelyFor(ids);
    const earlier = [...this.#chain.entries()].filter(([, { from }]) => from < seq);
    const isNamed = ({ from, to }: ArchiveManifest) => records.some((one) => one >= from && one < to);
    // Where the time in an id is not the time of its entries, everywhere.
    for (const likely of [true, false]) {
      const wanted = likely ? ids : ids.filter((id) => !this.#byId.has(id));
      for (const [number, manifest] of earlier) {
        if (likely ? !isLikely(manifest) && !isNamed(manifest) : wanted.length === 0 || isLikely(manifest)) continue;
        await this.#lookInto(number, (segment) => {
          for (const one of records) this.#keep(segment, one);
          for (const id of wanted) for (const line of segment.linesOf(id)) this.#keep(segment, line.seq);
        });
      }
    }
  }

  async #allBefore(start: number): Promise<void> {
    this.#isWhole = true;
    for (const [number, { from }] of this.#chain.entries()) {
      if (from >= start) break;
      await this.#lookInto(number, (segment) => {
        for (const seq of segment.ofKinds(isOfRetention)) if (seq < start) this.#keep(segment, seq);
      });
    }
    for (const { line, note } of this.#bySeq.values()) {
      if (note !== null && kindIn(Buffer.from(line)) === 'hold-placed') this.#hold(note);
    }
  }

  /** From the beginning of the audit back. */
  async #seek(id: string, start: number): Promise<void> {
    if (this.#byId.has(id)) return;
    for (const [number, { from }] of [...this.#chain.entries()].reverse()) {
      if (from >= start || this.#byId.has(id)) continue;
      await this.#lookInto(number, (segment) => {
        for (const { seq } of segment.linesOf(id)) if (seq < start) this.#keep(segment, seq);
      });
    }
    if (!this.#byId.has(id)) this.#byId.set(id, []);
  }

  #keep(segment: OpenSegment, seq: number): void {
    const row = segment.row(seq);
    if (row === undefined || this.#bySeq.has(seq)) return;
    const line = row.line.toString('utf8');
    const copied = (part: Buffer | null) => (part === null ? null : Buffer.from(part));
    const kept = { ...segment.line(seq), line, note: copied(row.statement), keyId: copied(row.keyId) };
    this.#bySeq.set(seq, kept);
    const { id } = entryIn(line);
    this.#byId.set(id, [...(this.#byId.get(id) ?? []), kept]);
  }
}

function isOfRetention(kind: string): boolean {
  return kind.startsWith('hold-') || kind.startsWith('destruction-');
}

function recordsIn(note: Uint8Array): number[] {
  try {
    return readIntent(note).records.map(({ seq }) => seq);
  } catch (error) {
    if (isAccordError(error)) return [];
    throw error;
  }
}

function entryIn(line: string): Pick<LogEntry, 'id'> {
  try {
    return parseLogEntry(line);
  } catch (error) {
    if (isAccordError(error)) return { id: '' };
    throw error;
  }
}
