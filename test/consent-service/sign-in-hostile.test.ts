// Identity providers, tokens and callbacks that are not what they should be: none of them signs anybody in.
import { createHmac } from 'node:crypto';
import t from 'tap';
import { verifyIdToken } from '#certs/id-token.ts';
import { signCompact } from '#certs/jws.ts';
import { exportPublicJwk, exportPublicPem, generateKeys } from '#certs/keys.ts';
import { isAccordError } from '#schemas/problems.ts';
import { Browser } from './browser.ts';
import { type Behaviour, type Claims, EC_KEY, openHostileProvider, signed } from './hostile-provider.ts';
import { choose, LI, openSite, signIn, startOf, WANG } from './sign-in-site.ts';

const COOKIE = 'accord';
const MINUTE = 60_000;
const FOREIGN = generateKeys('P-256').privateKey;
const site = await openSite();
const provider = await openHostileProvider();
t.teardown(async () => {
  await provider.close();
  await site.close();
});

/** Signs in at a provider of this behaviour; what the browser shows in the end. */
async function tried(name: string, behaviour: Behaviour, browser = new Browser(), level = 2) {
  site.entries[2] = provider.entry(name, behaviour);
  const shown = await browser.open(startOf(site, 2, '/me', level));
  const code = /<code>([A-Z_]+)<\/code>/.exec(shown.text)?.[1] ?? shown.status;
  return { code, browser, shown };
}

const b64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const unsigned = (header: object, claims: Claims) => `${b64(header)}.${b64(claims)}`;
const hmac = (claims: Claims, secret: string) => {
  const input = unsigned({ alg: 'HS256', kid: 'k1' }, claims);
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
};
const ours = { alg: 'ES256', key: EC_KEY } as const;
const foreign = { alg: 'ES256', key: FOREIGN } as const;
const without = (claims: Claims, name: string) =>
  Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name));

/** `offline`: what a department's server says of the same token with nothing but the configuration; null: it counts. */
const TOKENS: [name: string, offline: string | null, behaviour: Behaviour][] = [
  ['none', 'JWS_ALGORITHM_REFUSED', { token: (claims) => `${unsigned({ alg: 'none' }, claims)}.` }],
  [
    'none-with-kid',
    'JWS_ALGORITHM_REFUSED',
    { token: (claims) => `${unsigned({ alg: 'None', kid: 'k1' }, claims)}.AA` },
  ],
  [
    'hs256-pem',
    'JWS_ALGORITHM_REFUSED',
    { token: (claims) => hmac(claims, exportPublicPem(generateKeys().publicKey)) },
  ],
  [
    'hs256-own-key',
    'JWS_ALGORITHM_REFUSED',
    { token: (claims) => hmac(claims, JSON.stringify(exportPublicJwk(EC_KEY))) },
  ],
  ['foreign-key', 'not signed', { token: (claims) => signed(claims, foreign) }],
  ['own-key-other-kid', 'not signed', { token: (claims) => signed(claims, ours, 'k2') }],
  ['foreign-kid', 'not signed', { token: (claims) => signed(claims, foreign, 'k2') }],
  [
    'published-but-not-configured',
    'not signed',
    { token: (claims) => signed(claims, foreign, 'k2'), published: [{ ...exportPublicJwk(FOREIGN), kid: 'k2' }] },
  ],
  ['configured-but-withdrawn', null, { withdrawn: true }],
  [
    'key-inside',
    'JWS_HEADER_REFUSED',
    { token: (claims) => withHeader(claims, { jwk: exportPublicJwk(EC_KEY) as Claims }) },
  ],
  ['crit', 'JWS_HEADER_REFUSED', { token: (claims) => withHeader(claims, { crit: ['x'], x: 1 }) }],
  ['other-issuer', 'iss', { claims: (claims) => ({ ...claims, iss: site.providers[0]?.issuer ?? '' }) }],
  ['other-client', 'aud', { claims: (claims) => ({ ...claims, aud: 'another' }) }],
  ['two-clients', 'aud', { claims: (claims) => ({ ...claims, aud: ['accord', 'another'], azp: 'accord' }) }],
  ['azp', 'azp', { claims: (claims) => ({ ...claims, azp: 'another' }) }],
  ['expired', 'exp is over', { claims: (claims) => ({ ...claims, exp: Number(claims['iat']) - 60 }) }],
  ['no-exp', 'exp', { claims: (claims) => without(claims, 'exp') }],
  ['exp-text', 'exp', { claims: (claims) => ({ ...claims, exp: '99999999999' }) }],
  ['iat-ahead', 'iat', { claims: (claims) => ({ ...claims, iat: Number(claims['iat']) + 120 }) }],
  ['iat-long-ago', 'iat', { claims: (claims) => ({ ...claims, iat: Number(claims['iat']) - 3600 }) }],
  ['not-yet', 'nbf', { claims: (claims) => ({ ...claims, nbf: Number(claims['iat']) + 120 }) }],
  ['auth-time-ahead', 'auth_time', { claims: (claims) => ({ ...claims, auth_time: Number(claims['iat']) + 120 }) }],
  ['other-nonce', 'nonce', { claims: (claims) => ({ ...claims, nonce: 'another' }) }],
  ['no-nonce', 'nonce', { claims: (claims) => without(claims, 'nonce') }],
  ['no-sub', 'sub', { claims: (claims) => without(claims, 'sub') }],
  ['empty-sub', 'sub', { claims: (claims) => ({ ...claims, sub: '' }) }],
  ['acr-not-listed', null, { claims: (claims) => ({ ...claims, acr: 'three' }) }],
  ['acr-of-object', null, { claims: (claims) => ({ ...claims, acr: 'constructor' }) }],
  ['no-acr', null, { claims: (claims) => without(claims, 'acr') }],
  ['no-identifier', null, { claims: (claims) => without(claims, 'resident_id') }],
  ['identifier-number', null, { claims: (claims) => ({ ...claims, resident_id: 310101 }) }],
  ['identifier-long', null, { claims: (claims) => ({ ...claims, resident_id: '1'.repeat(257) }) }],
  ['name-twice', 'JSON_DUPLICATE_NAME', { token: twice }],
  ['large', 'JWS_MALFORMED', { claims: (claims) => ({ ...claims, picture: 'x'.repeat(20_000) }) }],
  ['no-token', 'JWS_MALFORMED', { token: () => '' }],
];

function withHeader(claims: Claims, header: Claims): string {
  // The signature is right for an unguarded reader: it is checked over another header.
  const [, payload, signature] = signed(claims).split('.');
  return `${b64({ alg: 'ES256', kid: 'k1', ...header })}.${payload}.${signature}`;
}

function twice(claims: Claims): string {
  const payload = JSON.stringify(claims).replace('{', '{"sub":"another",');
  return signCompact(Buffer.from(payload), { typ: 'JWT', kid: 'k1' }, ours);
}

t.test('ID tokens that do not count', async (t) => {
  const good = await tried('good', {});
  t.same(JSON.parse(good.shown.text).person.subjects[0].value, WANG, 'what is right signs in');
  for (const [name, offline, behaviour] of TOKENS) {
    let token = '';
    const { code, browser } = await tried(name, {
      ...behaviour,
      token: (claims) => {
        token = behaviour.token?.(claims) ?? signed(claims, ours);
        return token;
      },
    });
    t.equal(code, 'SIGN_IN_REFUSED', name);
    t.equal(browser.cookie(COOKIE), undefined, `${name}: no session`);
    const nonce = nonceIn(token);
    let said: string | null = null;
    try {
      verifyIdToken(token, site.entries[2]!, {
        nowMs: site.clock.nowMs(),
        nonce: name.endsWith('nonce') ? 'wanted' : nonce,
      });
    } catch (error) {
      said = isAccordError(error, 'ID_TOKEN_REFUSED') ? error.detail : 'another error';
    }
    t.ok(offline === null ? said === null : said?.startsWith(offline), `${name}: offline ${said}`);
  }
  t.match(
    site.alarms.join('\n'),
    /ID_TOKEN_REFUSED .*published-but-not-configured: not signed/,
    'the operator is told',
  );
});

function nonceIn(token: string): string {
  try {
    return String(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).nonce);
  } catch {
    return '';
  }
}

t.test('other algorithms of the table', async (t) => {
  const kinds = [
    ['EdDSA', 'Ed25519'],
    ['RS256', 'RSA-2048'],
    ['PS256', 'RSA-2048'],
  ] as const;
  for (const [alg, kind] of kinds) {
    const key = { alg, key: generateKeys(kind).privateKey };
    t.equal((await tried(alg, { key })).code, 200, alg);
  }
  const rsa = generateKeys('RSA-2048').privateKey;
  const other = {
    key: { alg: 'RS256', key: rsa } as const,
    token: (claims: Claims) => signed(claims, { alg: 'PS256', key: rsa }),
  };
  t.equal(
    (await tried('RS256-as-PS256', other)).code,
    'SIGN_IN_REFUSED',
    'a key serves the algorithm it was declared for',
  );
});

t.test('levels and fresh sign-ins', async (t) => {
  const low = await tried('low', {}, new Browser(), 4);
  t.equal(low.code, 'STEP_UP_REQUIRED', 'level 2 where 4 was asked for');
  t.equal(low.browser.cookie(COOKIE), undefined);
  const asked: string[] = [];
  const { browser } = await tried('stale', {});
  provider.entry('stale', {
    claims: (claims) => ({ ...claims, acr: 'four', auth_time: Number(claims['auth_time']) - 90 }),
  });
  const before = browser.cookie(COOKIE);
  const stale = await browser.open(`${site.base}/most-sensitive`);
  asked.push(...browser.visited.filter((url) => url.includes('max_age=0')));
  t.match(asked[0], /acr_values=four&max_age=0&prompt=login/);
  t.match(stale.text, 'SIGN_IN_REFUSED', 'the person was not asked again');
  t.equal(browser.cookie(COOKIE), before);
  provider.entry('stale', { claims: (claims) => ({ ...without(claims, 'auth_time'), acr: 'four' }) });
  t.match((await browser.open(`${site.base}/most-sensitive`)).text, 'SIGN_IN_REFUSED', 'nor does anybody say so');
  provider.entry('stale', { claims: (claims) => ({ ...claims, acr: 'four' }) });
  t.equal((await browser.open(`${site.base}/most-sensitive`)).status, 200);
});

t.test('callbacks that belong to no sign-in', async (t) => {
  const set = (name: string, value: string) => (query: URLSearchParams) => query.set(name, value);
  const cases: [name: string, code: string, callback: (query: URLSearchParams) => void][] = [
    ['other-state', 'SIGN_IN_EXPIRED', set('state', 'A'.repeat(43))],
    ['short-state', 'SIGN_IN_EXPIRED', set('state', 'A')],
    ['same-beginning', 'SIGN_IN_EXPIRED', (query) => query.set('state', `${query.get('state')?.slice(0, 42)}-`)],
    ['no-state', 'SIGN_IN_EXPIRED', (query) => query.delete('state')],
    ['state-twice', 'SIGN_IN_EXPIRED', (query) => query.append('state', query.get('state') ?? '')],
    ['no-iss', 'SIGN_IN_REFUSED', (query) => query.delete('iss')],
    ['other-iss', 'SIGN_IN_REFUSED', set('iss', site.providers[0]?.issuer ?? '')],
    ['iss-twice', 'SIGN_IN_REFUSED', (query) => query.append('iss', query.get('iss') ?? '')],
    ['no-code', 'SIGN_IN_REFUSED', (query) => query.delete('code')],
    ['code-twice', 'SIGN_IN_REFUSED', (query) => query.append('code', 'another')],
    ['other-code', 'SIGN_IN_REFUSED', set('code', 'another')],
    ['denied', 'SIGN_IN_REFUSED', set('error', 'access_denied')],
    ['error-markup', 'SIGN_IN_REFUSED', set('error', '<script>')],
    ['jarm', 'SIGN_IN_REFUSED', set('response', 'a.b.c')],
    ['implicit', 'SIGN_IN_REFUSED', set('id_token', 'a.b.c')],
  ];
  for (const [name, code, callback] of cases) {
    const done = await tried(name, { callback });
    t.equal(done.code, code, name);
    t.notMatch(done.shown.text, '<script>');
    t.equal(done.browser.cookie(COOKIE), undefined);
  }
  const long = await tried('long', { callback: set('code', 'x'.repeat(5_000)) });
  t.equal(long.code, 'SIGN_IN_REFUSED');
  t.notOk(provider.seen.includes('POST /long/token'), 'nobody was asked about it');
});

t.test('callbacks that come twice, late, or in another browser', async (t) => {
  const callback = `${site.base}/sign-in/callback`;
  site.entries[2] = provider.entry('callbacks');
  const arrive = async (browser: Browser, at = 2) => (await browser.open(startOf(site, at), callback)).url;
  const [victim, attacker] = [new Browser(), new Browser()];
  const url = await arrive(victim);
  t.match((await attacker.open(url)).text, 'SIGN_IN_EXPIRED', 'another browser');
  const attackers = await arrive(attacker);
  t.match((await victim.open(attackers)).text, 'SIGN_IN_EXPIRED', "the attacker's own sign-in does not end here");
  const kept = [...victim.cookies];
  t.equal((await victim.open(url)).status, 200);
  const thief = new Browser();
  thief.cookies = kept;
  t.match((await thief.open(url)).text, 'SIGN_IN_EXPIRED', 'used, though this provider takes a code twice');
  t.equal(thief.cookie(COOKIE), undefined);

  const swapped = new Browser();
  const [first, second] = [new URL(await arrive(swapped)), new URL(await arrive(swapped))];
  first.searchParams.set('code', second.searchParams.get('code') ?? '');
  t.match((await swapped.open(first.href)).text, 'SIGN_IN_REFUSED', 'PKCE: a code of another attempt');
  t.equal((await swapped.open(second.href)).status, 200, 'which itself goes on');

  const tampered = new Browser();
  const sealed = await arrive(tampered);
  for (const cookie of tampered.cookies) cookie.value = `${cookie.value.slice(0, -4)}AAAA`;
  t.match((await tampered.open(sealed)).text, 'SIGN_IN_EXPIRED');
  const many = new Browser();
  for (let n = 0; n < 7; n += 1) await arrive(many);
  t.equal(many.cookies.filter(({ name }) => name.startsWith('accord-sign-in-')).length, 4, 'no more than four at once');

  const late = new Browser();
  const slow = await arrive(late);
  site.clock.aheadMs = 10 * MINUTE + 1_000;
  t.match((await late.open(slow)).text, 'SIGN_IN_EXPIRED');
  site.clock.aheadMs = 0;

  const real = new Browser();
  const login = await real.open(startOf(site, 0));
  const { url: one } = await choose(real, login, WANG, 2, callback);
  const before = [...real.cookies];
  t.equal((await real.open(one)).status, 200);
  const again = new Browser();
  again.cookies = before;
  t.match((await again.open(one)).text, 'SIGN_IN_REFUSED', 'the development provider takes a code once');
});

t.test('a provider that is away hurts nobody else', async (t) => {
  const huge = JSON.stringify({ access_token: 'x'.repeat(200_000), token_type: 'Bearer' });
  const elsewhere = (name: string) => `${provider.entry(name).issuer.replace('127.0.0.1', '0.0.0.0')}/token`;
  const cases: [name: string, behaviour: Behaviour][] = [
    ['failing', { discovery: { status: 500, body: 'sorry' } }],
    ['not-json', { discovery: { body: '<html>' } }],
    ['other-kind', { discovery: { headers: { 'content-type': 'text/html' }, body: '{}' } }],
    ['redirecting', { discovery: { status: 302, headers: { location: `${site.providers[0]?.issuer}/` }, body: '' } }],
    ['of-another', { metadata: { issuer: site.providers[0]?.issuer ?? '' } }],
    ['endless', { discovery: { body: `"${'x'.repeat(200_000)}"` } }],
    ['coded', { discovery: { headers: { 'content-encoding': 'gzip' }, body: '{}' } }],
    ['script', { metadata: { authorization_endpoint: 'javascript:alert(1)' } }],
    ['elsewhere', { metadata: { authorization_endpoint: 'http://192.0.2.1/auth' } }],
    // The same machine by another name: a provider on loopback may not lead away from it without TLS.
    ['tokens-elsewhere', { metadata: { token_endpoint: elsewhere('tokens-elsewhere') } }],
    ['spelled', { metadata: { issuer: provider.entry('spelled').issuer.replace('http:', 'HTTP:') } }],
    ['tokens-failing', { tokens: { status: 502, headers: { 'content-type': 'text/html' }, body: 'sorry' } }],
    ['tokens-huge', { tokens: { body: huge } }],
    ['tokens-not-json', { tokens: { body: 'sorry' } }],
    ['keys-failing', { jwks: { status: 500, body: '' } }],
  ];
  for (const [name, behaviour] of cases) {
    const { code, shown } = await tried(name, behaviour);
    t.equal(code, 'SIGN_IN_PROVIDER_AWAY', name);
    t.equal(shown.status, 503);
  }
  await site.providers[1]?.close();
  const browser = new Browser();
  const away = await browser.open(startOf(site, 1));
  t.match([away.status, away.text], [503, '<code>SIGN_IN_PROVIDER_AWAY</code>']);
  t.ok(away.headers.get('retry-after'));
  const plain = await fetch(startOf(site, 1), { redirect: 'manual' });
  t.equal(
    ((await plain.json()) as { code: string }).code,
    'SIGN_IN_PROVIDER_AWAY',
    'a program gets a problem document',
  );
  t.equal(JSON.parse((await signIn(site, browser, 0, LI)).text).person.subjects[0].value, LI, 'the other one goes on');
  const asked = provider.seen.filter((line) => line.includes('/failing/')).length;
  const failing = await tried('failing', {});
  t.equal(failing.code, 'SIGN_IN_PROVIDER_AWAY');
  t.equal(provider.seen.filter((line) => line.includes('/failing/')).length, asked, 'it is not asked again at once');
  site.clock.aheadMs = 6_000;
  t.equal((await tried('failing', {})).code, 200, 'but a little later');
});
