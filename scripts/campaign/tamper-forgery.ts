// A message log's database in the hands of somebody who owns the file and may hold the server's checkpoint key: rows are
// changed, taken out, put in and renumbered, and made to fit again as far as the keys go. In memory; `bytes` is the file.
import Database from 'better-sqlite3';
import { Frontier, leafHash, TILE_HEIGHT } from '#certs/merkle.ts';
import { type Checkpoint, checkpointText, parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import { encodeLogEntry, type LogEntry } from '#schemas/log-entry.ts';

const COLUMNS = 'line, leaf, exchange_id, signature, batch_index, batch_size, path, statement, key_id, sealed';

export interface Span {
  from: number;
  to: number;
}

/** The same database without its triggers, which its owner drops. */
export function withoutTriggers(bytes: Buffer): Buffer {
  const db = new Database(bytes);
  const names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all();
  for (const name of names) db.exec(`DROP TRIGGER ${name}`);
  const without = db.serialize();
  db.close();
  return without;
}

export class Forgery {
  readonly db: InstanceType<typeof Database>;

  constructor(bytes: Buffer) {
    this.db = new Database(bytes);
  }

  bytes(): Buffer {
    const bytes = this.db.serialize();
    this.db.close();
    return bytes;
  }

  size(): number {
    return this.db.prepare('SELECT coalesce(max(seq), -1) + 1 FROM entries').pluck().get() as number;
  }

  entry(seq: number): LogEntry {
    return JSON.parse(this.db.prepare('SELECT line FROM entries WHERE seq = ?').pluck().get(seq) as string);
  }

  /** The statements that were signed together and stand with this one, or it alone. */
  batchOf(seq: number): Span {
    const row = this.db
      .prepare(
        `SELECT min(e.seq) AS "from", max(e.seq) + 1 AS "to" FROM entries e
         WHERE e.signature = (SELECT signature FROM entries WHERE seq = ?)`,
      )
      .get(seq) as { from: number | null; to: number | null };
    return { from: row.from ?? seq, to: row.to ?? seq + 1 };
  }

  /** What the line says, with the leaf that belongs to it, and whatever names both. */
  rewrite(seq: number, change: Partial<LogEntry>): void {
    const entry = { ...this.entry(seq), ...change };
    const line = encodeLogEntry(entry);
    this.db
      .prepare('UPDATE entries SET line = ?, leaf = ?, exchange_id = ? WHERE seq = ?')
      .run(line, leafHash(line), entry.id, seq);
  }

  swapRows(a: number, b: number): void {
    const move = this.db.prepare('UPDATE entries SET seq = ? WHERE seq = ?');
    for (const [to, from] of [
      [-1, a],
      [a, b],
      [b, -1],
    ] as const)
      move.run(to, from);
  }

  drop(seq: number): void {
    this.db.prepare('DELETE FROM entries WHERE seq = ?').run(seq);
  }

  /** Rows from `from` on stand `by` places later, with the ranges of their batches. */
  shift(from: number, by: number): void {
    const far = 1_000_000;
    this.db.prepare('UPDATE entries SET seq = seq + ? WHERE seq >= ?').run(far, from);
    this.db.prepare('UPDATE entries SET seq = seq - ? WHERE seq >= ?').run(far - by, far);
    for (const column of ['first', 'last']) {
      this.db.prepare(`UPDATE signatures SET ${column} = ${column} + ? WHERE ${column} >= ?`).run(by, from);
    }
  }

  /** A copy of the row, at a place that is free. */
  copyRow(from: number, to: number): void {
    this.db
      .prepare(`INSERT INTO entries (seq, ${COLUMNS}) SELECT ?, ${COLUMNS} FROM entries WHERE seq = ?`)
      .run(to, from);
  }

  /** Every line says the place where it stands. */
  renumber(from: number): void {
    for (let seq = from; seq < this.size(); seq++) if (this.entry(seq).seq !== seq) this.rewrite(seq, { seq });
  }

  /** Only what stands before this place stays: entries, and what lies beside them. */
  cut(size: number): void {
    this.db.prepare('DELETE FROM entries WHERE seq >= ?').run(size);
    this.db.prepare('DELETE FROM claims WHERE seq >= ?').run(size);
    this.db
      .prepare('DELETE FROM signatures WHERE number NOT IN (SELECT signature FROM entries WHERE signature IS NOT NULL)')
      .run();
    this.db.prepare(`DELETE FROM tiles WHERE (number + 1) * (1 << (${TILE_HEIGHT} * level)) > ?`).run(size);
  }

  dropCheckpoints(beyond: number): void {
    this.db.prepare('DELETE FROM checkpoints WHERE size > ?').run(beyond);
  }

  /** The tree over the leaves as they stand, and its tiles. */
  retile(size = this.size()): Frontier {
    const frontier = new Frontier();
    const put = this.db.prepare('INSERT OR REPLACE INTO tiles VALUES (?, ?, ?)');
    const leaves = this.db.prepare('SELECT leaf FROM entries WHERE seq < ? ORDER BY seq').pluck().all(size) as Buffer[];
    for (const leaf of leaves) frontier.push(leaf, (height, index, hash) => put.run(height / TILE_HEIGHT, index, hash));
    return frontier;
  }

  checkpoints(): { number: number; size: number; note: string }[] {
    return this.db.prepare('SELECT number, size, note FROM checkpoints ORDER BY number').all() as never;
  }

  /** Signs again what was signed of more than `beyond` entries. @returns the newest checkpoint */
  resign(beyond: number, origin: string, sign: (text: string) => string): string {
    const total = this.size();
    const change = this.db.prepare('UPDATE checkpoints SET size = ?, note = ? WHERE number = ?');
    let newest = '';
    for (const { number, size, note } of this.checkpoints()) {
      newest = note;
      if (size <= beyond) continue;
      const is = Math.min(size, total);
      const checkpoint: Checkpoint = { origin, size: is, root: this.retile(is).root() };
      newest = sign(checkpointText(checkpoint));
      change.run(is, newest, number);
    }
    return newest;
  }
}

/** Everything that means something, as one text: what an auditor reads back. `sealed` apart: it is guarded by itself. */
export function meaningOf(file: Buffer | string): { plain: string; sealed: string } {
  const db = new Database(file, typeof file === 'string' ? { readonly: true } : {});
  try {
    const all = (select: string) => JSON.stringify(db.prepare(`SELECT ${select}`).raw().all());
    const there = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all() as string[];
    const parts = [
      'seq, line, leaf, exchange_id, signature, batch_index, batch_size, path, statement FROM entries',
      '* FROM signatures',
      '* FROM tiles',
      // Claims are a server's memory of the last minutes, and when a checkpoint was made is its own word: neither proves anything.
      'number, size, note FROM checkpoints',
      'origin, verifier_key FROM identity',
    ];
    const archived = there.includes('archived') ? all('* FROM archived') : '';
    return {
      plain: parts.map(all).join('\n') + archived,
      sealed: all('seq, key_id, sealed FROM entries WHERE key_id IS NOT NULL OR sealed IS NOT NULL'),
    };
  } finally {
    db.close();
  }
}

export function sizeOfNote(note: string): number {
  return parseCheckpointText(parseNote(note).text).size;
}
