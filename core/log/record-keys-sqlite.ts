// The store of record keys in SQLite (contract: record-keys.ts): record-keys.db in a folder of its own, which is never
// the log's and never in its backups. `secure_delete` overwrites what is destroyed and a TRUNCATE checkpoint takes it out
// of the write-ahead log. The keys in the file are wrapped; the storage key is handed in and never stored.
import { type KeyObject, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { CIPHER_KEY_BYTES, cipherKey, decipher, encipher } from '#certs/record-cipher.ts';
import { AccordError } from '#schemas/problems.ts';
import type { RecordKey, RecordKeys } from './record-keys.ts';
import { configure, durably, reserveFile } from './store-sqlite.ts';

type Connection = InstanceType<typeof Database>;

const KEY_ID_BYTES = 16;
const MAX_CACHED_DAY_KEYS = 64;
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
CREATE TABLE record_keys (
  id BLOB PRIMARY KEY,
  day_key INTEGER NOT NULL REFERENCES day_keys (number),
  wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX record_keys_by_day ON record_keys (day_key);
`;

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
    db = new Database(reserveFile(join(folder, 'record-keys.db')), { timeout: 2_000 });
    configure(db);
    db.pragma('secure_delete = ON');
    prepareTables(db, wrapping);
    return recordKeys(db, wrapping);
  } catch (cause) {
    db?.close();
    if (cause instanceof AccordError) throw cause;
    throw new AccordError('RECORD_KEYS_WRONG', cause instanceof Error ? cause.message : '', { cause });
  }
}

function prepareTables(db: Connection, storageKey: KeyObject): void {
  db.transaction(() => {
    if (db.pragma('user_version', { simple: true }) === 0) {
      db.exec(TABLES);
      db.prepare('INSERT INTO storage_key VALUES (1, ?)').run(encipher(storageKey, CHECK, CHECK));
      db.pragma('user_version = 1');
    }
  }).immediate();
  const sealed = db.prepare('SELECT sealed FROM storage_key').pluck().get() as Buffer | undefined;
  if (sealed === undefined || decipher(storageKey, CHECK, sealed) === null) {
    throw new AccordError('RECORD_KEYS_WRONG', 'another storage key');
  }
}

interface DayKey {
  number: number;
  key: KeyObject;
}

/** Says where a wrapped key belongs, so that one cannot be put in another's place. */
function dayLabel(retention: string, day: number): Buffer {
  return Buffer.from(`accord-day-key/1\0${retention}\0${day}`);
}

function recordLabel(id: Buffer): Buffer {
  return Buffer.concat([Buffer.from('accord-record-key/1\0'), id]);
}

function recordKeys(db: Connection, storageKey: KeyObject): RecordKeys {
  const days = dayKeys(db, storageKey);
  const add = db.prepare('INSERT INTO record_keys VALUES (?, ?, ?)');
  const find = db.prepare('SELECT day_key AS dayKey, wrapped FROM record_keys WHERE id = ?');
  const remove = db.prepare('DELETE FROM record_keys WHERE id = ?');
  const eraseWal = () => void db.pragma('wal_checkpoint(TRUNCATE)');
  const issueOne = ({ retention, day }: { retention: string; day: number }): RecordKey => {
    const under = days.of(retention, day);
    const random = randomBytes(KEY_ID_BYTES + CIPHER_KEY_BYTES);
    const [id, bytes] = [random.subarray(0, KEY_ID_BYTES), random.subarray(KEY_ID_BYTES)];
    add.run(id, under.number, encipher(under.key, recordLabel(id), bytes));
    const key = cipherKey(bytes);
    bytes.fill(0);
    return { id, key };
  };
  return {
    issue: (requests) => {
      try {
        return durably(db, () => requests.map(issueOne));
      } catch (error) {
        days.forget(); // a day key made in the transaction that failed was never stored
        throw error;
      }
    },
    open: (id) => {
      const row = find.get(id) as { dayKey: number; wrapped: Buffer } | undefined;
      if (row === undefined) return null;
      const key = decipher(days.numbered(row.dayKey), recordLabel(id), row.wrapped);
      if (key === null) throw new AccordError('RECORD_UNREADABLE', 'a wrapped record key was changed');
      return cipherKey(key);
    },
    destroy: (id) => {
      const { changes } = durably(db, () => remove.run(id));
      eraseWal();
      return changes > 0;
    },
    destroyDays: (retention, throughDay) => {
      const which = 'SELECT number FROM day_keys WHERE retention = ? AND day <= ?';
      const destroyed = durably(db, () => {
        const { changes } = db
          .prepare(`DELETE FROM record_keys WHERE day_key IN (${which})`)
          .run(retention, throughDay);
        db.prepare('DELETE FROM day_keys WHERE retention = ? AND day <= ?').run(retention, throughDay);
        return changes;
      });
      days.forget();
      eraseWal();
      return destroyed;
    },
    probe: () =>
      durably(db, () => {
        db.exec('CREATE TABLE probe (bytes BLOB); INSERT INTO probe VALUES (zeroblob(65536)); DROP TABLE probe');
      }),
    close: () => {
      days.forget();
      db.close();
    },
  };
}

/** Class-day keys, opened once and kept in memory (a bounded number) while they are in use. */
function dayKeys(db: Connection, storageKey: KeyObject) {
  const cache = new Map<string, DayKey>();
  const byDay = db.prepare('SELECT number, wrapped FROM day_keys WHERE retention = ? AND day = ?');
  const byNumber = db.prepare('SELECT retention, day FROM day_keys WHERE number = ?');
  const add = db.prepare('INSERT INTO day_keys (retention, day, wrapped) VALUES (?, ?, ?)');
  const of = (retention: string, day: number): DayKey => {
    const name = `${retention}/${day}`;
    const known = cache.get(name);
    if (known !== undefined) return known;
    const label = dayLabel(retention, day);
    const row = byDay.get(retention, day) as { number: number; wrapped: Buffer } | undefined;
    const bytes = row === undefined ? randomBytes(CIPHER_KEY_BYTES) : decipher(storageKey, label, row.wrapped);
    if (bytes === null) throw new AccordError('RECORD_UNREADABLE', 'a wrapped day key was changed');
    const number = row?.number ?? Number(add.run(retention, day, encipher(storageKey, label, bytes)).lastInsertRowid);
    const key = cipherKey(bytes);
    bytes.fill(0);
    if (cache.size >= MAX_CACHED_DAY_KEYS) cache.clear();
    cache.set(name, { number, key });
    return { number, key };
  };
  return {
    /** The key of a class and day; makes it inside the caller's transaction when there is none. */
    of,
    numbered: (number: number): KeyObject => {
      const row = byNumber.get(number) as { retention: string; day: number } | undefined;
      if (row === undefined) throw new AccordError('RECORD_UNREADABLE', 'its day key is missing');
      return of(row.retention, row.day).key;
    },
    forget: () => cache.clear(),
  };
}
