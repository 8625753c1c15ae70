// The edits of campaign `tamper` on a message log: what somebody does to the database file, alone, together with the
// checkpoint file, without a key or with the server's own; and where an audit has to say that the damage begins.
import { batchPath } from '#certs/batch.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import type { Source } from '#scripts/demo/random.ts';
import { Forgery, type Span } from './tamper-forgery.ts';
import type { Stage, Subject } from './tamper-subject.ts';

/** `at`: this entry, named. `within`: one of these, or none. `outside`: the log alone may look whole; others know better. */
export type Expected =
  | { kind: 'at'; seq: number }
  | { kind: 'within'; from: number; to: number }
  | { kind: 'outside'; from: number; hidesExchange: boolean }
  | { kind: 'unsigned'; from: number };

export interface Edited {
  database: Buffer;
  /** The checkpoint file; null: it is gone. */
  note: string | null;
  expected: Expected;
}

export interface Template {
  subject: Subject;
  /** Of each stage, without triggers. */
  stages: Buffer[];
}

type Edit = (log: Forgery, chance: Source, template: Template) => { note?: string | null; expected: Expected };

const at = (seq: number): { expected: Expected } => ({ expected: { kind: 'at', seq } });
const anyEntry = (log: Forgery, chance: Source) => chance.integer(0, log.size() - 1);

/** From what was changed to the first checkpoint that was signed for it: nearer nobody can say who lacks the old bytes. */
function until({ from, to }: Span, log: Forgery): { expected: Expected } {
  const end = log.checkpoints().find(({ size }) => size >= to)?.size ?? log.size();
  return { expected: { kind: 'within', from, to: Math.max(end, to) } };
}

/** What the statement beside it does not say, so that only the tree knows. */
function otherWords(entry: LogEntry, chance: Source): Partial<LogEntry> {
  const { configuration, code } = entry;
  return chance.pick<Partial<LogEntry>>([
    { code: code === 'NO' ? 'YES' : 'NO' },
    { configuration: configuration + 1 },
    { retention: 'forged' },
    { basis: entry.basis === 'open' ? 'consent' : 'open' },
  ]);
}

function swapLines(log: Forgery, a: number, b: number): void {
  log.swapRows(a, b);
  for (const seq of [a, b]) log.rewrite(seq, { seq });
}

/** An exchange that was: its entries go, and the rest closes the gap. @returns where the first stood */
function hideExchange(log: Forgery, chance: Source, from: number): Span | null {
  const ids = log.db
    .prepare(
      `SELECT exchange_id FROM entries WHERE exchange_id <> 'anchored' GROUP BY exchange_id
       HAVING count(*) = 2 AND min(seq) >= ? AND max(statement IS NULL) = 0`,
    )
    .pluck()
    .all(from) as string[];
  if (ids.length === 0) return null;
  const id = chance.pick(ids);
  const seqs = log.db
    .prepare('SELECT seq FROM entries WHERE exchange_id = ? ORDER BY seq DESC')
    .pluck()
    .all(id) as number[];
  const first = Math.min(...seqs.map((seq) => log.batchOf(seq).from));
  for (const seq of seqs) keepPaths(log, seq);
  for (const seq of seqs) {
    log.drop(seq);
    log.shift(seq + 1, -1);
  }
  log.renumber(0);
  return { from: first, to: (seqs[0] ?? 0) + 1 };
}

/** The others of its batch go on with paths of their own: their signer signed them, and they stay proven. */
function keepPaths(log: Forgery, seq: number): void {
  const { signature } = log.db.prepare('SELECT signature FROM entries WHERE seq = ?').get(seq) as { signature: number };
  const members = log.db
    .prepare('SELECT seq, statement FROM entries WHERE signature = ? ORDER BY batch_index')
    .all(signature) as { seq: number; statement: Buffer }[];
  const { first } = log.db.prepare('SELECT first FROM signatures WHERE number = ?').get(signature) as {
    first: number | null;
  };
  if (first === null) return;
  const put = log.db.prepare('UPDATE entries SET path = ? WHERE seq = ?');
  for (const [index, member] of members.entries()) {
    put.run(
      Buffer.concat(
        batchPath(
          members.map(({ statement }) => statement),
          index,
        ),
      ),
      member.seq,
    );
  }
  log.db.prepare('UPDATE signatures SET first = NULL, last = NULL WHERE number = ?').run(signature);
}

/** Entries that speak of the log's own tree as it was. */
function anchoredBehind(log: Forgery, from: number): number[] {
  return log.db
    .prepare("SELECT seq FROM entries WHERE exchange_id = 'anchored' AND seq >= ? ORDER BY seq DESC")
    .pluck()
    .all(from) as number[];
}

/** Without a key: the leaf, and the tiles, are made to fit. */
const KEYLESS: Record<string, Edit> = {
  'rows swapped': (log, chance) => {
    const a = chance.integer(0, log.size() - 2);
    log.swapRows(a, chance.integer(a + 1, log.size() - 1));
    return at(a);
  },
  'a row dropped': (log, chance) => {
    const seq = anyEntry(log, chance);
    log.drop(seq);
    return at(seq);
  },
  'a row inserted': (log, chance) => {
    const seq = anyEntry(log, chance);
    log.shift(seq + 1, 1);
    log.copyRow(seq, seq + 1);
    return at(seq + 1);
  },
  'cut off': (log, chance) => {
    const size = chance.integer(1, log.size() - 1);
    log.cut(size);
    return at(size);
  },
  'cut off with its checkpoints': (log, chance) => {
    const size = chance.integer(1, log.size() - 1);
    log.cut(size);
    log.dropCheckpoints(size);
    return at(size);
  },
  'cut off where a checkpoint was': (log, chance) => {
    const sizes = [...new Set(log.checkpoints().map(({ size }) => size))].filter((size) => size < log.size());
    const size = chance.pick(sizes);
    log.cut(size);
    log.dropCheckpoints(size);
    return at(size);
  },
  'an entry in other words': (log, chance) => {
    const seq = anyEntry(log, chance);
    log.rewrite(seq, otherWords(log.entry(seq), chance));
    log.retile();
    return until({ from: seq, to: seq + 1 }, log);
  },
  'an entry with another time': (log, chance) => {
    const seq = anyEntry(log, chance);
    log.rewrite(seq, { t: log.entry(seq).t + 1 });
    log.retile();
    return until({ from: seq, to: seq + 1 }, log);
  },
  'lines swapped': (log, chance) => {
    const a = chance.integer(0, log.size() - 2);
    const b = chance.integer(a + 1, Math.min(a + 12, log.size() - 1));
    const from = Math.min(log.batchOf(a).from, log.batchOf(b).from);
    swapLines(log, a, b);
    log.retile();
    return until({ from: Math.min(a, from), to: b + 1 }, log);
  },
  'an entry dropped without a gap': (log, chance) => {
    const seq = chance.integer(0, log.size() - 2);
    const { from } = log.batchOf(seq);
    log.drop(seq);
    log.shift(seq + 1, -1);
    log.renumber(seq);
    log.retile();
    return until({ from: Math.min(seq, from), to: seq + 1 }, log);
  },
  'an entry inserted without a break': (log, chance) => {
    const seq = anyEntry(log, chance);
    const { from } = log.batchOf(seq);
    log.shift(seq + 1, 1);
    log.copyRow(seq, seq + 1);
    log.renumber(seq + 1);
    log.retile();
    // Behind the last checkpoint it is one more that nobody signed for.
    if (seq + 2 === log.size()) return { expected: { kind: 'unsigned', from: seq + 1 } };
    return until({ from: Math.min(seq + 1, from), to: seq + 2 }, log);
  },
  'an exchange hidden': (log, chance) => {
    const hidden = hideExchange(log, chance, 0) ?? { from: 0, to: 1 };
    log.retile();
    return until(hidden, log);
  },
  'a checkpoint dropped': (log, chance) => {
    const { number } = chance.pick(log.checkpoints());
    log.db.prepare('DELETE FROM checkpoints WHERE number = ?').run(number);
    return { expected: { kind: 'within', from: 0, to: log.size() + 1 } };
  },
  'checkpoints swapped': (log, chance) => {
    const [a, b] = [chance.pick(log.checkpoints()), chance.pick(log.checkpoints())];
    const other = a.size === b.size ? log.checkpoints().find(({ size }) => size !== a.size) : b;
    const put = log.db.prepare('UPDATE checkpoints SET size = ?, note = ? WHERE number = ?');
    put.run(other?.size, other?.note, a.number);
    put.run(a.size, a.note, other?.number);
    return { expected: { kind: 'within', from: 0, to: log.size() + 1 } };
  },
  'another key named': (log) => {
    log.db.exec("UPDATE identity SET verifier_key = replace(verifier_key, '+', '+0')");
    return { expected: { kind: 'within', from: 0, to: 1 } };
  },
  'entries that nobody signed for': (log) => {
    const seq = log.size();
    log.copyRow(log.db.prepare('SELECT max(seq) FROM entries WHERE statement IS NULL').pluck().get() as number, seq);
    log.rewrite(seq, { seq, t: log.entry(seq - 1).t, id: `forged ${seq}` });
    return { expected: { kind: 'unsigned', from: seq } };
  },
};

/** With the server's own checkpoint key: what was changed is signed again, in the database alone or everywhere. */
const CHANGES: Record<string, (log: Forgery, chance: Source) => Span & { hidesExchange: boolean }> = {
  'in other words': (log, chance) => {
    const seq = anyEntry(log, chance);
    log.rewrite(seq, otherWords(log.entry(seq), chance));
    return { from: seq, to: seq + 1, hidesExchange: false };
  },
  'without an exchange': (log, chance) => {
    const hidden = hideExchange(log, chance, chance.integer(0, Math.floor(log.size() / 2)));
    return { ...(hidden ?? { from: 0, to: 1 }), hidesExchange: hidden !== null };
  },
  'cut shorter': (log, chance) => {
    const size = chance.integer(1, log.size() - 1);
    const { from, to } = log.batchOf(size);
    // Never within a batch: its signer's other statements would be missed.
    const end = from < size && to > size ? from : size;
    log.cut(Math.max(1, end));
    return { from: Math.max(1, end), to: Math.max(1, end) + 1, hidesExchange: false };
  },
};

function resigned(what: string, how: 'database' | 'everywhere' | 'without anchorings'): Edit {
  return (log, chance, { subject }) => {
    const before = log.size();
    const changed = CHANGES[what]?.(log, chance);
    if (changed === undefined) throw new TypeError(what);
    const { from, hidesExchange } = changed;
    if (how === 'without anchorings') {
      for (const seq of anchoredBehind(log, from)) {
        log.drop(seq);
        log.shift(seq + 1, -1);
      }
      log.renumber(0);
    }
    log.retile();
    const note = log.resign(from, subject.options.origin, subject.sign);
    if (how === 'database') return { expected: { kind: 'within', from, to: before + 1 } };
    return { note, expected: { kind: 'outside', from, hidesExchange } };
  };
}

const EDITS: Record<string, Edit> = {
  ...KEYLESS,
  ...Object.fromEntries(
    Object.keys(CHANGES).flatMap((what) =>
      (['database', 'everywhere', 'without anchorings'] as const).map((how) => [
        `signed again, ${what}, ${how}`,
        resigned(what, how),
      ]),
    ),
  ),
};

export const LOG_EDITS = Object.keys(EDITS);

export function editLog(name: string, template: Template, chance: Source): Edited {
  const log = new Forgery(template.stages.at(-1) ?? Buffer.alloc(0));
  const newest = template.subject.stages.at(-1)?.note ?? null;
  const edit = EDITS[name];
  if (edit === undefined) throw new TypeError(name);
  const { note = newest, expected } = edit(log, chance, template);
  return { database: log.bytes(), note, expected };
}

/** The folder as it was, together with its checkpoint file; the log may go on from there. */
export function rollBack({ subject, stages }: Template, chance: Source, goesOn: boolean): Edited {
  const which = chance.integer(0, stages.length - 2);
  const [stage, bytes] = [subject.stages[which] as Stage, stages[which] as Buffer];
  const expected: Expected = { kind: 'outside', from: stage.size, hidesExchange: false };
  if (!goesOn) return { database: bytes, note: stage.note, expected };
  const log = new Forgery(bytes);
  const { t } = log.entry(stage.size - 1);
  // As many entries as the witness knows of, or more, about which nobody asks.
  const size = subject.outside.size() + chance.integer(0, 3);
  const from = log.db.prepare('SELECT max(seq) FROM entries WHERE statement IS NULL').pluck().get() as number;
  for (let seq = stage.size; seq < size; seq++) {
    log.copyRow(from, seq);
    log.rewrite(seq, { seq, t, id: `another ${seq}` });
  }
  log.retile();
  log.db
    .prepare('INSERT INTO checkpoints VALUES ((SELECT max(number) + 1 FROM checkpoints), ?, ?, ?)')
    .run(size, t, '');
  const last = log.checkpoints().at(-1)?.number ?? 0;
  log.db.prepare('UPDATE checkpoints SET size = ? WHERE number = ?').run(size, last);
  const note = log.resign(stage.size, subject.options.origin, subject.sign);
  return { database: log.bytes(), note, expected };
}
