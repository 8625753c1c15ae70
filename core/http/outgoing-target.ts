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

function checkOrigin(origin: string): string {
  const parsed = new URL(origin);
  if (parsed.origin !== origin || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')) {
    throw new TypeError(`not an http or https origin: ${origin}`);
  }
  return origin;
}

export function checkHeaders(headers: readonly (readonly [string, string])[]): void {
  for (const [name] of headers) {
    if (OWN_HEADERS.has(name.toLowerCase())) {
      throw new TypeError(`the client itself writes the header ${name}`);
    }
  }
}
