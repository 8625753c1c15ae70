// Reports of doubt between two real servers: who may make one, what it changes at the next release, what the providing
// department answers, and what stands on its disk. The catalogue over the same port.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { openAccord } from '#adapters/client.ts';
import { systemClock } from '#core/clock.ts';
import type { DoubtReport, DoubtState } from '#schemas/doubt.ts';
import { DOUBT_KEPT_MS, MAX_WAITING_DOUBTS_PER_CLIENT, MAX_WAITING_DOUBTS_PER_PERSON } from '#schemas/limits.ts';
import { ADMIN_KEY, AUDITOR_KEY, accessRight, CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { readCall } from '#security-server/consumer/call.ts';
import { exchange } from '#security-server/consumer/exchange.ts';
import { openDoubts } from '#security-server/doubts.ts';
import { openDoubtStoreSqlite } from '#security-server/doubts-sqlite.ts';
import { type Asked, auditBoth, deliver, entries, kinds, post, recorded } from './asking.ts';
import { ENTRIES, tableOf } from './bound-service.ts';
import { MovingClock } from './moving-clock.ts';

t.setTimeout(60_000);
const OTHER = 'DEV/GOV/1001/other';
const PERSON = '460102199001010011';
const BORN = '1990-02-03';
const ALL = ['gx.name@1', 'gx.birth_date@1', 'gx.income@1', 'gx.currency@1'];
const PAPER = createHash('sha256').update('a certificate of birth').digest('base64url');

async function openBound(t: Test): Promise<Pair> {
  const pair = await openPair({ right: accessRight({ elements: ALL }) });
  t.teardown(() => pair.close());
  const { configuration } = pair;
  configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  configuration.bind(tableOf());
  configuration.register(pair.consumer.id, pair.consumer.urls.peer, [CLIENT, OTHER], pair.identities.consumer);
  pair.provider.parts.state.putRight(
    accessRight({ id: '00000000-0000-4000-8000-000000000002', client: OTHER, elements: ALL }),
  );
  pair.backend.answer = (_request, _body, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name: '王芳', birthDate: BORN }));
  };
  return pair;
}

async function lookup(pair: Pair, over: object = {}): Promise<Asked & { states: Record<string, string> }> {
  const asked = { client: CLIENT, service: SERVICE, path: `/residents/${PERSON}`, fields: ['/name', '/birthDate'] };
  const answer = await post(pair, '/lookups', { ...asked, ...over });
  const release = answer.json['release'] as { elements: { path: string; state: string }[] } | undefined;
  return { ...answer, states: Object.fromEntries(release?.elements.map(({ path, state }) => [path, state]) ?? []) };
}

const doubtOf = (exchange: string, over: object = {}) => ({
  client: CLIENT,
  service: SERVICE,
  element: 'gx.birth_date@1',
  subject: { scheme: 'gx.id@1', value: PERSON },
  doubted: BORN,
  proposed: '1990-03-02',
  evidenceHash: PAPER,
  exchange,
  note: 'month and day were swapped',
  ...over,
});

async function state(pair: Pair, id: string, over: object = {}) {
  const query = new URLSearchParams({ client: CLIENT, service: SERVICE, ...over });
  const answer = await fetch(`${pair.consumer.urls.loopback}/doubts/${id}?${query}`);
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

async function admin(pair: Pair, method: string, path: string, body?: object, key = ADMIN_KEY) {
  const headers = { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }) };
  const answer = await fetch(`${pair.provider.urls.admin}${path}`, {
    method,
    headers,
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

t.test('from a doubt to its answer', async (t) => {
  const pair = await openBound(t);
  const received = await lookup(pair);
  t.same(received.states, { '/birthDate': 'present', '/name': 'present' });
  const seen = pair.backend.seen.length;
  const reported = await post(pair, '/doubts', doubtOf(received.json.id));
  t.match(reported, { status: 201, json: { state: 'open', element: 'gx.birth_date@1', note: null } });
  const { id, report } = reported.json as unknown as { id: string; report: { id: string } };
  t.equal(pair.backend.seen.length, seen, 'the backend sees nothing of it');
  t.equal(kinds(pair.provider, report.id), 'request-received,response-sent');
  t.equal(kinds(pair.consumer, report.id), 'request-sent,response-received');

  t.same((await lookup(pair)).states, { '/birthDate': 'underInvestigation', '/name': 'present' });
  t.same((await lookup(pair, { client: OTHER })).states['/birthDate'], 'underInvestigation', 'for everybody who asks');
  t.same((await lookup(pair, { path: '/residents/another' })).states['/birthDate'], 'present');
  const again = await post(pair, '/doubts', doubtOf(received.json.id, { note: 'once more' }));
  t.match(again, { status: 200, json: { id, state: 'open' } }, 'the same doubt is one doubt');

  const listed = (await admin(pair, 'GET', '/doubts?state=open')).json['items'] as object[];
  const about = { subject: { value: PERSON }, doubted: BORN, proposed: '1990-03-02', evidenceHash: PAPER, path: null };
  t.match(listed, [{ id, client: CLIENT, about, words: [{ state: 'open', note: 'month and day were swapped' }] }]);
  t.equal(listed.length, 1);
  const audited = await admin(pair, 'GET', '/doubts', undefined, AUDITOR_KEY);
  t.match(audited, { status: 200, json: { items: [{ id }] } });
  t.notMatch(JSON.stringify(audited.json), new RegExp(`${PERSON}|${BORN}|swapped`), 'an auditor sees no values');
  const metrics = await (await fetch(`${pair.provider.urls.health}/metrics`)).text();
  t.match(metrics, /^accord_doubts_open 1$/m);

  await admin(pair, 'POST', `/doubts/${id}/answer`, { state: 'needs-info', note: 'Who issued it?' });
  t.match(await state(pair, id), { status: 200, json: { state: 'needs-info', note: 'Who issued it?' } });
  t.equal((await lookup(pair)).states['/birthDate'], 'underInvestigation', 'it still waits');
  const more = await post(pair, '/doubts', doubtOf(received.json.id, { note: 'the hospital' }));
  t.match(more, { status: 200, json: { id, state: 'open', note: 'Who issued it?' } });
  const accepted = await admin(pair, 'POST', `/doubts/${id}/answer`, { state: 'accepted', note: null });
  t.match(accepted, { status: 200, json: { state: 'accepted' } });
  const notes = (accepted.json['words'] as { note: string | null }[]).map(({ note }) => note);
  t.same(notes, ['month and day were swapped', 'Who issued it?', 'the hospital', null]);
  t.equal((await lookup(pair)).states['/birthDate'], 'present');
  t.match(await state(pair, id), { json: { state: 'accepted', note: null } });
  t.match(await post(pair, '/doubts', doubtOf(received.json.id)), { status: 200, json: { id, state: 'accepted' } });

  const rows: [string, object, number, string][] = [
    [id, { state: 'rejected', note: 'no' }, 409, 'DOUBT_CLOSED'],
    ['019310a2-7c11-7d3a-9b52-0f3c5e7a1b2c', { state: 'accepted', note: null }, 404, 'DOUBT_UNKNOWN'],
    [id, { state: 'open', note: null }, 400, 'SCHEMA_MISMATCH'],
    [id, { state: 'rejected', note: null }, 400, 'SCHEMA_MISMATCH'],
  ];
  for (const [which, body, status, code] of rows) {
    t.match(await admin(pair, 'POST', `/doubts/${which}/answer`, body), { status, json: { code } }, code);
  }
  await auditBoth(t, pair);
});

/** Past the checks of the own server, as one that was changed would ask. */
async function unchecked(pair: Pair, client: string, path: string, body?: object) {
  const lookup = { client, service: SERVICE, method: body ? ('POST' as const) : ('GET' as const), path };
  const caller = { authenticate: () => 'loopback' as const };
  const result = await exchange(
    pair.consumer.parts,
    readCall({ ...lookup, ...(body && { body }) }, caller, pair.consumer.parts),
  );
  return result.code;
}

t.test('only what was received, and only by whom', async (t) => {
  const pair = await openBound(t);
  const received = await lookup(pair);
  const { id } = received.json;
  const refused = await lookup(pair, { fields: ['/income/of/nobody'] });
  const rows: [string, object, number, string][] = [
    ['another client', { client: OTHER }, 404, 'DOUBT_WITHOUT_EXCHANGE'],
    ['an exchange that never was', { exchange: '019310a2-7c11-7d3a-9b52-0f3c5e7a1b2c' }, 404, 'DOUBT_WITHOUT_EXCHANGE'],
    ['an exchange that was refused', { exchange: refused.json.id }, 404, 'DOUBT_WITHOUT_EXCHANGE'],
    ['an element that was not in it', { element: 'gx.income@1' }, 404, 'DOUBT_WITHOUT_EXCHANGE'],
    ['an element that is not bound', { element: 'gx.shoe_size@1' }, 404, 'DOUBT_WITHOUT_EXCHANGE'],
    ['another place', { path: '/years/birthDate' }, 404, 'DOUBT_WITHOUT_EXCHANGE'],
    ['another person', { subject: { scheme: 'gx.id@1', value: 'another' } }, 404, 'DOUBT_WITHOUT_EXCHANGE'],
    ['another scheme', { subject: { scheme: 'gx.name@1', value: PERSON } }, 404, 'DOUBT_WITHOUT_EXCHANGE'],
    ['a foreign subsystem', { client: 'DEV/GOV/2002/provider' }, 403, 'CALLER_NOT_ALLOWED'],
    ['a list', { doubted: [BORN] }, 400, 'SCHEMA_MISMATCH'],
    ['something more', { more: 1 }, 400, 'SCHEMA_MISMATCH'],
    ['a long note', { note: 'x'.repeat(2001) }, 400, 'SCHEMA_MISMATCH'],
  ];
  for (const [name, over, status, code] of rows) {
    t.match(await post(pair, '/doubts', doubtOf(id, over)), { status, json: { code } }, name);
  }
  const reported = await post(
    pair,
    '/doubts',
    doubtOf(id, { path: '/birthDate', proposed: undefined, note: undefined }),
  );
  t.equal(reported.status, 201);
  const [, ownReport] = [reported.json.id, (reported.json['report'] as { id: string }).id];
  t.match(await post(pair, '/doubts', doubtOf(ownReport)), { status: 404, json: { code: 'DOUBT_WITHOUT_EXCHANGE' } });

  // The provider's server judges by itself.
  const { client: _client, service: _service, ...said } = doubtOf(id, { path: null });
  const wire = { v: 1, ...said };
  const judged: [string, string, object | undefined, string][] = [
    [OTHER, '/.accord/doubts', wire, 'DOUBT_WITHOUT_EXCHANGE'],
    [CLIENT, '/.accord/doubts', { ...wire, element: 'gx.income@1' }, 'DOUBT_WITHOUT_EXCHANGE'],
    [CLIENT, '/.accord/doubts', { ...wire, v: 2 }, 'SCHEMA_MISMATCH'],
    [CLIENT, '/.accord/doubts', { ...wire, padding: 'x'.repeat(20_000) }, 'BODY_TOO_LARGE'],
    [CLIENT, '/.accord/doubts', wire, 'OK'],
    [OTHER, `/.accord/doubts/${reported.json.id}`, undefined, 'DOUBT_UNKNOWN'],
    [CLIENT, `/.accord/doubts/${reported.json.id}`, undefined, 'OK'],
    [CLIENT, '/.accord/doubts', undefined, 'NOT_FOUND'],
    [CLIENT, '/.accord', undefined, 'NOT_FOUND'],
    [CLIENT, '/.accord/other', undefined, 'NOT_FOUND'],
  ];
  const seen = pair.backend.seen.length;
  for (const [client, path, body, code] of judged)
    t.equal(await unchecked(pair, client, path, body), code, `${path} ${code}`);
  t.equal(pair.backend.seen.length, seen, 'no backend sees a reserved path');
  t.match(await state(pair, reported.json.id, { client: OTHER }), { status: 404, json: { code: 'DOUBT_UNKNOWN' } });
  t.match(await state(pair, 'x'), { status: 404, json: { code: 'DOUBT_UNKNOWN' } });
  t.match((await admin(pair, 'GET', '/doubts')).json, { items: { length: 1 }, next: null });

  // An erased exchange proves nothing about whom it was.
  pair.provider.parts.log.erasure.destroyDays('standard', 0, Math.floor(systemClock.nowMs() / 86_400_000));
  const late = await post(pair, '/doubts', doubtOf(id, { element: 'gx.name@1', doubted: '王芳' }));
  t.match(late, { status: 404, json: { code: 'DOUBT_WITHOUT_EXCHANGE', detail: /erased/ } });
});

t.test('replay, restart, and what the disk tells', async (t) => {
  const pair = await openBound(t);
  const received = await lookup(pair);
  const { link } = pair.consumer.parts;
  const frames: Buffer[] = [];
  pair.consumer.parts.link = {
    ...link,
    send: async (peer, message, timeoutMs) => {
      frames.push(await recorded(pair, peer, message));
      return link.send(peer, message, timeoutMs);
    },
  };
  const reported = await post(pair, '/doubts', doubtOf(received.json.id));
  const { id } = reported.json;
  const answered = await admin(pair, 'POST', `/doubts/${id}/answer`, { state: 'needs-info', note: 'more' });
  t.equal(answered.status, 200);
  t.equal(await deliver(pair, frames.at(-1) as Buffer), 'answered');
  const exchangeId = (reported.json['report'] as { id: string }).id;
  t.equal(entries(pair.provider, exchangeId).find(({ kind }) => kind === 'refusal-sent')?.code, 'MESSAGE_REPLAYED');
  t.match(await state(pair, id), { json: { state: 'needs-info' } }, 'what is played again does not open it again');

  await pair.provider.close(500);
  const folder = join(pair.folder, 'provider');
  const files = readdirSync(folder).filter((name) => name.startsWith('doubts.db'));
  t.ok(files.length > 0);
  for (const name of files) {
    const bytes = readFileSync(join(folder, name));
    for (const told of [PERSON, BORN, '1990-03-02', 'swapped', PAPER])
      t.notOk(bytes.includes(told), `${name}: ${told}`);
  }
  await pair.reopen('provider');
  t.equal((await lookup(pair)).states['/birthDate'], 'underInvestigation');
  t.match(await state(pair, id), { status: 200, json: { state: 'needs-info', note: 'more' } });
});

t.test('the store of doubts: limits, pages, a year, another key', async (t) => {
  const clock = new MovingClock();
  const store = openDoubtStoreSqlite(':memory:');
  const key = Buffer.alloc(32, 7);
  const doubts = openDoubts(store, key, clock);
  const subject = { scheme: 'gx.id@1', value: PERSON };
  const exchangeOf = (at: number) => `019310a2-7c11-7d3a-9b52-${String(at).padStart(12, '0')}`;
  const report = (at: number, client = CLIENT, element = 'gx.name@1') => {
    const nothing = { path: null, doubted: null, proposed: null, evidenceHash: null, note: null };
    const made: DoubtReport = { v: 1, element, subject, exchange: exchangeOf(at), ...nothing };
    return doubts.report({ reporter: 'department', peer: 'p', client, service: SERVICE, report: made });
  };
  for (let at = 0; at < MAX_WAITING_DOUBTS_PER_CLIENT; at += 1) report(at);
  t.throws(() => report(5_000), { code: 'DOUBT_LIMIT' });
  t.equal(report(0).isNew, false, 'a known one is found at the limit too');
  const other = report(5_000, OTHER, 'gx.income@2').doubt;
  t.equal(doubts.open(), MAX_WAITING_DOUBTS_PER_CLIENT + 1);
  t.ok(doubts.isDoubted(SERVICE, 'gx.income@1', subject), 'in every form of the element');
  t.notOk(doubts.isDoubted(SERVICE, 'gx.birth_date@1', subject));
  t.notOk(doubts.isDoubted(`${SERVICE}x`, 'gx.income@2', subject));
  t.notOk(doubts.isDoubted(SERVICE, 'gx.income@2', null));
  t.notOk(doubts.isDoubted(SERVICE, 'gx.income@2', { ...subject, scheme: 'gx.name@1' }));

  const seen = new Set<string>();
  for (let after: string | null = null; ; ) {
    const page = doubts.page('open', after, 300);
    for (const one of page) seen.add(one.id);
    if (page.length < 300) break;
    after = page.at(-1)?.id ?? null;
  }
  t.equal(seen.size, MAX_WAITING_DOUBTS_PER_CLIENT + 1);
  const closes: Exclude<DoubtState, 'open'>[] = ['needs-info', 'rejected'];
  for (const next of closes) doubts.answer(other.id, next, 'no');
  t.equal(doubts.open(), MAX_WAITING_DOUBTS_PER_CLIENT);
  t.notOk(doubts.isDoubted(SERVICE, 'gx.income@2', subject));
  clock.aheadMs = DOUBT_KEPT_MS - 86_400_000;
  const [first] = doubts.page('open', null, 1);
  doubts.answer(first?.id ?? '', 'accepted', null);
  report(6_000);
  t.ok(doubts.find(other.id), 'kept for a year');
  clock.aheadMs = DOUBT_KEPT_MS + 86_400_000;
  report(0);
  t.equal(doubts.find(other.id), null, 'then forgotten');
  t.ok(doubts.find(first?.id ?? ''), 'a year counts from the answer');
  t.equal(doubts.open(), MAX_WAITING_DOUBTS_PER_CLIENT, 'what waits is kept for as long as it waits');

  const stolen = openDoubts(store, Buffer.alloc(32, 8), clock);
  t.throws(() => stolen.page(null, null, 1), { code: 'RECORD_UNREADABLE' });
  t.notOk(stolen.isDoubted(SERVICE, 'gx.name@1', subject), 'without the key nobody is found');
  const [one, two] = [store.page('open', null, 2)[0], store.page('open', null, 2)[1]];
  if (one === undefined || two === undefined) throw new TypeError('two rows');
  store.update({ ...one, sealed: two.sealed });
  t.throws(() => doubts.find(one.id), { code: 'RECORD_UNREADABLE' }, "another row's content");
  doubts.close();
});

t.test('reports of citizens have a limit of their own, also in a file from before there were any', async (t) => {
  const file = join(t.testdir(), 'doubts.db');
  openDoubtStoreSqlite(file).close();
  const old = new Database(file);
  old.exec('DROP INDEX doubt_of_citizen; ALTER TABLE doubt DROP COLUMN reporter');
  old.exec("INSERT INTO doubt VALUES ('a', 'p', 'c', 's', 'gx.name@1', 'x', 'tag', 'open', 1, 1, x'00')");
  old.close();
  const store = openDoubtStoreSqlite(file);
  t.match(store.row('a'), { reporter: 'department', client: 'c' });
  const doubts = openDoubts(store, Buffer.alloc(32, 7), systemClock);
  const nothing = { path: null, doubted: null, proposed: null, evidenceHash: null, note: null };
  const report = (at: number, value: string, service = SERVICE) => {
    const subject = { scheme: 'gx.id@1', value };
    const made: DoubtReport = { v: 1, element: 'gx.name@1', subject, exchange: `${at}`, ...nothing };
    return doubts.report({ reporter: 'citizen', peer: 'p', client: CLIENT, service, report: made });
  };
  for (let at = 0; at < MAX_WAITING_DOUBTS_PER_PERSON; at += 1) report(at, PERSON, at < 3 ? SERVICE : 'A/B/C/D/e');
  t.throws(() => report(5_000, PERSON), { code: 'DOUBT_LIMIT' });
  t.ok(report(5_000, 'another').isNew, 'whoever else comes through the same consent service');
  const about = { scheme: 'gx.id@1', value: PERSON };
  const provider = SERVICE.slice(0, SERVICE.lastIndexOf('/'));
  t.same(
    doubts.ofCitizen(about, provider).map(({ exchange }) => exchange),
    ['2', '1', '0'],
  );
  const [newest] = doubts.ofCitizen(about, provider);
  if (newest === undefined) throw new TypeError('three reports');
  doubts.answer(newest.id, 'accepted', null);
  t.ok(report(5_000, PERSON).isNew);
  doubts.close();
});

t.test('the catalogue and the typed client', async (t) => {
  const pair = await openBound(t);
  const get = async (path: string) => {
    const answer = await fetch(`${pair.consumer.urls.loopback}${path}`);
    return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
  };
  const accord = openAccord({ url: pair.consumer.urls.loopback ?? '', client: CLIENT });
  t.teardown(() => accord.close());
  const { items, release } = await accord.catalogue('birth', { limit: 3 });
  t.equal(release, '1.0.0');
  t.match(items[0], {
    element: 'gx.birth_date@1',
    level: 2,
    services: [
      { service: SERVICE, title: 'Echo', path: '/residents/{id}', leafPath: '/birthDate', subjectScheme: 'gx.id@1' },
    ],
  });
  t.match(await accord.catalogueEntry('gx.pred.age_ge_18@1'), {
    item: { kind: 'predicate', services: [{ leafPath: null }] },
  });
  t.match(await get('/catalogue?kind=element&level=2&limit=100'), {
    status: 200,
    json: { items: [{ element: 'gx.birth_date@1' }, {}, {}, {}] },
  });
  const bad = [
    'limit=0',
    'limit=101',
    'limit=1e1',
    'level=5',
    'kind=group',
    'more=1',
    'q=a&q=b',
    `q=${'x'.repeat(201)}`,
  ];
  for (const query of bad) {
    t.match(await get(`/catalogue?${query}`), { status: 400, json: { code: 'SCHEMA_MISMATCH' } }, query);
  }
  for (const ref of ['gx.nothing@1', 'gx.birth_date', '__proto__', 'gx.group.amount@1']) {
    t.match(await get(`/catalogue/${ref}`), { status: 404, json: { code: 'NOT_FOUND' } }, ref);
  }

  const received = await accord.lookup({ service: SERVICE, path: `/residents/${PERSON}`, fields: ['gx.birth_date@1'] });
  const { client: _client, ...value } = doubtOf(received.id);
  const doubt = await accord.reportDoubt(value);
  t.match(await accord.doubt(doubt.id, SERVICE), { id: doubt.id, state: 'open', element: 'gx.birth_date@1' });
  await t.rejects(accord.doubt(doubt.id, `${SERVICE}x`), { code: 'SERVICE_UNKNOWN' });
});

t.test('no dictionary, no catalogue', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  t.match(await (await fetch(`${pair.consumer.urls.loopback}/catalogue`)).json(), { code: 'DICTIONARY_MISSING' });
});
