// Several messages to one peer, sealed at once (DESIGN 3: a frame of several messages may be sealed at once under the
// same rules with the batch's id); what goes over the framed link. The clear fields take part in the sealing key.
//
//   text ticket ‖ kind u8 ‖ text batch id ‖ salt ‖ field sealed
//
// The plaintext holds each JWS once, in the order of first use, so that equal messages have one encoding; see `layout`.
// The peer controls every byte; nothing of the plaintext is read before its last record was verified.
import { randomBytes } from 'node:crypto';
import { COMMITMENT_SALT_BYTES } from '#certs/commitment.ts';
import { SEAL_SALT_BYTES, type SealBinding, seal, sealedLength, unseal } from '#certs/seal.ts';
import type { Ticket } from '#certs/ticket.ts';
import { ByteReader } from '#schemas/bytes.ts';
import {
  MAX_BATCH_BYTES,
  MAX_BATCH_MESSAGES,
  MAX_BATCH_PATH,
  MAX_CONTEXT_BYTES,
  MAX_MESSAGE_BODY_BYTES,
  MAX_SIGNATURE_BYTES,
  MAX_STATEMENT_BYTES,
  MAX_TICKET_BYTES,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { MESSAGE_ID_PATTERN } from '#schemas/statement.ts';
import type { Frame, Head } from './frame.ts';

type Kind = Frame['kind'];
const KINDS: readonly Kind[] = ['request', 'answer'];
const HASH_BYTES = 32;
const MESSAGE_ID = new RegExp(MESSAGE_ID_PATTERN);
const MAX_ID_BYTES = 64;

/** One message as it lies in a batch: the request's id (an answer carries the id it answers), head and body. */
export interface BatchedMessage {
  id: string;
  head: Head;
  body: Buffer;
}

/** What of a batch is read before it is opened. */
export interface SealedBatch {
  ticket: string;
  kind: Kind;
  id: string;
  salt: Buffer;
  sealed: Buffer;
}

/** Bytes that a message takes in a batch, without its JWS, which it may share: what credit is counted in. */
export function batchedBytes({ id, head, body }: BatchedMessage): number {
  const { statement, signature, context } = head;
  const fixed = 4 + 4 + 2 + 4 + 4 + 1 + 4 + 2 * COMMITMENT_SALT_BYTES + 4;
  return fixed + id.length + statement.length + signature.path.length * HASH_BYTES + context.length + body.length;
}

/**
 * Seals 1 to 256 messages for the peer of the ticket; the payload of one frame.
 * @param id of the batch, a message id of its own
 */
export function sealBatch(messages: readonly BatchedMessage[], kind: Kind, id: string, ticket: Ticket): Buffer {
  const salt = randomBytes(SEAL_SALT_BYTES);
  const sealed = seal(layout(messages), ticket.secret, salt, bindingOf({ kind, id }, ticket));
  const writer = new PlaceWriter(4 + ticket.jwe.length + 1 + 4 + id.length + SEAL_SALT_BYTES + 4 + sealed.length);
  writer.text(ticket.jwe).u8(KINDS.indexOf(kind)).text(id).raw(salt).field(sealed);
  return writer.end();
}

/** Reads what stands in the clear. @throws MESSAGE_MALFORMED */
export function readSealedBatch(bytes: Uint8Array): SealedBatch {
  const reader = new ByteReader(bytes);
  const ticket = reader.text(MAX_TICKET_BYTES);
  const kind = KINDS[reader.u8()];
  if (kind === undefined) throw new AccordError('MESSAGE_MALFORMED', 'unknown kind');
  const id = reader.text(MAX_ID_BYTES);
  const salt = reader.raw(SEAL_SALT_BYTES);
  const sealed = reader.field(sealedLength(MAX_BATCH_BYTES));
  reader.end();
  if (!MESSAGE_ID.test(id)) throw new AccordError('MESSAGE_MALFORMED', 'batch id');
  return { ticket, kind, id, salt, sealed };
}

/**
 * @param ticket the opened ticket that `batch` names, from the TLS peer to this server
 * @throws SEAL_BROKEN, MESSAGE_MALFORMED
 */
export function openBatch(batch: SealedBatch, ticket: Ticket): BatchedMessage[] {
  return readLayout(unseal(batch.sealed, ticket.secret, batch.salt, bindingOf(batch, ticket)));
}

function bindingOf({ kind, id }: Pick<SealedBatch, 'kind' | 'id'>, { hash, from, to }: Ticket): SealBinding {
  return { kind, ticketHash: hash, from, to, id, part: 'batch' };
}

/**
 *   u16 JWS ‖ (text JWS)* ‖ u16 messages ‖ (text id ‖ field statement ‖ u16 its JWS ‖ u32 index ‖ u32 size ‖ u8 hashes ‖
 *   (hash)* ‖ field context ‖ salt(context) ‖ salt(body) ‖ field body)*
 */
function layout(messages: readonly BatchedMessage[]): Buffer {
  if (messages.length < 1 || messages.length > MAX_BATCH_MESSAGES) throw new TypeError('a batch of 1 to 256 messages');
  const signatures = new Map<string, number>();
  let length = 4;
  for (const message of messages) {
    const { jws } = message.head.signature;
    if (!signatures.has(jws)) {
      length += 4 + jws.length;
      signatures.set(jws, signatures.size);
    }
    length += batchedBytes(message);
  }
  if (length > MAX_BATCH_BYTES) throw new TypeError(`a batch of ${length} bytes`);
  const writer = new PlaceWriter(length).u16(signatures.size);
  for (const jws of signatures.keys()) writer.text(jws);
  writer.u16(messages.length);
  for (const { id, head, body } of messages) {
    const { jws, index, size, path } = head.signature;
    writer
      .text(id)
      .field(head.statement)
      .u16(signatures.get(jws) ?? 0);
    writer.u32(index).u32(size).u8(path.length);
    for (const hash of path) writer.raw(hash);
    writer.field(head.context).raw(head.contextSalt).raw(head.bodySalt).field(body);
  }
  return writer.end();
}

function readLayout(plaintext: Buffer): BatchedMessage[] {
  const reader = new ByteReader(plaintext);
  const signatures = Array.from({ length: counted(reader) }, () => reader.text(MAX_SIGNATURE_BYTES));
  if (new Set(signatures).size !== signatures.length) throw new AccordError('MESSAGE_MALFORMED', 'a JWS twice');
  const messages: BatchedMessage[] = [];
  const ids = new Set<string>();
  let used = 0;
  for (let left = counted(reader); left > 0; left -= 1) {
    const { which, ...message } = readMessage(reader, signatures);
    if (which > used) throw new AccordError('MESSAGE_MALFORMED', 'order of the JWS');
    if (which === used) used += 1;
    ids.add(message.id);
    messages.push(message);
  }
  reader.end();
  if (used !== signatures.length) throw new AccordError('MESSAGE_MALFORMED', 'a JWS of no message');
  // Who answers by id cannot say which of two is meant.
  if (ids.size !== messages.length) throw new AccordError('MESSAGE_MALFORMED', 'an id twice');
  return messages;
}

function counted(reader: ByteReader): number {
  const count = u16(reader);
  if (count < 1 || count > MAX_BATCH_MESSAGES) throw new AccordError('MESSAGE_MALFORMED', 'number of messages');
  return count;
}

function readMessage(reader: ByteReader, signatures: readonly string[]): BatchedMessage & { which: number } {
  const id = reader.text(MAX_ID_BYTES);
  if (!MESSAGE_ID.test(id)) throw new AccordError('MESSAGE_MALFORMED', 'message id');
  const statement = reader.field(MAX_STATEMENT_BYTES);
  const which = u16(reader);
  const jws = signatures[which];
  if (jws === undefined) throw new AccordError('MESSAGE_MALFORMED', 'which JWS');
  const index = reader.u32();
  const size = reader.u32();
  const hashes = reader.u8();
  if (hashes > MAX_BATCH_PATH) throw new AccordError('MESSAGE_MALFORMED', 'audit path too long');
  const path = Array.from({ length: hashes }, () => reader.raw(HASH_BYTES));
  const context = reader.field(MAX_CONTEXT_BYTES);
  const contextSalt = reader.raw(COMMITMENT_SALT_BYTES);
  const bodySalt = reader.raw(COMMITMENT_SALT_BYTES);
  const body = reader.field(MAX_MESSAGE_BODY_BYTES);
  return {
    which,
    id,
    head: { statement, signature: { jws, index, size, path }, context, contextSalt, bodySalt },
    body,
  };
}

function u16(reader: ByteReader): number {
  return reader.raw(2).readUInt16BE();
}

/** Writes into one place whose length is known: a batch of 64 has some 900 fields. */
class PlaceWriter {
  readonly #place: Buffer;
  #at = 0;

  constructor(length: number) {
    this.#place = Buffer.allocUnsafe(length);
  }

  raw(bytes: Uint8Array): this {
    this.#place.set(bytes, this.#at);
    this.#at += bytes.length;
    return this;
  }

  u8(value: number): this {
    this.#at = this.#place.writeUInt8(value, this.#at);
    return this;
  }

  u16(value: number): this {
    this.#at = this.#place.writeUInt16BE(value, this.#at);
    return this;
  }

  u32(value: number): this {
    this.#at = this.#place.writeUInt32BE(value, this.#at);
    return this;
  }

  field(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  /** ASCII, which ids and compact JWS are. */
  text(value: string): this {
    this.u32(value.length);
    this.#at += this.#place.write(value, this.#at, 'latin1');
    return this;
  }

  end(): Buffer {
    if (this.#at !== this.#place.length) throw new TypeError('a length that was not written');
    return this.#place;
  }
}
