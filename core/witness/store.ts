// What a witness has to remember, and how: for each origin the largest tree it stood for. The contract of every store:
//
// - `turn` runs its function in one transaction that no other writer can come into, and returns when all of it is on the
//   disk; when it throws, nothing of it is. A witness signs nothing before `turn` returned.
// - A tree never becomes smaller, and one size never gets a second root, whoever asks: the tables themselves refuse it.
// - A crash at any point leaves the state before a turn or the state after it. After it, the cosignatures may be missing:
//   whoever asked asks again, is told the size that is stored, and gets a cosignature for the very same tree.
// - The files are never put back from a backup: an older state would cosign a second history.
import type { TreeHead } from './judge.ts';

export interface WitnessedTree extends TreeHead {
  /** The checkpoint with the signature line of its own log only. */
  note: string;
  /** Hashes of its complete subtrees, for who goes on adding leaves to it (feed.ts). */
  subtrees?: Buffer | null;
}

/** One step of one origin. */
export interface Advance {
  origin: string;
  before: TreeHead | null;
  tree: WitnessedTree;
  /** From the size before to the new one. */
  proof: readonly Buffer[];
}

/** Two checkpoints of one origin that do not fit together, both signed by its key. */
export interface ForkEvidence {
  origin: string;
  /** `fork`: one size, two roots, which proves itself. `unproven`: it did not show that the one grew out of the other. */
  kind: 'fork' | 'unproven';
  held: string;
  shown: string;
  atMs: number;
}

export interface WitnessTurn {
  latest(origin: string): WitnessedTree | null;
  advance(step: Advance, atMs: number): void;
  /** Kept for ever, the first few of each origin. @returns false when it was known, or too much is kept already */
  keepFork(evidence: ForkEvidence): boolean;
}

export interface WitnessStore {
  /** @throws StoreError (core/log/store.ts) when nothing was stored */
  turn<T>(run: (turn: WitnessTurn) => T): T;
  latest(origin: string): WitnessedTree | null;
  /** An earlier checkpoint of this size, where the store keeps history. */
  earlier(origin: string, size: number): string | null;
  /** Number of origins. */
  origins(): number;
  forks(): ForkEvidence[];
  close(): void;
}
