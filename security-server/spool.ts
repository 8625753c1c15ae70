// The spool (DESIGN: large bodies): where a body lies that is too large for memory, between its arrival and its delivery.
// The first few that are under way lie in memory that is set aside for them (spool-memory.ts), of one size however many come;
// what finds no room there lies on the disk (spool-file.ts). Success, refusal and crash all leave nothing behind. Senders
// control the bytes and their number.
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { COMMITMENT_SALT_BYTES } from '#certs/commitment.ts';
import { giveBack } from '#core/give-back.ts';
import { countMovedBytes } from '#core/moved-bytes.ts';
import { base64url } from '#schemas/base64url.ts';
import { SEAL_RECORD_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { type FileShelf, openFileShelf } from './spool-file.ts';
import { openSpoolMemory } from './spool-memory.ts';

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
  /** Gives memory and disk back; running reads end with an error. Twice is once. */
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

/** @param folder emptied: what a crash between making a file and taking its name away left has no key any more */
export function openSpool(folder: string, maxHeldBytes: number, memoryBytes: number): Spool {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const memoryShelf = openSpoolMemory(memoryBytes);
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
    const commitment = createHash('sha256').update(salt);
    const further = sha512 ? createHash('sha512') : null;
    const memory = memoryShelf();
    let file: FileShelf | null = null;
    let taken = 0;
    const letGo = () => {
      held -= mine;
      mine = 0;
      memory.giveBack();
      file?.giveBack();
    };
    try {
      reserve(length);
      for await (const record of inRecords(source)) {
        taken += record.length;
        countMovedBytes(record.length);
        if (taken > mine) reserve(taken);
        commitment.update(record);
        further?.update(record);
        if (file === null && memory.add(record)) continue;
        if (file === null) {
          files += 1;
          file = await openFileShelf(join(folder, `${files}-${base64url(randomBytes(9))}`));
          for (const before of memory.records()) {
            await file.add(before);
            giveBack(before);
          }
          memory.giveBack();
        }
        await file.add(record);
      }
      reserve(taken);
      await file?.written();
    } catch (error) {
      letGo();
      throw error;
    }
    const shelf = file ?? memory;
    let isRemoved = false;
    return {
      length: taken,
      salt,
      commitment: base64url(commitment.digest()),
      sha512: further?.digest() ?? null,
      records: async function* () {
        for await (const record of shelf.records()) {
          countMovedBytes(record.length);
          yield record;
        }
      },
      remove() {
        if (!isRemoved) letGo();
        isRemoved = true;
      },
    };
  }

  return { take, held: () => held };
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
