// What an outsider or a peer can make grow, at its edge: connections, headers, tickets, places, time, and the entries
// that say what was refused before anyone was believed.
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import t from 'tap';
import { importPublicJwk } from '#certs/keys.ts';
import { makeTicket } from '#certs/ticket.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import { openServer } from '#core/http/server-frame.ts';
import { BARE_REQUEST, encodeRequestContext, parseRequestContext, type RequestContext } from '#schemas/context.ts';
import { parseJson } from '#schemas/json.ts';
import {
  MAX_BODY_BYTES,
  MAX_CONNECTIONS,
  MAX_CONNECTIONS_PER_PEER,
  MAX_CONTEXT_BYTES,
  MAX_DEADLINE_MS,
  MAX_EXCHANGES_IN_FLIGHT,
  MAX_HEADER_VALUE_BYTES,
  MAX_HEADERS,
  MAX_HTTP_HEADERS,
  MAX_IN_FLIGHT_PER_PEER,
  MAX_IN_FLIGHT_PER_SERVICE,
  MAX_IN_FLIGHT_PER_SYSTEM,
  MAX_JSON_BYTES,
  MAX_JSON_DEPTH,
  MAX_JSON_VALUES,
  MAX_OPEN_TICKETS_PER_PEER,
  MAX_PATH_BYTES,
  MAX_QUERY_BYTES,
  MAX_SUMMARY_CODES,
} from '#schemas/limits.ts';
import { servicePath } from '#schemas/service-path.ts';
import { CLIENT, CONSUMER, openPair, type Pair, PROVIDER, SERVICE } from '#scripts/campaign/pair.ts';
import { openAdmission } from '#security-server/admission.ts';
import { readCall } from '#security-server/consumer/call.ts';
import { entries, kinds, post } from './asking.ts';
import { MovingClock, Timers } from './moving-clock.ts';

const ASK = { client: CLIENT, service: SERVICE, path: '/a' };
/** Long enough for what should not happen. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 50));
const until = async (is: () => boolean) => {
  while (!is()) await new Promise((resolve) => setTimeout(resolve, 5));
};

t.test('the summary entry: one for each code, when and how many', async (t) => {
  const clock = new MovingClock();
  const timers = new Timers();
  const pair = await openPair({ clock, provider: { every: timers.every } });
  t.teardown(() => pair.close());
  const { parts } = pair.provider;
  const summaries = () =>
    parts.log
      .read(0, 1000)
      .map(({ entry }) => entry)
      .filter(({ kind }) => kind === 'summary');
  timers.tick(60_000);
  await settled();
  t.same(summaries(), [], 'nothing happened, nothing is written');
  const peer = pair.configuration.entries.get(PROVIDER) as ServerEntry;
  for (let at = 0; at < 3; at += 1) await pair.consumer.parts.link.send(peer, Buffer.from('rubbish'), 5_000);
  const minute = new Date(clock.nowMs()).toISOString().slice(0, 16);
  timers.tick(60_000);
  await until(() => summaries().length > 0);
  t.match(summaries(), [{ id: `unverified-${minute}Z-3`, code: 'MESSAGE_MALFORMED', peer: null, statement: null }]);
  timers.tick(60_000);
  await settled();
  t.equal(summaries().length, 1, 'counted once');

  for (let at = 0; at < MAX_SUMMARY_CODES + 8; at += 1) parts.metrics.unverified(`CODE_${at}`);
  parts.metrics.unverified('CODE_7');
  timers.tick(60_000);
  await until(() => summaries().length > MAX_SUMMARY_CODES + 1);
  await settled();
  const many = summaries().slice(1);
  t.equal(many.length, MAX_SUMMARY_CODES + 1);
  t.match(many[0], { code: 'CODE_7', id: /-2$/ }, 'the most frequent first');
  t.match(many.at(-1), { code: 'OTHER', id: /-8$/ }, 'the rest as one');

  parts.metrics.unverified('LATE');
  const { append } = parts.log;
  parts.log.append = () => Promise.reject(new Error('full'));
  timers.tick(60_000);
  await settled();
  parts.log.append = append;
  const written = summaries().length;
  timers.tick(60_000);
  await until(() => summaries().length > written);
  t.match(summaries().at(-1), { code: 'LATE', id: /-1$/ }, 'what was not written is counted again');
});

t.test('a request nobody waits for any more does not run', async (t) => {
  const clock = new MovingClock();
  const pair = await openPair({ clock });
  t.teardown(() => pair.close());
  const { log } = pair.provider.parts;
  const append = log.append.bind(log);
  // The disk takes longer than the sender waits.
  log.append = async (record) => {
    const done = await append(record);
    if (record.kind === 'request-received') clock.aheadMs += 10_001;
    return done;
  };
  const { json } = await post(pair, '/lookups', { ...ASK, deadlineMs: 10_000 });
  t.match(json, { outcome: 'refused', code: 'DEADLINE_PASSED' });
  t.equal(kinds(pair.provider, json.id), 'request-received,refusal-sent');
  t.equal(entries(pair.provider, json.id)[0]?.code, 'DEADLINE_PASSED');
  t.equal(pair.backend.seen.length, 0, 'the backend was not asked');
  log.append = append;
  pair.backend.answer = () => {};
  const { state } = pair.provider.parts;
  const service = state.service(SERVICE);
  if (service !== null) state.putService({ ...service, timeoutMs: 60_000 });
  const startedMs = performance.now();
  const slow = await post(pair, '/lookups', { ...ASK, deadlineMs: 400 });
  t.match(slow.json.outcome, /unknown|provider-error/);
  t.ok(performance.now() - startedMs < 30_000, 'the backend gets what is left, not its own minute');
});

function open(pair: Pair): Promise<TLSSocket> {
  const { certPem, key } = pair.identities.consumer.keys.authentication as unknown as {
    certPem: string;
    key: { export(o: object): string };
  };
  const { hostname, port } = new URL(pair.provider.urls.peer);
  const keyPem = key.export({ type: 'pkcs8', format: 'pem' });
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: hostname,
      port: Number(port),
      cert: certPem,
      key: keyPem,
      rejectUnauthorized: false,
    });
    socket
      .on('error', () => {})
      .once('secureConnect', () => resolve(socket))
      .once('error', reject);
  });
}

t.test('connections of one certificate', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const sockets: TLSSocket[] = [];
  for (let at = 0; at < MAX_CONNECTIONS_PER_PEER; at += 32) {
    sockets.push(...(await Promise.all(Array.from({ length: 32 }, () => open(pair)))));
  }
  await settled();
  t.equal(sockets.filter(({ destroyed }) => destroyed).length, 0, 'as many as allowed');
  const one = await open(pair);
  await once(one, 'close');
  t.pass('one more is closed');
  sockets.pop()?.destroy();
  let again = await open(pair);
  // The server may not have heard yet that a place is free.
  for (let tries = 0; tries < 100; tries += 1) {
    await settled();
    if (!again.destroyed) break;
    again = await open(pair);
  }
  t.equal(again.destroyed, false, 'a place that was given back is taken again');
  for (const socket of [...sockets, again]) socket.destroy();
});

t.test('tickets of one peer never push out those of another', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const { channels } = pair.provider.parts;
  const provider = pair.configuration.entries.get(PROVIDER) as ServerEntry;
  const [key] = provider.encryptionKeys;
  if (key === undefined) throw new TypeError('no key');
  const to = { kid: key.kid, key: importPublicJwk(key.jwk, 'enc') };
  const from = (id: string) => makeTicket(id, PROVIDER, to, Date.now());
  const quiet = await from('DEV/GOV/3003/ss3');
  const kept = await channels.open(quiet.jwe, quiet.from);
  const first = await from(CONSUMER);
  const opened = await channels.open(first.jwe, CONSUMER);
  for (let at = 1; at < MAX_OPEN_TICKETS_PER_PEER; at += 1) await channels.open((await from(CONSUMER)).jwe, CONSUMER);
  t.equal(await channels.open(first.jwe, CONSUMER), opened, 'all of them are remembered');
  await channels.open((await from(CONSUMER)).jwe, CONSUMER);
  t.not(await channels.open(first.jwe, CONSUMER), opened, 'one more pushes out the oldest');
  t.equal(await channels.open(quiet.jwe, quiet.from), kept, 'of the same peer only');
});

t.test('places of one information system, headers of one request', async (t) => {
  const admission = openAdmission();
  const leave = Array.from({ length: MAX_IN_FLIGHT_PER_SYSTEM }, () => admission.enter('system', 'a'));
  t.throws(() => admission.enter('system', 'a'), { code: 'SERVER_BUSY' });
  admission.enter('system', 'b')();
  leave[0]?.();
  admission.enter('system', 'a')();
  t.equal(admission.inFlight, 0, 'a share within the budget, no part of it');

  const pair = await openPair();
  t.teardown(() => pair.close());
  const ask = (count: number) =>
    new Promise<number>((resolve, reject) => {
      const sent = httpRequest(`${pair.consumer.urls.health}/livez`, { agent: false }, (answer) => {
        answer.resume().once('end', () => resolve(answer.statusCode ?? 0));
      });
      // host and connection are two of them
      for (let at = 2; at < count; at += 1) sent.setHeader(`x-${at}`, '1');
      sent.once('error', reject).end();
    });
  t.equal(await ask(MAX_HTTP_HEADERS), 200);
  t.equal(await ask(MAX_HTTP_HEADERS + 1), 431);
  t.equal(await ask(10 * MAX_HTTP_HEADERS), 431, 'also far above, where Node itself would drop some');
});

const context = (over: Partial<RequestContext>): RequestContext => ({
  ...BARE_REQUEST,
  method: 'GET',
  path: '',
  caller: 'loopback',
  deadlineMs: 1,
  ...over,
});
const parsed = (over: Partial<RequestContext>) => parseRequestContext(encodeRequestContext(context(over)));
const pairs = (count: number, bytes = 1): [string, string][] =>
  Array.from({ length: count }, (_, at) => [`h${at}`, 'v'.repeat(bytes)]);
/** A context of exactly so many bytes, in headers that are each within their own limit. */
const ofSize = (bytes: number): Partial<RequestContext> => {
  const headers = pairs(10, 6_400);
  const missing = bytes - encodeRequestContext(context({ headers })).length;
  headers[9] = ['h9', 'v'.repeat(6_400 + missing)];
  return { headers };
};
const seats = (kind: 'sender' | 'service', count: number, name: (at: number) => string) => {
  const admission = openAdmission();
  for (let at = 0; at < count; at += 1) admission.enter(kind, name(at));
};
const call = (over: object) =>
  readCall(
    { client: CLIENT, service: SERVICE, ...over } as never,
    { authenticate: () => 'loopback' as const },
    {} as never,
  );

// Each runs at its limit and fails one above it.
const edges: [name: string, limit: number, run: (size: number) => unknown][] = [
  [
    'MAX_BODY_BYTES',
    MAX_BODY_BYTES,
    (size) => call({ body: Buffer.alloc(size).toString('base64'), bodyEncoding: 'base64' }),
  ],
  ['MAX_CONTEXT_BYTES', MAX_CONTEXT_BYTES, (size) => parsed(ofSize(size))],
  ['MAX_PATH_BYTES', MAX_PATH_BYTES, (size) => parsed({ path: 'p'.repeat(size) })],
  ['MAX_PATH_BYTES of a call', MAX_PATH_BYTES, (size) => servicePath(`/${'p'.repeat(size - 1)}`)],
  ['MAX_QUERY_BYTES', MAX_QUERY_BYTES, (size) => parsed({ query: 'q'.repeat(size) })],
  ['MAX_QUERY_BYTES of a call', MAX_QUERY_BYTES, (size) => call({ query: { q: 'q'.repeat(size - 2) } })],
  ['MAX_HEADERS', MAX_HEADERS, (size) => parsed({ headers: pairs(size) })],
  ['MAX_HEADER_VALUE_BYTES', MAX_HEADER_VALUE_BYTES, (size) => parsed({ headers: pairs(1, size) })],
  ['MAX_DEADLINE_MS', MAX_DEADLINE_MS, (size) => parsed({ deadlineMs: size })],
  ['MAX_JSON_BYTES', MAX_JSON_BYTES, (size) => parseJson(`"${'x'.repeat(size - 2)}"`)],
  ['MAX_JSON_DEPTH', MAX_JSON_DEPTH, (size) => parseJson('['.repeat(size) + ']'.repeat(size))],
  ['MAX_JSON_VALUES', MAX_JSON_VALUES, (size) => parseJson(JSON.stringify(Array(size - 1).fill(0)))],
  ['MAX_IN_FLIGHT_PER_PEER', MAX_IN_FLIGHT_PER_PEER, (size) => seats('sender', size, () => 'a')],
  ['MAX_IN_FLIGHT_PER_SERVICE', MAX_IN_FLIGHT_PER_SERVICE, (size) => seats('service', size, () => 'a')],
  ['MAX_EXCHANGES_IN_FLIGHT', MAX_EXCHANGES_IN_FLIGHT, (size) => seats('sender', size, (at) => `${at % 8}`)],
];

t.test('each limit at its edge', async (t) => {
  for (const [name, limit, run] of edges) {
    t.doesNotThrow(() => run(limit), `${name}: ${limit}`);
    t.throws(() => run(limit + 1), { name: 'AccordError' }, `${name}: one more`);
  }
  const app = openServer({ name: 'test' });
  t.equal(app.server.maxConnections, MAX_CONNECTIONS, 'of one port');
});
