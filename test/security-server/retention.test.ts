// Retention classes, holds, and destruction by two persons, at two real servers over their admin APIs.
import { createHash, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { leafHash } from '#certs/merkle.ts';
import { coversEntry, readCertificate, verifyCertificate } from '#core/retention/certificate.ts';
import { encodeLogEntry } from '#schemas/log-entry.ts';
import { ADMIN_KEY, AUDITOR_KEY, accessRight, CLIENT, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { foldersOf } from '#security-server/data-folder.ts';
import { DAY_MS, FANG, HOUR_MS, LEI, law, lookup, openWorld } from './access-world.ts';
import { auditBoth, entries } from './asking.ts';
import { CARRIER, whoLooked } from './citizen.ts';
import { rawFiles, sealedRows, wrappedKeys } from './raw-files.ts';

t.setTimeout(120_000);
/** A second key of the same person, and one of another administrator. */
const SAME_KEY = 'test-administrator-key-same-00';
const OTHER_KEY = 'test-administrator-key-other-0';
const hashOf = (key: string) => createHash('sha256').update(key).digest('base64url');
const ADMIN_KEYS = [
  { hash: hashOf(ADMIN_KEY), role: 'administrator' as const, name: 'Zhao' },
  { hash: hashOf(SAME_KEY), role: 'administrator' as const, name: ' ZHAO ' },
  { hash: hashOf(OTHER_KEY), role: 'administrator' as const, name: 'Qian' },
  { hash: hashOf(AUDITOR_KEY), role: 'auditor' as const, name: 'Sun' },
];
const SHORT = { name: 'short', title: 'Short', days: 2, legalBasis: 'Archives Act § 9', automatic: false };
const BY_CLASS = { throughDay: null, exchanges: null, peer: null, legalBasis: null, reason: 'it is due' };

// biome-ignore lint/suspicious/noExplicitAny: what an admin API answers
type Json = Record<string, any>;

async function call(pair: Pair, method: string, path: string, body?: unknown, key = ADMIN_KEY, at = pair.provider) {
  const answer = await fetch(`${at.urls.admin}/retention${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  const json = (text === '' ? {} : JSON.parse(text)) as Json;
  return { status: answer.status, code: json['code'] as string | undefined, json };
}

async function makeClass(t: Test, pair: Pair, one: object, at = pair.provider) {
  t.match(await call(pair, 'PUT', '/classes', one, ADMIN_KEY, at), { status: 202 });
  const { name } = one as { name: string };
  t.match(await call(pair, 'POST', `/classes/${name}/approve`, one, AUDITOR_KEY, at), { status: 200 });
}

async function openRetentionWorld(t: Test, secrecyDays: number | null = null) {
  const world = await openWorld(t, secrecyDays);
  const { pair } = world;
  await pair.provider.close(0);
  await pair.reopen('provider', { adminKeys: ADMIN_KEYS });
  await pair.consumer.close(0);
  await pair.reopen('consumer', { adminKeys: ADMIN_KEYS });
  pair.configuration.register(pair.consumer.id, pair.consumer.urls.peer, [CLIENT, CARRIER], pair.identities.consumer);
  return world;
}

/** The provider's class for everything that CLIENT asks. */
function giveClass(pair: Pair, retention: string): void {
  const right = pair.provider.parts.state.rights().find(({ bases }) => bases.includes('open'));
  pair.provider.parts.state.putRight(accessRight({ ...right, retention }));
}

t.test('classes: two persons, both sides, unknown ones', async (t) => {
  const { pair } = await openRetentionWorld(t);
  t.match((await call(pair, 'GET', '/classes')).json['items'], [{ name: 'standard', days: 3_653, automatic: false }]);
  t.match(await call(pair, 'PUT', '/classes', SHORT, AUDITOR_KEY), { code: 'ROLE_NOT_ALLOWED' });
  t.match(await call(pair, 'PUT', '/classes', { ...SHORT, days: 0 }), { code: 'SCHEMA_MISMATCH' });
  t.match(await call(pair, 'POST', '/classes/short/approve', SHORT, OTHER_KEY), {
    code: 'RETENTION_CHANGE_UNKNOWN',
  });
  t.match(await call(pair, 'PUT', '/classes', SHORT), { status: 202 });
  t.match((await call(pair, 'GET', '/classes')).json['changes'], [{ class: SHORT, requested: { name: 'Zhao' } }]);
  for (const key of [ADMIN_KEY, SAME_KEY]) {
    t.match(await call(pair, 'POST', '/classes/short/approve', SHORT, key), { status: 409, code: 'SAME_PERSON' });
  }
  const grant = (retention: string) => {
    const { id: _id, pins: _pins, ...right } = accessRight({ elements: ['gx.name@1'], retention });
    return fetch(`${pair.provider.urls.admin}/access-rights`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify(right),
    }).then(async (answer) => (await answer.json()) as Json);
  };
  t.match(await grant('short'), { code: 'RETENTION_CLASS_UNKNOWN' });
  const shorter = { ...SHORT, days: SHORT.days + 1 };
  t.match(await call(pair, 'POST', '/classes/short/approve', shorter, OTHER_KEY), { code: 'RETENTION_CHANGE_UNKNOWN' });
  for (const seen of [undefined, null, { days: 1 }]) {
    t.match(await call(pair, 'POST', '/classes/short/approve', seen, OTHER_KEY), {
      status: 400,
      code: 'SCHEMA_MISMATCH',
    });
  }
  t.match(await call(pair, 'POST', '/classes/short/approve', SHORT, OTHER_KEY), { json: SHORT });
  const granted = await grant('short');
  t.match(granted, { retention: 'short' });
  pair.provider.parts.state.removeRight(granted['id'] as string);

  const before = await lookup(pair, FANG);
  t.same(
    new Set(
      [...entries(pair.provider, before.json.id), ...entries(pair.consumer, before.json.id)].map((e) => e.retention),
    ),
    new Set(['standard']),
  );
  giveClass(pair, 'short');
  const consumer = pair.consumer;
  const rule = { client: CLIENT, service: null, retention: 'short' };
  t.match(await call(pair, 'PUT', '/rules', rule, ADMIN_KEY, consumer), { code: 'RETENTION_CLASS_UNKNOWN' });
  const { json } = await lookup(pair, FANG);
  t.same(
    entries(pair.provider, json.id).map(({ kind, retention }) => [kind, retention]),
    [
      ['response-sent', 'short'],
      ['request-received', 'short'],
    ],
  );
  t.same(
    entries(pair.consumer, json.id).map(({ retention }) => retention),
    ['standard', 'standard'],
  );
  await makeClass(t, pair, SHORT, consumer);
  await makeClass(t, pair, { ...SHORT, name: 'long', days: 900 }, consumer);
  t.match(await call(pair, 'PUT', '/rules', rule, ADMIN_KEY, consumer), { status: 200 });
  t.match(await call(pair, 'PUT', '/rules', { ...rule, service: SERVICE, retention: 'long' }, ADMIN_KEY, consumer), {
    status: 200,
  });
  const second = await lookup(pair, FANG);
  t.same(
    entries(pair.consumer, second.json.id).map(({ retention }) => retention),
    ['long', 'long'],
  );
  t.match(await call(pair, 'PUT', '/rules', { ...rule, service: SERVICE, retention: null }, ADMIN_KEY, consumer), {
    status: 200,
  });
  await pair.consumer.close(0);
  await pair.reopen('consumer', { adminKeys: ADMIN_KEYS });
  const third = await lookup(pair, FANG);
  t.same(
    entries(pair.consumer, third.json.id).map(({ retention }) => retention),
    ['short', 'short'],
    'the rule outlives a restart',
  );
  await auditBoth(t, pair);
});

t.test('what is due: plan, request, approval, certificate; nothing of the keys is left on the disk', async (t) => {
  const { pair, clock } = await openRetentionWorld(t);
  const { log } = pair.provider.parts;
  await makeClass(t, pair, SHORT);
  const standard = await lookup(pair, FANG);
  giveClass(pair, 'short');
  const short = [await lookup(pair, FANG), await lookup(pair, LEI)];
  t.match((await call(pair, 'GET', '/plan')).json, { due: [], held: [], kept: [], blocked: [], undefined: [] });
  t.match(await call(pair, 'POST', '/destructions', { ...BY_CLASS, retention: 'short' }), {
    code: 'DESTRUCTION_NOT_DUE',
  });
  t.match(await call(pair, 'POST', '/destructions', { ...BY_CLASS, retention: 'none' }), {
    code: 'RETENTION_CLASS_UNKNOWN',
  });
  const day = Math.floor(clock.nowMs() / DAY_MS);
  clock.aheadMs += 3 * DAY_MS;
  const young = await lookup(pair, FANG);
  const { due } = (await call(pair, 'GET', '/plan')).json;
  t.match(due, [{ retention: 'short', firstDay: day, lastDay: day, keys: 4, overdueDays: 0, automatic: false }]);
  t.match(await call(pair, 'POST', '/destructions', { ...BY_CLASS, retention: 'short' }, AUDITOR_KEY), {
    code: 'ROLE_NOT_ALLOWED',
  });
  const asked = await call(pair, 'POST', '/destructions', { ...BY_CLASS, retention: 'short' });
  t.match(asked, { status: 201, json: { state: 'waiting', legalBasis: SHORT.legalBasis, certificate: null } });
  const path = `/destructions/${asked.json['id']}`;
  const folder = join(pair.folder, 'provider');
  const keys = wrappedKeys(folder, 'short');
  t.ok(keys.length >= 3 && keys.every((key) => rawFiles(folder).includes(key)), 'before, the keys are there');
  for (const key of [ADMIN_KEY, SAME_KEY])
    t.match(await call(pair, 'POST', `${path}/approve`, undefined, key), { code: 'SAME_PERSON' });
  const done = await call(pair, 'POST', `${path}/approve`, undefined, AUDITOR_KEY);
  t.match(done, {
    status: 200,
    json: { state: 'done', requested: { name: 'Zhao' }, approved: { name: 'Sun', role: 'auditor' } },
  });
  t.match(done.json['days'], [{ retention: 'short', firstDay: day, lastDay: day, keys: 4, records: 4 }]);
  t.match(await call(pair, 'POST', `${path}/approve`, undefined, OTHER_KEY), { code: 'DESTRUCTION_CLOSED' });
  t.match(await call(pair, 'DELETE', path), { code: 'DESTRUCTION_CLOSED' });

  const raw = rawFiles(folder);
  const ofDay = keys.slice(0, 1); // of the younger day another group and day key are there, and stay
  t.equal(keys.filter((key) => raw.includes(key)).length, 2, 'group and day key of the younger day only');
  t.equal(ofDay.length, 1);
  const jws = done.json['certificate'] as string;
  const [der] = pair.configuration.entries.get(pair.provider.id)?.signingCertificates ?? [];
  const { publicKey } = new X509Certificate(der!.der);
  const certificate = verifyCertificate(jws, publicKey);
  t.equal(readCertificate(jws).certificateHash, der!.hash);
  t.match(certificate, {
    server: pair.provider.id,
    origin: log.origin,
    days: done.json['days'],
    except: [],
    records: [],
  });
  const covered = (id: string) =>
    entries(pair.provider, id).map((entry) =>
      coversEntry(certificate, log.origin, entry, leafHash(encodeLogEntry(entry))),
    );
  const opened = (id: string) => log.find(null, id).map(({ seq }) => log.readSealed(seq) !== null);
  for (const { json } of short)
    t.same(
      [covered(json.id), opened(json.id)],
      [
        [true, true],
        [false, false],
      ],
    );
  for (const { json } of [standard, young])
    t.same(
      [covered(json.id), opened(json.id)],
      [
        [false, false],
        [true, true],
      ],
    );
  const shown = await whoLooked(pair, clock, FANG);
  t.same(
    shown.accesses.map(({ exchange }) => exchange),
    [young.json.id, standard.json.id],
    'the row went with the record',
  );
  t.match((await call(pair, 'GET', '/plan')).json, { due: [] });
  await auditBoth(t, pair);
});

t.test('holds: what they keep, and two persons to lift them', async (t) => {
  const { pair, clock } = await openRetentionWorld(t);
  const { log } = pair.provider.parts;
  await makeClass(t, pair, SHORT);
  giveClass(pair, 'short');
  const [fang, lei, other] = [await lookup(pair, FANG), await lookup(pair, LEI), await lookup(pair, 'nobody')].map(
    ({ json }) => json.id,
  );
  const order = { legalBasis: 'Court of Haikou 2026/17', reason: 'an appeal is pending' };
  const place = (scope: object, key = AUDITOR_KEY) => call(pair, 'POST', '/holds', { ...order, scope }, key);
  const day = Math.floor(clock.nowMs() / DAY_MS);
  t.match(await place({ kind: 'class', retention: 'none' }), { code: 'RETENTION_CLASS_UNKNOWN' });
  t.match(await place({ kind: 'period', firstDay: 2, lastDay: 1 }), { code: 'SCHEMA_MISMATCH' });
  const period = await place({ kind: 'period', firstDay: day, lastDay: day + 1 });
  const ofClass = await place({ kind: 'class', retention: 'short' });
  const subject = await place({ kind: 'subject', scheme: 'gx.id@1', value: FANG });
  const exchange = await place({ kind: 'exchanges', ids: [lei] });
  t.match(subject, { status: 201, json: { scope: { kind: 'subject' } } });
  const holds = (await call(pair, 'GET', '/holds')).json['items'];
  t.equal(holds.length, 4);
  t.notOk(JSON.stringify(holds).includes(FANG), 'the person is not named');
  clock.aheadMs += 3 * DAY_MS;
  t.match((await call(pair, 'GET', '/plan')).json, { due: [], held: [{ retention: 'short', firstDay: day, keys: 2 }] });
  t.match(await call(pair, 'POST', '/destructions', { ...BY_CLASS, retention: 'short' }), {
    code: 'DESTRUCTION_NOT_DUE',
  });
  const single = { ...BY_CLASS, retention: null, legalBasis: 'order 5', exchanges: [lei] };
  t.match(await call(pair, 'POST', '/destructions', single), {
    code: 'DESTRUCTION_HELD',
    json: { detail: new RegExp(exchange.json['hold']) },
  });
  const lift = (hold: Json, key: string, reason: string | null = 'over') =>
    call(pair, 'POST', `/holds/${hold['hold']}/lift`, { reason }, key);
  t.match(await lift(period.json, ADMIN_KEY, null), { code: 'SCHEMA_MISMATCH' });
  t.match(await lift(period.json, ADMIN_KEY), { json: { lifted: false } });
  t.match(await lift(period.json, SAME_KEY), { code: 'SAME_PERSON' });
  t.match((await call(pair, 'GET', '/holds')).json['items'], [{}, {}, {}, {}]);
  t.match(await lift(period.json, AUDITOR_KEY), { json: { lifted: true } });
  t.match(await lift(period.json, AUDITOR_KEY), { code: 'HOLD_UNKNOWN' });
  await lift(ofClass.json, AUDITOR_KEY);
  t.match(await lift(ofClass.json, OTHER_KEY), { json: { lifted: true } });
  const plan = (await call(pair, 'GET', '/plan')).json;
  t.match(plan, { due: [{ firstDay: day, keys: 2 }], held: [] });
  t.same(
    new Map(plan['kept'].map((one: Json) => [one['hold'], one['records']])),
    new Map([
      [subject.json['hold'], 2],
      [exchange.json['hold'], 2],
    ]),
  );
  const asked = await call(pair, 'POST', '/destructions', { ...BY_CLASS, retention: 'short' });
  const path = `/destructions/${asked.json['id']}/approve`;
  // Placed after the request: what is held when it is approved counts.
  const late = await place({ kind: 'exchanges', ids: [other] });
  t.match(await call(pair, 'POST', path, undefined, AUDITOR_KEY), { code: 'DESTRUCTION_NOT_DUE' });
  await lift(late.json, ADMIN_KEY);
  await lift(late.json, AUDITOR_KEY);

  // The store of holds is lost: the log knows them, but not whom the one on a person is about.
  const options = { adminKeys: ADMIN_KEYS };
  const forget = (sql: string) => {
    const db = new Database(foldersOf(join(pair.folder, 'provider')).retention);
    const kept = db.prepare("SELECT * FROM document WHERE kind = 'subject'").all() as { id: string; json: string }[];
    db.exec(sql);
    db.close();
    return kept;
  };
  await pair.provider.close(0);
  const [kept] = forget("DELETE FROM document WHERE kind NOT IN ('class', 'request')");
  await pair.reopen('provider', options);
  t.match(await call(pair, 'POST', path, undefined, AUDITOR_KEY), {
    code: 'DESTRUCTION_HELD',
    json: { detail: /is lost/ },
  });
  t.match((await call(pair, 'GET', '/holds')).json['items'], [{}, {}], 'two of them were lifted');
  await pair.provider.close(0);
  forget(`INSERT INTO document VALUES ('subject', '${kept!.id}', '${kept!.json}')`);
  await pair.reopen('provider', options);

  const folder = join(pair.folder, 'provider');
  const keys = wrappedKeys(folder, 'short');
  const sealed = sealedRows(folder);
  const done = await call(pair, 'POST', path, undefined, AUDITOR_KEY);
  t.match(done, { json: { state: 'done', days: [{ keys: 2, records: 2 }], except: [{ origin: log.origin }] } });
  const raw = rawFiles(folder);
  t.equal(keys.filter((key) => raw.includes(key)).length, 0, 'what is held goes over to a fresh key of its day');
  t.equal(sealed.filter((row) => raw.includes(row)).length, 2, 'two of three rows of who looked');
  const now = pair.provider.parts.log;
  const opened = (id: string | undefined) => now.find(null, id ?? '').map(({ seq }) => now.readSealed(seq) !== null);
  t.same([fang, lei, other].map(opened), [
    [true, true],
    [true, true],
    [false, false],
  ]);
  t.same(
    done.json['except'][0].seqs,
    [fang, lei].flatMap((id) => now.find(null, id ?? '').map(({ seq }) => seq)).sort((a, b) => a - b),
  );
  t.match((await call(pair, 'GET', '/plan')).json, { due: [] }, 'what is held is not due');
  t.equal((await whoLooked(pair, clock, FANG)).accesses.at(-1)?.exchange, fang, 'nor is its row gone');
  await auditBoth(t, pair);

  // A single exchange, when its hold is over.
  await lift(exchange.json, AUDITOR_KEY);
  await lift(exchange.json, ADMIN_KEY);
  const court = await call(pair, 'POST', '/destructions', single);
  const ended = await call(pair, 'POST', `/destructions/${court.json['id']}/approve`, undefined, OTHER_KEY);
  t.match(ended, { json: { state: 'done', days: [], records: 2, legalBasis: 'order 5' } });
  t.same([fang, lei].map(opened), [
    [true, true],
    [false, false],
  ]);
  await auditBoth(t, pair);
});

t.test('automatic classes, rows that the law hides, and the alarm', async (t) => {
  const { pair, clock } = await openRetentionWorld(t, 10);
  await makeClass(t, pair, { ...SHORT, automatic: true });
  const { retention, state, accesses } = pair.provider.parts;
  for (const right of state.rights()) state.putRight({ ...right, retention: 'short' });
  const { json } = await lookup(pair, FANG);
  const hiddenUntil = new Date(clock.nowMs() + 6 * DAY_MS).toISOString().slice(0, 10);
  const hidden = await lookup(pair, FANG, { ...law, hiddenUntil });
  t.equal(hidden.json.code, 'OK');
  const rows = () => accesses.between(0, clock.nowMs(), { atMs: -1, row: 0 }, 10).map(({ exchange }) => exchange);
  clock.aheadMs += 3 * DAY_MS;
  t.same(rows(), [json.id, hidden.json.id]);
  await retention.tick();
  t.same(rows(), [hidden.json.id], 'what the citizen has not been shown yet stays until it was');
  t.match(retention.destructions(), [
    {
      state: 'done',
      request: null,
      intent: { note: { rule: 'short', requested: { name: 'Zhao' }, approved: { name: 'Sun' } } },
    },
  ]);
  const { log } = pair.provider.parts;
  t.same(
    log.find(null, json.id).map(({ seq }) => log.readSealed(seq)),
    [null, null],
  );
  clock.aheadMs += 2 * HOUR_MS;
  await retention.tick();
  t.equal(retention.destructions().length, 1, 'nothing more is due');
  await makeClass(t, pair, SHORT);
  await lookup(pair, FANG);
  clock.aheadMs += 12 * DAY_MS;
  await retention.tick();
  t.equal(retention.overdueDays(), 9);
  const metrics = await (await fetch(`${pair.provider.urls.health}/metrics`)).text();
  t.match(metrics, /accord_retention_overdue_days 9/);
  clock.aheadMs += 30 * DAY_MS;
  await retention.tick();
  t.notOk(rows().includes(hidden.json.id), 'shown for a month, it goes');
  await auditBoth(t, pair);
});
