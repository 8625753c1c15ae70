// May this checkpoint come next? The one rule of a witness (https://c2sp.org/tlog-witness), pure: used by the witness
// before and in its transaction, by department witnesses for every origin in the aggregate log, and by the tests.
import { EMPTY_ROOT, verifyConsistency } from '#certs/merkle.ts';

/** A tree: number of leaves and root. */
export interface TreeHead {
  size: number;
  root: Buffer;
}

export type Judgement =
  /** The tree grew out of the one before. */
  | 'advance'
  /** It is the very tree of the last time. */
  | 'repeat'
  /** The caller's old size is larger than the checkpoint (400). */
  | 'backwards'
  /** The caller's old size is not ours (409 with ours). */
  | 'stale'
  /** The same size with another root: two histories (409). */
  | 'fork'
  /** The proof does not lead from the one tree to the other (422). */
  | 'unproven';

/** @param latest what the witness cosigned last; null for nothing */
export function judgeCheckpoint(
  latest: TreeHead | null,
  next: TreeHead,
  oldSize: number,
  proof: readonly Uint8Array[],
): Judgement {
  const before = latest ?? { size: 0, root: EMPTY_ROOT };
  if (oldSize > next.size) return 'backwards';
  if (oldSize !== before.size) return 'stale';
  if (next.size === before.size && Buffer.compare(next.root, before.root) !== 0) return 'fork';
  if (!verifyConsistency(before.size, next.size, before.root, next.root, proof)) return 'unproven';
  return next.size === before.size ? 'repeat' : 'advance';
}
