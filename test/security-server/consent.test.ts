// Consent over real servers: a receipt that the provider checks by itself, the subject that only it can read, a status
// list that ends it, and refusals that tell a prober nothing.
import t, { type Test } from 'tap';
import { readReceipt } from '#certs/receipt.ts';
import { replayDecision } from '#policy/replay.ts';
import { accessRight, CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { auditBoth, post } from './asking.ts';
import { ENTRIES, tableOf } from './bound-service.ts';
import { type ConsentGiver, openConsentGiver, PURPOSE, PURPOSE_HASH } from './consent-giver.ts';
import { MovingClock } from './moving-clock.ts';

const ELEMENTS = ['gx.name@1', 'gx.birth_date@1', 'gx.pred.age_ge_18@1'];
const ASK = { client: CLIENT, fields: ['/name'] };

async function open(t: Test): Promise<{ pair: Pair; giver: ConsentGiver; clock: MovingClock }> {
  const clock = new MovingClock();
  const right = { bases: ['consent' as const], purposes: [PURPOSE.id], pins: { [PURPOSE.id]: PURPOSE_HASH } };
  const pair = await openPair({ clock, right: accessRight({ ...right, elements: ELEMENTS }) });
  const giver = await openConsentGiver(pair, clock);
  t.teardown(() => giver.close());
  t.teardown(() => pair.close());
  pair.configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  pair.configuration.bind(tableOf());
  pair.backend.answer = (_request, _body, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name: '王芳', birthDate: '1990-02-03' }));
  };
  return { pair, giver, clock };
}

t.test('a receipt is enough, and only the provider knows about whom', async (t) => {
  const { pair, giver } = await open(t);
  const receipt = giver.receipt();
  const answer = await post(pair, '/lookups', { ...ASK, receipt });
  t.match(answer, { status: 200, json: { outcome: 'ok', body: { name: '王芳' } } });
  t.equal(pair.backend.seen[0]?.url, '/base/residents/7', 'the provider puts the identifier in');
  const written = await post(pair, '/lookups', { ...ASK, receipt, service: SERVICE, path: '/residents/~subject' });
  t.equal(written.status, 200, 'with the placeholder');
  const literal = await post(pair, '/lookups', { ...ASK, receipt, service: SERVICE, path: '/residents/7' });
  t.equal(literal.status, 200, 'with the identifier itself, where the consumer knows it');
  const other = await post(pair, '/lookups', { ...ASK, receipt, service: SERVICE, path: '/residents/8' });
  t.equal(other.json.code, 'RECEIPT_REFUSED', 'another person');
  const more = await post(pair, '/lookups', { ...ASK, receipt, fields: ['/name', '/birthDate'] });
  t.equal(more.json.code, 'FIELDS_NOT_CONSENTED');
  t.match(more.json['detail'], '/birthDate');
  const partial = await post(pair, '/lookups', { ...ASK, receipt, fields: ['/name', '/birthDate'], partial: true });
  t.same(partial.json['body'], { name: '王芳' });
  await auditBoth(t, pair);
});

t.test('what is not for this request is refused alike', async (t) => {
  const { pair, giver, clock } = await open(t);
  const nowS = Math.floor(clock.nowMs() / 1000);
  const flipped = giver.receipt().replace(/.{4}$/, (end) => (end === 'AAAA' ? 'BBBB' : 'AAAA'));
  const foreign = await openConsentGiver(pair, clock);
  t.teardown(() => foreign.close());
  const stranger = foreign.receipt();
  pair.configuration.consentServices = [];
  const own = await openConsentGiver(pair, clock);
  t.teardown(() => own.close());
  const rows: [string, string, object?][] = [
    ['another client', own.receipt({ client: 'DEV/GOV/1001/other' })],
    ['another provider', own.receipt({ aud: 'DEV/GOV/2002/other' })],
    ['another service', own.receipt({ service: `${SERVICE}2` }), { service: SERVICE }],
    [
      'another purpose',
      own.receipt({ purpose: { id: 'other', version: 1, hash: PURPOSE_HASH } }),
      { purpose: PURPOSE.id },
    ],
    ['other words of the purpose', own.receipt({ purpose: { id: PURPOSE.id, version: 2, hash: 'x'.repeat(43) } })],
    ['another scheme', own.receipt({}, { scheme: 'gx.name@1', value: '7' })],
    ['a subject sealed for another receipt', own.receipt({}, undefined, '01a204d3-d92d-76c6-a8d9-5c061059a871')],
    ['an identifier that leads elsewhere', own.receipt({}, { scheme: 'gx.id@1', value: '../7' })],
    ['a list of somebody else', own.receipt({ status: { uri: 'http://127.0.0.1:9/status/1', idx: 5 } })],
    ['an unknown consent service', own.receipt({ iss: 'DEV/GOV/9001/consent' })],
    ['a key that is not registered', stranger],
    ['one changed byte', flipped],
  ];
  const told = new Set<string>();
  for (const [name, receipt, over = {}] of rows) {
    const { status, json } = await post(pair, '/lookups', { ...ASK, receipt, path: '/residents/~subject', ...over });
    t.match([status, json.code], [403, 'RECEIPT_REFUSED'], name);
    told.add(String(json['detail'] ?? ''));
  }
  t.same([...told], [''], 'and nothing says why');
  const none = await post(pair, '/lookups', {
    ...ASK,
    service: SERVICE,
    basis: 'consent',
    purpose: PURPOSE.id,
    path: '/residents/7',
  });
  t.equal(none.json.code, 'CONSENT_REQUIRED');
  const over = own.receipt({ nbf: nowS - 20, iat: nowS - 20, exp: nowS - 10 });
  t.equal((await post(pair, '/lookups', { ...ASK, receipt: over })).json.code, 'CONSENT_EXPIRED');
  const mixed = await post(pair, '/lookups', { ...ASK, receipt: own.receipt(), basis: 'law' });
  t.equal(mixed.json.code, 'SCHEMA_MISMATCH', 'a receipt is nothing on another basis');
  t.equal(pair.backend.seen.length, 0, 'the backend was never asked');
});

/** Waits as long as a busy machine takes; whoever waits for what does not come fails by what follows. */
async function until(is: () => boolean): Promise<void> {
  for (let left = 2_000; left > 0 && !is(); left -= 1) await new Promise((done) => setTimeout(done, 10));
}

t.test('a status that ends it, and a list that is too old', async (t) => {
  const { pair, giver, clock } = await open(t);
  const receipt = giver.receipt();
  const ask = async () => (await post(pair, '/lookups', { ...ASK, receipt })).json.code;
  t.equal(await ask(), 'OK');
  const asked = giver.asked;
  t.equal(await ask(), 'OK');
  t.equal(giver.asked, asked, 'a young list is not fetched again');
  giver.statuses[5] = 2;
  pair.provider.parts.status.hint(giver.uri);
  await until(() => pair.provider.parts.status.statusOf(giver.uri, 5)?.status === 2);
  t.equal(await ask(), 'CONSENT_SUSPENDED', 'at once after a hint');
  giver.statuses[5] = 1;
  clock.aheadMs += 121_000;
  t.equal(await ask(), 'CONSENT_WITHDRAWN', 'without any hint when the list is older than the bound');
  giver.statuses[5] = 0;
  giver.ageMs = null;
  clock.aheadMs += 121_000;
  t.equal(await ask(), 'STATUS_STALE', 'nobody can say: refused, never guessed');
  giver.ageMs = 0;
  clock.aheadMs += 6_000;
  t.equal(await ask(), 'OK');
});

t.test('hints come from consent services only', async (t) => {
  const { pair, giver } = await open(t);
  t.equal((await post(pair, '/lookups', { ...ASK, receipt: giver.receipt() })).json.code, 'OK');
  const asked = giver.asked;
  const hint = {
    client: CLIENT,
    service: SERVICE,
    method: 'POST',
    path: '/.accord/status-hint',
    body: { uri: giver.uri },
  };
  t.equal((await post(pair, '/lookups', hint)).json.code, 'NOT_FOUND', 'a department');
  await new Promise((done) => setTimeout(done, 150));
  t.equal(giver.asked, asked, 'nothing was fetched for it');
  const { consentServices } = pair.configuration;
  pair.configuration.consentServices = consentServices.flatMap((one) => [one, { ...one, subsystem: CLIENT }]);
  t.equal((await post(pair, '/lookups', hint)).json.code, 'OK', 'a consent service');
  await until(() => giver.asked > asked);
  t.ok(giver.asked > asked, 'the list is fetched at once');
});

t.test('a consent that is withdrawn while the backend works', async (t) => {
  const { pair, giver } = await open(t);
  const receipt = giver.receipt();
  const { answer } = pair.backend;
  pair.backend.answer = (request, body, response) => {
    giver.statuses[5] = 1;
    const { status } = pair.provider.parts;
    status.hint(giver.uri);
    void until(() => status.statusOf(giver.uri, 5)?.status === 1).then(() => answer(request, body, response));
  };
  const { json } = await post(pair, '/lookups', { ...ASK, receipt });
  t.match(json, { code: 'CONSENT_WITHDRAWN', outcome: 'refused' });
  t.notMatch(JSON.stringify(json), '王芳');
  t.equal(pair.backend.seen.length, 1, 'the backend had answered');
  const { log } = pair.provider.parts;
  const [record] = log.find(null, String(json['id']));
  const archived = log.readSealed(record?.seq ?? -1)?.decisionInputs ?? Buffer.alloc(0);
  t.match(replayDecision(archived, record?.entry.decisionHash ?? ''), { verdict: 'SAME', reason: '' });
});

t.test('uses are counted once each, side by side and over a restart', async (t) => {
  const { pair, giver } = await open(t);
  const receipt = giver.receipt({ uses: 3 });
  const ask = async () => (await post(pair, '/lookups', { ...ASK, receipt })).json.code;
  const codes = await Promise.all([ask(), ask(), ask(), ask(), ask()]);
  t.same(codes.sort(), ['CONSENT_USES_SPENT', 'CONSENT_USES_SPENT', 'OK', 'OK', 'OK']);
  await pair.provider.close(1_000);
  await pair.reopen('provider');
  t.equal(await ask(), 'CONSENT_USES_SPENT');
});

t.test('uses that several servers would count apart are not counted at all', async (t) => {
  const { pair, giver } = await open(t);
  const [limited, unlimited] = [giver.receipt({ uses: 3 }), giver.receipt({ uses: null })];
  const ask = async (receipt: string) => (await post(pair, '/lookups', { ...ASK, receipt })).json.code;
  const entry = pair.configuration.entries.get(pair.provider.id);
  if (entry === undefined) throw new TypeError('not registered');
  t.equal(await ask(limited), 'OK');
  // Registered behind the real one, so that it is never asked.
  const other = { ...entry, id: 'DEV/GOV/2002/ss9', authenticationCertificates: [] };
  pair.configuration.entries.set(other.id, other);
  t.equal(await ask(limited), 'CONSENT_USES_NOT_COUNTED');
  t.equal(await ask(unlimited), 'OK', 'nothing has to be counted');
  const { log, state } = pair.provider.parts;
  t.equal(state.receiptUsed(readReceipt(limited).receipt.jti), 1);
  const refused = log.read(0, 100).findLast(({ entry: { code } }) => code === 'CONSENT_USES_NOT_COUNTED');
  const archived = log.readSealed(refused?.entry.seq ?? -1)?.decisionInputs ?? Buffer.alloc(0);
  t.match(replayDecision(archived, refused?.entry.decisionHash ?? ''), { verdict: 'SAME', reason: '' });
  pair.configuration.entries.set(other.id, { ...other, subsystems: new Set<string>() });
  t.equal(await ask(limited), 'OK', 'a server of the provider that does not serve this subsystem counts nothing');
});
