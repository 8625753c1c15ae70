// Who looked at my data, over HTTP: once with everything real, and with a security server that answers as the test says.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { verifyIdToken } from '#certs/id-token.ts';
import { type OwnServer, openOwnServer } from '#consent-service/own-server.ts';
import { EN } from '#consent-service/pages/words-en.ts';
import { ZH } from '#consent-service/pages/words-zh.ts';
import { csrfTokenOf } from '#consent-service/sign-in/same-site.ts';
import { systemClock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { newMessageId } from '#core/message-id.ts';
import {
  ACCESSES_PATH,
  type Access,
  type AccessesQuestion,
  CITIZEN_DOUBTS_PATH,
  questionText,
  RECEIPT_USES_PATH,
} from '#schemas/accesses.ts';
import { MAX_CHECKS_PER_SECOND } from '#schemas/limits.ts';
import { post } from '#test/security-server/asking.ts';
import { LI, openAccessesWorld, sendForm, WANG } from './accesses-world.ts';
import { CIVIL, CLIENT, CONSENT, give, PERSON, REQUEST, TAX } from './desk.ts';
import { checkStructure, csrfOf, decide, openPort } from './pages-port.ts';

t.setTimeout(90_000);

const CIVIL_ONLY = { ...REQUEST, items: [{ service: CIVIL, elements: ['gx.name@1'] }] };

t.test('asked for, given, used, seen, doubted: everything real', async (t) => {
  const { base, issuer, pair, service, asked, log, signIn } = await openAccessesWorld(t);
  const lookup = (person: string, over: object = {}) =>
    post(pair, '/lookups', {
      client: CLIENT,
      service: CIVIL,
      path: `/residents/${person}`,
      fields: ['/name'],
      ...over,
    });
  const browser = await signIn(WANG);
  const { id } = await service.consents.file(CLIENT, CIVIL_ONLY);
  const page = await browser.open(`${base}/requests/${id}`);
  const given = await decide(browser, page, 'give', [0]);
  t.equal(given.url, `${base}/permissions/${id}`, 'the provider knows the person and sends them back without asking');
  t.match(given.text, EN.lastUsedNever, 'the department says that nobody used it');
  t.match(given.text, /3 of 3 left|3 of 3/);
  const view = await service.consents.ofClient(CLIENT, id);
  const [receipt] = view.receipts;
  const answered = await lookup('~subject', { receipt: receipt?.jws });
  t.match(answered.json, { code: 'OK', body: { name: '王芳' } });
  const refused = await lookup('~subject', { receipt: receipt?.jws, fields: ['/birthDate'] });
  t.equal(refused.json.code, 'FIELDS_NOT_CONSENTED');
  await lookup(LI);

  const before = await browser.open(`${base}/accesses`);
  checkStructure(t, before, 'en', issuer);
  const shown = await sendForm(browser, before, { span: 'month' });
  t.equal(shown.url, `${base}/accesses`);
  checkStructure(t, shown, 'en', issuer);
  t.match(shown.text, EN.looked.answered(1, '2'));
  t.match(shown.text, /<strong><bdi>Department DEV\/GOV\/4004|<strong><bdi>DEV\/GOV\/4004/);
  t.match(shown.text, EN.looked.away);
  const list = shown.text.slice(shown.text.indexOf(`<h2>${EN.looked.list}`));
  const order = [refused.json.id, answered.json.id].map((exchange) => list.indexOf(exchange));
  t.ok(order[0]! > 0 && order[1]! > order[0]!, 'newest first');
  t.equal(list.match(/<section class="card">/g)?.length, 2, 'own accesses only, each once');
  t.match(list, EN.looked.bases.consent);
  t.match(list, new RegExp(`href="/permissions/${id}"`), 'the permission it rests on');
  t.match(list, /items were asked for that you did not allow/);
  t.match(list, 'Social aid');

  const [question] = asked.filter(({ path, service }) => path === ACCESSES_PATH && service === CIVIL);
  const body = question?.body as { question: AccessesQuestion; idToken: string };
  const [entry] = pair.configuration.identityProviders;
  const nonce = sha256(questionText(body.question));
  const claims = verifyIdToken(body.idToken, entry!, { nowMs: systemClock.nowMs(), nonce });
  t.equal(claims.all['resident_id'], WANG, 'a token that was made for this one question');
  t.equal(asked.filter(({ path }) => path === ACCESSES_PATH).length, 2, 'one service of each department, not its own');

  const again = await browser.open(`${base}/accesses/answers`);
  t.equal(again.url, `${base}/accesses`, 'nothing is asked twice with one sign-in');
  t.equal(asked.filter(({ path }) => path === ACCESSES_PATH).length, 2);
  const other = await signIn(LI);
  t.notMatch((await other.open(`${base}/accesses`)).text, answered.json.id, 'another session sees nothing of it');
  t.equal((await other.open(`${base}/accesses/${answered.json.id}/doubt`)).status, 404);
  const others = await sendForm(other, await other.open(`${base}/accesses`), { span: 'all' });
  t.notMatch(others.text, answered.json.id);
  t.match(others.text, EN.looked.bases.open, "Li's own access");
  t.match((await browser.open(`${base}/accesses`)).text, answered.json.id);

  const form = await browser.open(`${base}/accesses/${answered.json.id}/doubt`);
  checkStructure(t, form, 'en', issuer);
  const empty = await sendForm(browser, form, { proposed: '王芬', note: '' });
  t.match(empty, { status: 422, text: /<title>Error: .*value="王芬"/s });
  checkStructure(t, empty, 'en', issuer);
  t.equal((await sendForm(browser, form, { element: 'gx.income@1' })).status, 400, 'what was not told');
  const sent = await sendForm(browser, empty, { element: 'gx.name@1', proposed: '王芬', note: 'misspelt' });
  t.equal(sent.status, 200);
  checkStructure(t, sent, 'en', issuer);
  t.match(sent.text, EN.doubt.sent);
  t.ok(asked.some(({ path }) => path === CITIZEN_DOUBTS_PATH));
  t.match((await browser.open(`${base}/accesses`)).text, EN.doubt.states.open, 'at once among what was reported');
  const later = await sendForm(browser, await browser.open(`${base}/accesses`), { span: 'year' });
  t.match(later.text, EN.doubt.states.open, 'and as the department says');
  t.match(later.text, /<details><summary>Your own questions \(\d+\)/);

  const used = await browser.open(`${base}/permissions/${id}`);
  t.match(used.text, /3 of 3|2 of 3/);
  t.ok(asked.some(({ path }) => path === RECEIPT_USES_PATH));
  const written = log.join('\n');
  for (const secret of [body.idToken, body.idToken.split('.')[1] ?? '', WANG, '王芬'])
    t.notOk(written.includes(secret));
});

/** A security server that answers as the test says: the body of the department, a status and code, or raw text. */
async function openFake(t: Test): Promise<{ server: OwnServer; answers: Map<string, unknown>; asked: string[] }> {
  const answers = new Map<string, unknown>();
  const asked: string[] = [];
  const fake = createServer(async (request, response) => {
    const { service, path, body } = JSON.parse(Buffer.concat(await request.toArray()).toString());
    asked.push(`${path} ${service} ${body.idToken ?? ''}`);
    const answer = answers.get(`${path} ${service}`) ?? answers.get(path);
    if (answer === 'silence') return;
    response.setHeader('content-type', 'application/json');
    if (typeof answer === 'string') return void response.end(answer);
    const { code } = (answer ?? { code: 'PROVIDER_UNREACHABLE' }) as { code?: string };
    response.statusCode = code === undefined ? 200 : 403;
    response.end(
      JSON.stringify(code === undefined ? { status: 200, code: 'OK', body: answer } : { code, status: 403 }),
    );
  }).listen(0, '127.0.0.1');
  await once(fake, 'listening');
  const http = openClient();
  t.teardown(() => http.close());
  t.teardown(() => {
    fake.close();
    fake.closeAllConnections();
  });
  const { port } = fake.address() as AddressInfo;
  const own = openOwnServer(http, `http://127.0.0.1:${port}`, CONSENT);
  // A department that keeps silent costs the test no eight seconds.
  const server: OwnServer = { ask: (to, path, body, timeoutMs) => own.ask(to, path, body, Math.min(timeoutMs, 300)) };
  return { server, answers, asked };
}

const EVIL = `<script>alert(1)</script>"'\`><img src=x onerror=alert(1)>&lt;\u202Etxt\u2067`;

function access(over: Partial<Access> = {}): Access {
  const nowMs = systemClock.nowMs();
  const about = { exchange: newMessageId(nowMs), atMs: nowMs, client: CLIENT, service: CIVIL, operation: null };
  const why = { purpose: null, basis: 'law', issue: null, unit: null, emergency: null, receipt: null } as const;
  const what = { outcome: 'answered', code: 'OK', asked: ['gx.name@1'], items: ['gx.name@1'] } as const;
  return { ...about, ...why, ...what, asked: ['gx.name@1'], items: ['gx.name@1'], isOwn: false, ...over };
}

t.test('departments that answer rubbish, nothing, or text that is not meant well', async (t) => {
  const { server, answers, asked } = await openFake(t);
  const { as, base } = await openPort(t, server);
  const browser = as('wang');
  const ask = async () => sendForm(browser, await browser.open(`${base}/accesses`), { span: 'all' });
  const emergency = { id: newMessageId(systemClock.nowMs()), reason: EVIL };
  const accesses = [
    access({ issue: EVIL, unit: EVIL }),
    access({ basis: 'emergency', emergency, unit: '警务指挥中心' }),
    access({ outcome: 'refused', code: 'QUOTA_EXCEEDED', items: [] }),
    access({ outcome: 'failed', code: 'NEVER_HEARD_OF', items: [] }),
    access({ outcome: 'under-way', code: null, items: [], basis: 'consent', receipt: newMessageId(1) }),
    access({ client: CONSENT, basis: 'open', isOwn: true, asked: [], items: [] }),
  ];
  const civil = { v: 1, accesses, hasMore: true, doubts: [] };
  answers.set(`${ACCESSES_PATH} ${CIVIL}`, civil);
  for (const language of ['en', 'zh'] as const) {
    const words = { en: EN, zh: ZH }[language].looked;
    browser.set('accord-language', language);
    const foreign = { ...civil, accesses: [access()] };
    const cases: [unknown, string, string][] = [
      [{ code: 'QUESTION_REFUSED' }, words.refused, 'QUESTION_REFUSED'],
      [{ code: 'QUESTION_LIMIT' }, words.tooOften, 'QUESTION_LIMIT'],
      [{ code: 'PROVIDER_UNREACHABLE' }, words.away, 'PROVIDER_UNREACHABLE'],
      ['silence', words.away, 'PEER_TIMEOUT'],
      ['<html>', words.malformed, 'JSON_INVALID'],
      [{ ...civil, more: 1 }, words.malformed, 'SCHEMA_MISMATCH'],
      [foreign, words.malformed, 'SCHEMA_MISMATCH'],
    ];
    for (const [answer, text, code] of cases) {
      answers.set(`${ACCESSES_PATH} ${TAX}`, answer);
      const shown = await ask();
      checkStructure(t, shown, language);
      t.ok(shown.text.includes(words.answered(1, '2')), code);
      t.match(shown.text, new RegExp(`${text} [^<]*<code>${code}</code>`), code);
      t.ok(shown.text.includes(words.hasMore));
    }
  }
  answers.set(`${ACCESSES_PATH} ${TAX}`, { ...civil, accesses: [], hasMore: false });
  browser.set('accord-language', 'en');
  const shown = await ask();
  t.ok(shown.text.includes(EN.looked.answered(2, '2')));
  t.ok(shown.text.indexOf(EN.looked.emergencyText) < shown.text.indexOf(`<h2>${EN.looked.list}`), 'above everything');
  t.ok(shown.text.includes('<bdi>&#60;script&#62;'));
  for (const text of [
    'the department had asked too often',
    'NEVER_HEARD_OF',
    '警务指挥中心',
    EN.looked.permissionOther,
  ]) {
    t.ok(shown.text.includes(text), text);
  }
  t.equal(shown.text.match(/\/doubt">/g)?.length, 2, 'an error is reported in what was told, not in what was refused');
  const count = async (query: string) =>
    (await browser.open(`${base}/accesses${query}`)).text.match(/<section class="card">/g)?.length ?? 0;
  t.equal(await count(''), 5, 'own questions are apart');
  t.equal(await count('?basis=emergency'), 1);
  t.equal(await count(`?department=${encodeURIComponent('DEV/GOV/4004/tax')}`), 0);
  t.equal(await count('?basis=law&page=2'), 0);
  t.equal(await count(`?basis=none&page=-1&department=${encodeURIComponent(EVIL)}`), 0);
  const one = await browser.open(`${base}/accesses/${accesses[1]?.exchange}`);
  checkStructure(t, one, 'en');

  t.ok(
    asked.every((line) => line.endsWith('token.of.wang')),
    "the person's own token and no other",
  );
  t.equal(asked.filter((line) => line.includes(CONSENT)).length, 0);
  const tokens = asked.length;
  const csrf = csrfOf(shown);
  for (const [status, form] of [
    [403, { csrf: csrfTokenOf('li'), span: 'all' }],
    [400, { csrf, span: 'ever' }],
    [400, { csrf, span: 'all', more: '1' }],
  ] as const) {
    t.equal((await browser.post(`${base}/accesses`, form)).status, status);
  }
  await browser.post(`${base}/accesses`, { csrf, span: 'all' }, `${base}/accesses/answers`);
  for (const nonce of ['x'.repeat(43), '']) {
    browser.set('nonce', nonce);
    await browser.send(`${base}/accesses/answers`);
  }
  t.equal(asked.length, tokens, 'without a form and the sign-in for it nobody is asked');
  t.equal((await as('li').open(`${base}/accesses/${accesses[0]?.exchange}`)).status, 404);
  const doubtful = await browser.open(`${base}/accesses/${accesses[0]?.exchange}/doubt`);
  for (const [answer, text] of [
    [{ code: 'DOUBT_WITHOUT_EXCHANGE' }, EN.doubt.notSent],
    ['silence', EN.doubt.unsure],
    [{ id: 'x' }, EN.looked.malformed],
  ] as const) {
    answers.set(CITIZEN_DOUBTS_PATH, answer);
    const told = await sendForm(browser, doubtful, { element: 'gx.name@1', proposed: EVIL, note: '' });
    checkStructure(t, told, 'en');
    t.ok(told.text.includes(text), text);
  }
});

t.test('nobody asked, and no server to ask through', async (t) => {
  const { as, base } = await openPort(t);
  const shown = await as('wang', 'zh').open(`${base}/accesses`);
  checkStructure(t, shown, 'zh');
  t.ok(shown.text.includes(ZH.looked.notSetUp));
  t.match((await as(null).send(`${base}/accesses`)).headers.get('location'), /^\/sign-in\?/);
  const { server, answers } = await openFake(t);
  const port = await openPort(t, server);
  answers.set(ACCESSES_PATH, { v: 1, accesses: [], hasMore: false, doubts: [] });
  const browser = port.as('wang');
  const empty = await sendForm(browser, await browser.open(`${port.base}/accesses`), { span: 'month' });
  t.ok(empty.text.includes(EN.looked.none));
  port.desk.clock.aheadMs += 16 * 60_000;
  t.notMatch((await browser.open(`${port.base}/accesses`)).text, EN.looked.none, 'gone after a quarter of an hour');
});

t.test('uses left, as far as the departments tell; receipts that are genuine and those that are not', async (t) => {
  const { server, answers, asked } = await openFake(t);
  const { as, base, desk, file } = await openPort(t, server);
  const { id } = await file({ frequency: { uses: 2, days: 7 } });
  const asking = await as('wang').open(`${base}/requests/${id}`);
  t.match(
    asking.text,
    /<dt>How often<\/dt><dd>At most 2 times within any 7 days, and 3 times in all, from each service</,
  );
  const inChinese = await as('wang', 'zh').open(`${base}/requests/${id}`);
  t.match(inChinese.text, '<dd>每个提供方在任意连续 7 天内最多 2 次，总共最多 3 次</dd>');
  const items = [
    { service: CIVIL, element: 'gx.name@1' },
    { service: TAX, element: 'gx.income@1' },
    { service: TAX, element: 'gx.currency@1' },
  ];
  const { receipts } = await give(desk.consents, PERSON, id, items, 'en');
  const jtiOf = (service: string) => receipts.find((one) => one.service === service)?.jti ?? '';
  const lastUsedAtMs = Date.UTC(2026, 0, 2, 3, 4);
  const browser = as('wang');
  const look = async () => (await browser.open(`${base}/permissions/${id}`)).text;
  t.match(
    await look(),
    /<dt>Left for now<\/dt><dd>Not known at the moment; at most 2 times within any 7 days, from each/,
  );
  desk.clock.aheadMs += 6_000;
  const use = { receipt: jtiOf(CIVIL), used: 2, lastUsedAtMs };
  answers.set(`${RECEIPT_USES_PATH} ${CIVIL}`, { v: 1, uses: [{ ...use, usedInWindow: 2 }] });
  const partly = await look();
  t.match(partly, /: 1 of 3<\/li><\/ul>The others: Not known at the moment/);
  t.match(partly, '2026-01-02T03:04:00.000Z');
  t.match(partly, /<dt>Left for now<\/dt><dd><ul><li>.*: 0 of 2 within any 7 days<\/li><\/ul>The others: Not known/);
  const before = asked.length;
  await look();
  t.equal(asked.length, before, 'asked once a minute at most');
  answers.set(`${RECEIPT_USES_PATH} ${TAX}`, { v: 1, uses: [] });
  desk.clock.aheadMs += 6_000;
  t.match(await look(), /: 1 of 3<\/li><li>.*: 3 of 3<\/li><\/ul><\/dd>/);
  answers.set(`${RECEIPT_USES_PATH} ${CIVIL}`, { v: 1, uses: [use] });
  desk.clock.aheadMs += 61_000;
  t.match(await look(), /: 1 of 2 within any 7 days<\/li><li>.*: 2 of 2 within/, 'no more than is left in all');
  const receiptPage = (await browser.open(`${base}/permissions/${id}/receipts`)).text;
  t.match(receiptPage, '<dd>At most 2 times within any 7 days, and 3 times in all, from each service</dd>');

  const verify = async (receipt: string, who: string | null = null) => {
    const visitor = as(who);
    return sendForm(visitor, await visitor.open(`${base}/verify`), { receipt });
  };
  const [{ jws }] = receipts as unknown as [{ jws: string }];
  const { checking } = EN;
  const genuine = await verify(`  ${jws.slice(0, 40)}${jws.slice(40)}\r\n`);
  checkStructure(t, genuine, 'en');
  t.ok(genuine.text.includes(checking.standings.valid));
  t.ok(genuine.text.includes('Social aid'));
  t.match(genuine.text, '<dd>At most 2 times within any 7 days, and 3 times in all, from each service</dd>');
  t.notMatch(genuine.text, REQUEST.subject.value);
  const [head = '', payload = '', signature = ''] = jws.split('.');
  const other = Buffer.from(payload, 'base64url').toString().replace('"uses":3', '"uses":9');
  const forged = `${head}.${Buffer.from(other).toString('base64url')}.${signature}`;
  const unknown = Buffer.from(payload, 'base64url')
    .toString()
    .replace(`"iss":"${CONSENT}"`, '"iss":"DEV/GOV/9999/consent"');
  const cases: [string, number, string][] = [
    [forged, 200, checking.signature],
    [`${head}.${Buffer.from(unknown).toString('base64url')}.${signature}`, 200, checking.issuer],
    ['rubbish', 200, checking.unreadableText],
    [jws.slice(0, -3), 200, checking.unreadableText],
    [' ', 422, checking.empty],
    ['x'.repeat(25_000), 400, 'SCHEMA_MISMATCH'],
    ['x'.repeat(40_000), 413, 'BODY_TOO_LARGE'],
  ];
  for (const [text, status, said] of cases) {
    const shown = await verify(text, 'wang');
    t.match(shown, { status }, said);
    t.ok(shown.text.includes(said), said);
    checkStructure(t, shown, 'en');
    t.notMatch(shown.text, checking.standings.valid);
  }
  await desk.consents.suspend(PERSON, id);
  t.ok((await verify(jws)).text.includes(checking.standings.paused));
  const own = await browser.open(`${base}/permissions/${id}/receipts`);
  checkStructure(t, own, 'en');
  t.ok(own.text.includes(checking.standings.paused));
  await desk.consents.withdraw(PERSON, id);
  t.ok((await verify(jws)).text.includes(checking.standings.ended));
  const stopped = desk.clock.monotonicMs() + 5_000;
  desk.clock.monotonicMs = () => stopped;
  const check = () => as(null).post(`${base}/verify`, { receipt: 'x' });
  const statuses = await Promise.all(Array.from({ length: MAX_CHECKS_PER_SECOND + 2 }, check));
  t.equal(statuses.filter(({ status }) => status === 503).length, 2, 'so many in a second');
});
