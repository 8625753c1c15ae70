// The citizen pages over real HTTP, real records and receipts. Who is signed in is said by a cookie of the test, but for one
// case over the whole service with a development identity provider.
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import t from 'tap';
import { readReceipt } from '#certs/receipt.ts';
import { DEV_ACR } from '#consent-service/identity/dev-accounts.ts';
import { openDevIdentityProvider } from '#consent-service/identity/dev-provider.ts';
import { EN } from '#consent-service/pages/words-en.ts';
import { ZH } from '#consent-service/pages/words-zh.ts';
import { openConsentService } from '#consent-service/service.ts';
import { csrfTokenOf } from '#consent-service/sign-in/same-site.ts';
import { openSessionStoreSqlite } from '#consent-service/sign-in/session-store-sqlite.ts';
import { openConsentStoreSqlite } from '#consent-service/store-sqlite.ts';
import { systemClock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { Browser } from './browser.ts';
import { CLIENT, CONSENT, configurationOf, namedKey, PERSON, REQUEST } from './desk.ts';
import { checkStructure, csrfOf, decide, openPort, raiseIncome } from './pages-port.ts';
import { choose } from './sign-in-site.ts';
import { temporaryFolder } from './stores.ts';

t.test('who is not signed in is sent to the sign-in, who is not the addressee sees nothing', async (t) => {
  const { as, base, file } = await openPort(t);
  const { id, link } = await file();
  const decided = await file({ items: [REQUEST.items[1]!] });
  const paths = [`/link/${link}`, '/waiting', `/requests/${id}`, '/permissions', `/permissions/${id}/receipts`];
  for (const path of paths) {
    const { status, headers } = await as(null).send(base + path);
    t.same([status, headers.get('location')], [303, `/sign-in?${new URLSearchParams({ to: path, level: '2' })}`]);
    const weak = await as('wang-1').send(base + path);
    t.match(weak.headers.get('location'), /^\/sign-in\/step-up\?to=.*&level=2$/);
  }
  const nothing = [
    `/link/${link}`,
    `/link/${'x'.repeat(43)}`,
    `/requests/${id}`,
    `/requests/${decided.id}`,
    '/requests/%3Cscript%3E',
    `/permissions/${id}`,
    `/permissions/${id}/receipts/${id}.jws`,
  ];
  const seen = new Set<string>();
  for (const path of nothing) {
    const shown = await as('li').send(base + path);
    t.equal(shown.status, 404);
    checkStructure(t, shown, 'en');
    seen.add(shown.text.replace(/href="[^"]*\?lang=..?"/g, ''));
  }
  t.equal(seen.size, 1, 'the same words for a stranger and for nothing');
  t.match([...seen][0], /CONSENT_UNKNOWN/);
  t.notMatch(await as('li').send(`${base}/waiting`), { text: /Social aid/ });
  const unknown = await as('li', 'zh').send(`${base}/nowhere`);
  t.same([unknown.status, checkStructure(t, unknown, 'zh')], [404, `此处没有内容 · ${ZH.service}`]);
});

t.test('a whole life', async (t) => {
  const { as, base, desk, file } = await openPort(t);
  const { id, link } = await file();
  const browser = as('wang');
  const titles: string[] = [];
  const look = async (path: string) => {
    const shown = await browser.open(base + path);
    t.equal(shown.status, 200, path);
    titles.push(checkStructure(t, shown, 'en'));
    return shown;
  };
  t.match((await look('/')).text, /1 request waits for you/);
  t.match((await look('/waiting')).text, new RegExp(`href="/requests/${id}"`));
  const page = await browser.open(`${base}/link/${link}`);
  t.equal(page.url, `${base}/requests/${id}`, 'the one-time address does not stay');
  titles.push(checkStructure(t, page, 'en'));
  const view = await desk.consents.one(PERSON, id);
  for (const text of [
    CLIENT,
    'Social aid',
    'To judge an application for aid.',
    'in November',
    '90 days',
    '3 times',
    '30 days',
  ]) {
    t.ok(page.text.includes(text), text);
  }
  t.ok(page.text.includes(`within ${view.revocationBoundS} seconds`));
  t.ok(page.text.includes('Only yes, no or unknown'), 'a predicate is explained');
  for (const { items } of view.services) for (const { labels } of items) t.ok(page.text.includes(labels.en));
  const notice = /<div class="notice" dir="auto">([^<]*)<\/div>/.exec(page.text)?.[1] ?? '';
  const unescaped = notice.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code));
  t.equal(unescaped, view.notice.en, 'the exact notice');
  t.equal(page.text.match(/type="checkbox"/g)?.length, 3, 'what is given only together has one box');
  t.match(page.text, /<label for="item-2"><bdi>label of gx.income and label of gx.currency</);
  t.match(page.text, EN.onlyTogether);
  t.notMatch(page.text, / checked/);
  const [agree, refuse] = [...page.text.matchAll(/<button name="decision"([^>]*)>/g)].map(([, rest]) => rest);
  t.same([agree, refuse], [' value="give"', ' value="refuse"'], 'equal buttons');

  const empty = await decide(browser, page, 'give', []);
  t.equal(empty.status, 422);
  titles.push(checkStructure(t, empty, 'en'));
  t.match(empty.text, /<title>Error: .*role="alert".*href="#item-0"/s);
  t.equal((await desk.consents.one(PERSON, id)).state, 'REQUESTED');

  const given = await decide(browser, empty, 'give', [0, 2]);
  t.equal(given.url, `${base}/permissions/${id}`);
  t.match(given.text, EN.done.given(0, ''));
  titles.push(checkStructure(t, given, 'en'));
  t.notMatch((await browser.open(given.url)).text, EN.done.given(0, ''), 'said once');
  t.same(
    (await desk.consents.one(PERSON, id)).services.map((one) => one.given),
    [['gx.name@1'], ['gx.income@1', 'gx.currency@1']],
  );
  t.equal((await browser.open(`${base}/requests/${id}`)).url, given.url, 'what is decided is not asked again');

  const receipts = await look(`/permissions/${id}/receipts`);
  const { receipts: known } = await desk.consents.one(PERSON, id);
  t.equal(known.length, 2);
  for (const { jti, jws } of known) {
    const { receipt, hash } = readReceipt(jws);
    for (const text of [jti, hash, receipt.sub]) t.ok(receipts.text.includes(text), text);
    for (const id of [receipt.client, receipt.service, `${receipt.purpose.id} ${receipt.purpose.version}`]) {
      t.ok(receipts.text.includes(`</bdi> <code>${id}</code>`), `${id} has its name beside it`);
    }
    const file = await browser.send(`${base}/permissions/${id}/receipts/${jti}.jws`);
    t.equal(file.text, jws);
    t.equal(file.headers.get('content-disposition'), `attachment; filename="receipt-${jti}.jws"`);
    t.match(file.headers.get('content-type'), /^text\/plain/);
  }

  const press = async (step: string) => {
    const list = await look('/permissions');
    t.match(list.text, new RegExp(`action="/permissions/${id}/${step}"`));
    const after = await browser.post(`${base}/permissions/${id}/${step}`, { csrf: csrfOf(list) });
    t.equal(after.status, 200);
    checkStructure(t, after, 'en');
    return [(await desk.consents.one(PERSON, id)).state, after.text] as const;
  };
  t.match(await press('pause'), ['SUSPENDED', /The permission is paused/]);
  t.match(await press('resume'), ['GIVEN', EN.done.resumed(0, '')]);
  const atMs = desk.clock.nowMs();
  const [state, said] = await press('withdraw');
  t.equal(state, 'WITHDRAWN');
  const at = /no longer counts anywhere from (.+?) at the latest/.exec(said)?.[1] ?? '';
  const counts = Date.parse(`${at.replace(' at ', ' ')} UTC+0800`);
  const late = counts - atMs - view.revocationBoundS * 1000;
  t.ok(late > -1000 && late < 5000, `from when it counts everywhere: ${at}`);
  t.notMatch(said, /<button>(?:Withdraw|Pause)/);

  const again = await browser.post(`${base}/permissions/${id}/pause`, { csrf: csrfOf(page) });
  t.equal(again.status, 409);
  titles.push(checkStructure(t, again, 'en'));
  t.match(again.text, /CONSENT_TRANSITION_REFUSED/);
  const unique = new Set(titles);
  t.equal(unique.size, 8, `every page has a title of its own: ${[...unique].join(' | ')}`);
});

t.test('forms from elsewhere, rubbish, refusing', async (t) => {
  const { as, base, desk, file } = await openPort(t);
  const { id } = await file();
  const browser = as('wang', 'zh');
  const page = await browser.open(`${base}/requests/${id}`);
  const url = page.url;
  const fine = { csrf: csrfOf(page), lang: 'zh', decision: 'give', item: '0' };
  const from = { origin: base, 'sec-fetch-site': 'same-origin' };
  const cases: [string, number, Record<string, string>, object?][] = [
    ['CSRF_REFUSED', 403, { ...fine, csrf: '' }],
    ['CSRF_REFUSED', 403, { ...fine, csrf: csrfTokenOf('li') }],
    ['CSRF_REFUSED', 403, fine, { 'sec-fetch-site': 'cross-site' }],
    ['SCHEMA_MISMATCH', 400, { ...fine, more: '1' }],
    ['SCHEMA_MISMATCH', 400, { ...fine, lang: 'fr' }],
    ['SCHEMA_MISMATCH', 400, { ...fine, decision: 'all' }],
    ['SCHEMA_MISMATCH', 400, { ...fine, item: '-1' }],
    ['SCHEMA_MISMATCH', 400, { ...fine, item: '01' }],
    ['CONSENT_OUT_OF_BOUNDS', 422, { ...fine, item: '4' }],
    ['MEDIA_TYPE_UNSUPPORTED', 415, fine, { 'content-type': 'text/plain' }],
  ];
  for (const [code, status, form, headers] of cases) {
    const shown = await browser.post(url, form, undefined, { ...from, ...headers });
    t.match(shown, { status, text: new RegExp(`<code>${code}</code>`) }, code);
    checkStructure(t, shown, 'zh');
    t.match(shown.text, new RegExp(`href="/requests/${id}"`), 'the way back');
  }
  const none = await as(null).post(url, fine);
  t.match(none, { status: 401, text: /href="\/sign-in\?to=/ });
  t.equal((await as('li').post(url, { ...fine, csrf: csrfTokenOf('li') })).status, 404);
  t.equal((await desk.consents.one(PERSON, id)).state, 'REQUESTED', 'nothing was changed');

  const refused = await decide(browser, page, 'refuse', [1]);
  t.match(refused.text, ZH.done.refused(0, ''));
  t.equal((await desk.consents.one(PERSON, id)).state, 'REFUSED');
  checkStructure(t, await browser.open(`${base}/permissions/${id}/receipts`), 'zh');
});

t.test('the most sensitive items ask for a stronger sign-in, and the ticks are kept', async (t) => {
  const { as, base, desk, file } = await openPort(t);
  raiseIncome(desk.configuration);
  const { id } = await file();
  const other = await file({ items: [REQUEST.items[1]!] });
  const browser = as('wang');
  const page = await browser.open(`${base}/requests/${id}`);
  t.match(page.text, /most sensitive/);
  const stepUp = await decide(browser, page, 'give', [0, 2], `${base}/sign-in/step-up`);
  const asked = new URL(stepUp.url).searchParams;
  t.same([asked.get('to'), asked.get('level')], [`/requests/${id}/agreed`, '4']);
  browser.set('who', 'wang-4');
  t.notMatch(
    (await browser.open(`${base}/requests/${other.id}`)).text,
    / checked/,
    'only in the page they were made on',
  );
  const back = await browser.open(`${base}/requests/${id}`);
  t.same(
    [...back.text.matchAll(/id="item-(\d)"[^>]* checked/g)].map(([, at]) => at),
    ['0', '2'],
  );
  t.match(back.text, EN.ticksKept);
  await decide(browser, back, 'give', [0, 2], `${base}/requests/${id}/agreed`);
  for (const [nonce, kept] of [
    ['A'.repeat(43), '0 2'],
    ['', '0 2'],
  ] as const) {
    const right = browser.cookie('nonce') ?? '';
    browser.set('nonce', nonce);
    const shown = await browser.send(`${base}/requests/${id}/agreed`);
    t.same([shown.status, shown.headers.get('location')], [303, `/requests/${id}`], 'a sign-in for something else');
    t.equal((await desk.consents.one(PERSON, id)).state, 'REQUESTED', kept);
    browser.set('nonce', right);
  }
  const given = await browser.open(`${base}/requests/${id}/agreed`);
  t.equal(given.url, `${base}/permissions/${id}`);
  t.equal((await desk.consents.one(PERSON, id)).state, 'GIVEN');
  t.equal((await browser.open(`${base}/requests/${id}/agreed`)).url, given.url, 'once');
});

t.test('as the service runs: a real sign-in, a stronger one half way, signing out', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  await promisify(taken.close.bind(taken))();
  const base = `http://127.0.0.1:${port}`;
  const provider = await openDevIdentityProvider({
    port: 0,
    residents: [{ id: REQUEST.subject.value, name: '王小明' }],
    clients: [{ clientId: 'accord', redirectUris: [`${base}/sign-in/callback`] }],
  });
  t.teardown(() => provider.close());
  const folder = temporaryFolder(t);
  const keys = { receipt: namedKey(), storageKey: Buffer.alloc(32, 7) };
  const configuration = configurationOf(keys.receipt, { civil: namedKey(), tax: namedKey() });
  raiseIncome(configuration);
  const { issuer, jwks } = provider;
  const levels = { [DEV_ACR[2]]: 2, [DEV_ACR[4]]: 4 } as const;
  const { scheme } = REQUEST.subject;
  const entry = { issuer, clientId: 'accord', keys: jwks, scheme, claim: 'resident_id', levels };
  configuration.identityProviders = [entry as (typeof configuration.identityProviders)[number]];
  const http = openClient();
  t.teardown(() => http.close());
  const service = await openConsentService({
    ...{ self: CONSENT, folder, keys, configuration, http, clock: systemClock, citizenUrl: base, sendHint: null },
    logger: pino({ level: 'silent' }),
    store: openConsentStoreSqlite(join(folder, 'database')),
    sessionStore: openSessionStoreSqlite(join(folder, 'sessions.db')),
    citizen: { host: '127.0.0.1', port },
    filing: { host: '127.0.0.1', port: 0 },
  });
  t.teardown(() => service.close());
  const { id, link } = await service.consents.file(CLIENT, REQUEST);

  const browser = new Browser();
  browser.set('accord-language', 'en');
  const choice = await browser.open(`${base}/link/${link}`);
  t.match(
    choice,
    { status: 200, text: /<title>Choose how to sign in · .*<a class="skip"/s },
    'the sign-in in our frame',
  );
  const start = /href="(\/sign-in\/[^"]+\/start[^"]*)"/.exec(choice.text)?.[1] ?? '';
  const login = await browser.open(base + start.replaceAll(/&#38;|&amp;/g, '&'));
  const page = await choose(browser, login, REQUEST.subject.value, 2);
  t.equal(page.url, `${base}/requests/${id}`);
  const policy = page.headers.get('content-security-policy') ?? '';
  t.ok(policy.includes(`form-action 'self' ${provider.issuer}`), policy);
  t.match((await decide(browser, page, 'give', [1, 2])).text, /DEVELOPMENT/);
  const back = await browser.open(`${base}/requests/${id}`);
  t.same(
    [...back.text.matchAll(/id="item-(\d)"[^>]* checked/g)].map(([, at]) => at),
    ['1', '2'],
    'a sign-in that was not finished: the request still waits, the ticks are kept',
  );
  t.equal((await service.consents.ofClient(CLIENT, id)).state, 'REQUESTED');
  const asked = await decide(browser, back, 'give', [1, 2]);
  const given = await choose(browser, asked, REQUEST.subject.value, 4);
  t.match(given, { status: 200, url: `${base}/permissions/${id}` });
  t.equal((await service.consents.ofClient(CLIENT, id)).state, 'GIVEN');
  const out = await browser.post(`${base}/sign-out`, { csrf: csrfOf(given) });
  t.match(out, { status: 200, text: /<h1>Signed out<\/h1>/ });
  t.match((await browser.open(`${base}/permissions/${id}`)).url, /\/sign-in\?to=/);
});

t.test('text from outside stays text', async (t) => {
  const { as, base, file } = await openPort(t);
  const evil = `<script>alert(1)</script>"'\`><img src=x onerror=alert(1)>&lt;\u202Etxt\u2067`;
  await file({ reason: { zh: evil, en: evil } });
  const browser = as('wang');
  const { id } = await file({ items: [REQUEST.items[1]!], reason: { zh: evil, en: evil } });
  for (const path of ['/', '/waiting', `/requests/${id}`, `/requests/${id}?lang=zh`, '/permissions']) {
    const shown = await browser.open(base + path);
    checkStructure(t, shown, path.includes('lang') || path === '/permissions' ? 'zh' : 'en');
  }
  const page = await browser.open(`${base}/requests/${id}?lang=en`);
  t.ok(page.text.includes('<bdi>&#60;script&#62;'), 'escaped, and apart from what stands around');
});

t.test('two languages', async (t) => {
  const { as, base } = await openPort(t);
  const texts = (words: object): [string, unknown][] =>
    Object.entries(words).flatMap(([key, value]) =>
      typeof value === 'object' && value !== null
        ? texts(value).map(([sub, text]): [string, unknown] => [`${key}.${sub}`, text])
        : [[key, value]],
    );
  const said = (text: unknown) => (typeof text === 'function' ? String(text(7, 'X')) : String(text));
  const zh = new Map(texts(ZH));
  for (const [key, text] of texts(EN)) {
    t.notMatch(said(text), /\p{Script=Han}/u, key);
    t.match(said(zh.get(key)), /\p{Script=Han}|：/u, key);
  }
  const browser = as('wang');
  browser.set('accord-language', 'xx');
  const languageAt = async (path: string, accept = '') =>
    /lang="(..)"/.exec((await browser.send(base + path, { headers: { 'accept-language': accept } })).text)?.[1];
  t.equal(await languageAt('/'), 'zh');
  t.equal(await languageAt('/', 'en-GB, zh;q=0.5'), 'en');
  t.equal(await languageAt('/?lang=en'), 'en');
  t.equal(await languageAt('/'), 'en', 'remembered');
  t.equal(await languageAt('/?lang=fr'), 'en');
  const { text } = await browser.send(`${base}/`);
  const style = await browser.send(base + (/<link rel="stylesheet" href="([^"]+)"/.exec(text)?.[1] ?? ''));
  t.match(style.headers.get('content-type'), /^text\/css/);
  t.match(style.headers.get('cache-control'), /immutable/);
});
