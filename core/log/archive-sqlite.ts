// What archiving leaves of old entries in a message log in SQLite. The entry's own row stays for ever: its line holds no
// personal data, and finding by id, settlement, holds and the tree need it. What lies beside it goes once the archive has it:
// statement, place in the batch, signature and sealed parts become NULL; the id of the record's key stays, so that lawful
// erasure still finds it. A note stays too.
//
// The database says itself how far: a row of `archived` is only taken behind an entry `archived` that reaches as far, in
// order, and rows are only emptied before it, all at once. It ends where a turn ended, so that no batch that is stored whole
// is cut in two. Whoever owns the file can drop the triggers; against that stand the tree and the audit.
import type Database from 'better-sqlite3';
import { parseLogEntry } from '#schemas/log-entry.ts';
import type { LogReader } from './store.ts';

type Connection = InstanceType<typeof Database>;

/** Entries emptied in one transaction, and those behind them of the same turn. */
const STEP = 256;
const LOOKED_AT = 64;
/** A signature that was stored once is given to later turns while fewer than these came after it (append-sqlite.ts). */
const RECENT_SIGNATURES = 64;

const LAST = (column: string, none: number) =>
  `coalesce((SELECT ${column} FROM archived ORDER BY number DESC LIMIT 1), ${none})`;
const PLACE = LAST('until', 0);

/** @param orElse where else it may be said */
function insertRule(orElse: string): string {
  return `CREATE TRIGGER archived_insert BEFORE INSERT ON archived
WHEN NEW.number IS NOT (SELECT coalesce(max(number), -1) + 1 FROM archived)
  OR NEW.until <= ${PLACE}
  OR NEW.signatures < ${LAST('signatures', -1)}
  OR NOT (EXISTS (SELECT 1 FROM entries WHERE seq = NEW.entry AND seq >= NEW.until AND exchange_id = 'archived'
    AND json_extract(line, '$.kind') = 'archived' AND json_extract(CAST(statement AS TEXT), '$.to') >= NEW.until)${orElse})
BEGIN SELECT RAISE(ABORT, 'archived: no entry says so'); END;
`;
}

const TABLE = `
CREATE TABLE archived (
  number INTEGER PRIMARY KEY,
  until INTEGER NOT NULL,
  entry INTEGER NOT NULL,
  signatures INTEGER NOT NULL
) STRICT;
CREATE TRIGGER archived_update BEFORE UPDATE ON archived BEGIN SELECT RAISE(ABORT, 'archived: append-only'); END;
CREATE TRIGGER archived_delete BEFORE DELETE ON archived BEGIN SELECT RAISE(ABORT, 'archived: append-only'); END;
${insertRule('')}`;

/** Of a closed log: what the log that follows it says of its archive, as the notes of entries there. */
const LATER = `
CREATE TABLE archived_later (number INTEGER PRIMARY KEY, seq INTEGER NOT NULL, note BLOB NOT NULL) STRICT;
CREATE TRIGGER archived_later_update BEFORE UPDATE ON archived_later BEGIN SELECT RAISE(ABORT, 'archived_later: append-only'); END;
CREATE TRIGGER archived_later_delete BEFORE DELETE ON archived_later BEGIN SELECT RAISE(ABORT, 'archived_later: append-only'); END;
DROP TRIGGER archived_insert;
${insertRule(` OR EXISTS (SELECT 1 FROM archived_later WHERE seq = NEW.entry
    AND json_extract(CAST(note AS TEXT), '$.origin') = (SELECT origin FROM identity)
    AND json_extract(CAST(note AS TEXT), '$.to') >= NEW.until AND NEW.until <= (SELECT max(seq) + 1 FROM entries))`)}`;

// A row is taken out whole and put back emptied, because SQLite gives the room of a row that only shrank to nobody. Both are
// let through in the transaction that moves the place: behind it no row below the place holds anything that could go, and
// none is missing that could come.
const TRIGGERS = `
DROP TRIGGER entries_delete;
CREATE TRIGGER entries_delete BEFORE DELETE ON entries
WHEN OLD.seq >= ${PLACE} OR (OLD.signature IS NULL AND OLD.sealed IS NULL)
BEGIN SELECT RAISE(ABORT, 'entries: append-only'); END;
DROP TRIGGER entries_insert;
CREATE TRIGGER entries_insert BEFORE INSERT ON entries
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), -1) + 1 FROM entries)
  AND NOT coalesce(NEW.seq >= 0 AND NEW.seq < ${PLACE} AND NEW.signature IS NULL AND NEW.sealed IS NULL AND NEW.statement IS NULL
    AND NEW.path IS NULL AND NEW.batch_index IS NULL AND NEW.batch_size IS NULL
    AND NOT EXISTS (SELECT 1 FROM entries WHERE seq = NEW.seq), 0)
BEGIN SELECT RAISE(ABORT, 'entries: out of sequence'); END;
DROP TRIGGER signatures_delete;
CREATE TRIGGER signatures_delete BEFORE DELETE ON signatures
WHEN OLD.number > ${LAST('signatures', -1)}
BEGIN SELECT RAISE(ABORT, 'signatures: append-only'); END;
`;

/** A log made before there were archives gets their table when it is opened for writing; nothing else of it changes. */
export function addArchiveTable(db: Connection): void {
  if (hasTable(db)) return;
  db.transaction(() => {
    db.exec(TABLE);
    db.exec(TRIGGERS);
  }).immediate();
}

/** A closed log is written by nobody else: its archive may be spoken of in the log that follows it. */
export function addLaterLogs(db: Connection): void {
  if (!hasTable(db, 'archived_later')) db.transaction(() => db.exec(LATER)).immediate();
}

function hasTable(db: Connection, name = 'archived'): boolean {
  return db.prepare("SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?").get(name) !== undefined;
}

export function archivedReader(db: Connection): LogReader['archivedUntil'] {
  if (!hasTable(db)) return () => 0;
  const until = db.prepare(`SELECT ${PLACE}`).pluck();
  return () => until.get() as number;
}

/** @returns `LogStore.release` without its transaction */
export function releaser(db: Connection): (entrySeq: number, until: number) => number {
  const place = db.prepare(`SELECT ${PLACE}`).pluck();
  const lines = db.prepare('SELECT seq, line FROM entries WHERE seq >= ? ORDER BY seq LIMIT ?');
  const newest = db.prepare('SELECT max(signature) FROM entries WHERE seq >= ? AND seq < ?').pluck();
  const add = db.prepare(`INSERT INTO archived VALUES (${LAST('number', -1)} + 1, @until, @entry,
    max(${LAST('signatures', -1)}, @signatures))`);
  const WITH_MORE = 'seq >= ? AND seq < ? AND (signature IS NOT NULL OR sealed IS NOT NULL)';
  const rows = db.prepare(`SELECT seq, line, leaf, exchange_id, key_id FROM entries WHERE ${WITH_MORE} ORDER BY seq`);
  const take = db.prepare(`DELETE FROM entries WHERE ${WITH_MORE}`);
  const put = db.prepare(`INSERT INTO entries (seq, line, leaf, exchange_id, key_id)
    VALUES (@seq, @line, @leaf, @exchange_id, @key_id)`);
  // Never the newest: the next one is numbered behind it.
  const forget = db.prepare(`DELETE FROM signatures WHERE number <= @bound
    AND number < (SELECT max(number) FROM signatures) AND number NOT IN
    (SELECT number FROM signatures WHERE number <= @bound AND first IS NULL ORDER BY number DESC
     LIMIT ${RECENT_SIGNATURES})`);
  /** Entries of one turn have one time: where it changes, one ended. */
  const endOfTurn = (from: number, until: number): number => {
    let timeMs: number | null = null;
    for (let at = from; at < until; at += LOOKED_AT) {
      for (const { seq, line } of lines.all(at, LOOKED_AT) as { seq: number; line: string }[]) {
        const { t } = parseLogEntry(line);
        if (timeMs !== null && t !== timeMs) return Math.min(seq, until);
        timeMs = t;
      }
    }
    return until;
  };
  return (entrySeq, until) => {
    const from = place.get() as number;
    if (from >= until) return from;
    const end = from + STEP >= until ? until : endOfTurn(from + STEP - 1, until);
    const bound = (newest.get(from, end) as number | null) ?? -1;
    add.run({ until: end, entry: entrySeq, signatures: bound });
    const emptied = rows.all(from, end);
    take.run(from, end);
    for (const row of emptied) put.run(row);
    forget.run({ bound });
    return end;
  };
}
