// Large bodies that do not get through: whoever hangs up, stands still, refuses or fails, at whatever moment, nothing stays
// in the spool, no file stays open and no place stays taken. Against two real servers, over their real ports.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readlinkSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { openClient } from '#core/http/client.ts';
import { arriveWithin, passOver } from '#core/http/while-moving.ts';
import { CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { openSpool, type Spool } from '#security-server/spool.ts';

const MIB = 1024 * 1024;
const IDLE_MS = 600;
/** More than the system itself holds for a connection. */
const DOWN_BYTES = 16 * MIB;
t.setTimeout(120_000);

/** Files of either spool that this process has open, with a name or without. */
function openFiles(pair: Pair): number {
  const open = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes(`${pair.folder}/`) && isOfSpool(fd);
    } catch {
      return false;
    }
  });
  return open.length;
}

function isOfSpool(fd: string): boolean {
  return readlinkSync(`/proc/self/fd/${fd}`).includes('/spool/');
}

async function nothingLeft(t: Test, pair: Pair, name: string): Promise<void> {
  const { consumer, provider } = pair;
  const left = () => ({
    held: consumer.parts.spool.held() + provider.parts.spool.held(),
    files: openFiles(pair),
    places: consumer.parts.admission.inFlight + provider.parts.admission.inFlight,
  });
  const none = { held: 0, files: 0, places: 0 };
  for (let waitedMs = 0; waitedMs < 4_000 && JSON.stringify(left()) !== JSON.stringify(none); waitedMs += 10) {
    await delay(10);
  }
  t.same(left(), none, `${name}: nothing left`);
}

interface Asked {
  request: http.ClientRequest;
  answered: Promise<http.IncomingMessage | null>;
}

function ask(pair: Pair, path: string, headers: Record<string, string | number> = {}, method = 'POST'): Asked {
  const request = http.request(`${pair.consumer.urls.loopback}/r1/${SERVICE}${path}`, {
    method,
    agent: false,
    headers: { 'x-road-client': CLIENT, ...headers },
  });
  const answered = new Promise<http.IncomingMessage | null>((resolve) => {
    request.on('response', resolve);
    request.on('error', () => resolve(null));
  });
  return { request, answered };
}

async function bodyOf(answer: http.IncomingMessage | null): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer ?? []) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The code of an error, and the exchange's name for it. */
async function errorOf({ answered }: Asked): Promise<string> {
  const answer = await answered;
  await bodyOf(answer).catch(() => {});
  return `${answer?.statusCode} ${answer?.headers['x-road-error']}`;
}

t.test('whoever hangs up', async (t) => {
  const pair = await openPair({ safe: true });
  t.teardown(() => pair.close());
  const large: Pair['backend']['answer'] = (_request, _body, response) => void response.end(Buffer.alloc(4 * MIB));

  const upload = ask(pair, '/up', { 'content-length': 4 * MIB });
  upload.request.write(Buffer.alloc(MIB));
  while (pair.consumer.parts.spool.held() === 0) await delay(2);
  t.equal(pair.consumer.parts.spool.held(), 4 * MIB, 'the room is taken before the body came');
  upload.request.destroy();
  await nothingLeft(t, pair, 'the caller, while it sends');
  t.same(pair.backend.seen, []);

  const reached = Promise.withResolvers<() => void>();
  pair.backend.answer = (...args) => reached.resolve(() => large(...args));
  const waiting = ask(pair, '/wait', { 'content-length': 2 * MIB });
  waiting.request.end(Buffer.alloc(2 * MIB));
  const goOn = await reached.promise;
  waiting.request.destroy();
  goOn();
  await nothingLeft(t, pair, 'the caller, while the backend works');

  pair.backend.answer = large;
  const reading = ask(pair, '/down', {}, 'GET');
  reading.request.end();
  const answer = await reading.answered;
  await once(answer as http.IncomingMessage, 'readable');
  reading.request.destroy();
  await nothingLeft(t, pair, 'the caller, while it reads');

  pair.backend.answer = (_request, _body, response) => {
    response.writeHead(200, { 'content-length': 4 * MIB });
    response.write(Buffer.alloc(2 * MIB), () => response.socket?.destroy());
  };
  const broken = ask(pair, '/broken', {}, 'GET');
  broken.request.end();
  t.match(await errorOf(broken), '500 Server.ServerProxy', 'the backend, while it answers');
  await nothingLeft(t, pair, 'the backend, while it answers');

  const deaf = net.createServer((socket) => socket.once('data', () => socket.destroy()));
  await once(deaf.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => deaf.close());
  const service = pair.provider.parts.state.service(SERVICE);
  if (service === null) throw new Error('no service');
  pair.provider.parts.state.putService({ ...service, url: `http://127.0.0.1:${(deaf.address() as AddressInfo).port}` });
  const unread = ask(pair, '/deaf', { 'content-length': 4 * MIB });
  unread.request.end(Buffer.alloc(4 * MIB));
  t.match(await errorOf(unread), '500 Server.ServerProxy', 'the backend, while it is sent to');
  await nothingLeft(t, pair, 'the backend, while it is sent to');
  pair.provider.parts.state.putService(service);

  // The consumer's server gives up while the provider's backend works: there is nobody left to answer.
  const { link } = pair.consumer.parts;
  const worked = Promise.withResolvers<() => void>();
  pair.backend.answer = (...args) => worked.resolve(() => large(...args));
  pair.consumer.parts.link = { ...link, send: (peer, message) => link.send(peer, message, 400) };
  const given = ask(pair, '/given-up', {}, 'GET');
  given.request.end();
  const answerNow = await worked.promise;
  t.match(await errorOf(given), '500 Server.ClientProxy', 'the consumer’s server');
  answerNow();
  await nothingLeft(t, pair, 'the consumer’s server, while the backend works');
  pair.consumer.parts.link = link;

  // The other side of the connection to the provider's server dies while the answer comes.
  pair.backend.answer = large;
  pair.consumer.parts.link = {
    ...link,
    async send(...args) {
      const delivery = await link.send(...args);
      if ('stream' in delivery) delivery.stream.once('data', () => delivery.stream.destroy(new Error('cut')));
      return delivery;
    },
  };
  const cut = ask(pair, '/cut', {}, 'GET');
  cut.request.end();
  t.match(await errorOf(cut), '500 Server.ClientProxy', 'between the servers');
  await nothingLeft(t, pair, 'between the servers');
});

t.test('what is refused or fails after its body came', async (t) => {
  const pair = await openPair({ safe: true });
  t.teardown(() => pair.close());
  const { consumer, provider } = pair;
  const large: Pair['backend']['answer'] = (_request, _body, response) => void response.end(Buffer.alloc(2 * MIB));
  pair.backend.answer = large;
  const send = (path: string) => {
    const asked = ask(pair, path, { 'content-length': 2 * MIB });
    asked.request.end(Buffer.alloc(2 * MIB, 7));
    return errorOf(asked);
  };

  const { link } = consumer.parts;
  // The same message again, as whoever recorded it would send it: a service that only reads is asked meanwhile.
  for (const isLarge of [true, false]) {
    const second = Promise.withResolvers<string>();
    consumer.parts.link = {
      ...link,
      async send(peer, message, timeoutMs) {
        const chunks: Buffer[] = [];
        if (!Buffer.isBuffer(message) && 'bytes' in message)
          for await (const chunk of message.bytes()) chunks.push(chunk as Buffer);
        const whole = Buffer.concat(chunks);
        const streamed = { length: whole.length, bytes: () => Readable.from([whole]), release: () => {} };
        const same = Buffer.isBuffer(message) ? message : streamed;
        const first = await link.send(peer, same, timeoutMs);
        const again = await link.send(peer, same, timeoutMs);
        second.resolve('bytes' in again ? 'refused' : again.state);
        return first;
      },
    };
    const asked = ask(pair, '/twice', { 'content-length': isLarge ? 2 * MIB : 5 });
    asked.request.end(Buffer.alloc(isLarge ? 2 * MIB : 5));
    t.equal(await errorOf(asked), '200 undefined');
    t.equal(await second.promise, 'refused', 'a small signed refusal');
    await delay(100);
    await nothingLeft(t, pair, `MESSAGE_REPLAYED ${isLarge}`);
  }
  consumer.parts.link = link;

  for (const [name, which, kind] of [
    ['request-sent', consumer, 'request-sent'],
    ['request-received', provider, 'request-received'],
    ['response-sent', provider, 'response-sent'],
    ['response-received', consumer, 'response-received'],
  ] as const) {
    const { log } = which.parts;
    const append = log.append.bind(log);
    log.append = (record) => (record.kind === kind ? Promise.reject(new Error('the disk')) : append(record));
    t.match(await send(`/log-${name}`), /^50\d Server\./, `${name} cannot be logged`);
    await nothingLeft(t, pair, `${name} cannot be logged`);
    log.append = append;
  }

  provider.parts.state.removeRight('00000000-0000-4000-8000-000000000001');
  t.equal(await send('/refused'), '500 Server.ServerProxy.AccessDenied');
  await nothingLeft(t, pair, 'ACCESS_DENIED');
  pair.configuration.register(provider.id, 'https://127.0.0.1:1', ['DEV/GOV/2002/provider'], pair.identities.provider);
  t.match(await send('/away'), '500 Server.ClientProxy', 'no server of the provider');
  t.equal(consumer.parts.spool.held(), 0);
});

t.test('no room, or a disk that fails, on either side', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const { consumer } = pair;
  const small = join(pair.folder, 'small', 'spool');
  mkdirSync(small, { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', small]).status === 0;
  if (mounted) t.teardown(() => void spawnSync('umount', ['-l', small]));
  else t.comment('NOT TRIED: a disk that is full (mounting one needs root)');
  pair.backend.answer = (request, _body, response) => {
    response.end(request.url?.endsWith('/down') ? Buffer.alloc(DOWN_BYTES) : 'small');
  };
  const real = { consumer: consumer.parts.spool, provider: pair.provider.parts.spool };
  // As it is, but without the pause before it tries again.
  const { link } = consumer.parts;
  consumer.parts.link = {
    ...link,
    async send(...args) {
      const delivery = await link.send(...args);
      return delivery.state === 'not-sent' ? { ...delivery, retryAfterMs: 1 } : delivery;
    },
  };
  const full = openSpool(join(pair.folder, 'full', 'spool'), MIB, 0);
  const gone = openSpool(join(pair.folder, 'gone', 'spool'), 64 * MIB, MIB);
  spawnSync('rm', ['-r', join(pair.folder, 'gone')]);
  const bad: [string, Spool][] = [
    ['SPOOL_FULL', full],
    ['SPOOL_FAILED', gone],
    ...(mounted ? ([['SPOOL_FAILED', withoutEmptying(small)]] as [string, Spool][]) : []),
  ];
  for (const [code, spool] of bad) {
    for (const which of ['consumer', 'provider'] as const) {
      pair[which].parts.spool = spool;
      for (const path of ['/up', '/down']) {
        const name = `${code} at the ${which}, ${path}`;
        const body = Buffer.alloc(path === '/up' ? 2 * MIB : 0);
        const asked = ask(pair, path, { 'content-length': body.length, prefer: 'accord-status' });
        asked.request.end(body);
        t.match(await errorOf(asked), /^50\d Server\.(?:Client|Server)Proxy/, name);
        t.equal(spool.held(), 0, name);
        await nothingLeft(t, pair, name);
      }
      pair[which].parts.spool = real[which];
    }
  }
  const after = ask(pair, '/down', {}, 'GET');
  after.request.end();
  t.equal((await bodyOf(await after.answered)).length, DOWN_BYTES, 'and all is well again');
});

/** A spool on a folder that is a place of its own and cannot be taken away. */
function withoutEmptying(folder: string): Spool {
  return openSpool(join(folder, 'spool'), 64 * MIB, 0);
}

t.test('what stands still is cut off, what waits for a backend is not', async (t) => {
  const pair = await openPair({ consumer: { bodyIdleMs: IDLE_MS }, provider: { bodyIdleMs: IDLE_MS } });
  t.teardown(() => pair.close());
  for (const drips of [false, true]) {
    const slow = ask(pair, '/slow', { 'content-length': 4 * MIB });
    slow.request.write(Buffer.alloc(MIB));
    const drip = drips ? setInterval(() => slow.request.write('x'), 20) : undefined;
    t.equal(await slow.answered, null, drips ? 'single bytes keep nothing open' : 'silence');
    clearInterval(drip);
    await nothingLeft(t, pair, 'cut off');
  }
  pair.backend.answer = async (_request, _body, response) => {
    await delay(3 * IDLE_MS);
    response.end(Buffer.alloc(MIB));
  };
  const patient = ask(pair, '/patient', { 'content-length': MIB });
  patient.request.end(Buffer.alloc(MIB));
  t.equal((await bodyOf(await patient.answered)).length, MIB, 'the backend may think for longer');
  pair.backend.answer = (_request, _body, response) => {
    response.writeHead(200, { 'content-length': MIB });
    response.write(Buffer.alloc(MIB / 2));
  };
  const stuck = ask(pair, '/stuck', {}, 'GET');
  stuck.request.end();
  t.match(await errorOf(stuck), '500 Server.ServerProxy', 'a backend that stands still');
  await nothingLeft(t, pair, 'a backend that stands still');

  // A caller that does not read: what is left stays in the spool, until the caller is cut off.
  pair.backend.answer = (_request, _body, response) => void response.end(Buffer.alloc(32 * MIB));
  const { spool } = pair.consumer.parts;
  let read = 0;
  pair.consumer.parts.spool = {
    ...spool,
    async take(...args) {
      const body = await spool.take(...args);
      async function* counted() {
        for await (const record of body.records()) {
          read += record.length;
          yield record;
        }
      }
      return { ...body, records: counted };
    },
  };
  const unread = ask(pair, '/unread', {}, 'GET');
  unread.request.end();
  const answer = (await unread.answered) as http.IncomingMessage;
  t.equal(spool.held(), 32 * MIB, 'the answer lies in the spool');
  answer.once('data', () => answer.pause());
  await Promise.race([once(answer, 'aborted'), delay(IDLE_MS * 10)]);
  t.ok(read > 0 && read < 16 * MIB, `${read} bytes left it: what the system holds for the connection`);
  answer.resume().on('error', () => {});
  await nothingLeft(t, pair, 'a caller that does not read');
});

t.test('requests that arrive too slowly, and rests that nobody wants', async (t) => {
  let sent = 0;
  function* large() {
    for (; sent < 64 * MIB; sent += MIB) yield Buffer.alloc(MIB);
  }
  const server = http.createServer((request, response) => {
    if (request.url === '/late') arriveWithin(request, 100);
    else if (request.url === '/large') {
      Readable.from(large(), { objectMode: false })
        .on('error', () => {})
        .pipe(response);
    } else {
      passOver(request);
      response.end('no');
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const client = openClient();
  const unread = await client.request({
    ...{ origin: `http://127.0.0.1:${port}`, path: '/large', method: 'GET' },
    streamed: { wanted: () => true, maxBytes: 64 * MIB },
  });
  await delay(200);
  t.ok(sent > 0 && sent < 24 * MIB, `${sent} bytes were taken of an answer that nobody reads`);
  unread.stream?.destroy();
  await client.close();
  const late = net.connect(port).on('error', () => {});
  late.write('POST /late HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf');
  await once(late, 'close');
  t.pass('cut off');
  const refused = http.request({ port, method: 'POST', path: '/no', headers: { 'content-length': 8 * MIB } });
  refused.on('error', () => {});
  refused.end(Buffer.alloc(8 * MIB));
  const [answer] = (await once(refused, 'response')) as [http.IncomingMessage];
  t.equal((await bodyOf(answer)).toString(), 'no', 'the answer arrives although the body was not wanted');
});
