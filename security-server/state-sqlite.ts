// The state of a security server in SQLite. Small tables read on every request, so rows are kept in memory and every
// write goes to the disk first; a change is effective when the call returns.
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { syncFolder } from '#core/log/checkpoint-file.ts';
import { unchanging } from '#policy/unchanging.ts';
import { type AccessRight, type EndpointRule, PLAIN_TERMS } from '#schemas/access-right.ts';
import type { Group, GroupFacts } from '#schemas/groups.ts';
import { DEFAULT_RETENTION } from '#schemas/retention.ts';
import { OPERATOR_SCHEMA, operatorState } from './operator-state-sqlite.ts';
import type { InformationSystem, LocalService, ServerState, ServiceDescription } from './state.ts';

const SCHEMA = `
CREATE TABLE IF NOT EXISTS service (id TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS access_right (id TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS service_description (
  service TEXT PRIMARY KEY, hash TEXT NOT NULL, endpoints TEXT NOT NULL, bytes BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS local_group (code TEXT PRIMARY KEY, title TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS local_group_member (
  code TEXT NOT NULL REFERENCES local_group (code) ON DELETE CASCADE, subsystem TEXT NOT NULL,
  PRIMARY KEY (code, subsystem)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS information_system (
  subsystem TEXT NOT NULL, certificate_hash TEXT NOT NULL, name TEXT NOT NULL,
  PRIMARY KEY (subsystem, certificate_hash)) STRICT;
CREATE TABLE IF NOT EXISTS quota_use (
  right_id TEXT NOT NULL, day INTEGER NOT NULL, used INTEGER NOT NULL,
  PRIMARY KEY (right_id, day)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS predicate_use (
  client TEXT NOT NULL, subject_tag TEXT NOT NULL, input TEXT NOT NULL, predicate TEXT NOT NULL, day INTEGER NOT NULL,
  PRIMARY KEY (client, subject_tag, input, predicate)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS receipt_use (
  jti TEXT PRIMARY KEY, used INTEGER NOT NULL, expires_at_s INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS receipt_window_use (
  jti TEXT NOT NULL, issuer TEXT NOT NULL, leaves_at_ms INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS receipt_window_use_of ON receipt_window_use (jti, issuer, leaves_at_ms);
CREATE INDEX IF NOT EXISTS receipt_window_use_at ON receipt_window_use (leaves_at_ms);
CREATE TABLE IF NOT EXISTS evidence_use (
  client TEXT NOT NULL, jti TEXT NOT NULL, expires_at_s INTEGER NOT NULL,
  PRIMARY KEY (client, jti)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS emergency_person (
  client TEXT NOT NULL, emergency TEXT NOT NULL, subject_tag TEXT NOT NULL, used INTEGER NOT NULL,
  expires_at_s INTEGER NOT NULL,
  PRIMARY KEY (client, emergency, subject_tag)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS predicate_use_day ON predicate_use (day);
`;

/** Opens or creates the file. */
export function openStateSqlite(file: string): ServerState {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('foreign_keys = ON');
  db.exec(SCHEMA + OPERATOR_SCHEMA);
  syncFolder(dirname(file));
  const rights = new Map(
    documents<AccessRight>(db, 'access_right')
      .map(complete)
      .map((one) => [one.id, unchanging(one)]),
  );
  let withRetention = servicesWithRetention(rights.values());
  const loadSystems = () =>
    db
      .prepare('SELECT subsystem, name, certificate_hash AS certificateHash FROM information_system ORDER BY 1, 3')
      .all() as InformationSystem[];
  let systems = loadSystems();
  const putRight = upsert(db, 'access_right');
  const usedOf = db.prepare('SELECT used FROM quota_use WHERE right_id = ? AND day = ?').pluck();
  const count = db.prepare(
    'INSERT INTO quota_use VALUES (?, ?, 1) ON CONFLICT (right_id, day) DO UPDATE SET used = used + 1',
  );
  const takeBack = db.prepare('UPDATE quota_use SET used = used - 1 WHERE right_id = ? AND day = ? AND used > 0');

  const together = db.transaction((work: () => unknown) => work());

  return {
    ...localServices(db),
    ...descriptions(db),
    rightsFor: (holders, service) =>
      [...rights.values()].filter((right) => right.service === service && holders.includes(right.client)),
    rights: () => [...rights.values()],
    hasOwnRetention: (service) => withRetention.has(service),
    putRight(right) {
      putRight.run(right.id, JSON.stringify(right));
      rights.set(right.id, unchanging(structuredClone(right)));
      withRetention = servicesWithRetention(rights.values());
    },
    removeRight(id) {
      db.prepare('DELETE FROM access_right WHERE id = ?').run(id);
      const isThere = rights.delete(id);
      withRetention = servicesWithRetention(rights.values());
      return isThere;
    },
    ...localGroups(db),
    systems: () => [...systems],
    systemsByCertificate: (hash) => systems.filter((system) => system.certificateHash === hash),
    putSystem({ subsystem, certificateHash, name }) {
      db.prepare(
        'INSERT INTO information_system VALUES (?, ?, ?) ON CONFLICT (subsystem, certificate_hash) DO UPDATE SET name = excluded.name',
      ).run(subsystem, certificateHash, name);
      systems = loadSystems();
    },
    removeSystem(subsystem, certificateHash) {
      const done = db
        .prepare('DELETE FROM information_system WHERE subsystem = ? AND certificate_hash = ?')
        .run(subsystem, certificateHash);
      systems = loadSystems();
      return done.changes > 0;
    },
    used: (rightId, day) => (usedOf.get(rightId, day) as number | undefined) ?? 0,
    countUse(rightId, day) {
      count.run(rightId, day);
    },
    takeBackUse(rightId, day) {
      takeBack.run(rightId, day);
    },
    ...operatorState(db),
    ...predicateUse(db),
    ...receiptUse(db),
    ...receiptWindow(db),
    ...evidenceUse(db),
    ...emergencyUse(db),
    together: <T>(work: () => T) => together(work) as T,
    close: () => db.close(),
  };
}

type DocumentTable = 'service' | 'access_right';

/** Asked for every request, so made when a right changes. */
function servicesWithRetention(rights: Iterable<AccessRight>): Set<string> {
  const own = [...rights].filter(({ retention }) => retention !== DEFAULT_RETENTION);
  return new Set(own.map(({ service }) => service));
}

function documents<T>(db: Database.Database, table: DocumentTable): T[] {
  return (db.prepare(`SELECT json FROM ${table}`).all() as { json: string }[]).map((row) => JSON.parse(row.json) as T);
}

function upsert(db: Database.Database, table: DocumentTable): Database.Statement {
  const update = 'ON CONFLICT (id) DO UPDATE SET json = excluded.json';
  return db.prepare(`INSERT INTO ${table} (id, json) VALUES (?, ?) ${update}`);
}

function localServices(
  db: Database.Database,
): Pick<ServerState, 'service' | 'services' | 'putService' | 'removeService'> {
  const services = new Map(documents<LocalService>(db, 'service').map((one) => [one.id, one]));
  const put = upsert(db, 'service');
  const remove = db.prepare('DELETE FROM service WHERE id = ?');
  return {
    service: (id) => services.get(id) ?? null,
    services: () => [...services.values()],
    putService(service) {
      put.run(service.id, JSON.stringify(service));
      services.set(service.id, service);
    },
    removeService(id) {
      remove.run(id);
      return services.delete(id);
    },
  };
}

/** A right that was granted before ceilings and pins existed opens what it opened then: nothing that is bound. */
function complete(right: AccessRight): AccessRight {
  const kept: Partial<AccessRight> = right;
  return { ...right, ...PLAIN_TERMS, pins: {}, ...kept };
}

type Descriptions = Pick<ServerState, 'description' | 'putDescription' | 'removeDescription' | 'describedEndpoints'>;

/** Documents are large and asked for seldom: they are read when they are; their endpoints are kept at hand. */
function descriptions(db: Database.Database): Descriptions {
  const find = db.prepare('SELECT hash, bytes FROM service_description WHERE service = ?');
  const put = db.prepare('INSERT OR REPLACE INTO service_description VALUES (?, ?, ?, ?)');
  const remove = db.prepare('DELETE FROM service_description WHERE service = ?');
  const all = db.prepare('SELECT service, hash, endpoints FROM service_description').all() as {
    service: string;
    hash: string;
    endpoints: string;
  }[];
  const known = new Map(
    all.map(({ service, hash, endpoints }) => [service, { hash, endpoints: JSON.parse(endpoints) as EndpointRule[] }]),
  );
  return {
    description: (service) => (find.get(service) as ServiceDescription | undefined) ?? null,
    putDescription(service, { hash, bytes, endpoints }) {
      put.run(service, hash, JSON.stringify(endpoints), bytes);
      known.set(service, { hash, endpoints: [...endpoints] });
    },
    removeDescription(service) {
      remove.run(service);
      return known.delete(service);
    },
    describedEndpoints: (service) => known.get(service) ?? null,
  };
}

type LocalGroups = Pick<
  ServerState,
  'groups' | 'putGroup' | 'removeGroup' | 'addToGroup' | 'removeFromGroup' | 'groupsOf'
>;

function localGroups(db: Database.Database): LocalGroups {
  const all = db.prepare('SELECT code, title FROM local_group ORDER BY code');
  const members = db.prepare('SELECT subsystem FROM local_group_member WHERE code = ? ORDER BY subsystem').pluck();
  const load = () =>
    (all.all() as GroupFacts[]).map((group) => ({ ...group, members: members.all(group.code) as string[] }));
  const index = (groups: Group[]) => {
    const bySubsystem = new Map<string, string[]>();
    for (const { code, members } of groups) {
      for (const one of members) bySubsystem.set(one, [...(bySubsystem.get(one) ?? []), code]);
    }
    return bySubsystem;
  };
  let groups = load();
  let bySubsystem = index(groups);
  const change = (sql: string, ...values: string[]) => {
    const isChanged = db.prepare(sql).run(...values).changes > 0;
    groups = load();
    bySubsystem = index(groups);
    return isChanged;
  };
  return {
    groups: () => groups.map((group) => ({ ...group, members: [...group.members] })),
    putGroup({ code, title }) {
      const update = 'ON CONFLICT (code) DO UPDATE SET title = excluded.title';
      change(`INSERT INTO local_group VALUES (?, ?) ${update}`, code, title);
    },
    removeGroup: (code) => change('DELETE FROM local_group WHERE code = ?', code),
    addToGroup: (code, subsystem) =>
      change(
        'INSERT OR IGNORE INTO local_group_member SELECT code, ? FROM local_group WHERE code = ?',
        ...[subsystem, code],
      ),
    removeFromGroup: (code, subsystem) =>
      change('DELETE FROM local_group_member WHERE code = ? AND subsystem = ?', code, subsystem),
    groupsOf: (subsystem) => bySubsystem.get(subsystem) ?? [],
  };
}

type PredicateUse = Pick<ServerState, 'predicatesUsed' | 'countPredicate' | 'forgetPredicates'>;

function predicateUse(db: Database.Database): PredicateUse {
  const predicatesOf = db
    .prepare(
      'SELECT predicate FROM predicate_use WHERE client = ? AND subject_tag = ? AND input = ? AND day >= ? ORDER BY 1',
    )
    .pluck();
  const count = db.prepare(
    'INSERT INTO predicate_use VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET day = max(day, excluded.day)',
  );
  const forget = db.prepare('DELETE FROM predicate_use WHERE day < ?');
  return {
    predicatesUsed: (client, tag, input, sinceDay) => predicatesOf.all(client, tag, input, sinceDay) as string[],
    countPredicate(client, tag, input, predicate, day) {
      count.run(client, tag, input, predicate, day);
    },
    forgetPredicates(beforeDay) {
      forget.run(beforeDay);
    },
  };
}

/** Uses that have left their window stay so long, for a clock that is set back: what it counts again must still be there. */
const WINDOWS_KEPT_MS = 30 * 86_400_000;

type ReceiptUse = Pick<ServerState, 'receiptUsed' | 'countReceiptUse' | 'takeBackReceiptUse' | 'forgetReceipts'>;

function receiptUse(db: Database.Database): ReceiptUse {
  const usedOf = db.prepare('SELECT used FROM receipt_use WHERE jti = ?').pluck();
  const count = db.prepare('INSERT INTO receipt_use VALUES (?, 1, ?) ON CONFLICT (jti) DO UPDATE SET used = used + 1');
  const takeBack = db.prepare('UPDATE receipt_use SET used = used - 1 WHERE jti = ? AND used > 0');
  const forget = db.prepare('DELETE FROM receipt_use WHERE expires_at_s < ?');
  const forgetWindows = db.prepare('DELETE FROM receipt_window_use WHERE leaves_at_ms < ?');
  return {
    receiptUsed: (jti) => (usedOf.get(jti) as number | undefined) ?? 0,
    countReceiptUse: (jti, expiresAtS) => void count.run(jti, expiresAtS),
    takeBackReceiptUse: (jti) => void takeBack.run(jti),
    forgetReceipts(beforeS) {
      forget.run(beforeS);
      forgetWindows.run(beforeS * 1000 - WINDOWS_KEPT_MS);
    },
  };
}

type ReceiptWindow = Pick<ServerState, 'usedInWindow' | 'leavesWindowAtMs' | 'countInWindow' | 'takeBackFromWindow'>;

/** One row for each request, so that the window moves with the time. */
function receiptWindow(db: Database.Database): ReceiptWindow {
  const of = 'FROM receipt_window_use WHERE jti = ? AND issuer = ?';
  const used = db.prepare(`SELECT count(*) ${of} AND leaves_at_ms > ?`).pluck();
  const nth = db.prepare(`SELECT leaves_at_ms ${of} ORDER BY leaves_at_ms DESC LIMIT 1 OFFSET ?`).pluck();
  const count = db.prepare('INSERT INTO receipt_window_use VALUES (?, ?, ?)');
  const takeBack = db.prepare(
    `DELETE FROM receipt_window_use WHERE rowid = (SELECT rowid ${of} AND leaves_at_ms = ? LIMIT 1)`,
  );
  return {
    usedInWindow: ({ jti, issuer }, atMs) => used.get(jti, issuer, atMs) as number,
    leavesWindowAtMs: ({ jti, issuer }, uses) => (nth.get(jti, issuer, uses - 1) as number | undefined) ?? null,
    countInWindow: ({ jti, issuer }, leavesAtMs) => void count.run(jti, issuer, leavesAtMs),
    takeBackFromWindow: ({ jti, issuer }, leavesAtMs) => void takeBack.run(jti, issuer, leavesAtMs),
  };
}

type EvidenceUse = Pick<ServerState, 'evidenceUsed' | 'useEvidence' | 'takeBackEvidence' | 'forgetEvidence'>;

function evidenceUse(db: Database.Database): EvidenceUse {
  const usedOf = db.prepare('SELECT 1 FROM evidence_use WHERE client = ? AND jti = ?').pluck();
  // No ON CONFLICT: a token that is spent twice is a mistake here, and must not pass.
  const use = db.prepare('INSERT INTO evidence_use VALUES (?, ?, ?)');
  const takeBack = db.prepare('DELETE FROM evidence_use WHERE client = ? AND jti = ?');
  const forgetTokens = db.prepare('DELETE FROM evidence_use WHERE expires_at_s < ?');
  const forgetPersons = db.prepare('DELETE FROM emergency_person WHERE expires_at_s < ?');
  return {
    evidenceUsed: (client, jti) => usedOf.get(client, jti) !== undefined,
    useEvidence: (client, jti, expiresAtS) => void use.run(client, jti, expiresAtS),
    takeBackEvidence: (client, jti) => void takeBack.run(client, jti),
    forgetEvidence(beforeS) {
      forgetTokens.run(beforeS);
      forgetPersons.run(beforeS);
    },
  };
}

type EmergencyUse = Pick<ServerState, 'emergencyPersons' | 'countEmergencyPerson' | 'takeBackEmergencyPerson'>;

/** Counted by use and not by person, so that taking one look-up back leaves the person's others counted. */
function emergencyUse(db: Database.Database): EmergencyUse {
  const others = db
    .prepare(
      'SELECT count(*) FROM emergency_person WHERE client = ? AND emergency = ? AND subject_tag IS NOT ? AND used > 0',
    )
    .pluck();
  const count = db.prepare(
    'INSERT INTO emergency_person VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET used = used + 1',
  );
  const takeBack = db.prepare(
    'UPDATE emergency_person SET used = used - 1 WHERE client = ? AND emergency = ? AND subject_tag = ? AND used > 0',
  );
  return {
    emergencyPersons: (client, emergency, otherThan) => others.get(client, emergency, otherThan) as number,
    countEmergencyPerson: (client, emergency, tag, expiresAtS) => void count.run(client, emergency, tag, expiresAtS),
    takeBackEmergencyPerson: (client, emergency, tag) => void takeBack.run(client, emergency, tag),
  };
}
