// Where a person goes after signing in: a path of this service, never another site (open redirect, CWE-601). Whoever
// made the link controls the text.

const MAX_CHARS = 1024;
/** Path and query characters of RFC 3986; no fragment, no backslash (browsers read it as a slash), no control character. */
const SHAPE = /^\/[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*$/;

/** `to` when it is a path of this service and not of the sign-in itself, else `/`. */
export function returnPath(to: unknown): string {
  if (typeof to !== 'string' || to.length > MAX_CHARS || !SHAPE.test(to)) return '/';
  const [path = ''] = to.split('?', 1);
  if (path.includes('//') || /^\/sign-(?:in|out)(?:\/|$)/.test(path)) return '/';
  // What a URL parser would change (dot segments) is not the path that it seems to be.
  const base = 'https://accord.invalid';
  const read = URL.parse(to, base);
  return read?.origin === base && read.pathname + read.search === to ? to : '/';
}
