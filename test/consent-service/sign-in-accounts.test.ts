// One person behind several identity providers: only by a link that the person proved on both sides.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { readCredentials } from '#consent-service/sign-in/credentials.ts';
import { slugOf } from '#consent-service/sign-in/providers.ts';
import type { LinkRow } from '#consent-service/sign-in/session-store.ts';
import { openSessionStoreSqlite } from '#consent-service/sign-in/session-store-sqlite.ts';
import { addSignIn } from '#consent-service/sign-in/sign-in.ts';
import { openServer } from '#core/http/server-frame.ts';
import { isAccordError } from '#schemas/problems.ts';
import { Browser } from './browser.ts';
import { openHostileProvider } from './hostile-provider.ts';
import { bytesOnDisk, choose, LI, openSite, SCHEME, signIn, startOf, WANG } from './sign-in-site.ts';

const TAX = 'gx.person.tax_id@1';
// The second provider vouches for another kind of identifier, so that one can see whose account brought what.
const site = await openSite([], [SCHEME, TAX]);
t.teardown(() => site.close());

const me = async (browser: Browser) => JSON.parse((await browser.open(`${site.base}/me`)).text);
const subjectsOf = async (browser: Browser) =>
  (await me(browser)).person.subjects.map(({ value }: { value: string }) => value);
async function signedIn(at: number, resident: string, level = 2) {
  const browser = new Browser();
  await signIn(site, browser, at, resident, level);
  return browser;
}
/** Links the account at provider `at` to the one that is signed in. */
async function link(browser: Browser, at: number, resident: string, level = 2) {
  const { csrf } = await me(browser);
  const url = `${site.base}/sign-in/${slugOf(site.entries[at]?.issuer ?? '')}/link`;
  const login = await browser.post(url, { csrf, to: '/me' });
  return login.text.includes('DEVELOPMENT') ? await choose(browser, login, resident, level) : login;
}
async function unlink(browser: Browser, at: number) {
  const page = await browser.open(`${site.base}/sign-in/accounts`);
  const keys = [...page.text.matchAll(/name="account" value="([^"]+)"/g)].map((match) => match[1] ?? '');
  const { csrf } = await me(browser);
  return await browser.post(`${site.base}/sign-in/unlink`, { csrf, account: keys[at] ?? '' });
}

t.test('two accounts, one person', async (t) => {
  const browser = await signedIn(0, WANG);
  const alone = await browser.open(`${site.base}/sign-in/accounts`);
  t.match(alone.text, /••••1234/);
  t.notMatch(alone.text, WANG, 'nobody reads an identifier over a shoulder');
  t.notMatch(alone.text, '/sign-in/unlink', 'there is nothing to unlink');
  const before = browser.cookie('accord');
  const linked = await link(browser, 1, WANG, 3);
  t.equal(linked.url, `${site.base}/me`);
  t.same(JSON.parse(linked.text).person.subjects, [
    { scheme: SCHEME, value: WANG },
    { scheme: TAX, value: WANG },
  ]);
  t.not(browser.cookie('accord'), before);
  t.equal(
    JSON.parse(linked.text).person.signIn.issuer,
    site.providers[0]?.issuer,
    'signed in with the first one still',
  );
  const other = await signedIn(1, WANG);
  t.same((await subjectsOf(other)).length, 2, 'signing in with the second one shows the same person');
  t.equal((await me(other)).person.signIn.issuer, site.providers[1]?.issuer);
  t.notOk(bytesOnDisk(site).includes(WANG), 'the table of links tells nothing');

  // The first account proved level 2 only: at level 4 it must not lend its identifier to the second one.
  t.same((await me(await signedIn(1, WANG, 4))).person.subjects, [{ scheme: TAX, value: WANG }]);
  await signIn(site, new Browser(), 0, WANG, 4);
  t.same((await me(await signedIn(1, WANG, 4))).person.subjects.length, 2, 'until it proved that level itself');

  t.equal((await link(await signedIn(0, LI), 1, WANG)).status, 409, 'an account of two people');
  const stranger = await signedIn(0, LI);
  t.match((await link(stranger, 1, WANG)).text, '<code>LINK_CONFLICT</code>');
  t.same(await subjectsOf(stranger), [LI], 'and nothing came over');
  const backwards = await signedIn(1, LI);
  t.match((await link(backwards, 0, WANG)).text, 'LINK_CONFLICT', 'from the other side');

  t.equal((await unlink(other, 1)).status, 200);
  t.same(await subjectsOf(other), [WANG]);
  t.same((await me(browser)).person.subjects, [{ scheme: SCHEME, value: WANG }], 'at once, in every session');
  t.equal((await link(await signedIn(0, LI), 1, LI)).status, 200);
});

t.test('what a link does not do', async (t) => {
  const fresh = await signedIn(0, WANG);
  const { csrf } = await me(fresh);
  const url = `${site.base}/sign-in/${slugOf(site.entries[1]?.issuer ?? '')}/link`;
  const forged = await fresh.post(url, { to: '/me' });
  t.match(forged.text, 'CSRF_REFUSED', 'nobody links for somebody else');
  const login = await fresh.post(url, { csrf, to: '/me' });
  t.match(fresh.visited.at(-2), 'prompt=login', 'the second provider asks who it is, whoever is signed in there');
  await fresh.post(`${site.base}/sign-out`, { csrf });
  await fresh.open(startOf(site, 0)); // the provider still knows the person
  t.match((await choose(fresh, login, WANG, 2)).text, 'SIGN_IN_EXPIRED', 'a link ends in the session that began it');
  t.same(await subjectsOf(fresh), [WANG]);

  const nobody = await new Browser().open(`${site.base}/sign-in/accounts`);
  t.match([nobody.status, nobody.text], [401, 'SESSION_REQUIRED']);
});

t.test('an account that comes back with another identifier', async (t) => {
  const hostile = await openHostileProvider();
  t.teardown(() => hostile.close());
  site.entries[2] = { ...hostile.entry('changing'), scheme: 'gx.person.pension_id@1' };
  const browser = await signedIn(0, WANG);
  const { csrf } = await me(browser);
  await browser.post(`${site.base}/sign-in/${slugOf(site.entries[2].issuer)}/link`, { csrf, to: '/me' });
  t.equal((await subjectsOf(browser)).length, 2);
  hostile.entry('changing', { claims: (claims) => ({ ...claims, resident_id: 'another' }) });
  const changed = new Browser();
  t.same(
    JSON.parse((await changed.open(startOf(site, 2))).text).person.subjects.map((one: { value: string }) => one.value),
    ['another'],
  );
  t.same(await subjectsOf(browser), [WANG], 'the link was made for the identifier it had');
  t.match(site.alarms.join('\n'), /LINK_CONFLICT .*another identifier/);

  // Two identifiers of one kind are two people.
  site.entries[2] = hostile.entry('same-scheme', { claims: (claims) => ({ ...claims, resident_id: LI }) });
  const page = await browser.post(`${site.base}/sign-in/${slugOf(site.entries[2].issuer)}/link`, {
    csrf: (await me(browser)).csrf,
    to: '/me',
  });
  t.match(page.text, 'LINK_CONFLICT');
});

t.test('a provider leaves the configuration', async (t) => {
  const browser = await signedIn(0, WANG);
  const left = site.entries.splice(0, 1);
  t.match((await browser.open(`${site.base}/most-sensitive`)).text, 'STEP_UP_REQUIRED', 'nobody asks it any more');
  const start = await new Browser().open(`${site.base}/sign-in/${slugOf(left[0]?.issuer ?? '')}/start`);
  t.match([start.status, start.text], [404, 'NOT_FOUND']);
  site.entries.unshift(...left);
});

t.test('the store joins no two people', async (t) => {
  const row = (account: string, scheme: string, value: string) => ({
    account,
    subject: `${scheme} ${value}`,
    scheme,
    level: 2,
    sealed: Buffer.from(account),
  });
  const ann = [row('a1', 'resident', '1'), row('a2', 'tax', '1'), row('a3', 'pension', '1')] as const;
  const bob = [row('b1', 'resident', '2'), row('b2', 'tax', '2')] as const;
  const cases: [name: string, own: LinkRow, added: LinkRow, max: number, done: boolean][] = [
    ['an account of another person', ann[0], bob[1], 8, false],
    ['an account of another person with a new identifier', ann[0], row('b1', 'pension', '9'), 8, false],
    ['an account that nobody has', ann[0], ann[2], 8, true],
    ['an identifier of another person', row('d1', 'card', '4'), row('d2', 'tax', '2'), 8, false],
    ['an own identifier of another person', row('d1', 'tax', '2'), row('d2', 'card', '4'), 8, false],
    ['two identifiers of one kind', row('d1', 'resident', '4'), row('d2', 'resident', '5'), 8, false],
    ['another identifier of a kind there is', ann[0], row('d2', 'tax', '9'), 8, false],
    ['the same identifier by another provider', ann[0], row('a4', 'tax', '1'), 8, true],
    ['too many', ann[0], row('a5', 'card', '1'), 2, false],
  ];
  for (const [name, own, added, max, done] of cases) {
    const store = openSessionStoreSqlite(':memory:');
    t.ok(await store.link(ann[0], ann[1], 8));
    t.ok(await store.link(bob[0], bob[1], 8));
    const before = await Promise.all(['a1', 'b1', added.account, own.account].map((one) => store.linked(one)));
    t.equal(await store.link(own, added, max), done, name);
    const after = await Promise.all(['a1', 'b1', added.account, own.account].map((one) => store.linked(one)));
    if (!done) t.same(after, before, `${name}: nothing changed`);
    store.close();
  }
  const store = openSessionStoreSqlite(':memory:');
  await store.link(ann[0], ann[1], 8);
  await store.link(ann[1], ann[2], 8);
  await store.link({ ...ann[0], level: 1 }, ann[1], 8);
  t.same(
    (await store.linked('a1')).map(({ level }) => level),
    [2, 2, 2],
    'a proof once given stays',
  );
  await store.unlink('a1');
  t.equal((await store.linked('a2')).length, 2);
  await store.unlink('a2');
  t.same(await store.linked('a3'), [], 'one account alone is not linked');

  for (let n = 0; n < 5; n += 1) {
    const session = { idHash: `s${n}`, account: 'a1', startedAtMs: n, seenAtMs: n, sealed: Buffer.alloc(1) };
    t.ok(await store.begin(session, { state: `state ${n}`, untilMs: 9 }, null, 3));
  }
  const left = await Promise.all([0, 1, 2, 3, 4].map((n) => store.session(`s${n}`)));
  t.same(
    left.map((one) => one !== null),
    [false, false, true, true, true],
    'the newest sessions of an account',
  );
  store.close();
});

t.test('rows that somebody moved', async (t) => {
  const [wang, li] = [await signedIn(0, WANG), await signedIn(0, LI)];
  const hash = (browser: Browser) =>
    createHash('sha256')
      .update(browser.cookie('accord') ?? '')
      .digest('base64url');
  const db = new Database(join(site.folder, 'sessions.db'));
  db.prepare('UPDATE session SET sealed = (SELECT sealed FROM session WHERE id_hash = ?) WHERE id_hash = ?').run(
    hash(li),
    hash(wang),
  );
  db.close();
  t.match((await wang.open(`${site.base}/me`)).url, '/sign-in?', "Li's row in the place of Wang's makes nobody Li");
  t.same((await me(li)).person.subjects[0].value, LI);
});

t.test('what the service needs to be safe', async (t) => {
  const bases = [
    'http://consent.example',
    'https://consent.example/',
    'https://consent.example/path',
    'ftp://127.0.0.1',
  ];
  for (const baseUrl of bases)
    t.throws(() => addSignIn(openServer({ name: 'x' }), { baseUrl } as never), TypeError, baseUrl);
  const path = join(site.folder, 'sign-in', `${'0'.repeat(12)}.secret`);
  writeFileSync(path, 'readable by all', { mode: 0o644 });
  await t.rejects(readCredentials(site.folder, 'correct horse battery'), { code: 'KEY_FILE_MODE' });
  t.ok(isAccordError(await readCredentials(site.folder, 'wrong horse battery').catch((error: unknown) => error)));
});
