// Global groups in the registry's database. Shares the connection, and with it the transactions, of store-sqlite.ts; what is
// written here was judged before.
import type Database from 'better-sqlite3';
import type { Group, GroupFacts } from '#schemas/groups.ts';
import type { SubsystemId } from '#schemas/identifiers.ts';

export const GROUPS_SCHEMA = `
CREATE TABLE IF NOT EXISTS global_groups (code TEXT PRIMARY KEY, title TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS global_group_members (
  code TEXT NOT NULL REFERENCES global_groups(code), subsystem TEXT NOT NULL REFERENCES subsystems(id),
  PRIMARY KEY (code, subsystem)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS global_group_members_subsystem ON global_group_members(subsystem);
`;

export class GroupStore {
  readonly #db: InstanceType<typeof Database>;

  constructor(db: InstanceType<typeof Database>) {
    this.#db = db;
  }

  /** Ascending by code, members ascending. */
  all(): Group[] {
    const members = this.#db.prepare('SELECT subsystem FROM global_group_members WHERE code = ? ORDER BY 1').pluck();
    const groups = this.#db.prepare('SELECT code, title FROM global_groups ORDER BY code').all() as GroupFacts[];
    return groups.map((group) => ({ ...group, members: members.all(group.code) as string[] }));
  }
  find(code: string): Group | undefined {
    return this.all().find((group) => group.code === code);
  }
  /** Makes it, or changes its title. */
  put({ code, title }: GroupFacts): void {
    const sql = 'INSERT INTO global_groups VALUES (?, ?) ON CONFLICT(code) DO UPDATE SET title = excluded.title';
    this.#db.prepare(sql).run(code, title);
  }
  /** Of a group without members. */
  remove(code: string): void {
    this.#db.prepare('DELETE FROM global_groups WHERE code = ?').run(code);
  }
  add(code: string, subsystem: SubsystemId): void {
    this.#db.prepare('INSERT INTO global_group_members VALUES (?, ?)').run(code, subsystem);
  }
  take(code: string, subsystem: SubsystemId): boolean {
    const sql = 'DELETE FROM global_group_members WHERE code = ? AND subsystem = ?';
    return this.#db.prepare(sql).run(code, subsystem).changes > 0;
  }
  /** Code of a group that the subsystem is in; undefined when in none. */
  groupOf(subsystem: SubsystemId): string | undefined {
    const sql = 'SELECT code FROM global_group_members WHERE subsystem = ? ORDER BY 1 LIMIT 1';
    return this.#db.prepare(sql).pluck().get(subsystem) as string | undefined;
  }
}
