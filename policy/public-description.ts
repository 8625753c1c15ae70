// An OpenAPI description as it may leave the provider (X-Road's getOpenAPI): without the names of the provider's own hosts.
// Consumers reach the service through their security server, so that an address in the description helps nobody but an
// attacker. The provider's administrator wrote the document.
import { isJsonObject, type JsonObject, type JsonValue } from '#schemas/json.ts';

/**
 * Every server is left with the path of its address, its variables replaced by their defaults; addresses elsewhere in the
 * document lose the hosts that were named as servers, and that of the backend.
 * @param backend base address of the service's backend
 */
export function publicDescription(document: JsonObject, backend: string): JsonObject {
  const hosts = new Set([hostOf(backend)]);
  collectHosts(document, hosts);
  hosts.delete('');
  return withoutHosts(document, [...hosts]) as JsonObject;
}

/** `servers` of the document, a path or an operation, and `server` of a link. */
function serversIn(name: string, value: JsonValue): JsonObject[] {
  if (name === 'servers' && Array.isArray(value)) return value.filter((one) => isServer(one));
  return name === 'server' && isServer(value) ? [value] : [];
}

function isServer(value: JsonValue): value is JsonObject {
  return isJsonObject(value) && typeof value['url'] === 'string';
}

function collectHosts(value: JsonValue, hosts: Set<string>): void {
  if (Array.isArray(value)) for (const each of value) collectHosts(each, hosts);
  else if (isJsonObject(value)) {
    for (const [name, member] of Object.entries(value)) {
      for (const server of serversIn(name, member)) hosts.add(hostOf(addressOf(server)));
      collectHosts(member, hosts);
    }
  }
}

function withoutHosts(value: JsonValue, hosts: readonly string[]): JsonValue {
  if (typeof value === 'string') return hosts.reduce(withoutHost, value);
  if (Array.isArray(value)) return value.map((each) => withoutHosts(each, hosts));
  if (!isJsonObject(value)) return value;
  const members = Object.entries(value).map(([name, member]): [string, JsonValue] => {
    const servers = serversIn(name, member).map((server) => ({ url: pathOf(addressOf(server)) }));
    if (servers.length === 0) return [name, withoutHosts(member, hosts)];
    return [name, Array.isArray(member) ? servers : (servers[0] ?? null)];
  });
  return Object.fromEntries(members);
}

/** An address in a text, whatever its scheme, user and port. */
function withoutHost(text: string, host: string): string {
  if (!text.toLowerCase().includes(host)) return text;
  const name = host.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return text.replace(new RegExp(`(?:[a-z][a-z0-9+.-]{0,20}:)?//(?:[^/@\\s]{0,100}@)?${name}(?::\\d{1,5})?`, 'gi'), '');
}

/** OpenAPI 3.1, 4.8.5: variables stand in braces and have a default each. */
function addressOf({ url, variables }: JsonObject): string {
  const known = isJsonObject(variables ?? null) ? (variables as JsonObject) : {};
  return String(url).replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const variable = Object.hasOwn(known, name) ? known[name] : undefined;
    return isJsonObject(variable ?? null) ? String((variable as JsonObject)['default'] ?? '') : '';
  });
}

const ADDRESS = /^(?:[A-Za-z][A-Za-z0-9+.-]*:)?\/\/([^/?#]*)/;

function hostOf(address: string): string {
  const authority = ADDRESS.exec(address.trim())?.[1] ?? '';
  return authority
    .slice(authority.lastIndexOf('@') + 1)
    .replace(/:\d*$/, '')
    .toLowerCase();
}

function pathOf(address: string): string {
  const [path = ''] = address.trim().replace(ADDRESS, '').split(/[?#]/, 1);
  return path === '' ? '/' : path;
}
