// Whose question is it? A citizen's question comes through a consent service, which nobody has to trust: the ID token in
// it must be signed by an identity provider of the global configuration and made for exactly this question, now. So a
// consent service can neither ask in a citizen's name nor ask twice. The consent service controls question and token;
// whatever is wrong with them is told alike.
import { sha256 } from '#certs/commitment.ts';
import { verifyIdToken } from '#certs/id-token.ts';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import type { Subject } from '#policy/binding/binding.ts';
import { type AccessesQuestion, type DoubtQuestion, questionText } from '#schemas/accesses.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import type { IdentityProviderEntry } from '#schemas/configuration.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import { parseJsonObject } from '#schemas/json.ts';
import { CITIZEN_QUESTION_LIFETIME_MS, MAX_ID_TOKEN_CHARS } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { Statement } from '#schemas/statement.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

const MAX_IDENTIFIER = 256;

/** Who asked, as a verified question says. */
export interface Citizen {
  subject: Subject;
  tag: string;
  /** The subsystem that was asked. */
  provider: string;
  /** The present of this server: no time that its log has seen is still to come. */
  nowMs: number;
}

/**
 * Verifies a question and uses it up, durably.
 * @throws QUESTION_REFUSED whatever is wrong, QUESTION_LIMIT
 */
export function citizenOf(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  statement: Statement,
  { question, idToken }: { question: AccessesQuestion | DoubtQuestion; idToken: string },
): Citizen {
  const refuse = (why: string) => {
    // The asker learns nothing; the operator may.
    server.logger.info({ id: statement.id, client: statement.client, why }, "a citizen's question was refused");
    return new AccordError('QUESTION_REFUSED');
  };
  const nowMs = Math.max(server.clock.nowMs(), server.log.newestMs());
  const provider = subsystemOfService(statement.service);
  if (question.asker !== statement.client) throw refuse('asker');
  if (Math.abs(nowMs - question.atMs) > CITIZEN_QUESTION_LIFETIME_MS) throw refuse('atMs');
  const nonce = sha256(Buffer.from(questionText(question), 'utf8'));
  const subject = subjectIn(idToken, snapshot, nonce, nowMs);
  if (typeof subject === 'string') throw refuse(subject);
  const tag = server.subjectTag(subject);
  if (!server.accesses.take({ provider, nonce, tag, atMs: nowMs })) throw refuse('asked before');
  return { subject, tag, provider, nowMs };
}

/** Asked first, so that nobody else learns even what form a question has. @throws QUESTION_REFUSED */
export function mustBeConsentService(snapshot: ConfigurationSnapshot, { client }: Pick<Statement, 'client'>): void {
  if (snapshot.consentService(client) === undefined) throw new AccordError('QUESTION_REFUSED');
}

/** The person of a genuine token, or why it is not. */
function subjectIn(idToken: string, snapshot: ConfigurationSnapshot, nonce: string, nowMs: number): Subject | string {
  try {
    const entry = snapshot.identityProvider(issuerOf(idToken));
    if (entry === undefined) return 'iss';
    const { acr, all } = verifyIdToken(idToken, entry, { nowMs, nonce });
    // A class that is not listed says nothing about who somebody is; of those that are, each will do.
    if (acr === null || !Object.hasOwn(entry.levels, acr)) return 'acr';
    return identifierIn(all, entry) ?? 'identifier';
  } catch (error) {
    if (isAccordError(error)) return error.detail || error.code;
    throw error;
  }
}

function identifierIn(claims: object, { claim, scheme }: IdentityProviderEntry): Subject | null {
  const value: unknown = Object.entries(claims).find(([name]) => name === claim)?.[1];
  const isIdentifier = typeof value === 'string' && value !== '' && value.length <= MAX_IDENTIFIER;
  return isIdentifier ? { scheme, value } : null;
}

/** Which provider's keys to look for; nothing of it is believed before one of them fits. @throws JSON_*, ENCODING_NOT_CANONICAL */
function issuerOf(idToken: string): string {
  const payload = fromBase64url(idToken.split('.', 3)[1] ?? '');
  const { iss } = parseJsonObject(payload, { maxBytes: MAX_ID_TOKEN_CHARS, maxDepth: 8, maxValues: 500 });
  return typeof iss === 'string' ? iss : '';
}
