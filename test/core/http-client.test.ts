// The bounded client against real sockets: what is known about the request after each way to fail, the pin, the caps,
// and that bytes, header order and paths pass unchanged.

import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import t, { type Test } from 'tap';
import { openClient } from '#core/http/client.ts';
import { selfSigned } from '#test/self-signed.ts';

interface Raw {
  origin: string;
  port: number;
  received: Buffer[];
  connections(): number;
}

/** A TCP server that gathers what it receives and lets `onBytes` answer. */
async function rawServer(
  test: Pick<typeof t, 'teardown'>,
  onBytes: (socket: net.Socket, soFar: string) => void,
): Promise<Raw> {
  const received: Buffer[] = [];
  let connections = 0;
  const server = net.createServer((socket) => {
    connections += 1;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      received.push(chunk);
      onBytes(socket, Buffer.concat(received).toString('latin1'));
    });
    test.teardown(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.teardown(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, port, received, connections: () => connections };
}

const HEAD = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${HEAD}transfer-encoding: chunked\r\n\r\n`;
const ok = (body: string) => `${HEAD}content-length: ${body.length}\r\n\r\n${body}`;

t.test('after each failure the code says whether the request may have been received', async (t) => {
  const giveUp = new AbortController();
  const closed = await rawServer(t, () => giveUp.abort());
  const free = net.createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const unusedPort = (free.address() as net.AddressInfo).port;
  free.close();
  await once(free, 'close');

  const cases: [string, string, (socket: net.Socket, soFar: string) => void, number][] = [
    ['silence', 'PEER_TIMEOUT', () => {}, 1],
    ['reset before an answer', 'PEER_BROKE_OFF', (socket) => socket.resetAndDestroy(), 1],
    ['end before an answer', 'PEER_BROKE_OFF', (socket) => socket.end(), 1],
    ['half a head', 'PEER_BROKE_OFF', (socket) => socket.end('HTTP/1.1 200 O'), 1],
    ['half a body', 'PEER_BROKE_OFF', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'), 1],
    ['half a chunk', 'PEER_BROKE_OFF', (s) => s.end(`${CHUNKED}9\r\nhalf`), 1],
    ['not HTTP', 'PEER_BROKE_OFF', (socket) => socket.end('SSH-2.0-hello\r\n'), 1],
    ['an answer that drips', 'PEER_TIMEOUT', (s) => s.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha'), 1],
    ['stated length over the cap', 'RESPONSE_TOO_LARGE', (s) => s.write(`${HEAD}content-length: 65\r\n\r\n`), 1],
    ['chunks over the cap', 'RESPONSE_TOO_LARGE', (s) => s.write(`${CHUNKED}41\r\n${'x'.repeat(65)}\r\n`), 1],
    ['a head over the cap', 'PEER_BROKE_OFF', (s) => s.write(`${HEAD}x: ${'x'.repeat(33 * 1024)}\r\n\r\n`), 1],
    [
      'switching protocols',
      'PEER_BROKE_OFF',
      (s) => s.write('HTTP/1.1 101 No\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
      1,
    ],
  ];
  for (const [name, code, answer, requests] of cases) {
    const server = await rawServer(t, answer);
    const client = openClient({ timeoutMs: 300, maxResponseBytes: 64 });
    await t.rejects(
      client.request({ origin: server.origin, method: 'POST', path: '/', body: Buffer.from('once') }),
      { code },
      name,
    );
    t.equal(server.connections(), requests, `${name}: asked once, not again`);
    await client.close();
  }

  const client = openClient({ timeoutMs: 300, connectTimeoutMs: 200 });
  await t.rejects(client.request({ origin: `http://127.0.0.1:${unusedPort}`, method: 'GET', path: '/' }), {
    code: 'PEER_UNREACHABLE',
  });
  await t.rejects(client.request({ url: 'http://name.invalid/', method: 'GET' }), { code: 'PEER_UNREACHABLE' });
  await t.rejects(
    client.request({ origin: closed.origin, method: 'GET', path: '/', signal: AbortSignal.abort() }),
    { code: 'PEER_UNREACHABLE' },
    'given up before it began',
  );
  t.equal(closed.received.length, 0);
  await t.rejects(
    client.request({ origin: closed.origin, method: 'GET', path: '/', signal: giveUp.signal }),
    { code: 'PEER_BROKE_OFF' },
    'given up on the way',
  );
  const deaf = await rawServer(t, () => {});
  const hasty = openClient({ timeoutMs: 20_000, connectTimeoutMs: 100 });
  const startedMs = performance.now();
  const shaken = hasty.request({ origin: deaf.origin.replace('http', 'https'), method: 'GET', path: '/' });
  await t.rejects(shaken, { code: 'PEER_UNREACHABLE' }, 'a handshake that does not end');
  t.ok(performance.now() - startedMs < 10_000, 'connecting has a limit of its own');
  await Promise.all([hasty.close(), client.close()]);
  for (const { origin } of [closed, deaf]) {
    await t.rejects(client.request({ origin, method: 'GET', path: '/' }), { code: 'PEER_UNREACHABLE' }, 'closed');
  }
});

const STALLED_MS = 100;

/** The longest time since `begin` in which this process did nothing at all, as on a busy machine. */
function watchStalls(t: Test): { begin(): void; longestMs(): number } {
  let [lastMs, longest] = [performance.now(), 0];
  const look = () => {
    const nowMs = performance.now();
    longest = Math.max(longest, nowMs - lastMs);
    lastMs = nowMs;
  };
  const timer = setInterval(look, 10);
  t.teardown(() => clearInterval(timer));
  return {
    begin: () => {
      [lastMs, longest] = [performance.now(), 0];
    },
    longestMs: () => {
      look();
      return longest;
    },
  };
}

t.test('an answer of which the peer says that it goes on', async (t) => {
  const processing = 'HTTP/1.1 102 Processing\r\n\r\n';
  const never = await rawServer(t, (socket) => {
    const timer = setInterval(() => socket.write(processing), 20);
    socket.once('close', () => clearInterval(timer));
  });
  const later = await rawServer(t, (socket) => {
    socket.write(processing);
    setTimeout(() => socket.write(processing), 250);
    setTimeout(() => socket.write(ok('late')), 450);
  });
  const once102 = await rawServer(t, (socket) => void socket.write(processing));
  const client = openClient({ streamIdleMs: 300 });
  t.teardown(() => client.close());
  let questions = 0;
  const goesOn = () => {
    questions += 1;
    return 700;
  };
  const cases: [string, Raw, { goesOn?: () => number }, string, number, number][] = [
    ['is waited for, not for ever', never, { goesOn }, 'PEER_TIMEOUT', 800, 2_000],
    ['is not waited for where nobody asked for it', never, {}, 'PEER_TIMEOUT', 190, 700],
    ['nor where there is no more time', never, { goesOn: () => 0 }, 'PEER_TIMEOUT', 190, 700],
    ['may come', later, { goesOn }, '200', 400, 1_500],
    ['falls silent', once102, { goesOn }, 'PEER_TIMEOUT', 280, 790],
  ];
  const stalls = watchStalls(t);
  let asked = 0;
  for (const [name, { origin }, further, outcome, fromMs, toMs] of cases) {
    let [came, tookMs] = ['', 0];
    // Times of a process that stood still meanwhile say nothing.
    for (let turn = 0; turn === 0 || (stalls.longestMs() > STALLED_MS && turn < 20); turn += 1) {
      questions = 0;
      stalls.begin();
      const startedMs = performance.now();
      const request = { origin, path: '/', method: 'GET', timeoutMs: 200, ...further };
      came = await client.request(request).then(
        ({ status }) => String(status),
        ({ code }) => code,
      );
      tookMs = performance.now() - startedMs;
    }
    asked += questions;
    t.equal(came, outcome, name);
    t.ok(tookMs > fromMs && tookMs < toMs, `${name}: ${Math.round(tookMs)} ms`);
  }
  t.equal(asked, 3, 'asked once for each');
});

t.test('what waits for a connection when time is up was never sent, also not later', async (t) => {
  const sockets: net.Socket[] = [];
  const server = await rawServer(t, (socket) => sockets.push(socket));
  const elsewhere = await rawServer(t, (socket) => socket.write(ok('elsewhere')));
  const client = openClient({ maxConnectionsPerOrigin: 1, maxWaitingPerOrigin: 1, maxOrigins: 1, timeoutMs: 5_000 });
  const first = client.request({ origin: server.origin, method: 'GET', path: '/first' });
  const second = client.request({ origin: server.origin, method: 'GET', path: '/second', timeoutMs: 50 });
  await t.rejects(client.request({ origin: server.origin, method: 'GET', path: '/third' }), {
    code: 'PEER_UNREACHABLE',
  });
  await t.rejects(
    client.request({ origin: elsewhere.origin, method: 'GET', path: '/' }),
    { code: 'PEER_UNREACHABLE' },
    'no origin gives way that has a request under way',
  );
  t.equal(elsewhere.connections(), 0);
  await t.rejects(second, { code: 'PEER_UNREACHABLE' });
  await t.rejects(
    client.request({ origin: server.origin, method: 'GET', path: '/fourth' }),
    { code: 'PEER_UNREACHABLE' },
    'a request that still stands in the queue counts',
  );
  sockets[0]?.write(ok('1'));
  t.equal((await first).body.toString(), '1');
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.notMatch(Buffer.concat(server.received).toString(), /second|third|fourth/);
  server.received.length = 0;
  const fifth = client.request({ origin: server.origin, method: 'GET', path: '/fifth' });
  while (server.received.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  sockets.at(-1)?.write(ok('5'));
  t.equal((await fifth).body.toString(), '5', 'and the place in the queue is free again');
  await client.close();
});

t.test('bytes pass as they are: path, header order and repeats, coded bodies, redirects', async (t) => {
  const server = await rawServer(t, (socket, soFar) => {
    if (soFar.endsWith('\r\n\r\nbody')) {
      socket.write('HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n');
      socket.write('HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nX-Two: b\r\nx-one: 1\r\nX-Two: a\r\n');
      socket.write('content-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x00\xff', 'latin1');
    }
  });
  const client = openClient();
  const path = '/a/%2e%2E/../b//c;d?q=%20&q=1&%7e';
  const answer = await client.request({
    origin: server.origin,
    method: 'POST',
    path,
    headers: [
      ['X-B', '1'],
      ['x-a', '2'],
      ['X-B', '3'],
    ],
    body: Buffer.from('body'),
  });
  t.equal(answer.status, 302);
  t.same(answer.headers.slice(0, 4), [
    ['Location', '/elsewhere'],
    ['X-Two', 'b'],
    ['x-one', '1'],
    ['X-Two', 'a'],
  ]);
  t.same(answer.body, Buffer.from([0x1f, 0x8b, 0x00, 0xff]));
  const sent = Buffer.concat(server.received).toString('latin1');
  t.ok(sent.startsWith(`POST ${path} HTTP/1.1\r\n`));
  t.match(sent, /X-B: 1\r\nx-a: 2\r\nX-B: 3\r\n/);
  t.notMatch(sent, /accept-encoding|user-agent/i);
  t.equal(server.connections(), 1, 'the redirect was not followed');

  const wrong: Parameters<typeof client.request>[0][] = [
    { origin: server.origin, method: 'GET', path: '/a b' },
    { origin: server.origin, method: 'GET', path: '/a\r\nx: y' },
    { origin: server.origin, method: 'GET', path: 'relative' },
    { origin: server.origin, method: 'G ET', path: '/' },
    { origin: `${server.origin}/base`, method: 'GET', path: '/' },
    { origin: 'ftp://127.0.0.1', method: 'GET', path: '/' },
    { url: 'http://user:secret@127.0.0.1/', method: 'GET' },
    { origin: server.origin, method: 'GET', path: '/', headers: [['Host', 'other']] },
    { origin: server.origin, method: 'GET', path: '/', headers: [['Transfer-Encoding', 'chunked']] },
    { origin: server.origin, method: 'GET', path: '/', headers: [['x', 'a\r\nb: c']] },
  ];
  for (const request of wrong) {
    await t.rejects(client.request(request), TypeError, JSON.stringify(request));
  }
  await client.close();
});

t.test('HEAD may state a length over the cap; connections are kept and shared', async (t) => {
  const seen = new Set<net.Socket>();
  const server = http.createServer((request, response) => {
    seen.add(request.socket);
    response.setHeader('content-length', request.method === 'HEAD' ? 1_000_000 : 2);
    response.end(request.method === 'HEAD' ? undefined : 'ok');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}/`;
  const client = openClient({ maxResponseBytes: 2, maxOrigins: 1, keepAliveMs: 200 });
  for (let turn = 0; turn < 5; turn += 1) {
    t.equal((await client.request({ url, method: 'GET' })).body.length, 2);
  }
  t.ok(seen.size <= 2, `${seen.size} connections for five requests`);
  t.equal((await client.request({ url, method: 'HEAD' })).body.length, 0);
  await t.rejects(client.request({ url: 'http://127.0.0.1:1/', method: 'GET' }), { code: 'PEER_UNREACHABLE' });
  t.equal((await client.request({ url, method: 'GET' })).status, 200, 'an evicted origin is opened again');
  const [idle] = [...seen].filter((socket) => !socket.destroyed);
  if (idle !== undefined) await once(idle, 'close', { signal: AbortSignal.timeout(3_000) });
  t.pass('an idle connection is closed before the server would');
  await client.close();
});

t.test('TLS 1.3 and the pinned certificate', async (t) => {
  const [server, other, mine] = await Promise.all([selfSigned('server'), selfSigned('other'), selfSigned('mine')]);
  let plaintext = '';
  let protocol: string | null = '';
  let clientCertificate: Buffer | undefined;
  const listener = tls.createServer(
    { key: server.key, cert: server.cert, requestCert: true, ca: mine.cert },
    (socket) => {
      protocol = socket.getProtocol();
      clientCertificate = socket.getPeerX509Certificate()?.raw;
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        plaintext += chunk;
        socket.write(ok('tls'));
      });
    },
  );
  listener.on('tlsClientError', () => {});
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.teardown(() => listener.close());
  const origin = `https://127.0.0.1:${(listener.address() as net.AddressInfo).port}`;
  const client = openClient();
  const ask = (tlsOptions: NonNullable<Parameters<typeof client.request>[0]['tls']>) =>
    client.request({ origin, method: 'GET', path: '/', tls: tlsOptions });

  const refused = {
    'pin of another certificate': { checkPeerCertificate: (der: Buffer) => der.equals(other.der) },
    'pin fails although the chain is good': { ca: server.cert, checkPeerCertificate: () => false },
    'pin that throws': {
      checkPeerCertificate: () => {
        throw new Error('broken check');
      },
    },
    'no pin and no trust': {},
    'no pin and another name': { ca: server.cert, servername: 'elsewhere.example' },
  };
  for (const [name, tlsOptions] of Object.entries(refused)) {
    await t.rejects(ask(tlsOptions), { code: 'PEER_UNREACHABLE' }, name);
  }
  t.equal(plaintext, '', 'no byte of a request reached an unpinned server');
  await t.rejects(
    client.request({
      origin: origin.replace('https', 'http'),
      method: 'GET',
      path: '/',
      tls: { checkPeerCertificate: () => true },
    }),
    { code: 'PEER_UNREACHABLE' },
    'a pin is never met without TLS',
  );

  await t.rejects(
    ask({ ca: server.cert }),
    { code: 'PEER_BROKE_OFF' },
    'a server may refuse a client after TLS 1.3 let it send',
  );
  t.equal(plaintext, '');
  const own = { cert: mine.cert, key: mine.key };
  t.equal((await ask({ ca: server.cert, ...own })).body.toString(), 'tls', 'by chain');
  let registered = server.der;
  const pinned = { ...own, checkPeerCertificate: (der: Buffer) => der.equals(registered) };
  t.equal((await ask(pinned)).body.toString(), 'tls', 'by pin');
  t.equal(protocol, 'TLSv1.3');
  t.ok(clientCertificate?.equals(mine.der), 'with its own certificate');
  plaintext = '';
  await new Promise((resolve) => setTimeout(resolve, 50)); // the connection is idle and would be used again
  registered = other.der;
  await t.rejects(ask(pinned), { code: 'PEER_UNREACHABLE' }, 'a peer that lost its registration loses its connection');
  t.equal(plaintext, '');
  await client.close();

  const old = tls.createServer({ key: server.key, cert: server.cert, maxVersion: 'TLSv1.2' }, () => {});
  old.on('tlsClientError', () => {});
  old.listen(0, '127.0.0.1');
  await once(old, 'listening');
  t.teardown(() => old.close());
  const again = openClient();
  await t.rejects(
    again.request({
      origin: `https://127.0.0.1:${(old.address() as net.AddressInfo).port}`,
      method: 'GET',
      path: '/',
      tls: { checkPeerCertificate: () => true },
    }),
    { code: 'PEER_UNREACHABLE' },
    'TLS 1.2',
  );
  await again.close();
});
