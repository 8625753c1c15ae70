// https backends with real certificates: the authority, the host name and the time are checked unless the service says
// otherwise, nothing is sent to a backend that does not pass, and a changed setting counts for the next call.
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { ADMIN_KEY, CLIENT, openPair, SERVICE } from '#scripts/campaign/pair.ts';
import type { BackendTls } from '#security-server/state.ts';
import { certificate, ext, general, type KeyPair, pair as keyPair, pem, SERVER } from '#test/certs/make-certificate.ts';
import { post } from './asking.ts';

t.setTimeout(120_000);
const ASK = { client: CLIENT, service: SERVICE, path: '/x' };

interface Authority {
  key: KeyPair;
  caPem: string;
}

const always = { notBefore: '2026-01-01T00:00:00Z', notAfter: '2049-01-01T00:00:00Z' };

function authority(name: string): Authority {
  const key = keyPair();
  const extensions = [ext.basic(true), ext.usage(5, 6), ext.subjectKey(key.id)];
  const subject = `CN=${name}`;
  return { key, caPem: pem(certificate({ subject, issuer: subject, key, signer: key, extensions, ...always })) };
}

function leaf(
  issuer: string,
  { key: signer }: Authority,
  names: Buffer[],
  validity = always,
): { key: string; cert: string } {
  const key = keyPair();
  const extensions = [
    ...[ext.basic(false), ext.usage(0), ext.purposes(SERVER), ext.subjectKey(key.id), ext.authorityKey(signer.id)],
    ext.altNames(...names),
  ];
  const der = certificate({ subject: 'CN=backend', issuer: `CN=${issuer}`, key, signer, extensions, ...validity });
  return { key: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), cert: pem(der) };
}

t.test('which backends are believed', async (t) => {
  const pair = await openPair();
  const [own, other] = [authority('Own'), authority('Other')];
  const here = [general.dns('localhost'), general.ip(127, 0, 0, 1)];
  let asked = 0;
  const servers: Server[] = [];
  const open = async (identity: { key: string; cert: string }, maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3') => {
    const server = createServer({ ...identity, maxVersion }, (_request, response) => {
      asked += 1;
      response.end('ok');
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };
  t.teardown(async () => {
    for (const server of servers) server.close().closeAllConnections();
    await pair.close();
  });
  const good = await open(leaf('Own', own, here));
  const old = await open(
    leaf('Own', own, here, { notBefore: '2020-01-01T00:00:00Z', notAfter: '2021-01-01T00:00:00Z' }),
  );
  const elsewhere = await open(leaf('Own', own, [general.dns('backend.example')]));
  const older = await open(leaf('Own', own, here), 'TLSv1.2');
  const service = async (url: string, tls?: BackendTls | null | object) => {
    const known = pair.provider.parts.state.service(SERVICE);
    const answer = await fetch(`${pair.provider.urls.admin}/services`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...known, url, ...(tls === undefined ? {} : { tls }) }),
    });
    return { status: answer.status, code: ((await answer.json()) as { code?: string }).code };
  };
  const { caPem } = own;
  const insecure = { insecure: true };
  const REFUSED = 'BACKEND_CERTIFICATE_REFUSED';
  const rows: [name: string, port: number, host: string, tls: object | null, code: string, detail?: string][] = [
    ['its authority is named', good, 'localhost', { caPem }, 'OK'],
    ['by its address', good, '127.0.0.1', { caPem }, 'OK'],
    ['several authorities', good, 'localhost', { caPem: other.caPem + caPem }, 'OK'],
    ['a backend of TLS 1.2', older, 'localhost', { caPem }, 'OK'],
    ['a private authority that nobody named', good, 'localhost', null, REFUSED, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['of another authority', good, 'localhost', { caPem: other.caPem }, REFUSED, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['expired', old, 'localhost', { caPem }, REFUSED, 'CERT_HAS_EXPIRED'],
    ['another host’s', elsewhere, 'localhost', { caPem }, REFUSED, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['another host’s, by address', elsewhere, '127.0.0.1', { caPem }, REFUSED, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['expired, and not checked', old, 'localhost', insecure, 'OK'],
    ['another host’s, and not checked', elsewhere, 'localhost', insecure, 'OK'],
    ['checked again, after it was not', elsewhere, 'localhost', { caPem }, REFUSED, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ];
  for (const [name, port, host, tls, code, detail = ''] of rows) {
    t.equal((await service(`https://${host}:${port}/base`, tls)).status, 200, name);
    const before = asked;
    const { json } = await post(pair, '/lookups', ASK);
    t.match(json, { outcome: code === 'OK' ? 'ok' : 'provider-error', code, ...(detail && { detail }) }, name);
    t.equal(asked - before, code === 'OK' ? 1 : 0, `${name}: what was sent`);
  }
  const r1 = await fetch(`${pair.consumer.urls.loopback}/r1/${SERVICE}/x`, { headers: { 'x-road-client': CLIENT } });
  t.equal(r1.headers.get('x-road-error'), 'Server.ServerProxy.SslAuthenticationFailed');
  await service('https://127.0.0.1:1/base', { caPem });
  t.match((await post(pair, '/lookups', ASK)).json, { code: 'BACKEND_UNREACHABLE' }, 'nobody there is another thing');

  const url = `https://localhost:${good}/base`;
  t.match(await service(url.replace('https', 'http'), { caPem }), { status: 400, code: 'SCHEMA_MISMATCH' });
  t.match(await service(url, { caPem: 'no certificate' }), { status: 400, code: 'PEM_INVALID' });
  t.match(await service(url, { caPem: leaf('Own', own, here).key }), { status: 400, code: 'PEM_INVALID' });
  t.match(await service(url, { insecure: false }), { status: 400, code: 'SCHEMA_MISMATCH' });
  t.match(await service(url, { caPem, insecure: true }), { status: 400, code: 'SCHEMA_MISMATCH' });
});
