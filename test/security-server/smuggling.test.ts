// Requests and answers that two readers could cut differently, over raw sockets (RFC 9112): on the ports of information
// systems, and between the provider's server and its backend. The backend sees exactly the requests that were sent, or
// none; nothing else is logged; every answer belongs to its request, and refusals are told in X-Road's form.

import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';

const R1 = `/r1/${SERVICE}`;
const WHO = `Host: a\r\nX-Road-Client: ${CLIENT}\r\n`;
const NEXT = `GET ${R1}/next HTTP/1.1\r\n${WHO}Connection: close\r\n\r\n`;
const get = (head: string, version = '1.1') => `GET ${R1}/x HTTP/${version}\r\n${WHO}${head}\r\n`;
const post = (head: string, body = '', version = '1.1') => `POST ${R1}/x HTTP/${version}\r\n${WHO}${head}\r\n${body}`;
const chunked = (body: string, head = '') => post(`${head}Transfer-Encoding: chunked\r\n`, body);
const ABC = '3\r\nabc\r\n0\r\n\r\n';

interface Told {
  statuses: string;
  /** Answers that say they are an error of the exchange. */
  errors: string[];
  text: string;
}

/** Opens a connection to a port of the consumer's server. */
type Port = () => Socket;

function plainPort({ consumer }: Pair): Port {
  const { hostname, port } = new URL(consumer.urls.loopback ?? '');
  return () => connect(Number(port), hostname);
}

/** With a certificate that is registered for the client. */
async function tlsPort({ consumer, authority }: Pair): Promise<Port> {
  const { hostname: host, port } = new URL(consumer.urls.systems ?? '');
  const { certPem: cert, keyPem: key, certificateHash } = await authority.system(CLIENT);
  consumer.parts.state.putSystem({ subsystem: CLIENT, name: 'raw', certificateHash });
  return () => connectTls({ host, port: Number(port), cert, key, rejectUnauthorized: false });
}

/** Sends all of it at once and reads until the server closes, or says no more. */
function send(open: Port, text: string, later = ''): Promise<Told> {
  return new Promise((resolve) => {
    const socket = open();
    let got = '';
    let more = later;
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      const statuses = [...got.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status).join();
      resolve({
        statuses,
        errors: [...got.matchAll(/^X-Road-Error: (.*)\r/gim)].map((each) => each[1] ?? ''),
        text: got,
      });
    };
    const timer = setTimeout(done, 5_000);
    socket.on('data', (chunk) => {
      got += chunk.toString('latin1');
      if (more !== '') socket.write(more);
      more = '';
    });
    socket.on('close', done);
    socket.on('error', done);
    socket.write(Buffer.from(text, 'latin1'));
  });
}

const exchanges = ({ consumer, provider }: Pair) =>
  [consumer, provider].map(
    ({ parts }) =>
      parts.log.read(0, 100_000).filter(({ entry }) => /^re(?:quest|sponse|fusal)-/.test(entry.kind)).length,
  );

/** Refused: a status of 400 in X-Road's form, the connection closed, and nothing behind it run. */
const REFUSED: [string, string][] = [
  ['obs-fold', get('X-A: b\r\n c\r\n')],
  ['obs-fold of an identity', `GET ${R1}/x HTTP/1.1\r\nHost: a\r\nX-Road-Client: DEV/GOV/1001\r\n /consumer\r\n\r\n`],
  ['a length twice', post('Content-Length: 3\r\nContent-Length: 3\r\n', 'abc')],
  ['two lengths', post('Content-Length: 3\r\nContent-Length: 4\r\n', 'abc')],
  ['a list of lengths', post('Content-Length: 3, 3\r\n', 'abc')],
  ['a signed length', post('Content-Length: +3\r\n', 'abc')],
  ['a negative length', post('Content-Length: -3\r\n', 'abc')],
  ['a length in hex', post('Content-Length: 0x3\r\n', 'abc')],
  ['an empty length', post('Content-Length: \r\n', 'abc')],
  ['a length over 2^64', post('Content-Length: 18446744073709551619\r\n', 'abc')],
  ['a length, then chunked', post('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
  ['chunked, then a length', post('Transfer-Encoding: chunked\r\nContent-Length: 3\r\n', '0\r\n\r\n')],
  ['chunked twice', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', ABC)],
  ['chunked twice in a list', post('Transfer-Encoding: chunked, chunked\r\n', ABC)],
  ...[
    'xchunked',
    'identity',
    'gzip, chunked',
    'chunked, identity',
    'chunked;q=1',
    '\x0bchunked',
    '"chunked"',
    '',
    'chunked\0',
  ].map((coding): [string, string] => [
    `coding ${JSON.stringify(coding)}`,
    post(`Transfer-Encoding: ${coding}\r\n`, ABC),
  ]),
  ['chunked in HTTP/1.0', post('Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n', ABC, '1.0')],
  ['a bad chunk size', chunked('zz\r\nabc\r\n0\r\n\r\n')],
  ['a bad chunk size later', chunked('3\r\nabc\r\nzz\r\n')],
  ['a chunk size with 0x', chunked('0x3\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size that is too small', chunked('2\r\nabc\r\n0\r\n\r\n')],
  ['a negative chunk size', chunked('-3\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size and a space', chunked('3 \r\nabc\r\n0\r\n\r\n')],
  ['a chunk size over 2^64', chunked('10000000000000003\r\nabc\r\n0\r\n\r\n')],
  ['chunks with bare LF', chunked('3\nabc\n0\n\n')],
  ['a chunk extension with bare LF', chunked(`3;a\nxx\r\nabc\r\n0\r\n\r\n`)],
  ['a chunk extension that is too long', chunked(`3;${'a'.repeat(40_000)}\r\nabc\r\n0\r\n\r\n`)],
  ['a length in a trailer', chunked('3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n')],
  ['a trailer with a space', chunked('3\r\nabc\r\n0\r\nX T: 1\r\n\r\n')],
  ['a space before the colon', get('X-A : b\r\n')],
  ['a space before the length’s colon', post('Content-Length : 3\r\n', 'abc')],
  ['NUL in a value', get('X-A: a\0b\r\n')],
  ['CR in a value', get('X-A: a\rX-Road-Id: b\r\n')],
  ['LF in a value', get('X-A: a\nX-Road-Id: b\r\n')],
  ['DEL in a value', get('X-A: a\x7fb\r\n')],
  ['bare LF as line ends', get('').replaceAll('\r\n', '\n')],
  ['white space before the first header', `GET ${R1}/x HTTP/1.1\r\n X-Evil: 1\r\n${WHO}\r\n`],
  ['a header without a colon', get('abc\r\n')],
  ['a header without a name', get(': x\r\n')],
  ['a name with a byte over 127', get('X-A\xa0: x\r\n')],
  ['a line that is too long', get(`X-A: ${'a'.repeat(100_000)}\r\n`)],
  ['a target that is too long', get('').replace('/x', `/${'a'.repeat(100_000)}`)],
  ['HTTP/0.9 with a version', get('', '0.9')],
  ['HTTP/2.0', get('', '2.0')],
  ['HTTP/1.2', get('', '1.2')],
  ['a method in lower case', get('').replace('GET', 'get')],
  ['a method that nobody knows', get('').replace('GET', 'FOO')],
  ['a method of other protocols', get('').replace('GET', 'PROPFIND')],
  ['a method that is not relayed', get('').replace('GET', 'QUERY')],
  ['a tunnel', get('').replace('GET', 'CONNECT')],
];

/** Refused by what it says; its end is certain, and the next request is answered. */
const REFUSED_ALONE: [string, string][] = [
  ['absolute form', get('').replace('/r1', 'http://evil/r1')],
  ['absolute form, own host', get('').replace('/r1', 'https://a:8443/r1')],
  ['Host twice', get('Host: a\r\n')],
  ['no Host', `GET ${R1}/x HTTP/1.1\r\nX-Road-Client: ${CLIENT}\r\n\r\n`],
  ['a twin of the identity', get('X_Road_Client: x\r\n')],
  ['another twin', get('x-road_client: x\r\n')],
  ['a twin to CGI', get('X.Road.Client: x\r\n')],
  ['the identity twice', get(`X-Road-Client: ${CLIENT}\r\n`)],
  ['a twin of Accord’s', get('accord_client: x\r\n')],
  ['a twin of the length', post('Content_Length: 3\r\n')],
  ['a twin of the coding', post('Transfer_Encoding: chunked\r\nContent-Length: 3\r\n', 'abc')],
  ['too many headers', get('X-A: 1\r\n'.repeat(100))],
  ['an unknown expectation', post('Expect: x\r\nContent-Length: 3\r\n', 'abc')],
];

/** Run once each, with this method and body. */
const PASSED: [string, string, string, string][] = [
  ['chunked', chunked(ABC), 'POST', 'abc'],
  ['Chunked', post('Transfer-Encoding: Chunked\r\n', ABC), 'POST', 'abc'],
  ['a chunk extension', chunked('3;a=b\r\nabc\r\n0;c\r\n\r\n'), 'POST', 'abc'],
  [
    'trailers with identity names',
    chunked('3\r\nabc\r\n0\r\nX-Road-Client: evil\r\naccord-client: evil\r\nX-Road-Id: evil\r\n\r\n'),
    'POST',
    'abc',
  ],
  ['a length with zeros', post('Content-Length: 003\r\n', 'abc'), 'POST', 'abc'],
  ['no length', post(''), 'POST', ''],
  ['GET with a body', `${get('Content-Length: 3\r\n')}abc`, 'GET', 'abc'],
  ['GET with a request as its body', get(`Content-Length: ${NEXT.length}\r\n`) + NEXT, 'GET', NEXT],
  [
    'TRACE with a request as its body',
    `${get(`Content-Length: ${NEXT.length}\r\n`).replace('GET', 'TRACE')}${NEXT}`,
    'TRACE',
    NEXT,
  ],
  [
    'DELETE with a request in chunks',
    `${get('Transfer-Encoding: chunked\r\n').replace('GET', 'DELETE')}${NEXT.length.toString(16)}\r\n${NEXT}\r\n0\r\n\r\n`,
    'DELETE',
    NEXT,
  ],
  [
    'names that are not for callers',
    get('X-Road-Service: y\r\naccord-client: evil\r\nX-Road-Request-Id: z\r\n'),
    'GET',
    '',
  ],
  ['an identity named by Connection', get('Connection: x-road-client, x-a\r\nX-A: 1\r\n'), 'GET', ''],
  ['100-continue', post('Expect: 100-continue\r\nContent-Length: 3\r\n', 'abc'), 'POST', 'abc'],
  ['empty lines in front', `\r\n\r\n${get('')}`, 'GET', ''],
];

t.test('at the ports of information systems', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  await t.test('plain', (t) => cutOneWay(t, pair, plainPort(pair)));
  await t.test('TLS', async (t) => cutOneWay(t, pair, await tlsPort(pair)));
});

async function cutOneWay(t: Test, pair: Pair, port: Port): Promise<void> {
  const { seen } = pair.backend;
  const arrived = (from: number) => seen.slice(from).map(({ method, url, body }) => `${method} ${url} ${body}`);
  for (const [name, text] of REFUSED) {
    const [before, logged] = [seen.length, exchanges(pair)];
    const told = await send(port, text + NEXT);
    // Where the parser stops in a later packet than the request line's, nobody knows any more for whom it was; and who
    // still sends when the connection closes may lose what was said.
    const isCutOff = name.endsWith('that is too long') && !told.statuses.startsWith('400');
    if (isCutOff) t.match([told.statuses, told.errors], [/^(?:431)?$/, []], name);
    else t.same([told.statuses, told.errors], ['400', ['Client.BadRequest']], name);
    t.same([arrived(before), exchanges(pair)], [[], logged], name);
  }
  for (const [name, text] of REFUSED_ALONE) {
    const [before, [logged = 0]] = [seen.length, exchanges(pair)];
    const told = await send(port, text + NEXT);
    t.same([told.statuses, told.errors], ['400,200', ['Client.BadRequest']], name);
    t.same([arrived(before), exchanges(pair)[0]], [['GET /base/next '], logged + 2], name);
  }
  for (const [name, text, method, body] of PASSED) {
    const before = seen.length;
    const told = await send(port, text + NEXT);
    t.equal(told.statuses.replace(/^100,/, ''), '200,200', name);
    t.same(arrived(before).sort(), [`${method} /base/x ${body}`, 'GET /base/next '].sort(), name);
    for (const { headers } of seen.slice(before)) {
      t.notOk(
        headers.some((each) => /evil|^[yz]$|^consent$/.test(each)),
        name,
      );
      t.equal(headers.filter((each) => /^x.road.client$/i.test(each)).length, 1, name);
    }
  }
  t.equal(pair.consumer.parts.spool.held() + pair.provider.parts.spool.held(), 0);
}

t.test('an answer belongs to its request', async (t) => {
  const pair = await openPair();
  const port = plainPort(pair);
  t.teardown(() => pair.close());
  const plain = get('');
  const cases: [string, string, string, number][] = [
    ['garbage behind a request', `${plain}garbage\r\n\r\n`, '200,400', 1],
    ['a body that is longer than its length', `${post('Content-Length: 2\r\n', 'abc')}${NEXT}`, '200,400', 1],
    ['a bad body behind a request', `${plain}${chunked('zz\r\n')}`, '', 1],
    [
      'a length that takes in the next request',
      post(`Content-Length: ${3 + NEXT.length}\r\nConnection: close\r\n`, `abc${NEXT}`),
      '200',
      1,
    ],
    ['HTTP/1.0', get('', '1.0') + NEXT, '200', 1],
    ['HTTP/0.9', `GET ${R1}/x\r\nConnection: close\r\n\r\n`, '400', 0],
  ];
  for (const [name, text, statuses, requests] of cases) {
    const before = pair.backend.seen.length;
    const told = await send(port, text);
    if (statuses !== '') t.equal(told.statuses, statuses, name);
    else t.notMatch(told.statuses, /^400/, name);
    t.ok(pair.backend.seen.length - before <= requests, name);
  }
  // Java's client asks for h2c with each first request; it is not spoken, and the connection goes on.
  const upgrade = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n';
  for (const first of [get(upgrade), post(`${upgrade}Content-Length: 3\r\n`, 'abc'), chunked(ABC, upgrade)]) {
    const told = await send(port, first, NEXT);
    t.equal(told.statuses, '200,200', 'h2c');
    const headers = pair.backend.seen.at(-2)?.headers.map((each) => each.toLowerCase()) ?? [];
    t.notOk(headers.some((each) => /^(?:upgrade|http2-settings)$/.test(each)));
  }
  const xml = await send(port, get('Accept: text/xml\r\nX-A : b\r\n'));
  t.match(xml.text, /content-type: text\/xml\r[\s\S]*<error><type>Client\.BadRequest<\/type>/);
  const elsewhere = await send(port, 'GET /catalogue HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n');
  t.match(elsewhere.text, /application\/problem\+json\r[\s\S]*REQUEST_MALFORMED/);
});

/** A backend that answers with these bytes and counts what reaches it. */
async function openRawBackend() {
  const sockets = new Set<Socket>();
  const backend = { url: '', requests: [] as string[], answer: (_socket: Socket) => {}, close: () => {} };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      backend.requests.push(chunk.toString('latin1'));
      backend.answer(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  backend.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/base`;
  backend.close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return backend;
}

t.test('between the provider’s server and its backend', async (t) => {
  const pair = await openPair();
  const port = plainPort(pair);
  const backend = await openRawBackend();
  t.teardown(async () => {
    await pair.close();
    backend.close();
  });
  const service = pair.provider.parts.state.service(SERVICE);
  if (service === null) throw new TypeError('registered');
  pair.provider.parts.state.putService({ ...service, url: backend.url, timeoutMs: 2_000 });
  const [OK, SPLIT] = ['HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'];
  const malformed: [string, string][] = [
    ['a length twice', `${OK}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`],
    ['two lengths', `${OK}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`],
    ['a length and chunked', `${OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n${ABC}`],
    ['a bad chunk size', `${OK}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n`],
    ['CR in a value', `${OK}X-A: a\rX-B: b\r\nContent-Length: 0\r\n\r\n`],
    ['LF in a value', `${OK}X-A: a\nX-B: b\r\nContent-Length: 0\r\n\r\n`],
    ['NUL in a value', `${OK}X-A: a\0b\r\nContent-Length: 0\r\n\r\n`],
    ['obs-fold', `${OK}X-A: a\r\n b\r\nContent-Length: 0\r\n\r\n`],
    ['a space before the colon', `${OK}X-A : a\r\nContent-Length: 0\r\n\r\n`],
    ['a tunnel', 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nevil'],
    ['no HTTP', 'evil\r\n\r\n'],
    ['a header that is too long', `${OK}X-A: ${'a'.repeat(100_000)}\r\n\r\n`],
    ['less than it said', 'close'],
  ];
  for (const [name, bytes] of malformed) {
    const before = backend.requests.length;
    backend.answer = (socket) => {
      if (bytes === 'close') socket.end(`${OK}Content-Length: 9\r\n\r\nabc`);
      else socket.write(Buffer.from(bytes, 'latin1'));
    };
    const told = await send(port, NEXT);
    t.equal(told.statuses, '500', name);
    t.match(told.errors, [/^Server\.ServerProxy\./], name);
    t.notMatch(told.text, /evil|^X-[AB]:/im, name);
    t.equal(backend.requests.length, before + 1, `${name}: asked once`);
  }
  const passed: [string, string, RegExp][] = [
    ['a second answer behind the first', `${OK}Content-Length: 3\r\n\r\nabc${SPLIT}`, /abc$/],
    [
      'interim answers',
      `${'HTTP/1.1 103 Early Hints\r\nX-Road-Error: evil\r\n\r\n'.repeat(200)}${OK}Content-Length: 3\r\n\r\nabc`,
      /abc$/,
    ],
    ['chunked twice', `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${ABC}`, /abc$/],
    [
      'spoofed headers',
      `${OK}X-Road-Error: evil\r\nX_Road_Error: evil\r\nx-road-id: evil\r\naccord-client: evil\r\nContent-Length: 3\r\n\r\nabc`,
      /abc$/,
    ],
    ['trailers', `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Road-Error: evil\r\n\r\n`, /abc$/],
    ['204 with a body', `HTTP/1.1 204 No Content\r\n\r\n${SPLIT}`, /\r\n\r\n$/],
  ];
  for (const [name, bytes, end] of passed) {
    backend.answer = (socket) => socket.write(bytes);
    const told = await send(port, NEXT);
    t.match(told.statuses, /^20[04]$/, name);
    t.match(told.text, end, name);
    t.notMatch(told.text, /evil/, name);
  }
  // What was left of a hostile answer is not the next one's.
  backend.answer = (socket) => socket.write(`${OK}Content-Length: 4\r\n\r\nnext`);
  t.match((await send(port, NEXT)).text, /next$/);
});
