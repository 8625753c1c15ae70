// The server frame: every kind of bad request gets a problem document with a stable code, and nothing reaches a route.
import { connect } from 'node:net';
import t from 'tap';
import { addressOf, openServer } from '#core/http/server-frame.ts';
import { AccordError } from '#schemas/problems.ts';
import { Type } from '#schemas/schema-builder.ts';

/** Sends raw bytes, returns status and code of the answer. */
function raw(port: number, text: string): Promise<{ status: number; code: string; type: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
    socket.on('error', reject);
    socket.on('close', () => {
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);
      const type = /content-type: ([^\r\n;]+)/i.exec(answer)?.[1] ?? '';
      const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
      resolve({ status, type, code: /"code":"([A-Z_]+)"/.exec(body)?.[1] ?? body });
    });
    socket.end(text);
  });
}

t.test('every bad request is a problem with a code', async (t) => {
  const app = openServer({ name: 'test', bodyLimit: 1000, identityHeaders: ['x-road-client'] });
  t.teardown(() => app.close());
  let reached = 0;
  const body = Type.Object({ n: Type.Integer() }, { additionalProperties: false });
  app.post('/things', { schema: { body } }, async (request) => {
    reached++;
    return { got: (request.body as { n: number }).n };
  });
  app.get('/operator', async () => {
    throw new Error('secret of the house');
  });
  app.get('/known', async () => {
    throw new AccordError('IDENTIFIER_INVALID', 'which one');
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const port = Number(new URL(addressOf(app)).port);
  const post = (text: string, headers = '') =>
    `POST /things HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n${headers}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
  const get = (target: string, headers = 'Host: a\r\n') =>
    `GET ${target} HTTP/1.1\r\n${headers}Connection: close\r\n\r\n`;
  const cases: [string, string, number, string][] = [
    ['not JSON', post('{'), 400, 'JSON_INVALID'],
    ['empty body', post(''), 400, 'JSON_INVALID'],
    ['duplicate name', post('{"n":1,"n":2}'), 400, 'JSON_DUPLICATE_NAME'],
    ['escaped duplicate name', post('{"n":1,"\\u006e":2}'), 400, 'JSON_DUPLICATE_NAME'],
    ['forbidden name', post('{"n":1,"__proto__":2}'), 400, 'JSON_FORBIDDEN_NAME'],
    ['too deep', post(`{"n":${'['.repeat(40)}${']'.repeat(40)}}`), 400, 'JSON_TOO_DEEP'],
    ['too large', post(`{"n":"${'x'.repeat(2000)}"}`), 413, 'BODY_TOO_LARGE'],
    ['not coerced', post('{"n":"1"}'), 400, 'SCHEMA_MISMATCH'],
    ['unknown name', post('{"n":1,"m":2}'), 400, 'SCHEMA_MISMATCH'],
    ['other media type', post('<n/>').replace('application/json', 'text/xml'), 415, 'MEDIA_TYPE_UNSUPPORTED'],
    ['two hosts', post('{"n":1}', 'Host: b\r\n'), 400, 'HEADER_DUPLICATE'],
    ['two authorizations', post('{"n":1}', 'Authorization: a\r\nauthorization: b\r\n'), 400, 'HEADER_DUPLICATE'],
    ['identity twice', post('{"n":1}', 'X-Road-Client: a\r\nX-ROAD-CLIENT: b\r\n'), 400, 'HEADER_DUPLICATE'],
    ['identity twin', post('{"n":1}', 'X_Road_Client: a\r\n'), 400, 'HEADER_DUPLICATE'],
    ['absolute target', get('http://a/known'), 400, 'REQUEST_MALFORMED'],
    ['no host', get('/known', ''), 400, 'REQUEST_MALFORMED'],
    ['not HTTP', 'hello there\r\n\r\n', 400, 'REQUEST_MALFORMED'],
    ['bad escape', get('/known/%zz'), 400, 'REQUEST_MALFORMED'],
    ['headers too large', get('/known', `Host: a\r\nX: ${'x'.repeat(90_000)}\r\n`), 431, 'HEADERS_TOO_LARGE'],
    ['no route', get('/nothing'), 404, 'NOT_FOUND'],
    ['known error', get('/known'), 400, 'IDENTIFIER_INVALID'],
    ['unknown error', get('/operator'), 500, 'INTERNAL'],
  ];
  for (const [name, text, status, code] of cases) {
    t.match(await raw(port, text), { status, code, type: 'application/problem+json' }, name);
  }
  t.equal(reached, 0);
  t.match(await raw(port, post('{"n":7}')), { status: 200, code: '{"got":7}' });
});
