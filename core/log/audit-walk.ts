// The walk of an audit over entries in their order: ranges of them, each verified in itself (side by side for a long log), put
// on the tree, whose root is compared wherever a checkpoint was signed and whose subtrees wherever a tile is stored. Whoever
// held the disk controls all that is read.
import { availableParallelism } from 'node:os';
import { Frontier, HASH_BYTES, rootOfLeaves, TILE_HEIGHT, TILE_WIDTH } from '#certs/merkle.ts';
import { type SignerKeys, signerAmong } from './audit-batches.ts';
import type { StoredCheckpoints } from './audit-checkpoints.ts';
import { type AuditRows, rangeVerifier, type VerifiedRange } from './audit-entries.ts';
import { Finding } from './audit-finding.ts';
import type { OwnEntries } from './audit-own-entries.ts';
import { rangesInThreads } from './audit-threads.ts';
import type { Ahead } from './range-source.ts';
import type { LogAuditReader } from './store.ts';

/** Entries verified at a time, from one snapshot: a multiple of TILE_WIDTH. */
const RANGE = 8_192;
const MAX_THREADS = 8;

export interface WalkOptions {
  /** Where threads open the log; without it there are none. */
  folder?: string;
  /** Threads that read and verify entries beside this one; by default one for each processor when the log is long. */
  threads?: number;
  signers?: SignerKeys;
  /** Entries verified at a time where no threads do it. */
  width?: number;
  /** Waited for between those. */
  onRange?: () => Promise<unknown>;
}

/** How far an audit is. */
export interface Followed {
  frontier: Frontier;
  checkpoints: number;
  /** Entries under the newest checkpoint that agreed. */
  signed?: number;
  lastMs: number;
  /** A tile that disagrees with the leaves; reported only when every checkpoint agrees with the leaves. */
  wrongTile: string | null;
}

/** By the stored tiles, which are compared with the leaves in turn. */
export function rootOf(log: Pick<LogAuditReader, 'subtree'>, size: number): Buffer {
  return Frontier.at(size, log.subtree).root();
}

/**
 * The entries in ranges, in order, each verified in itself: the long part side by side, and where the end is open, what came
 * meanwhile behind it. Ends after a range with a finding.
 */
export async function* verifiedRanges(
  log: AuditRows & { ahead?: Pick<Ahead, 'entries'> },
  { folder, threads, signers, width: atOnce = RANGE, onRange }: WalkOptions,
  which: { from: number; to: number; isOpen: boolean },
): AsyncGenerator<VerifiedRange> {
  let { from } = which;
  const length = which.to - from;
  const many =
    folder === undefined ? 0 : (threads ?? (length < 4 * RANGE ? 0 : Math.min(availableParallelism(), MAX_THREADS)));
  if (many > 0 && length > 0 && folder !== undefined) {
    const width = Math.min(RANGE, TILE_WIDTH * Math.ceil(length / many / TILE_WIDTH));
    for await (const range of rangesInThreads({ folder, signers }, { from, to: which.to, width }, many)) {
      yield range;
      from = range.to;
    }
  }
  const verify = rangeVerifier(log, signerAmong(signers));
  const next = async () => {
    const to = which.isOpen ? from + atOnce : Math.min(which.to, from + atOnce);
    await onRange?.();
    await log.ahead?.entries(from, to);
    return verify(from, to);
  };
  for (let range = await next(); range.to > range.from || range.finding !== null; range = await next()) {
    yield range;
    from = range.to;
  }
}

/** Puts a range's entries on the tree, one by one. @throws Finding */
export function follow(
  range: VerifiedRange,
  log: Pick<LogAuditReader, 'tile'>,
  progress: Followed,
  own: OwnEntries,
  checkpoints: StoredCheckpoints,
): void {
  const { frontier } = progress;
  const compareTile = (height: number, index: number, hash: Buffer): void => {
    const stored = log.tile(height / TILE_HEIGHT, index);
    if (stored === null || !stored.equals(hash)) progress.wrongTile ??= `tile ${height / TILE_HEIGHT}/${index}`;
  };
  if (range.from !== frontier.size) throw new Finding('LOG_GAP', frontier.size, 'entries are missing');
  if (range.to > range.from && range.firstMs < progress.lastMs) {
    throw new Finding('LOG_ENTRY_CHANGED', range.from, 'time runs backwards');
  }
  const leaves = Buffer.from(range.leaves.buffer, range.leaves.byteOffset, range.leaves.length);
  const special = new Map(range.own.map((one) => [one.entry.seq, one]));
  for (let seq = range.from; seq < range.to; seq++) {
    const end = seq + TILE_WIDTH;
    const isWhole = seq % TILE_WIDTH === 0 && end <= range.to && checkpoints.nextSize() >= end;
    if (isWhole && !range.own.some(({ entry }) => entry.seq >= seq && entry.seq < end)) {
      const at = (seq - range.from) * HASH_BYTES;
      frontier.pushTile(rootOfLeaves(leaves.subarray(at, at + TILE_WIDTH * HASH_BYTES)), compareTile);
      seq = end - 1;
      checkpoints.compare(progress);
      continue;
    }
    const one = special.get(seq);
    if (one !== undefined) own.judge(one.entry, one.note === null ? null : Buffer.from(one.note), frontier);
    const at = (seq - range.from) * HASH_BYTES;
    frontier.push(leaves.subarray(at, at + HASH_BYTES), compareTile);
    checkpoints.compare(progress);
  }
  if (range.to > range.from) progress.lastMs = range.lastMs;
  if (range.finding === null) return;
  const { code, seq, detail } = range.finding;
  throw new Finding(code, seq, detail);
}
