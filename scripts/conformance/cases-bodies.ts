// Chapters 8 and 9: bodies of any size, and that one request is one request.
import { byEcho, type Case, rule } from './case.ts';
import type { Header } from './wire.ts';

const same = { target: '/r1/{service}/conformance/same', method: 'POST' };
const PDF = Buffer.from('%PDF-1.4\n%\u00e2\u00e3\u00cf\u00d3\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n', 'latin1');
const BODIES: [string, Buffer | 'large'][] = [
  ['application/json', Buffer.alloc(0)],
  ['application/json', Buffer.from('{"b":1,\r\n "a": [1.0, "\\u00e9"]}')],
  ['text/xml', Buffer.from('<?xml version="1.0"?>\n<a b="c">&amp;</a>')],
  ['application/pdf', PDF],
  ['application/octet-stream', Buffer.from(Array.from({ length: 70_000 }, (_, at) => (at * 7) % 256))],
  ['application/octet-stream', 'large'],
];
const ECHO = { target: '/r1/{service}/conformance/echo', method: 'POST' };

/** What two readers could take for different requests. */
const FRAMINGS: Header[][] = [
  [
    ['Content-Length', '3'],
    ['Content-Length', '4'],
  ],
  [
    ['Content-Length', '3'],
    ['Transfer-Encoding', 'chunked'],
  ],
  [['Transfer-Encoding', 'gzip, chunked, identity']],
  [['Content-Length', '+3']],
  [['Host', 'other.example']],
  [['X-Folded', 'a\r\n b']],
  [['X-Colon ', 'a']],
];

export const bodies: readonly Case[] = [
  ...rule(
    '8.1',
    '0-byte, JSON, XML, PDF and large bodies arrive byte-identical, both ways',
    BODIES.map(([type, body]) => ({
      ask: { ...same, body, headers: [['Content-Type', type]] as Header[] },
      expect: {
        status: 200,
        body: 'sent' as const,
        seen: { body: 'sent' as const, headers: { 'content-type': type } },
        headers: { 'content-type': type },
      },
      needs: byEcho,
    })),
  ),
  ...rule('8.2', 'chunked uploads reach the provider with a real Content-Length when they can be buffered', [
    {
      ask: { ...same, body: PDF, chunked: true },
      expect: {
        status: 200,
        body: 'sent',
        seen: { body: 'sent', headers: { 'content-length': String(PDF.length), 'transfer-encoding': null } },
      },
      needs: byEcho,
    },
  ]),
  ...rule('8.3', 'above the configured limit: status 413, type Client.BadRequest', [
    {
      ask: { ...same, headers: [['Content-Length', '{over the limit}']] },
      expect: { status: 413, error: 'Client.BadRequest' },
      needs: ['limit'],
    },
  ]),
  ...rule(
    '9.1',
    'what two readers could read as different requests is refused, and the backend sees nothing',
    FRAMINGS.map((headers) => ({ ask: { ...ECHO, headers }, expect: { status: 400 }, anyError: true })),
  ),
];
