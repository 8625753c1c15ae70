// What came of a request about a person, looked up in this server's own message log: the entry of the answer, and what its
// sealed context says was released, for as long as that is kept. An id that came again was refused as a replay; that is
// not the answer.
import { parseAnswerContext } from '#schemas/context.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Release } from '#schemas/release.ts';
import type { NotedAccess } from '#security-server/accesses.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

interface Outcome {
  outcome: 'answered' | 'refused' | 'failed';
  /** `OK`, or the code of the refusal or failure. */
  code: string;
  /** Where the answer stands in the log. */
  seq: number;
}

/** Null while no answer was recorded, or when none ever was. */
export function outcomeOf(
  server: Pick<ServerParts, 'log'>,
  { peer, exchange }: Pick<NotedAccess, 'peer' | 'exchange'>,
): Outcome | null {
  const answer = server.log
    .find(peer, exchange)
    .find(
      ({ entry: { kind, code } }) =>
        kind === 'response-sent' || (kind === 'refusal-sent' && code !== 'MESSAGE_REPLAYED'),
    );
  if (answer === undefined) return null;
  const { seq, entry } = answer;
  const code = entry.code ?? 'INTERNAL';
  return { seq, code, outcome: entry.kind === 'refusal-sent' ? 'refused' : code === 'OK' ? 'answered' : 'failed' };
}

/** What was released in the answer that stands there; null when its record was erased or is of an older form. */
export function releaseAt({ log, logger }: Pick<ServerParts, 'log' | 'logger'>, seq: number): Release | null {
  try {
    const context = log.readSealed(seq)?.context;
    return context === undefined ? null : parseAnswerContext(context).release;
  } catch (error) {
    if (!isAccordError(error)) throw error;
    if (error.code !== 'CONTEXT_MALFORMED') logger.error({ err: error, seq }, 'an answer in the log cannot be read');
    return null;
  }
}

/** Elements whose value left, and predicates that were answered; each once. */
export function releasedItems({ elements, predicates }: Release): string[] {
  const left = elements.filter(({ state }) => state === 'present' || state === 'underInvestigation');
  return [...new Set([...left.map(({ element }) => element), ...predicates.map(({ predicate }) => predicate)])];
}
