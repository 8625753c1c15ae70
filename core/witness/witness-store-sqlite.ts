// A witness's memory in SQLite (contract: store.ts): write-ahead log with `synchronous=FULL`, STRICT tables whose triggers
// keep a tree from becoming smaller, also against REPLACE. A file of a department's witness holds these tables alone; the
// registry's holds the aggregate log beside them (central-registry/aggregate-store-sqlite.ts), in the same transactions.
// Whoever can write to the folder controls what is read here; nobody else does.
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { syncFolder } from '#core/log/checkpoint-file.ts';
import { configure, durably, reserveFile } from '#core/log/store-sqlite.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Advance, ForkEvidence, WitnessedTree, WitnessStore, WitnessTurn } from './store.ts';

export type WitnessDatabase = InstanceType<typeof Database>;

const APPLICATION_ID = 0x61637774; // 'acwt'
const FORMAT_VERSION = 1;
/** For tests: nothing of it outlives the process. */
const IN_MEMORY = ':memory:';
/** Evidence kept of one origin, by kind: the first says it all, more would fill the disk. */
const MAX_FORKS_OF_ONE = 4;
const MAX_FORKS = 10_000;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS origins (
  number INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, root BLOB NOT NULL CHECK (length(root) = 32),
  note TEXT NOT NULL, at_ms INTEGER NOT NULL, subtrees BLOB) STRICT;
CREATE TRIGGER IF NOT EXISTS origins_only_grow BEFORE UPDATE ON origins
  WHEN NEW.number <> OLD.number OR NEW.origin <> OLD.origin OR NEW.size <= OLD.size
  BEGIN SELECT RAISE(ABORT, 'a tree never becomes smaller'); END;
CREATE TRIGGER IF NOT EXISTS origins_stay BEFORE DELETE ON origins BEGIN SELECT RAISE(ABORT, 'an origin stays'); END;
CREATE TRIGGER IF NOT EXISTS origins_once BEFORE INSERT ON origins
  WHEN EXISTS (SELECT 1 FROM origins WHERE origin = NEW.origin OR number = NEW.number)
  BEGIN SELECT RAISE(ABORT, 'an origin stays'); END;
CREATE TABLE IF NOT EXISTS forks (
  number INTEGER PRIMARY KEY, origin TEXT NOT NULL, kind TEXT NOT NULL, held TEXT NOT NULL, shown TEXT NOT NULL,
  at_ms INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS forks_origin ON forks(origin, kind);
CREATE TRIGGER IF NOT EXISTS forks_no_update BEFORE UPDATE ON forks BEGIN SELECT RAISE(ABORT, 'evidence stays'); END;
CREATE TRIGGER IF NOT EXISTS forks_no_delete BEFORE DELETE ON forks BEGIN SELECT RAISE(ABORT, 'evidence stays'); END;
CREATE TRIGGER IF NOT EXISTS forks_once BEFORE INSERT ON forks
  WHEN EXISTS (SELECT 1 FROM forks WHERE number = NEW.number) BEGIN SELECT RAISE(ABORT, 'evidence stays'); END;
`;

/** What else a store does with a step, in its transaction, and what it knows beside. */
export interface WitnessHistory {
  advanced(number: number, step: Advance, atMs: number): void;
  earlier(origin: string, size: number): string | null;
}

/** Opens or makes the file. @param more schema of what lies in it beside @throws LOG_DATABASE_DAMAGED for another file */
export function openWitnessDatabase(file: string, more = ''): WitnessDatabase {
  const db = new Database(file === IN_MEMORY ? file : reserveFile(file), { timeout: 5_000 });
  try {
    configure(db);
    const [id, version] = ['application_id', 'user_version'].map((name) => db.pragma(name, { simple: true }));
    if (version !== 0 && (id !== APPLICATION_ID || version !== FORMAT_VERSION)) {
      throw new AccordError('LOG_DATABASE_DAMAGED', `${file} is no witness's memory of format ${FORMAT_VERSION}`);
    }
    db.transaction(() => {
      db.exec(SCHEMA + more);
      db.pragma(`application_id = ${APPLICATION_ID}`);
      db.pragma(`user_version = ${FORMAT_VERSION}`);
    })();
    if (file !== IN_MEMORY) syncFolder(dirname(file));
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** The witness of one file that holds nothing else. */
export function openWitnessStoreSqlite(file: string): WitnessStore {
  return witnessStore(openWitnessDatabase(file));
}

export function witnessStore(db: WitnessDatabase, history?: WitnessHistory): WitnessStore {
  const latestOf = db.prepare('SELECT number, size, root, note, subtrees FROM origins WHERE origin = ?');
  const count = db.prepare('SELECT count(*) FROM origins').pluck();
  const forks = db.prepare('SELECT origin, kind, held, shown, at_ms AS atMs FROM forks ORDER BY number LIMIT ?');
  const latest = (origin: string): (WitnessedTree & { number: number }) | null =>
    (latestOf.get(origin) as (WitnessedTree & { number: number }) | undefined) ?? null;
  const turn: WitnessTurn = { latest, advance: advancer(db, latest, history), keepFork: forkKeeper(db) };
  return {
    turn: (run) => durably(db, () => run(turn)),
    latest,
    earlier: (origin, size) => history?.earlier(origin, size) ?? null,
    origins: () => count.get() as number,
    forks: () => forks.all(MAX_FORKS) as ForkEvidence[],
    close: () => db.close(),
  };
}

function advancer(
  db: WitnessDatabase,
  latest: (origin: string) => { number: number } | null,
  history: WitnessHistory | undefined,
): WitnessTurn['advance'] {
  const grow = db.prepare('UPDATE origins SET size = ?, root = ?, note = ?, at_ms = ?, subtrees = ? WHERE number = ?');
  const begin = db.prepare('INSERT INTO origins (origin, size, root, note, at_ms, subtrees) VALUES (?, ?, ?, ?, ?, ?)');
  return (step, atMs) => {
    const { size, root, note, subtrees = null } = step.tree;
    const known = latest(step.origin)?.number;
    if (known === undefined) {
      const number = Number(begin.run(step.origin, size, root, note, atMs, subtrees).lastInsertRowid);
      history?.advanced(number, step, atMs);
    } else {
      grow.run(size, root, note, atMs, subtrees, known);
      history?.advanced(known, step, atMs);
    }
  };
}

function forkKeeper(db: WitnessDatabase): WitnessTurn['keepFork'] {
  const keptOf = db.prepare('SELECT held, shown FROM forks WHERE origin = ? AND kind = ?');
  const kept = db.prepare('SELECT count(*) FROM forks').pluck();
  const keep = db.prepare('INSERT INTO forks (origin, kind, held, shown, at_ms) VALUES (?, ?, ?, ?, ?)');
  return ({ origin, kind, held, shown, atMs }) => {
    const before = keptOf.all(origin, kind) as { held: string; shown: string }[];
    const isKnown = before.some((row) => row.shown === shown);
    if (isKnown || before.length >= MAX_FORKS_OF_ONE || (kept.get() as number) >= MAX_FORKS) return false;
    keep.run(origin, kind, held, shown, atMs);
    return true;
  };
}
