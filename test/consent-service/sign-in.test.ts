// Citizens sign in: over real HTTP, with the real protocol, from a browser that keeps cookies.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { returnPath } from '#consent-service/sign-in/return-path.ts';
import { Browser } from './browser.ts';
import { bytesOnDisk, choose, LI, openSite, SCHEME, signIn, startOf, WANG } from './sign-in-site.ts';

const MINUTE = 60_000;
const COOKIE = 'accord';

t.test('from nobody to somebody, and to a higher level', async (t) => {
  const site = await openSite();
  t.teardown(() => site.close());
  const browser = new Browser();
  const choice = await browser.open(`${site.base}/me?a=1`);
  t.equal(choice.url, `${site.base}/sign-in?to=%2Fme%3Fa%3D1&level=2`);
  const starts = [...choice.text.matchAll(/href="(\/sign-in\/[0-9a-f]{12}\/start[^"]*)"/g)].map(
    (match) => match[1] ?? '',
  );
  t.equal(starts.length, 2, 'both providers are offered');
  t.match(choice.headers.get('content-security-policy'), `form-action 'self' ${site.providers[0]?.issuer}`);
  const login = await browser.open(site.base + starts[0]?.replaceAll('&#38;', '&'));
  t.match(login.text, /DEVELOPMENT[\s\S]*王小明[\s\S]*Wang Xiaoming/);
  const shown = await choose(browser, login, WANG, 2);
  t.equal(shown.url, `${site.base}/me?a=1`, 'back where the person wanted to go');
  const { person, idToken } = JSON.parse(shown.text);
  t.same(person.subjects, [{ scheme: SCHEME, value: WANG }]);
  t.equal(person.level, 2);
  t.equal(person.signIn.issuer, site.providers[0]?.issuer);
  const salt = Buffer.from(person.signIn.salt, 'base64url');
  t.equal(salt.length, 32);
  t.equal(person.signIn.idTokenHash, createHash('sha256').update(salt).update(idToken).digest('base64url'));
  const cookie = browser.cookies.find(({ name }) => name === COOKIE);
  t.equal(cookie?.attributes, 'Path=/; HttpOnly; SameSite=Lax', 'Secure and __Host- come with https');
  t.same(
    browser.cookies.filter(({ name }) => name.startsWith('accord-sign-in')),
    [],
    'the attempt is over',
  );

  const id = browser.cookie(COOKIE) ?? '';
  const again = await browser.open(`${site.base}/most-sensitive`);
  t.match(again.text, 'DEVELOPMENT', 'the person is asked again, though signed in at the provider');
  t.match(again.text, '<option value="4" selected>');
  const higher = await choose(browser, again, WANG, 4);
  t.equal(higher.url, `${site.base}/most-sensitive`);
  t.equal(JSON.parse(higher.text).person.level, 4);
  t.not(browser.cookie(COOKIE), id, 'a new id with the new level');
  const old = new Browser();
  old.set(COOKIE, id);
  t.match((await old.open(`${site.base}/me`)).url, '/sign-in?', 'the old id is worth nothing');

  const secrets = [WANG, idToken, id, browser.cookie(COOKIE), browser.cookie(COOKIE) ?? '', person.signIn.salt];
  const disk = bytesOnDisk(site);
  for (const secret of secrets) t.notOk(disk.includes(String(secret)), 'the store tells nothing');
  t.match(site.log.join(''), 'signed in');
  for (const secret of secrets) t.notOk(site.log.join('').includes(String(secret)), 'the log tells nothing');
  t.same(site.alarms, []);
});

t.test('a step-up that does not step up', async (t) => {
  const site = await openSite();
  t.teardown(() => site.close());
  const browser = new Browser();
  await signIn(site, browser, 1, WANG);
  const posted = await browser.post(`${site.base}/most-sensitive`, {}, undefined, { accept: '*/*' });
  t.equal(posted.status, 403);
  t.equal(JSON.parse(posted.text).code, 'STEP_UP_REQUIRED', 'a post cannot be sent away and back');
  const cases = [
    { resident: WANG, level: 2, status: 403, code: 'STEP_UP_REQUIRED' },
    { resident: WANG, level: 3, status: 403, code: 'STEP_UP_REQUIRED' },
    { resident: LI, level: 4, status: 403, code: 'SIGN_IN_REFUSED' },
  ];
  for (const { resident, level, status, code } of cases) {
    const login = await browser.open(`${site.base}/most-sensitive`);
    const refused = await choose(browser, login, resident, level);
    t.equal(refused.status, status);
    t.match(refused.text, `<code>${code}</code>`);
    const { person } = JSON.parse((await browser.open(`${site.base}/me`)).text);
    t.same([person.subjects[0].value, person.level], [WANG, 2], 'the session stays what it was');
  }
  const cancelled = await browser.open(`${site.base}/most-sensitive`);
  const action = /action="([^"]+)"/.exec(cancelled.text)?.[1] ?? '';
  const back = await browser.post(new URL(action, cancelled.url).href, { cancel: 'yes' });
  t.match([back.status, back.text], [403, '<code>SIGN_IN_REFUSED</code>']);
  site.entries[1] = { ...site.entries[1]!, levels: { 'urn:accord:level:2': 2, 'urn:accord:level:3': 3 } };
  t.match((await browser.open(`${site.base}/most-sensitive`)).text, 'STEP_UP_REQUIRED', 'no provider offers it');
});

t.test('a sign-in bound to what the person agrees to', async (t) => {
  const site = await openSite();
  t.teardown(() => site.close());
  const browser = new Browser();
  const { csrf, nonce } = JSON.parse((await signIn(site, browser, 0, WANG)).text);
  t.match(nonce, /^[A-Za-z0-9_-]{43}$/);
  const shown = await browser.post(`${site.base}/bind`, { csrf });
  t.equal(shown.url, `${site.base}/me?bound=1`, 'the provider did not have to ask again');
  const bound = JSON.parse(shown.text);
  t.equal(bound.nonce, 'hash-of-notice-and-terms');
  const claims = JSON.parse(Buffer.from(bound.idToken.split('.')[1], 'base64url').toString());
  t.equal(claims.nonce, 'hash-of-notice-and-terms', 'the provider signed it');
});

t.test('forged posts', async (t) => {
  const site = await openSite();
  t.teardown(() => site.close());
  const browser = new Browser();
  const { csrf } = JSON.parse((await signIn(site, browser, 0, WANG)).text);
  const stranger = JSON.parse((await signIn(site, new Browser(), 0, LI)).text);
  const own = site.base;
  const cases: [name: string, form: Record<string, string>, headers: Record<string, string>][] = [
    ['another site', { csrf }, { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
    ['a neighbour', { csrf }, { 'sec-fetch-site': 'same-site', origin: own }],
    ['typed in', { csrf }, { 'sec-fetch-site': 'none' }],
    ['no token', {}, { 'sec-fetch-site': 'same-origin' }],
    ["a stranger's token", { csrf: stranger.csrf }, { 'sec-fetch-site': 'same-origin' }],
    ['two tokens', { csrf: `${csrf}${csrf}` }, { 'sec-fetch-site': 'same-origin' }],
  ];
  for (const [name, form, headers] of cases) {
    for (const path of ['/bind', '/sign-out', '/sign-in/unlink']) {
      const refused = await browser.post(own + path, form, undefined, { accept: '*/*', ...headers });
      t.equal(JSON.parse(refused.text).code, 'CSRF_REFUSED', `${name} ${path}`);
    }
  }
  const old = { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html' };
  const body = new URLSearchParams({ csrf }).toString();
  const without = (headers: object) =>
    browser.send(`${own}/sign-out`, { method: 'POST', body, headers: { ...old, ...headers } });
  t.equal((await without({})).status, 403, 'neither Sec-Fetch-Site nor Origin');
  t.equal((await without({ origin: 'null' })).status, 403);
  t.equal((await browser.open(`${own}/me`)).status, 200);
  t.equal((await without({ origin: own })).status, 200, 'an old browser sends Origin only');
});

t.test('sessions end', async (t) => {
  const site = await openSite();
  t.teardown(() => site.close());
  const isIn = async (browser: Browser) => (await browser.open(`${site.base}/me`)).url === `${site.base}/me`;
  const fixed = new Browser();
  const planted = 'A'.repeat(43);
  fixed.set(COOKIE, planted);
  await signIn(site, fixed, 0, WANG);
  t.not(fixed.cookie(COOKIE), planted, 'a planted id is not taken over');
  const before = fixed.cookie(COOKIE) ?? '';
  await fixed.open(startOf(site, 0)); // the provider still knows the person
  t.not(fixed.cookie(COOKIE), before);
  const victim = new Browser();
  victim.set(COOKIE, before);
  t.notOk(await isIn(victim), 'the session before is over');

  const [idle, busy, leaving] = [new Browser(), new Browser(), new Browser()];
  for (const browser of [idle, busy, leaving]) await signIn(site, browser, 0, WANG);
  const { csrf } = JSON.parse((await leaving.open(`${site.base}/me`)).text);
  const id = leaving.cookie(COOKIE) ?? '';
  const out = await leaving.post(`${site.base}/sign-out`, { csrf });
  t.equal(out.status, 200);
  t.match(out.text, `href="${site.providers[0]?.issuer}/session/end`, "the provider's own sign-out is offered");
  t.notMatch(out.text, 'id_token_hint', 'no token in an address');
  t.equal(leaving.cookie(COOKIE), undefined);
  leaving.set(COOKIE, id);
  t.notOk(await isIn(leaving), 'and the id is worth nothing');

  for (let minute = 14; minute < 480; minute += 14) {
    site.clock.aheadMs = minute * MINUTE;
    if (!(await isIn(busy))) t.fail(`over after ${minute} minutes`);
    if (minute === 14) t.ok(await isIn(idle));
    if (minute === 28) site.clock.aheadMs = 29 * MINUTE + 1;
    if (minute === 28) t.notOk(await isIn(idle), '15 minutes without a request');
  }
  site.clock.aheadMs = 480 * MINUTE + 5_000;
  t.notOk(await isIn(busy), '8 hours, however busy');
});

t.test('back to this service only', async (t) => {
  const cases: [to: unknown, path: string][] = [
    ['/me', '/me'],
    ['/consents/1?a=b&c=%E4%B8%AD', '/consents/1?a=b&c=%E4%B8%AD'],
    ['/sign-inside', '/sign-inside'],
    ...['//evil.example', '/\\evil.example', '\\\\evil.example', 'https://evil.example', 'evil.example', ''].map(
      refused,
    ),
    ...['/a//evil.example', '/.//evil.example', '/..//evil.example', '/%2e%2e//evil.example', '/a/../b', '/./a'].map(
      refused,
    ),
    ...['/\t/evil.example', '/\n/evil.example', ' /me', '/me ', '/me#x', '/me\r\nset-cookie: a=b', '/中'].map(refused),
    ...['javascript:alert(1)', '/@evil.example\\', `/${'a'.repeat(1024)}`, '/sign-in/callback', '/sign-out'].map(
      refused,
    ),
    ...[undefined, null, 7, ['/me', '/me']].map(refused),
  ];
  for (const [to, path] of cases) t.equal(returnPath(to), path, JSON.stringify(to)?.slice(0, 60));
  const parts = fc.array(fc.constantFrom('/', '\\', '.', '..', '@', ':', '?', '#', '%2f', 'evil.example', '\t', 'a'));
  const text = fc.oneof(
    parts.map((all) => `/${all.join('')}`),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (to) => {
      const { origin } = new URL(returnPath(to), 'https://consent.example');
      return origin === 'https://consent.example' && returnPath(returnPath(to)) === returnPath(to);
    }),
  );
});

function refused(to: unknown): [unknown, string] {
  return [to, '/'];
}
