// Opening and verifying a peer message, in the order the protocol lists: seal, form, addressee, registration, chain,
// signature, commitments, time. The peer controls every byte; nothing of it is used before `verify` returned, and only
// `verify` makes a `VerifiedMessage`.
import { sha256 } from '#certs/commitment.ts';
import { type SealBinding, unseal } from '#certs/seal.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import type { ServerId } from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
import { parseStatement, type Statement } from '#schemas/statement.ts';
import type { MessageBody } from '#security-server/body.ts';
import type { BatchedMessage } from './batch.ts';
import type { Channels } from './channels.ts';
import { decodeFrame, decodeHead, type Frame, type Head } from './frame.ts';

export interface OpenedMessage {
  peer: ServerEntry;
  frameId: string;
  head: Head;
  statement: Statement;
  statementHash: string;
  body: MessageBody;
}

/**
 * Decodes and unseals. `peer` is the server whose pinned certificate the TLS connection showed.
 * @throws MESSAGE_MALFORMED, TICKET_REFUSED, SEAL_BROKEN, STATEMENT_MALFORMED, SENDER_WRONG, ADDRESSEE_WRONG
 */
export async function openMessage(
  bytes: Uint8Array,
  kind: Frame['kind'],
  peer: ServerEntry,
  self: ServerId,
  channels: Channels,
): Promise<OpenedMessage> {
  const frame = decodeFrame(bytes);
  const { binding, secret, ...opened } = await openHead(frame, kind, peer, self, channels);
  return { ...opened, body: unseal(frame.sealedBody, secret, frame.bodySalt, { ...binding, part: 'body' }) };
}

/** What is known of a message before its body. */
export type OpenedHead = Omit<OpenedMessage, 'body'> & { secret: Buffer; binding: Omit<SealBinding, 'part'> };

/** @throws TICKET_REFUSED, SEAL_BROKEN, MESSAGE_MALFORMED, STATEMENT_MALFORMED, SENDER_WRONG, ADDRESSEE_WRONG */
export async function openHead(
  frame: Pick<Frame, 'kind' | 'id' | 'ticket' | 'headSalt' | 'sealedHead'>,
  kind: Frame['kind'],
  peer: ServerEntry,
  self: ServerId,
  channels: Channels,
): Promise<OpenedHead> {
  if (frame.kind !== kind) throw new AccordError('MESSAGE_MALFORMED', `expected a message of kind ${kind}`);
  const ticket = await channels.open(frame.ticket, peer.id);
  const binding = { kind, ticketHash: ticket.hash, from: peer.id, to: self, id: frame.id };
  const head = decodeHead(unseal(frame.sealedHead, ticket.secret, frame.headSalt, { ...binding, part: 'head' }));
  return { ...readHead(head, kind, frame.id, peer, self), secret: ticket.secret, binding };
}

/**
 * A message out of an opened batch.
 * @throws STATEMENT_MALFORMED, SENDER_WRONG, ADDRESSEE_WRONG, MESSAGE_MALFORMED
 */
export function openBatched(
  { id, head, body }: BatchedMessage,
  kind: Frame['kind'],
  peer: ServerEntry,
  self: ServerId,
): OpenedMessage {
  return { ...readHead(head, kind, id, peer, self), body };
}

function readHead(
  head: Head,
  kind: Frame['kind'],
  id: string,
  peer: ServerEntry,
  self: ServerId,
): Omit<OpenedMessage, 'body'> {
  const statement = parseStatement(head.statement);
  if (statement.from !== peer.id) throw new AccordError('SENDER_WRONG', `from is not ${peer.id}`);
  if (statement.to !== self) throw new AccordError('ADDRESSEE_WRONG', `to is not ${self}`);
  const isRequest = statement.kind === 'request' || statement.kind === 'settlement';
  if (isRequest !== (kind === 'request')) throw new AccordError('MESSAGE_MALFORMED', 'kind of statement and message');
  if (isRequest && statement.id !== id) throw new AccordError('MESSAGE_MALFORMED', 'id of statement and message');
  return { peer, frameId: id, head, statement, statementHash: sha256(head.statement) };
}
