// The REST adapter in front of a real backend: what its file does not name never arrives there, and what arrives is the
// bytes that were sent.

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { describeAdapter, openAdapter } from '#adapters/adapter-file.ts';
import { listen } from '#adapters/listen.ts';
import { systemClock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { selfSigned } from '#test/self-signed.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-rest-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const client = openClient({ timeoutMs: 5_000 });
t.teardown(() => client.close());

interface Seen {
  method: string;
  url: string;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
}
const seen: Seen[] = [];
const backend = http.createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
  const path = request.url?.replace('/api', '').split('?')[0];
  if (path === '/people/slow') {
    return;
  }
  if (path === '/people/breaks') {
    request.socket.destroy();
    return;
  }
  const size = path === '/people/big' ? 1001 : path === '/people/fits' ? 1000 : undefined;
  if (path === '/people/moved') {
    response.statusCode = 307;
    response.setHeader('location', '/api/secret');
  }
  response.setHeader('content-type', 'text/x-own; charset=gb18030');
  response.setHeader('etag', '"1"');
  response.setHeader('set-cookie', ['a=1', 'b=2']);
  response.setHeader('accord-states', '{}');
  response.setHeader('x-secret', 'inside');
  response.end(size === undefined ? Buffer.from([0xc4, 0xfa, 0x00, 0xff]) : Buffer.alloc(size));
});
backend.listen(0, '127.0.0.1');
await once(backend, 'listening');
t.teardown(() => {
  backend.closeAllConnections();
  backend.close();
});
const backendUrl = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;

const fileFor = (url: string, more = '') => `
adapter: rest
service: {code: people, title: People}
backend: {url: '${url}', timeoutMs: 300, maxResponseBytes: 1000, maxRequestBytes: 100}
allow:
  - {method: GET, path: /people/*}
  - {method: POST, path: /people}
  - {method: GET, path: /lists/**}
  - {method: GET, path: /deep/**/end}
requestHeaders: [accept, x-accord-client]
responseHeaders: [etag]
${more}`;

const context = { file: join(folder, 'rest.yaml'), environment: {} };

async function serve(yaml: string): Promise<string> {
  const adapter = await openAdapter(yaml, context, systemClock);
  t.teardown(() => adapter.server.close());
  return listen(adapter);
}

const origin = await serve(fileFor(`${backendUrl}/api`));

async function ask(path: string, method = 'GET', headers: [string, string][] = [], body?: Buffer) {
  seen.length = 0;
  const answer = await client.request({ origin, path, method, headers, ...(body && { body }) });
  const text = answer.body.toString();
  return { ...answer, code: text.startsWith('{') ? JSON.parse(text).code : undefined };
}

t.test('what is allowed passes as it is', async (t) => {
  const path = '/people/%E7%8E%8B?q=a+b&q=%20&empty';
  const answer = await ask(path, 'GET', [
    ['Accept', 'text/x-own'],
    ['x-accord-client', 'A/B/C/D'],
    ['accord-fields', '/name,/items/year'],
    ['accord-as-of', '2026-01-31'],
    ['x-other', '1'],
    ['authorization', 'x'],
    ['cookie', 'c=1'],
  ]);
  t.equal(answer.status, 200);
  t.same(answer.body, Buffer.from([0xc4, 0xfa, 0x00, 0xff]));
  const names = answer.headers.map(([name]) => name.toLowerCase());
  t.ok(
    names.includes('etag') &&
      names.includes('accord-states') &&
      !names.includes('set-cookie') &&
      !names.includes('x-secret'),
  );
  t.match(answer.headers.find(([name]) => name === 'content-type')?.[1], 'text/x-own; charset=gb18030');
  t.equal(seen[0]?.url, `/api${path}`);
  const { host: _, connection: _c, ...headers } = seen[0]?.headers ?? {};
  t.strictSame(headers, {
    accept: 'text/x-own',
    'x-accord-client': 'A/B/C/D',
    'accord-fields': '/name,/items/year',
    'accord-as-of': '2026-01-31',
    'accept-encoding': 'identity',
  });

  const bytes = Buffer.from([0, 1, 2, 0xff]);
  t.equal((await ask('/people', 'POST', [['content-type', 'application/json']], bytes)).status, 200);
  t.same(seen[0]?.body, bytes, 'a body is bytes, whatever its type says');
  t.equal((await ask('/people', 'POST', [], bytes)).status, 200);
  t.same(seen[0]?.body, bytes, 'also without a type');
  const moved = await ask('/people/moved');
  t.equal(moved.status, 307);
  t.equal(seen.length, 1, 'the redirect was not followed');
  for (const allowed of ['/lists', '/lists/a', '/lists/a/b/c', '/deep/end', '/deep/a/b/end']) {
    t.equal((await ask(allowed)).status, 200, allowed);
  }
});

t.test('what is not allowed never reaches the backend', async (t) => {
  const cases: [string, string, number, string][] = [
    ['GET', '/secret', 404, 'NOT_FOUND'],
    ['GET', '/people', 405, 'METHOD_NOT_ALLOWED'],
    ['DELETE', '/people/1', 405, 'METHOD_NOT_ALLOWED'],
    ['HEAD', '/people/1', 405, ''],
    ['OPTIONS', '/people/1', 404, 'NOT_FOUND'],
    ['GET', '/people/1/2', 404, 'NOT_FOUND'],
    ['GET', '/people/', 400, 'PATH_REFUSED'],
    ['GET', '/PEOPLE/1', 404, 'NOT_FOUND'],
    ['GET', '/people/../secret', 400, 'PATH_REFUSED'],
    ['GET', '/lists/..', 400, 'PATH_REFUSED'],
    ['GET', '/lists/%2e%2E/secret', 400, 'PATH_REFUSED'],
    ['GET', '/lists/..;x/secret', 400, 'PATH_REFUSED'],
    ['GET', '/lists/a%2fb', 400, 'PATH_REFUSED'],
    ['GET', '/lists//secret', 400, 'PATH_REFUSED'],
    ['GET', '/lists/%00', 400, 'PATH_REFUSED'],
    ['GET', '/deep/a/ende', 404, 'NOT_FOUND'],
    ['GET', '/openapi.json', 404, 'NOT_FOUND'],
  ];
  for (const [method, path, status, code] of cases) {
    const answer = await ask(path, method);
    if (path !== '/people/') {
      t.equal(answer.status, status, `${method} ${path}`);
      t.equal(answer.code ?? '', code, `${method} ${path}`);
    }
    t.ok(answer.status >= 400);
    t.equal(seen.length, 0, `${method} ${path}: nothing sent on`);
  }
  t.equal(
    (
      await ask('/people/1', 'GET', [
        ['x-accord-client', 'a'],
        ['X-Accord-Client', 'b'],
      ])
    ).code,
    'HEADER_DUPLICATE',
  );
  t.equal((await ask('/people', 'POST', [], Buffer.alloc(101))).code, 'BODY_TOO_LARGE');
  t.equal(seen.length, 0);
  t.equal((await ask('/people', 'POST', [], Buffer.alloc(100))).status, 200);
});

t.test('a backend that is slow, away, too talkative or breaks off', async (t) => {
  t.equal((await ask('/people/fits')).body.length, 1000);
  t.equal((await ask('/people/big')).code, 'BACKEND_ANSWER_TOO_LARGE');
  t.equal((await ask('/people/slow')).code, 'BACKEND_TIMEOUT');
  t.equal((await ask('/people/breaks')).code, 'BACKEND_ANSWER_MALFORMED');
  const away = await serve(fileFor('http://127.0.0.1:1'));
  const answer = await client.request({ origin: away, path: '/people/1', method: 'GET' });
  t.equal(JSON.parse(answer.body.toString()).code, 'BACKEND_UNREACHABLE');
});

t.test('the file', async (t) => {
  const good = fileFor(backendUrl);
  const wrong: [string, string, RegExp][] = [
    ['timeoutMs: 300', 'timeout: 300', /:4: unknown key timeout/],
    ['method: POST', 'method: TRACE', /:7: /],
    ['/lists/**', '/lists/**/x/**', /:8: \*\* may stand once/],
    ['accept, x', 'transfer-encoding, x', /:10: transfer-encoding is never/],
    [`'${backendUrl}'`, "'http://user:pw@127.0.0.1'", /:4: /],
    [`'${backendUrl}'`, `'${backendUrl}/?a=1'`, /:4: /],
    [`'${backendUrl}',`, `'${backendUrl}', tls: {ca: absent.pem},`, /:4: tls needs/],
    ['adapter: rest', 'adapter: soap', /adapter: sql/],
  ];
  for (const [from, to, detail] of wrong) {
    t.not(good.replace(from, to), good);
    await t.rejects(
      openAdapter(good.replace(from, to), context, systemClock),
      { code: 'ADAPTER_CONFIG_INVALID', detail },
      to,
    );
  }
  await t.rejects(describeAdapter(good, context), { code: 'ADAPTER_CONFIG_INVALID', detail: /:2: .*openapi/ });
  writeFileSync(join(folder, 'own.json'), '{"openapi":"3.1.0"}');
  const described = `${good}openapi: own.json\n`;
  t.strictSame(await describeAdapter(described, context), { openapi: '3.1.0' });
  const at = await serve(described);
  t.equal(
    (await client.request({ origin: at, path: '/openapi.json', method: 'GET' })).body.toString(),
    '{"openapi":"3.1.0"}',
  );
});

t.test('listening with TLS asks for the client certificate', async (t) => {
  const [server, mine, foreign] = await Promise.all([
    selfSigned('adapter'),
    selfSigned('security-server'),
    selfSigned('x'),
  ]);
  writeFileSync(join(folder, 'key.pem'), server.key);
  writeFileSync(join(folder, 'cert.pem'), server.cert);
  writeFileSync(join(folder, 'ca.pem'), mine.cert);
  const tls = 'listen: {tls: {key: key.pem, certificate: cert.pem, clientCa: ca.pem}}';
  const at = await serve(fileFor(`${backendUrl}/api`, tls));
  t.match(at, /^https:/);
  const ask = (identity?: typeof mine) => {
    const own = identity ? { cert: identity.cert, key: identity.key } : {};
    return client.request({ origin: at, path: '/people/1', method: 'GET', tls: { ca: server.cert, ...own } });
  };
  t.equal((await ask(mine)).status, 200);
  seen.length = 0;
  await t.rejects(ask(foreign), { code: 'PEER_BROKE_OFF' });
  await t.rejects(ask(), { code: 'PEER_BROKE_OFF' });
  t.equal(seen.length, 0);
});
