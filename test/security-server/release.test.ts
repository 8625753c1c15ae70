// A bound service over real servers and sockets: what is asked is what leaves, on the provider's side and again on the
// consumer's, and what is refused names the fields it was refused for.
import t, { type Test } from 'tap';
import { HeldConfiguration } from '#scripts/campaign/held-configuration.ts';
import { accessRight, CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { auditBoth, entries, kinds, post } from './asking.ts';
import { DOCUMENT, ENTRIES, tableOf } from './bound-service.ts';
import { MovingClock } from './moving-clock.ts';

const ALL = ['gx.name@1', 'gx.birth_date@1', 'gx.income@1', 'gx.currency@1', 'gx.pred.age_ge_18@1'];
const RECORD = {
  name: '王芳',
  birthDate: '1990-02-03',
  secret: 'never bound',
  years: [
    { income: 90_000, currency: 'CNY', assessed: '2026-03-01', note: 'of the office' },
    { income: 88_000, currency: 'CNY', assessed: '2020-03-01', note: 'of the office' },
  ],
};

function bind(configuration: HeldConfiguration, table = tableOf()): void {
  configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  configuration.bind(table);
}

async function openBound(t: Test, elements: string[] | null = ALL): Promise<Pair> {
  const pair = await openPair({ right: accessRight({ elements }) });
  t.teardown(() => pair.close());
  bind(pair.configuration);
  pair.backend.answer = (_request, _body, response) => {
    response.setHeader('content-type', 'application/json');
    response.setHeader('x-internal', RECORD.birthDate);
    response.setHeader('cache-control', 'no-store');
    response.end(JSON.stringify(RECORD));
  };
  return pair;
}

const ask = (pair: Pair, over: object) =>
  post(pair, '/lookups', { client: CLIENT, service: SERVICE, path: '/residents/7', ...over });

t.test('what leaves is what was asked for', async (t) => {
  const pair = await openBound(t);
  const one = await ask(pair, { fields: ['/name'] });
  t.match(one, { status: 200, json: { outcome: 'ok' } });
  t.same(one.json['body'], { name: '王芳', years: [{ assessed: '2026-03-01' }, { assessed: '2020-03-01' }] });
  t.same(one.json['headers'], { 'content-type': 'application/json', 'cache-control': 'no-store' });
  const sent = pair.backend.seen.at(-1)?.headers ?? [];
  t.equal(sent[sent.indexOf('accord-fields') + 1], '/name', 'the backend may minimise at source');

  const amounts = await ask(pair, { fields: ['gx.income'] });
  t.same(
    (amounts.json['body'] as typeof RECORD).years.map(({ income, currency }) => [income, currency]),
    [
      [90_000, 'CNY'],
      [88_000, 'CNY'],
    ],
    'an atomic group comes whole, through the list',
  );
  const release = amounts.json['release'] as { elements: { path: string }[] };
  t.match(
    release.elements.find(({ path }) => path === '/years/income'),
    {
      element: 'gx.income@1',
      source: 'DEV/GOV/2002',
      asOf: '2020-03-01',
      state: 'present',
      stale: true,
    },
  );

  const adult = await ask(pair, { fields: ['gx.pred.age_ge_18@1'] });
  t.match(adult.json['release'], { predicates: [{ predicate: 'gx.pred.age_ge_18@1', result: 'true' }], elements: [] });
  t.notMatch(JSON.stringify(adult.json), '1990', 'the birth date stays');
  await auditBoth(t, pair);
});

t.test('what is refused, and why', async (t) => {
  const pair = await openBound(t, ['gx.name@1', 'gx.income@1', 'gx.pred.age_ge_18@1']);
  const rows: [string, object, number, string, string][] = [
    ['no fields', {}, 400, 'FIELDS_REQUIRED', ''],
    ['an unknown field', { fields: ['/name', '/nam', 'gx.none@1'] }, 400, 'FIELDS_UNKNOWN', '/nam, gx.none@1'],
    [
      'outside the ceiling',
      { fields: ['/name', '/birthDate'] },
      403,
      'FIELDS_NOT_PERMITTED',
      '/birthDate (gx.birth_date@1)',
    ],
    ['half a group', { fields: ['/years/income'] }, 403, 'FIELDS_NOT_PERMITTED', '/years/currency'],
    ['another operation', { path: '/other', fields: ['/name'] }, 404, 'OPERATION_UNKNOWN', ''],
    ['131 fields', { fields: Array.from({ length: 131 }, (_, at) => `/f${at}`) }, 400, 'SCHEMA_MISMATCH', '/fields'],
    ['a reserved path', { path: '/.accord/doubts', fields: ['/name'] }, 400, 'PATH_REFUSED', ''],
    [
      'a subject that is not in the path',
      { fields: ['/name'], subject: { scheme: 'gx.id@1', value: '8' } },
      400,
      'SUBJECT_MISMATCH',
      '',
    ],
  ];
  for (const [name, over, status, code, detail] of rows) {
    const refused = await ask(pair, over);
    t.match([refused.status, refused.json.code], [status, code], name);
    t.ok(String(refused.json['detail'] ?? '').includes(detail), `${name}: names ${detail}`);
  }
  t.equal(pair.backend.seen.length, 0, 'the backend was never asked');
  const fields = ['/name', '/birthDate', 'gx.income@1'];
  const partial = await ask(pair, { fields, partial: true });
  t.same((partial.json['body'] as { name: string }).name, RECORD.name);
  t.same((partial.json['release'] as { omitted: unknown }).omitted, [
    { path: '/birthDate', element: 'gx.birth_date@1' },
    { path: '/years/currency', element: 'gx.currency@1' },
    { path: '/years/income', element: 'gx.income@1' },
  ]);
  const preferred = await fetch(`${pair.consumer.urls.loopback}/lookups`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'respond-async, accord-partial' },
    body: JSON.stringify({ client: CLIENT, service: SERVICE, path: '/residents/7', fields }),
  });
  t.equal(preferred.status, 200, 'Prefer says the same');
});

t.test('personal data without a binding, and a binding that cannot be used', async (t) => {
  const pair = await openBound(t, null);
  t.match((await ask(pair, { fields: ['/name'] })).json.code, 'FIELDS_NOT_PERMITTED', 'a right for whole answers');
  pair.configuration.tables.clear();
  t.match((await ask(pair, {})).json.code, 'BINDING_REQUIRED', 'registered as bound, the table is not there');
  const service = pair.configuration.services.get(SERVICE);
  if (service) pair.configuration.services.set(SERVICE, { ...service, bindingHash: null, personalData: true });
  t.match((await ask(pair, {})).json.code, 'BINDING_REQUIRED', 'personal data is never released whole');
  if (service) pair.configuration.services.set(SERVICE, { ...service, bindingHash: null });
  t.match((await ask(pair, {})).json.code, 'OK', 'without personal data, and with a right for the whole');
  t.match((await ask(pair, { fields: ['/name'] })).json.code, 'FIELDS_UNKNOWN');
});

t.test('answers that the service does not declare', async (t) => {
  const pair = await openBound(t);
  const backend = (status: number, type: string, body: string) => {
    pair.backend.answer = (_request, _body, response) => {
      response.writeHead(status, { 'content-type': type });
      response.end(body);
    };
  };
  const rows: [string, number, string, string, number, string, unknown][] = [
    ['text', 200, 'text/plain', 'income 90000', 502, 'ANSWER_NOT_BOUND', undefined],
    ['broken JSON', 200, 'application/json', '{"income":90000', 502, 'ANSWER_NOT_BOUND', undefined],
    ['a status without a schema', 500, 'application/json', '{"income":90000}', 502, 'ANSWER_NOT_BOUND', undefined],
    [
      'a bound problem',
      404,
      'application/problem+json',
      '{"code":"NO_SUCH_RESIDENT","status":404,"detail":"90000"}',
      200,
      'OK',
      { code: 'NO_SUCH_RESIDENT', status: 404 },
    ],
    [
      'a closed place with something in it',
      404,
      'application/problem+json',
      '{"code":"90000","status":404}',
      200,
      'OK',
      { status: 404 },
    ],
  ];
  for (const [name, status, type, body, told, code, shown] of rows) {
    backend(status, type, body);
    const answer = await ask(pair, { fields: ['/name'] });
    t.match([answer.status, answer.json.code], [told, code], name);
    t.same(answer.json['body'], shown, name);
    t.notMatch(JSON.stringify(answer.json), '90000', `${name}: nothing of the backend leaves`);
  }
});

t.test('lookups in words of the dictionary', async (t) => {
  const pair = await openBound(t);
  const subject = { scheme: 'gx.id@1', value: 'a b 王' };
  const found = await post(pair, '/lookups', {
    client: CLIENT,
    elements: ['gx.name@1', 'gx.pred.age_ge_18@1'],
    subject,
  });
  t.match(found, { status: 200, json: { body: { name: '王芳' }, release: { predicates: [{ result: 'true' }] } } });
  t.equal(pair.backend.seen.at(-1)?.url, `/base/residents/${encodeURIComponent(subject.value)}`);
  const dated = await ask(pair, { path: undefined, subject, fields: ['/name'], asOf: '2020-01-31' });
  t.equal(dated.status, 200);
  t.equal(pair.backend.seen.at(-1)?.url, `/base/residents/${encodeURIComponent(subject.value)}?on=2020-01-31`);
  const rows: [string, object, string][] = [
    ['an element that nobody gives', { elements: ['gx.none@1'], subject }, 'ELEMENTS_NOT_OFFERED'],
    [
      'another kind of identifier',
      { elements: ['gx.name@1'], subject: { scheme: 'gx.name@1', value: 'x' } },
      'ELEMENTS_NOT_OFFERED',
    ],
    ['elements without a subject', { elements: ['gx.name@1'] }, 'SCHEMA_MISMATCH'],
    ['fields and elements', { elements: ['gx.name@1'], fields: ['/name'], subject }, 'SCHEMA_MISMATCH'],
  ];
  for (const [name, over, code] of rows) {
    t.equal((await post(pair, '/lookups', { client: CLIENT, ...over })).json.code, code, name);
  }
});

t.test('a budget of predicates over one input', async (t) => {
  const predicates = [18, 60, 65, 70, 75].map((years) => `gx.pred.age_ge_${years}@1`);
  const pair = await openBound(t, predicates);
  for (const [at, predicate] of predicates.entries()) {
    const { json } = await ask(pair, { fields: [predicate] });
    t.equal(json.code, at < 4 ? 'OK' : 'PREDICATE_BUDGET_SPENT', predicate);
  }
  t.equal((await ask(pair, { fields: [predicates[0]] })).json.code, 'OK', 'what was asked before may be asked again');
  const other = await ask(pair, { path: '/residents/8', fields: [predicates[4]] });
  t.equal(other.json.code, 'OK', 'another person has a budget of its own');
  await pair.provider.close(1_000);
  await pair.reopen('provider');
  t.equal((await ask(pair, { fields: [predicates[4]] })).json.code, 'PREDICATE_BUDGET_SPENT', 'kept over a restart');
});

t.test('a release that fails its own tests is not taken', async (t) => {
  const pair = await openBound(t);
  t.equal((await ask(pair, { fields: ['/name'] })).json.code, 'OK');
  const alarms: object[] = [];
  pair.provider.parts.logger.error = (about: object) => alarms.push(about);
  const broken = ENTRIES.map((entry) =>
    entry.id === 'gx.name' && entry.kind === 'element'
      ? { ...entry, domain: { type: 'integer' as const }, version: '1.1.0' }
      : entry,
  );
  pair.configuration.dictionary = { release: '1.1.0', entries: broken };
  pair.configuration.changed();
  t.match(alarms, [{ alarm: 'DICTIONARY_RELEASE_FAULTY', release: '1.1.0' }], 'told once');
  const after = await ask(pair, { fields: ['/name'] });
  t.match(after.json, { body: { name: '王芳' }, release: { dictionary: '1.0.0' } }, 'the one before stays in force');
  t.equal(alarms.length, 1);
});

t.test('ages are counted in the legal day of the instance', async (t) => {
  const clock = new MovingClock();
  const dayMs = 86_400_000;
  // Eight in the evening UTC: four in the morning of the next day where clocks are eight hours ahead.
  clock.aheadMs = (20 * 3_600_000 - (clock.nowMs() % dayMs) + dayMs) % dayMs;
  const pair = await openPair({ right: accessRight({ elements: ALL }), clock });
  t.teardown(() => pair.close());
  bind(pair.configuration);
  const tomorrow = new Date(clock.nowMs() + dayMs).toISOString();
  const birthDate = `${Number(tomorrow.slice(0, 4)) - 18}${tomorrow.slice(4, 10)}`.replace('-02-29', '-03-01');
  pair.backend.answer = (_request, _body, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ birthDate }));
  };
  for (const [minutes, result] of [
    [0, 'false'],
    [480, 'true'],
  ] as const) {
    pair.configuration.utcOffsetMinutes = minutes;
    const { json } = await ask(pair, { fields: ['gx.pred.age_ge_18@1'] });
    t.match(json['release'], { predicates: [{ result }] }, `${minutes} minutes ahead`);
  }
});

t.test('a provider that sends more than it was asked for', async (t) => {
  // The provider's server believes in another table, under which more stands for the same element.
  const wide = structuredClone(DOCUMENT) as typeof DOCUMENT;
  const { properties } = wide.paths['/residents/{id}'].get.responses[200].content['application/json'].schema as never;
  Object.assign(properties, { secret: { type: ['string', 'null'], 'x-accord-element': 'gx.name@1' } });
  const own = new HeldConfiguration();
  const pair = await openPair({ right: accessRight({ elements: ALL }), provider: { configuration: own } });
  t.teardown(() => pair.close());
  Object.assign(own, { ...pair.configuration, services: new Map(pair.configuration.services), tables: new Map() });
  bind(pair.configuration);
  bind(own, tableOf(wide));
  pair.backend.answer = (_request, _body, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(RECORD));
  };
  const alarms: unknown[] = [];
  pair.provider.parts.logger.error = (about: unknown) => alarms.push(about);
  const asked = await ask(pair, { fields: ['gx.name@1'] });
  t.match([asked.status, asked.json.code, asked.json.outcome], [502, 'OVER_DELIVERED', 'provider-error']);
  t.notMatch(JSON.stringify(asked.json), 'never bound');
  t.equal(kinds(pair.consumer, asked.json.id), 'request-sent,response-received');
  t.equal(entries(pair.consumer, asked.json.id)[0]?.code, 'OVER_DELIVERED');
  const again = await post(pair, `/lookups/${asked.json.id}/settle`);
  t.notMatch(JSON.stringify(again.json), 'never bound', 'nor later');
  for (let wait = 0; alarms.length === 0 && wait < 1_000; wait += 1) await new Promise((done) => setTimeout(done, 20));
  t.match(alarms, [{ alarm: 'OVER_DELIVERY_REPORTED', exchange: asked.json.id, paths: ['/secret'] }]);
  await auditBoth(t, pair);
});
