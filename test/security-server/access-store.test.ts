// The store of who looked, alone: what it gives out, what it refuses.
import t from 'tap';
import { CLIENT, SERVICE } from '#scripts/campaign/pair.ts';
import { openAccesses } from '#security-server/accesses.ts';
import { openAccessStoreSqlite } from '#security-server/accesses-sqlite.ts';

t.test('the store: pages, limits, another key, a row with the content of another', async (t) => {
  const store = openAccessStoreSqlite(':memory:');
  const accesses = openAccesses(store, Buffer.alloc(32, 7));
  const about = {
    tag: 'a',
    provider: 'p',
    peer: 's',
    client: CLIENT,
    service: SERVICE,
    operation: null,
    purpose: null,
  };
  const none = { issue: null, unit: null, emergency: null, receipt: null, issuer: null };
  const nothing = { ...none, basis: 'open' as const, retention: 'standard' };
  const row = (at: number, over: object = {}) => {
    const times = { atMs: at, visibleFromMs: at, exchange: `x${at}` };
    return { ...about, ...nothing, asked: ['gx.name@1'], isOwn: false, ...times, ...over };
  };
  const all = Array.from({ length: 500 }, (_, at) => accesses.note(row(at)));
  await Promise.all([...all, accesses.note(row(3, { tag: 'b' })), accesses.note(row(7, { client: 'other' }))]);
  const window = { tag: 'a', provider: 'p', fromMs: 0, untilMs: 1_000 };
  t.equal(accesses.page(window, 1_000, 1_000).length, 500, 'an exchange has one row');
  t.match(accesses.page(window, 1_000, 1_000).at(-8), { exchange: 'x7', client: CLIENT }, 'the first one');
  t.equal(accesses.page({ ...window, tag: 'b' }, 1_000, 10).length, 0);
  t.equal(accesses.page({ ...window, provider: 'q' }, 1_000, 10).length, 0);
  t.same(
    accesses.page({ ...window, fromMs: 5, untilMs: 7 }, 6, 10).map(({ atMs }) => atMs),
    [6, 5],
    'not yet visible',
  );
  const old = accesses.between(0, 100, { atMs: -1, row: 0 }, 60);
  const [last] = old.slice(-1);
  t.equal(old.length, 60);
  t.equal(accesses.between(0, 100, last!, 60).length, 40);
  accesses.remove(old.map(({ row }) => row));
  t.equal(accesses.between(0, 100, { atMs: -1, row: 0 }, 60).length, 40);
  t.throws(() => openAccesses(store, Buffer.alloc(32, 8)).page(window, 1_000, 1), { code: 'RECORD_UNREADABLE' });
  const [one, two] = store.page(window, 1_000, 2);
  if (one === undefined || two === undefined) throw new TypeError('two rows');
  store.insert([{ ...one, exchange: 'moved', sealed: two.sealed }]);
  t.throws(() => accesses.about('a', 'p', 'moved', 1_000), { code: 'RECORD_UNREADABLE' });
  accesses.close();
});
