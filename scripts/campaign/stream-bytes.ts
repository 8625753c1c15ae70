// The bytes that campaign `stream` sends: as many as wanted out of a seed, made while they are sent and compared while
// they come, so that neither end ever holds a body. The keystream of AES-128-CTR, which costs next to nothing.
import { createCipheriv, createHash } from 'node:crypto';
import { Readable } from 'node:stream';

const CHUNK_BYTES = 64 * 1024;
const ZEROS = Buffer.alloc(CHUNK_BYTES);

/** The next bytes of a seed's row, at most 64 KiB at once. */
function row(seed: string): (length: number) => Buffer {
  const key = createHash('sha256').update(seed).digest().subarray(0, 16);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  return (length) => cipher.update(ZEROS.subarray(0, length));
}

export function bytesOf(seed: string, length: number): Readable {
  const next = row(seed);
  function* chunks() {
    for (let left = length; left > 0; left -= CHUNK_BYTES) yield next(Math.min(left, CHUNK_BYTES));
  }
  return Readable.from(chunks(), { objectMode: false, highWaterMark: CHUNK_BYTES });
}

/** What is wrong with what came; null when it is the first `length` bytes of the seed's row and nothing more. */
export async function differenceFrom(
  seed: string,
  length: number,
  source: AsyncIterable<Buffer>,
): Promise<string | null> {
  const next = row(seed);
  let came = 0;
  let same = true;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; at += CHUNK_BYTES) {
      const piece = chunk.subarray(at, at + CHUNK_BYTES);
      same &&= next(piece.length).equals(piece);
    }
    came += chunk.length;
  }
  if (came !== length) return `${came} bytes in place of ${length}`;
  return same ? null : `other bytes than were sent (${length})`;
}
