// The one place of a request where the person's identifier stands (DESIGN: subject). Exactly once: a request that two
// readers could understand differently has no subject here, and is refused by whoever needs one. The calling system
// controls query and body, the binding table says where to look.
import { isJsonObject, type JsonValue, parseJson } from '#schemas/json.ts';

/** The value of a query parameter that stands exactly once under every common reading of a query string; else null. */
export function queryValue(query: string | null, name: string): string | null {
  // A `;` ends a parameter for some readers and belongs to its value for others.
  if (query === null || query.includes(';')) return null;
  const wanted = name.toLowerCase();
  const found: string[] = [];
  for (const pair of query.split('&')) {
    const at = pair.indexOf('=');
    const key = plain(at === -1 ? pair : pair.slice(0, at));
    if (key === null) return null;
    // `name[]`, `name[0]` and another case are the same parameter for some backends.
    const bare = (key.split('[', 1)[0] ?? '').toLowerCase().trim();
    if (bare !== wanted) continue;
    if (key !== name || at === -1) return null;
    found.push(pair.slice(at + 1));
  }
  const [value, second] = found;
  if (value === undefined || second !== undefined || value.includes('+')) return null;
  const text = plain(value);
  return text === '' ? null : text;
}

/** The string or integer at a JSON Pointer (RFC 6901) in a JSON body; null when there is none. */
export function bodyValue(body: Buffer, pointer: string): string | null {
  let at: JsonValue | undefined;
  try {
    at = parseJson(body);
  } catch {
    return null;
  }
  for (const token of pointer.split('/').slice(1)) {
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~');
    at = isJsonObject(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  }
  if (typeof at === 'string') return at === '' ? null : at;
  return typeof at === 'number' && Number.isSafeInteger(at) ? String(at) : null;
}

function plain(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return null;
  }
}
