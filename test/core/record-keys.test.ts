// The store of record keys against a model of it: what was destroyed opens never again, everything else always does, also
// what is left out of a day that goes, and after the store was closed or upgraded.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { openRecordKeysSqlite, readRecordKeysSqlite } from '#core/log/record-keys-sqlite.ts';

const DAYS = 6;
const CLASSES = ['long', 'short'] as const;

function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'accord-keys-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const day = fc.nat({ max: DAYS - 1 });
const retention = fc.constantFrom(...CLASSES);
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('issue'), retention, day, count: fc.integer({ min: 1, max: 40 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('days'),
      retention,
      day,
      more: fc.nat({ max: 3 }),
      stay: fc.array(fc.nat(), { maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('one'), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('again') }) },
);

interface Made {
  id: Buffer;
  retention: string;
  day: number;
  bytes: string;
  gone: boolean;
}

t.test('issue, destroy one, destroy days with exceptions, open again: as the model says', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 14 }), (steps) => {
      const folder = folderOf(t);
      const storageKey = randomBytes(32);
      let keys = openRecordKeysSqlite(folder, storageKey);
      const made: Made[] = [];
      try {
        for (const one of steps) {
          if ('count' in one) {
            const { retention, day } = one;
            const issued = keys.issue(Array.from({ length: one.count }, () => ({ retention, day })));
            for (const { id, key } of issued) {
              made.push({ id, retention, day, bytes: key.export().toString('hex'), gone: false });
            }
          } else if ('stay' in one) {
            const last = one.day + one.more;
            const due = made.filter((key) => key.retention === one.retention && key.day >= one.day && key.day <= last);
            const stay = one.stay.flatMap((at) => (due.length === 0 ? [] : (due[at % due.length] ?? [])));
            const going = due.filter((key) => !key.gone && !stay.includes(key));
            keys.destroyDays(
              one.retention,
              one.day,
              last,
              stay.map(({ id }) => id),
            );
            for (const key of going) key.gone = true;
          } else if ('which' in one && made.length > 0) {
            const key = made[one.which % made.length];
            if (key === undefined) continue;
            if (keys.destroy(key.id) === key.gone) return false;
            key.gone = true;
          } else {
            keys.close();
            keys = openRecordKeysSqlite(folder, storageKey);
          }
          const isRight = made.every((key) => {
            const opened = keys.open(key.id)?.export().toString('hex') ?? null;
            return opened === (key.gone ? null : key.bytes) && keys.isDestroyed(key.id, key) === key.gone;
          });
          const counted = keys.days();
          const alive = new Set(made.filter(({ gone }) => !gone).map((key) => `${key.retention} ${key.day}`));
          const isListed = [...alive].every((name) => counted.some((one) => `${one.retention} ${one.day}` === name));
          if (!isRight || !isListed) return false;
        }
        return true;
      } finally {
        keys.close();
      }
    }),
    { numRuns: 60 },
  );
});

t.test('a store of the format before: read as it is, and gone over to this one', async (t) => {
  const folder = folderOf(t);
  const storageKey = randomBytes(32);
  const keys = openRecordKeysSqlite(folder, storageKey);
  const [gone, there] = keys.issue([1, 5].map((day) => ({ retention: 'short', day })));
  keys.destroyDays('short', 0, 1);
  keys.close();
  const db = new Database(join(folder, 'record-keys.db'));
  db.exec(`DROP TABLE destroyed_days;
    CREATE TABLE destroyed (retention TEXT PRIMARY KEY, through_day INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO destroyed VALUES ('short', 1)`);
  db.pragma('user_version = 2');
  db.close();
  const check = (store: Pick<typeof keys, 'open' | 'isDestroyed' | 'days'>) => {
    t.same([store.open(gone!.id), store.open(there!.id) !== null], [null, true]);
    const under = (day: number) => ({ retention: 'short', day });
    t.same([store.isDestroyed(gone!.id, under(1)), store.isDestroyed(there!.id, under(5))], [true, false]);
    t.equal(store.isDestroyed(Buffer.alloc(16), under(2)), false, 'a key that nobody destroyed is lost');
    t.same(store.days(), [{ retention: 'short', day: 5, keys: 1 }]);
  };
  const reader = readRecordKeysSqlite(folder, storageKey);
  check(reader);
  reader.close();
  const upgraded = openRecordKeysSqlite(folder, storageKey);
  check(upgraded);
  upgraded.close();
  const again = readRecordKeysSqlite(folder, storageKey);
  check(again);
  again.close();
  t.notOk(readFileSync(join(folder, 'record-keys.db')).includes('through_day'));
});
