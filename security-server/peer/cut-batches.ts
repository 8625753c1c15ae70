// What one turn has to say to one peer, cut into batches: small messages first and together, each larger one alone
// behind them, so that none of the small ones waits for the bytes of a large one.
import { BATCH_CUT_BYTES, MAX_BATCH_MESSAGES } from '#schemas/limits.ts';

/** @param items with the bytes that each takes; their order is kept within small and large */
export function cutBatches<Item extends { bytes: number }>(items: readonly Item[]): Item[][] {
  const batches: Item[][] = [];
  const alone: Item[][] = [];
  let last: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    if (isLarge(item.bytes)) {
      alone.push([item]);
      continue;
    }
    if (last.length === 0 || last.length === MAX_BATCH_MESSAGES || bytes + item.bytes > BATCH_CUT_BYTES) {
      last = [];
      bytes = 0;
      batches.push(last);
    }
    last.push(item);
    bytes += item.bytes;
  }
  return [...batches, ...alone];
}

/** Goes alone, and takes at most half of the credit. */
export function isLarge(bytes: number): boolean {
  return bytes > BATCH_CUT_BYTES / 2;
}
