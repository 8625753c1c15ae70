// The whole life of a consent with real keys, real receipts and signed status lists, under a clock that is moved on.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import Database from 'better-sqlite3';
import t from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { readReceipt, verifyReceipt } from '#certs/receipt.ts';
import { openSubject } from '#certs/sealed-subject.ts';
import { readStatusList, statusAt } from '#certs/status-list.ts';
import { agreementNonce } from '#consent-service/agreement.ts';
import type { ConsentRequest, ConsentView } from '#consent-service/consents.ts';
import {
  CIVIL,
  CLIENT,
  CONSENT,
  DAY_MS,
  type Desk,
  give,
  openDesk,
  PERSON,
  PURPOSE,
  REQUEST,
  STRANGER,
  TAX,
} from './desk.ts';

const NAME = { service: CIVIL, element: 'gx.name@1' };
const ADULT = { service: CIVIL, element: 'gx.pred.age_ge_18@1' };
const INCOME = ['gx.income@1', 'gx.currency@1'].map((element) => ({ service: TAX, element }));

const keysOf = ({ configuration }: Desk) => configuration.consentServices[0]!.keys;

/** What the signed lists say of the receipts of a view, by service. */
function served({ files, ...desk }: Desk, { receipts }: Pick<ConsentView, 'receipts'>): Record<string, number> {
  const said = receipts.map(({ service, jws }) => {
    const { uri, idx } = readReceipt(jws).receipt.status;
    const token = files.token(uri.slice(uri.lastIndexOf('/') + 1)) ?? '';
    return [service, statusAt(readStatusList(token, keysOf({ files, ...desk }), uri).statuses, idx)];
  });
  return Object.fromEntries(said);
}

const soon = () => wait(200);

t.test('from the request to the withdrawal', async (t) => {
  const desk = await openDesk(t);
  const { consents } = desk;
  const filed = await consents.file(CLIENT, REQUEST);
  t.match(filed.link, /^[A-Za-z0-9_-]{43}$/);
  t.equal((await consents.ofClient(CLIENT, filed.id)).state, 'REQUESTED');

  // Who is not the addressee sees what he would see if there were nothing.
  const nothing = { code: 'CONSENT_UNKNOWN' };
  await t.rejects(consents.byLink(filed.link, STRANGER), nothing);
  await t.rejects(consents.byLink('x'.repeat(43), PERSON), nothing);
  await t.rejects(consents.one(STRANGER, filed.id), nothing);
  await t.rejects(consents.give(STRANGER, filed.id, [NAME], 'en'), nothing);
  await t.rejects(consents.ofClient('DEV/GOV/9009/other', filed.id), nothing);
  await t.rejects(consents.revokeByClient('DEV/GOV/9009/other', filed.id), nothing);
  t.same(await consents.waiting(STRANGER), []);

  const seen = await consents.byLink(filed.link, PERSON);
  t.equal(seen.client.name, 'Department DEV/GOV/1001');
  t.same(
    seen.services.map(({ items }) => items.map(({ element, kind, level }) => [element, kind, level])),
    [
      [
        ['gx.name@1', 'element', 2],
        ['gx.pred.age_ge_18@1', 'predicate', 2],
      ],
      [
        ['gx.income@1', 'element', 3],
        ['gx.currency@1', 'element', 2],
      ],
    ],
  );
  t.equal(seen.revocationBoundS, 65, '60 s for level 3, and 5 s of clocks');
  for (const said of ['Social aid', 'label of gx.income', 'at most 3 times', '30 days', '90 days', '65 seconds']) {
    t.ok(seen.notice.en.includes(said), `the notice says ${said}`);
  }
  for (const said of ['社会救助', '词条 label of gx.income', '3 次', '30 天', '90 天', '65 秒']) {
    t.ok(seen.notice.zh.includes(said), `the notice says ${said}`);
  }
  await consents.byLink(filed.link, PERSON);
  desk.clock.aheadMs += 16 * 60_000;
  await t.rejects(consents.byLink(filed.link, PERSON), nothing, 'the link ends 15 minutes after it was opened');
  t.same(
    (await consents.waiting(PERSON)).map(({ id }) => id),
    [filed.id],
    'the request goes on waiting',
  );

  const half = [NAME, { service: TAX, element: 'gx.income@1' }];
  for (const bad of [
    [],
    [{ service: CIVIL, element: 'gx.birth_date@1' }],
    [{ service: TAX, element: 'gx.name@1' }],
    half,
  ]) {
    await t.rejects(give(consents, PERSON, filed.id, bad, 'en'), { code: 'CONSENT_OUT_OF_BOUNDS' });
  }
  const fine = { consent: filed.id, terms: seen, given: [NAME, ...INCOME], language: 'zh' } as const;
  const other = { ...fine, terms: { ...seen, uses: 4 } };
  for (const agreed of [
    { ...fine, language: 'en' } as const,
    { ...fine, given: [NAME] },
    { ...fine, consent: CONSENT },
    other,
  ]) {
    const person = { ...PERSON, signIn: { ...PERSON.signIn, nonce: agreementNonce(agreed) } };
    await t.rejects(consents.give(person, filed.id, fine.given, 'zh'), { code: 'SIGN_IN_NOT_BOUND' });
  }
  const given = await give(consents, PERSON, filed.id, [NAME, ...INCOME], 'zh');
  t.same(Object.values(served(desk, given)), [0, 0], 'a receipt may be used at once: a new list is there before it');
  t.same(
    given.services.map((one) => one.given),
    [['gx.name@1'], ['gx.income@1', 'gx.currency@1']],
  );
  t.equal(given.receipts.length, 2);
  const subs = new Set<string>();
  for (const { service, jws, jti } of given.receipts) {
    t.ok(verifyReceipt(jws, keysOf(desk)));
    const { receipt } = readReceipt(jws);
    subs.add(receipt.sub);
    const { client, iss, uses, retentionDays, elements, notice, signIn, purpose } = receipt;
    const isCivil = service === CIVIL;
    t.same(
      {
        jti: receipt.jti,
        service: receipt.service,
        client,
        iss,
        uses,
        retentionDays,
        elements,
        notice,
        signIn,
        purpose,
      },
      {
        ...{ jti, service, client: CLIENT, iss: CONSENT, uses: 3, retentionDays: 90 },
        elements: isCivil ? ['gx.name@1'] : ['gx.income@1', 'gx.currency@1'],
        notice: { hash: sha256(seen.notice.zh), language: 'zh' },
        signIn: { hash: sha256(Buffer.from(`${jti} ${PERSON.signIn.idTokenHash}`)), record: 1, level: 3 },
        purpose: { id: 'social-aid', version: 1, hash: seen.purpose.hash },
      },
    );
    t.equal(receipt.exp - receipt.iat, 30 * 86_400);
    const [mine, others] = isCivil ? (['civil', 'tax'] as const) : (['tax', 'civil'] as const);
    t.same(openSubject(receipt.subject[0]!, [desk.subjectKeys[mine]]), { jti, ...REQUEST.subject });
    t.throws(() => openSubject(receipt.subject[0]!, [desk.subjectKeys[others]]), { code: 'SUBJECT_SEAL_REFUSED' });
    t.notOk(
      JSON.stringify(receipt).includes(PERSON.signIn.idTokenHash),
      'receipts of one sign-in cannot be joined by it',
    );
    t.notOk(jws.includes(REQUEST.subject.value) || JSON.stringify(receipt).includes(REQUEST.subject.value));
  }
  t.equal(subs.size, 1, 'one pseudonym at one client');
  const uris = given.receipts.map(({ jws }) => readReceipt(jws).receipt.status.uri);
  t.equal(new Set(uris).size, 2, 'a list for each provider');
  await soon();
  t.same(served(desk, given), { [CIVIL]: 0, [TAX]: 0 });
  t.same((await consents.ofClient(CLIENT, filed.id)).receipts, given.receipts, 'the client has them too');

  await consents.suspend(PERSON, filed.id);
  await t.rejects(consents.suspend(PERSON, filed.id), { code: 'CONSENT_TRANSITION_REFUSED' });
  await soon();
  t.same(served(desk, given), { [CIVIL]: 2, [TAX]: 2 });
  await consents.resume(PERSON, filed.id);
  await t.rejects(consents.resume(PERSON, filed.id), { code: 'CONSENT_TRANSITION_REFUSED' });
  await soon();
  t.same(served(desk, given), { [CIVIL]: 0, [TAX]: 0 });

  const withdrawn = await consents.withdraw(PERSON, filed.id);
  t.equal(withdrawn.state, 'WITHDRAWN');
  t.same(withdrawn.receipts, []);
  t.same(new Set(desk.told.at(-1)?.services), new Set([CIVIL, TAX]));
  await soon();
  t.same(served(desk, given), { [CIVIL]: 1, [TAX]: 1 }, 'in the next token, well within a second');
  for (const late of [
    consents.resume(PERSON, filed.id),
    consents.withdraw(PERSON, filed.id),
    give(consents, PERSON, filed.id, [NAME], 'en'),
    consents.revokeByClient(CLIENT, filed.id),
  ]) {
    await t.rejects(late, { code: 'CONSENT_TRANSITION_REFUSED' });
  }
  t.same(
    (await consents.permissions(PERSON)).map(({ state }) => state),
    ['WITHDRAWN'],
  );

  // A new start reads everything back; the list stays what it was.
  await desk.restart();
  t.same(served(desk, given), { [CIVIL]: 1, [TAX]: 1 });
  t.equal((await desk.consents.one(PERSON, filed.id)).state, 'WITHDRAWN');
  const archived = readdirSync(join(desk.folder, 'status-archive'), { recursive: true }).filter((each) =>
    String(each).endsWith('.jwt'),
  );
  t.ok(archived.length >= 8, 'every list that said something new was kept');
  const bytes = new Database(join(desk.folder, 'consents.db'), { readonly: true }).serialize();
  t.notOk(bytes.includes(REQUEST.subject.value), 'no identifier in the database');
});

t.test('what may not be asked for', async (t) => {
  const desk = await openDesk(t);
  const file = (over: Partial<ConsentRequest>, client = CLIENT) => desk.consents.file(client, { ...REQUEST, ...over });
  const items = (service: string, ...elements: string[]) => ({ items: [{ service, elements }] });
  desk.configuration.purposes = [PURPOSE, { ...PURPOSE, id: 'by-law', bases: ['law'] }];
  const cases: [Partial<ConsentRequest>, string, RegExp][] = [
    [{ purpose: 'unheard-of' }, 'PURPOSE_UNKNOWN', /unheard/],
    [{ purpose: 'by-law' }, 'CONSENT_OUT_OF_BOUNDS', /rest on consent/],
    [{ retentionDays: 181 }, 'CONSENT_OUT_OF_BOUNDS', /180/],
    [items(CIVIL, 'gx.id@1'), 'CONSENT_OUT_OF_BOUNDS', /does not need gx.id@1/],
    [items('DEV/GOV/2002/provider/none', 'gx.name@1'), 'CONSENT_OUT_OF_BOUNDS', /no service/],
    [items(CIVIL, 'gx.income@1'), 'CONSENT_OUT_OF_BOUNDS', /together with gx.currency@1/],
    [{ items: [...REQUEST.items, ...REQUEST.items] }, 'CONSENT_OUT_OF_BOUNDS', /twice/],
    [{ subject: { scheme: 'gx.name@1', value: 'x' } }, 'CONSENT_OUT_OF_BOUNDS', /knows no one by gx.name@1/],
  ];
  for (const [over, code, detail] of cases) await t.rejects(file(over), { code, detail });
  await t.rejects(file({}, 'DEV/GOV/9009/none'), { code: 'CONSENT_OUT_OF_BOUNDS' });
  const table = desk.configuration.tables.get(CIVIL)!;
  desk.configuration.tables.delete(CIVIL);
  await t.rejects(file({}), { code: 'CONSENT_OUT_OF_BOUNDS', detail: /not bound/ });
  desk.configuration.tables.set(CIVIL, table);
  t.equal(await desk.store.head(), null, 'nothing of all this was kept');

  const first = await file({});
  await t.rejects(file({ items: REQUEST.items.toReversed() }), { code: 'CONSENT_OPEN_ALREADY', detail: first.id });
  await file(items(CIVIL, 'gx.name@1'));
  await file({ subject: STRANGER.subjects[0]! });
});

t.test('how often within any days: bounds, notice, decision, receipts', async (t) => {
  const desk = await openDesk(t);
  const { consents } = desk;
  const items = REQUEST.items.slice(0, 1);
  const file = (over: Partial<ConsentRequest>) => consents.file(CLIENT, { ...REQUEST, items, ...over });
  const refused: [Partial<ConsentRequest>, RegExp][] = [
    [{ uses: 3, frequency: { uses: 4, days: 7 } }, /frequency.uses: at most the 3/],
    [{ uses: null, validDays: 6, frequency: { uses: 4, days: 7 } }, /frequency.days: at most the 6/],
  ];
  for (const [over, detail] of refused) await t.rejects(file(over), { code: 'CONSENT_OUT_OF_BOUNDS', detail });
  t.equal(await desk.store.head(), null, 'nothing of that was kept');

  const said: [Partial<ConsentRequest>, string, string][] = [
    [
      { uses: 3, frequency: { uses: 3, days: 30 } },
      'at most 3 times within any 30 days, and at most 3 times in all, from each service.',
      '每项服务任意连续 30 天内最多 3 次，总共最多 3 次。',
    ],
    [
      { uses: null, frequency: { uses: 1, days: 1 } },
      'at most once within any 24 hours from each service.',
      '每项服务任意连续 24 小时内最多 1 次。',
    ],
    [{ uses: null, frequency: null }, 'as often as needed while the permission lasts.', '在有效期内按需使用。'],
    [{ uses: 2 }, 'at most 2 times from each service.', '每项服务最多 2 次。'],
  ];
  for (const [over, en, zh] of said) {
    const { id } = await file(over);
    const { notice } = await consents.one(PERSON, id);
    t.ok(notice.en.includes(`\nHow often: ${en}\n`), en);
    t.ok(notice.zh.includes(`\n使用次数：${zh}\n`), zh);
    await give(consents, PERSON, id, [NAME], 'en');
    await consents.withdraw(PERSON, id);
  }

  const { id } = await file({ frequency: { uses: 2, days: 7 } });
  // Not another request, however often it asks.
  await t.rejects(file({ frequency: { uses: 1, days: 7 } }), { code: 'CONSENT_OPEN_ALREADY', detail: id });
  await t.rejects(file({ frequency: null }), { code: 'CONSENT_OPEN_ALREADY', detail: id });
  const seen = await consents.one(PERSON, id);
  t.same(seen.frequency, { uses: 2, days: 7 });
  for (const frequency of [{ uses: 3, days: 7 }, { uses: 2, days: 8 }, null]) {
    const nonce = agreementNonce({ consent: id, terms: { ...seen, frequency }, given: [NAME], language: 'en' });
    const person = { ...PERSON, signIn: { ...PERSON.signIn, nonce } };
    await t.rejects(consents.give(person, id, [NAME], 'en'), { code: 'SIGN_IN_NOT_BOUND' }, 'agreed to something else');
  }
  const { frequency: _, ...before } = seen;
  const of = (terms: Parameters<typeof agreementNonce>[0]['terms']) =>
    agreementNonce({ consent: id, terms, given: [NAME], language: 'en' });
  t.equal(of(before), of({ ...seen, frequency: null }), 'decisions of before are spelled as they were');
  const given = await give(consents, PERSON, id, [NAME], 'en');
  t.same(readReceipt(given.receipts[0]!.jws).receipt.frequency, { uses: 2, days: 7 });
  await desk.restart();
  t.same((await desk.consents.ofClient(CLIENT, id)).frequency, { uses: 2, days: 7 }, 'it stands in the record');
  const plain = await desk.consents.file(CLIENT, { ...REQUEST, items });
  const after = await give(desk.consents, PERSON, plain.id, [NAME], 'en');
  t.equal((await desk.consents.one(PERSON, id)).state, 'SUPERSEDED', 'by a permission without one');
  t.notOk('frequency' in readReceipt(after.receipts[0]!.jws).receipt, 'absent where there is none');
  t.equal(after.frequency, null);
});

t.test('refusals, an end by time, by another permission and by the purpose', async (t) => {
  const desk = await openDesk(t);
  const { consents, clock } = desk;
  const file = async () => (await consents.file(CLIENT, REQUEST)).id;
  const state = async (id: string) => (await consents.one(PERSON, id)).state;

  t.equal((await consents.refuse(PERSON, await file())).state, 'REFUSED');
  clock.aheadMs += 20 * DAY_MS;
  await consents.refuse(PERSON, await file());
  clock.aheadMs += 29 * DAY_MS;
  await t.rejects(file(), { code: 'CONSENT_COOL_DOWN' });
  clock.aheadMs += 1 * DAY_MS;
  const lapsing = await file();
  clock.aheadMs += 14 * DAY_MS;
  t.same(await consents.waiting(PERSON), [], 'what is over is not shown, also before its record');
  await t.rejects(give(consents, PERSON, lapsing, [NAME], 'en'), { code: 'CONSENT_TRANSITION_REFUSED' });
  t.equal(await consents.tick(), 1);
  t.equal(await state(lapsing), 'LAPSED');
  t.equal(await consents.tick(), 0);

  const old = await file();
  const before = await give(consents, PERSON, old, [NAME, ADULT], 'en');
  const fresh = await file();
  const after = await give(consents, PERSON, fresh, [NAME, ...INCOME], 'en');
  t.equal(await state(old), 'SUPERSEDED');
  await soon();
  t.same(served(desk, before), { [CIVIL]: 1 });
  t.same(served(desk, after), { [CIVIL]: 0, [TAX]: 0 });
  const [one, two] = [before, after].map(({ receipts }) => readReceipt(receipts[0]!.jws).receipt);
  t.equal(one?.sub, two?.sub);

  clock.aheadMs += 30 * DAY_MS;
  await t.rejects(consents.suspend(PERSON, fresh), { code: 'CONSENT_TRANSITION_REFUSED' }, 'it has ended');
  t.equal(await consents.tick(), 1);
  t.equal(await state(fresh), 'EXPIRED');

  // A stronger sign-in for the most sensitive; and the words that were shown must still be in force.
  const ruled = await file();
  const later = await consents.file(CLIENT, { ...REQUEST, items: REQUEST.items.slice(0, 1) });
  await give(consents, PERSON, ruled, [NAME], 'en');
  t.equal(
    (
      await consents.revokeByClient(
        CLIENT,
        await file()
          .then((id) => give(consents, PERSON, id, [NAME], 'en'))
          .then(({ id }) => id),
      )
    ).state,
    'REVOKED',
  );
  const last = await consents.file(CLIENT, { ...REQUEST, items: REQUEST.items.slice(1) });
  await give(consents, PERSON, last.id, INCOME, 'en');
  desk.configuration.purposes = [PURPOSE, { ...PURPOSE, version: 2, retentionDays: 90 }];
  await t.rejects(give(consents, PERSON, later.id, [NAME], 'en'), { code: 'PURPOSE_CHANGED' });
  t.equal(await consents.tick(), 2);
  t.same(await Promise.all([ruled, later.id, last.id].map(state)), ['SUPERSEDED', 'LAPSED', 'INVALIDATED']);
  desk.configuration.purposes = [{ ...PURPOSE, until: '2021-01-01' }];
  await t.rejects(file(), { code: 'PURPOSE_UNKNOWN' });
  desk.configuration.purposes = [];
  t.equal(await consents.tick(), 0, 'a configuration without purposes ends nothing');
});

t.test('the most sensitive items need the strongest sign-in, and a provider its key', async (t) => {
  const desk = await openDesk(t);
  const raise = <T extends { id?: string }>(entry: T): T => (entry.id === 'gx.income' ? { ...entry, level: 4 } : entry);
  desk.configuration.dictionary = {
    release: '1.1.0',
    entries: desk.configuration.dictionary!.entries.map(raise),
  };
  const { id } = await desk.consents.file(CLIENT, REQUEST);
  t.equal((await desk.consents.one(PERSON, id)).revocationBoundS, 25);
  await t.rejects(give(desk.consents, PERSON, id, INCOME, 'en'), { code: 'STEP_UP_REQUIRED' });
  const entry = desk.configuration.entries.get('DEV/GOV/4004/ss4')!;
  desk.configuration.entries.set(entry.id, { ...entry, subjectKeys: [] });
  const strong = { ...PERSON, level: 4 } as const;
  await t.rejects(give(desk.consents, strong, id, INCOME, 'en'), { code: 'CONSENT_PROVIDER_NOT_READY' });
  desk.configuration.entries.set(entry.id, entry);
  t.equal((await give(desk.consents, strong, id, INCOME, 'en')).state, 'GIVEN');
});

t.test('a record that somebody changed keeps the service from starting', async (t) => {
  const desk = await openDesk(t);
  await desk.consents.file(CLIENT, REQUEST);
  const db = new Database(join(desk.folder, 'consents.db'));
  db.exec("DROP TRIGGER records_update; UPDATE records SET line = replace(line, 'November', 'December')");
  db.close();
  await t.rejects(desk.restart(), { code: 'CONSENT_RECORDS_DAMAGED', detail: /record 0/ });
});
