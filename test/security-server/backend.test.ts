// What reaches a department's backend and what comes back of its answer: forwarded byte for byte, identity headers of
// nobody but this server, hop-by-hop headers of nobody, and a code for whatever a backend does wrong.

import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { MAX_BODY_BYTES } from '#schemas/limits.ts';
import { CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import type { LocalService } from '#security-server/state.ts';
import { auditBoth, kinds, post } from './asking.ts';

t.setTimeout(120_000);
const ASK = { client: CLIENT, service: SERVICE, path: '/x' };

function headersOf({ backend }: Pair): [string, string][] {
  const flat = backend.seen.at(-1)?.headers ?? [];
  return flat.flatMap((name, at) => (at % 2 === 0 ? [[name.toLowerCase(), flat[at + 1] ?? '']] : [])) as [
    string,
    string,
  ][];
}

t.test('every method, with and without a body, byte for byte', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
  const body = { body: bytes.toString('base64'), bodyEncoding: 'base64', contentType: 'application/x-bytes' };
  pair.backend.answer = (request, sent, response) => {
    response.statusCode = request.method === 'DELETE' ? 404 : 200;
    response.setHeader('content-type', 'application/x-bytes').end(sent);
  };
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE', 'POST', 'PUT', 'PATCH', 'TRACE']) {
    for (const carried of method === 'TRACE' || method === 'HEAD' ? [{}] : [{}, body]) {
      const path = `/a%20b/c;p=1/~!$&'()*+,=:@`;
      const { json } = await post(pair, '/lookups', { ...ASK, method, path, query: 'q=%2F&q=2&&', ...carried });
      const seen = pair.backend.seen.at(-1);
      const name = `${method} ${'body' in carried ? 'with a body' : ''}`;
      t.match(json, { outcome: 'ok', status: method === 'DELETE' ? 404 : 200 }, name);
      t.equal(seen?.method, method);
      t.equal(seen?.url, `/base${path}?q=%2F&q=2&&`);
      t.ok(seen?.body.equals('body' in carried ? bytes : Buffer.alloc(0)));
      t.equal(json['body'], 'body' in carried ? body.body : null);
    }
  }
  const encoded = await post(pair, '/lookups', { ...ASK, query: { name: '王 & co', n: 1, yes: true } });
  t.equal(encoded.json.outcome, 'ok');
  t.equal(pair.backend.seen.at(-1)?.url, '/base/x?name=%E7%8E%8B%20%26%20co&n=1&yes=true');
  await auditBoth(t, pair);
});

t.test('who asks is said by the server alone, and hop-by-hop headers end here', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  pair.backend.answer = (_request, _body, response) => {
    const headers = ['Connection', 'x-hop', 'x-hop', 'gone', 'Keep-Alive', 'timeout=5', 'Accord-Client', 'me'];
    const kept = ['X-Kept', 'one', 'x-kept', 'two', 'Set-Cookie', 'a=b', 'Content-Type', 'text/plain', 'Server', 's'];
    response.writeHead(200, [...headers, ...kept]);
    response.end('ok');
  };
  const sent = {
    'Accord-Client': 'DEV/GOV/9999/forged',
    'accord-new': 'x',
    'X-Request-Id': 'r1',
    Accept: 'text/plain',
    Cookie: 'a=b',
    Authorization: 'Bearer x',
    Connection: 'x-mine',
    'x-mine': 'gone',
    'Content-Length': '99',
    Host: 'elsewhere',
    'Accept-Encoding': 'gzip',
  };
  const who = { userId: '李 7', issue: 'case 9' };
  const { json } = await post(pair, '/lookups', { ...ASK, headers: sent, ...who });
  t.equal(json.outcome, 'ok', JSON.stringify(json));
  const seen = headersOf(pair);
  const value = (name: string) => seen.filter(([key]) => key === name).map(([, text]) => text);
  t.strictSame(value('accord-client'), [CLIENT]);
  t.strictSame(value('accord-service'), [SERVICE]);
  t.strictSame(value('accord-message-id'), [json.id]);
  t.strictSame(value('accord-basis'), ['open']);
  t.strictSame(value('accord-user-id'), [encodeURIComponent(who.userId)]);
  t.strictSame(value('accord-issue'), [encodeURIComponent(who.issue)]);
  t.strictSame(value('x-request-id'), ['r1']);
  t.strictSame(value('accept'), ['text/plain']);
  t.strictSame(value('accept-encoding'), ['identity']);
  t.strictSame(value('host'), [new URL(pair.backend.url).host]);
  for (const name of ['accord-new', 'cookie', 'authorization', 'x-mine', 'content-length'])
    t.strictSame(value(name), [], name);
  t.strictSame(json['headers'], { 'content-type': 'text/plain', 'x-kept': ['one', 'two'] });
});

t.test('whatever a backend does wrong has a code, signed and logged', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  // A backend that speaks no HTTP worth the name: answers each connection with the bytes it is told to.
  let bytes = '';
  const rude = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end(bytes));
  });
  await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
  t.teardown(() => rude.close());
  const rudeUrl = `http://127.0.0.1:${(rude.address() as AddressInfo).port}`;
  const many = Array.from({ length: 70 }, (_, n) => `x-${n}: v\r\n`).join('');
  const rows: [
    string,
    Partial<LocalService> & { bytes?: string; answer?: Pair['backend']['answer'] },
    string,
    number,
  ][] = [
    ['away', { url: 'http://127.0.0.1:1' }, 'BACKEND_UNREACHABLE', 502],
    ['slow', { timeoutMs: 100, answer: () => {} }, 'BACKEND_TIMEOUT', 504],
    [
      'too large',
      { answer: (_q, _b, response) => response.end(Buffer.alloc(MAX_BODY_BYTES + 1)) },
      'BACKEND_ANSWER_TOO_LARGE',
      502,
    ],
    [
      'compressed',
      { answer: (_q, _b, r) => r.setHeader('content-encoding', 'gzip').end(gzipSync('a')) },
      'BACKEND_ANSWER_MALFORMED',
      502,
    ],
    ['not HTTP', { url: rudeUrl, bytes: 'hello\r\n\r\n' }, 'BACKEND_ANSWER_MALFORMED', 502],
    ['hangs up', { url: rudeUrl, bytes: '' }, 'BACKEND_ANSWER_MALFORMED', 502],
    [
      'cut short',
      { url: rudeUrl, bytes: 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc' },
      'BACKEND_ANSWER_MALFORMED',
      502,
    ],
    [
      'two types',
      { url: rudeUrl, bytes: 'HTTP/1.1 200 OK\r\ncontent-type: a/b\r\ncontent-type: c/d\r\ncontent-length: 0\r\n\r\n' },
      'BACKEND_ANSWER_MALFORMED',
      502,
    ],
    [
      'two codings',
      {
        url: rudeUrl,
        bytes: 'HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n',
      },
      'BACKEND_ANSWER_MALFORMED',
      502,
    ],
    [
      'too many headers',
      { url: rudeUrl, bytes: `HTTP/1.1 200 OK\r\n${many}content-length: 0\r\n\r\n` },
      'BACKEND_ANSWER_MALFORMED',
      502,
    ],
    [
      'an endless type',
      { url: rudeUrl, bytes: `HTTP/1.1 200 OK\r\ncontent-type: ${'a'.repeat(300)}\r\ncontent-length: 0\r\n\r\n` },
      'BACKEND_ANSWER_MALFORMED',
      502,
    ],
    [
      'a header too long',
      { url: rudeUrl, bytes: `HTTP/1.1 200 OK\r\nx-a: ${'a'.repeat(9_000)}\r\ncontent-length: 0\r\n\r\n` },
      'BACKEND_ANSWER_MALFORMED',
      502,
    ],
    [
      'headers too large',
      { url: rudeUrl, bytes: `HTTP/1.1 200 OK\r\nx-a: ${'a'.repeat(60_000)}\r\ncontent-length: 0\r\n\r\n` },
      'BACKEND_ANSWER_MALFORMED',
      502,
    ],
  ];
  const { state } = pair.provider.parts;
  const usual = state.service(SERVICE);
  for (const [name, row, code, status] of rows) {
    const { bytes: said, answer, ...over } = row;
    bytes = said ?? '';
    if (answer !== undefined) pair.backend.answer = answer;
    if (usual !== null) state.putService({ ...usual, ...over });
    const { json, ...asked } = await post(pair, '/lookups', ASK);
    t.match({ ...json, http: asked.status }, { outcome: 'provider-error', code, status, http: status }, name);
    t.equal(kinds(pair.provider, json.id), 'request-received,response-sent');
    t.equal(kinds(pair.consumer, json.id), 'request-sent,response-received');
  }
  if (usual !== null) state.putService(usual);
  pair.backend.answer = (_request, _body, response) => response.end(Buffer.alloc(MAX_BODY_BYTES));
  t.equal((await post(pair, '/lookups', ASK)).json.outcome, 'ok', 'the largest answer passes');
  pair.backend.answer = () => {};
  const late = await post(pair, '/lookups', { ...ASK, deadlineMs: 150 });
  t.equal(late.status, 504, 'the deadline of the caller holds on both servers');
  t.match(late.json.outcome, /^(?:unknown|provider-error)$/);
  await auditBoth(t, pair);
});
