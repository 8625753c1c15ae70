// The part of a security server's state that says how it is run: the ways in which information systems connect,
// maintenance, and how long the message log has waited for a time-stamp. In the same SQLite file as the rest, in memory while the server runs; a change is effective when the call
// returns, and still in force after a restart.
import type Database from 'better-sqlite3';
import type { KeptGrace } from './anchoring/grace.ts';
import type { ConnectionRule, Maintenance, ServerState } from './state.ts';

export const OPERATOR_SCHEMA = `
CREATE TABLE IF NOT EXISTS connection_rule (subsystem TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS maintenance (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS grace (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL) STRICT;
`;

type OperatorState = Pick<
  ServerState,
  | 'connectionRule'
  | 'connectionRules'
  | 'putConnectionRule'
  | 'removeConnectionRule'
  | 'maintenance'
  | 'startMaintenance'
  | 'endMaintenance'
  | 'grace'
  | 'keepGrace'
>;

export function operatorState(db: Database.Database): OperatorState {
  const read = <T>(sql: string) =>
    (db.prepare(sql).all() as { json: string }[]).map(({ json }) => Object.freeze(JSON.parse(json)) as T);
  const rules = new Map(
    read<ConnectionRule>('SELECT json FROM connection_rule ORDER BY subsystem').map((rule) => [rule.subsystem, rule]),
  );
  let grace = read<KeptGrace>('SELECT json FROM grace')[0] ?? null;
  const keepGrace = db.prepare('INSERT INTO grace VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET json = excluded.json');
  let maintenance = read<Maintenance>('SELECT json FROM maintenance')[0] ?? null;
  return {
    connectionRule: (subsystem) => rules.get(subsystem) ?? null,
    connectionRules: () => [...rules.values()],
    putConnectionRule(rule) {
      db.prepare(
        'INSERT INTO connection_rule VALUES (?, ?) ON CONFLICT (subsystem) DO UPDATE SET json = excluded.json',
      ).run(rule.subsystem, JSON.stringify(rule));
      rules.set(rule.subsystem, rule);
    },
    removeConnectionRule(subsystem) {
      db.prepare('DELETE FROM connection_rule WHERE subsystem = ?').run(subsystem);
      return rules.delete(subsystem);
    },
    grace: () => grace,
    keepGrace(kept) {
      if (kept === null) db.prepare('DELETE FROM grace').run();
      else keepGrace.run(JSON.stringify(kept));
      grace = kept;
    },
    maintenance: () => maintenance,
    startMaintenance(started) {
      db.prepare('INSERT INTO maintenance VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET json = excluded.json').run(
        JSON.stringify(started),
      );
      maintenance = started;
    },
    endMaintenance() {
      const wasOn = maintenance !== null;
      db.prepare('DELETE FROM maintenance').run();
      maintenance = null;
      return wasOn;
    },
  };
}
