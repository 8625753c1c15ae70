// Calls in X-Road's protocol that say nothing of purpose, basis and fields: judged by the defaults of the one covering right,
// on every condition of that right; what was signed stays as the call was, and what leaves is what the release names.
import t, { type Test } from 'tap';
import type { DecisionInputs } from '#policy/decision-inputs.ts';
import type { AnswerContext, RequestContext } from '#schemas/context.ts';
import { accessRight, CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { overDelivery } from '#security-server/consumer/over-delivery.ts';
import { auditBoth, entries, post } from './asking.ts';
import { ENTRIES, tableOf } from './bound-service.ts';

const RECORD = {
  name: '王芳',
  birthDate: '1990-02-03',
  years: [{ income: 1, currency: 'CNY', assessed: '2026-01-01' }],
};
const LAW = {
  bases: ['law' as const],
  statute: 'Aid Act 12',
  casePattern: 'YB-##',
  elements: ['gx.name@1', 'gx.income@1'],
};
const CLERK = { 'X-Road-UserId': 'clerk7', 'X-Road-Issue': 'YB-26' };
const DEFAULTS = { purpose: null, basis: 'law' as const, fields: ['/name'] };
const id = (number: number) => `00000000-0000-4000-8000-00000000000${number}`;

async function openBound(t: Test, right = accessRight({ ...LAW, r1Defaults: DEFAULTS })): Promise<Pair> {
  const pair = await openPair({ right });
  t.teardown(() => pair.close());
  pair.configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  pair.configuration.bind(tableOf());
  pair.configuration.services.set(SERVICE, { ...pair.configuration.services.get(SERVICE)!, personalData: false });
  pair.backend.answer = (_request, _body, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(RECORD));
  };
  return pair;
}

async function r1(pair: Pair, path: string, headers: Record<string, string> = {}) {
  const answer = await fetch(`${pair.consumer.urls.loopback}/r1/${SERVICE}${path}`, {
    headers: { 'X-Road-Client': CLIENT, ...headers },
  });
  const json = (await answer.json()) as Record<string, unknown>;
  const error = answer.headers.get('x-road-error');
  return { status: answer.status, error, json, id: answer.headers.get('x-road-request-id') ?? '' };
}

/** What the provider archived of the decision, and the entry that stands before it. */
function archived(pair: Pair, exchange: string): { inputs: DecisionInputs; purpose: unknown; basis: unknown } {
  const { log } = pair.provider.parts;
  const view = log.find(null, exchange).find(({ entry }) => entry.kind.endsWith('-sent'));
  if (view === undefined) throw new TypeError('no answer in the log');
  const kept = log.readSealed(view.seq)?.decisionInputs;
  const { inputs } = JSON.parse(String(kept)) as { inputs: DecisionInputs };
  return { inputs, purpose: view.entry.purpose, basis: view.entry.basis };
}

t.test('a bound service asked without a word', async (t) => {
  const pair = await openBound(t);
  const { state } = pair.provider.parts;
  const answer = await r1(pair, '/residents/7', CLERK);
  t.match(answer, { status: 200, error: null });
  t.same(answer.json, { name: '王芳', years: [{ assessed: '2026-01-01' }] }, 'the fields of the defaults, no more');
  const kept = archived(pair, answer.id);
  t.match(kept, { purpose: null, basis: 'open' }, 'the statement stays as it was signed');
  t.match(kept.inputs, {
    defaultsFrom: id(1),
    request: { purpose: null, basis: 'law', fields: ['/name'], userId: 'clerk7', issue: 'YB-26' },
  });
  const seen = pair.backend.seen.at(-1)?.headers ?? [];
  t.equal(seen[seen.indexOf('accord-basis') + 1], 'law', 'the backend hears what was judged');
  t.equal(seen[seen.indexOf('accord-fields') + 1], '/name');

  // The right's own conditions still hold.
  const refusals: [string, string, Record<string, string>, string][] = [
    ['nobody asks', '/residents/7', { 'X-Road-Issue': 'YB-26' }, 'OfficialRequired'],
    ['no case', '/residents/7', { 'X-Road-UserId': 'clerk7' }, 'CaseNumberRequired'],
    ['another form of case', '/residents/7', { ...CLERK, 'X-Road-Issue': 'AB-26' }, 'CaseNumberRequired'],
    ['another operation', '/others/7', CLERK, 'OperationUnknown'],
    ['fields alone are the call’s own', '/residents/7', { ...CLERK, 'Accord-Fields': '/name' }, 'BasisNotAllowed'],
    ['a basis alone', '/residents/7', { ...CLERK, 'Accord-Basis': 'law' }, 'FieldsRequired'],
    ['a purpose alone', '/residents/7', { ...CLERK, 'Accord-Purpose': 'curiosity' }, 'FieldsRequired'],
  ];
  const before = pair.backend.seen.length;
  for (const [name, path, headers, code] of refusals) {
    t.match(await r1(pair, path, headers), { status: 500, error: `Server.ServerProxy.${code}` }, name);
  }
  const own = await r1(pair, '/residents/7', { ...CLERK, 'Accord-Basis': 'law', 'Accord-Fields': 'gx.name@1' });
  t.equal(own.status, 200, 'a call may still name everything itself');
  t.equal(archived(pair, own.id).inputs.defaultsFrom, null);
  const lookup = { client: CLIENT, service: SERVICE, path: '/residents/7', userId: 'clerk7', issue: 'YB-26' };
  t.match(await post(pair, '/lookups', lookup), { json: { code: 'FIELDS_REQUIRED' } }, 'only below /r1');
  t.equal(pair.backend.seen.length, before + 1);

  state.putRight(accessRight({ ...LAW, id: id(2), r1Defaults: { ...DEFAULTS, fields: ['/birthDate'] } }));
  t.match(
    await r1(pair, '/residents/7', CLERK),
    { error: 'Server.ServerProxy.FieldsRequired' },
    'two say different things',
  );
  const end = accessRight({ ...LAW, id: id(2), r1Defaults: DEFAULTS, notAfterMs: 1 });
  state.putRight(end);
  t.equal((await r1(pair, '/residents/7', CLERK)).status, 200, 'one that has ended does not count');
  state.putRight({ ...end, notAfterMs: Number.MAX_SAFE_INTEGER, client: 'local-group:other' });
  t.equal((await r1(pair, '/residents/7', CLERK)).status, 200, 'nor one of a group it is not in');
  state.removeRight(id(1));
  t.match(await r1(pair, '/residents/7', CLERK), { error: 'Server.ServerProxy.AccessDenied' });
  await auditBoth(t, pair);
});

t.test('through a group, with a quota for each member', async (t) => {
  const right = accessRight({ ...LAW, client: 'global-group:DEV/aid', r1Defaults: DEFAULTS, quotaPerDay: 2 });
  const pair = await openBound(t, right);
  const { configuration, consumer, identities, provider } = pair;
  const other = 'DEV/GOV/1001/other';
  configuration.register(consumer.id, consumer.urls.peer, [CLIENT, other], identities.consumer);
  const ask = (client: string) => r1(pair, '/residents/7', { ...CLERK, 'X-Road-Client': client });
  t.match(await ask(CLIENT), { error: 'Server.ServerProxy.AccessDenied' }, 'not in it');
  configuration.groups.set('aid', [CLIENT, other]);
  const first = await ask(CLIENT);
  t.equal(first.status, 200);
  t.match(archived(pair, first.id).inputs, { groups: ['global-group:DEV/aid'], defaultsFrom: id(1) });
  t.equal((await ask(CLIENT)).status, 200);
  t.match(await ask(CLIENT), { error: 'Server.ServerProxy.QuotaExceeded' });
  t.equal((await ask(other)).status, 200, 'another member has its own');
  provider.parts.state.putGroup({ code: 'aid', title: 'Aid' });
  provider.parts.state.addToGroup('aid', CLIENT);
  configuration.groups.clear();
  t.match(await ask(other), { error: 'Server.ServerProxy.AccessDenied' });
  t.match(await ask(CLIENT), { error: 'Server.ServerProxy.AccessDenied' }, 'a local group is no global one');
});

t.test('a service without personal data that nobody bound', async (t) => {
  const pair = await openPair({ right: accessRight({ r1Defaults: { purpose: null, basis: 'open', fields: null } }) });
  t.teardown(() => pair.close());
  t.equal((await r1(pair, '/x')).status, 200, 'open, without a purpose');
  pair.provider.parts.state.putRight(accessRight({ purposes: ['statistics'], r1Defaults: null }));
  t.match(await r1(pair, '/x'), { error: 'Server.ServerProxy.PurposeNotAllowed' }, 'the right asks for one');
  const named = { purpose: 'statistics', basis: 'open' as const, fields: null };
  pair.provider.parts.state.putRight(accessRight({ purposes: ['statistics'], r1Defaults: named }));
  const told = await r1(pair, '/x');
  t.equal(told.status, 200, 'and says which where the call does not');
  t.equal(archived(pair, told.id).inputs.request.purpose, 'statistics');
  t.equal(entries(pair.consumer, told.id)[0]?.purpose, null);
});

t.test('the consumer keeps what the release names, and nothing beside it', async (t) => {
  const pair = await openBound(t);
  const { consumer } = pair;
  const snapshot = consumer.parts.configuration.current();
  const request = {
    ...{ method: 'GET', path: '/residents/7', fields: null, receipt: null },
    xroad: { id: 'x' },
  } as unknown as RequestContext;
  const element = (path: string, name: string) => ({
    ...{ path, element: name, source: 'DEV/GOV/2002', asOf: null, state: 'present', stale: false },
  });
  const judged = (body: object, over: Partial<RequestContext> = {}, statement: object = {}) => {
    const bytes = Buffer.from(JSON.stringify(body));
    const release = {
      table: '',
      dictionary: '1.0.0',
      elements: [element('/name', 'gx.name@1')],
      predicates: [],
      omitted: [],
    };
    const answer = {
      ...{ v: 1, status: 200, code: 'OK', headers: [], release },
      body: { length: bytes.length, type: 'application/json' },
    } as unknown as AnswerContext;
    const said = { service: SERVICE, purpose: null, basis: 'open' as const, ...statement };
    return overDelivery(consumer.parts, snapshot, said, { ...request, ...over }, answer, bytes);
  };
  t.same(judged({ name: '王芳' }), []);
  t.same(judged({ name: '王芳', birthDate: '1990-02-03' }), ['/birthDate']);
  t.same(judged({ name: '王芳', secret: 1 }).length, 1, 'what no table knows');
  t.same(judged({ name: '王芳' }, { xroad: null }), [''], 'a lookup names its fields');
  t.same(judged({ name: '王芳' }, {}, { basis: 'law' }), [''], 'so does a call that names its basis');
  t.same(judged({ name: '王芳' }, {}, { purpose: 'x' }), ['']);
  t.same(judged({ name: '王芳' }, { receipt: 'a.b.c' }), ['']);
});
