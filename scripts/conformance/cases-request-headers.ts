// Chapter 2: headers of a request.
import { badRequest, byEcho, type Case, rule, type Told, valuesOf } from './case.ts';
import type { Header } from './wire.ts';

const json = Buffer.from('{"value" : 42}');
const CLIENTS = ['', 'EE/GOV/1', '{client}/more', '/{client}', '%zz/GOV/1/a', 'EE/GOV//a'];
const TWINS = ['X-Road-Client', 'x-road-client', 'X_Road_Client', 'X-Road_Client'];
const TWICE = ['X-Road-Id', 'X-Road-UserId', 'X-Road-Issue', 'Accord-Purpose', 'Accord-Fields', 'X-Road-Other'];
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;
const HOP: Header[] = [
  ['Keep-Alive', 'timeout=5'],
  ['Proxy-Authenticate', 'Basic'],
  ['Proxy-Authorization', 'Basic eA=='],
  ['TE', 'trailers'],
  ['Trailer', 'X-Later'],
  ['User-Agent', 'conformance/1'],
  ['Server', 'conformance'],
];
const UNCHANGED: Header[] = [
  ['X-Many', '2'],
  ['Cookie', 'a=b'],
  ['X-Many', '1'],
  ['Authorization', 'Bearer abc'],
  ['Accept', 'text/html;q=0.5, */*'],
  ['Accept-Encoding', 'br, gzip'],
  ['X-Empty', ''],
  ['If-None-Match', '"1"'],
  ['Date', 'Thu, 01 Jan 2026 00:00:00 GMT'],
  ['x_under', 'score'],
  ['X-Bytes', '\u00e6\u009d\u008e \u00ff'],
];

/** Everything of `UNCHANGED` at the backend, in its order; a name in lower case is the same name. */
function inOrder({ seen }: Told): string | null {
  const names = new Set(UNCHANGED.map(([name]) => name.toLowerCase()));
  const lower = (headers: readonly Header[]) => headers.map(([name, value]) => `${name.toLowerCase()}: ${value}`);
  const arrived = lower((seen?.headers ?? []).filter(([name]) => names.has(name.toLowerCase())));
  const isSame = arrived.join('\n') === lower(UNCHANGED).join('\n');
  return isSame ? null : `the backend gets ${lower(UNCHANGED).join(' | ')}; it got ${arrived.join(' | ')}`;
}

const withHeaders = (...headers: Header[]) => ({ ask: { headers } });
const own = (party: string) => withHeaders(['X-Road-Represented-Party', party]);

export const requestHeaders: readonly Case[] = [
  ...rule('2.1', 'X-Road-Client is required; missing or malformed: 400 Client.BadRequest', [
    { ask: { client: false }, expect: badRequest },
    ...CLIENTS.map((client) => ({
      ask: { client: false, headers: [['X-Road-Client', client]] as Header[] },
      expect: badRequest,
    })),
  ]),
  ...rule('2.2', 'duplicate or underscore forms of any X-Road-* or Accord-* name: 400', [
    ...TWINS.map((name) => ({ ...withHeaders([name, '{client}']), expect: badRequest })),
    ...TWICE.map((name) => ({ ...withHeaders([name, 'a'], [name.toLowerCase(), 'a']), expect: badRequest })),
  ]),
  ...rule('2.3', 'X-Road-Id is kept end to end, and may repeat; when absent {instance}-{uuid} is made', [
    ...['an id: 1/2 %41', 'an id: 1/2 %41'].map((id) => ({
      ...withHeaders(['X-Road-Id', id]),
      expect: { status: 200, headers: { 'x-road-id': id }, seen: { headers: { 'x-road-id': id } } },
      needs: byEcho,
    })),
    {
      ask: {},
      expect: {
        status: 200,
        headers: { 'x-road-id': /^.+-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/ },
        seen: { headers: { 'x-road-id': /^.+-[0-9a-f-]{36}$/ } },
      },
      needs: byEcho,
    },
  ]),
  ...rule('2.4', 'X-Road-UserId, X-Road-Issue: optional, passed on', [
    {
      ...withHeaders(['X-Road-UserId', 'EE1234567890'], ['X-Road-Issue', 'case 17/2026']),
      expect: {
        status: 200,
        seen: {
          headers: { 'x-road-userid': 'EE1234567890', 'x-road-issue': 'case 17/2026', 'x-road-client': '{client}' },
        },
      },
      needs: byEcho,
    },
    {
      // A character of Chinese in UTF-8, as bytes.
      ...withHeaders(['X-Road-UserId', '\u00e6\u009d\u008e']),
      expect: { status: 200, seen: { headers: { 'x-road-userid': '\u00e6\u009d\u008e' } } },
      needs: byEcho,
    },
  ]),
  ...rule('2.5', 'X-Road-Represented-Party: [class/]code; three or more parts: 400', [
    ...['COM/123', '123'].map((party) => ({
      ...own(party),
      expect: { status: 200, seen: { headers: { 'x-road-represented-party': party } } },
      needs: byEcho,
    })),
    ...['EE/COM/123', 'COM/', '/123', 'a/b/c/d'].map((party) => ({ ...own(party), expect: badRequest })),
  ]),
  ...rule(
    '2.6',
    'X-Road-Security-Server: exactly four parts; unknown or not serving the provider: Server.ClientProxy.InvalidSecurityServer',
    ['{client}', '{instance}/NONE/none/none', '{instance}/NONE/none', '{instance}/a/b/c/d', 'x'].map((server) => ({
      ...withHeaders(['X-Road-Security-Server', server]),
      expect: { status: 500, error: 'Server.ClientProxy.InvalidSecurityServer' },
    })),
  ),
  ...rule('2.7', "the caller's X-Road-Request-Id and -Hash are dropped; the request id reaches the provider", [
    {
      ...withHeaders(['X-Road-Request-Id', 'mine'], ['X-Road-Request-Hash', 'mine']),
      expect: {
        status: 200,
        seen: { headers: { 'x-road-request-hash': null, 'x-road-request-id': UUID } },
        also: ({ came, seen }) => {
          const told = valuesOf(came.headers, 'x-road-request-id').join();
          const arrived = valuesOf(seen?.headers ?? [], 'x-road-request-id').join();
          return told === arrived ? null : 'the same X-Road-Request-Id at the backend and at the caller';
        },
      },
      needs: byEcho,
    },
  ]),
  ...rule('2.8', 'X-Road-* and Accord-* names that are not listed are stripped; Accord-* is never forwarded', [
    {
      ...withHeaders(['X-Road-Other', 'a'], ['Accord-Other', 'a'], ['Accord-Basis', 'open']),
      expect: { status: 200, seen: { headers: { 'x-road-other': null, 'accord-other': null } } },
      needs: byEcho,
    },
  ]),
  ...rule(
    '2.9',
    'never passed on: keep-alive proxy-authenticate proxy-authorization te trailer user-agent server …',
    HOP.map(([name, value]) => ({
      ...withHeaders([name, value]),
      expect: {
        status: 200,
        // The server may send such a header of its own for its own connection.
        also: ({ seen }: Told) =>
          valuesOf(seen?.headers ?? [], name.toLowerCase()).includes(value) ? `the backend does not get ${name}` : null,
      },
      needs: byEcho,
    })),
  ),
  ...rule('2.10', 'everything else is passed on unchanged, order and repeats kept', [
    { ...withHeaders(...UNCHANGED), expect: { status: 200, also: inOrder }, needs: byEcho },
    ...['Application/X; a="b"', 'nonsense', 'text/plain;;', 'a/b, c/d', 'multipart/form-data; boundary=x'].map(
      (type) => ({
        ask: { method: 'POST', body: json, headers: [['Content-Type', type]] as Header[] },
        expect: { status: 200, seen: { body: 'sent' as const, headers: { 'content-type': type } } },
        needs: byEcho,
      }),
    ),
    {
      ask: { method: 'POST', body: json },
      expect: { status: 200, seen: { body: 'sent', headers: { 'content-type': null } } },
      needs: byEcho,
    },
  ]),
  ...rule(
    '2.11',
    'a body on any method is delivered alike; nothing is signed that is not delivered',
    ['GET', 'DELETE', 'OPTIONS', 'HEAD', 'POST'].map((method) => ({
      ask: { method, body: json, headers: [['Content-Type', 'application/json']] as Header[] },
      expect: {
        status: 200,
        seen: { method, body: 'sent' as const, headers: { 'content-type': 'application/json' } },
      },
      needs: byEcho,
    })),
  ),
];
