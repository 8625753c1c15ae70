// The endpoints of a service as X-Road's metaservices list them (PR-MREST): the operations of its OpenAPI description with
// every parameter as `*`, and what of them the rights of one client cover. Pure. The description was registered; the
// provider's administrator wrote the rights.
import type { AccessRight, EndpointRule } from '#schemas/access-right.ts';
import { METHODS } from '#schemas/context.ts';
import { isJsonObject, type JsonObject } from '#schemas/json.ts';
import { globCovers } from './endpoint-glob.ts';

const MAX_PATH = 1024;

/** Ascending by path, then method. */
export function describedEndpoints({ paths }: JsonObject): EndpointRule[] {
  if (!isJsonObject(paths)) return [];
  const found = Object.entries(paths).flatMap(([template, item]) =>
    isJsonObject(item)
      ? METHODS.filter((method) => isJsonObject(item[method.toLowerCase()])).map((method) => rule(method, template))
      : [],
  );
  return ordered(found.filter(({ path }) => path.startsWith('/') && path.length <= MAX_PATH));
}

/** @param template with `{parameters}`, each of which is one `*`; what a rule reads otherwise is escaped */
export function rule(method: EndpointRule['method'], template: string): EndpointRule {
  const parts = template.split(/\{[^{}]*\}/).map((text) => encodeURI(text).replace(/%25([0-9A-Fa-f]{2})/g, '%$1'));
  return { method, path: parts.map((text) => text.replace(/[*\\]/g, '\\$&')).join('*') };
}

/** What of `endpoints` the rights cover, and what they name themselves; a right to everything names nothing. */
export function allowedEndpoints(endpoints: readonly EndpointRule[], rights: readonly AccessRight[]): EndpointRule[] {
  const rules = rights.flatMap((right) => right.endpoints);
  const covered = endpoints.filter(({ method, path }) =>
    rules.some((one) => (one.method === '*' || one.method === method) && globCovers(one.path, path)),
  );
  return ordered([...covered, ...namedEndpoints(rights)]);
}

/** Endpoints that the rights themselves name. */
export function namedEndpoints(rights: readonly AccessRight[]): EndpointRule[] {
  const isAll = ({ method, path }: EndpointRule) => method === '*' && (path === '/**' || path === '**');
  return ordered(rights.flatMap(({ endpoints }) => endpoints.filter((one) => !isAll(one))));
}

/** Each once, ascending by path, then method. */
export function ordered(rules: readonly EndpointRule[]): EndpointRule[] {
  const byKey = new Map(rules.map(({ method, path }) => [`${path} ${method}`, { method, path }]));
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}
