// A citizen says that a value somebody was given about them is wrong (schemas/accesses.ts, DoubtQuestion). It becomes a
// report of doubt like a department's, so the element is marked and the department answers. Only what this server did
// release about this very person, and what they may already see, can be doubted. The consent service that carries the
// report controls its form; the ID token in it says whose it is.
import type { ConfigurationSnapshot, ServerEntry } from '#core/configuration/snapshot.ts';
import { checkAskedDoubt, type DoubtQuestion } from '#schemas/accesses.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_QUESTION_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Statement } from '#schemas/statement.ts';
import type { Doubt } from '#security-server/doubts.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { outcomeOf, releaseAt } from './access-outcome.ts';
import { type Citizen, citizenOf, mustBeConsentService } from './citizen-question.ts';
import { mustBeBound } from './doubted-exchange.ts';
import { noteOwn } from './who-looked.ts';

const QUESTION_LIMITS = { maxBytes: MAX_QUESTION_BYTES, maxDepth: 3, maxValues: 40 };

/** @throws QUESTION_REFUSED, QUESTION_LIMIT, DOUBT_WITHOUT_EXCHANGE, DOUBT_LIMIT, SCHEMA_MISMATCH, JSON_*, ANSWER_NOT_LOGGED */
export async function reportOfCitizen(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  peer: ServerEntry,
  statement: Statement,
  body: Buffer,
): Promise<{ doubt: Doubt; isNew: boolean }> {
  mustBeConsentService(snapshot, statement);
  const asked = checkAskedDoubt(parseJson(body, QUESTION_LIMITS));
  const citizen = citizenOf(server, snapshot, statement, asked);
  const { question } = asked;
  await noteOwn(server, peer, statement, citizen, [question.element]);
  mustBeReleased(server, citizen, question);
  const { service, element, path, exchange, proposed, note } = question;
  mustBeBound(server, service, element);
  // The citizen names no value: they were shown that it was given, not what it was.
  const report = { v: 1 as const, element, path, exchange, proposed, note, doubted: null, evidenceHash: null };
  return server.doubts.report({
    reporter: 'citizen',
    peer: peer.id,
    client: statement.client,
    service,
    report: { ...report, subject: citizen.subject },
  });
}

/** @throws DOUBT_WITHOUT_EXCHANGE */
function mustBeReleased(server: ServerParts, { tag, provider, nowMs }: Citizen, question: DoubtQuestion): void {
  const { exchange, service, element, path } = question;
  const isReleased = server.accesses.about(tag, provider, exchange, nowMs).some((row) => {
    const found = row.service === service ? outcomeOf(server, row) : null;
    const elements = found?.outcome === 'answered' ? (releaseAt(server, found.seq)?.elements ?? []) : [];
    return elements.some((one) => one.element === element && (path === null || one.path === path));
  });
  if (!isReleased) throw new AccordError('DOUBT_WITHOUT_EXCHANGE', exchange);
}
