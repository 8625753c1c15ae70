// The store of record keys in SQLite (contract: record-keys.ts): record-keys.db in a folder of its own, which is never
// the log's and never in its backups. `secure_delete` overwrites what is destroyed and a TRUNCATE checkpoint takes it out
// of the write-ahead log. The keys in the file are wrapped; the storage key is handed in and never stored.
import { type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { CIPHER_KEY_BYTES, cipherKey, decipher, encipher, NONCE_AND_TAG_BYTES } from '#certs/record-cipher.ts';
import { AccordError } from '#schemas/problems.ts';
import { syncFolder } from './checkpoint-file.ts';
import { dayKeys, dayLabel, GROUP_ID_BYTES, groupLabel, KEY_ID_BYTES, readyKeys } from './ready-keys-sqlite.ts';
import type { KeyDay, RecordKeyReader, RecordKeys } from './record-keys.ts';
import { StoreError } from './store.ts';
import { configure, durably, reserveFile } from './store-sqlite.ts';

type Connection = InstanceType<typeof Database>;

const FORMAT_VERSION = 3;
/** Of each class it knew one last day, up to which everything was destroyed. */
const BEFORE_RANGES = 2;
const GONE = Buffer.alloc(CIPHER_KEY_BYTES);
const BUSY_MS = 2_000;
const CHECK = Buffer.from('accord-storage-key/1');

const TABLES = `
CREATE TABLE storage_key (number INTEGER PRIMARY KEY CHECK (number = 1), sealed BLOB NOT NULL) STRICT;
CREATE TABLE day_keys (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  retention TEXT NOT NULL,
  day INTEGER NOT NULL,
  wrapped BLOB NOT NULL,
  UNIQUE (retention, day)
) STRICT;
CREATE TABLE key_groups (
  id BLOB PRIMARY KEY,
  day_key INTEGER NOT NULL REFERENCES day_keys (number),
  issued INTEGER,
  wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX key_groups_by_day ON key_groups (day_key);
`;
const RANGES = `
CREATE TABLE destroyed_days (
  retention TEXT NOT NULL, first_day INTEGER NOT NULL, last_day INTEGER NOT NULL,
  PRIMARY KEY (retention, first_day, last_day)) STRICT, WITHOUT ROWID;
`;
const OLD_RANGES = 'SELECT retention, 0 AS first_day, through_day AS last_day FROM destroyed';

/**
 * Opens, or makes, the key store.
 * @param storageKey 32 bytes
 * @throws RECORD_KEYS_WRONG for another storage key or a damaged file
 */
export function openRecordKeysSqlite(folder: string, storageKey: Buffer): RecordKeys {
  const wrapping = cipherKey(storageKey);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  let db: Connection | undefined;
  try {
    db = new Database(reserveFile(join(folder, 'record-keys.db')), { timeout: BUSY_MS });
    configure(db);
    db.pragma('secure_delete = ON');
    prepareTables(db, wrapping);
    syncFolder(folder);
    return recordKeys(db, wrapping);
  } catch (cause) {
    db?.close();
    if (cause instanceof AccordError) throw cause;
    throw new AccordError('RECORD_KEYS_WRONG', cause instanceof Error ? cause.message : '', { cause });
  }
}

/**
 * Opens the key store for reading, also while a server writes it: what an auditor of the archive needs.
 * @param storageKey 32 bytes
 * @throws RECORD_KEYS_LOST when there is none, LOG_UNREADABLE, RECORD_KEYS_WRONG
 */
export function readRecordKeysSqlite(folder: string, storageKey: Buffer): RecordKeyReader {
  const wrapping = cipherKey(storageKey);
  const file = join(folder, 'record-keys.db');
  if (!existsSync(file)) throw new AccordError('RECORD_KEYS_LOST', file);
  let db: Connection | undefined;
  try {
    db = new Database(file, { readonly: true, fileMustExist: true, timeout: 5_000 });
    const isOld = db.pragma('user_version', { simple: true }) === BEFORE_RANGES;
    if (isOld) db.exec(`CREATE TEMP VIEW destroyed_days AS ${OLD_RANGES}`);
    checkTables(db, wrapping, isOld ? BEFORE_RANGES : FORMAT_VERSION);
    return recordKeys(db, wrapping);
  } catch (cause) {
    db?.close();
    if (cause instanceof AccordError) throw cause;
    const code = cause instanceof Database.SqliteError ? cause.code : '';
    const isClosed = /^SQLITE_(CANTOPEN|READONLY|PERM|AUTH)/.test(code);
    const detail = cause instanceof Error ? cause.message : '';
    throw new AccordError(isClosed ? 'LOG_UNREADABLE' : 'RECORD_KEYS_WRONG', detail, { cause });
  }
}

function prepareTables(db: Connection, storageKey: KeyObject): void {
  db.transaction(() => {
    if (db.pragma('user_version', { simple: true }) === 0) {
      db.exec(TABLES + RANGES);
      db.prepare('INSERT INTO storage_key VALUES (1, ?)').run(encipher(storageKey, CHECK, CHECK));
      db.pragma(`user_version = ${FORMAT_VERSION}`);
    }
    if (db.pragma('user_version', { simple: true }) === BEFORE_RANGES) {
      db.exec(`${RANGES} INSERT INTO destroyed_days ${OLD_RANGES}; DROP TABLE destroyed`);
      db.pragma(`user_version = ${FORMAT_VERSION}`);
    }
  }).immediate();
  checkTables(db, storageKey);
}

function checkTables(db: Connection, storageKey: KeyObject, version = FORMAT_VERSION): void {
  if (db.pragma('user_version', { simple: true }) !== version) {
    throw new AccordError('RECORD_KEYS_WRONG', `not a key store of format ${FORMAT_VERSION}`);
  }
  const sealed = db.prepare('SELECT sealed FROM storage_key').pluck().get() as Buffer | undefined;
  if (sealed === undefined || decipher(storageKey, CHECK, sealed) === null) {
    throw new AccordError('RECORD_KEYS_WRONG', 'another storage key');
  }
}

function recordKeys(db: Connection, storageKey: KeyObject): RecordKeys & RecordKeyReader {
  const days = dayKeys(db, storageKey);
  const ready = readyKeys(db, days);
  const find = db.prepare('SELECT day_key AS dayKey, wrapped FROM key_groups WHERE id = ?');
  const rewrite = db.prepare('UPDATE key_groups SET wrapped = ? WHERE id = ?');
  const wasDestroyed = db.prepare(
    'SELECT 1 FROM destroyed_days WHERE retention = ? AND ? BETWEEN first_day AND last_day LIMIT 1',
  );
  const groupOf = (id: Buffer) => {
    const group = id.subarray(0, GROUP_ID_BYTES);
    const row = find.get(group) as { dayKey: number; wrapped: Buffer } | undefined;
    if (row === undefined || id.length !== KEY_ID_BYTES) return null;
    const under = days.numbered(row.dayKey);
    const keys = decipher(under, groupLabel(group), row.wrapped);
    if (keys === null) throw new AccordError('RECORD_UNREADABLE', 'a group of record keys was changed');
    const from = id.readUInt32BE(GROUP_ID_BYTES) * CIPHER_KEY_BYTES;
    return { group, under, keys, key: keys.subarray(from, from + CIPHER_KEY_BYTES) };
  };
  const isThere = (key: Buffer): boolean => key.length === CIPHER_KEY_BYTES && !key.equals(GONE);
  return {
    issue: ready.issue,
    open: (id) => {
      const found = groupOf(id);
      return found !== null && isThere(found.key) ? cipherKey(found.key) : null;
    },
    openMany: (ids) => {
      let group: ReturnType<typeof groupOf> = null;
      return ids.map((id) => {
        if (group?.group.equals(id.subarray(0, GROUP_ID_BYTES)) !== true || id.length !== KEY_ID_BYTES)
          group = groupOf(id);
        if (group === null) return null;
        const from = id.readUInt32BE(GROUP_ID_BYTES) * CIPHER_KEY_BYTES;
        const key = group.keys.subarray(from, from + CIPHER_KEY_BYTES);
        return isThere(key) ? cipherKey(key) : null;
      });
    },
    isDestroyed: (id, { retention, day }) => {
      const found = groupOf(id);
      if (found !== null && isThere(found.key)) return false;
      return found?.key.equals(GONE) === true || wasDestroyed.get(retention, day) !== undefined;
    },
    destroy: (id) => {
      const found = groupOf(id);
      const isDestroyed = found !== null && isThere(found.key);
      if (isDestroyed) {
        found.key.fill(0);
        durably(db, () => rewrite.run(encipher(found.under, groupLabel(found.group), found.keys), found.group));
        found.keys.fill(0);
      }
      eraseWal(db); // also where an earlier call was stopped before this
      return isDestroyed;
    },
    destroyDays: (retention, firstDay, lastDay, except = []) => {
      ready.settle();
      days.forget();
      const destroyed = durably(db, () => destroyDays(db, storageKey, { retention, firstDay, lastDay }, except));
      days.forget();
      eraseWal(db);
      return destroyed;
    },
    days: () => {
      if (!db.readonly) ready.settle();
      return db.prepare(KEYS_BY_DAY).all() as KeyDay[];
    },
    probe: () =>
      durably(db, () => {
        db.exec('CREATE TABLE probe (bytes BLOB); INSERT INTO probe VALUES (zeroblob(65536)); DROP TABLE probe');
      }),
    close: () => {
      try {
        ready.settle();
      } catch (error) {
        // Then the number of used keys stays unknown; that is all.
        if (!(error instanceof StoreError)) throw error;
      }
      days.forget();
      db.close();
    },
  };
}

/** What was overwritten is out of the write-ahead log only when nobody reads it any more. @throws StoreError */
function eraseWal(db: Connection): void {
  // Who waits here keeps exchanges waiting: it is tried again later.
  db.pragma('busy_timeout = 0');
  const [result] = db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
  db.pragma(`busy_timeout = ${BUSY_MS}`);
  if (result?.busy !== 0)
    throw new StoreError('busy', new Error('a reader keeps destroyed keys in the write-ahead log'));
}

/** Of a group that was settled, the keys that were handed out; one whose end was a crash counts whole. */
const KEYS = `coalesce(issued, (length(key_groups.wrapped) - ${NONCE_AND_TAG_BYTES}) / ${CIPHER_KEY_BYTES})`;
const KEYS_BY_DAY = `SELECT retention, day, sum(${KEYS}) AS keys FROM key_groups JOIN day_keys ON number = day_key
  GROUP BY number ORDER BY retention, day`;

interface KeyDays {
  retention: string;
  firstDay: number;
  lastDay: number;
}

/** How many keys went. */
function destroyDays(
  db: Connection,
  storageKey: KeyObject,
  { retention, firstDay, lastDay }: KeyDays,
  except: readonly Buffer[],
): number {
  const range = [retention, firstDay, lastDay] as const;
  const which = 'SELECT number FROM day_keys WHERE retention = ? AND day BETWEEN ? AND ?';
  const count = db.prepare(`SELECT coalesce(sum(${KEYS}), 0) FROM key_groups WHERE day_key IN (${which})`).pluck();
  const before = count.get(...range) as number;
  const kept = keptGroups(db, storageKey, which, range, except);
  db.prepare(`DELETE FROM key_groups WHERE day_key IN (${which})`).run(...range);
  db.prepare('DELETE FROM day_keys WHERE retention = ? AND day BETWEEN ? AND ?').run(...range);
  for (const { day, groups } of kept.values()) {
    const bytes = randomBytes(CIPHER_KEY_BYTES);
    const sealed = encipher(storageKey, dayLabel(retention, day), bytes);
    const add = 'INSERT INTO day_keys (retention, day, wrapped) VALUES (?, ?, ?)';
    const { lastInsertRowid } = db.prepare(add).run(retention, day, sealed);
    const key = cipherKey(bytes);
    bytes.fill(0);
    for (const { id, keys, count } of groups) {
      const put = db.prepare('INSERT INTO key_groups VALUES (?, ?, ?, ?)');
      put.run(id, lastInsertRowid, count, encipher(key, groupLabel(id), keys));
      keys.fill(0);
    }
  }
  const within = 'DELETE FROM destroyed_days WHERE retention = ? AND first_day >= ? AND last_day <= ?';
  db.prepare(within).run(...range);
  db.prepare('INSERT INTO destroyed_days VALUES (?, ?, ?)').run(...range);
  const left = count.get(...range) as number;
  return before - left;
}

/** Of each day the groups with keys that stay, in which all others are gone. */
function keptGroups(
  db: Connection,
  storageKey: KeyObject,
  which: string,
  range: readonly [string, number, number],
  except: readonly Buffer[],
): Map<number, { day: number; groups: { id: Buffer; keys: Buffer; count: number }[] }> {
  const kept = new Map<number, { day: number; groups: { id: Buffer; keys: Buffer; count: number }[] }>();
  const places = new Map<string, Set<number>>();
  for (const id of except) {
    const group = id.subarray(0, GROUP_ID_BYTES).toString('hex');
    places.set(group, (places.get(group) ?? new Set()).add(id.readUInt32BE(GROUP_ID_BYTES)));
  }
  const find = db.prepare(
    `SELECT day, day_keys.wrapped AS dayWrapped, key_groups.wrapped AS wrapped
     FROM key_groups JOIN day_keys ON number = day_key WHERE id = ? AND day_key IN (${which})`,
  );
  for (const [hex, indexes] of places) {
    const id = Buffer.from(hex, 'hex');
    const row = find.get(id, ...range) as { day: number; dayWrapped: Buffer; wrapped: Buffer } | undefined;
    if (row === undefined) continue;
    const bytes = decipher(storageKey, dayLabel(range[0], row.day), row.dayWrapped);
    const old = bytes === null ? null : decipher(cipherKey(bytes), groupLabel(id), row.wrapped);
    if (old === null) throw new AccordError('RECORD_UNREADABLE', 'a group of record keys was changed');
    const keys = Buffer.alloc(old.length);
    let count = 0;
    for (const index of indexes) {
      const key = old.subarray(index * CIPHER_KEY_BYTES, (index + 1) * CIPHER_KEY_BYTES);
      if (key.length < CIPHER_KEY_BYTES || key.equals(GONE)) continue;
      keys.set(key, index * CIPHER_KEY_BYTES);
      count++;
    }
    old.fill(0);
    const ofDay = kept.get(row.day) ?? { day: row.day, groups: [] };
    if (count > 0) ofDay.groups.push({ id, keys, count });
    if (count > 0) kept.set(row.day, ofDay);
  }
  return kept;
}
