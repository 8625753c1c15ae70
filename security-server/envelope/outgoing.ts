// Making a peer message: statement and context are built and committed, then signed, then (after the caller has made
// the record durable) sealed to the peer. Three steps with three types, so that sealing what was not signed, or sending
// what was not logged, does not compile.
import type { StatementSignature } from '#certs/batch.ts';
import { COMMITMENT_SALT_BYTES, commit, sha256 } from '#certs/commitment.ts';
import { SEAL_SALT_BYTES, seal } from '#certs/seal.ts';
import type { Ticket } from '#certs/ticket.ts';
import { randomPiece } from '#core/random.ts';
import { encodeStatement, type Statement } from '#schemas/statement.ts';
import { commitBody, isSpooled, type MessageBody } from '#security-server/body.ts';
import type { HeldAnswer } from '#security-server/certificate-status/answers.ts';
import type { BatchedMessage } from './batch.ts';
import { encodeFrame, encodeHead, type Frame } from './frame.ts';
import type { StatementSigner } from './signer.ts';
import { type StreamedMessage, sealStream } from './stream.ts';

/** A statement whose parts are committed, not yet signed. */
export interface Draft {
  statement: Statement;
  statementBytes: Buffer;
  /** SHA-256 of the statement's exact bytes, base64url. */
  statementHash: string;
  context: Buffer;
  contextSalt: Buffer;
  body: MessageBody;
  bodySalt: Buffer;
}

export interface SignedMessage extends Draft {
  signature: StatementSignature;
  /** What shows the status of the certificate it was signed with; null or absent without one. */
  answer?: HeldAnswer | null;
}

/** Commits context and body with fresh salts and fixes the statement's bytes. */
export function draft(fields: Omit<Statement, 'v' | 'context' | 'body'>, context: Buffer, body: MessageBody): Draft {
  const contextSalt = randomPiece(COMMITMENT_SALT_BYTES);
  const bodySalt = isSpooled(body) ? body.salt : randomPiece(COMMITMENT_SALT_BYTES);
  const statement: Statement = {
    v: 1,
    ...fields,
    context: { commitment: commit(contextSalt, context) },
    body: { commitment: commitBody(body, bodySalt) },
  };
  const statementBytes = encodeStatement(statement);
  return { statement, statementBytes, statementHash: sha256(statementBytes), context, contextSalt, body, bodySalt };
}

/** @throws KEY_UNUSABLE */
export async function sign(message: Draft, signer: StatementSigner): Promise<SignedMessage> {
  const signature = await signer.sign(message.statementBytes);
  return { ...message, signature, answer: signer.answer() };
}

/**
 * The message as it goes into a batch.
 * @param id as for `sealMessage`
 */
export function toBatched(message: SignedMessage, id: string): BatchedMessage {
  const { statementBytes: statement, signature, context, contextSalt, bodySalt, body } = message;
  if (isSpooled(body)) throw new TypeError('a large body goes into no batch');
  return { id, head: { statement, signature, context, contextSalt, bodySalt }, body };
}

/**
 * Seals a signed message for one peer; one with a spooled body record by record, while it is sent.
 * @param id the message id of the request, also for an answer
 */
export function sealMessage(
  message: SignedMessage,
  kind: Frame['kind'],
  id: string,
  ticket: Ticket,
): Buffer | StreamedMessage {
  const { statementBytes: statement, signature, context, contextSalt, bodySalt, body } = message;
  const head = encodeHead({ statement, signature, context, contextSalt, bodySalt });
  const binding = { kind, ticketHash: ticket.hash, from: ticket.from, to: ticket.to, id };
  const headSeal = randomPiece(SEAL_SALT_BYTES);
  const bodySeal = randomPiece(SEAL_SALT_BYTES);
  const frame = {
    kind,
    id,
    ticket: ticket.jwe,
    headSalt: headSeal,
    sealedHead: seal(head, ticket.secret, headSeal, { ...binding, part: 'head' }),
    bodySalt: bodySeal,
  };
  const bodyBinding = { ...binding, part: 'body' as const };
  if (isSpooled(body)) return sealStream(frame, body, ticket.secret, bodyBinding);
  return encodeFrame({ ...frame, sealedBody: seal(body, ticket.secret, bodySeal, bodyBinding) });
}
