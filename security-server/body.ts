// The body of a message on its way: a small one is bytes in memory, a large one lies in the spool. Whoever made a spooled
// body removes it when the exchange has ended; nothing else holds on to it.
import { commit, opens } from '#certs/commitment.ts';
import { MAX_BODY_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Spool, SpooledBody, TakeOptions } from './spool.ts';

export type MessageBody = Buffer | SpooledBody;

export function isSpooled(body: MessageBody): body is SpooledBody {
  return !Buffer.isBuffer(body);
}

/** A body that was too large to be taken: what its sender's signed head says of it; there is nothing to read. */
class UntakenBody implements SpooledBody {
  readonly length: number;
  readonly salt: Buffer;
  readonly commitment: string;
  readonly sha512 = null;

  constructor(length: number, salt: Buffer, commitment: string) {
    this.length = length;
    this.salt = salt;
    this.commitment = commitment;
  }

  records(): AsyncGenerator<Buffer> {
    throw new TypeError('a body that was never taken');
  }

  remove(): void {}
}

/** @param commitment as it is stated, not checked: only for a message that is refused for this body */
export function untakenBody(length: number, salt: Buffer, commitment: string): SpooledBody {
  return new UntakenBody(length, salt, commitment);
}

export function isUntaken(body: MessageBody): boolean {
  return body instanceof UntakenBody;
}

/** What can be read as a whole. @throws BODY_TOO_LARGE for a spooled body */
export function wholeBody(body: MessageBody): Buffer {
  if (isSpooled(body)) throw new AccordError('BODY_TOO_LARGE', `more than ${MAX_BODY_BYTES} bytes`);
  return body;
}

/** Commitment of a body under its salt, base64url: a spooled one was committed to while it was written. */
export function commitBody(body: MessageBody, salt: Buffer): string {
  if (!isSpooled(body)) return commit(salt, body);
  if (!body.salt.equals(salt)) throw new TypeError('a spooled body has its own salt');
  return body.commitment;
}

/** True when `commitment` opens to exactly this body. */
export function opensBody(commitment: string, salt: Buffer, body: MessageBody): boolean {
  if (!isSpooled(body)) return opens(commitment, salt, body);
  return body.salt.equals(salt) && body.commitment === commitment;
}

/** Ends what a body holds; bytes in memory hold nothing. */
export function removeBody(body: MessageBody | undefined): void {
  if (body !== undefined && isSpooled(body)) body.remove();
}

/**
 * Reads a body of unknown length: in memory as long as it is small, then in the spool. What the source yields belongs to
 * nobody else, see `giveBack`.
 * @param further what was said of its length, and whether its SHA-512 will be wanted
 * @throws BODY_TOO_LARGE, SPOOL_FULL, SPOOL_FAILED, and what the source throws
 */
export async function gatherBody(
  spool: Spool,
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
  further: Pick<TakeOptions, 'length' | 'sha512'> = {},
): Promise<MessageBody> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) return Buffer.concat(chunks);
      chunks.push(value);
      length += value.length;
      if (length > maxBytes) throw new AccordError('BODY_TOO_LARGE', `more than ${maxBytes} bytes`);
      if (length > MAX_BODY_BYTES) return await spool.take(continued(chunks, iterator), { maxBytes, ...further });
    }
  } finally {
    // Also when the spool did not begin to read; whoever has an end of its own hears nothing of this.
    await iterator.return?.();
  }
}

async function* continued(chunks: Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) yield chunk;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}
