// One segment of an archive that was read, as an audit asks for it: rows, signatures, checkpoints, and what an id stands for.
// What its manifest says of its own contents is held against them here. Whoever holds the archive controls every byte.
import { leafHash } from '#certs/merkle.ts';
import { Finding } from '#core/log/audit-finding.ts';
import { parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import type { SealedRow, StoredCheckpoint, StoredMember } from '#core/log/store.ts';
import type { StoredPage } from '#core/log/stored-page.ts';
import { MAX_BATCH_STATEMENTS } from '#schemas/limits.ts';
import { parseLogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import { idIn, isRequestOrAnswer, kindIn, pageOf } from './archived-page.ts';
import type { ReadableSegment } from './read-segment.ts';
import type { ArchivedRow } from './rows.ts';

export interface Line {
  seq: number;
  line: string;
  leaf: Buffer;
}

export class OpenSegment {
  readonly #segment: ReadableSegment;
  readonly fault: Finding | null;
  #byId: Map<string, number[]> | null = null;

  /** @param verifierKey the log's first, as the segment has to name it */
  constructor(segment: ReadableSegment, verifierKey: string) {
    this.#segment = segment;
    this.fault = segment.fault ?? manifestFault(segment, verifierKey);
  }

  get manifest() {
    return this.#segment.manifest;
  }

  get tiles() {
    return this.#segment.tiles;
  }

  row(seq: number): ArchivedRow | undefined {
    return this.#segment.rows[seq - this.manifest.from];
  }

  page(from: number, to: number, keyOf: (signature: number) => number): StoredPage {
    const first = this.manifest.from;
    return pageOf(this.#segment.rows.slice(from - first, Math.min(to, this.manifest.to) - first), from, keyOf);
  }

  signature(number: number) {
    return this.#segment.signatures[number] ?? null;
  }

  members(signature: number, first: number | null, last: number | null): StoredMember[] {
    const { from, to } = this.manifest;
    if (first === null || last === null || first < from || last >= to) return [];
    const found: StoredMember[] = [];
    for (let seq = first; seq <= last && found.length <= MAX_BATCH_STATEMENTS; seq++) {
      const row = this.row(seq);
      if (row === undefined || row.signature !== signature || row.statement === null) continue;
      found.push({ seq, line: row.line.toString('utf8'), index: row.index, statement: row.statement });
    }
    return found;
  }

  sealedRows(from: number, to: number): SealedRow[] {
    const found: SealedRow[] = [];
    for (let seq = Math.max(from, this.manifest.from); seq < Math.min(to, this.manifest.to); seq++) {
      const { line, statement, keyId, sealed } = this.row(seq) ?? {};
      if (line === undefined || keyId == null || sealed == null) continue;
      found.push({ seq, line: line.toString('utf8'), statement: statement ?? null, keyId, bytes: sealed });
    }
    return found;
  }

  checkpoint(number: number): StoredCheckpoint | null {
    const found = this.#segment.checkpoints[number - this.manifest.checkpoints.from];
    return found === undefined ? null : { number, ...found };
  }

  /** Newest first. */
  linesOf(id: string): Line[] {
    return (this.#index().get(id) ?? []).map((seq) => this.line(seq)).reverse();
  }

  /** Ids of answers whose requests do not stand here, nor where `isBefore` finds some. */
  answersToOthers(isBefore: (id: string) => number): Set<string> {
    const [here, others] = [new Set<string>(), new Set<string>()];
    for (const { line } of this.#segment.rows) {
      const which = isRequestOrAnswer(line);
      if (which === 'request') here.add(idIn(line));
      else if (which === 'answer') {
        const id = idIn(line);
        if (!here.has(id) && isBefore(id) === 0) others.add(id);
      }
    }
    return others;
  }

  /** Entries of some kinds. */
  ofKinds(isWanted: (kind: string) => boolean): number[] {
    const { from } = this.manifest;
    return this.#segment.rows.flatMap(({ line }, i) => (isWanted(kindIn(line)) ? [from + i] : []));
  }

  /** Notes of entries that go over to another key. */
  rotations(): { seq: number; note: Buffer }[] {
    return this.linesOf('key-rotated')
      .reverse()
      .map(({ seq }) => ({ seq, note: this.row(seq)?.statement ?? Buffer.alloc(0) }));
  }

  line(seq: number): Line {
    const line = this.row(seq)?.line.toString('utf8') ?? '';
    return { seq, line, leaf: leafHash(line) };
  }

  #index(): Map<string, number[]> {
    if (this.#byId !== null) return this.#byId;
    const byId = new Map<string, number[]>();
    for (const [i, { line }] of this.#segment.rows.entries()) {
      const [id, seq] = [idIn(line), this.manifest.from + i];
      const known = byId.get(id);
      if (known === undefined) byId.set(id, [seq]);
      else known.push(seq);
    }
    this.#byId = byId;
    return byId;
  }
}

/** What the manifest says of the segment is what is in it. */
function manifestFault({ manifest, rows, checkpoints }: ReadableSegment, verifierKey: string): Finding | null {
  const { from, to, firstMs, lastMs, root, checkpoint } = manifest;
  const wrong = (seq: number, what: string) =>
    new Finding('ARCHIVE_MALFORMED', seq, `its manifest names another ${what}`);
  if (manifest.verifierKey !== verifierKey) return wrong(from, 'first key of the log');
  if (checkpoints.at(-1)?.note !== checkpoint) return wrong(from, 'checkpoint');
  try {
    const signed = parseCheckpointText(parseNote(checkpoint).text);
    if (signed.size !== to || signed.root.toString('base64url') !== root) return wrong(from, 'root');
  } catch (error) {
    if (isAccordError(error)) return new Finding(error.code, from, 'the checkpoint of its manifest');
    throw error;
  }
  if (timeOf(rows[0]) !== firstMs) return wrong(from, 'time');
  if (timeOf(rows.at(-1)) !== lastMs) return wrong(to - 1, 'time');
  return null;
}

function timeOf(row: ArchivedRow | undefined): number | null {
  try {
    return row === undefined ? null : parseLogEntry(row.line.toString('utf8')).t;
  } catch (error) {
    if (isAccordError(error)) return null;
    throw error;
  }
}
