// One body over both stores: what was appended is found again, what is fixed stays fixed, one process writes, and a chain
// that somebody changed is not believed.
import t from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { nextRecords, verifyRecords } from '#consent-service/records.ts';
import type { Change, ConsentRow, ConsentStore } from '#consent-service/store.ts';
import { newMessageId } from '#core/message-id.ts';
import type { AskedConsent, ConsentRecord } from '#schemas/consent.ts';
import { engines } from './stores.ts';

const SERVICE = 'DEV/GOV/2002/provider/echo';
const both = (text: string) => ({ zh: `中 ${text}`, en: text });
const SUBJECT = sha256('a person');

const asked: AskedConsent = {
  client: { id: 'DEV/GOV/1001/consumer', name: 'Department' },
  subject: SUBJECT,
  purpose: { id: 'social-aid', version: 1, hash: sha256('purpose'), title: both('Aid'), text: both('Why') },
  services: [
    {
      service: SERVICE,
      title: 'Residents',
      provider: 'Civil Affairs',
      items: [{ element: 'gx.name@1', kind: 'element', labels: both('name'), definition: both('a name'), level: 2 }],
    },
  ],
  uses: null,
  validDays: 30,
  retentionDays: 10,
  reason: null,
  expiresAtMs: 5_000,
  revocationBoundS: 125,
  notice: both('notice'),
};

const row = (id: string, over: Partial<ConsentRow> = {}): ConsentRow => ({
  id,
  client: asked.client.id,
  purpose: asked.purpose.id,
  purposeHash: asked.purpose.hash,
  subject: SUBJECT,
  services: SERVICE,
  state: 'REQUESTED',
  filedAtMs: 1_000,
  expiresAtMs: 5_000,
  decidedAtMs: null,
  validUntilMs: null,
  mandate: null,
  ...over,
});

async function change(store: ConsentStore, consent: string, state: ConsentRecord['state']): Promise<Change> {
  const head = await store.head();
  const isFirst = state === 'REQUESTED';
  const jti = newMessageId(1_000);
  const given = {
    given: [{ service: SERVICE, elements: ['gx.name@1'] }],
    validUntilMs: 9_000,
    notice: { hash: sha256('notice'), language: 'en' as const },
    signIn: { issuer: 'https://id.example', hash: sha256('token'), level: 3 as const },
    receipts: [{ service: SERVICE, jti, hash: sha256('a.b.c') }],
  };
  const by = isFirst ? 'client' : 'citizen';
  const facts = {
    atMs: 1_000,
    consent,
    state,
    by,
    ...(isFirst && { asked }),
    ...(state === 'GIVEN' && { given }),
  } as const;
  const records = nextRecords(head, [facts]);
  if (isFirst) return { records, filed: [row(consent)] };
  return {
    records,
    moved: [{ id: consent, state, decidedAtMs: 2_000, validUntilMs: state === 'GIVEN' ? 9_000 : null }],
    ...(state === 'GIVEN' && {
      lists: [{ id: 'list', subsystem: 'DEV/GOV/2002/provider', uri: 'http://x/list', places: 16 }],
      statuses: [{ list: 'list', idx: 3, value: 0 }],
      receipts: [{ jti, consent, service: SERVICE, jws: 'a.b.c', list: 'list', idx: 3 }],
    }),
  };
}

t.test('a store keeps its promises', async (t) => {
  for (const engine of await engines(t)) {
    const name = engine.name;
    let store = await engine.open();
    const [first, second] = [newMessageId(1_000), newMessageId(2_000)];
    t.equal(await verifyRecords(store), null, `${name}: empty`);
    await t.rejects(engine.open(), { code: 'CONSENT_STORE_IN_USE' }, `${name}: one writer`);

    const filing = await change(store, first, 'REQUESTED');
    await store.append({
      ...filing,
      links: [{ hash: 'h1', consent: first, untilMs: 5_000 }],
      sealed: [{ consent: first, kind: 'subject', bytes: Buffer.from([0, 1, 255]) }],
    });
    t.equal(await store.consentOfLink('h1', 4_999), first);
    t.equal(await store.consentOfLink('h1', 5_000), null, `${name}: a link ends`);
    await store.shortenLink('h1', 3_000);
    t.equal(await store.consentOfLink('h1', 3_000), null, `${name}: and sooner once it was opened`);
    t.same(await store.sealed(first, 'subject'), Buffer.from([0, 1, 255]));
    t.same(await store.waitingOf(asked.client.id, SUBJECT), { all: 1, person: 1 });
    t.same(await store.ofSubjects([SUBJECT, 'x'], true, 10), [row(first)]);
    t.same(await store.due(5_000, 10), [row(first)]);
    t.same(await store.due(4_999, 10), []);

    await store.append(await change(store, first, 'GIVEN'));
    await store.append(await change(store, second, 'REQUESTED'));
    t.same(await store.due(9_000, 10).then((due) => due.map(({ id }) => id)), [first, second]);
    t.same(await store.ofSubjects([SUBJECT], false, 10).then((found) => found.map(({ state }) => state)), ['GIVEN']);
    t.same(await store.alike(asked.client.id, 'social-aid', SUBJECT, 9).then((all) => all.length), 2);
    t.same(await store.purposesInUse(), [{ purpose: 'social-aid', purposeHash: asked.purpose.hash }]);
    t.equal((await store.withPurpose(asked.purpose.hash, 9)).length, 2);
    t.same(await store.statuses('list'), [{ list: 'list', idx: 3, value: 0 }]);
    t.equal((await store.receiptsOf([first]))[0]?.jws, 'a.b.c');
    t.equal((await store.recordsOf([first])).length, 2);
    const head = await verifyRecords(store);
    t.equal(head?.seq, 2, `${name}: the chain is whole`);
    await store.close();

    for (const [sql, what] of [
      ["UPDATE records SET line = 'x' WHERE seq = 0", 'a record is changed'],
      ['DELETE FROM records WHERE seq = 2', 'a record is deleted'],
      ["INSERT INTO records VALUES (9, 'x', 'x', 'x')", 'a record leaves a gap'],
      ["UPDATE receipts SET jws = 'x'", 'a receipt is changed'],
      ['DELETE FROM receipts', 'a receipt is deleted'],
      ['DELETE FROM consents', 'a consent is deleted'],
      ['BEGIN; UPDATE statuses SET value = 1; UPDATE statuses SET value = 0', 'invalid becomes valid'],
    ] as const) {
      await t.rejects(engine.tamper(sql), `${name} refuses: ${what}`);
    }
    await engine.tamper('UPDATE statuses SET value = 2; UPDATE statuses SET value = 0');

    store = await engine.open();
    t.equal((await verifyRecords(store))?.hash, head?.hash, `${name}: and whole after opening again`);
    const gap = await change(store, second, 'REFUSED');
    const [late] = nextRecords({ ...gap.records[0]! }, [{ atMs: 1, consent: second, state: 'REFUSED', by: 'citizen' }]);
    await t.rejects(store.append({ records: [late!] }), { code: 'CONSENT_STORE_FAILED' }, `${name}: out of sequence`);
    await t.rejects(store.append(gap), { code: 'CONSENT_STORE_FAILED' }, `${name}: nothing after a failure`);
    await store.close();

    const open =
      name === 'sqlite'
        ? (table: string) => `DROP TRIGGER IF EXISTS ${table}_update;`
        : (table: string) => `DROP TRIGGER IF EXISTS ${table}_fixed ON ${table};`;
    for (const [sql, undo] of [
      [
        `${open('records')} UPDATE records SET line = replace(line, 'Civil', 'Other') WHERE seq = 0`,
        `${open('records')} UPDATE records SET line = replace(line, 'Other', 'Civil') WHERE seq = 0`,
      ],
      ["UPDATE consents SET state = 'REQUESTED'", `UPDATE consents SET state = 'GIVEN' WHERE id = '${first}'`],
      ['UPDATE statuses SET value = 2', 'UPDATE statuses SET value = 0'],
      [
        `${open('receipts')} UPDATE receipts SET jws = 'd.e.f'`,
        `${open('receipts')} UPDATE receipts SET jws = 'a.b.c'`,
      ],
    ] as const) {
      await engine.tamper(sql);
      store = await engine.open();
      await t.rejects(verifyRecords(store), { code: 'CONSENT_RECORDS_DAMAGED' }, `${name} finds: ${sql}`);
      await store.close();
      await engine.tamper(undo);
      store = await engine.open();
      t.equal((await verifyRecords(store))?.seq, 2, `${name}: whole again`);
      await store.close();
    }
    // Somebody who computes the hash of what he wrote anew, and somebody who knows how to make a whole record.
    store = await engine.open();
    const { line, hash } = (await store.records(0, 1))[0]!;
    await store.close();
    const other = line.replace('Civil', 'Other');
    const put = (text: string) =>
      `${open('records')} UPDATE records SET line = '${text}', hash = '${sha256(text)}' WHERE seq = 0`;
    await engine.tamper(put(other));
    store = await engine.open();
    const changed = { code: 'CONSENT_RECORDS_DAMAGED', detail: /record 1: the record before/ };
    await t.rejects(verifyRecords(store), changed, `${name}: a hash made anew`);
    await store.close();
    await engine.tamper(put(line));
    store = await engine.open();
    t.equal((await store.records(0, 1))[0]?.hash, hash);
    const forged = nextRecords(await store.head(), [{ atMs: 1, consent: first, state: 'WITHDRAWN', by: 'service' }]);
    const moved = [{ id: first, state: 'WITHDRAWN' as const, decidedAtMs: 1, validUntilMs: 9_000 }];
    await store.append({ records: forged, moved, statuses: [{ list: 'list', idx: 3, value: 1 }] });
    const impossible = { code: 'CONSENT_RECORDS_DAMAGED', detail: /record 3: WITHDRAWN cannot follow/ };
    await t.rejects(verifyRecords(store), impossible, `${name}: what nobody could have caused`);
    await store.close();
  }
});
