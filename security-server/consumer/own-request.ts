// The context of what a server asks on its own account (settlements, alarms): nobody's official, no fields, no receipt.
import { encodeRequestContext, type RequestContext } from '#schemas/context.ts';
import { DEFAULT_DEADLINE_MS } from '#schemas/limits.ts';

/** The bytes of such a context. */
export function ownRequest(asked: Pick<RequestContext, 'method' | 'path' | 'body' | 'settles'>): Buffer {
  return encodeRequestContext({
    v: 1,
    query: null,
    headers: [],
    userId: null,
    issue: null,
    caller: 'loopback',
    deadlineMs: DEFAULT_DEADLINE_MS,
    fields: null,
    partial: false,
    asOf: null,
    receipt: null,
    evidence: [],
    hiddenUntil: null,
    xroad: null,
    ...asked,
  });
}
