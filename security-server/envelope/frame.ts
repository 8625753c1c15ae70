// The peer message on the wire, inside mutual TLS: what stands in the clear between two servers (kind, id, ticket,
// salts) and the two sealed parts. Every clear field takes part in the sealing key, so none can be changed unseen.
//
//   'ACM1' ‖ kind u8 ‖ text id ‖ text ticket ‖ salt(head) ‖ field sealed head ‖ salt(body) ‖ field sealed body
//
// The sealed head holds the statement, its signature, the context and the salts of the commitments; see `Head`.
import type { StatementSignature } from '#certs/batch.ts';
import { COMMITMENT_SALT_BYTES } from '#certs/commitment.ts';
import { SEAL_SALT_BYTES, sealedLength } from '#certs/seal.ts';
import { ByteReader, ByteWriter } from '#schemas/bytes.ts';
import {
  MAX_BATCH_PATH,
  MAX_BODY_BYTES,
  MAX_CONTEXT_BYTES,
  MAX_MESSAGE_BODY_BYTES,
  MAX_SIGNATURE_BYTES,
  MAX_STATEMENT_BYTES,
  MAX_TICKET_BYTES,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { MESSAGE_ID_PATTERN } from '#schemas/statement.ts';
import type { HeldAnswer } from '#security-server/certificate-status/answers.ts';

export const PEER_MEDIA_TYPE = 'application/accord-message';
const MAGIC = Buffer.from('ACM1');
/** The same message with its body behind it, record by record; see stream.ts. */
export const PEER_STREAM_TYPE = 'application/accord-message-stream';
const STREAM_MAGIC = Buffer.from('ACM2');
const HASH_BYTES = 32;
const KINDS = ['request', 'answer'] as const;
const MESSAGE_ID = new RegExp(MESSAGE_ID_PATTERN);
const MAX_HEAD_BYTES = MAX_STATEMENT_BYTES + MAX_SIGNATURE_BYTES + MAX_CONTEXT_BYTES + 1024;
/** Most bytes of a stream before its first record. */
export const MAX_STREAM_HEAD_BYTES: number = sealedLength(MAX_HEAD_BYTES) + MAX_TICKET_BYTES + 1024;

/** What both forms begin with. */
interface Opening {
  kind: (typeof KINDS)[number];
  /** The message id of the request; an answer carries the id it answers. */
  id: string;
  ticket: string;
  headSalt: Buffer;
  sealedHead: Buffer;
  bodySalt: Buffer;
}

export interface Frame extends Opening {
  sealedBody: Buffer;
}

/** What stands before the records of a large body. */
export interface StreamFrame extends Opening {
  /** Plaintext bytes of the body. */
  bodyLength: number;
}

/** The plaintext of the sealed head. */
export interface Head {
  statement: Buffer;
  signature: StatementSignature;
  context: Buffer;
  contextSalt: Buffer;
  bodySalt: Buffer;
  /** Of a message that was verified: the OCSP answer its signing certificate was judged with. Never on the wire. */
  answer?: HeldAnswer | null;
}

export function encodeFrame(frame: Frame): Buffer {
  return writeOpening(MAGIC, frame).field(frame.sealedBody).end();
}

/** @throws MESSAGE_MALFORMED */
export function decodeFrame(bytes: Uint8Array): Frame {
  const readBody = (reader: ByteReader) => ({ sealedBody: reader.field(sealedLength(MAX_MESSAGE_BODY_BYTES)) });
  return readFrame(bytes, MAGIC, 'not a peer message', readBody);
}

export function encodeStreamFrame(frame: StreamFrame): Buffer {
  return writeOpening(STREAM_MAGIC, frame)
    .u32(Math.floor(frame.bodyLength / 2 ** 32))
    .u32(frame.bodyLength % 2 ** 32)
    .end();
}

/** @throws MESSAGE_MALFORMED */
export function decodeStreamFrame(bytes: Uint8Array): StreamFrame {
  const readLength = (reader: ByteReader) => ({ bodyLength: reader.u32() * 2 ** 32 + reader.u32() });
  const frame = readFrame(bytes, STREAM_MAGIC, 'not a stream', readLength);
  // A body that is small enough for one message has one form only.
  if (!Number.isSafeInteger(frame.bodyLength) || frame.bodyLength <= MAX_BODY_BYTES) {
    throw new AccordError('MESSAGE_MALFORMED', 'body length');
  }
  return frame;
}

function writeOpening(magic: Buffer, { kind, id, ticket, headSalt, sealedHead, bodySalt }: Opening): ByteWriter {
  const writer = new ByteWriter().raw(magic).u8(KINDS.indexOf(kind)).text(id).text(ticket);
  return writer.raw(headSalt).field(sealedHead).raw(bodySalt);
}

/** @param readRest of what stands behind the opening, to the last byte */
function readFrame<Rest>(
  bytes: Uint8Array,
  magic: Buffer,
  otherwise: string,
  readRest: (reader: ByteReader) => Rest,
): Opening & Rest {
  const reader = new ByteReader(bytes);
  if (!reader.raw(magic.length).equals(magic)) throw new AccordError('MESSAGE_MALFORMED', otherwise);
  const kind = KINDS[reader.u8()];
  if (kind === undefined) throw new AccordError('MESSAGE_MALFORMED', 'unknown kind');
  const opening: Opening = {
    kind,
    id: reader.text(64),
    ticket: reader.text(MAX_TICKET_BYTES),
    headSalt: reader.raw(SEAL_SALT_BYTES),
    sealedHead: reader.field(sealedLength(MAX_HEAD_BYTES)),
    bodySalt: reader.raw(SEAL_SALT_BYTES),
  };
  const rest = readRest(reader);
  reader.end();
  if (!MESSAGE_ID.test(opening.id)) throw new AccordError('MESSAGE_MALFORMED', 'message id');
  return { ...opening, ...rest };
}

export function encodeHead(head: Head): Buffer {
  const { jws, index, size, path } = head.signature;
  const writer = new ByteWriter().field(head.statement).text(jws).u32(index).u32(size).u8(path.length);
  for (const hash of path) writer.raw(hash);
  return writer.field(head.context).raw(head.contextSalt).raw(head.bodySalt).end();
}

/** @throws MESSAGE_MALFORMED */
export function decodeHead(bytes: Uint8Array): Head {
  const reader = new ByteReader(bytes);
  const statement = reader.field(MAX_STATEMENT_BYTES);
  const jws = reader.text(MAX_SIGNATURE_BYTES);
  const index = reader.u32();
  const size = reader.u32();
  const pathLength = reader.u8();
  if (pathLength > MAX_BATCH_PATH) throw new AccordError('MESSAGE_MALFORMED', 'audit path too long');
  const path = Array.from({ length: pathLength }, () => reader.raw(HASH_BYTES));
  const context = reader.field(MAX_CONTEXT_BYTES);
  const contextSalt = reader.raw(COMMITMENT_SALT_BYTES);
  const bodySalt = reader.raw(COMMITMENT_SALT_BYTES);
  reader.end();
  return { statement, signature: { jws, index, size, path }, context, contextSalt, bodySalt };
}
