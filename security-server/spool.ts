// The spool (DESIGN: large bodies): where a body lies that is too large for memory, between its arrival and its delivery.
// Enciphered under a key that only this process's memory holds, in files that have no name any more once they are open,
// so that success, refusal and crash all leave nothing behind. Senders control the bytes and their number.
import { createHash, type Hash, type KeyObject, randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { COMMITMENT_SALT_BYTES } from '#certs/commitment.ts';
import { CIPHER_KEY_BYTES, cipherKey, decipher, encipherInPieces, NONCE_AND_TAG_BYTES } from '#certs/record-cipher.ts';
import { giveBack } from '#core/give-back.ts';
import { base64url } from '#schemas/base64url.ts';
import { SEAL_RECORD_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';

export interface SpooledBody {
  readonly length: number;
  /** 32 bytes, for this body only. */
  readonly salt: Buffer;
  /** SHA-256(salt ‖ bytes), base64url. */
  readonly commitment: string;
  /** Null unless it was asked for. */
  readonly sha512: Buffer | null;
  /**
   * The bytes from the start as records of 64 KiB, of which only the last is shorter; may be read again until it is removed.
   * A record is its reader's own, see `giveBack`. @throws SPOOL_FAILED
   */
  records(): AsyncGenerator<Buffer>;
  /** Gives the disk back; running reads end with an error. Twice is once. */
  remove(): void;
}

export interface TakeOptions {
  maxBytes: number;
  /** How much will come, where that was said: the room for it is taken before the first byte is. */
  length?: number;
  /** Of a body that arrives with its commitment. */
  salt?: Buffer;
  sha512?: boolean;
}

export interface Spool {
  /**
   * Writes what comes until its end; what the source yields is the spool's own from then on, see `giveBack`.
   * @throws BODY_TOO_LARGE, SPOOL_FULL, SPOOL_FAILED, and what the source throws
   */
  take(source: AsyncIterable<Uint8Array>, options: TakeOptions): Promise<SpooledBody>;
  /** Bytes that lie in it now. */
  held(): number;
}

/** A record on the disk, and where the n-th begins. */
const STORED_RECORD_BYTES = SEAL_RECORD_BYTES + NONCE_AND_TAG_BYTES;
/** Records that are read and, at the most, wait to be written at once: each way to the disk costs as much as a record's cipher. */
const TOGETHER_RECORDS = 4;
const TOGETHER_BYTES = TOGETHER_RECORDS * STORED_RECORD_BYTES;

/** @param folder emptied: what a crash between making a file and taking its name away left has no key any more */
export function openSpool(folder: string, maxHeldBytes: number): Spool {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  let held = 0;
  let files = 0;

  async function take(source: AsyncIterable<Uint8Array>, options: TakeOptions): Promise<SpooledBody> {
    const { maxBytes, length = 0, salt = randomBytes(COMMITMENT_SALT_BYTES), sha512 = false } = options;
    let mine = 0;
    const reserve = (bytes: number) => {
      if (bytes > maxBytes) throw new AccordError('BODY_TOO_LARGE', `more than ${maxBytes} bytes`);
      if (held + bytes - mine > maxHeldBytes) throw new AccordError('SPOOL_FULL', `${maxHeldBytes} bytes`);
      held += bytes - mine;
      mine = bytes;
    };
    const giveBack = () => {
      held -= mine;
      mine = 0;
    };
    let file: FileHandle | undefined;
    try {
      reserve(length);
      files += 1;
      file = await openNameless(join(folder, `${files}-${base64url(randomBytes(9))}`));
      const body = new Writing(file, salt, sha512);
      for await (const record of inRecords(source)) {
        if (body.length + record.length > mine) reserve(body.length + record.length);
        await body.add(record);
      }
      reserve(body.length);
      await body.written();
      return body.done(giveBack);
    } catch (error) {
      giveBack();
      await file?.close().catch(() => {}); // what went wrong before says more
      throw error;
    }
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
  readonly #sha512: Hash | null;
  #records = 0;
  #position = 0;
  /** Enciphered, and not given to the disk yet. */
  #waiting: Buffer[] = [];
  #waitingRecords = 0;
  /** Runs while something waits; never fails. */
  #writing: Promise<void> | null = null;
  #fault: unknown = null;

  constructor(file: FileHandle, salt: Buffer, withSha512: boolean) {
    this.#file = file;
    this.#salt = salt;
    this.#commitment.update(salt);
    this.#sha512 = withSha512 ? createHash('sha512') : null;
  }

  /** The record may be used for something else when this has returned; resolves when the next may come. @throws SPOOL_FAILED */
  async add(record: Uint8Array): Promise<void> {
    this.#commitment.update(record);
    this.#sha512?.update(record);
    this.length += record.length;
    this.#waiting.push(...encipherInPieces(this.#key, place(this.#records), record));
    this.#records += 1;
    this.#waitingRecords += 1;
    this.#writing ??= this.#write();
    // While the disk works, the next records are made; it is then given all of them at once.
    if (this.#waitingRecords >= TOGETHER_RECORDS) await this.written();
    else this.#throwFault();
  }

  /** When all that was added lies in the file. @throws SPOOL_FAILED */
  async written(): Promise<void> {
    await this.#writing;
    this.#throwFault();
  }

  #throwFault(): void {
    if (this.#fault === null) return;
    throw new AccordError('SPOOL_FAILED', (this.#fault as NodeJS.ErrnoException).code ?? '', { cause: this.#fault });
  }

  async #write(): Promise<void> {
    while (this.#waitingRecords > 0 && this.#fault === null) {
      const pieces = this.#waiting;
      const size = pieces.reduce((sum, { length }) => sum + length, 0);
      [this.#waiting, this.#waitingRecords] = [[], 0];
      try {
        const { bytesWritten } = await this.#file.writev(pieces, this.#position);
        if (bytesWritten !== size) throw new Error('a short write');
      } catch (cause) {
        this.#fault = cause;
      }
      for (const piece of pieces) giveBack(piece);
      this.#position += size;
    }
    this.#writing = null;
  }

  done(onRemoved: () => void): SpooledBody {
    const [file, key, size] = [this.#file, this.#key, this.#position];
    let removed = false;
    return {
      length: this.length,
      salt: this.#salt,
      commitment: base64url(this.#commitment.digest()),
      sha512: this.#sha512?.digest() ?? null,
      records: () => storedRecords(file, key, size),
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

/** What is read is deciphered into bytes of its own, so that two places are enough: one is read into while the other is used. */
async function* storedRecords(file: FileHandle, key: KeyObject, size: number): AsyncGenerator<Buffer> {
  const places: Buffer[] = [];
  const read = (start: number): Promise<Buffer> | null => {
    if (start >= size) return null;
    const place = places.pop() ?? Buffer.allocUnsafeSlow(Math.min(TOGETHER_BYTES, size));
    const reading = readStored(file, place.subarray(0, Math.min(TOGETHER_BYTES, size - start)), start);
    reading.catch(() => {}); // who takes the records may have stopped before
    return reading;
  };
  let [at, reading] = [0, read(0)];
  for (let start = 0; reading !== null; start += TOGETHER_BYTES) {
    const stored = await reading;
    reading = read(start + TOGETHER_BYTES);
    for (let from = 0; from < stored.length; from += STORED_RECORD_BYTES) {
      const plain = decipher(key, place(at), stored.subarray(from, from + STORED_RECORD_BYTES));
      if (plain === null) throw new AccordError('SPOOL_FAILED', 'the spool was changed');
      at += 1;
      yield plain;
    }
    places.push(Buffer.from(stored.buffer));
  }
}

async function readStored(file: FileHandle, into: Buffer, start: number): Promise<Buffer> {
  try {
    const { bytesRead } = await file.read(into, 0, into.length, start);
    if (bytesRead !== into.length) throw new AccordError('SPOOL_FAILED', 'the spool was changed');
    return into;
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
async function* inRecords(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let record = Buffer.alloc(0);
  let filled = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      // What comes as whole records is passed on as it is.
      if (filled === 0 && chunk.length - at >= SEAL_RECORD_BYTES) {
        yield chunk.subarray(at, at + SEAL_RECORD_BYTES);
        at += SEAL_RECORD_BYTES;
        continue;
      }
      if (record.length === 0) record = Buffer.allocUnsafeSlow(SEAL_RECORD_BYTES);
      const length = Math.min(SEAL_RECORD_BYTES - filled, chunk.length - at);
      record.set(chunk.subarray(at, at + length), filled);
      filled += length;
      at += length;
      if (filled < SEAL_RECORD_BYTES) continue;
      yield record;
      filled = 0;
    }
    giveBack(chunk);
  }
  if (filled > 0) yield record.subarray(0, filled);
}
