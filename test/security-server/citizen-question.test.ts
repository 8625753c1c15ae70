import t from 'tap';
import { newMessageId } from '#core/message-id.ts';
import { ACCESSES_PATH, CITIZEN_DOUBTS_PATH } from '#schemas/accesses.ts';
import { MAX_QUESTIONS_PER_HOUR } from '#schemas/limits.ts';
import { ADMIN_KEY, CLIENT, SERVICE } from '#scripts/campaign/pair.ts';
import { testKey } from '#test/certs/receipt-cases.ts';
import { FANG, HOUR_MS, LEI, lookup, openWorld } from './access-world.ts';
import { auditBoth } from './asking.ts';
import { accessesQuestion, CARRIER, carry, doubtQuestion, idTokenFor, nonceOf, report, whoLooked } from './citizen.ts';

t.setTimeout(120_000);

t.test('whatever is wrong with a question, it is refused alike', async (t) => {
  const { pair, clock } = await openWorld(t);
  await lookup(pair, FANG);
  const nowMs = () => clock.nowMs();
  const send = (question: object, idToken: string, over = {}) =>
    carry(pair, ACCESSES_PATH, { question, idToken }, over);
  const asking = (questionOver: object, claims: object = {}, over: object = {}) => {
    const question = accessesQuestion(clock, questionOver);
    return send(question, idTokenFor(FANG, nonceOf(question), nowMs(), claims), over);
  };
  const stranger = testKey();
  const told = new Set<string>();
  const cases: [string, () => ReturnType<typeof send>][] = [
    ['another asker', () => asking({ asker: 'DEV/GOV/9000/other' })],
    ['a department that is no consent service', () => asking({ asker: CLIENT }, {}, { client: CLIENT })],
    ['a department with the question of a consent service', () => asking({}, {}, { client: CLIENT })],
    ['too old', () => asking({ atMs: nowMs() - 5 * 60_000 - 2_000 })],
    ['not yet', () => asking({ atMs: nowMs() + 5 * 60_000 + 2_000 })],
    ['another issuer', () => asking({}, { iss: 'https://other.example' })],
    ['no issuer', () => asking({}, { iss: undefined })],
    ['for another service', () => asking({}, { aud: 'another' })],
    ['for two services', () => asking({}, { aud: ['accord-consent', 'another'] })],
    ['expired', () => asking({}, { exp: Math.floor(nowMs() / 1000) - 60 })],
    ['made long ago', () => asking({}, { iat: Math.floor(nowMs() / 1000) - 3_600 })],
    ['another nonce', () => asking({}, { nonce: nonceOf(accessesQuestion(clock)) })],
    ['no nonce', () => asking({}, { nonce: undefined })],
    ['a class that is not listed', () => asking({}, { acr: 'tin' })],
    ['no class', () => asking({}, { acr: undefined })],
    ['no identifier', () => asking({}, { resident_id: undefined })],
    ['an identifier that is none', () => asking({}, { resident_id: 7 })],
    ['an empty identifier', () => asking({}, { resident_id: '' })],
    [
      'signed by somebody else',
      () => {
        const question = accessesQuestion(clock);
        return send(question, idTokenFor(FANG, nonceOf(question), nowMs(), {}, stranger.privateKey));
      },
    ],
    ['no token', () => send(accessesQuestion(clock), 'e30.e30.e30')],
    ['no form of a token', () => send(accessesQuestion(clock), 'x')],
    ...(['random', 'fromMs', 'untilMs', 'atMs'] as const).map((member): (typeof cases)[number] => [
      `${member} changed after the token was made`,
      () => {
        const question = accessesQuestion(clock, { fromMs: 1_000 });
        const idToken = idTokenFor(FANG, nonceOf(question), nowMs());
        const changed = { ...question, [member]: member === 'random' ? nonceOf(question) : question[member] - 1 };
        return send(changed, idToken);
      },
    ]),
    [
      'of a doubt',
      () => {
        const question = doubtQuestion(clock, newMessageId(nowMs()));
        return send(accessesQuestion(clock), idTokenFor(FANG, nonceOf(question), nowMs()));
      },
    ],
  ];
  for (const [name, ask] of cases) {
    const { json } = await ask();
    t.equal(json.code, 'QUESTION_REFUSED', name);
    told.add(JSON.stringify([json.outcome, json['detail'] ?? '', json['status']]));
  }
  t.equal(told.size, 1, 'and nothing says why');
  const forms: [string, object, string][] = [
    ['another kind', { kind: 'other' }, 'SCHEMA_MISMATCH'],
    ['another version', { v: 2 }, 'SCHEMA_MISMATCH'],
    ['something more', { more: 1 }, 'SCHEMA_MISMATCH'],
  ];
  for (const [name, over, code] of forms) t.equal((await asking(over)).json.code, code, name);
  t.equal(
    (await asking({ v: 2 }, {}, { client: CLIENT })).json.code,
    'QUESTION_REFUSED',
    'a department learns no form',
  );

  const question = accessesQuestion(clock);
  const idToken = idTokenFor(FANG, nonceOf(question), nowMs());
  const twice = await Promise.all([send(question, idToken), send(question, idToken)]);
  t.same(twice.map(({ json }) => json.code).sort(), ['OK', 'QUESTION_REFUSED'], 'good once');
  const again = idTokenFor(FANG, nonceOf(question), nowMs(), { sub: 'another' });
  t.equal((await send(question, again)).json.code, 'QUESTION_REFUSED', 'also with a fresh token');
  await pair.provider.close(500);
  await pair.reopen('provider');
  t.equal((await send(question, idToken)).json.code, 'QUESTION_REFUSED', 'also after a restart');
  const { accesses } = await whoLooked(pair, clock, FANG);
  t.same(
    accesses.map((one) => one.isOwn),
    [true, false],
    'what was refused was nobody’s question',
  );
  pair.configuration.identityProviders = [];
  t.equal((await asking({})).json.code, 'QUESTION_REFUSED', 'an identity provider that is registered no more');
  await auditBoth(t, pair);
});

t.test('a session that was stolen cannot grind', async (t) => {
  const { pair, clock } = await openWorld(t);
  const ask = (person: string) =>
    whoLooked(pair, clock, person).then(
      () => 'OK',
      (error: Error) => error.message.trim(),
    );
  const { accesses, subjectTag } = pair.provider.parts;
  const tag = subjectTag({ scheme: 'gx.id@1', value: FANG });
  for (let n = 0; n < MAX_QUESTIONS_PER_HOUR - 3; n += 1) {
    accesses.take({ provider: 'DEV/GOV/2002/provider', nonce: `${n}`, tag, atMs: clock.nowMs() });
  }
  t.equal(await ask(FANG), 'OK');
  const last = await Promise.all([ask(FANG), ask(FANG), ask(FANG), ask(FANG)]);
  t.same(last.toSorted(), ['OK', 'OK', 'QUESTION_LIMIT', 'QUESTION_LIMIT'], 'also side by side');
  t.equal(await ask(LEI), 'OK', 'each citizen for themselves');
  clock.aheadMs += HOUR_MS + 1_000;
  t.equal(await ask(FANG), 'OK', 'an hour later');
});

t.test('a citizen reports an error, and the department answers', async (t) => {
  const { pair, clock } = await openWorld(t);
  const given = await lookup(pair, FANG, { fields: ['/name', '/birthDate'] });
  const states = async (person = FANG) => {
    const { json } = await lookup(pair, person, { fields: ['/name', '/birthDate'] });
    const { elements } = json['release'] as { elements: { path: string; state: string }[] };
    return Object.fromEntries(elements.map(({ path, state }) => [path, state]));
  };
  const admin = async (method: string, path: string, body?: object) => {
    const headers = { authorization: `Bearer ${ADMIN_KEY}`, ...(body && { 'content-type': 'application/json' }) };
    const url = `${pair.provider.urls.admin}${path}`;
    const answer = await fetch(url, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
  };
  const other = await lookup(pair, LEI);
  const refused = await lookup(pair, FANG, { fields: ['gx.income@1'] });
  const own = await whoLooked(pair, clock, FANG);
  const rows: [string, string, object, string][] = [
    ['an exchange about somebody else', other.json.id, {}, 'DOUBT_WITHOUT_EXCHANGE'],
    ['an exchange that never was', newMessageId(clock.nowMs()), {}, 'DOUBT_WITHOUT_EXCHANGE'],
    ['an exchange that was refused', refused.json.id, { element: 'gx.income@1' }, 'DOUBT_WITHOUT_EXCHANGE'],
    ['the own question', own.id, {}, 'DOUBT_WITHOUT_EXCHANGE'],
    ['an element that was not released', given.json.id, { element: 'gx.income@1' }, 'DOUBT_WITHOUT_EXCHANGE'],
    ['another place', given.json.id, { path: '/birthDate' }, 'DOUBT_WITHOUT_EXCHANGE'],
    ['at another service', given.json.id, { service: `${SERVICE}2` }, 'DOUBT_WITHOUT_EXCHANGE'],
    ['another asker', given.json.id, { asker: CLIENT }, 'QUESTION_REFUSED'],
    ['too old', given.json.id, { atMs: clock.nowMs() - 301_000 }, 'QUESTION_REFUSED'],
    ['a long note', given.json.id, { note: 'x'.repeat(2_001) }, 'SCHEMA_MISMATCH'],
  ];
  for (const [name, exchange, over, code] of rows) {
    t.equal((await report(pair, clock, FANG, exchange, over)).json.code, code, name);
  }
  const question = doubtQuestion(clock, given.json.id);
  const body = { question, idToken: idTokenFor(FANG, nonceOf(question), clock.nowMs()) };
  for (const [name, each] of [
    ['another value', { ...body, question: { ...question, proposed: 'x' } }],
    [
      'a token for another question',
      { ...body, idToken: idTokenFor(FANG, nonceOf(accessesQuestion(clock)), clock.nowMs()) },
    ],
    [
      'a token of somebody else: not theirs to doubt',
      { ...body, idToken: idTokenFor(LEI, nonceOf(question), clock.nowMs()) },
    ],
  ] as const) {
    const { json } = await carry(pair, CITIZEN_DOUBTS_PATH, each);
    t.match(json.code, /^(QUESTION_REFUSED|DOUBT_WITHOUT_EXCHANGE)$/, name);
  }
  t.same(await states(), { '/name': 'present', '/birthDate': 'present' }, 'nothing was marked');
  t.equal(pair.provider.parts.doubts.open(), 0);

  const first = await report(pair, clock, FANG, given.json.id);
  t.match(first.json, { outcome: 'ok', status: 201, body: { state: 'open', element: 'gx.name@1', note: null } });
  const { id } = first.json['body'] as { id: string };
  const again = await report(pair, clock, FANG, given.json.id, { note: 'still' });
  t.match(again.json, { status: 200, body: { id, state: 'open' } }, 'the same doubt is one doubt');
  t.same(await states(), { '/name': 'underInvestigation', '/birthDate': 'present' });
  t.same(await states(LEI), { '/name': 'present', '/birthDate': 'present' });
  const seen = await whoLooked(pair, clock, FANG);
  t.match(seen.doubts, [{ id, state: 'open', exchange: given.json.id }]);
  t.equal(seen.doubts.length, 1);
  t.match(
    seen.accesses.find(({ items }) => items.includes('gx.birth_date@1')),
    { items: ['gx.birth_date@1', 'gx.name@1'] },
  );
  t.match(
    seen.accesses.find(({ exchange }) => exchange === first.json.id),
    { isOwn: true, asked: ['gx.name@1'], items: [] },
  );
  t.same((await whoLooked(pair, clock, LEI)).doubts, []);
  const listed = (await admin('GET', '/doubts?state=open')).json['items'] as object[];
  const about = { subject: { value: FANG }, doubted: null, proposed: '王芳芳' };
  t.match(listed, [{ id, reporter: 'citizen', client: CARRIER, about, words: [{ note: 'misspelt' }] }]);
  const shown = await fetch(`${pair.consumer.urls.loopback}/doubts/${id}?client=${CARRIER}&service=${SERVICE}`);
  t.match(await shown.json(), { code: 'DOUBT_UNKNOWN' }, 'the consent service alone learns nothing of it');
  const told = 'Which name?';
  await admin('POST', `/doubts/${id}/answer`, { state: 'needs-info', note: told });
  t.match((await whoLooked(pair, clock, FANG)).doubts, [{ id, state: 'needs-info', note: told }]);
  const more = await report(pair, clock, FANG, given.json.id, { note: 'that of my passport' });
  t.match(more.json, { body: { id, state: 'open', note: told } });
  t.equal((await admin('POST', `/doubts/${id}/answer`, { state: 'rejected', note: 'It stands.' })).status, 200);
  t.match((await whoLooked(pair, clock, FANG)).doubts, [{ id, state: 'rejected', note: 'It stands.' }]);
  t.same((await states())['/name'], 'present');
  await auditBoth(t, pair);
});
