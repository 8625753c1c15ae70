// Keys on their way into a store of record keys (record-keys-sqlite.ts): the keys of classes and days, opened once, and
// groups of record keys made ahead under them. What lies in the file is wrapped; whoever has the disk controls it.
import { type KeyObject, randomBytes } from 'node:crypto';
import type Database from 'better-sqlite3';
import { CIPHER_KEY_BYTES, cipherKey, decipher, encipher } from '#certs/record-cipher.ts';
import { AccordError } from '#schemas/problems.ts';
import type { RecordKey } from './record-keys.ts';
import { durably } from './store-sqlite.ts';

type Connection = InstanceType<typeof Database>;

/** A key's id is its group's and its place there, 32-bit big-endian. */
export const GROUP_ID_BYTES = 12;
export const KEY_ID_BYTES = GROUP_ID_BYTES + 4;
/** Keys made ahead in one durable transaction: few for a class that is seldom used, more while they are used up. */
const MIN_GROUP = 16;
const MAX_GROUP = 1_024;
const MAX_CACHED_DAY_KEYS = 64;

interface DayKey {
  number: number;
  key: KeyObject;
}

/** Says where a wrapped key belongs, so that one cannot be put in another's place. */
export function dayLabel(retention: string, day: number): Buffer {
  return Buffer.from(`accord-day-key/1\0${retention}\0${day}`);
}

export function groupLabel(id: Buffer): Buffer {
  return Buffer.concat([Buffer.from('accord-record-keys/1\0'), id]);
}

/** Keys of one group that are durable and not handed out yet. */
interface Ready {
  group: Buffer;
  keys: Buffer;
  next: number;
}

/**
 * Keys made ahead: a durable transaction of the key store serves many appends, not one. What is left of a group when the
 * process dies is never used.
 */
export function readyKeys(db: Connection, days: ReturnType<typeof dayKeys>) {
  const pools = new Map<string, Ready>();
  const add = db.prepare('INSERT INTO key_groups VALUES (?, ?, NULL, ?)');
  const used = db.prepare('UPDATE key_groups SET issued = ? WHERE id = ?');
  const make = (retention: string, day: number, count: number): Ready => {
    const under = days.of(retention, day);
    const [group, keys] = [randomBytes(GROUP_ID_BYTES), randomBytes(count * CIPHER_KEY_BYTES)];
    add.run(group, under.number, encipher(under.key, groupLabel(group), keys));
    return { group, keys, next: 0 };
  };
  const forget = (): void => {
    for (const { keys } of pools.values()) keys.fill(0);
    pools.clear();
  };
  const settle = (): void => {
    if (pools.size === 0) return;
    try {
      durably(db, () => {
        for (const { group, next } of pools.values()) used.run(next, group);
      });
    } finally {
      forget();
    }
  };
  /** Makes sure that so many keys are ready; the rest of an old group is given up. */
  const fill = (retention: string, day: number, wanted: number): Ready => {
    const name = `${retention}/${day}`;
    const old = pools.get(name);
    if (old !== undefined && old.next + wanted <= old.keys.length / CIPHER_KEY_BYTES) return old;
    if (old === undefined && pools.size >= MAX_CACHED_DAY_KEYS) settle();
    const grown = old === undefined ? MIN_GROUP : Math.min(MAX_GROUP, (2 * old.keys.length) / CIPHER_KEY_BYTES);
    try {
      const made = durably(db, () => {
        if (old !== undefined) used.run(old.next, old.group);
        return make(retention, day, Math.max(wanted, grown));
      });
      old?.keys.fill(0);
      pools.set(name, made);
      return made;
    } catch (error) {
      days.forget(); // a day key made in the transaction that failed was never stored
      throw error;
    }
  };
  const take = (from: Ready): RecordKey => {
    const bytes = from.keys.subarray(from.next * CIPHER_KEY_BYTES, (from.next + 1) * CIPHER_KEY_BYTES);
    const id = Buffer.alloc(KEY_ID_BYTES);
    from.group.copy(id);
    id.writeUInt32BE(from.next, GROUP_ID_BYTES);
    from.next++;
    const key = cipherKey(bytes);
    bytes.fill(0);
    return { id, key };
  };
  return {
    issue: (requests: readonly { retention: string; day: number }[]): RecordKey[] => {
      const wanted = new Map<string, { retention: string; day: number; count: number }>();
      for (const { retention, day } of requests) {
        const name = `${retention}/${day}`;
        const known = wanted.get(name);
        if (known === undefined) wanted.set(name, { retention, day, count: 1 });
        else known.count++;
      }
      const pools = new Map(
        [...wanted].map(([name, { retention, day, count }]) => [name, fill(retention, day, count)]),
      );
      return requests.map(({ retention, day }) => take(pools.get(`${retention}/${day}`) as Ready));
    },
    settle,
  };
}

/** Class-day keys, opened once and kept in memory (a bounded number) while they are in use. */
export function dayKeys(db: Connection, storageKey: KeyObject) {
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
