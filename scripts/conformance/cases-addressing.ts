// Chapter 1: addressing.
import { badRequest, byEcho, type Case, rule } from './case.ts';

const METHODS = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE'];

/** What has to arrive as it was written, behind the base URL. */
const FORWARDED = [
  '/conformance/echo?x=1&x=2&a=&b',
  '/conformance/echo?',
  '/conformance/echo??a=?',
  '/conformance/echo?next=%2Fa%20b%C3%A9&x=%e6%9d%8e',
  '/conformance/a%20b/%E6%9D%8E/echo',
  "/conformance/a:b@c,d;e=f/$&+!*()'/echo",
  '/conformance/echo/',
  '/conformance/~-._/echo',
];
const BAD_SEGMENTS = ['%', '%zz', '%ff', '%0a', 'a"b', '\u00e9'];
/** Part of an identifier each, and no such service is there: read as separators they would lead to the service, or past it. */
const SLASHES = [
  '{service code}%2Fconformance%2Fecho',
  '{service code}%2f',
  '%2F{service code}',
  'none%2F{service code}',
];
const BAD_PATHS = ['/a%', '/a%zz', '/a%c0%af', '/a"b'];
/** Bytes that no request line may have: refused by whoever reads it first. */
const NO_TARGET = ['/a b', '/a\u00c3\u00a9', '/a\u0001b'];
const MANY_READINGS = [
  '/a/../b',
  '/a/%2e%2e/b',
  '/a/.%2E/b',
  '/./a',
  '/a/..;x/b',
  '/a%2Fb',
  '/a%2fb',
  '/a%5cb',
  '/a%252fb',
  '/a%252e%252e/b',
  '/a%00b',
];

export const addressing: readonly Case[] = [
  ...rule(
    '1.1',
    'DELETE GET HEAD OPTIONS PATCH POST PUT TRACE, all relayed with the same verb',
    METHODS.map((method) => ({
      ask: { method },
      expect: { status: 200, seen: { method, target: '{base}/conformance/echo' } },
      needs: byEcho,
    })),
  ),
  ...rule(
    '1.2',
    'always five identifier segments',
    ['/r1/{provider}', '/r1/', '/r1', '/r1//{service}/conformance/echo'].map((target) => ({
      ask: { target },
      expect: badRequest,
    })),
  ),
  ...rule('1.3', 'identifier segments are percent-decoded as UTF-8', [
    {
      ask: { target: '/r1/{escaped service}/conformance/echo' },
      expect: { status: 200, seen: { target: '{base}/conformance/echo' } },
      needs: byEcho,
    },
  ]),
  ...rule('1.4', 'bad escapes, raw spaces or non-ASCII bytes, control characters: 400 Client.BadRequest', [
    ...BAD_SEGMENTS.map((part) => ({
      ask: { target: `/r1/{provider}/${part}/conformance/echo` },
      expect: part === '\u00e9' ? { status: 400 } : badRequest,
      ...(part === '\u00e9' ? { anyError: true } : {}),
    })),
    ...BAD_PATHS.map((path) => ({ ask: { target: `/r1/{service}${path}` }, expect: badRequest })),
    ...NO_TARGET.map((path) => ({
      ask: { target: `/r1/{service}${path}` },
      expect: { status: 400 },
      anyError: true,
    })),
  ]),
  ...rule(
    '1.5',
    'everything after the fifth segment is the service path, forwarded raw, byte for byte, like the query',
    FORWARDED.map((path) => ({
      ask: { target: `/r1/{service}${path}` },
      expect: { status: 200, seen: { target: `{base}${path}` } },
      needs: byEcho,
    })),
  ),
  ...rule('1.6', 'the service alone is its base URL as it is; base URL and path join with exactly one slash', [
    // Whether the base URL ends with a slash, only its administrator knows.
    {
      ask: { target: '/r1/{service}' },
      expect: { status: 200, seen: { target: ['{base}', '{base}/'] } },
      needs: byEcho,
    },
    { ask: { target: '/r1/{service}/' }, expect: { status: 200, seen: { target: '{base}/' } }, needs: byEcho },
    {
      ask: { target: '/r1/{service}?x=1' },
      expect: { status: 200, seen: { target: ['{base}?x=1', '{base}/?x=1'] } },
      needs: byEcho,
    },
  ]),
  ...rule('1.7', 'absolute-form targets: 400', [
    {
      ask: { target: 'http://example.org/r1/{service}/conformance/echo' },
      expect: { status: 400 },
      anyError: true,
    },
  ]),
  ...rule(
    '1.8',
    'what cannot be brought to one canonical reading is refused with 400 before access is checked',
    MANY_READINGS.map((path) => ({ ask: { target: `/r1/{service}${path}` }, expect: badRequest })),
  ),
  ...rule('1.9', '%2F inside a segment is part of the identifier: it names another service or member', [
    ...SLASHES.map((part) => ({
      ask: { target: `/r1/{provider}/${part}` },
      expect: { status: 500, error: 'Server.ServerProxy.UnknownService' },
    })),
    ...['/r1/{provider}%2F{service code}/conformance/echo', '/r1/{instance}%2Fx/x/x/x/conformance/echo'].map(
      (target) => ({ ask: { target }, expect: { status: 500, error: 'Server.ClientProxy.UnknownMember' } }),
    ),
  ]),
];
