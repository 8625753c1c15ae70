// One segment that was read back, as an audit reads entries (core/log/audit-entries.ts): the same judgement as of the log
// itself. Entries of other segments are asked for through `elsewhere`. Whoever holds the archive controls every byte.
import { leafHash } from '#certs/merkle.ts';
import type { AuditRows } from '#core/log/audit-entries.ts';
import type { SignatureKey, StoredCheckpoint, StoredMember, StoredRow } from '#core/log/store.ts';
import { packRows } from '#core/log/stored-page.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { MAX_BATCH_STATEMENTS } from '#schemas/limits.ts';
import { parseLogEntry } from '#schemas/log-entry.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Segment } from './read-segment.ts';
import type { ArchivedRow } from './rows.ts';

type Line = { seq: number; line: string; leaf: Buffer };

/** Entries of an exchange that stand before the segment. */
export type Elsewhere = (exchangeId: string) => Line[];

export class SegmentRows implements AuditRows {
  readonly #segment: Segment;
  readonly #elsewhere: Elsewhere;
  #byId: Map<string, number[]> | null = null;

  constructor(segment: Segment, elsewhere: Elsewhere) {
    this.#segment = segment;
    this.#elsewhere = elsewhere;
  }

  size(): number {
    return this.#segment.manifest.to;
  }

  /** What lies beside its entries is all there. */
  archivedUntil(): number {
    return 0;
  }

  page(fromSeq: number, limit: number) {
    const { from } = this.#segment.manifest;
    const rows = this.#segment.rows.slice(fromSeq - from, fromSeq - from + limit);
    return packRows(rows.map((row, i) => storedRow(row, fromSeq + i)));
  }

  signature(key: SignatureKey) {
    return typeof key === 'number' ? (this.#segment.signatures[key] ?? null) : null;
  }

  members(key: SignatureKey, first: number | null, last: number | null): StoredMember[] {
    const { from, to } = this.#segment.manifest;
    if (first === null || last === null || first < from || last >= to) return [];
    const found: StoredMember[] = [];
    for (let seq = first; seq <= last && found.length <= MAX_BATCH_STATEMENTS; seq++) {
      const row = this.#segment.rows[seq - from];
      if (row === undefined || row.signature !== key || row.statement === null) continue;
      found.push({ seq, line: row.line.toString('utf8'), index: row.index, statement: row.statement });
    }
    return found;
  }

  linesOf(exchangeId: string, limit: number): Line[] {
    const here = (this.#index().get(exchangeId) ?? []).map((seq) => this.#line(seq)).reverse();
    return [...here, ...this.#elsewhere(exchangeId)].slice(0, limit);
  }

  /** Lines of the exchanges in this segment, for the next one. */
  lines(exchangeId: string): Line[] {
    return (this.#index().get(exchangeId) ?? []).map((seq) => this.#line(seq)).reverse();
  }

  /** When the entry was written; null where there is none. */
  timeOf(seq: number): number | null {
    const row = this.#segment.rows[seq - this.#segment.manifest.from];
    return row === undefined ? null : parseLogEntry(row.line.toString('utf8')).t;
  }

  /** As a store gives them. */
  checkpointFrom(number: number): StoredCheckpoint | null {
    const checkpoint = this.#segment.checkpoints[number - this.#segment.manifest.checkpoints.from];
    return checkpoint === undefined ? null : { number, ...checkpoint };
  }

  tile(level: number, index: number): Buffer | null {
    const found = this.#segment.tiles.find((tile) => tile.level === level && tile.index === index);
    return found === undefined ? null : fromBase64url(found.hash);
  }

  #line(seq: number): Line {
    const line = (this.#segment.rows[seq - this.#segment.manifest.from] as ArchivedRow).line.toString('utf8');
    return { seq, line, leaf: leafHash(line) };
  }

  #index(): Map<string, number[]> {
    if (this.#byId !== null) return this.#byId;
    const byId = new Map<string, number[]>();
    for (const [i, { line }] of this.#segment.rows.entries()) {
      const id = idOf(line.toString('utf8'));
      byId.set(id, [...(byId.get(id) ?? []), this.#segment.manifest.from + i]);
    }
    this.#byId = byId;
    return byId;
  }
}

/** @throws ARCHIVE_MALFORMED */
export function storedRow(row: ArchivedRow, seq: number): StoredRow {
  const line = row.line.toString('utf8');
  const { statement, signature, index, size, path } = row;
  const place = { signature: signature < 0 ? null : signature, index, size, path };
  const evidence = statement === null ? null : { statement, ...place };
  return { seq, line, leaf: leafHash(line), exchangeId: idOf(line), evidence };
}

function idOf(line: string): string {
  try {
    return parseLogEntry(line).id;
  } catch (cause) {
    throw new AccordError('ARCHIVE_MALFORMED', 'a line that is no entry', { cause });
  }
}
