// The mutual TLS plugin over real sockets: who is let in, what becomes of live connections, and what is negotiated.
import 'reflect-metadata';
import { createPublicKey, generateKeyPairSync, type KeyObject, webcrypto } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import * as x509 from '@peculiar/x509';
import fastify, { type FastifyInstance } from 'fastify';
import t, { type Test } from 'tap';
import { certificateHash } from '#certs/x509-read.ts';
import { openClient } from '#core/http/client.ts';
import { mtls, mtlsServerOptions, type OldestTls, tlsClientOptions } from '#core/http/mtls.ts';

type Identity = { certPem: string; key: KeyObject; hash: string };

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
x509.cryptoProvider.set(webcrypto);
let serial = 0;

async function certificate(
  name: string,
  options: { issuer?: Identity; notAfter?: Date; key?: KeyObject; ca?: boolean } = {},
): Promise<Identity> {
  const key = options.key ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const asWeb = (k: KeyObject) => k.toCryptoKey(ALGORITHM, true, ['sign']);
  const publicKey = await webcrypto.subtle.importKey(
    'jwk',
    createPublicKey(key).export({ format: 'jwk' }),
    ALGORITHM,
    true,
    ['verify'],
  );
  const issuer = options.issuer && new x509.X509Certificate(options.issuer.certPem);
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: (++serial).toString(16).padStart(32, '1'),
    subject: `CN=${name}`,
    issuer: issuer?.subject ?? `CN=${name}`,
    notBefore: new Date(0),
    notAfter: options.notAfter ?? new Date('2049-01-01'),
    signingAlgorithm: ALGORITHM,
    publicKey,
    signingKey: asWeb(options.issuer?.key ?? key),
    extensions: [new x509.BasicConstraintsExtension(options.ca ?? false)],
  });
  const issued = made.toString('pem');
  const certPem = options.issuer ? `${issued}\n${options.issuer.certPem}` : issued;
  return { certPem, key, hash: certificateHash(new Uint8Array(made.rawData)) };
}

const server = await certificate('server');
const registered = await certificate('registered');
const pins = new Map<string, { id: string; notAfterMs: number }>();
const register = (identity: Identity, notAfterMs = Number.POSITIVE_INFINITY) =>
  pins.set(identity.hash, { id: 'DEV/GOV/1/ss', notAfterMs });

async function start(
  t: Test,
  https = mtlsServerOptions(server),
  oldestTls: OldestTls = '1.3',
): Promise<{ app: FastifyInstance; port: number }> {
  const app = fastify({ https }) as unknown as FastifyInstance;
  // The pin owner: knows the hash, and that the certificate has not expired.
  await app.register(mtls, {
    pin: (hash: string) => {
      const found = pins.get(hash);
      return found && found.notAfterMs > Date.now() ? found : undefined;
    },
    oldestTls,
  });
  app.get('/who', async (request) => ({
    peer: request.getDecorator<{ id: string }>('peer').id,
    hash: request.peerHash,
    reused: (request.raw.socket as tls.TLSSocket).isSessionReused(),
  }));
  app.post('/slow', async () => ({ ran: true }));
  await app.listen({ port: 0, host: '127.0.0.1' });
  t.teardown(() => app.close());
  return { app, port: (app.server.address() as net.AddressInfo).port };
}

/** A raw TLS client, so that sockets, sessions and single bytes are in the test's hands. */
function connect(port: number, identity?: Identity, options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
  const keys = identity && { cert: identity.certPem, key: identity.key.export({ type: 'pkcs8', format: 'pem' }) };
  const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...keys, ...options });
  socket.on('error', () => {});
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
  });
}

/** One keep-alive request on an open socket: status and body, or `closed` when the server ended the connection. */
function ask(socket: tls.TLSSocket, path = '/who'): Promise<{ status: number; body: string } | 'closed'> {
  return new Promise((resolve) => {
    let seen = '';
    const onEnd = () => resolve(seen === '' ? 'closed' : parse());
    const parse = () => ({ status: Number(seen.slice(9, 12)), body: seen.slice(seen.indexOf('\r\n\r\n') + 4) });
    const onData = (chunk: Buffer) => {
      seen += chunk;
      const length = /content-length: (\d+)/i.exec(seen)?.[1];
      if (!length || seen.length < seen.indexOf('\r\n\r\n') + 4 + Number(length)) return;
      socket.off('data', onData).off('close', onEnd);
      resolve(parse());
    };
    if (socket.destroyed) return resolve('closed');
    socket.on('data', onData).once('close', onEnd);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  });
}

const closed = (socket: tls.TLSSocket) =>
  socket.destroyed ? Promise.resolve(true) : new Promise((resolve) => socket.once('close', () => resolve(true)));

t.test('only the exact registered certificate is let in', async (t) => {
  pins.clear();
  register(registered);
  const { port } = await start(t);
  const own = await ask(await connect(port, registered));
  t.match(own, { status: 200 });
  t.match(JSON.parse((own as { body: string }).body), { peer: 'DEV/GOV/1/ss', hash: registered.hash });

  const expired = await certificate('expired', { notAfter: new Date('2020-01-01') });
  register(expired, Date.parse('2020-01-01'));
  const authority = await certificate('authority', { ca: true });
  register(authority);
  const refused: Record<string, Identity | undefined> = {
    'no certificate': undefined,
    'unknown certificate': await certificate('stranger'),
    'same subject, other key': await certificate('registered'),
    'same subject and key, other certificate': await certificate('registered', { key: registered.key }),
    'minted below a registered leaf': await certificate('minted', { issuer: registered }),
    'minted below a registered leaf under its name': await certificate('registered', { issuer: registered }),
    'minted below a registered authority': await certificate('minted', { issuer: authority }),
    'expired but pinned': expired,
  };
  for (const [name, identity] of Object.entries(refused)) {
    for (const path of ['/who', '/nowhere']) {
      const socket = await connect(port, identity);
      const answer = await ask(socket, path);
      t.match(answer, { status: 403 }, `${name}: ${path}`);
      const problem = JSON.parse((answer as { body: string }).body);
      t.equal(problem.code, 'PEER_UNKNOWN');
      t.same(Object.keys(problem), ['type', 'title', 'status', 'code'], 'no detail');
      t.ok(await closed(socket), `${name}: the connection is closed`);
    }
  }
  const idle = await connect(port, await certificate('idler'));
  t.ok(await closed(idle), 'an unknown peer that asks nothing is put out');
});

t.test('protocol and group', async (t) => {
  pins.clear();
  register(registered);
  const { port } = await start(t);
  await t.rejects(connect(port, registered, { maxVersion: 'TLSv1.2' }), {
    code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
  });
  await t.rejects(connect(port, registered, { ecdhCurve: 'P-521' }), 'no common group');

  // The ServerHello is not encrypted: read the group it chose from the wire.
  const wire: Buffer[] = [];
  const tap = net.createServer((down) => {
    const up = net.connect(port, '127.0.0.1');
    up.on('data', (chunk) => wire.push(chunk));
    down.pipe(up).pipe(down);
    for (const side of [down, up]) side.on('error', () => {});
  });
  await new Promise<void>((resolve) => tap.listen(0, '127.0.0.1', resolve));
  t.teardown(() => tap.close());
  const tapped = (tap.address() as net.AddressInfo).port;
  for (const [name, options, group] of [
    ['hybrid post-quantum by default', {}, 0x11ec],
    ['a classic client still gets in', { ecdhCurve: 'X25519' }, 0x001d],
  ] as const) {
    wire.length = 0;
    const socket = await connect(tapped, registered, options);
    t.match(await ask(socket), { status: 200 });
    t.equal(socket.getProtocol(), 'TLSv1.3');
    t.equal(groupOfServerHello(Buffer.concat(wire)), group, name);
    socket.destroy();
  }
});

function groupOfServerHello(wire: Buffer): number | undefined {
  let at = 5 + 4 + 2 + 32; // record header, handshake header, legacy version, random
  at += 1 + wire.readUInt8(at) + 2 + 1; // session id, cipher suite, compression
  const end = at + 2 + wire.readUInt16BE(at);
  for (at += 2; at < end; at += 4 + wire.readUInt16BE(at + 2)) {
    if (wire.readUInt16BE(at) === 0x0033) return wire.readUInt16BE(at + 4); // key_share
  }
  return undefined;
}

t.test('distrust reaches a keep-alive connection at its next request', async (t) => {
  pins.clear();
  register(registered);
  const { app, port } = await start(t);
  const socket = await connect(port, registered);
  t.match(await ask(socket), { status: 200 });
  t.match(await ask(socket), { status: 200 }, 'the connection is kept');
  pins.delete(registered.hash);
  t.match(await ask(socket), { status: 403 });
  t.ok(await closed(socket));

  // A body that is still under way when the registration ends is not acted upon.
  register(registered);
  const slow = await connect(port, registered);
  slow.write('POST /slow HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{');
  await new Promise((resolve) => setTimeout(resolve, 100));
  pins.delete(registered.hash);
  const answer = new Promise<string>((resolve) => slow.once('data', (chunk) => resolve(String(chunk))));
  slow.write('}');
  t.match(await answer, /^HTTP\/1\.1 403 /);

  // closePeer does not wait for a request, and touches nobody else.
  const other = await certificate('other');
  register(registered);
  register(other);
  const [one, two, bystander] = [
    await connect(port, registered),
    await connect(port, registered),
    await connect(port, other),
  ];
  for (const s of [one, two, bystander]) t.match(await ask(s), { status: 200 });
  t.equal(app.closePeer(registered.hash), 2);
  t.ok(await closed(one));
  t.ok(await closed(two));
  t.match(await ask(bystander), { status: 200 });
  t.equal(app.closePeer(registered.hash), 0, 'nothing is kept of closed connections');
  bystander.destroy();
});

t.test('sessions are not resumed; and if one were, it would be checked like any other', async (t) => {
  for (const resumable of [false, true]) {
    pins.clear();
    register(registered);
    const options = mtlsServerOptions(server);
    const { port } = await start(t, resumable ? { ...options, secureOptions: 0 } : options);
    const first = await connect(port, registered);
    const session = new Promise<Buffer>((resolve) => first.once('session', resolve));
    t.match(await ask(first), { status: 200 });
    const ticket = await session;
    first.destroy();

    const again = await connect(port, registered, { session: ticket });
    t.equal(again.isSessionReused(), resumable);
    t.match(await ask(again), { status: 200 });
    again.destroy();

    const bare = await connect(port, undefined, { session: ticket });
    t.equal(bare.isSessionReused(), resumable);
    if (!resumable) t.match(await ask(bare), { status: 403 }, 'a session does not stand in for the certificate');
    bare.destroy();

    pins.delete(registered.hash);
    const late = await connect(port, registered, { session: ticket });
    t.equal(late.isSessionReused(), resumable);
    t.match(await ask(late), { status: 403 }, 'distrusted meanwhile');
    t.ok(await closed(late));
  }
});

t.test('the server certificate is replaced while connections live', async (t) => {
  pins.clear();
  register(registered);
  const { app, port } = await start(t);
  const before = await connect(port, registered);
  t.match(await ask(before), { status: 200 });
  const renewed = await certificate('server');
  t.throws(() => app.replaceTlsIdentity({ certPem: renewed.certPem, key: server.key }), {
    code: 'CERTIFICATE_KEY_MISMATCH',
  });
  t.throws(() => mtlsServerOptions({ certPem: 'rubbish', key: server.key }), { code: 'CERTIFICATE_KEY_MISMATCH' });
  app.replaceTlsIdentity({ certPem: renewed.certPem, key: renewed.key });
  t.match(await ask(before), { status: 200 }, 'the open connection goes on');
  const after = await connect(port, registered);
  t.equal(certificateHash(after.getPeerX509Certificate()!.raw), renewed.hash);
  t.equal(certificateHash(before.getPeerX509Certificate()!.raw), server.hash);
  t.match(await ask(after), { status: 200 });
  await t.rejects(connect(port, registered, { maxVersion: 'TLSv1.2' }), 'still TLS 1.3 only');
  const resumed = await connect(port, registered, { session: after.getSession() });
  t.equal(resumed.isSessionReused(), false, 'still without resumption');
  for (const s of [before, after, resumed]) s.destroy();
});

t.test('where TLS 1.2 is enough, it still is after the certificate was replaced, with the same suites', async (t) => {
  pins.clear();
  register(registered);
  const { app, port } = await start(t, mtlsServerOptions(server, '1.2'), '1.2');
  const older = { maxVersion: 'TLSv1.2' as const };
  for (const replaced of [false, true]) {
    if (replaced) {
      const renewed = await certificate('server');
      app.replaceTlsIdentity({ certPem: renewed.certPem, key: renewed.key });
    }
    const socket = await connect(port, registered, older);
    t.equal(socket.getProtocol(), 'TLSv1.2');
    t.match(JSON.parse(((await ask(socket)) as { body: string }).body), { hash: registered.hash, reused: false });
    t.match(await ask(await connect(port, undefined, older)), { status: 403 }, 'and nobody else is let in');
    await t.rejects(connect(port, registered, { ...older, ciphers: 'ECDHE-ECDSA-AES128-SHA' }), 'no CBC');
    const newer = await connect(port, registered);
    t.equal(newer.getProtocol(), 'TLSv1.3');
    for (const each of [socket, newer]) each.destroy();
  }
});

t.test('with the bounded client: both sides pin', async (t) => {
  pins.clear();
  register(registered);
  const { port } = await start(t);
  const client = openClient();
  t.teardown(() => client.close());
  const origin = `https://127.0.0.1:${port}`;
  let trusted = server.hash;
  const identity = tlsClientOptions(registered, (hash) => hash === trusted);
  const answer = await client.request({ origin, path: '/who', method: 'GET', tls: identity });
  t.equal(answer.status, 200);
  trusted = 'another';
  await t.rejects(client.request({ origin, path: '/who', method: 'GET', tls: identity }), { code: 'PEER_UNREACHABLE' });
});
