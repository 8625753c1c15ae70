// The spool (DESIGN: large bodies): where a body lies that is too large for memory, between its arrival and its delivery.
// Enciphered under a key that only this process's memory holds, in files that have no name any more once they are open,
// so that success, refusal and crash all leave nothing behind. Senders control the bytes and their number.
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { COMMITMENT_SALT_BYTES } from '#certs/commitment.ts';
import { CIPHER_KEY_BYTES, cipherKey, decipher, encipher, NONCE_AND_TAG_BYTES } from '#certs/record-cipher.ts';
import { base64url } from '#schemas/base64url.ts';
import { SEAL_RECORD_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';

export interface SpooledBody {
  readonly length: number;
  /** 32 bytes, for this body only. */
  readonly salt: Buffer;
  /** SHA-256(salt ‖ bytes), base64url. */
  readonly commitment: string;
  readonly sha512: Buffer;
  /** The bytes from the start; may be read again until it is removed. Its error is SPOOL_FAILED. */
  read(): Readable;
  /** Gives the disk back; running reads end with an error. Twice is once. */
  remove(): void;
}

interface TakeOptions {
  maxBytes: number;
  /** Of a body that arrives with its commitment. */
  salt?: Buffer;
}

export interface Spool {
  /** Writes what comes until its end. @throws BODY_TOO_LARGE, SPOOL_FULL, SPOOL_FAILED, and what the source throws */
  take(source: AsyncIterable<Uint8Array>, options: TakeOptions): Promise<SpooledBody>;
  /** Bytes that lie in it now. */
  held(): number;
}

/** A record on the disk, and where the n-th begins. */
const STORED_RECORD_BYTES = SEAL_RECORD_BYTES + NONCE_AND_TAG_BYTES;

/** @param folder emptied: what a crash between making a file and taking its name away left has no key any more */
export function openSpool(folder: string, maxHeldBytes: number): Spool {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  let held = 0;
  let files = 0;

  async function take(source: AsyncIterable<Uint8Array>, { maxBytes, salt }: TakeOptions): Promise<SpooledBody> {
    files += 1;
    const file = await openNameless(join(folder, `${files}-${base64url(randomBytes(9))}`));
    const body = new Writing(file, salt ?? randomBytes(COMMITMENT_SALT_BYTES));
    let counted = 0;
    try {
      for await (const record of inRecords(source)) {
        if (body.length + record.length > maxBytes)
          throw new AccordError('BODY_TOO_LARGE', `more than ${maxBytes} bytes`);
        if (held + record.length > maxHeldBytes) throw new AccordError('SPOOL_FULL', `${maxHeldBytes} bytes`);
        held += record.length;
        counted += record.length;
        await body.add(record);
      }
    } catch (error) {
      held -= counted;
      await file.close();
      throw error;
    }
    return body.done(() => {
      held -= counted;
    });
  }

  return { take, held: () => held };
}

/** Only this process reaches a file without a name; the system frees it when the process ends, however that is. */
async function openNameless(path: string): Promise<FileHandle> {
  try {
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return file;
  } catch (cause) {
    throw new AccordError('SPOOL_FAILED', (cause as NodeJS.ErrnoException).code ?? '', { cause });
  }
}

class Writing {
  length = 0;
  readonly #file: FileHandle;
  readonly #salt: Buffer;
  readonly #key = cipherKey(randomBytes(CIPHER_KEY_BYTES));
  readonly #commitment = createHash('sha256');
  readonly #sha512 = createHash('sha512');
  #records = 0;
  #position = 0;

  constructor(file: FileHandle, salt: Buffer) {
    this.#file = file;
    this.#salt = salt;
    this.#commitment.update(salt);
  }

  async add(record: Buffer): Promise<void> {
    this.#commitment.update(record);
    this.#sha512.update(record);
    this.length += record.length;
    const stored = encipher(this.#key, place(this.#records), record);
    this.#records += 1;
    try {
      const { bytesWritten } = await this.#file.write(stored, 0, stored.length, this.#position);
      if (bytesWritten !== stored.length) throw new Error('a short write');
    } catch (cause) {
      throw new AccordError('SPOOL_FAILED', (cause as NodeJS.ErrnoException).code ?? '', { cause });
    }
    this.#position += stored.length;
  }

  done(onRemoved: () => void): SpooledBody {
    const [file, key, records, size] = [this.#file, this.#key, this.#records, this.#position];
    let removed = false;
    async function* chunks(): AsyncGenerator<Buffer> {
      for (let at = 0; at < records; at += 1) {
        const start = at * STORED_RECORD_BYTES;
        const stored = Buffer.allocUnsafe(Math.min(STORED_RECORD_BYTES, size - start));
        yield await readRecord(file, key, at, start, stored);
      }
    }
    return {
      length: this.length,
      salt: this.#salt,
      commitment: base64url(this.#commitment.digest()),
      sha512: this.#sha512.digest(),
      read: () => Readable.from(chunks(), { objectMode: false, highWaterMark: SEAL_RECORD_BYTES }),
      remove() {
        if (removed) return;
        removed = true;
        onRemoved();
        // Nobody waits for it: the file has no name, and the system frees it with the descriptor.
        file.close().catch(() => {});
      },
    };
  }
}

async function readRecord(
  file: FileHandle,
  key: ReturnType<typeof cipherKey>,
  at: number,
  start: number,
  stored: Buffer,
): Promise<Buffer> {
  try {
    const { bytesRead } = await file.read(stored, 0, stored.length, start);
    const plain = bytesRead === stored.length ? decipher(key, place(at), stored) : null;
    if (plain === null) throw new AccordError('SPOOL_FAILED', 'the spool was changed');
    return plain;
  } catch (cause) {
    if (isAccordError(cause)) throw cause;
    throw new AccordError('SPOOL_FAILED', (cause as NodeJS.ErrnoException).code ?? '', { cause });
  }
}

/** Where a record belongs, so that records cannot be exchanged on the disk. */
function place(at: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(at);
  return bytes;
}

/** Chunks of any size as records of 64 KiB; only the last is shorter, and of no bytes there is none. */
export async function* inRecords(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let waiting: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of source) {
    waiting.push(chunk);
    length += chunk.length;
    if (length < SEAL_RECORD_BYTES) continue;
    const joined = Buffer.concat(waiting);
    let at = 0;
    for (; joined.length - at >= SEAL_RECORD_BYTES; at += SEAL_RECORD_BYTES) {
      yield joined.subarray(at, at + SEAL_RECORD_BYTES);
    }
    waiting = at === joined.length ? [] : [joined.subarray(at)];
    length = joined.length - at;
  }
  if (length > 0) yield Buffer.concat(waiting);
}
