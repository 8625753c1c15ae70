// Emergencies in the registry's database: what two officials signed, who handed it in and when, and what reviews found.
// Nothing of it is ever deleted or changed but that a review is noted. One id with other terms is another emergency of that
// id: whoever reuses an id to be reviewed once must be reviewed for each. Shares the connection, and with it the
// transactions, of store-sqlite.ts; what is written here was verified before.
import type Database from 'better-sqlite3';
import type { Emergency } from '#certs/evidence.ts';
import type { LocksList } from '#schemas/configuration.ts';
import type { EmergencyReview } from '#schemas/evidence.ts';
import { MAX_EMERGENCY_REPORTERS } from '#schemas/limits.ts';

export const EMERGENCIES_SCHEMA = `
CREATE TABLE IF NOT EXISTS emergencies (
  seq INTEGER PRIMARY KEY, subsystem TEXT NOT NULL, id TEXT NOT NULL, terms TEXT NOT NULL, text TEXT NOT NULL,
  tokens TEXT NOT NULL, until_ms INTEGER NOT NULL, reported_ms INTEGER NOT NULL, reviewed_ms INTEGER,
  UNIQUE (subsystem, id, terms)) STRICT;
CREATE INDEX IF NOT EXISTS emergencies_waiting ON emergencies(subsystem, seq) WHERE reviewed_ms IS NULL;
CREATE INDEX IF NOT EXISTS emergencies_id ON emergencies(id);
CREATE TRIGGER IF NOT EXISTS emergencies_no_delete BEFORE DELETE ON emergencies
  BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TABLE IF NOT EXISTS emergency_reports (
  emergency INTEGER NOT NULL REFERENCES emergencies(seq), by TEXT NOT NULL, at_ms INTEGER NOT NULL,
  PRIMARY KEY (emergency, by)) STRICT;
CREATE TABLE IF NOT EXISTS emergency_reviews (
  subsystem TEXT NOT NULL, id TEXT NOT NULL, hash TEXT NOT NULL, text TEXT NOT NULL, token TEXT NOT NULL,
  at_ms INTEGER NOT NULL, PRIMARY KEY (subsystem, id, hash)) STRICT;
`;

export interface EmergencyRow {
  seq: number;
  subsystem: string;
  emergency: Emergency;
  /** The two texts as they were first handed in. */
  tokens: string[];
  untilMs: number;
  reportedAtMs: number;
  reviewedAtMs: number | null;
}

type NewEmergency = Omit<EmergencyRow, 'seq' | 'reviewedAtMs'> & { terms: string };
type Row = Omit<EmergencyRow, 'emergency' | 'tokens'> & { text: string; tokens: string };

const COLUMNS = `seq, subsystem, text, tokens, until_ms AS untilMs, reported_ms AS reportedAtMs,
  reviewed_ms AS reviewedAtMs FROM emergencies`;

export class EmergencyStore {
  readonly #db: InstanceType<typeof Database>;

  constructor(db: InstanceType<typeof Database>) {
    this.#db = db;
  }

  /** The one that stands there afterwards: handed in again, nothing changes. @param terms hash of what both signed */
  put({ subsystem, emergency, terms, tokens, untilMs, reportedAtMs }: NewEmergency): EmergencyRow {
    const sql = `INSERT OR IGNORE INTO emergencies
      SELECT COALESCE(MAX(seq), 0) + 1, ?, ?, ?, ?, ?, ?, ?, NULL FROM emergencies`;
    const [id, text, both] = [emergency.emergency, JSON.stringify(emergency), JSON.stringify(tokens)];
    this.#db.prepare(sql).run(subsystem, id, terms, text, both, untilMs, reportedAtMs);
    const row = this.find(subsystem, id, terms);
    if (!row) throw new TypeError('an emergency that was put is there');
    return row;
  }
  find(subsystem: string, id: string, terms: string): EmergencyRow | undefined {
    return this.#rows('WHERE subsystem = ? AND id = ? AND terms = ?', subsystem, id, terms)[0];
  }
  /** The first few servers that say they answered on it. */
  noteReport(seq: number, by: string, atMs: number): void {
    const sql = `INSERT OR IGNORE INTO emergency_reports SELECT ?, ?, ?
      WHERE (SELECT COUNT(*) FROM emergency_reports WHERE emergency = ?) < ?`;
    this.#db.prepare(sql).run(seq, by, atMs, seq, MAX_EMERGENCY_REPORTERS);
  }
  reportsOf(seq: number): { by: string; atMs: number }[] {
    const sql = 'SELECT by, at_ms AS atMs FROM emergency_reports WHERE emergency = ? ORDER BY at_ms, by';
    return this.#db.prepare(sql).all(seq) as { by: string; atMs: number }[];
  }

  /** Whatever terms and subsystems. */
  withId(id: string): EmergencyRow[] {
    return this.#rows('WHERE id = ? ORDER BY seq LIMIT 100', id);
  }
  page(after: number, limit: number): EmergencyRow[] {
    return this.#rows('WHERE seq > ? ORDER BY seq LIMIT ?', after, limit);
  }
  /** Not reviewed, in the order in which they were reported. */
  waiting(subsystem: string, limit: number): EmergencyRow[] {
    return this.#rows('WHERE subsystem = ? AND reviewed_ms IS NULL ORDER BY seq LIMIT ?', subsystem, limit);
  }
  countWaiting(subsystem: string): number {
    const sql = 'SELECT COUNT(*) AS n FROM emergencies WHERE subsystem = ? AND reviewed_ms IS NULL';
    return (this.#db.prepare(sql).get(subsystem) as { n: number }).n;
  }
  /** Of each subsystem the one longest overdue, ascending by subsystem; when there are too many, those longest overdue. */
  overdue(nowMs: number, reviewMs: number, limit: number): LocksList['locks'] {
    const sql = `SELECT subsystem, id AS emergency, MIN(MAX(until_ms, reported_ms)) + ? AS sinceMs FROM emergencies
      WHERE reviewed_ms IS NULL AND MAX(until_ms, reported_ms) + ? <= ?
      GROUP BY subsystem ORDER BY sinceMs, subsystem LIMIT ?`;
    const rows = this.#db.prepare(sql).all(reviewMs, reviewMs, nowMs, limit) as LocksList['locks'];
    return rows.sort((a, b) => (a.subsystem < b.subsystem ? -1 : 1));
  }

  /** Notes the review, and that it settles these. */
  putReview(review: EmergencyReview, hash: string, token: string, settles: readonly number[], atMs: number): void {
    const insert = 'INSERT OR IGNORE INTO emergency_reviews VALUES (?, ?, ?, ?, ?, ?)';
    this.#db.prepare(insert).run(review.iss, review.emergency, hash, JSON.stringify(review), token, atMs);
    const settle = this.#db.prepare('UPDATE emergencies SET reviewed_ms = ? WHERE seq = ? AND reviewed_ms IS NULL');
    for (const seq of settles) settle.run(atMs, seq);
  }
  reviewsOf(subsystem: string, id: string): (EmergencyReview & { atMs: number })[] {
    const sql = `SELECT text, at_ms AS atMs FROM emergency_reviews WHERE subsystem = ? AND id = ?
      ORDER BY at_ms, hash LIMIT 100`;
    const rows = this.#db.prepare(sql).all(subsystem, id) as { text: string; atMs: number }[];
    return rows.map(({ text, atMs }) => ({ ...(JSON.parse(text) as EmergencyReview), atMs }));
  }

  #rows(where: string, ...values: unknown[]): EmergencyRow[] {
    const rows = this.#db.prepare(`SELECT ${COLUMNS} ${where}`).all(...values) as Row[];
    return rows.map(({ text, tokens, ...row }) => ({
      ...row,
      emergency: JSON.parse(text) as Emergency,
      tokens: JSON.parse(tokens) as string[],
    }));
  }
}
