// Admin API: time-stamp authorities and the period of grace. The list is handed in as a whole; it counts when two
// approvers signed a content that holds it, and they see each authority and certificate as a line of its own.
import { readTimeStampsPart } from '#core/configuration/time-stamp-parts.ts';
import type { JsonValue } from '#schemas/json.ts';
import { TimeStampsPart } from '#schemas/time-stamps-part.ts';
import type { AdminFrame, RegistryContext } from './admin-frame.ts';

export function addTimeStampRoutes(frame: AdminFrame, { store }: RegistryContext): void {
  frame.read({
    method: 'GET',
    url: '/time-stamps',
    summary: 'Time-stamp authorities in the order they are asked, and the period of grace; null while none are named',
    permission: 'read',
    read: () => ({ timeStamps: store.timeStamps.get() ?? null }),
  });
  frame.change({
    method: 'POST',
    url: '/time-stamps',
    summary: 'Name the time-stamp authorities and the period of grace; replaces what was named before',
    permission: 'govern',
    body: TimeStampsPart,
    change({ body }) {
      const part = readTimeStampsPart(body as JsonValue);
      store.timeStamps.put(part);
      return { status: 201, body: { timeStamps: part }, target: part.authorities.map(({ name }) => name).join(', ') };
    },
  });
  frame.change({
    method: 'DELETE',
    url: '/time-stamps',
    summary: 'Name no time-stamp authorities any more; nothing waits for a time-stamp then',
    permission: 'govern',
    change() {
      store.timeStamps.remove();
      return { status: 200, body: { timeStamps: null }, target: 'none' };
    },
  });
}
