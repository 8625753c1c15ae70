// Damage of raw bytes: what a disk, a careless copy or somebody with an editor does to a file.
import type { Source } from '#scripts/demo/random.ts';

/** @param page what is overwritten, doubled or swapped at a time */
export function damageBytes(original: Buffer, chance: Source, page: number): { bytes: Buffer; what: string } {
  const at = chance.integer(0, original.length - 1);
  const pages = Math.max(1, Math.floor(original.length / page));
  const [a, b] = [chance.integer(0, pages - 1) * page, chance.integer(0, pages - 1) * page];
  const copy = Buffer.from(original);
  const half = chance.integer(1, 64);
  switch (chance.weighted([0.4, 0.15, 0.1, 0.05, 0.05, 0.05, 0.1, 0.1])) {
    case 0:
      copy[at] = (copy[at] ?? 0) ^ (1 << chance.integer(0, 7));
      return { bytes: copy, what: `a bit at ${at}` };
    case 1:
      copy[at] = chance.integer(0, 255);
      return { bytes: copy, what: `a byte at ${at}` };
    case 2:
      copy.fill(0, at, Math.min(at + half, copy.length));
      return { bytes: copy, what: `${half} zeros at ${at}` };
    case 3:
      return {
        bytes: Buffer.concat([original.subarray(0, at), Buffer.alloc(half, 0x41), original.subarray(at)]),
        what: `${half} bytes put in at ${at}`,
      };
    case 4:
      return {
        bytes: Buffer.concat([original.subarray(0, at), original.subarray(at + half)]),
        what: `${half} bytes taken out at ${at}`,
      };
    case 5:
      return { bytes: original.subarray(0, at), what: `all behind ${at} cut off` };
    case 6:
      copy.fill(0, a, Math.min(a + page, copy.length));
      return { bytes: copy, what: `zeros for the page at ${a}` };
    default:
      original.copy(copy, a, b, b + page);
      original.copy(copy, b, a, a + page);
      return { bytes: copy, what: `pages at ${a} and ${b} swapped` };
  }
}
