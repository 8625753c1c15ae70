// Information systems that speak nothing newer than TLS 1.2: what of it they get where it is switched on, with real clients,
// and that no other port has it. Who may speak for whom over it: connection-modes.test.ts.
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import t from 'tap';
import { CLIENT, openPair } from '#scripts/campaign/pair.ts';

t.setTimeout(60_000);

const SUITES_1_2: [string, boolean][] = [
  ['ECDHE-ECDSA-AES128-GCM-SHA256', true],
  ['ECDHE-ECDSA-AES256-GCM-SHA384', true],
  ['ECDHE-ECDSA-CHACHA20-POLY1305', true],
  // No AEAD; no forward secrecy; finite fields; nobody proves who answers.
  ['ECDHE-ECDSA-AES128-SHA', false],
  ['ECDHE-ECDSA-AES256-SHA384', false],
  ['AES128-GCM-SHA256:AES256-SHA', false],
  ['DHE-RSA-AES128-GCM-SHA256', false],
  ['AECDH-AES128-SHA@SECLEVEL=0', false],
];

t.test('what TLS 1.2 is, and where it is not', async (t) => {
  const pair = await openPair({ consumer: { oldestSystemTls: '1.2' } });
  t.teardown(() => pair.close());
  const { certPem, keyPem, certificateHash } = await pair.authority.system(CLIENT);
  pair.consumer.parts.state.putSystem({ subsystem: CLIENT, name: 'desk', certificateHash });
  const registered = { cert: certPem, key: keyPem };
  const { urls } = pair.consumer;
  const handshake = (url: string, tls: ConnectionOptions) => {
    const { hostname, port } = new URL(url);
    return new Promise<TLSSocket>((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false, ...registered, ...tls });
      socket.on('error', reject).once('secureConnect', () => resolve(socket));
    });
  };
  const older = { maxVersion: 'TLSv1.2' as const };
  const systems = urls.systems ?? '';
  const offers = async (name: string) => {
    for (const [ciphers, isOffered] of SUITES_1_2) {
      const socket = await handshake(systems, { ...older, ciphers }).catch(() => null);
      t.equal(socket?.getCipher().standardName !== undefined, isOffered, `${name}: ${ciphers}`);
      t.equal(socket?.getProtocol() ?? 'TLSv1.2', 'TLSv1.2');
      socket?.destroy();
    }
    const newer = await handshake(systems, {});
    t.equal(newer.getProtocol(), 'TLSv1.3', `${name}: whoever can speaks TLS 1.3`);
    newer.destroy();
    const oldest = { minVersion: 'TLSv1' as const, maxVersion: 'TLSv1.1' as const, ciphers: 'ALL:@SECLEVEL=0' };
    await t.rejects(handshake(systems, oldest), `${name}: nothing older`);
  };
  await offers('from the start');

  // A session would carry an old authentication along, a second handshake another certificate.
  const first = await handshake(systems, older);
  const session = first.getSession();
  const again = await new Promise<Error | null>((resolve) => {
    first.once('error', resolve);
    first.renegotiate({ rejectUnauthorized: false }, resolve);
    first.write('GET / HTTP/1.1\r\n');
  });
  t.match(again, { code: 'EPROTO' }, 'no renegotiation');
  first.destroy();
  const resumed = await handshake(systems, { ...older, ...(session && { session }) });
  t.equal(resumed.isSessionReused(), false, 'no resumption');
  resumed.destroy();

  for (const url of [urls.peer, pair.provider.urls.systems ?? '', pair.provider.urls.peer]) {
    await t.rejects(handshake(url, older), { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' }, 'elsewhere TLS 1.3 only');
  }
});
