// The list of locks: who may sign it, its one form, that a number is not taken from the future, and that a client never
// goes back, keeps it over a restart, and drops it with the key that signed it.
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { signCompact } from '#certs/jws.ts';
import { thumbprint } from '#certs/keys.ts';
import { fetchFromFolder } from '#core/configuration/fetch.ts';
import { locksVersionAt, verifyLocks } from '#core/configuration/locks.ts';
import { payloadOf, signFreshness, signLocks } from '#core/configuration/sign.ts';
import { fileHash } from '#core/configuration/verify.ts';
import type { LocksList } from '#schemas/configuration.ts';
import { isAccordError } from '#schemas/problems.ts';
import { ann, HOUR, MINUTE, member, online, pair, setUp } from './configuration-site.ts';

const EMERGENCY = '01920000-0000-7000-8000-000000000001';
const lock = (subsystem: string) => ({ subsystem, emergency: EMERGENCY, sinceMs: 1 });
const code = (run: () => unknown): string => {
  try {
    run();
    return 'none';
  } catch (error) {
    return isAccordError(error) ? error.code : `not an AccordError: ${String(error)}`;
  }
};

t.test('form, signature and time', async (t) => {
  const { site, clock } = setUp(t);
  const version = Math.floor(clock.ms / 1000);
  const [a, b] = [lock('TEST/GOV/1/a'), lock('TEST/GOV/1/b')];
  const list = (more: Partial<LocksList> = {}) => ({ instance: 'TEST', version, locks: [a, b], ...more });
  const typed = (typ: string) =>
    Buffer.from(
      signCompact(payloadOf({ v: 1, ...list() }), { typ, kid: thumbprint(online) }, { alg: 'ES256', key: online }),
      'latin1',
    );
  const good = signLocks(list(), online);
  const cases: [string, Buffer, string][] = [
    ['good', good, 'none'],
    ['nobody', signLocks(list({ locks: [] }), online), 'none'],
    ['by an approver', signLocks(list(), ann), 'JWS_SIGNATURE_WRONG'],
    ['by a stranger', signLocks(list(), pair()), 'JWS_SIGNATURE_WRONG'],
    ['as a freshness', typed('accord-freshness+jws'), 'JWS_HEADER_REFUSED'],
    ['out of order', signLocks(list({ locks: [b, a] }), online), 'CONFIGURATION_INVALID'],
    ['twice', signLocks(list({ locks: [a, a] }), online), 'CONFIGURATION_INVALID'],
    ['another instance', signLocks(list({ instance: 'PROD' }), online), 'CONFIGURATION_INSTANCE'],
    ['of another instance', signLocks(list({ locks: [lock('PROD/GOV/1/a')] }), online), 'CONFIGURATION_INSTANCE'],
    ['from the future', signLocks(list({ version: version + 301 }), online), 'CONFIGURATION_INVALID'],
    ['just now', signLocks(list({ version: version + 299 }), online), 'none'],
    ['with a line feed', Buffer.concat([good, Buffer.from('\n')]), 'JWS_MALFORMED'],
  ];
  for (const [name, file, want] of cases)
    t.equal(
      code(() => verifyLocks(file, site.root, clock.ms)),
      want,
      name,
    );
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
      const changed = Buffer.from(good);
      changed.writeUInt8(changed.readUInt8(at) ^ bits, at);
      return code(() => verifyLocks(changed, site.root, clock.ms)) !== 'none';
    }),
    { numRuns: 300 },
  );
  fc.assert(fc.property(fc.nat(2 ** 40), fc.nat(2 ** 32), (nowMs, before) => locksVersionAt(nowMs, before) > before));
});

t.test('a client: taken, kept, never older, gone with its key', async (t) => {
  const { site, clock, folder, alarms, open } = setUp(t);
  const content = () => {
    if (!site.previous) throw new Error('nothing published');
    return site.previous;
  };
  /** Freshness that names this list, or none. */
  const name = (file: Buffer | null, version = 0, key = online) => {
    if (file) site.write(`locks.${version}.jws`, file);
    const root = { version: site.root.document.version, hash: site.root.hash };
    const locks = file ? { locks: { version, hash: fileHash(file) } } : {};
    clock.ms += 1;
    const whole = { instance: 'TEST', root, content: content(), distrust: null, ...locks, signedAtMs: clock.ms };
    site.write('freshness.jws', signFreshness(whole, key));
  };
  const say = (subsystems: string[], version: number, key = online) => {
    const file = signLocks({ instance: 'TEST', version, locks: subsystems.map(lock) }, key);
    name(file, version, key);
    return file;
  };
  const [A, B] = ['TEST/GOV/1/a', 'TEST/GOV/2/a'];
  const base = Math.floor(clock.ms / 1000);
  site.publish(1, [member('TEST/GOV/1', 1), member('TEST/GOV/2', 2)]);
  let client = await open();
  t.equal(client.current().lockedFor(A), null, 'a registry that signs no list locks nobody');
  let told = 0;
  client.onChange(() => told++);
  const first = say([A], base);
  t.match(await client.refresh(), { outcome: 'updated' });
  t.equal(told, 1, 'whoever listens is told');
  t.same([client.current().lockedFor(A), client.current().lockedFor(B)], [EMERGENCY, null]);
  t.same(client.files.file(`locks.${base}.jws`), first, 'served to peers');
  t.equal(client.files.file(`locks.${base + 1}.jws`), undefined);

  const second = say([A, B], base + 5);
  t.match(await client.refresh(), { outcome: 'updated' });
  const cases: [string, () => void, string][] = [
    ['an older list', () => name(first, base), 'CONFIGURATION_ROLLBACK'],
    ['another list of that number', () => say([], base + 5), 'CONFIGURATION_FORKED'],
    ['no list any more', () => name(null), 'CONFIGURATION_ROLLBACK'],
    [
      'a list that is not there',
      () => {
        say([], base + 6);
        rmSync(join(site.folder, `locks.${base + 6}.jws`));
      },
      'CONFIGURATION_UNAVAILABLE',
    ],
    [
      'other bytes than named',
      () => {
        say([], base + 6);
        site.write(`locks.${base + 6}.jws`, first);
      },
      'CONFIGURATION_PART_WRONG',
    ],
    [
      'another number than named',
      () => {
        const file = signLocks({ instance: 'TEST', version: base + 9, locks: [] }, online);
        name(file, base + 7);
      },
      'CONFIGURATION_INVALID',
    ],
  ];
  for (const [what, publish, want] of cases) {
    publish();
    t.match(await client.refresh(), { outcome: 'failed', code: want }, what);
    t.equal(client.current().lockedFor(B), EMERGENCY, `${what}: still locked`);
  }
  site.write(`locks.${base + 5}.jws`, second);
  name(second, base + 5);
  await client.refresh();
  await client.close();

  const away = [fetchFromFolder(join(site.folder, 'nowhere'))];
  client = await open(away);
  t.equal(client.current().lockedFor(B), EMERGENCY, 'kept over a restart');
  await client.close();
  t.ok(readdirSync(folder).includes(`locks.${base + 5}.jws`));

  client = await open();
  say([B], base + 20);
  clock.ms += MINUTE;
  await client.refresh();
  t.same([client.current().lockedFor(A), client.current().lockedFor(B)], [null, EMERGENCY], 'a review lifted one');
  const other = pair();
  site.rotate({ freshness: [{ key: other, person: 'registry' }] });
  name(second, base + 21, other);
  t.match(await client.refresh(), { outcome: 'failed' });
  t.equal(client.current().lockedFor(B), null, 'what the removed key said counts no longer');
  clock.ms += HOUR;
  say([A], base + 3_700, other);
  t.match(await client.refresh(), { outcome: 'updated' });
  t.equal(client.current().lockedFor(A), EMERGENCY, 'the new key says who is locked');
  name(signLocks({ instance: 'TEST', version: base + 3_701, locks: [lock(A)] }, online), base + 3_701, other);
  t.match(await client.refresh(), { outcome: 'failed', code: 'JWS_SIGNATURE_WRONG' }, 'the old key locks nobody');
  await client.close();
  t.ok(alarms.includes('CONFIGURATION_FORKED') && alarms.includes('CONFIGURATION_ROLLBACK'));
});

t.test('a stored copy without its list is no copy', async (t) => {
  const { site, clock, folder, alarms, open } = setUp(t);
  site.publish(1, [member('TEST/GOV/1', 1)]);
  const version = Math.floor(clock.ms / 1000);
  const file = signLocks({ instance: 'TEST', version, locks: [lock('TEST/GOV/1/a')] }, online);
  site.write(`locks.${version}.jws`, file);
  const root = { version: 1, hash: site.root.hash };
  const named = { instance: 'TEST', root, content: site.previous as never, distrust: null };
  const locks = { version, hash: fileHash(file) };
  site.write('freshness.jws', signFreshness({ ...named, locks, signedAtMs: clock.ms }, online));
  await (await open()).close();
  const nowhere = [fetchFromFolder(join(site.folder, 'nowhere'))];
  for (const damage of [
    () => rmSync(join(folder, `locks.${version}.jws`)),
    () => writeFileSync(join(folder, `locks.${version}.jws`), 'x'),
  ]) {
    damage();
    const client = await open(nowhere);
    t.throws(() => client.current(), { code: 'CONFIGURATION_MISSING' }, 'rather nothing than unlocked');
    await client.close();
    const older = signLocks({ instance: 'TEST', version: version - 1, locks: [] }, online);
    site.write(`locks.${version - 1}.jws`, older);
    const stale = { locks: { version: version - 1, hash: fileHash(older) }, signedAtMs: clock.ms };
    site.write('freshness.jws', signFreshness({ ...named, ...stale }, online));
    const behind = await open();
    t.throws(
      () => behind.current(),
      { code: 'CONFIGURATION_MISSING' },
      'a damaged copy is no excuse for an older list',
    );
    await behind.close();
    site.write('freshness.jws', signFreshness({ ...named, locks, signedAtMs: clock.ms }, online));
    const mended = await open();
    t.equal(mended.current().lockedFor('TEST/GOV/1/a'), EMERGENCY, 'fetched again');
    await mended.close();
  }
  t.ok(alarms.includes('CONFIGURATION_CACHE_CORRUPT'));
});
