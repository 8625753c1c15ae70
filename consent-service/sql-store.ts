// The statements of the consent store, which both engines understand; what differs between them (the schema, triggers,
// locks, durability) is in store-sqlite.ts and store-postgres.ts. Every value is bound.
import type { ConsentState } from '#schemas/consent.ts';
import type {
  Change,
  ConsentRow,
  ConsentStore,
  MandateRow,
  StoredList,
  StoredReceipt,
  StoredRecord,
  StoredStatus,
} from './store.ts';

type SqlValue = string | number | Buffer | null;
export interface SqlStatement {
  /** With a `?` for each value. */
  sql: string;
  values: readonly SqlValue[];
}
export type SqlRow = Record<string, unknown>;

/** What an engine brings. */
export interface SqlEngine {
  read(statement: SqlStatement): Promise<SqlRow[]>;
  /** All or nothing, durable when it resolves. @throws CONSENT_STORE_FAILED */
  write(statements: readonly SqlStatement[]): Promise<void>;
  close(): Promise<void>;
}

const CONSENT = `SELECT id, client, purpose, purpose_hash AS "purposeHash", subject, services, state,
  filed_at_ms AS "filedAtMs", expires_at_ms AS "expiresAtMs", decided_at_ms AS "decidedAtMs",
  valid_until_ms AS "validUntilMs", mandate FROM consents`;
const MANDATE = `SELECT id, kind, register, represented, representative, purposes, max_level AS "maxLevel",
  not_before_ms AS "notBeforeMs", valid_until_ms AS "validUntilMs", majority_on AS "majorityOn",
  answer_until_ms AS "answerUntilMs", state, filed_at_ms AS "filedAtMs", ended_at_ms AS "endedAtMs", reason FROM mandates`;
const RECORD = 'SELECT seq, line, hash, consent FROM records';
const WAITING: ConsentState = 'REQUESTED';
const IN_FORCE = "state IN ('GIVEN', 'SUSPENDED')";

export function sqlConsentStore(engine: SqlEngine): ConsentStore {
  const rows = async <T>(sql: string, ...values: SqlValue[]) => (await engine.read({ sql, values })) as unknown as T[];
  return {
    ...consentIndex(rows),
    ...mandateIndex(rows),
    head: async () => (await rows<StoredRecord>(`${RECORD} ORDER BY seq DESC LIMIT 1`))[0] ?? null,
    records: (from, limit) => rows(`${RECORD} WHERE seq >= ? ORDER BY seq LIMIT ?`, from, limit),
    recordsOf: async (ids) =>
      ids.length === 0 ? [] : rows(`${RECORD} WHERE consent IN (${places(ids)}) ORDER BY seq`, ...ids),
    append: (change) => engine.write(statementsOf(change)),
    consentOfLink: async (hash, nowMs) => {
      const found = await rows<{ consent: string }>(
        'SELECT consent FROM links WHERE hash = ? AND until_ms > ?',
        hash,
        nowMs,
      );
      return found[0]?.consent ?? null;
    },
    shortenLink: (hash, untilMs) =>
      engine.write([
        statement('UPDATE links SET until_ms = ? WHERE hash = ? AND until_ms > ?', untilMs, hash, untilMs),
      ]),
    sealed: async (consent, kind) => {
      const found = await rows<{ bytes: Buffer }>(
        'SELECT bytes FROM sealed WHERE consent = ? AND kind = ?',
        consent,
        kind,
      );
      return found[0]?.bytes ?? null;
    },
    receiptsOf: async (ids) =>
      ids.length === 0
        ? []
        : rows<StoredReceipt>(
            `SELECT jti, consent, service, jws, list, idx FROM receipts WHERE consent IN (${places(ids)}) ORDER BY consent, service`,
            ...ids,
          ),
    lists: () => rows<StoredList>('SELECT id, subsystem, uri, places FROM lists ORDER BY id'),
    statuses: (list) => rows<StoredStatus>('SELECT list, idx, value FROM statuses WHERE list = ? ORDER BY idx', list),
    purgeLinks: (nowMs) => engine.write([statement('DELETE FROM links WHERE until_ms <= ?', nowMs)]),
    close: () => engine.close(),
  };
}

type Rows = <T>(sql: string, ...values: SqlValue[]) => Promise<T[]>;
type ConsentIndex = Pick<
  ConsentStore,
  'consent' | 'consents' | 'ofSubjects' | 'alike' | 'ofClient' | 'waitingOf' | 'due' | 'purposesInUse' | 'withPurpose'
>;

function consentIndex(rows: Rows): ConsentIndex {
  const consents = (rest: string, ...values: SqlValue[]) => rows<ConsentRow>(`${CONSENT} ${rest}`, ...values);
  return {
    consent: async (id) => (await consents('WHERE id = ?', id))[0] ?? null,
    consents: (after, limit) => consents('WHERE id > ? ORDER BY id LIMIT ?', after, limit),
    ofSubjects: async (subjects, waiting, limit) => {
      if (subjects.length === 0) return [];
      const [operator, order] = waiting
        ? ['=', 'filed_at_ms, id']
        : ['<>', 'coalesce(decided_at_ms, filed_at_ms) DESC, id'];
      const rest = `WHERE subject IN (${places(subjects)}) AND state ${operator} ? ORDER BY ${order} LIMIT ?`;
      return consents(rest, ...subjects, WAITING, limit);
    },
    alike: (client, purpose, subject, limit) =>
      consents(
        'WHERE client = ? AND purpose = ? AND subject = ? ORDER BY filed_at_ms DESC, id DESC LIMIT ?',
        client,
        purpose,
        subject,
        limit,
      ),
    ofClient: (client, limit) => consents('WHERE client = ? ORDER BY filed_at_ms DESC, id DESC LIMIT ?', client, limit),
    waitingOf: async (client, subject) => {
      const sql = `SELECT count(*) AS "all", count(CASE WHEN subject = ? THEN 1 END) AS person FROM consents
        WHERE client = ? AND state = ?`;
      const [found] = await rows<{ all: number; person: number }>(sql, subject, client, WAITING);
      return { all: Number(found?.all ?? 0), person: Number(found?.person ?? 0) };
    },
    due: (nowMs, limit) =>
      consents(
        `WHERE (state = ? AND expires_at_ms <= ?) OR (${IN_FORCE} AND valid_until_ms <= ?) ORDER BY id LIMIT ?`,
        WAITING,
        nowMs,
        nowMs,
        limit,
      ),
    purposesInUse: () =>
      rows(
        `SELECT DISTINCT purpose, purpose_hash AS "purposeHash" FROM consents WHERE state = ? OR ${IN_FORCE}`,
        WAITING,
      ),
    withPurpose: (hash, limit) =>
      consents(`WHERE purpose_hash = ? AND (state = ? OR ${IN_FORCE}) ORDER BY id LIMIT ?`, hash, WAITING, limit),
  };
}

type MandateIndex = Pick<
  ConsentStore,
  'mandate' | 'mandates' | 'mandatesOf' | 'mandatesWith' | 'mandatesDue' | 'givenUnder'
>;

function mandateIndex(rows: Rows): MandateIndex {
  const mandates = async (rest: string, ...values: SqlValue[]): Promise<MandateRow[]> => {
    const found = await rows<Omit<MandateRow, 'purposes'> & { purposes: string | null }>(
      `${MANDATE} ${rest}`,
      ...values,
    );
    return found.map((row) => ({ ...row, purposes: row.purposes?.split(' ') ?? null }));
  };
  return {
    mandate: async (id) => (await mandates('WHERE id = ?', id))[0] ?? null,
    mandatesOf: async (ids) => (ids.length === 0 ? [] : mandates(`WHERE id IN (${places(ids)}) ORDER BY id`, ...ids)),
    mandates: (after, limit) => mandates('WHERE id > ? ORDER BY id LIMIT ?', after, limit),
    mandatesWith: async (role, tags, limit) =>
      tags.length === 0
        ? []
        : mandates(
            `WHERE ${role} IN (${places(tags)}) ORDER BY CASE state WHEN 'ENDED' THEN 1 ELSE 0 END, id DESC LIMIT ?`,
            ...tags,
            limit,
          ),
    mandatesDue: (nowMs, today, limit) =>
      mandates(
        `WHERE (state = 'OFFERED' AND answer_until_ms <= ?) OR (state <> 'ENDED' AND valid_until_ms <= ?)
          OR (state <> 'ENDED' AND majority_on <= ?) ORDER BY id LIMIT ?`,
        ...[nowMs, nowMs, today, limit],
      ),
    givenUnder: async (ids, limit) =>
      ids.length === 0
        ? []
        : rows<ConsentRow>(
            `${CONSENT} WHERE mandate IN (${places(ids)}) AND state = 'GIVEN' ORDER BY id LIMIT ?`,
            ...ids,
            limit,
          ),
  };
}

/** The index of a consent is updated in the statement that follows its record. */
function statementsOf(change: Change): SqlStatement[] {
  const { records, filed = [], moved = [], links = [], sealed = [], receipts = [], lists = [], statuses = [] } = change;
  const { mandates = [], mandatesMoved = [] } = change;
  return [
    ...records.map((r) => insert('records', r.seq, r.line, r.hash, r.consent)),
    ...filed.map((c) =>
      insert(
        'consents',
        ...[c.id, c.client, c.purpose, c.purposeHash, c.subject, c.services, c.state],
        ...[c.filedAtMs, c.expiresAtMs, c.decidedAtMs, c.validUntilMs, c.mandate],
      ),
    ),
    ...moved.map((c) =>
      statement(
        'UPDATE consents SET state = ?, decided_at_ms = ?, valid_until_ms = ?, mandate = coalesce(mandate, ?) WHERE id = ?',
        ...[c.state, c.decidedAtMs, c.validUntilMs, c.mandate ?? null, c.id],
      ),
    ),
    ...mandates.map((m) =>
      insert(
        'mandates',
        ...[m.id, m.kind, m.register, m.represented, m.representative, m.purposes?.join(' ') ?? null, m.maxLevel],
        ...[m.notBeforeMs, m.validUntilMs, m.majorityOn, m.answerUntilMs, m.state, m.filedAtMs, m.endedAtMs, m.reason],
      ),
    ),
    ...mandatesMoved.map((m) =>
      statement(
        'UPDATE mandates SET state = ?, ended_at_ms = ?, reason = ? WHERE id = ?',
        ...[m.state, m.endedAtMs, m.reason, m.id],
      ),
    ),
    ...links.map((l) => insert('links', l.hash, l.consent, l.untilMs)),
    ...sealed.map((s) => insert('sealed', s.consent, s.kind, s.bytes)),
    ...lists.map(({ id, subsystem, uri, places: size }) =>
      statement(
        `INSERT INTO lists (id, subsystem, uri, places) VALUES (?, ?, ?, ?)
          ON CONFLICT (id) DO UPDATE SET places = excluded.places`,
        ...[id, subsystem, uri, size],
      ),
    ),
    ...statuses.map(({ list, idx, value }) =>
      statement(
        `INSERT INTO statuses (list, idx, value) VALUES (?, ?, ?)
          ON CONFLICT (list, idx) DO UPDATE SET value = excluded.value`,
        ...[list, idx, value],
      ),
    ),
    ...receipts.map((r) => insert('receipts', r.jti, r.consent, r.service, r.jws, r.list, r.idx)),
  ];
}

function statement(sql: string, ...values: SqlValue[]): SqlStatement {
  return { sql, values };
}

function insert(table: string, ...values: SqlValue[]): SqlStatement {
  return statement(`INSERT INTO ${table} VALUES (${places(values)})`, ...values);
}

function places(values: readonly unknown[]): string {
  return values.map(() => '?').join(', ');
}
