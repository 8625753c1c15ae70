// JSON Pointers (RFC 6901) into an OpenAPI document, and what its `$ref`s lead to. Only references within the document
// count; the service's author controls all of it.
import { isJsonObject, type JsonObject, type JsonValue } from '#schemas/json.ts';

/** A value and where it is written. */
export interface Located<T = JsonObject> {
  value: T;
  pointer: string;
}

/** One more reference token. */
export function below(pointer: string, name: string | number): string {
  return `${pointer}/${escapeToken(String(name))}`;
}

export function escapeToken(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** What `$ref: '#/…'` names, or null: it leaves the document, is malformed or leads nowhere. */
export function resolveReference(document: JsonObject, reference: JsonValue): Located<JsonValue> | null {
  if (typeof reference !== 'string' || !reference.startsWith('#/')) return null;
  const tokens = tokensOf(reference.slice(2));
  if (tokens === null) return null;
  let value: JsonValue = document;
  let pointer = '';
  for (const token of tokens) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return null;
    const next: JsonValue | undefined = (value as JsonObject)[token];
    if (next === undefined || (Array.isArray(value) && !/^(?:0|[1-9][0-9]*)$/.test(token))) return null;
    value = next;
    pointer = below(pointer, token);
  }
  return { value, pointer };
}

function tokensOf(fragment: string): string[] | null {
  try {
    return fragment.split('/').map((token) => decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~'));
  } catch {
    return null;
  }
}

const MAX_CHAIN = 16;

/** The object itself or, through `$ref`s, another one (a parameter, a response, a path item …); null: none. */
export function objectAt(document: JsonObject, value: JsonValue | undefined, pointer: string): Located | null {
  let at: Located<JsonValue> | null = value === undefined ? null : { value, pointer };
  for (let hops = 0; hops < MAX_CHAIN && at !== null; hops++) {
    if (!isJsonObject(at.value)) return null;
    const reference = at.value['$ref'];
    if (reference === undefined) return { value: at.value, pointer: at.pointer };
    at = resolveReference(document, reference);
  }
  return null;
}
