// Whether a status list that was fetched may take the place of the one that is held (draft-ietf-oauth-status-list, section
// 8.3; DESIGN: consent, list times never go back). Its signature was verified; whoever stands between the consent service
// and this server can still hold lists back and serve them later.
import type { StatusList } from '#certs/status-list.ts';
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { STATUS } from '#schemas/receipt.ts';

export interface HeldList extends StatusList {
  /** SHA-256 of the token, base64url: auditors find it in the archive of lists by this. */
  hash: string;
  receivedMonotonicMs: number;
}

export interface Instant {
  wallMs: number;
  /** Never behind a time that a verified list proved. */
  trustedMs: number;
}

/**
 * The list to hold from now on.
 * @throws STATUS_LIST_REFUSED when `next` is older than the held one, past its end, or from a future in which this server
 *   could not exchange a message either: one consent service with a wrong clock must not carry everybody's time away
 */
export function nextList(held: HeldList | null, next: HeldList, { wallMs, trustedMs }: Instant): HeldList {
  if (next.iatMs > wallMs + CLOCK_WINDOW_MS) {
    throw new AccordError('STATUS_LIST_REFUSED', `signed ${next.iatMs - wallMs} ms ahead of this server's clock`);
  }
  if (next.expMs <= trustedMs) throw new AccordError('STATUS_LIST_REFUSED', 'the list is past its end');
  if (held === null || next.iatMs > held.iatMs) return next;
  if (next.iatMs < held.iatMs) throw new AccordError('STATUS_LIST_REFUSED', 'older than the list that is held');
  // Of two lists of one second nobody can say which came first: what either of them takes away is gone for that second.
  return { ...next, statuses: worseOf(held.statuses, next.statuses) };
}

function worseOf(held: Uint8Array, next: Uint8Array): Uint8Array {
  const worse = new Uint8Array(Math.max(held.length, next.length));
  worse.set(next);
  for (let idx = 0; idx < held.length; idx++) {
    const before = held[idx] ?? STATUS.valid;
    if (before === STATUS.invalid || worse[idx] === STATUS.valid) worse[idx] = before;
  }
  return worse;
}
