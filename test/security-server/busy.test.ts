// A full server: who is refused, in which form, and what is read of a request for which there is no place.
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import t from 'tap';
import { MAX_IN_FLIGHT_PER_PEER, MAX_IN_FLIGHT_PER_SYSTEM } from '#schemas/limits.ts';
import { CLIENT, openPair, SERVICE } from '#scripts/campaign/pair.ts';
import { openAdmission } from '#security-server/admission.ts';
import { openBusyDesk } from '#security-server/consumer/busy.ts';

const ASK = JSON.stringify({ client: CLIENT, service: SERVICE, method: 'GET', path: '/x' });
const head = (target: string, length: number | string, more = '') =>
  `POST ${target} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n${more}${
    typeof length === 'number' ? `content-length: ${length}` : length
  }\r\n\r\n`;

/** What comes for these bytes until the connection ends, or until so many answers came. */
async function say(url: string, bytes: string, answers = Number.POSITIVE_INFINITY): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(bytes);
  let all = '';
  socket.on('data', (chunk: Buffer) => {
    all += chunk.toString();
    if (all.split('HTTP/1.1 ').length > answers && all.endsWith('}')) socket.destroy();
  });
  await once(socket, 'close');
  return all;
}

t.test('a full server answers the head, whatever is behind it', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const { parts, urls } = pair.consumer;
  const places = Array.from({ length: MAX_IN_FLIGHT_PER_PEER }, () => parts.admission.enter('sender', parts.self));
  const sizeBefore = parts.log.size();
  const loopback = urls.loopback ?? '';
  const cases: [string, string, number, RegExp][] = [
    ['a lookup', head('/lookups', ASK.length) + ASK, 1, /"code":"SERVER_BUSY".*"outcome":"not-sent"/],
    [
      'the next one on the same connection',
      (head('/lookups', ASK.length) + ASK).repeat(3),
      3,
      /(?:SERVER_BUSY[\s\S]*){3}/,
    ],
    ['a body that never comes', head('/lookups', 1_000), 1, /SERVER_BUSY/],
    [
      'a large one, with the end of the connection',
      head('/lookups', 500_000),
      Infinity,
      /connection: close[\s\S]*SERVER_BUSY/i,
    ],
    [
      'one of unknown length, too',
      head('/lookups', 'transfer-encoding: chunked'),
      Infinity,
      /connection: close[\s\S]*BUSY/i,
    ],
    ['one that cannot be read', head('/lookups', 'transfer-encoding: gzip'), Infinity, /connection: close[\s\S]*BUSY/i],
    [
      'the protocol of X-Road',
      head(`/r1/${SERVICE}/x`, 0, `x-road-client: ${CLIENT}\r\n`),
      1,
      /^HTTP\/1\.1 500[\s\S]*X-Road-Error: Server\.ClientProxy\./,
    ],
    ['a path that nobody knows', head('/nowhere', 0), 1, /SERVER_BUSY/],
  ];
  for (const [name, bytes, answers, wanted] of cases) {
    const told = await say(loopback, bytes, answers);
    t.match(told, wanted, name);
    t.match(told, /retry-after: 1\r\n/, `${name}: when to try again`);
  }
  t.equal(parts.log.size(), sizeBefore, 'nothing was logged');
  t.equal(pair.backend.seen.length, 0);
  const metrics = await (await fetch(`${urls.health}/metrics`)).text();
  t.match(metrics, /\naccord_busy_total 10\n/, 'all are counted');
  for (const leave of places) leave();
  const answer = await new Promise<number>((resolve) => {
    const options = { method: 'POST', agent: false as const, headers: { 'content-type': 'application/json' } };
    httpRequest(`${loopback}/lookups`, options, (got) => resolve(got.resume().statusCode ?? 0)).end(ASK);
  });
  t.equal(answer, 200, 'with places there are answers');
  t.equal(parts.admission.inFlight, 0);
});

t.test('one system’s share; many refusals are one line a second', async (t) => {
  const admission = openAdmission();
  const lines: object[] = [];
  let [nowMs, count] = [0, 0];
  const desk = openBusyDesk({
    admission,
    self: 'DEV/GOV/1001/ss1',
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    logger: { warn: (line: object) => lines.push(line) } as never,
    metrics: { busy: () => (count += 1) } as never,
    xroadSnakeCase: true,
  });
  const [mine, other] = [{ socket: {} }, { socket: {} }];
  const ask = ({ socket }: { socket: object }, url = '/lookups') => desk.refusal({ url, headers: {}, socket } as never);
  const leave = Array.from({ length: MAX_IN_FLIGHT_PER_SYSTEM }, () => admission.enter('system', 'a'));
  t.equal(ask(mine), null, 'a connection of which nothing is known yet');
  desk.knows(mine.socket as never, 'a');
  desk.knows(other.socket as never, 'b');
  t.match(ask(mine), { status: 503 });
  t.equal(ask(other), null, 'another system has its own share');
  t.match(Object.fromEntries(ask(mine, '/r1/x')?.headers ?? []), {
    'X-Road-Error': 'server.client_proxy.internal_error',
  });
  leave[0]?.();
  t.equal(ask(mine), null);
  for (; admission.inFlight < MAX_IN_FLIGHT_PER_PEER; ) admission.enter('sender', 'DEV/GOV/1001/ss1');
  for (let at = 0; at < 100; at += 1) ask(other);
  nowMs = 1_000;
  ask(other);
  t.same(
    lines.map((line) => (line as { refused: number }).refused),
    [1, 102],
    'the first at once, then a sum',
  );
  t.equal(count, 103);
  admission.stop();
  t.equal(ask(other), null, 'a server that stops says so itself');
});
