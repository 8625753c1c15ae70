// The second form of a peer message, for bodies that do not fit into memory (DESIGN: large bodies): the frame with the
// sealed head, then the body's sealed records one after the other. The head is opened and verified before a byte of the
// body is taken, and the body goes to the spool; nothing of it is used before its commitment was checked.
//
//   u32 length ‖ frame ('ACM2' …, see frame.ts) ‖ records of 64 KiB + tag, the last one shorter and marked final
//
// The peer controls every byte and how fast they come.
import type { Readable } from 'node:stream';
import { recordOpener, recordSealer, SEALED_RECORD_BYTES, type SealBinding, sealedLength } from '#certs/seal.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import { giveBack } from '#core/give-back.ts';
import type { ServerId } from '#schemas/identifiers.ts';
import { SEAL_RECORD_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { untakenBody } from '#security-server/body.ts';
import type { Spool, SpooledBody } from '#security-server/spool.ts';
import type { Channels } from './channels.ts';
import { decodeStreamFrame, encodeStreamFrame, MAX_STREAM_HEAD_BYTES, type StreamFrame } from './frame.ts';
import { type OpenedHead, type OpenedMessage, openHead } from './incoming.ts';

/** A sealed message that is made while it is sent. */
export interface StreamedMessage {
  /** All its bytes on the wire. */
  length: number;
  /** Pieces that are the reader's own; may be asked for again when nothing was sent. */
  bytes(): AsyncIterable<Buffer>;
  /** Gives back what the body holds, when it was sent or never will be. */
  release(): void;
}

const LENGTH_BYTES = 4;

export function sealStream(
  frame: Omit<StreamFrame, 'bodyLength'>,
  body: SpooledBody,
  secret: Uint8Array,
  binding: SealBinding,
): StreamedMessage {
  const head = encodeStreamFrame({ ...frame, bodyLength: body.length });
  const prefix = Buffer.alloc(LENGTH_BYTES);
  prefix.writeUInt32BE(head.length);
  async function* bytes(): AsyncGenerator<Buffer> {
    yield Buffer.concat([prefix, head]);
    // Sealing the same bytes again under the same key and counters gives the same bytes.
    const sealNext = recordSealer(secret, frame.bodySalt, binding);
    let left = body.length;
    for await (const record of body.records()) {
      left -= record.length;
      const sealed = sealNext(record, left === 0);
      giveBack(record);
      const piece = Buffer.concat(sealed);
      for (const part of sealed) giveBack(part);
      yield piece;
    }
  }
  return {
    length: LENGTH_BYTES + head.length + sealedLength(body.length),
    bytes,
    release: () => body.remove(),
  };
}

export interface StreamReceiver {
  kind: StreamFrame['kind'];
  peer: ServerEntry;
  self: ServerId;
  channels: Channels;
  spool: Spool;
  maxBodyBytes: number;
  /** Judges the head before the body is taken; what it throws ends the message. */
  judge(head: OpenedHead): void;
}

/**
 * Opens a streamed message; its body lies in the spool, and the caller removes it. Of a request that is too large the body is
 * not taken (`isUntaken`): its head was judged, so that it can be refused in an answer that is signed.
 * @throws as `openMessage`, what `judge` throws, BODY_TOO_LARGE of an answer, SPOOL_FULL, SPOOL_FAILED
 */
export async function openStream(
  source: Readable,
  { kind, peer, self, channels, spool, maxBodyBytes, judge }: StreamReceiver,
): Promise<OpenedMessage> {
  const reader = new StreamReader(source);
  try {
    const headLength = (await reader.exactly(LENGTH_BYTES)).readUInt32BE();
    if (headLength > MAX_STREAM_HEAD_BYTES) throw new AccordError('MESSAGE_MALFORMED', 'the head is too long');
    const frame = decodeStreamFrame(await reader.exactly(headLength));
    const opened = await openHead(frame, kind, peer, self, channels);
    judge(opened);
    const { secret, binding, ...known } = opened;
    const { bodyLength: length, bodySalt } = frame;
    const salt = Buffer.from(known.head.bodySalt);
    if (length > maxBodyBytes) {
      if (kind === 'answer') throw new AccordError('BODY_TOO_LARGE', `more than ${maxBodyBytes} bytes`);
      return { ...known, body: untakenBody(length, salt, known.statement.body.commitment) };
    }
    const openNext = recordOpener(secret, bodySalt, { ...binding, part: 'body' });
    const records = openedRecords(reader, length, openNext);
    return { ...known, body: await spool.take(records, { maxBytes: length, length, salt }) };
  } finally {
    await reader.close();
  }
}

async function* openedRecords(
  reader: StreamReader,
  bodyLength: number,
  openNext: ReturnType<typeof recordOpener>,
): AsyncGenerator<Buffer> {
  // A record is opened into bytes of its own, so that one place to gather it in is enough.
  const place = Buffer.allocUnsafeSlow(SEALED_RECORD_BYTES);
  for (let left = sealedLength(bodyLength); left > 0; ) {
    const length = Math.min(left, SEALED_RECORD_BYTES);
    left -= length;
    yield openNext(await reader.exactly(length, place.subarray(0, length)), left === 0);
  }
  if (!(await reader.isOver())) throw new AccordError('MESSAGE_MALFORMED', 'bytes after the end');
}

/** Exact lengths out of chunks of any length. */
class StreamReader {
  readonly #chunks: AsyncIterableIterator<Uint8Array>;
  /** What came last, and what of it was not taken yet. */
  #chunk: Uint8Array = Buffer.alloc(0);
  #rest: Uint8Array = this.#chunk;

  /** @param source what it yields belongs to nobody else, see `giveBack` */
  constructor(source: Readable) {
    // Whose connection it is decides what becomes of the rest: an answer may still go back over it.
    this.#chunks = source.iterator({ destroyOnReturn: false });
  }

  /** @param into where they are put @throws MESSAGE_MALFORMED when the stream ends before */
  async exactly(length: number, into: Buffer = Buffer.alloc(length)): Promise<Buffer> {
    for (let filled = 0; filled < length; ) {
      if (this.#rest.length === 0) {
        const { done, value } = await this.#next();
        if (done) throw new AccordError('MESSAGE_MALFORMED', 'ends inside a field');
        this.#chunk = value;
        this.#rest = value;
      }
      const taken = this.#rest.subarray(0, length - filled);
      into.set(taken, filled);
      filled += taken.length;
      this.#rest = this.#rest.subarray(taken.length);
      if (this.#rest.length === 0) giveBack(this.#chunk);
    }
    return into;
  }

  async isOver(): Promise<boolean> {
    return this.#rest.length === 0 && (await this.#next()).done === true;
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    try {
      return await this.#chunks.next();
    } catch (cause) {
      if (isAccordError(cause)) throw cause;
      throw new AccordError('MESSAGE_MALFORMED', 'broke off', { cause });
    }
  }

  /** Lets go of the source, so that somebody else may read past the rest. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}

/** Time that a body of this length may take beside the exchange's deadline, at the slowest speed that is put up with. */
export function transferMs(length: number): number {
  return Math.ceil(length / SEAL_RECORD_BYTES) * SLOWEST_RECORD_MS;
}

/** 64 KiB in half a second: 1 Mbit/s. */
const SLOWEST_RECORD_MS = 500;
