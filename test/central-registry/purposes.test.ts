// Purposes, consent services, identity providers, limits and subject keys in the registry, over real HTTP: what is refused
// and why, that a version never changes, and that what was approved is what the servers read.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { openThrowawayRegistry } from '#central-registry/throwaway.ts';
import { exportPublicJwk, generateKeys, thumbprint } from '#certs/keys.ts';
import { openThrowAwayAuthority } from '#cli/dev/throw-away-authority.ts';
import type { Clock } from '#core/clock.ts';
import { type ConfigurationClient, openConfigurationClient } from '#core/configuration/client.ts';
import { purposeHashOf } from '#core/configuration/consent-parts.ts';
import { fetchOverHttp } from '#core/configuration/fetch.ts';
import { signDistrust } from '#core/configuration/sign.ts';
import { openClient } from '#core/http/client.ts';
import { base64url } from '#schemas/base64url.ts';
import { parseJson } from '#schemas/json.ts';
import type { Purpose } from '#schemas/purpose.ts';
import type { EncryptionKey, RegisteredServer } from '#schemas/registrations.ts';
import { element } from '../policy/dictionary-entries.ts';
import { predicate } from '../policy/entries.ts';

const DAY_MS = 86_400_000;
const SERVICE = 'GX/GOV/1/consent';
/** 17:00 UTC: the next day already where the instance is. */
let nowMs = Date.parse('2026-11-22T17:00:00Z');
const clock: Clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
const folder = mkdtempSync(join(tmpdir(), 'accord-purposes-'));
const http = openClient();
const registry = await openThrowawayRegistry({ folder, instance: 'GX', clock });
const authority = await openThrowAwayAuthority(clock);
t.teardown(async () => {
  await registry.close();
  await http.close();
  rmSync(folder, { recursive: true, force: true });
});

type Answer = { status: number; code: string; detail: string; body: Record<string, unknown> };

async function ask(method: string, path: string, body?: object, apiKey = registry.apiKey): Promise<Answer> {
  const answer = await http.request({
    method,
    url: `${registry.adminUrl}${path}`,
    headers: [
      ['authorization', `Bearer ${apiKey}`],
      ...(body === undefined ? [] : ([['content-type', 'application/json']] as const)),
    ],
    ...(body && { body: Buffer.from(JSON.stringify(body)) }),
  });
  const parsed = parseJson(answer.body) as Record<string, unknown>;
  const code = answer.status < 400 ? '' : String(parsed['code']);
  return { status: answer.status, code, detail: String(parsed['detail'] ?? ''), body: parsed };
}

const aid: Purpose = {
  id: 'aid',
  version: 1,
  title: { zh: '补助', en: 'Aid' },
  text: { zh: '用于核定补助资格', en: 'Needed to decide whether aid is due' },
  bases: ['consent', 'law'],
  elements: ['gx.name@1', 'gx.pred.one@1'],
  retentionDays: 365,
  quotaPerDay: 100,
  from: '2026-01-01',
  until: null,
};

/** The second is no integer, the first is. */
const COUNT_TESTS = [
  { value: 1, valid: true },
  { value: 'x', valid: false },
];
const ENTRIES = [
  element('gx.name'),
  element('gx.number'),
  element('gx.draft', { state: 'draft' }),
  predicate({ inputs: { x: 'gx.count@1' } }),
  element('gx.count', { domain: { type: 'integer', maximum: 99 }, tests: COUNT_TESTS }),
];
const release = (version: string, entries: readonly object[]) => ({
  release: version,
  releasedOn: '2026-11-01',
  entries,
});
/** The entries with one of them changed to the next minor version. */
const withChange = (id: string, over: object) =>
  ENTRIES.map((entry) => (entry.id === id ? { ...entry, version: '1.1.0', ...over } : entry));

type Jwk = EncryptionKey['jwk'];
function newKey(): { kid: string; jwk: Jwk } {
  const key = generateKeys('P-256').publicKey;
  return { kid: thumbprint(key), jwk: exportPublicJwk(key) as Jwk };
}

async function connect(): Promise<ConfigurationClient> {
  const client = await openConfigurationClient({
    folder: join(folder, 'client'),
    anchor: registry.anchor,
    clock,
    fetch: registry.anchor.urls.map((url) => fetchOverHttp(http, url)),
    pollMs: 0,
  });
  t.teardown(() => client.close());
  return client;
}

t.before(async () => {
  for (const der of authority.trust.anchors) {
    await registry.call('POST', '/trust', { kind: 'anchor', der: base64url(der) });
  }
  for (const der of authority.trust.intermediates) {
    await registry.call('POST', '/trust', { kind: 'intermediate', der: base64url(der) });
  }
  await registry.call('POST', '/members', { id: 'GX/GOV/1', name: 'One' });
  await registry.call('POST', '/subsystems', { id: SERVICE, name: 'Consent' });
});

t.test('a purpose is judged, and a version never changes', async (t) => {
  t.match(await ask('POST', '/purposes', aid), { status: 409, code: 'DICTIONARY_MISSING' });
  await registry.call('POST', '/dictionary', release('1.0.0', ENTRIES));
  const cases: [what: string, over: object, code: string, detail: RegExp][] = [
    ['a version too far', { version: 2 }, 'PURPOSE_REFUSED', /the next version is 1/],
    ['unknown elements', { elements: ['gx.name@1', 'gx.x@1', 'gx.name@2'] }, 'PURPOSE_REFUSED', /gx\.x@1; gx\.name@2$/],
    ['a draft', { elements: ['gx.draft@1'] }, 'PURPOSE_REFUSED', /gx\.draft@1/],
    ['a day that is none', { from: '2026-02-30' }, 'PURPOSE_REFUSED', /2026-02-30/],
    ['an end that is none', { until: '2027-04-31' }, 'PURPOSE_REFUSED', /2027-04-31/],
    ['an end before the start', { until: '2025-12-31' }, 'PURPOSE_REFUSED', /ends before/],
    ['no basis', { bases: [] }, 'SCHEMA_MISMATCH', /bases/],
    ['a basis twice', { bases: ['law', 'law'] }, 'SCHEMA_MISMATCH', /bases/],
    ['no words in Chinese', { text: { zh: '', en: 'x' } }, 'SCHEMA_MISMATCH', /text/],
    ['an id with capitals', { id: 'Aid' }, 'SCHEMA_MISMATCH', /id/],
    ['a member too many', { x: 1 }, 'SCHEMA_MISMATCH', /x/],
  ];
  for (const [what, over, code, detail] of cases) {
    const answer = await ask('POST', '/purposes', { ...aid, ...over });
    t.match({ code: answer.code, detail: answer.detail }, { code, detail }, what);
  }
  t.match(await ask('GET', '/purposes'), { body: { items: [], next: null } }, 'nothing was taken');
  t.match(await ask('POST', '/purposes?dryRun=true', aid), { status: 200, body: { hash: purposeHashOf(aid) } });
  t.match(await ask('GET', '/purposes/aid'), { status: 404, code: 'REGISTRATION_UNKNOWN' });
  const made = await ask('POST', '/purposes', aid);
  t.same(made.body, { ...aid, hash: purposeHashOf(aid), state: 'in-force' });
  t.equal(made.status, 201);
  t.match(await ask('POST', '/purposes', aid), { status: 200 }, 'the same again changes nothing');
  const other = { ...aid, text: { ...aid.text, en: 'Other words' } };
  t.match(await ask('POST', '/purposes', other), { status: 409, code: 'REGISTRATION_EXISTS', detail: /version 2/ });
  t.match(await ask('POST', '/purposes', { ...other, version: 2, from: '2026-11-23' }), {
    status: 201,
    body: { state: 'not-begun' },
  });
  for (const role of ['registration-officer', 'publisher', 'auditor']) {
    const key = String((await ask('POST', '/api-keys', { name: role, role })).body['apiKey']);
    t.match(await ask('POST', '/purposes', { ...aid, id: 'home' }, key), { status: 403 }, role);
    t.match(await ask('GET', '/purposes', undefined, key), { status: 200 }, role);
  }
  const db = new Database(join(folder, 'registry.db'));
  t.teardown(() => db.close());
  for (const sql of [
    "UPDATE purposes SET text = '{}'",
    'DELETE FROM purposes',
    "REPLACE INTO purposes VALUES ('aid', 2, '{}', 0)",
    "INSERT INTO purposes VALUES ('aid', 4, '{}', 0)",
  ]) {
    t.throws(() => db.exec(sql), /append-only/, sql);
  }
});

t.test('the legal day decides, and a purpose ends without a day of doubt', async (t) => {
  const limits = async () => (await ask('GET', '/limits')).body['items'];
  t.same(await limits(), [
    { name: 'maxStaleMs', value: null },
    { name: 'distrustPerApprover', value: null },
    { name: 'utcOffsetMinutes', value: null },
    { name: 'emergencyReviewMinutes', value: null },
  ]);
  t.match(await ask('POST', '/limits', { name: 'utcOffsetMinutes', value: 841 }), { code: 'SCHEMA_MISMATCH' });
  t.match(await ask('POST', '/limits', { name: 'utcOffsetMinutes', value: 480 }), { status: 200 });
  t.match(await limits(), [{}, {}, { name: 'utcOffsetMinutes', value: 480 }]);
  const states = async () =>
    ((await ask('GET', '/purposes/aid')).body['versions'] as { state: string }[]).map(({ state }) => state);
  t.same(await states(), ['superseded', 'in-force'], 'already the 23rd where the instance is');

  const end = (until: string) => ask('POST', '/purposes/aid/end', { until });
  t.match(await end('2026-11-22'), { code: 'PURPOSE_REFUSED', detail: /past/ });
  t.match(await end('2026-13-01'), { code: 'SCHEMA_MISMATCH' });
  t.match(await ask('POST', '/purposes/none/end', { until: '2027-01-01' }), { code: 'REGISTRATION_UNKNOWN' });
  t.match(await end('2026-12-01'), {
    status: 201,
    body: { version: 3, from: '2026-12-01', until: '2026-12-01', text: { en: 'Other words' } },
  });
  t.match(await end('2026-12-02'), { code: 'PURPOSE_REFUSED', detail: /2026-12-01 anyway/ });
  t.same(await states(), ['superseded', 'in-force', 'not-begun'], 'until then nothing changes');
  await registry.publish();
  const client = await connect();
  t.equal(client.current().purpose('aid', '2026-11-30')?.purpose.version, 2);
  t.equal(client.current().purpose('aid', '2026-12-01'), undefined);
  t.equal(client.current().utcOffsetMinutes, 480);
  t.equal(client.current().purposeByHash(purposeHashOf(aid))?.version, 1, 'what was agreed to stays readable');

  nowMs += 10 * DAY_MS;
  t.same(await states(), ['superseded', 'superseded', 'ended']);
  nowMs -= 10 * DAY_MS;
});

t.test('pages', async (t) => {
  const long = { ...aid.text, en: 'x'.repeat(4_000) };
  for (let version = 1; version <= 3; version++) {
    await registry.call('POST', '/purposes', { ...aid, id: 'a-first', version, text: long });
  }
  const names = ({ body }: Answer) => (body['items'] as Purpose[]).map(({ id, version }) => `${id}@${version}`);
  const all: string[] = [];
  let after = '';
  for (let pages = 0; pages < 10; pages++) {
    const page = await ask('GET', `/purposes?limit=2${after}`);
    all.push(...names(page));
    if (page.body['next'] === null) break;
    after = `&after=${encodeURIComponent(String(page.body['next']))}`;
  }
  t.same(all, ['a-first@1', 'a-first@2', 'a-first@3', 'aid@1', 'aid@2', 'aid@3']);
  t.match(await ask('GET', '/purposes?after=aid'), { code: 'SCHEMA_MISMATCH' });
});

t.test('a release of the dictionary leaves every purpose its elements', async (t) => {
  await registry.call('POST', '/purposes', { ...aid, id: 'later', elements: ['gx.number@1'], from: '2027-06-01' });
  const retired = { state: 'retired', replacedBy: 'gx.name@1' };
  const without = release('1.1.0', withChange('gx.number', retired));
  t.match(await ask('POST', '/dictionary', without), {
    code: 'DICTIONARY_REFUSED',
    detail: /^purpose later@1 needs gx\.number@1$/,
  });
  const renamed = release('1.1.0', withChange('gx.number', { labels: { zh: '号', en: 'no.' } }));
  t.match(await ask('POST', '/dictionary?dryRun=true', renamed), { status: 200 });
  const end = { until: '2027-07-01' };
  await registry.call('POST', '/purposes/later/end', end);
  t.match(await ask('POST', '/dictionary', without), { code: 'DICTIONARY_REFUSED' }, 'it still has its month');
  nowMs += 300 * DAY_MS;
  t.match(await ask('POST', '/dictionary?dryRun=true', without), { status: 200 }, 'nobody needs it any more');
  nowMs -= 300 * DAY_MS;
  await registry.call('POST', '/purposes', { ...aid, id: 'never', elements: ['gx.number@1'], from: '2028-01-01' });
  await registry.call('POST', '/purposes/never/end', { until: '2027-12-01' });
  nowMs += 300 * DAY_MS;
  t.match(await ask('POST', '/dictionary?dryRun=true', without), { status: 200 }, 'it ends before it begins');
  nowMs -= 300 * DAY_MS;
});

t.test('consent services and identity providers', async (t) => {
  const [first, second, lost] = [newKey(), newKey(), newKey()];
  const entry = {
    subsystem: SERVICE,
    keys: [first],
    statusUrl: 'http://status.example/lists',
    citizenUrl: 'https://consent.example',
  };
  const server = (await authority.server('GX/GOV/1/ss1')).registration;
  await registry.call('POST', '/servers', {
    id: 'GX/GOV/1/ss1',
    address: 'https://ss1.example:5500',
    subsystems: [SERVICE],
    ...server,
  });
  const statement = { instance: 'GX', kind: 'key' as const, value: lost.kid, atMs: nowMs, reason: 'lost' };
  await registry.call('POST', '/configuration/distrust', {
    statement: signDistrust(statement, registry.approvers[0], 'approver'),
  });
  const [theirs] = server.encryptionKeys;
  const cases: [what: string, over: object, code: string][] = [
    ['an unknown subsystem', { subsystem: 'GX/GOV/1/none' }, 'REGISTRATION_UNKNOWN'],
    ['a kid that is no thumbprint', { keys: [{ ...first, kid: second.kid }] }, 'REGISTRATION_KEY_REFUSED'],
    ['a key twice', { keys: [first, first] }, 'REGISTRATION_KEY_REFUSED'],
    ["a server's key", { keys: [{ kid: theirs?.kid, jwk: theirs?.jwk }] }, 'REGISTRATION_KEY_REFUSED'],
    ['a distrusted key', { keys: [lost] }, 'REGISTRATION_KEY_REFUSED'],
    ['a point off the curve', { keys: [{ ...first, jwk: { ...first.jwk, y: first.jwk.x } }] }, 'KEY_MALFORMED'],
    ['no key', { keys: [] }, 'SCHEMA_MISMATCH'],
    ['pages that anybody can change', { citizenUrl: 'http://consent.example' }, 'SCHEMA_MISMATCH'],
  ];
  for (const [what, over, code] of cases) {
    t.match(await ask('POST', '/consent-services', { ...entry, ...over }), { code }, what);
  }
  t.match(await ask('POST', '/consent-services', entry), { status: 201 });
  t.match(await ask('POST', '/consent-services', { ...entry, keys: [second, first] }), { status: 201 }, 'replaced');
  t.same((await ask('GET', '/consent-services')).body['items'], [{ ...entry, keys: [second, first] }]);
  t.match(await ask('DELETE', `/subsystems/${SERVICE}`), { code: 'REGISTRATION_IN_USE' });

  const issuer = 'https://login.example/realms/gov';
  const rsa = exportPublicJwk(generateKeys('RSA-2048').publicKey);
  const provider = {
    issuer,
    name: { zh: '统一身份认证', en: 'Sign-in' },
    clientId: 'accord',
    keys: [
      { kid: '2', jwk: { ...rsa, alg: 'RS256' } },
      { kid: '1', jwk: exportPublicJwk(generateKeys('Ed25519').publicKey) },
    ],
    scheme: 'gx.number@1',
    claim: 'id_number',
    levels: { 'urn:high': 4 },
  };
  const weak = { kty: 'RSA', n: base64url(Buffer.alloc(256, 255)), e: 'Aw', alg: 'RS256' };
  const [ed] = provider.keys.slice(1);
  const wrong: [what: string, over: object, code: string][] = [
    ['a scheme of no dictionary', { scheme: 'gx.x@1' }, 'REGISTRATION_UNKNOWN'],
    ['a scheme that is a draft', { scheme: 'gx.draft@1' }, 'REGISTRATION_UNKNOWN'],
    ['a scheme that is a predicate', { scheme: 'gx.pred.one@1' }, 'REGISTRATION_UNKNOWN'],
    ['plain http', { issuer: 'http://login.example' }, 'SCHEMA_MISMATCH'],
    ['a weak key', { keys: [{ kid: '1', jwk: weak }] }, 'KEY_UNSUITABLE'],
    ['RSA for any algorithm', { keys: [{ kid: '1', jwk: rsa }] }, 'SCHEMA_MISMATCH'],
    ['a key under two names', { keys: [ed, { ...ed, kid: '9' }] }, 'REGISTRATION_KEY_REFUSED'],
    ['two keys of one name', { keys: [ed, { ...provider.keys[0], kid: '1' }] }, 'REGISTRATION_KEY_REFUSED'],
    ['no level', { levels: {} }, 'SCHEMA_MISMATCH'],
  ];
  for (const [what, over, code] of wrong) {
    t.match(await ask('POST', '/identity-providers', { ...provider, ...over }), { code }, what);
  }
  t.match(await ask('POST', '/identity-providers', { ...provider, issuer: 'http://127.0.0.1:4501' }), { status: 201 });
  t.match(await ask('POST', '/identity-providers', provider), { status: 201 });
  const gone = release('1.2.0', withChange('gx.number', { state: 'retired', replacedBy: 'gx.name@1' }));
  nowMs += 300 * DAY_MS;
  t.match(await ask('POST', '/dictionary', gone), {
    code: 'DICTIONARY_REFUSED',
    detail: /identity provider https:\/\/login\.example\/realms\/gov needs gx\.number@1$/,
  });
  nowMs -= 300 * DAY_MS;

  await registry.publish();
  const client = await connect();
  t.same(client.current().consentService(SERVICE)?.keys.length, 2);
  t.same(
    client
      .current()
      .identityProvider(issuer)
      ?.keys.map(({ kid }) => kid),
    ['1', '2'],
  );
  t.match(await ask('DELETE', `/identity-providers/${encodeURIComponent(issuer)}`), { status: 200 });
  t.match(await ask('DELETE', `/identity-providers/${encodeURIComponent(issuer)}`), { code: 'REGISTRATION_UNKNOWN' });
  t.match(await ask('DELETE', `/consent-services/${SERVICE}`), { status: 200 });
  t.match(await ask('DELETE', `/consent-services/${SERVICE}`), { code: 'REGISTRATION_UNKNOWN' });
  await registry.publish();
  await client.refresh();
  t.equal(client.current().consentService(SERVICE), undefined);
  t.equal(client.current().identityProviders().length, 1);
});

t.test('subject keys live for years, encryption keys do not', async (t) => {
  const id = 'GX/GOV/1/ss1';
  const server = (await ask('GET', `/servers/${id}`)).body as unknown as RegisteredServer;
  const renew = (body: object) => ask('POST', `/servers/${id}/renewals`, body);
  const until = (days: number) => ({ ...newKey(), notAfterMs: nowMs + days * DAY_MS });
  const [key, other] = [until(3_650), until(400)];
  const refused: [what: string, body: object][] = [
    ['an encryption key for a year', { encryptionKeys: [until(365)] }],
    ['a subject key for eleven years', { subjectKeys: [until(11 * 366)] }],
    ['one that has ended', { subjectKeys: [until(0)] }],
    ['a kid that is no thumbprint', { subjectKeys: [{ ...key, kid: other.kid }] }],
    ['an encryption key in a second use', { subjectKeys: server.encryptionKeys }],
    [
      'more than four',
      { subjectKeys: [1, 2, 3].map(() => until(9)), encryptionKeys: [1, 2, 3, 4].map(() => until(9)) },
    ],
  ];
  for (const [what, body] of refused) t.match(await renew(body), { code: 'REGISTRATION_KEY_REFUSED' }, what);
  const kids = ({ subjectKeys }: { subjectKeys: readonly EncryptionKey[] }) => subjectKeys.map(({ kid }) => kid);
  const held = kids(server);
  const added = await renew({ subjectKeys: [key, other] });
  t.same(kids(added.body as never), [...held, key.kid, other.kid].sort());
  t.match(await renew({ remove: [other.kid] }), { status: 200, body: { encryptionKeys: { length: 1 } } });
  await registry.publish();
  const entry = (await connect()).current().server(id);
  t.same(entry && kids(entry), [...held, key.kid].sort());
  t.same(
    entry?.subjectKeys.find(({ kid }) => kid === key.kid),
    key,
  );
  t.same(entry?.encryptionKeys, server.encryptionKeys);
});
