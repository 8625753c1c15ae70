// The context of what a server asks on its own account (settlements, alarms): nobody's official, no fields, no receipt.
import { BARE_REQUEST, encodeRequestContext, type RequestContext } from '#schemas/context.ts';
import { DEFAULT_DEADLINE_MS } from '#schemas/limits.ts';

/** The bytes of such a context. */
export function ownRequest(asked: Pick<RequestContext, 'method' | 'path' | 'body' | 'settles'>): Buffer {
  return encodeRequestContext({ ...BARE_REQUEST, caller: 'loopback', deadlineMs: DEFAULT_DEADLINE_MS, ...asked });
}
