// An emergency's whole life with a real registry, a real configuration client and two real security servers: the provider
// reports that it answered, the review is owed, its delay locks the department everywhere, the review lifts the lock. What
// is forged, foreign or signed by the same people is taken by nobody, and locks never go back.
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { openThrowawayRegistry } from '#central-registry/throwaway.ts';
import { signEmergencyEvidence, signEmergencyReview } from '#certs/evidence.ts';
import { openConfigurationClient } from '#core/configuration/client.ts';
import { fetchFromFolder, fetchOverHttp } from '#core/configuration/fetch.ts';
import { signDistrust } from '#core/configuration/sign.ts';
import { openClient } from '#core/http/client.ts';
import type { EmergencyEvidence, EmergencyReview } from '#schemas/evidence.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_EMERGENCY_POSTS_PER_ADDRESS } from '#schemas/limits.ts';
import { CLIENT, CONSUMER, PROVIDER, SERVICE } from '#scripts/campaign/pair.ts';
import { openDueReviews } from '#security-server/due-reviews.ts';
import { emergencyOf, LI, reviewOf, WANG, ZHAO } from '#test/certs/evidence-cases.ts';
import { testKey } from '#test/certs/receipt-cases.ts';
import { MovingClock, Timers } from '#test/security-server/moving-clock.ts';
import { CLIENT2, openDesk } from '#test/security-server/official-desk.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const REVIEW_MINUTES = 90;
const clock = new MovingClock();
const folder = mkdtempSync(join(tmpdir(), 'accord-emergencies-'));
const registry = await openThrowawayRegistry({ folder, instance: 'DEV', clock });
const http = openClient();
const [key, key2, next, stranger] = [testKey(), testKey(), testKey(), testKey()];
t.teardown(async () => {
  await http.close();
  await registry.close();
  rmSync(folder, { recursive: true, force: true });
});

const entry = ({ kid, jwk }: typeof key) => ({ kid, jwk });
/** `ok`, or the code of the refusal. */
const admin = (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<string> =>
  registry.call(method, path, body).then(
    () => 'ok',
    (error: Error) => error.message.split(': ')[1]?.split(' ')[0] ?? error.message,
  );
const setKeys = (subsystem: string, ...keys: (typeof key)[]) =>
  admin('POST', '/official-keys', { subsystem, keys: keys.map(entry).sort((a, b) => (a.kid < b.kid ? -1 : 1)) });

interface Said {
  status: number;
  body: Record<string, unknown>;
}
async function ask(method: string, path: string, body?: object | string): Promise<Said> {
  const answer = await http.request({
    method,
    url: new URL(path, registry.configurationUrl).href,
    ...(body !== undefined && {
      headers: [['content-type', 'application/json']],
      body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    }),
  });
  return { status: answer.status, body: parseJson(answer.body) as Record<string, unknown> };
}
const report = (tokens: string[], by: string | null = null) => ask('POST', 'emergencies', { v: 1, tokens, by });
const review = (id: string, token: string) => ask('POST', `emergencies/${id}/reviews`, { v: 1, token });
const owed = async (subsystem: string) =>
  (await ask('GET', `emergencies?subsystem=${encodeURIComponent(subsystem)}`)).body['items'] as Record<
    string,
    unknown
  >[];

/** Signed halves of an emergency that began `agoMs` ago. */
function pairOf(
  agoMs = MINUTE,
  over: Partial<EmergencyEvidence> = {},
  by = key,
  confirms: Partial<EmergencyEvidence> = {},
) {
  const [opens, second] = emergencyOf(CLIENT, { purpose: 'rescue', services: [SERVICE] }, clock.nowMs() - agoMs);
  const first = { ...opens, ...over };
  const other = { ...second, ...over, official: second.official, ...confirms };
  return { first, tokens: [signEmergencyEvidence(first, by), signEmergencyEvidence(other, by)] };
}
const reviewBy = (first: EmergencyEvidence, over: Partial<EmergencyReview> = {}, by = key) =>
  signEmergencyReview({ ...reviewOf(first), ...over }, by);
/** As the registry's timer does it. */
const tick = (ms = 0) => {
  clock.aheadMs += ms;
  registry.refreshFreshness();
};
const client = (name: string, fetch = fetchOverHttp(http, registry.configurationUrl), alarms: string[] = []) =>
  openConfigurationClient({
    folder: join(folder, name),
    anchor: registry.anchor,
    clock,
    fetch: [fetch],
    pollMs: 0,
    onAlarm: (code) => alarms.push(code),
  });

t.test('keys of officials: whose they are, once, and only when two approvers signed them', async (t) => {
  for (const [id, of] of [
    [CLIENT, 'DEV/GOV/1001'],
    [CLIENT2, 'DEV/GOV/1001'],
  ] as const) {
    await admin('POST', '/members', { id: of, name: 'x' });
    t.equal(await admin('POST', '/subsystems', { id, name: 'x' }), 'ok');
  }
  t.equal(await setKeys('DEV/GOV/1001/none', key), 'REGISTRATION_UNKNOWN');
  t.equal(await admin('POST', '/official-keys', { subsystem: CLIENT, keys: [] }), 'SCHEMA_MISMATCH', 'no key');
  const wrong = { subsystem: CLIENT, keys: [{ kid: key2.kid, jwk: key.jwk }] };
  t.equal(await admin('POST', '/official-keys', wrong), 'REGISTRATION_KEY_REFUSED', 'another thumbprint');
  t.equal(await setKeys(CLIENT, key, key), 'REGISTRATION_KEY_REFUSED', 'twice');
  const [approver] = registry.approvers;
  const { exportPublicJwk, thumbprint } = await import('#certs/keys.ts');
  const ofApprover = { subsystem: CLIENT, keys: [{ kid: thumbprint(approver), jwk: exportPublicJwk(approver) }] };
  t.equal(await admin('POST', '/official-keys', ofApprover), 'REGISTRATION_KEY_REFUSED', 'an approver’s');
  t.equal(await setKeys(CLIENT, key), 'ok');
  t.equal(await setKeys(CLIENT, key), 'ok', 'again');
  t.equal(await setKeys(CLIENT2, key), 'REGISTRATION_KEY_REFUSED', 'another subsystem’s');
  t.equal(await setKeys(CLIENT2, key2), 'ok');
  const consent = {
    subsystem: CLIENT,
    keys: [entry(key)],
    statusUrl: 'https://c.example/s',
    citizenUrl: 'https://c.example',
  };
  t.equal(await admin('POST', '/consent-services', consent), 'REGISTRATION_KEY_REFUSED', 'not for receipts too');
  const subject = {
    address: 'https://ss1.example:5500',
    subjectKeys: [{ ...entry(key2), notAfterMs: clock.nowMs() + HOUR }],
  };
  const server = { id: 'DEV/GOV/1001/ss9', subsystems: [], authenticationCertificates: [], signingCertificates: [] };
  const log = { origin: 'o.example/ss9', key: 'A'.repeat(43) };
  t.equal(
    await admin('POST', '/servers', { ...server, ...subject, encryptionKeys: [], log }),
    'REGISTRATION_KEY_REFUSED',
    'nor for a server',
  );
  t.equal(await admin('DELETE', `/subsystems/${CLIENT2}`), 'REGISTRATION_IN_USE');
  t.equal((await report(pairOf().tokens)).body['code'], 'EVIDENCE_REFUSED', 'nobody approved the key yet');
  await admin('POST', '/limits', { name: 'emergencyReviewMinutes', value: REVIEW_MINUTES });
  await registry.publish();
  const seen = await client('keys');
  t.teardown(() => seen.close());
  t.same(seen.current().officialKeys(CLIENT), [entry(key)]);
  t.same(seen.current().officialKeys('DEV/GOV/1001/none'), []);
});

t.test('what is forged, foreign, or by the wrong people is taken by nobody', async (t) => {
  const { first, tokens } = pairOf();
  const [a = '', b = ''] = tokens;
  const flipped = `${a.slice(0, -2)}${a.at(-2) === 'A' ? 'B' : 'A'}${a.at(-1)}`;
  const cases: [string, string[]][] = [
    ['forged', pairOf(MINUTE, {}, { ...stranger, kid: key.kid }).tokens],
    ['a strange key', pairOf(MINUTE, {}, stranger).tokens],
    ['another subsystem’s key', pairOf(MINUTE, {}, key2).tokens],
    ['for another subsystem', pairOf(MINUTE, { iss: CLIENT2 }).tokens],
    ['one token twice', [a, a]],
    ['a changed signature', [flipped, b]],
    ['other terms', [a, pairOf(MINUTE, { ...first, persons: 3 }).tokens[1] ?? '']],
    ['one person', pairOf(MINUTE, {}, key, { official: { ...LI, id: ` ${WANG.id} ` } }).tokens],
    ['one unit', pairOf(MINUTE, {}, key, { official: { ...LI, unit: 'POPULATION office' } }).tokens],
    ['of tomorrow', pairOf(-24 * HOUR).tokens],
    ['a review', [a, reviewBy(first)]],
    ['rubbish', ['a.b.c', 'a.b.c']],
  ];
  for (const [name, both] of cases) {
    t.match(await report(both), { status: 403, body: { code: 'EVIDENCE_REFUSED', detail: undefined } }, name);
  }
  t.equal((await ask('POST', 'emergencies', { v: 1, tokens: [a], by: null })).status, 400, 'one token');
  t.equal((await ask('POST', 'emergencies', { v: 1, tokens, by: null, x: 1 })).status, 400, 'another member');
  t.equal((await ask('POST', 'emergencies', `{"v":1,"by":null,"tokens":["${'a'.repeat(20_000)}"]}`)).status, 413);
  t.same(await owed(CLIENT), [], 'nothing is owed');
  t.equal((await review(first.emergency, reviewBy(first))).body['code'], 'EMERGENCY_UNKNOWN');
});

t.test('reported, due, overdue, locked, reviewed', async (t) => {
  const desk = await openDesk(t);
  const { pair } = desk;
  desk.clock.aheadMs = clock.aheadMs;
  const real = await client('provider');
  const timers = new Timers();
  // Who is locked, and with which keys officials sign, is the real registry's word.
  const held = pair.configuration.current.bind(pair.configuration);
  pair.configuration.current = () => {
    const { officialKeys, lockedFor } = real.current();
    return { ...held(), officialKeys, lockedFor };
  };
  await pair.provider.close();
  const registryUrls = ['http://127.0.0.1:1/', registry.configurationUrl.slice(0, -1)];
  const provider = await pair.reopen('provider', { registryUrls, every: timers.every });
  t.teardown(() => real.close());
  const { first, tokens } = pairOf();
  const emergency = { basis: 'emergency', evidence: tokens, userId: WANG.id };
  const waiting = () => provider.parts.emergencies.reports.waiting().count;
  const sent = async () => {
    for (let turn = 0; turn < 2_000 && waiting() > 0; turn++) await new Promise((resolve) => setTimeout(resolve, 10));
    t.equal(waiting(), 0, 'the registry has the report');
  };
  t.match((await desk.ask(emergency)).json, { code: 'OK' });
  await sent();
  t.match(await owed(CLIENT), [{ emergency: first.emergency, subsystem: CLIENT, state: 'open' }]);
  t.match((await desk.ask(emergency)).json, { code: 'OK' }, 'a second time');
  t.equal(waiting(), 0, 'is no second report');
  t.match(await report(tokens.toReversed(), 'DEV/GOV/9/else'), { status: 200 }, 'anybody may hand it in');
  const listed = (await registry.call('GET', '/emergencies')).body as { items: Record<string, unknown>[] };
  t.match(listed.items, [{ emergency: first.emergency, officials: [WANG, LI], reason: first.reason, reviews: [] }]);
  t.same(
    ((listed.items[0]?.['reports'] ?? []) as { by: string }[]).map(({ by }) => by).sort(),
    [PROVIDER, 'DEV/GOV/9/else'].sort(),
  );
  t.equal(listed.items.length, 1, 'one emergency');
  t.notMatch(JSON.stringify(await owed(CLIENT)), first.reason, 'the public list names no reason');

  t.equal((await review(first.emergency, reviewBy(first))).body['code'], 'EVIDENCE_REFUSED', 'a review of the future');
  const early = reviewBy(first, { iat: Math.floor(clock.nowMs() / 1000) });
  t.match(await review(first.emergency, early), { status: 409, body: { code: 'EMERGENCY_LASTS' } });

  const untilMs = first.exp * 1000;
  const move = async (toMs: number) => {
    tick(toMs - clock.nowMs());
    desk.clock.aheadMs = clock.aheadMs;
    await real.refresh();
  };
  await move(untilMs + REVIEW_MINUTES * MINUTE - 5_000);
  t.match(await owed(CLIENT), [{ state: 'due', reviewDueAtMs: untilMs + REVIEW_MINUTES * MINUTE }]);
  t.equal(real.current().lockedFor(CLIENT), null, 'not a moment early');
  const alarms: string[] = [];
  const logger = pino({}, { write: (line: string) => void alarms.push(line) });
  const registries = ['http://127.0.0.1:1/', registry.configurationUrl];
  const reviews = openDueReviews(CONSUMER, pair.configuration, registries, http, logger);
  await reviews.look();
  t.equal(reviews.count(), 1, 'the own server knows what is owed');
  t.match(
    alarms.map((line) => JSON.parse(line)),
    [{ alarm: 'EMERGENCY_REVIEW_DUE', emergency: first.emergency, locked: false }],
  );
  const law = async (client = CLIENT) => {
    const over = { client };
    return (
      await desk.ask({ ...over, evidence: [await desk.token(over, { iss: client }, client === CLIENT ? key : key2)] })
    ).json;
  };
  t.match(await law(), { code: 'OK' });
  await move(untilMs + REVIEW_MINUTES * MINUTE + 1);
  t.equal(real.current().lockedFor(CLIENT), first.emergency);
  t.match(await law(), { code: 'REVIEW_OVERDUE' }, 'on any basis');
  await openDueReviews(CONSUMER, pair.configuration, [], http, logger).look();
  t.match(
    JSON.parse(alarms.at(-1) ?? ''),
    { alarm: 'EMERGENCY_REVIEW_DUE', locked: true },
    'a lock is seen without the registry',
  );
  t.match(await law(CLIENT2), { code: 'OK' }, 'nobody else');
  const again = await client('provider', fetchFromFolder(join(folder, 'nowhere')));
  t.equal(again.current().lockedFor(CLIENT), first.emergency, 'after a restart without the registry');
  await again.close();

  const over = Math.floor(clock.nowMs() / 1000);
  const refused: [string, string, string][] = [
    ['forged', reviewBy(first, { iat: over }, { ...stranger, kid: key.kid }), 'EVIDENCE_REFUSED'],
    ['another subsystem’s key', reviewBy(first, { iat: over }, key2), 'EVIDENCE_REFUSED'],
    ['who opened it', reviewBy(first, { iat: over, official: { ...ZHAO, id: WANG.id } }), 'EVIDENCE_REFUSED'],
    ['who confirmed it', reviewBy(first, { iat: over, official: { ...ZHAO, id: `${LI.id} ` } }), 'EVIDENCE_REFUSED'],
    ['of another emergency', reviewBy(pairOf().first, { iat: over }), 'EVIDENCE_REFUSED'],
    ['of another department', reviewBy(first, { iat: over, iss: CLIENT2 }, key2), 'EMERGENCY_UNKNOWN'],
    ['during the emergency', reviewBy(first, { iat: first.exp - 1 }), 'EMERGENCY_LASTS'],
  ];
  for (const [name, token, code] of refused) {
    const said = await review(first.emergency, token);
    t.ok(
      [code, 'EMERGENCY_UNKNOWN'].includes(String(said.body['code'])) && said.status >= 400,
      `${name}: ${said.body['code']}`,
    );
  }
  await move(clock.nowMs() + MINUTE);
  t.equal(real.current().lockedFor(CLIENT), first.emergency, 'still locked');
  const good = reviewBy(first, { iat: over, finding: 'not-justified' });
  t.match(await review(first.emergency, good), { status: 200, body: { state: 'reviewed' } });
  t.match(await review(first.emergency, good), { status: 200 }, 'again');
  await real.refresh();
  t.equal(real.current().lockedFor(CLIENT), null, 'at once, not with the next minute');
  t.match(await law(), { code: 'OK' });
  await reviews.look();
  t.equal(reviews.count(), 0);
  const after = (await registry.call('GET', '/emergencies')).body as { items: Record<string, unknown>[] };
  t.match(after.items, [{ state: 'reviewed', reviews: [{ finding: 'not-justified', official: ZHAO }] }]);
  t.equal((after.items[0]?.['reviews'] as unknown[] | undefined)?.length, 1);
});

t.test('the provider tells a registry that was away', async (t) => {
  const desk = await openDesk(t);
  desk.clock.aheadMs = clock.aheadMs;
  desk.pair.configuration.officials.set(CLIENT, [entry(key)]);
  const { tokens, first } = pairOf();
  await desk.pair.provider.close();
  const away = await desk.pair.reopen('provider', {
    registryUrls: ['http://127.0.0.1:1/', `${registry.configurationUrl}parts/`],
  });
  t.match((await desk.ask({ basis: 'emergency', evidence: tokens, userId: WANG.id })).json, { code: 'OK' });
  await away.parts.emergencies.reports.send();
  t.match(away.parts.emergencies.reports.waiting(), { count: 1 });
  t.match(await away.parts.metrics.registry.metrics(), /accord_emergency_reports_waiting 1\n/);
  await away.close();
  for (const file of ['emergency-reports.db', 'emergency-reports.db-wal']) {
    const bytes = (() => {
      try {
        return readFileSync(join(desk.pair.folder, 'provider', file));
      } catch {
        return Buffer.alloc(0);
      }
    })();
    t.notOk(bytes.includes(tokens[0]?.slice(0, 60) ?? ''), `${file} holds no token in clear`);
  }
  desk.clock.aheadMs += 20 * MINUTE;
  clock.aheadMs = desk.clock.aheadMs;
  const back = await desk.pair.reopen('provider', { registryUrls: [registry.configurationUrl] });
  await back.parts.emergencies.reports.send();
  t.match(back.parts.emergencies.reports.waiting(), { count: 0, sinceMs: null });
  t.match(await owed(CLIENT), [{ emergency: first.emergency }]);
  tick(first.exp * 1000 + MINUTE - clock.nowMs());
  await review(first.emergency, reviewBy(first, { iat: Math.floor(clock.nowMs() / 1000) }));
  t.same(await owed(CLIENT), []);
});

t.test('an id used again is owed again, and keys that ended prove what was', async (t) => {
  const one = pairOf(2 * HOUR + MINUTE);
  t.match(await report(one.tokens), { status: 200 });
  const review1 = reviewBy(one.first, { iat: Math.floor(clock.nowMs() / 1000) });
  t.match(await review(one.first.emergency, review1), { body: { state: 'reviewed' } });
  t.match(await report(one.tokens), { body: { state: 'reviewed' } }, 'the same stays reviewed');
  const reused = pairOf(MINUTE, { emergency: one.first.emergency });
  t.match(await report(reused.tokens), { body: { state: 'open' } });
  t.match(await owed(CLIENT), [{ emergency: one.first.emergency }]);

  t.equal(await setKeys(CLIENT, next), 'ok');
  await registry.publish();
  const late = pairOf(30 * MINUTE);
  t.match(await report(late.tokens), { status: 200 }, 'a report that was under way when the keys changed');
  const byOld = reviewBy(late.first, { iat: late.first.exp });
  t.equal((await review(late.first.emergency, byOld)).body['code'], 'EVIDENCE_REFUSED', 'an old key reviews nothing');
  tick(2 * HOUR + MINUTE);
  const iat = Math.floor(clock.nowMs() / 1000);
  for (const { first } of [reused, late]) {
    t.match(await review(first.emergency, reviewBy(first, { iat }, next)), { body: { state: 'reviewed' } });
  }
  t.same(await owed(CLIENT), []);
  tick(8 * 24 * HOUR);
  t.equal((await report(pairOf().tokens)).body['code'], 'EVIDENCE_REFUSED', 'a week after the key ended');
  const { first, tokens } = pairOf(MINUTE, {}, next);
  t.match(await report(tokens), { status: 200 });
  const statement = { instance: 'DEV', kind: 'key' as const, value: next.kid, atMs: clock.nowMs(), reason: 'stolen' };
  const jws = signDistrust(statement, registry.approvers[0], 'approver');
  t.equal(await admin('POST', '/configuration/distrust', { statement: jws }), 'ok');
  t.equal(await setKeys(CLIENT, next), 'REGISTRATION_KEY_REFUSED', 'a distrusted key');
  tick(3 * HOUR);
  const stolen = reviewBy(first, { iat: Math.floor(clock.nowMs() / 1000) }, next);
  t.equal((await review(first.emergency, stolen)).body['code'], 'EVIDENCE_REFUSED', 'a stolen key reviews nothing');
});

t.test('locks never go back', async (t) => {
  await registry.publish();
  const copy = mkdtempSync(join(tmpdir(), 'accord-locks-'));
  t.teardown(() => rmSync(copy, { recursive: true, force: true }));
  const published = registry.publishedFolder;
  const alarms: string[] = [];
  const holder = await client('rollback', fetchFromFolder(published), alarms);
  t.teardown(() => holder.close());
  copyFileSync(join(published, 'freshness.jws'), join(copy, 'freshness.jws'));
  tick(3 * HOUR);
  await holder.refresh();
  t.type(holder.current().lockedFor(CLIENT), 'string', 'overdue by now');
  const newest = readFileSync(join(published, 'freshness.jws'));
  writeFileSync(join(published, 'freshness.jws'), readFileSync(join(copy, 'freshness.jws')));
  t.match(await holder.refresh(), { outcome: 'failed', code: 'CONFIGURATION_ROLLBACK' });
  t.same(alarms, ['CONFIGURATION_ROLLBACK']);
  t.type(holder.current().lockedFor(CLIENT), 'string', 'still locked');
  writeFileSync(join(published, 'freshness.jws'), newest);
  t.match(await holder.refresh(), { outcome: 'unchanged' });
});

t.test('one address may ask so often, and the others are still heard', async (t) => {
  tick(2 * MINUTE);
  const codes = new Map<unknown, number>();
  for (let at = 0; at <= MAX_EMERGENCY_POSTS_PER_ADDRESS; at++) {
    const { code } = (await report(['a.b.c', 'a.b.d'])).body;
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  t.same(Object.fromEntries(codes as Map<string, number>), {
    EVIDENCE_REFUSED: MAX_EMERGENCY_POSTS_PER_ADDRESS,
    SERVER_BUSY: 1,
  });
  tick(MINUTE);
  t.equal((await report(['a.b.c', 'a.b.d'])).body['code'], 'EVIDENCE_REFUSED');
});
