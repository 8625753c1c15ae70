// Chapter 3: headers and hash of an answer. What every answer has to have (X-Road-Client, -Id, -Service, -Request-Id, the hash,
// one Date, no X-Road-Error) is looked at in every case that an answer comes to; judge.ts.
import { byEcho, type Case, rule, valuesOf } from './case.ts';
import type { Header } from './wire.ts';

const answer = (name: string) => ({ target: `/r1/{service}/conformance/${name}` });
const OWN = ['X-Road-Client', 'X-Road-Id', 'X-Road-Service', 'X-Road-Request-Id', 'X-Road-Request-Hash'];
const json = Buffer.from('{"value" : 42}');

export const answers: readonly Case[] = [
  ...rule(
    '3.1',
    "the server sets X-Road-Client, -Id, -Service, -Request-Id, -Request-Hash; the provider's X-Road-* go",
    [
      {
        ask: answer('spoofed'),
        expect: {
          status: 200,
          headers: { 'x-road-service': '{service}', 'x-road-error': null, 'x-road-other': null, 'user-agent': null },
          also: ({ came }) => {
            const spoofed = came.headers.filter(([, value]) => value === 'spoofed').map(([name]) => name);
            const several = OWN.filter((name) => valuesOf(came.headers, name.toLowerCase()).length !== 1);
            if (spoofed.length > 0) return `nothing of the provider's in ${spoofed.join(', ')}`;
            return several.length > 0 ? `once each: ${several.join(', ')}` : null;
          },
        },
        needs: byEcho,
      },
    ],
  ),
  ...rule('3.2', 'X-Road-Request-Hash: base64 of SHA-512 of the head, with a body of both hashes', [
    { ask: { headers: [['X-Road-Id', 'hashed']] }, expect: { status: 200 }, needs: byEcho },
    { ask: {}, expect: { status: 200 }, needs: byEcho },
    { ask: { target: '/r1/{service}/conformance/echo?quu=1&x=%20' }, expect: { status: 200 }, needs: byEcho },
    { ask: { method: 'POST', body: json }, expect: { status: 200 }, needs: byEcho },
    { ask: { method: 'POST', body: json, chunked: true }, expect: { status: 200 }, needs: byEcho },
    {
      ask: {
        method: 'POST',
        body: json,
        headers: [
          ['content-TYPE', 'application/json'],
          ['X-Road-UserId', '\u00e6\u009d\u008e'],
          ['X-Road-Issue', 'i'],
          ['X-Road-Request-Id', 'dropped'],
          ['User-Agent', 'dropped'],
          ['Accept', 'b'],
          ['Accept', 'a'],
          ['X-Road-Other', 'dropped'],
          ['X-Spaced', 'a  b'],
        ] as Header[],
      },
      expect: { status: 200 },
      needs: byEcho,
    },
  ]),
  ...rule('3.3', "the provider's headers come through, repeats and order kept; one Date", [
    {
      ask: answer('repeated'),
      expect: { status: 200, headers: { 'x-many': ['2', '1'], 'set-cookie': ['a=1', 'b=2'] } },
      needs: byEcho,
    },
    { ask: answer('dated'), expect: { status: 200, headers: { date: /GMT$/ } }, needs: byEcho },
    {
      ask: { ...answer('coded'), headers: [['Accept-Encoding', 'gzip']] },
      expect: {
        status: 200,
        headers: { 'content-encoding': 'gzip' },
        also: ({ came }) => (came.body[0] === 0x1f && came.body[1] === 0x8b ? null : 'the body in its coding'),
      },
      needs: byEcho,
    },
  ]),
  ...rule('3.4', 'redirects are passed on, never followed', [
    {
      ask: answer('elsewhere'),
      expect: { status: 302, headers: { location: 'http://127.0.0.1:1/elsewhere?x=1' }, body: Buffer.alloc(0) },
      needs: byEcho,
    },
  ]),
  ...rule('3.5', "a provider's own status comes through as it is, without X-Road-Error", [
    { ask: answer('made'), expect: { status: 201 }, needs: byEcho },
    {
      ask: answer('missing'),
      expect: { status: 404, body: Buffer.from('no such record'), headers: { 'content-type': 'text/plain' } },
      needs: byEcho,
    },
    { ask: answer('failed'), expect: { status: 503, body: Buffer.from('down') }, needs: byEcho },
    { ask: answer('nothing'), expect: { status: 204, body: Buffer.alloc(0) }, needs: byEcho },
    {
      ask: answer('unchanged'),
      expect: { status: 304, headers: { etag: '"1"' }, body: Buffer.alloc(0) },
      needs: byEcho,
    },
    { ask: { method: 'HEAD' }, expect: { status: 200, body: Buffer.alloc(0) }, needs: byEcho },
  ]),
];
