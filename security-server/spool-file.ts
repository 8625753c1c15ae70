// The part of the spool that lies on the disk: enciphered under a key that only this process's memory holds, in files that
// have no name any more once they are open, so that a crash leaves nothing behind that anybody could read. Whoever can write
// to the disk controls what is read back.
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { CIPHER_KEY_BYTES, cipherKey, decipher, encipherInPieces, NONCE_AND_TAG_BYTES } from '#certs/record-cipher.ts';
import { giveBack } from '#core/give-back.ts';
import { SEAL_RECORD_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';

/** A record on the disk, and where the n-th begins. */
const STORED_RECORD_BYTES = SEAL_RECORD_BYTES + NONCE_AND_TAG_BYTES;
/** Records that are read and, at the most, wait to be written at once: each way to the disk costs as much as a record's cipher. */
const TOGETHER_RECORDS = 2;
const TOGETHER_BYTES = TOGETHER_RECORDS * STORED_RECORD_BYTES;

/** Only this process reaches a file without a name; the system frees it when the process ends, however that is. @throws SPOOL_FAILED */
export async function openFileShelf(path: string): Promise<FileShelf> {
  try {
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return new FileShelf(file);
  } catch (cause) {
    throw new AccordError('SPOOL_FAILED', (cause as NodeJS.ErrnoException).code ?? '', { cause });
  }
}

export class FileShelf {
  readonly #file: FileHandle;
  readonly #key = cipherKey(randomBytes(CIPHER_KEY_BYTES));
  #records = 0;
  #position = 0;
  /** Enciphered, and not given to the disk yet. */
  #waiting: Buffer[] = [];
  #waitingRecords = 0;
  /** Runs while something waits; never fails. */
  #writing: Promise<void> | null = null;
  #fault: unknown = null;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** The record may be used for something else when this has returned; resolves when the next may come. @throws SPOOL_FAILED */
  async add(record: Uint8Array): Promise<void> {
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

  /** What is read is deciphered into bytes of its own, so that two places are enough: one is read into while the other is used. */
  async *records(): AsyncGenerator<Buffer> {
    const size = this.#position;
    const places: Buffer[] = [];
    const read = (start: number): Promise<Buffer> | null => {
      if (start >= size) return null;
      const into = places.pop() ?? Buffer.allocUnsafeSlow(Math.min(TOGETHER_BYTES, size));
      const reading = readStored(this.#file, into, Math.min(into.length, size - start), start);
      reading.catch(() => {}); // who takes the records may have stopped before
      return reading;
    };
    let [at, reading] = [0, read(0)];
    try {
      for (let start = 0; reading !== null; start += TOGETHER_BYTES) {
        const stored = await reading;
        reading = read(start + TOGETHER_BYTES);
        const length = Math.min(stored.length, size - start);
        for (let from = 0; from < length; from += STORED_RECORD_BYTES) {
          const plain = decipher(
            this.#key,
            place(at),
            stored.subarray(from, Math.min(from + STORED_RECORD_BYTES, length)),
          );
          if (plain === null) throw new AccordError('SPOOL_FAILED', 'the spool was changed');
          at += 1;
          yield plain;
        }
        places.push(stored);
      }
    } finally {
      for (const unused of places) giveBack(unused);
      reading?.then(giveBack, () => {}); // not before the disk has done with it
    }
  }

  giveBack(): void {
    // Nobody waits for it: the file has no name, and the system frees it with the descriptor.
    this.#file.close().catch(() => {});
  }
}

async function readStored(file: FileHandle, into: Buffer, length: number, start: number): Promise<Buffer> {
  try {
    const { bytesRead } = await file.read(into, 0, length, start);
    if (bytesRead !== length) throw new AccordError('SPOOL_FAILED', 'the spool was changed');
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
