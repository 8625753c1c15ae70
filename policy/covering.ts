// Which access rights cover a request: given to the client or to a group of it, for this service, method and path, and in
// force (X-Road: access rights of subsystems, local and global groups, on services and endpoints). Pure; `decide`, the list
// of allowed methods and the defaults for calls in X-Road's protocol all ask here, so that they cannot disagree.
import type { AccessRight, R1Defaults } from '#schemas/access-right.ts';
import { endpointAllowed } from './endpoint-glob.ts';

export interface Asking {
  client: string;
  /** As access rights name them. */
  groups: readonly string[];
  service: string;
}

/** Whether the right is one of this client's at this service at this time, whatever the endpoint. */
export function isHeld(right: AccessRight, { client, groups, service }: Asking, nowMs: number): boolean {
  return (
    (right.client === client || groups.includes(right.client)) &&
    right.service === service &&
    right.notBeforeMs <= nowMs &&
    nowMs <= right.notAfterMs
  );
}

/** Whether the right covers the request. A call of the service itself, without a path, is judged as `/`. */
export function covers(right: AccessRight, asking: Asking & { method: string; path: string }, nowMs: number): boolean {
  const { method, path } = asking;
  return isHeld(right, asking, nowMs) && endpointAllowed(right.endpoints, method, path === '' ? '/' : path);
}

/**
 * What a call in X-Road's protocol that names nothing is taken to ask for: what the one covering right with defaults says;
 * null when none has them, or several.
 */
export function defaultsOf(
  rights: readonly AccessRight[],
  asking: Asking & { method: string; path: string },
  nowMs: number,
): { right: string; defaults: R1Defaults } | null {
  const found = rights.filter((right) => right.r1Defaults != null && covers(right, asking, nowMs));
  const [only, second] = found;
  return only?.r1Defaults == null || second !== undefined ? null : { right: only.id, defaults: only.r1Defaults };
}

/** Requests are counted for each client, so that members of a group do not use up each other's quota. */
export function quotaCounter({ id, client }: AccessRight, asking: string): string {
  return client === asking ? id : `${id} ${asking}`;
}
