// Maintenance, and several servers of one provider: nothing new is begun or answered, what runs ends; the other server
// answers meanwhile; nothing runs twice, and what may have run is asked nowhere else.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { ADMIN_KEY, accessRight, CLIENT, openPair, type Pair, PROVIDER, SERVICE } from '#scripts/campaign/pair.ts';
import { openServerChoice } from '#security-server/consumer/choose-server.ts';
import { openSecurityServer, type SecurityServer } from '#security-server/server.ts';
import { auditBoth, entries, kinds, post } from './asking.ts';
import { MovingClock } from './moving-clock.ts';

t.setTimeout(120_000);
const ASK = { client: CLIENT, service: SERVICE, path: '/x' };
const SECOND = 'DEV/GOV/2002/ss3';
const at = { host: '127.0.0.1', port: 0 };

/** Another server of the provider, for the same service on the same backend. */
async function openSecond(pair: Pair): Promise<SecurityServer> {
  const identity = await pair.authority.server(SECOND);
  const server = await openSecurityServer({
    id: SECOND,
    folder: join(pair.folder, 'second'),
    keys: identity.keys,
    configuration: pair.configuration,
    ports: { peer: at, systems: null, loopback: null, admin: at, health: at },
    clock: pair.provider.parts.clock,
    logger: pino({ level: 'silent' }),
    adminKeys: [{ hash: createHash('sha256').update(ADMIN_KEY).digest('base64url'), role: 'administrator', name: 't' }],
  });
  pair.configuration.register(SECOND, server.urls.peer, ['DEV/GOV/2002/provider'], identity);
  const service = pair.provider.parts.state.service(SERVICE);
  if (service !== null) server.parts.state.putService(service);
  server.parts.state.putRight(accessRight());
  return server;
}

/** Each request brings its number to the backend, so that one that ran twice is seen. */
const numbered = (n: number) => ({ ...ASK, path: `/${n}`, headers: { 'x-number': String(n) } });
const ran = (pair: Pair) => pair.backend.seen.map(({ url }) => Number(url.split('/').at(-1)));

async function maintenance(server: SecurityServer, notice: string | null): Promise<unknown> {
  const headers = { authorization: `Bearer ${ADMIN_KEY}` };
  const answer = await fetch(`${server.urls.admin}/maintenance`, {
    method: notice === null ? 'DELETE' : 'PUT',
    headers: { ...headers, ...(notice !== null && { 'content-type': 'application/json' }) },
    ...(notice !== null && { body: JSON.stringify({ notice }) }),
  });
  return answer.json();
}

async function health(server: SecurityServer): Promise<string> {
  const ready = await fetch(`${server.urls.health}/readyz`);
  const { checks } = (await ready.json()) as { checks: { ok: boolean; code: string; detail: string }[] };
  const gauge = /^accord_maintenance (\d)$/m.exec(await (await fetch(`${server.urls.health}/metrics`)).text())?.[1];
  const wrong = checks.filter(({ ok }) => !ok).map(({ code, detail }) => `${code} ${detail}`);
  return [ready.status, gauge, ...wrong].join(' ');
}

const overR1 = async (pair: Pair) => {
  const answer = await fetch(`${pair.consumer.urls.loopback}/r1/${SERVICE}/x`, {
    headers: { 'x-road-client': CLIENT },
  });
  const { message } = (await answer.json()) as { message?: string };
  return `${answer.headers.get('x-road-error')} ${message}`;
};

t.test('maintenance of the provider: a signed refusal; what runs ends', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  let release = () => {};
  const { answer } = pair.backend;
  pair.backend.answer = (_request, _body, response) => {
    release = () => response.end('late');
  };
  const running = post(pair, '/lookups', ASK);
  while (pair.backend.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  t.match(await maintenance(pair.provider, 'back at six'), { maintenance: { notice: 'back at six', sinceMs: Number } });
  t.equal(await health(pair.provider), '503 1 MAINTENANCE_MODE back at six');
  const { json, status } = await post(pair, '/lookups', ASK);
  t.match(
    { ...json, http: status },
    { outcome: 'refused', code: 'MAINTENANCE_MODE', detail: 'back at six', http: 503 },
  );
  t.equal(kinds(pair.provider, json.id), 'request-received,refusal-sent');
  t.equal(kinds(pair.consumer, json.id), 'request-sent,refusal-received');
  t.match(await overR1(pair), /^Server\.ServerProxy\.MaintenanceMode .*: back at six$/);
  t.equal(pair.backend.seen.length, 1, 'nothing new ran');
  release();
  t.match((await running).json, { outcome: 'ok' }, 'what ran was answered');

  await pair.provider.close();
  await pair.reopen('provider');
  pair.backend.answer = answer;
  t.match((await post(pair, '/lookups', ASK)).json, { code: 'MAINTENANCE_MODE' }, 'kept over a restart');
  t.match(await maintenance(pair.provider, 'changed words'), { maintenance: { notice: 'changed words' } });
  t.match((await post(pair, '/lookups', ASK)).json, { detail: 'changed words' });
  t.match(await maintenance(pair.provider, null), { maintenance: null });
  t.equal(await health(pair.provider), '200 0');
  t.match((await post(pair, '/lookups', ASK)).json, { outcome: 'ok' });
  await auditBoth(t, pair);
});

t.test('maintenance of the consumer: nothing is begun, earlier requests can be settled', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const done = await post(pair, '/lookups', ASK);
  await maintenance(pair.consumer, 'moving');
  const size = pair.consumer.parts.log.size();
  t.match(await post(pair, '/lookups', ASK), { status: 503, json: { code: 'MAINTENANCE_MODE', detail: 'moving' } });
  t.match(await overR1(pair), /^Server\.ClientProxy\.MaintenanceMode .*: moving$/);
  const { hostname, port } = new URL(pair.consumer.urls.loopback ?? '');
  const large = connect(Number(port), hostname);
  const length = 'content-length: 1000000000';
  large.write(`PUT /r1/${SERVICE}/x HTTP/1.1\r\nhost: a\r\nx-road-client: ${CLIENT}\r\n${length}\r\n\r\n{`);
  const [said] = (await once(large, 'data')) as [Buffer];
  t.match(String(said), /X-Road-Error: Server.ClientProxy.MaintenanceMode/i, 'before a large body came');
  large.destroy();
  t.equal(pair.consumer.parts.log.size(), size, 'nothing was logged');
  t.equal(pair.backend.seen.length, 1);
  t.equal((await post(pair, `/lookups/${done.json.id}/settle`)).json['state'], 'answered');
  t.match(await (await fetch(`${pair.consumer.urls.health}/livez`)).json(), { status: 'ok' });
});

t.test('one server in maintenance: the other answers, and is asked first from then on', async (t) => {
  const pair = await openPair();
  const second = await openSecond(pair);
  t.teardown(async () => {
    await second.close(1_000);
    await pair.close();
  });
  await maintenance(pair.provider, 'first');
  const first = await post(pair, '/lookups', numbered(1));
  t.match(first.json, { outcome: 'ok', evidence: { provider: { server: SECOND } } });
  t.equal(
    entries(pair.consumer, first.json.id)
      .map(({ kind, peer, code }) => `${kind} ${peer} ${code}`)
      .reverse()
      .join(),
    `request-sent ${PROVIDER} OK,refusal-received ${PROVIDER} MAINTENANCE_MODE,request-sent ${SECOND} OK,response-received ${SECOND} OK`,
  );
  t.match((await post(pair, `/lookups/${first.json.id}/settle`)).json, { state: 'answered', answer: { code: 'OK' } });
  const next = await post(pair, '/lookups', numbered(2));
  t.equal(kinds(pair.consumer, next.json.id), 'request-sent,response-received', 'the first is left alone');
  await maintenance(second, 'second too');
  const none = await post(pair, '/lookups', numbered(3));
  t.match(none.json, { outcome: 'refused', code: 'MAINTENANCE_MODE' });
  t.strictSame(ran(pair), [1, 2]);
  await maintenance(pair.provider, null);
  await maintenance(second, null);

  // An outcome that nobody knows is asked of that server alone.
  const { link } = pair.consumer.parts;
  const asked: string[] = [];
  pair.consumer.parts.link = {
    close: () => link.close(),
    async send(peer, message, timeoutMs) {
      asked.push(peer.id);
      await link.send(peer, message, timeoutMs);
      return { state: 'unknown', code: 'OUTCOME_UNKNOWN', detail: 'the line broke' };
    },
  };
  const lost = await post(pair, '/lookups', numbered(4));
  // The first refuses, the second may have run it: what the first said settles nothing.
  await maintenance(pair.provider, 'once more');
  pair.consumer.parts.choice.note(PROVIDER, true);
  pair.consumer.parts.link = {
    close: () => link.close(),
    async send(peer, message, timeoutMs) {
      const delivery = await link.send(peer, message, timeoutMs);
      if (peer.id === PROVIDER) return delivery;
      return { state: 'unknown', code: 'OUTCOME_UNKNOWN', detail: 'the line broke' };
    },
  };
  const doubtful = await post(pair, '/lookups', numbered(5));
  pair.consumer.parts.link = link;
  t.equal(kinds(pair.consumer, doubtful.json.id), 'request-sent,refusal-received,request-sent');
  t.match((await post(pair, `/lookups/${doubtful.json.id}/settle`)).json, {
    state: 'answered',
    answer: { code: 'OK' },
  });
  await maintenance(pair.provider, null);
  t.match(lost.json, { outcome: 'unknown' });
  t.equal(asked.length, 1);
  t.strictSame(ran(pair), [1, 2, 4, 5]);
  t.match((await post(pair, `/lookups/${lost.json.id}/settle`)).json, { state: 'answered' });
});

t.test('a server that stops in the middle of a row of calls', async (t) => {
  const pair = await openPair();
  const second = await openSecond(pair);
  t.teardown(async () => {
    await second.close(1_000);
    await pair.close();
  });
  const CALLS = 80;
  let next = 1;
  let stopped: Promise<void> | undefined;
  const outcomes: string[] = [];
  const answeredBy = new Set<string>();
  const worker = async () => {
    while (next <= CALLS) {
      const n = next;
      next += 1;
      if (n === CALLS / 2) stopped = pair.provider.close(5_000);
      const { json } = await post(pair, '/lookups', numbered(n));
      outcomes.push(`${json.outcome} ${json.code} ${json['detail'] ?? ''}`);
      const { provider } = json['evidence'] as { provider: { server: string } | null };
      answeredBy.add(provider?.server ?? 'nobody');
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  await stopped;
  t.strictSame(
    outcomes.filter((each) => each !== 'ok OK '),
    [],
    'none failed',
  );
  t.strictSame([...answeredBy].sort(), [PROVIDER, SECOND]);
  t.strictSame(
    ran(pair).sort((a, b) => a - b),
    Array.from({ length: CALLS }, (_, n) => n + 1),
    'each ran once',
  );
  await pair.reopen('provider');
});

t.test('the order in which servers are tried', (t) => {
  const clock = new MovingClock();
  const choice = openServerChoice(clock);
  const server = (id: string, maintenance: { notice: string; untilMs: number | null } | null = null) =>
    ({ id, maintenance }) as never;
  const order = (...servers: never[]) =>
    choice
      .order(servers, null)
      .map(({ id }) => id)
      .join('');
  const open = { notice: 'x', untilMs: null };
  const ended = { notice: 'x', untilMs: clock.nowMs() - 1 };
  const planned = { notice: 'x', untilMs: clock.nowMs() + 60_000 };
  t.equal(order(server('a'), server('b')), 'ab', 'as registered');
  t.equal(order(server('a', open), server('b')), 'ba');
  t.equal(order(server('a', planned), server('b')), 'ba');
  t.equal(order(server('a', ended), server('b')), 'ab', 'an announcement that is over');
  t.equal(order(server('a', open), server('b', planned)), 'ab', 'all announce it: as registered');
  choice.note('b', false);
  t.equal(order(server('a', open), server('b'), server('c')), 'cba', 'also behind one that was not reached');
  choice.note('b', true);
  t.equal(order(server('a', open), server('b'), server('c')), 'bca');
  t.throws(() => choice.order([server('a')], 'b'), { code: 'XROAD_SERVER_INVALID' });
  t.equal(choice.order([server('a', open), server('b')], 'a')[0]?.id, 'a', 'who is named is asked');
  t.end();
});

t.test('a large body goes to the second server whole, when the first was never reached or did nothing', async (t) => {
  const pair = await openPair();
  const second = await openSecond(pair);
  const hangsUp = createServer((socket) => socket.destroy());
  await once(hangsUp.listen(0, '127.0.0.1'), 'listening');
  t.teardown(async () => {
    hangsUp.close();
    await second.close(1_000);
    await pair.close();
  });
  pair.backend.answer = (request, body, response) => {
    response.setHeader('content-type', request.headers['content-type'] ?? '').end(body);
  };
  const { parts, urls } = pair.consumer;
  const first = (address: string) =>
    pair.configuration.register(PROVIDER, address, ['DEV/GOV/2002/provider'], pair.identities.provider);
  const firsts: [string, () => unknown][] = [
    ['refuses the connection', () => first('https://127.0.0.1:1')],
    ['hangs up', () => first(`https://127.0.0.1:${(hangsUp.address() as AddressInfo).port}`)],
    [
      'is in maintenance',
      async () => {
        first(pair.provider.urls.peer);
        await maintenance(pair.provider, 'away');
      },
    ],
  ];
  const large = randomBytes(1_500_000);
  const bodies: [string, Buffer][] = [
    ['application/json', Buffer.from(JSON.stringify({ large: large.toString('base64') }))],
    ['application/xml', Buffer.from(`\ufeff<?xml version="1.0"?>\r\n<a>${large.toString('hex')}</a>\r\n`)],
    ['application/pdf', Buffer.concat([Buffer.from('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n', 'latin1'), large])],
    ['text/plain', Buffer.alloc(0)],
  ];
  for (const [name, make] of firsts) {
    await make();
    for (const [type, body] of bodies) {
      parts.choice.note(PROVIDER, true);
      const answer = await fetch(`${urls.loopback}/r1/${SERVICE}/file`, {
        method: 'POST',
        headers: { 'x-road-client': CLIENT, 'content-type': type },
        body,
      });
      const got = Buffer.from(await answer.arrayBuffer());
      t.equal(answer.status, 200, `${name}, ${type}`);
      t.ok(got.equals(body) && answer.headers.get('content-type') === type, 'as it was sent');
      t.ok(pair.backend.seen.at(-1)?.body.equals(body), 'also at the backend');
      const id = answer.headers.get('x-road-request-id') ?? '';
      const sent = entries(pair.consumer, id).filter(({ kind }) => kind === 'request-sent');
      t.same(sent.map(({ peer }) => peer).sort(), [PROVIDER, SECOND], 'both under one id');
    }
  }
  t.equal(pair.backend.seen.length, firsts.length * bodies.length, 'each ran once');
  t.equal(parts.spool.held() + pair.provider.parts.spool.held() + second.parts.spool.held(), 0, 'nothing is left');
});
