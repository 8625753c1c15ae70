// The part of the spool that lies in memory: places of one record each in one piece that is set aside once, so that however
// many large bodies come, no more is taken and none is freed in between. Each way to the disk and back costs as much as all
// the cryptography of a body, and makes the log's fsyncs wait for it. Senders control the bytes; what lay in a place is
// wiped before another body lies there.
import { SEAL_RECORD_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';

export interface MemoryShelf {
  /** False when there is no room; the bytes are copied. */
  add(record: Uint8Array): boolean;
  /** In the order in which they came, a copy each. @throws SPOOL_FAILED when they were given back meanwhile */
  records(): Generator<Buffer>;
  giveBack(): void;
}

/** @returns makes the shelf of one body @param bytes for all of them together */
export function openSpoolMemory(bytes: number): () => MemoryShelf {
  let memory: Buffer<SharedArrayBuffer> | undefined;
  const free = Array.from({ length: Math.floor(bytes / SEAL_RECORD_BYTES) }, (_, at) => at * SEAL_RECORD_BYTES);
  return () => {
    let taken: Buffer<SharedArrayBuffer>[] = [];
    let isGivenBack = false;
    return {
      add(record) {
        const at = free.pop();
        if (at === undefined) return false;
        memory ??= Buffer.from(new SharedArrayBuffer(bytes));
        const place = memory.subarray(at, at + record.length);
        place.set(record);
        taken.push(place);
        return true;
      },
      *records() {
        if (isGivenBack) throw gone();
        for (const place of taken) {
          if (isGivenBack) throw gone();
          const record = Buffer.allocUnsafeSlow(place.length);
          record.set(place);
          yield record;
        }
      },
      giveBack() {
        isGivenBack = true;
        for (const place of taken) {
          place.fill(0);
          free.push(place.byteOffset);
        }
        taken = [];
      },
    };
  };
}

const gone = (): AccordError => new AccordError('SPOOL_FAILED', 'the body was given back');
