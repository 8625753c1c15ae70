// One exchange among the records of one log: its request and the answer to it. A message that was sent again and refused as
// a replay is not the answer; an id is unique for its sender only, so that two peers may have used the same. The records are
// one server's own word; whoever checks the pack believes the signatures.

import type { RecordView } from '#core/log/record.ts';
import { parseStatement } from '#schemas/statement.ts';
import type { Side } from './layout.ts';

export interface FoundExchange {
  side: Side;
  peer: string;
  request: RecordView;
  /** Null while there is none. */
  answer: RecordView | null;
}

const REQUEST = { 'request-sent': 'consumer', 'request-received': 'provider' } as const;
const ANSWER = /^(?:response|refusal)-(?:sent|received)$/;

/** @param records all with the exchange's id, newest first. @returns one for each peer */
export function findExchanges(records: readonly RecordView[]): FoundExchange[] {
  const found = new Map<string, FoundExchange>();
  // Oldest first, so that of equal messages the first is the one that counted.
  for (const request of records.toReversed()) {
    const side = REQUEST[request.entry.kind as keyof typeof REQUEST];
    const { peer, statement } = request.entry;
    if (side === undefined || peer === null || statement === null) continue;
    const answers = records.filter(({ entry }) => ANSWER.test(entry.kind) && entry.peer === peer).toReversed();
    const fitting = answers.filter((one) => statementOf(one)?.request === statement);
    const answer = fitting.find(({ entry }) => entry.code !== 'MESSAGE_REPLAYED') ?? null;
    if (!found.has(peer) || (found.get(peer)?.answer === null && answer !== null)) {
      found.set(peer, { side, peer, request, answer });
    }
  }
  return [...found.values()];
}

function statementOf({ evidence }: RecordView) {
  return evidence === null ? null : parseStatement(evidence.statement);
}
