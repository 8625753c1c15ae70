// The typed client against a server that speaks the contract of POST /lookups.

import { once } from 'node:events';
import net from 'node:net';
import fastify from 'fastify';
import t from 'tap';
import { AccordClientError, openAccord } from '#adapters/client.ts';

const answer = {
  id: '0193-1',
  requestId: 'r-1',
  outcome: 'ok',
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: { receiving: true },
  evidence: { requestHash: 'h', log: { origin: 'gx/1', index: 4 }, later: 'members are let through' },
};

interface Reply {
  status: number;
  type: string;
  body: string;
}
const json = (body: unknown): Reply => ({ status: 200, type: 'application/json', body: JSON.stringify(body) });
const problem = (status: number, body: unknown): Reply => ({
  status,
  type: 'application/problem+json',
  body: JSON.stringify(body),
});
let next: Reply[] = [];
const asked: unknown[] = [];
const server = fastify();
server.post('/base/lookups', async (request, reply) => {
  asked.push(request.body);
  const { status, type, body } = (next.length > 1 ? next.shift() : next[0]) ?? json(answer);
  return reply.code(status).type(type).send(body);
});
const url = `${await server.listen({ host: '127.0.0.1', port: 0 })}/base/`;
t.teardown(() => server.close());

const service = 'GX/GOV/2002/civil/residents';

t.test('a lookup and its answer', async (t) => {
  const accord = openAccord({ url, client: 'GX/GOV/1001/benefits' });
  next = [json(answer)];
  const got = await accord.lookup({
    service,
    path: '/residents/1',
    query: { year: 2025, 'a b': 'c&d' },
    headers: { accept: 'application/json' },
    purpose: 'benefits',
    basis: 'law',
    userId: 'officer-7',
    issue: '2026-1',
  });
  t.strictSame(got, answer);
  t.strictSame(asked.at(-1), {
    client: 'GX/GOV/1001/benefits',
    service,
    path: '/residents/1',
    query: 'year=2025&a%20b=c%26d',
    headers: { accept: 'application/json' },
    purpose: 'benefits',
    basis: 'law',
    userId: 'officer-7',
    issue: '2026-1',
  });
  await accord.lookup({ service, method: 'POST', path: '/x', body: { a: [1] } });
  t.match(asked.at(-1), { method: 'POST', body: { a: [1] } });
  await accord.lookup({ service, method: 'POST', path: '/x', query: 'q=1', body: new Uint8Array([0, 255]) });
  t.match(asked.at(-1), { query: 'q=1', body: 'AP8=', bodyEncoding: 'base64' });
  for (const outcome of ['refused', 'provider-error', 'unknown']) {
    next = [json({ ...answer, outcome, status: 503, body: 'aGk=', bodyEncoding: 'base64' })];
    t.match(await accord.lookup({ service, path: '/x' }), { outcome, status: 503, bodyEncoding: 'base64' });
  }
  await accord.close();
});

t.test('errors carry code, outcome, status and what to do next', async (t) => {
  const accord = openAccord({ url, client: 'GX/GOV/1001/benefits', maxResponseBytes: 2_000 });
  const full = {
    code: 'ACCESS_DENIED',
    outcome: 'refused',
    title: 'No',
    detail: 'no access right',
    next: 'Ask the provider.',
  };
  const cases: [string, Reply, object][] = [
    [
      'a problem',
      problem(403, full),
      { code: 'ACCESS_DENIED', outcome: 'refused', status: 403, next: 'Ask the provider.', problem: full },
    ],
    ['not sent', problem(502, { ...full, outcome: 'not-sent' }), { outcome: 'not-sent', status: 502 }],
    ['a 4xx without outcome', problem(400, { code: 'X' }), { code: 'X', outcome: 'refused' }],
    ['a 5xx without outcome', problem(500, {}), { code: 'INTERNAL', outcome: 'unknown' }],
    ['an outcome nobody knows', problem(500, { code: 'X', outcome: 'fine' }), { outcome: 'unknown' }],
    ['not a problem', { status: 502, type: 'text/html', body: '<p>' }, { code: 'SCHEMA_MISMATCH', outcome: 'unknown' }],
    ['HTML with 200', { status: 200, type: 'text/html', body: '<p>' }, { code: 'SCHEMA_MISMATCH', outcome: 'unknown' }],
    ['not JSON', { status: 200, type: 'application/json', body: '{' }, { code: 'JSON_INVALID', outcome: 'unknown' }],
    [
      'a name twice',
      { status: 200, type: 'application/json', body: '{"id":"1","id":"2"}' },
      { code: 'JSON_DUPLICATE_NAME' },
    ],
    ['no outcome', json({ ...answer, outcome: undefined }), { code: 'SCHEMA_MISMATCH', outcome: 'unknown' }],
    ['too large', json({ ...answer, body: 'x'.repeat(2_000) }), { code: 'RESPONSE_TOO_LARGE', outcome: 'unknown' }],
  ];
  for (const [name, reply, expected] of cases) {
    next = [reply];
    const before = asked.length;
    const error = await accord.lookup({ service, path: '/x' }).catch((caught: unknown) => caught);
    t.type(error, AccordClientError, name);
    t.match(error, expected, name);
    t.equal(asked.length, before + 1, `${name}: asked once`);
  }
  await accord.close();
});

t.test('only what was not sent is sent again, and only when wanted', async (t) => {
  const notSent = problem(502, { code: 'PROVIDER_UNREACHABLE', outcome: 'not-sent' });
  const patient = openAccord({ url, client: 'A/B/C/D', retryNotSent: { times: 2, delayMs: 5 } });
  next = [notSent, notSent, json(answer)];
  t.equal((await patient.lookup({ service, path: '/x' })).outcome, 'ok');
  next = [notSent, notSent, notSent, json(answer)];
  await t.rejects(patient.lookup({ service, path: '/x' }), { code: 'PROVIDER_UNREACHABLE', outcome: 'not-sent' });
  const before = asked.length;
  next = [problem(504, { code: 'OUTCOME_UNKNOWN', outcome: 'unknown' })];
  await t.rejects(patient.lookup({ service, path: '/x' }), { code: 'OUTCOME_UNKNOWN', outcome: 'unknown' });
  t.equal(asked.length, before + 1);
  await patient.close();

  const away = openAccord({ url: 'http://127.0.0.1:1', client: 'A/B/C/D' });
  await t.rejects(away.lookup({ service, path: '/x' }), { code: 'PEER_UNREACHABLE', outcome: 'not-sent' });
  await away.close();
  const silent = net.createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as net.AddressInfo;
  const waiting = openAccord({ url: `http://127.0.0.1:${port}`, client: 'A/B/C/D', timeoutMs: 100 });
  await t.rejects(waiting.lookup({ service, path: '/x' }), { code: 'PEER_TIMEOUT', outcome: 'unknown' });
  await waiting.close();
  silent.close();
  t.throws(() => openAccord({ url: 'not a url', client: 'x' }), TypeError);
  t.throws(() => openAccord({ url: 'ftp://x', client: 'x' }), TypeError);
});
