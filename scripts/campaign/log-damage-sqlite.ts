// Damage in the database of a message log, made by somebody who owns the file: one bit of one column of one row.
import Database from 'better-sqlite3';
import type { Source } from '#scripts/demo/random.ts';

/** Where a bit may change, and how an audit has to call it: at that row's entry, or at none. */
export const PLACES = [
  { table: 'entries', column: 'line', key: 'seq', pinned: true },
  { table: 'entries', column: 'leaf', key: 'seq', pinned: true },
  { table: 'entries', column: 'exchange_id', key: 'seq', pinned: true },
  { table: 'entries', column: 'statement', key: 'seq', pinned: true },
  { table: 'entries', column: 'signature', key: 'seq', pinned: true },
  { table: 'entries', column: 'batch_index', key: 'seq', pinned: true },
  { table: 'entries', column: 'path', key: 'seq', pinned: true },
  { table: 'signatures', column: 'jws', key: 'number', pinned: true },
  { table: 'signatures', column: 'first', key: 'number', pinned: true },
  { table: 'signatures', column: 'last', key: 'number', pinned: true },
  { table: 'checkpoints', column: 'note', key: 'number', pinned: false },
  { table: 'tiles', column: 'hash', key: 'number', pinned: false },
] as const;

interface Place {
  table: string;
  column: string;
  key: string;
  pinned: boolean;
}

export interface Change {
  place: string;
  row: number;
  /** The entry the damage belongs to; null where it cannot be pinned to one. */
  expectedSeq: number | null;
}

/** Changes one bit in one row, chosen by `chance`. A row whose column is empty is not chosen. */
export function changeRow(file: string, place: Place, chance: Source): Change {
  const { table, column, key, pinned } = place;
  const db = new Database(file);
  try {
    db.pragma('synchronous = OFF');
    const triggers = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?").pluck();
    for (const name of triggers.all(table)) db.exec(`DROP TRIGGER ${name}`);
    const keys = db.prepare(`SELECT ${key} FROM ${table} WHERE length(${column}) > 0`).pluck().all();
    const row = chance.pick(keys);
    const read = db.prepare(
      `SELECT typeof(${column}) AS type, CAST(${column} AS BLOB) AS bytes FROM ${table} WHERE ${key} = ?`,
    );
    const { type, bytes } = read.get(row) as { type: string; bytes: Buffer };
    const first = db.prepare('SELECT min(seq) FROM entries WHERE signature = ?').pluck();
    const seq = table === 'signatures' ? first.get(row) : row;
    const update = (value: string, to: unknown) =>
      db.prepare(`UPDATE ${table} SET ${column} = ${value} WHERE ${key} = ?`).run(to, row);
    if (type === 'integer') update('?', Number(bytes.toString('latin1')) ^ (1 << chance.integer(0, 7)));
    else {
      const at = chance.integer(0, bytes.length - 1);
      bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << chance.integer(0, 7)), at);
      update(type === 'text' ? 'CAST(? AS TEXT)' : '?', bytes);
    }
    return { place: `${table}.${column}`, row: Number(row), expectedSeq: pinned ? Number(seq) : null };
  } finally {
    db.close();
  }
}

/** Everything an auditor reads back, as one text. */
export function contentOf(file: string): string {
  const db = new Database(file, { readonly: true });
  try {
    // What is sealed has its own authenticated encryption; an audit cannot open it.
    const entries = 'seq, line, leaf, exchange_id, signature, batch_index, batch_size, path, statement FROM entries';
    const parts = [entries, '* FROM signatures', '* FROM tiles'];
    return JSON.stringify(parts.map((part) => db.prepare(`SELECT ${part}`).raw().all()));
  } finally {
    db.close();
  }
}
