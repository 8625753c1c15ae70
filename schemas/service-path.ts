// The path and query behind a service, as strings that are authorised and forwarded byte for byte. Nothing here rewrites:
// a string either passes as it came or is refused before access is decided (RFC 3986 3.3, and what servers and proxies make
// of it). Refused is what any common backend would resolve, merge, cut or decode once more into another path: dot segments
// and slashes in every spelling, empty segments, double encoding, NUL and other controls, what is not UTF-8. Two spellings
// of one letter (`%61` and `a`) are two strings; policy/endpoint-glob.ts sees to it that neither leads past a rule.
// The calling information system controls both strings.
import { MAX_PATH_BYTES, MAX_QUERY_BYTES } from './limits.ts';
import { AccordError } from './problems.ts';

// RFC 3986 pchar and '/', or a well-formed escape.
const PATH = /^(?:\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*)?$/;
// The brackets of `filter[name]=` stand unescaped in what many clients send.
const QUERY = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?[\]]|%[0-9A-Fa-f]{2})*$/;

/** What becomes '/' or '\' when a file system or an old code page takes it in; NFKC leaves these as they are. */
const SLASH_LIKE = /[\u2044\u2215\u2216\u29f5]/;
/** A second round of decoding would read it; IIS knows `%u002e` too. */
const ESCAPE = /%(?:[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})/i;

/** Returns `path` unchanged when it has one reading: '' or '/...'. @throws PATH_REFUSED */
export function servicePath(path: string): string {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw refused('too long');
  if (!PATH.test(path)) throw refused('characters outside RFC 3986 or a bad escape');
  const segments = path.split('/').slice(1);
  for (const [at, segment] of segments.entries()) {
    // A slash at the end is common, and a glob's `*` may be empty; inside, some servers merge what stands around it.
    if (segment === '' && at < segments.length - 1) throw refused('empty segment');
    if (segment !== '') checkSegment(segment);
  }
  return path;
}

function checkSegment(segment: string): void {
  const text = decoded(segment);
  if (/\p{Cc}/u.test(text)) throw refused('control character');
  if (SLASH_LIKE.test(text)) throw refused('a character that is read as a slash');
  // Full-width and other compatibility forms of `.`, `/`, `\`, `%` and `;` are those characters after normalisation.
  for (const reading of new Set([text, text.normalize('NFKC')])) {
    if (/[/\\]/.test(reading)) throw refused('encoded slash or backslash');
    if (ESCAPE.test(reading)) throw refused('double encoding');
    // Some backends drop ';parameters' before they resolve dots and merge slashes; Windows drops dots and spaces at an end.
    const bare = withoutParameters(reading);
    if (bare === '') throw refused('empty segment with parameters');
    if (/^[. ]+$/.test(bare)) throw refused('dot segment');
  }
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw refused('escapes are not UTF-8');
  }
}

function withoutParameters(text: string): string {
  return text.split(';', 1)[0] ?? '';
}

function refused(detail: string): AccordError {
  return new AccordError('PATH_REFUSED', detail);
}

/**
 * Returns `query` (without '?') unchanged when it is well-formed. No right is decided on it, so that its values may hold
 * encoded slashes, other character sets or escapes of escapes; a NUL ends a value for some readers only.
 * @throws PATH_REFUSED
 */
export function serviceQuery(query: string): string {
  if (Buffer.byteLength(query) > MAX_QUERY_BYTES) throw refused('query too long');
  if (!QUERY.test(query)) throw refused('query has characters outside RFC 3986');
  if (query.includes('%00')) throw refused('query has a NUL');
  return query;
}

/**
 * True for the paths of any service that its provider's own server answers, in every spelling a backend may read as
 * `/.accord`; no backend ever sees one. Takes any string.
 */
export function isReserved(path: string): boolean {
  const first = path.split('/', 2)[1] ?? '';
  let text = first;
  try {
    text = decodeURIComponent(first);
  } catch {
    // Not UTF-8: refused wherever it would be forwarded.
  }
  const bare = withoutParameters(text.normalize('NFKC')).replace(/[. ]+$/, '');
  return path.startsWith('/') && bare.toLowerCase() === '.accord';
}

/** Where a consumer's server tells the provider's that an answer held too much. */
export const OVER_DELIVERY_PATH = '/.accord/over-delivery';

/** Where a consent service tells a provider's server that a status list has changed. */
export const STATUS_HINT_PATH = '/.accord/status-hint';

/** What a consumer writes where the subject stands, when only the receipt knows whom it is about. */
export const SUBJECT_PLACEHOLDER = '~subject';
