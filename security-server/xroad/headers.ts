// The headers of a call in X-Road's REST message protocol (PR-REST 4.3), read from the raw headers: Node joins what stands
// twice, and takes an underscore for another name, where a proxy or backend may not. The calling information system controls
// all of them; what says who asks and on what grounds may stand once and is never forwarded as it came.
import { meantBy } from '#core/http/server-frame.ts';
import type { HeaderList } from '#schemas/context.ts';
import { type ServerId, type SubsystemId, serverId, subsystemId } from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
import type { RawHeaders } from './request-hash.ts';
import { decodePart, named } from './target.ts';

export interface XRoadHeaders {
  client: SubsystemId;
  /** X-Road-Id as it was sent; null when the server has to make one. */
  id: string | null;
  userId: string | null;
  issue: string | null;
  representedParty: string | null;
  securityServer: ServerId | null;
  /** What Accord asks beyond X-Road; null where the call says nothing. */
  grounds: {
    purpose: string | null;
    basis: string | null;
    receipt: string | null;
    fields: string[] | null;
    evidence: string[];
    /** `Prefer: accord-partial`, as for lookups: what is not permitted may be left out. */
    partial: boolean;
  };
  contentType: string | null;
  /** Names in lower case, order and repeats kept: what the backend gets beside the server's own. */
  forwarded: HeaderList;
  /** What the request's hash is made of. */
  hashed: RawHeaders;
}

/** PR-REST 4.3, both directions; every hop decides these for itself. */
export const NEVER_PASSED: ReadonlySet<string> = new Set(
  'transfer-encoding keep-alive proxy-authenticate proxy-authorization te trailer upgrade connection user-agent host content-length server expect'.split(
    ' ',
  ),
);
const OWN = /^(?:x-road|accord)-/;
/** Of these names what the caller says counts; X-Road-Request-Id and -Hash are the server's, others are nobody's. */
const KNOWN = new Set([
  'x-road-client',
  'x-road-id',
  'x-road-userid',
  'x-road-issue',
  'x-road-represented-party',
  'x-road-security-server',
  'accord-purpose',
  'accord-basis',
  'accord-receipt',
  'accord-fields',
  'accord-evidence',
]);

/** @param raw as Node gives them: name, value, name, value …, latin1 */
export function pairsOf(raw: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) pairs.push([raw[at] ?? '', raw[at + 1] ?? '']);
  return pairs;
}

/** @throws XROAD_CLIENT_MISSING, XROAD_HEADER_MALFORMED, CLIENT_NOT_HERE, XROAD_SERVER_INVALID, HEADER_DUPLICATE */
export function readHeaders(raw: RawHeaders): XRoadHeaders {
  const own = ownHeaders(raw);
  const text = (name: string) => {
    const value = own.get(name);
    return value === undefined || value === '' ? null : utf8(value, name);
  };
  const client = own.get('x-road-client');
  if (client === undefined) throw new AccordError('XROAD_CLIENT_MISSING');
  const types = raw.filter(([name]) => name.toLowerCase() === 'content-type');
  if (types.length > 1) throw new AccordError('HEADER_DUPLICATE', 'content-type');
  const ends = namedByConnection(raw);
  const kept = raw.filter(([name]) => {
    const lower = name.toLowerCase();
    if (OWN.test(lower)) return KNOWN.has(lower);
    return !NEVER_PASSED.has(lower) && (!ends.has(lower) || lower === 'content-type');
  });
  return {
    client: clientOf(client),
    id: text('x-road-id'),
    userId: text('x-road-userid'),
    issue: text('x-road-issue'),
    representedParty: representedParty(text('x-road-represented-party')),
    securityServer: securityServer(own.get('x-road-security-server')),
    grounds: {
      purpose: text('accord-purpose'),
      basis: text('accord-basis'),
      receipt: text('accord-receipt'),
      fields: listed(text('accord-fields')),
      evidence: listed(text('accord-evidence')) ?? [],
      partial: prefers(
        raw.filter(([name]) => name.toLowerCase() === 'prefer').map(([, value]) => value),
        'accord-partial',
      ),
    },
    contentType: types[0]?.[1] || null,
    forwarded: kept
      .map(([name, value]): [string, string] => [name.toLowerCase(), value])
      .filter(([name]) => !OWN.test(name) && name !== 'content-type'),
    hashed: kept,
  };
}

/**
 * What of a provider's headers goes to the caller. The provider's server took out the same, but nobody relies on that here:
 * a second length, or a word of the exchange itself, would be believed.
 */
export function answerHeaders(headers: HeaderList): HeaderList {
  const ends = namedByConnection(headers);
  const date = headers.find(([name]) => name === 'date');
  return headers.filter((header) => {
    const [name] = header;
    const meant = meantBy(name);
    if (OWN.test(meant) || NEVER_PASSED.has(meant) || ends.has(name)) return false;
    // The type stands in the signed facts of the body.
    return name !== 'content-type' && (name !== 'date' || header === date);
  });
}

/** RFC 7240: preferences are a list; those that nobody knows are ignored. */
export function prefers(prefer: readonly string[], wanted: string): boolean {
  const preferences = prefer.join(',').split(',');
  return preferences.some((each) => each.split(';')[0]?.trim().toLowerCase() === wanted);
}

/** What speaks for the exchange: each name once, in its own spelling. @throws HEADER_DUPLICATE */
function ownHeaders(raw: RawHeaders): Map<string, string> {
  const own = new Map<string, string>();
  for (const [name, value] of raw) {
    const lower = name.toLowerCase();
    const meant = meantBy(lower);
    if (!OWN.test(meant)) continue;
    if (meant !== lower || own.has(lower)) throw new AccordError('HEADER_DUPLICATE', meant);
    own.set(lower, value);
  }
  return own;
}

/** RFC 9110 7.6.1 */
function namedByConnection(raw: RawHeaders): Set<string> {
  const values = raw.filter(([name]) => name.toLowerCase() === 'connection').map(([, value]) => value.toLowerCase());
  return new Set(values.join(',').split(/[\s,]+/));
}

/** Header values are bytes; people write UTF-8 into them. @throws XROAD_HEADER_MALFORMED */
function utf8(value: string, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(value, 'latin1'));
  } catch (cause) {
    throw new AccordError('XROAD_HEADER_MALFORMED', `${name} is not UTF-8`, { cause });
  }
}

/** Identifiers in headers are percent-encoded part by part; null for one nobody here can have. @throws XROAD_HEADER_MALFORMED */
function partsOf<T extends string>(value: string, count: number, read: (text: string) => T, name: string): T | null {
  const parts = value.split('/');
  if (parts.length !== count) throw new AccordError('XROAD_HEADER_MALFORMED', `${name} has ${count} parts`);
  try {
    return named(parts.map(decodePart), read);
  } catch (cause) {
    throw new AccordError('XROAD_HEADER_MALFORMED', name, { cause });
  }
}

/** @throws XROAD_HEADER_MALFORMED, CLIENT_NOT_HERE */
function clientOf(value: string): SubsystemId {
  const client = partsOf(value, 4, subsystemId, 'x-road-client');
  if (client === null) throw new AccordError('CLIENT_NOT_HERE', value.slice(0, 300));
  return client;
}

function securityServer(value: string | undefined): ServerId | null {
  if (value === undefined || value === '') return null;
  let server: ServerId | null;
  try {
    server = partsOf(value, 4, serverId, 'x-road-security-server');
  } catch (cause) {
    throw new AccordError('XROAD_SERVER_INVALID', '', { cause });
  }
  if (server === null) throw new AccordError('XROAD_SERVER_INVALID');
  return server;
}

/** `[class/]code`. @throws XROAD_HEADER_MALFORMED */
function representedParty(value: string | null): string | null {
  if (value !== null && (value.split('/').length > 2 || value.split('/').includes(''))) {
    throw new AccordError('XROAD_HEADER_MALFORMED', 'x-road-represented-party is [class/]code');
  }
  return value;
}

function listed(value: string | null): string[] | null {
  return value === null ? null : value.split(',').map((each) => each.trim());
}
