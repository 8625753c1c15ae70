// Bad input at the consumer's face: a stable code, nothing signed, nothing logged, nothing sent.
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import t from 'tap';
import { openThrowAwayAuthority } from '#cli/dev/throw-away-authority.ts';
import { systemClock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { tlsClientOptions } from '#core/http/mtls.ts';
import { MAX_BODY_BYTES, MAX_DEADLINE_MS, MAX_HEADERS, MAX_PATH_BYTES } from '#schemas/limits.ts';
import { CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { auditBoth, post } from './asking.ts';

t.setTimeout(120_000);

const ASK = { client: CLIENT, service: SERVICE, path: '/x' };
const text = (over: object) => JSON.stringify({ ...ASK, ...over });
const headers = (count: number, size: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`x-${n}`, 'v'.repeat(size)]));

const BAD: [name: string, body: string, code: string, status?: number][] = [
  ['not JSON', '{', 'JSON_INVALID'],
  ['no JSON object', '[]', 'SCHEMA_MISMATCH'],
  ['too deep', `{"body":${'['.repeat(40)}${']'.repeat(40)}}`, 'JSON_TOO_DEEP'],
  ['a name twice', `{"client":"${CLIENT}","client":"${CLIENT}"}`, 'JSON_DUPLICATE_NAME'],
  ['a name twice, one escaped', `{"path":"/a","pat\\u0068":"/b"}`, 'JSON_DUPLICATE_NAME'],
  ['__proto__', `{"__proto__":{"client":"${CLIENT}"}}`, 'JSON_FORBIDDEN_NAME'],
  ['an unknown member', text({ nonsense: 'x' }), 'SCHEMA_MISMATCH'],
  ['no service', JSON.stringify({ client: CLIENT }), 'SCHEMA_MISMATCH'],
  ['a service of four segments', text({ service: 'DEV/GOV/2002/provider' }), 'SCHEMA_MISMATCH'],
  ['a client with a space', text({ client: 'DEV/GOV/1001/con sumer' }), 'SCHEMA_MISMATCH'],
  ['a client of three segments', text({ client: 'DEV/GOV/1001' }), 'SCHEMA_MISMATCH'],
  ['another server’s client', text({ client: 'DEV/GOV/2002/provider' }), 'CALLER_NOT_ALLOWED', 403],
  ['an unknown method', text({ method: 'CONNECT' }), 'SCHEMA_MISMATCH'],
  ['a dot segment', text({ path: '/a/../b' }), 'PATH_REFUSED'],
  ['an encoded dot segment', text({ path: '/a/%2e%2E/b' }), 'PATH_REFUSED'],
  ['a dot segment with a parameter', text({ path: '/a/..;v=1/b' }), 'PATH_REFUSED'],
  ['an encoded slash', text({ path: '/a%2fb' }), 'PATH_REFUSED'],
  ['a double encoding', text({ path: '/a%252fb' }), 'PATH_REFUSED'],
  ['a NUL', text({ path: '/a%00' }), 'PATH_REFUSED'],
  ['overlong UTF-8', text({ path: '/a%c0%af' }), 'PATH_REFUSED'],
  ['raw non-ASCII', text({ path: '/ä' }), 'PATH_REFUSED'],
  ['no leading slash', text({ path: 'a' }), 'PATH_REFUSED'],
  ['a query in the path', text({ path: '/a?b' }), 'PATH_REFUSED'],
  ['an empty segment', text({ path: '//a' }), 'PATH_REFUSED'],
  ['a fragment in the query', text({ query: 'a#b' }), 'PATH_REFUSED'],
  ['a path over its limit', text({ path: `/${'a'.repeat(MAX_PATH_BYTES)}` }), 'SCHEMA_MISMATCH'],
  ['headers that differ in case only', text({ headers: { 'X-A': '1', 'x-a': '2' } }), 'HEADER_DUPLICATE'],
  ['a line break in a header', text({ headers: { 'x-a': '1\r\nx-b: 2' } }), 'CONTEXT_MALFORMED'],
  ['a header name that is none', text({ headers: { 'x a': '1' } }), 'CONTEXT_MALFORMED'],
  ['a header name with an underscore', text({ headers: { accord_client: 'x' } }), 'CONTEXT_MALFORMED'],
  ['too many headers', text({ headers: headers(MAX_HEADERS + 1, 1) }), 'SCHEMA_MISMATCH'],
  ['headers too large for a context', text({ headers: headers(16, 8 * 1024) }), 'BODY_TOO_LARGE', 413],
  ['base64 with spare bits', text({ body: 'AB==', bodyEncoding: 'base64' }), 'ENCODING_NOT_CANONICAL'],
  ['base64 of a number', text({ body: 1, bodyEncoding: 'base64' }), 'SCHEMA_MISMATCH'],
  ['an encoding without a body', text({ bodyEncoding: 'base64' }), 'SCHEMA_MISMATCH'],
  ['a purpose with a slash', text({ purpose: 'a/b' }), 'SCHEMA_MISMATCH'],
  ['an unknown basis', text({ basis: 'want' }), 'SCHEMA_MISMATCH'],
  ['a deadline below its limit', text({ deadlineMs: 99 }), 'SCHEMA_MISMATCH'],
  ['a deadline over its limit', text({ deadlineMs: MAX_DEADLINE_MS + 1 }), 'SCHEMA_MISMATCH'],
  ['a body one byte too large', text({ body: 'a'.repeat(MAX_BODY_BYTES - 1) }), 'BODY_TOO_LARGE', 413],
  ['a request too large', text({ body: 'a'.repeat(2 * MAX_BODY_BYTES) }), 'BODY_TOO_LARGE', 413],
  ['an unknown service of a known provider', text({ service: 'DEV/GOV/2002/provider/no' }), 'SERVICE_UNKNOWN', 404],
  ['an unknown provider', text({ service: 'DEV/GOV/9999/no/no' }), 'PROVIDER_UNKNOWN', 404],
];

/** One raw HTTP request to the loopback port; status and code of the answer. */
function raw(pair: Pair, lines: string[], body: string): Promise<string> {
  const { hostname, port } = new URL(pair.consumer.urls.loopback ?? '');
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let said = '';
    socket.on('data', (chunk) => {
      said += chunk;
    });
    socket.on('error', reject).on('close', () => {
      resolve(`${/^HTTP\/1.1 (\d+)/.exec(said)?.[1]} ${/"code":"(\w+)"/.exec(said)?.[1]}`);
    });
    socket.write(`${lines.join('\r\n')}\r\nconnection: close\r\n\r\n${body}`);
  });
}

t.test('bad lookups', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  for (const [name, body, code, status = 400] of BAD) {
    const asked = await post(pair, '/lookups', body);
    t.match({ status: asked.status, code: asked.json.code }, { status, code }, name);
    t.match(asked.headers.get('content-type'), 'application/problem+json');
  }
  const body = text({});
  const length = `content-length: ${body.length}`;
  const json = 'content-type: application/json';
  const rows: [string[], string][] = [
    [['POST /lookups HTTP/1.1', 'host: a', 'host: b', json, length], '400'],
    [['POST /lookups HTTP/1.1', 'host: a', json, json, length], '400 HEADER_DUPLICATE'],
    [
      ['POST /lookups HTTP/1.1', 'host: a', json, 'authorization: a', 'Authorization: b', length],
      '400 HEADER_DUPLICATE',
    ],
    [['POST /lookups HTTP/1.1', 'host: a', json, 'content_type: text/plain', length], '400 HEADER_DUPLICATE'],
    [['POST /lookups HTTP/1.1', 'host: a', 'content-type: text/plain', length], '415 MEDIA_TYPE_UNSUPPORTED'],
    [['POST http://a/lookups HTTP/1.1', 'host: a', json, length], '400 REQUEST_MALFORMED'],
    [['POST /lookups HTTP/1.1', 'host: a', json, length, 'transfer-encoding: chunked'], '400 REQUEST_MALFORMED'],
    [['POST /LOOKUPS HTTP/1.1', 'host: a', json, length], '404 NOT_FOUND'],
  ];
  for (const [lines, says] of rows) t.match(await raw(pair, lines, body), says, lines.join(' | '));
  t.equal(pair.consumer.parts.log.size(), 0, 'nothing was logged');
  t.equal(pair.backend.seen.length, 0, 'nothing ran');
  pair.backend.answer = (_request, _body, response) => response.end();
  const largest = 'a'.repeat(MAX_BODY_BYTES - 2);
  t.equal((await post(pair, '/lookups', { ...ASK, body: largest })).json.outcome, 'ok', 'the largest body passes');
  t.equal(pair.backend.seen[0]?.body.length, MAX_BODY_BYTES);
  const longest = { ...ASK, path: `/${'a'.repeat(MAX_PATH_BYTES - 1)}`, headers: headers(MAX_HEADERS, 256) };
  t.equal((await post(pair, '/lookups', longest)).json.outcome, 'ok', 'the longest path and most headers pass');
  await auditBoth(t, pair);
});

t.test('systems over mutual TLS speak for their own subsystem only', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const client = openClient();
  t.teardown(() => client.close());
  const { state } = pair.consumer.parts;
  const ask = async ({ certPem, keyPem }: { certPem: string; keyPem: string }) => {
    const answer = await client.request({
      url: `${pair.consumer.urls.systems}/lookups`,
      method: 'POST',
      headers: [['content-type', 'application/json']],
      body: Buffer.from(text({})),
      tls: tlsClientOptions({ certPem, keyPem }, () => true),
    });
    const { code } = JSON.parse(String(answer.body)) as { code: string };
    return `${answer.status} ${code}`;
  };
  const mine = await pair.authority.system(CLIENT);
  t.equal(await ask(mine), '401 CALLER_UNKNOWN', 'not registered yet');
  state.putSystem({ subsystem: CLIENT, name: 'desk', certificateHash: mine.certificateHash });
  t.equal(await ask(mine), '200 OK');
  const other = await pair.authority.system('DEV/GOV/1001/other');
  state.putSystem({ subsystem: 'DEV/GOV/1001/other', name: 'other', certificateHash: other.certificateHash });
  t.equal(await ask(other), '403 CALLER_NOT_ALLOWED');
  const foreign = await (await openThrowAwayAuthority(systemClock)).system(CLIENT);
  t.equal(await ask(foreign), '401 CALLER_UNKNOWN');
  state.removeSystem(CLIENT, mine.certificateHash);
  t.equal(await ask(mine), '401 CALLER_UNKNOWN', 'on the very connection that was good before');
  const bare = await new Promise((resolve) => {
    const request = httpsRequest(`${pair.consumer.urls.systems}/lookups`, {
      method: 'POST',
      rejectUnauthorized: false,
    });
    request.on('response', (response) => resolve(response.resume().statusCode)).on('error', () => resolve('refused'));
    request.end();
  });
  t.equal(bare, 401, 'without a certificate');
});

t.test('a full server refuses before it reads', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const { admission } = pair.consumer.parts;
  const places = Array.from({ length: 256 }, () => admission.enter('sender', pair.consumer.id));
  const asked = await post(pair, '/lookups', ASK);
  t.match({ status: asked.status, code: asked.json.code }, { status: 503, code: 'SERVER_BUSY' });
  t.equal(asked.headers.get('retry-after'), '1');
  for (const leave of places) leave();
  t.equal((await post(pair, '/lookups', ASK)).status, 200);
  t.equal(admission.inFlight, 0);
});

t.test('who hangs up keeps its place until its exchange ends', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  let release = () => {};
  pair.backend.answer = (_request, _body, response) => {
    release = () => response.end();
  };
  const gone = new AbortController();
  const headers = { 'content-type': 'application/json' };
  const { loopback } = pair.consumer.urls;
  const asked = fetch(`${loopback}/lookups`, { method: 'POST', headers, body: text({}), signal: gone.signal });
  while (pair.backend.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  gone.abort();
  await t.rejects(asked);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(pair.consumer.parts.admission.inFlight, 1);
  release();
  await pair.consumer.parts.admission.drained();
  const last = pair.consumer.parts.log.read(pair.consumer.parts.log.size() - 1, 1)[0];
  t.equal(last?.entry.kind, 'response-received', 'the answer was logged all the same');
  t.equal(pair.provider.parts.admission.inFlight, 0);
});
