// What a reporter is told of a report of doubt (schemas/doubt.ts, DoubtStatus).
import type { DoubtStatus } from '#schemas/doubt.ts';
import type { Doubt } from '#security-server/doubts.ts';

export function statusOf({
  id,
  service,
  element,
  exchange,
  state,
  words,
  createdAtMs,
  changedAtMs,
}: Doubt): DoubtStatus {
  // A report that was opened again still shows what the provider last said.
  const said = words.findLast((word) => word.state !== 'open');
  return { id, service, element, exchange, state, note: said?.note ?? null, createdAtMs, changedAtMs };
}
