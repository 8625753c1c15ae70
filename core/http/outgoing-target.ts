// Where an outgoing request goes and which headers a caller may give it (see client.ts). Our own code makes both: what is wrong
// with them is a TypeError.
import type { BoundedRequest } from './client.ts';

const OWN_HEADERS = new Set([
  'host',
  'content-length',
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'expect',
]);

export interface Target {
  origin: string;
  path: string;
}

export function readTarget(request: BoundedRequest): Target {
  const { url, origin, path } = request;
  if (url !== undefined && origin === undefined && path === undefined) {
    const parsed = new URL(url);
    if (parsed.username !== '' || parsed.password !== '') {
      throw new TypeError('no credentials in a URL');
    }
    return { origin: checkOrigin(parsed.origin), path: parsed.pathname + parsed.search };
  }
  if (url === undefined && origin !== undefined && path?.startsWith('/')) {
    return { origin: checkOrigin(origin), path };
  }
  throw new TypeError('give either url, or origin and a path that starts with /');
}

/** Origins that were checked: few, and asked again and again. */
const checked = new Set<string>();
const MAX_CHECKED = 256;

function checkOrigin(origin: string): string {
  if (checked.has(origin)) return origin;
  const parsed = new URL(origin);
  if (parsed.origin !== origin || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')) {
    throw new TypeError(`not an http or https origin: ${origin}`);
  }
  if (checked.size >= MAX_CHECKED) checked.clear();
  checked.add(origin);
  return origin;
}

export function checkHeaders(headers: readonly (readonly [string, string])[]): void {
  for (const [name] of headers) {
    if (OWN_HEADERS.has(name.toLowerCase())) {
      throw new TypeError(`the client itself writes the header ${name}`);
    }
  }
}
