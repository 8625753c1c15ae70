// What would I get? Asked over real servers and sockets: the answer is the decision that a lookup would come to, the
// backend hears nothing of it, nothing is counted, and nothing tells whether a person is known.
import t, { type Test } from 'tap';
import { AccordClientError, openAccord } from '#adapters/client.ts';
import { type DescribedRequest, EFFECTIVE_ACCESS_PATH } from '#schemas/effective-access.ts';
import { MAX_FIELDS } from '#schemas/limits.ts';
import { accessRight, CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { readCall } from '#security-server/consumer/call.ts';
import { exchange } from '#security-server/consumer/exchange.ts';
import { accord } from '#test/cli/run.ts';
import { auditBoth, entries, kinds, post } from './asking.ts';
import { DOCUMENT, ENTRIES, tableOf } from './bound-service.ts';

const AGES = [18, 60, 65, 70, 75].map((years) => `gx.pred.age_ge_${years}@1`);
const RIGHT = accessRight({ elements: ['gx.name@1', 'gx.income@1', ...AGES], quotaPerDay: 20 });

async function openBound(t: Test, right = RIGHT): Promise<Pair> {
  const pair = await openPair({ right });
  t.teardown(() => pair.close());
  pair.configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  pair.configuration.bind(tableOf());
  pair.backend.answer = (request, _body, response) => {
    if (request.url?.includes('nobody')) {
      response.writeHead(404, { 'content-type': 'application/problem+json' });
      return void response.end('{"code":"NO_SUCH_RESIDENT","status":404}');
    }
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name: '王芳', birthDate: '1990-02-03', years: [] }));
  };
  return pair;
}

const lookupOf = (over: object) => ({ client: CLIENT, service: SERVICE, path: '/residents/7', ...over });
const effective = (pair: Pair, over: object) => post(pair, '/lookups/effective-access', lookupOf(over));
const lookup = (pair: Pair, over: object) => post(pair, '/lookups', lookupOf(over));
const decided = ({ allowed, code, detail, release }: Record<string, unknown>) => ({ allowed, code, detail, release });

t.test('it is what a lookup would come to', async (t) => {
  const pair = await openBound(t);
  const cases: [string, object][] = [
    ['a field', { fields: ['/name'] }],
    ['a predicate', { fields: [AGES[0]] }],
    ['a field that is not permitted', { fields: ['/name', '/birthDate'] }],
    ['the same in part', { fields: ['/name', '/birthDate', 'gx.income@1'], partial: true }],
    ['nothing left in part', { fields: ['/birthDate'], partial: true }],
    ['no fields', {}],
    ['unknown fields', { fields: ['/nam'] }],
    ['another operation', { path: '/others', fields: ['/name'] }],
    ['a basis that no right has', { fields: ['/name'], basis: 'law', userId: 'clerk-7', issue: 'YB-1' }],
    ['a purpose that no right has', { fields: ['/name'], purpose: 'curiosity' }],
    ['found by its elements', { path: undefined, elements: ['gx.name@1'], subject: { scheme: 'gx.id@1', value: '7' } }],
    ['for a day', { fields: ['/name'], asOf: '2025-01-01' }],
  ];
  for (const [name, over] of cases) {
    const before = pair.backend.seen.length;
    const told = await effective(pair, over);
    t.equal(told.status, 200, `${name}: ${JSON.stringify(told.json).slice(0, 300)}`);
    t.equal(pair.backend.seen.length, before, `${name}: the backend was not asked`);
    const { id, json } = await lookup(pair, over).then(({ json }) => ({ id: json.id, json }));
    t.equal(told.json.code, json.code, `${name}: ${json.code}`);
    t.equal(told.json['allowed'], json.outcome === 'ok', name);
    // The archive of the question and that of the lookup hold the same decision.
    const decisions = [told.json.id, id].map((each) => {
      const [record] = pair.provider.parts.log.find(null, each);
      const kept = pair.provider.parts.log.readSealed(record!.seq)?.decisionInputs;
      return JSON.parse(kept!.toString('utf8')).decision;
    });
    t.same(decisions[0], decisions[1], name);
    t.match(decided(decisions[1]), decided(told.json), name);
    const [entry] = entries(pair.provider, told.json.id);
    t.equal(entry?.decisionHash, told.json['decisionHash'], `${name}: the hash is in the log`);
    t.equal(kinds(pair.provider, told.json.id), 'request-received,response-sent', name);
  }
  await auditBoth(t, pair);
});

t.test('nothing is counted, and nobody is known', async (t) => {
  const pair = await openBound(t, { ...RIGHT, quotaPerDay: 2 });
  for (let n = 0; n < 6; n += 1) {
    t.match((await effective(pair, { fields: [AGES[n % 5]] })).json, { allowed: true, code: 'OK' }, `question ${n}`);
  }
  t.equal((await lookup(pair, { fields: [AGES[0]] })).status, 200, 'neither the budget nor the quota was touched');
  pair.provider.parts.state.putRight(RIGHT);
  for (const age of AGES.slice(1, 4)) t.equal((await lookup(pair, { fields: [age] })).status, 200, age);
  t.match((await effective(pair, { fields: [AGES[4]] })).json, { allowed: false, code: 'PREDICATE_BUDGET_SPENT' });
  t.match((await effective(pair, { fields: [AGES[1]] })).json, { allowed: true }, 'what was asked before');

  // Somebody who was never asked about, whether there is such a person or not.
  const [known, nobody] = ['8', 'nobody'].map((person) => ({
    path: `/residents/${person}`,
    fields: ['/name', AGES[4]],
  }));
  const answers = [await effective(pair, known!), await effective(pair, nobody!)].map(({ json }) => decided(json));
  t.same(answers[0], answers[1]);
  t.match((await lookup(pair, nobody!)).json, { status: 404 }, 'a lookup would have told');
  t.same(decided((await effective(pair, nobody!)).json), answers[0], 'and what was looked up changes nothing');

  pair.provider.parts.state.removeRight(RIGHT.id);
  t.match((await effective(pair, { fields: ['/name'] })).json, {
    allowed: false,
    code: 'ACCESS_DENIED',
    release: null,
  });
});

t.test('what is no question, and what a peer might send in its place', async (t) => {
  const pair = await openBound(t);
  const own = { authenticate: () => 'loopback' as const };
  for (const [name, over, status, code] of [
    ['a reserved path', { path: EFFECTIVE_ACCESS_PATH }, 400, 'PATH_REFUSED'],
    ['two readings', { path: '/a/../b', fields: ['/name'] }, 400, 'PATH_REFUSED'],
    ['too many fields', { fields: Array.from({ length: MAX_FIELDS + 1 }, (_, n) => `/f${n}`) }, 400, 'SCHEMA_MISMATCH'],
    ['another client', { client: 'DEV/GOV/9/x' }, 403, 'CALLER_NOT_ALLOWED'],
    ['a service that is not there', { service: `${SERVICE}2` }, 404, 'SERVICE_UNKNOWN'],
  ] as const) {
    const refused = await effective(pair, over);
    t.match([refused.status, refused.json.code], [status, code], name);
  }
  const described: DescribedRequest = {
    v: 1,
    method: 'GET',
    path: '/residents/7',
    query: null,
    fields: ['/name'],
    partial: false,
    asOf: null,
    body: null,
  };
  const send = async (body: unknown, over: object = {}) => {
    const question = { client: CLIENT, service: SERVICE, method: 'POST' as const, path: EFFECTIVE_ACCESS_PATH, body };
    return exchange(pair.consumer.parts, readCall({ ...question, ...over }, own, pair.consumer.parts));
  };
  const right = await send(described);
  t.equal(right.outcome, 'ok');
  for (const [name, body, code, over] of [
    ['a member more', { ...described, subject: '7' }, 'SCHEMA_MISMATCH'],
    ['a member less', { ...described, partial: undefined }, 'SCHEMA_MISMATCH'],
    ['no method', { ...described, method: 'STEAL' }, 'SCHEMA_MISMATCH'],
    ['a reserved path', { ...described, path: '/.accord/doubts' }, 'PATH_REFUSED'],
    ['two readings', { ...described, path: '/residents/%2e%2e/7' }, 'PATH_REFUSED'],
    ['two readings of the query', { ...described, query: 'a=\u0000' }, 'PATH_REFUSED'],
    ['base64 with spare bits', { ...described, body: 'QR==' }, 'ENCODING_NOT_CANONICAL'],
    ['no JSON', 'e30=', 'MEDIA_TYPE_UNSUPPORTED', { bodyEncoding: 'base64' }],
    ['another method', described, 'NOT_FOUND', { method: 'PUT' }],
    ['a query behind it', described, 'NOT_FOUND', { query: 'a=1' }],
    ['a path below it', described, 'NOT_FOUND', { path: `${EFFECTIVE_ACCESS_PATH}/x` }],
  ] as const) {
    const { outcome, code: told, id } = await send(body, over);
    t.match([outcome, told], ['refused', code], name);
    t.equal(kinds(pair.provider, id), 'request-received,refusal-sent', name);
  }
  t.equal(pair.backend.seen.length, 0);
  await auditBoth(t, pair);
});

t.test('a subject in the body, and a service that is not bound', async (t) => {
  const pair = await openBound(t);
  const [[path, { get }]] = Object.entries(DOCUMENT.paths) as [[string, { get: object }]];
  const schema = {
    type: 'object',
    additionalProperties: false,
    properties: { id: { type: 'string', 'x-accord-subject': 'gx.id@1' }, note: { type: 'string' } },
  };
  const search = { ...get, parameters: [], requestBody: { content: { 'application/json': { schema } } } };
  const table = tableOf({ ...DOCUMENT, paths: { [path]: { get }, '/search': { post: search } } });
  pair.configuration.bind(table);
  const asked = { method: 'POST', path: '/search', fields: [AGES[0]] };
  t.match((await effective(pair, { ...asked, body: { id: '7' } })).json, { allowed: true });
  t.match((await effective(pair, { ...asked, body: { note: '7' } })).json, { code: 'SUBJECT_MISSING' });
  const large = { ...asked, path: '/residents/7', body: { note: 'x'.repeat(250_000) } };
  t.match((await effective(pair, large)).json, { code: 'OPERATION_UNKNOWN' }, 'a body that decides nothing stays');

  const plain = await openPair();
  t.teardown(() => plain.close());
  t.match((await effective(plain, {})).json, { allowed: true, code: 'OK', release: null });
  t.equal(plain.backend.seen.length, 0);
});

t.test('the typed client and the command', async (t) => {
  const pair = await openBound(t);
  const url = pair.consumer.urls.loopback ?? '';
  const client = openAccord({ url, client: CLIENT });
  t.teardown(() => client.close());
  const told = await client.effectiveAccess({
    service: SERVICE,
    path: '/residents/7',
    fields: ['/name', '/birthDate'],
    partial: true,
  });
  t.match(told, {
    allowed: true,
    release: { asked: [{ path: '/name' }], omitted: [{ path: '/birthDate' }] },
    evidence: { log: { index: Number, answer: Number }, provider: { decisionHash: told.decisionHash } },
  });
  await t.rejects(client.effectiveAccess({ service: 'DEV/GOV/9/x/y', path: '/' }), AccordClientError);

  const call = (...argv: string[]) =>
    accord('call', SERVICE, '/residents/7', '--effective', '--server', url, '--client', CLIENT, ...argv);
  const shown = await call('--field', '/name,/birthDate', '--partial');
  t.match(shown, { code: 0, stderr: '', stdout: /\/name +│ gx\.name@1 +│ yes[\s\S]*\/birthDate +│ .*left out/ });
  const refused = await call('--field', '/birthDate', '--proof');
  t.match(refused, { code: 6, stderr: /^FIELDS_NOT_PERMITTED: .*\/birthDate.*\nNext: /s });
  const json = await call('--field', '/birthDate', '--json');
  t.match(json, { code: 6, stdout: /^\{"allowed":false,"code":"FIELDS_NOT_PERMITTED"/ });
  const dry = await call('--field', '/name', '--dry-run', '--json');
  t.match(JSON.parse(dry.stdout), { dryRun: true, effective: true, fields: ['/name'] });
  t.equal((await accord('call', '--effective', '--settle', told.id, '--server', url)).code, 2);
  t.equal(pair.backend.seen.length, 0);
});
