// Where an audit of a range begins and ends (audit-range.ts): at signed checkpoints, whose roots say what the tree is there, or
// where progress that was saved says, as far as the log's signature goes. Checkpoints that others hold are held against it
// in the same way. Whoever held the disk, or wrote such a checkpoint, controls what is read here.
import { Frontier } from '#certs/merkle.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { Finding } from './audit-finding.ts';
import type { RangeOptions, RangeState } from './audit-range-report.ts';
import type { KeyChain } from './key-chain.ts';
import type { RangeSource } from './range-source.ts';
import { type Checkpoint, openCheckpoint } from './signed-note.ts';
import type { StoredCheckpoint } from './store.ts';

/** The checkpoint to begin with; null at the beginning of the log. @throws AUDIT_PROGRESS_WRONG */
export async function startOf(
  log: RangeSource,
  { origin }: { origin: string },
  { from = 0, to, progress, signers }: RangeOptions,
  state: RangeState,
): Promise<StoredCheckpoint | null> {
  if (progress === null || progress === undefined) {
    const start = from === 0 ? null : await checkpointBefore(log, from);
    state.startedAt = start?.size ?? 0;
    state.base = { number: start?.number ?? 0, counted: 0 };
    return start;
  }
  const { checkpoint } = progress;
  const isSame = progress.origin === origin && progress.from === from && progress.to === (to ?? null);
  if (!isSame || progress.signatures !== (signers !== undefined)) {
    throw new AccordError('AUDIT_PROGRESS_WRONG', 'it is of another log, or of another audit of it');
  }
  const stored = (await log.ahead?.checkpoint?.(checkpoint.number)) ?? log.checkpointFrom(checkpoint.number);
  if (stored?.number !== checkpoint.number || stored.note !== checkpoint.note || stored.size !== checkpoint.size) {
    throw new AccordError('AUDIT_PROGRESS_WRONG', `checkpoint ${checkpoint.number} is not the one it was then`);
  }
  state.startedAt = progress.startedAt;
  // The checkpoint itself was counted, and is compared once more.
  state.base = { number: stored.number, counted: progress.checkpoints - 1 };
  state.followed.lastMs = progress.lastMs;
  return stored;
}

/** The tree up to a signed checkpoint, by what is stored of it: its root says that it is the one that was signed. */
export async function begin(
  log: RangeSource,
  chain: KeyChain,
  start: StoredCheckpoint,
  { followed }: RangeState,
): Promise<void> {
  const { size, root } = opened(start.note, chain, start.size, `stored checkpoint ${start.number}`);
  const frontier = await frontierAt(log, size);
  if (size !== start.size || !frontier.root().equals(root)) {
    const detail = `the tree of the ${size} entries before is not the one that was signed; audit the whole log`;
    throw new Finding('LOG_TILE_WRONG', null, detail);
  }
  followed.frontier = frontier;
}

function opened(note: string, chain: KeyChain, size: number, where: string): Checkpoint {
  try {
    return openCheckpoint(note, chain.at(size));
  } catch (error) {
    throw new Finding('LOG_CHECKPOINT_WRONG', null, `${where}: ${isAccordError(error) ? error.code : ''}`);
  }
}

/** The first of the largest size at or below `size`; null when there is none. */
async function checkpointBefore(log: RangeSource, size: number): Promise<StoredCheckpoint | null> {
  if (log.ahead?.checkpointBefore !== undefined) return await log.ahead.checkpointBefore(size);
  let low = 0;
  let high = (log.lastCheckpoint()?.number ?? -1) + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((log.checkpointFrom(middle)?.size ?? Number.POSITIVE_INFINITY) <= size) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? null : log.checkpointFrom(low - 1);
}

/** Where the audit ends: at the first checkpoint that covers the range, or at the end of the log. */
export async function endOf(
  log: RangeSource,
  to: number | undefined,
  size: number,
): Promise<{ size: number; isWhole: boolean }> {
  if (to === undefined || to >= size) return { size, isWhole: true };
  const before = await checkpointBefore(log, to);
  const covering = before?.size === to ? before : log.checkpointFrom((before?.number ?? -1) + 1);
  return covering === null ? { size, isWhole: true } : { size: Math.min(covering.size, size), isWhole: false };
}

/** Checkpoints that others hold say the same of this log. @throws Finding */
export async function compareSeen(
  log: RangeSource,
  notes: readonly string[],
  chain: KeyChain,
  frontier: Frontier,
): Promise<void> {
  for (const note of notes) {
    const { size, root } = openedSeen(note, chain);
    if (size > frontier.size) {
      if (size > log.size())
        throw new Finding('LOG_TRUNCATED', log.size(), `somebody holds a checkpoint of ${size} entries`);
      continue;
    }
    if (!(await frontierAt(log, size)).root().equals(root)) {
      throw new Finding('LOG_FORKED', null, `somebody holds a checkpoint with another root of ${size} entries`);
    }
  }
}

/** By the stored tiles. */
async function frontierAt(log: RangeSource, size: number): Promise<Frontier> {
  return (await log.ahead?.frontier?.(size)) ?? Frontier.at(size, log.subtree);
}

/** By whichever key of the chain signed it. */
function openedSeen(note: string, chain: KeyChain): Checkpoint {
  const size = Number(note.split('\n', 2)[1]);
  return opened(note, chain, Number.isSafeInteger(size) ? size : 0, 'a checkpoint that somebody holds');
}
