// The path and query behind a service, as strings that are authorised and forwarded byte for byte. What cannot be
// brought to one reading (dot segments in any encoding, an encoded slash or backslash, double encoding, NUL, overlong
// UTF-8, raw non-ASCII) is refused before access is decided, so that the decision and the backend see the same thing.
// The calling information system controls both strings.
import { MAX_PATH_BYTES, MAX_QUERY_BYTES } from './limits.ts';
import { AccordError } from './problems.ts';

// RFC 3986 pchar and '/', or a well-formed escape.
const PATH = /^(?:\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*)?$/;
const QUERY = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*$/;

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new AccordError('PATH_REFUSED', 'escapes are not UTF-8');
  }
}

/** Returns `path` unchanged when it has one reading: '' or '/...'. @throws PATH_REFUSED */
export function servicePath(path: string): string {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw new AccordError('PATH_REFUSED', 'too long');
  if (!PATH.test(path)) throw new AccordError('PATH_REFUSED', 'characters outside RFC 3986 or a bad escape');
  for (const segment of path.split('/').slice(1)) {
    const text = decoded(segment);
    // Some backends drop ';parameters' before they resolve dots, so `..;x` is a dot segment too.
    const bare = text.split(';', 1)[0];
    if (bare === '.' || bare === '..') throw new AccordError('PATH_REFUSED', 'dot segment');
    if (/[/\\]/.test(text)) throw new AccordError('PATH_REFUSED', 'encoded slash or backslash');
    if (/%[0-9A-Fa-f]{2}/.test(text)) throw new AccordError('PATH_REFUSED', 'double encoding');
    if (/\p{Cc}/u.test(text)) throw new AccordError('PATH_REFUSED', 'control character');
  }
  if (path.includes('//')) throw new AccordError('PATH_REFUSED', 'empty segment');
  return path;
}

/** Returns `query` (without '?') unchanged when it is well-formed. @throws PATH_REFUSED */
export function serviceQuery(query: string): string {
  if (Buffer.byteLength(query) > MAX_QUERY_BYTES) throw new AccordError('PATH_REFUSED', 'query too long');
  if (!QUERY.test(query)) throw new AccordError('PATH_REFUSED', 'query has characters outside RFC 3986');
  return query;
}

const RESERVED = /^\/\.accord(?:\/|$)/;

/** True for the paths of any service that its provider's own server answers; no backend ever sees one. */
export function isReserved(path: string): boolean {
  return RESERVED.test(path);
}

/** Where a consumer's server tells the provider's that an answer held too much. */
export const OVER_DELIVERY_PATH = '/.accord/over-delivery';

/** Where a consent service tells a provider's server that a status list has changed. */
export const STATUS_HINT_PATH = '/.accord/status-hint';

/** What a consumer writes where the subject stands, when only the receipt knows whom it is about. */
export const SUBJECT_PLACEHOLDER = '~subject';
