// What the auditor's pages find in a log: a search in bounded steps comes to the same as one without bounds; an exchange that
// was destroyed, one whose id two servers used, and holds.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openMessageLog } from '#core/log/message-log.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { AUDITOR_PAGE_ROWS } from '#schemas/limits.ts';
import { openPackSetting } from '#scripts/campaign/pack-setting.ts';
import { PROVIDER } from '#scripts/campaign/pair.ts';
import { madeAnswers, madeLogOptions, madeRequests } from '#scripts/log/made-log.ts';
import type { Criteria } from '#security-server/auditor/criteria.ts';
import { searchLog } from '#security-server/auditor/search-log.ts';
import { Visitor } from './auditor-visitor.ts';

const EVERYTHING: Criteria = {
  id: '',
  department: '',
  service: '',
  purpose: '',
  code: '',
  from: '',
  to: '',
  about: 'exchanges',
};

t.test('page by page, and in the smallest steps', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-auditor-search-'));
  const clock = { ms: Date.UTC(2026, 0, 1), nowMs: () => clock.ms, monotonicMs: () => clock.ms };
  const log = await openMessageLog({ ...madeLogOptions(folder), clock });
  const ids: string[] = [];
  for (let day = 0; day < 8; day++) {
    const requests = madeRequests({ size: 200, nowMs: clock.ms, sealed: false });
    await Promise.all(requests.map((one) => log.append(one)));
    await Promise.all(madeAnswers(requests, clock.ms, false, day * 400).map((one) => log.append(one)));
    ids.push(...requests.map(({ id }) => id));
    clock.ms += 86_400_000;
  }
  const reader = openLogAuditSqlite(join(folder, 'log'));
  t.teardown(async () => {
    reader.close();
    await log.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const all = (criteria: Criteria, isLate: () => boolean) => {
    const found: string[] = [];
    let before: number | null = null;
    let asked = 0;
    do {
      const result = searchLog(reader, { criteria, before }, isLate);
      t.ok(result.found.length <= AUDITOR_PAGE_ROWS);
      found.push(...result.found.map(({ id }) => id));
      before = result.next;
      asked += 1;
    } while (before !== null);
    return { found, asked };
  };
  const rows: [string, Partial<Criteria>, string[]][] = [
    ['everything', {}, ids],
    ['two days', { from: '2026-01-03', to: '2026-01-04' }, ids.slice(400, 800)],
    ['a minute', { from: '2026-01-08T00:00', to: '2026-01-08T00:00' }, ids.slice(1_400)],
    ['a department', { department: 'DEV/GOV/2002', to: '2026-01-01' }, ids.slice(0, 200)],
    ['nobody', { department: 'DEV/GOV/9999' }, []],
    ['one', { id: ids[77] ?? '' }, ids.slice(77, 78)],
    ['one, on another day', { id: ids[77] ?? '', from: '2026-01-02' }, []],
  ];
  for (const [name, criteria, expected] of rows) {
    for (const isLate of [() => false, () => true]) {
      const { found } = all({ ...EVERYTHING, ...criteria }, isLate);
      t.same(found.toSorted(), expected.toSorted(), `${name}: each exchange once`);
    }
  }
  const nobody = { ...EVERYTHING, purpose: 'nothing' };
  t.equal(all(nobody, () => false).asked, 1);
  t.equal(
    all(nobody, () => true).asked,
    Math.ceil(3_200 / 1_024),
    'where time is over it stops, and goes on from there',
  );
});

t.test('destroyed, held, used twice', async (t) => {
  const setting = await openPackSetting();
  t.teardown(() => setting.close());
  const { consumer } = setting.pair;
  const [first, second] = [await setting.ask(), await setting.ask()];
  const person = { name: 'Ann', role: 'auditor' as const, key: 'a'.repeat(43), atMs: 0 };
  const { hold } = await consumer.parts.retention.place(
    { kind: 'exchanges', ids: [second] },
    'a court',
    'its order',
    person,
  );
  await setting.destroy('consumer', first);
  await consumer.parts.log.append({
    ...{ kind: 'void', id: second, peer: 'DEV/GOV/3003/ss3', client: null, service: null, purpose: null, basis: null },
    ...{ code: null, decisionHash: null, configurationVersion: 7, retention: 'standard', evidence: null, sealed: null },
  });
  const visitor = new Visitor(consumer.urls.admin);
  await visitor.signIn();
  const shown = async (query: string) => (await visitor.get(`/auditor/exchange?${query}&lang=en`)).text;
  const destroyed = await shown(`id=${first}`);
  t.equal(destroyed.split('<dd>key destroyed').length - 1, 2);
  t.notMatch(destroyed, 'action="/auditor/record"', 'there is nothing to open');
  t.notMatch(destroyed, hold);
  t.match(await shown(`id=${second}`), 'Several servers used this id');
  const held = await shown(new URLSearchParams({ id: second, peer: PROVIDER }).toString());
  t.match(held, hold);
  t.match(held, 'action="/auditor/record"');
  t.match(
    await shown(`id=${second}&peer=DEV/GOV/3003/ss3`),
    'EXCHANGE_NOT_FOUND',
    'nothing was signed between those two',
  );
  t.match(
    (await visitor.get('/auditor?about=log&search=1&lang=en')).text,
    /Destruction done.*Destruction intended.*Hold placed/s,
  );
});
