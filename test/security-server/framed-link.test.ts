// The framed link between two real servers: what goes over it and what does not, a hostile end on either side, credit,
// drain, and every byte of every frame changed on its way.

import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import t from 'tap';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import { type FramedConnection, openFrames } from '#core/http/frames/connection.ts';
import { dialFrames } from '#core/http/frames/dial.ts';
import { FRAMES_PROTOCOL, frameHeader } from '#core/http/frames/wire.ts';
import { mtlsServerOptions, tlsClientOptions } from '#core/http/mtls.ts';
import { newMessageId } from '#core/message-id.ts';
import { FRAMES_CREDIT_BYTES, FRAMES_CREDIT_MESSAGES } from '#schemas/limits.ts';
import { genuineRequest } from '#scripts/campaign/flip-messages.ts';
import { CLIENT, CONSUMER, openPair, type Pair, PROVIDER, SERVICE } from '#scripts/campaign/pair.ts';
import { openBatch, readSealedBatch, sealBatch } from '#security-server/envelope/batch.ts';
import { toBatched } from '#security-server/envelope/outgoing.ts';
import type { PeerLink } from '#security-server/peer/link.ts';
import { decodeRefused } from '#security-server/peer/refused-frame.ts';
import { auditBoth, kinds, post } from './asking.ts';

t.setTimeout(120_000);
const ASK = { client: CLIENT, service: SERVICE, path: '/x' };

async function counted(pair: Pair, which: 'consumer' | 'provider'): Promise<Record<string, number>> {
  const text = await pair[which].parts.metrics.registry.metrics();
  const rows = [...text.matchAll(/^(accord_frame[a-z_]*)(?:\{direction="(\w+)"\})? (\d+)$/gm)];
  return Object.fromEntries(
    rows.map(([, name, direction, value]) => [`${name} ${direction ?? ''}`.trim(), Number(value)]),
  );
}

/** A connection to the provider that shows the consumer's certificate and says what the test wants. */
async function visit(pair: Pair, which: 'consumer' | 'provider' = 'consumer') {
  const tls = tlsClientOptions(pair.identities[which].keys.authentication, () => true);
  const dialled = await dialFrames(pair.provider.urls.peer, tls, 5_000);
  if (dialled === null) throw new Error('the port speaks no frames');
  const got: { name: string; payload: Buffer }[] = [];
  const closed = Promise.withResolvers<string>();
  const connection: FramedConnection = openFrames(dialled.socket, {
    frame: (name, payload) => {
      got.push({ name, payload: Buffer.from(payload) });
      return undefined;
    },
    drained: () => {},
    closed: (reason) => closed.resolve(reason),
  });
  const until = async (what: () => boolean) => {
    for (let left = 2_000; left > 0 && !what(); left -= 1) await new Promise((resolve) => setTimeout(resolve, 2));
    return what();
  };
  return { connection, got, closed: closed.promise, until, socket: dialled.socket };
}

t.test('what goes in frames, and what over HTTP/1.1', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const one = await post(pair, '/lookups', ASK);
  t.equal(one.json.outcome, 'ok');
  t.same(await counted(pair, 'consumer'), {
    accord_framed_links: 1,
    ...{ 'accord_frames_total sent': 1, 'accord_frames_total received': 1 },
    ...{ 'accord_framed_messages_total sent': 1, 'accord_framed_messages_total received': 1 },
  });
  const many = await Promise.all(Array.from({ length: 60 }, () => post(pair, '/lookups', ASK)));
  t.same([...new Set(many.map(({ json }) => json.outcome))], ['ok']);
  const then = await counted(pair, 'consumer');
  t.equal(then['accord_framed_messages_total received'], 61);
  t.equal(then['accord_framed_links'], 1, 'one connection');
  // X-Road's protocol at a service that is not bound may be answered with anything of any size.
  const xroad = await fetch(`${pair.consumer.urls.loopback}/r1/${SERVICE}/y`, { headers: { 'x-road-client': CLIENT } });
  t.equal(xroad.status, 200);
  t.equal((await counted(pair, 'consumer'))['accord_framed_messages_total sent'], 61);
  await auditBoth(t, pair);
});

t.test('either end may speak HTTP/1.1 alone', async (t) => {
  for (const [consumer, provider, links] of [
    ['frames', 'http1', 0],
    ['http1', 'frames', 0],
    ['frames', 'frames', 1],
  ] as const) {
    const pair = await openPair({ consumer: { peerLink: consumer }, provider: { peerLink: provider } });
    for (const _ of [1, 2]) t.equal((await post(pair, '/lookups', ASK)).json.outcome, 'ok', `${consumer} ${provider}`);
    t.equal((await counted(pair, 'consumer'))['accord_framed_links'], links);
    await pair.close();
  }
});

t.test('a hostile sender: rubbish, other kinds, more than its credit, a batch that does not open', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const { parts } = pair.consumer;
  const entry = parts.configuration.current().server(PROVIDER) as ServerEntry;
  const ticket = await parts.channels.to(entry);
  const genuine = await genuineRequest(pair);
  const batchOf = (kind: 'request' | 'answer', ...messages: Parameters<typeof sealBatch>[0][number][]) =>
    sealBatch(messages, kind, newMessageId(Date.now()), ticket);
  const fits = toBatched(genuine.signed, genuine.id);
  for (const [name, act] of [
    ['rubbish', (connection: FramedConnection) => connection.send('messages', Buffer.from('rubbish'))],
    ['answers', (connection: FramedConnection) => connection.send('messages', batchOf('answer', fits))],
    ['a refusal', (connection: FramedConnection) => connection.send('refused', Buffer.alloc(20))],
    ['credit', (connection: FramedConnection) => connection.send('credit', Buffer.alloc(8))],
  ] as const) {
    const visitor = await visit(pair);
    t.ok(await visitor.until(() => visitor.got.some((one) => one.name === 'credit')), 'it says how much it takes');
    act(visitor.connection);
    t.match(await visitor.closed, /closed|ECONNRESET/, `${name} ends the connection`);
  }
  const credit = Buffer.alloc(8);
  credit.writeUInt32BE(FRAMES_CREDIT_MESSAGES, 0);
  credit.writeUInt32BE(FRAMES_CREDIT_BYTES, 4);
  const visitor = await visit(pair);
  await visitor.until(() => visitor.got.length > 0);
  t.same(visitor.got[0]?.payload, credit);
  // A batch that does not open, and one of which one message does not hold: told, and the connection goes on.
  const broken = batchOf('request', fits);
  broken.writeUInt8(broken.readUInt8(broken.length - 1) ^ 1, broken.length - 1);
  visitor.connection.send('messages', broken);
  const refusals = () =>
    visitor.got.filter(({ name }) => name === 'refused').map(({ payload }) => decodeRefused(payload));
  t.ok(await visitor.until(() => refusals().length === 1));
  t.match(refusals()[0], { of: 'batch', id: readSealedBatch(broken).id, status: 400, code: 'SEAL_BROKEN' });
  const other = toBatched(
    (await genuineRequest(pair, { statement: { to: CONSUMER } })).signed,
    newMessageId(Date.now()),
  );
  visitor.connection.send('messages', batchOf('request', other, fits));
  t.ok(await visitor.until(() => refusals().length === 2 && visitor.got.some(({ name }) => name === 'messages')));
  t.match(refusals()[1], { of: 'message', id: other.id, status: 403, code: 'ADDRESSEE_WRONG' });
  const answer = readSealedBatch(visitor.got.find(({ name }) => name === 'messages')?.payload ?? Buffer.alloc(0));
  const [opened] = openBatch(answer, await parts.channels.open(answer.ticket, PROVIDER));
  t.equal(opened?.id, genuine.id, 'its neighbour is answered');
  t.equal(kinds(pair.provider, genuine.id), 'request-received,response-sent');
  // More than the credit.
  pair.backend.answer = () => {};
  for (let frames = 0; frames < 5; frames += 1) {
    const rows = await Promise.all(Array.from({ length: 64 }, () => genuineRequest(pair)));
    visitor.connection.send('messages', batchOf('request', ...rows.map(({ signed, id }) => toBatched(signed, id))));
  }
  t.match(await visitor.closed, /closed|ECONNRESET/);
  pair.backend.answer = (_request, _body, response) => response.end();
});

t.test('nobody, and somebody who is not registered any more', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const stranger = await pair.authority.server('DEV/GOV/3003/ss3');
  pair.identities.consumer.keys.authentication = stranger.keys.authentication;
  const visitor = await visit(pair);
  await visitor.closed;
  t.same(
    visitor.got.map(({ name, payload }) => `${name} ${payload}`),
    ['goaway PEER_UNKNOWN'],
  );
});

/** A provider that says what the test wants, with the real one's certificate. */
async function hostile(t: { teardown(run: () => void): void }, pair: Pair, act: (socket: TLSSocket) => void) {
  const options = mtlsServerOptions(pair.identities.provider.keys.authentication);
  const server = createTlsServer({ ...options, ALPNProtocols: [FRAMES_PROTOCOL] }, (socket) => {
    socket.on('error', () => {});
    act(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const entry = pair.configuration.entries.get(PROVIDER) as ServerEntry;
  const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  pair.configuration.entries.set(PROVIDER, { ...entry, address });
}

t.test('a hostile receiver leaves what was sent unknown, and what was not sent not-sent', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const credit = Buffer.concat([frameHeader('credit', 8), Buffer.from([0, 0, 1, 0, 1, 0, 0, 0])]);
  const nothing = Buffer.concat([frameHeader('credit', 8), Buffer.alloc(8)]);
  const send = (socket: TLSSocket, name: 'messages' | 'refused' | 'goaway', payload: Buffer) =>
    socket.write(Buffer.concat([frameHeader(name, payload.length), payload]));
  const afterRequest = (act: (socket: TLSSocket) => void) => (socket: TLSSocket) => {
    socket.write(credit);
    socket.once('data', () => act(socket));
  };
  const refusal = Buffer.concat([
    ...[Buffer.from([0, 0, 0, 0, 36]), Buffer.from(newMessageId(Date.now()))],
    ...[Buffer.from([1, 247, 0, 0, 0, 4]), Buffer.from('BUSY'), Buffer.alloc(4)],
  ]);
  const rows: [string, (socket: TLSSocket) => void, RegExp][] = [
    ['takes nothing', (socket) => socket.write(nothing), /^not-sent PROVIDER_UNREACHABLE/],
    ['closes at once', (socket) => socket.end(), /^not-sent PROVIDER_UNREACHABLE/],
    ['says rubbish first', (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n'), /^not-sent PROVIDER_UNREACHABLE/],
    ['closes after the request', afterRequest((socket) => socket.end()), /^unknown OUTCOME_UNKNOWN PEER_BROKE_OFF/],
    ['answers rubbish', afterRequest((socket) => send(socket, 'messages', Buffer.alloc(99))), /^unknown .*MALFORMED/],
    ['refuses what nobody asked', afterRequest((socket) => send(socket, 'refused', refusal)), /^unknown .*MALFORMED/],
    ['says nothing more', afterRequest(() => {}), /^unknown OUTCOME_UNKNOWN PEER_TIMEOUT/],
    ['says nothing', () => {}, /^not-sent PROVIDER_UNREACHABLE/],
  ];
  for (const [name, act, is] of rows) {
    await hostile(t, pair, act);
    const { json } = await post(pair, '/lookups', { ...ASK, deadlineMs: 600 });
    t.match(`${json.outcome} ${json.code} ${json['detail'] ?? ''}`, is, name);
  }
  t.equal(pair.backend.seen.length, 0);
});

t.test('frames with any one byte changed deliver nothing', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const { parts } = pair.consumer;
  const entry = parts.configuration.current().server(PROVIDER) as ServerEntry;
  const ticket = await parts.channels.to(entry);
  const genuine = await genuineRequest(pair, { neighbours: 2 });
  const payload = sealBatch([toBatched(genuine.signed, genuine.id)], 'request', newMessageId(Date.now()), ticket);
  const frame = Buffer.concat([frameHeader('messages', payload.length), payload]);
  const size = pair.provider.parts.log.size();
  for (let at = 0; at < frame.length; at += 1 + Math.floor(frame.length / 60)) {
    const changed = Buffer.from(frame);
    changed.writeUInt8(changed.readUInt8(at) ^ (1 << (at % 8)), at);
    const visitor = await visit(pair);
    await visitor.until(() => visitor.got.length > 0);
    visitor.socket.write(changed);
    const isTold = () => visitor.got.some(({ name }) => name === 'refused') || !visitor.connection.isOpen;
    // A longer length waits for bytes that never come.
    if (at > 3) t.ok(await visitor.until(isTold)) || t.fail(`byte ${at}`);
    visitor.connection.destroy('done');
  }
  t.equal(pair.provider.parts.log.size(), size, 'nothing was logged');
  t.same(pair.backend.seen, [], 'nothing ran');
  const visitor = await visit(pair);
  visitor.socket.write(frame);
  t.ok(await visitor.until(() => visitor.got.some(({ name }) => name === 'messages')), 'unchanged it is answered');
  visitor.connection.destroy('done');
});

t.test('more at once than the credit waits its turn, small beside large; none is lost', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const { link } = pair.consumer.parts;
  const entry = pair.configuration.entries.get(PROVIDER) as ServerEntry;
  const large = Buffer.alloc(250_000, 'x');
  const requests = await Promise.all(
    Array.from({ length: 320 }, (_, at) => genuineRequest(pair, at % 4 === 0 ? { body: large } : {})),
  );
  const sent = requests.map(({ signed }) => link.send(entry, signed, 30_000) satisfies ReturnType<PeerLink['send']>);
  const states = (await Promise.all(sent)).map((one) => one.state);
  t.same([...new Set(states)], ['answered']);
  t.equal(pair.backend.seen.length, 320);
  const frames = await counted(pair, 'consumer');
  t.equal(frames['accord_framed_messages_total sent'], 320);
  t.ok(
    (frames['accord_frames_total sent'] ?? 0) < 110,
    `80 of them alone: ${frames['accord_frames_total sent']} frames`,
  );
  await auditBoth(t, pair);
});
