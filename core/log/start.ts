// Start-up of a message log (DESIGN: the message log). A start trusts nothing the disk says: the frontier is computed
// again from the stored rows and compared with the last signed checkpoint, which lies apart from the log. Complete
// tiles far behind that checkpoint are taken as stored (their root is what the checkpoint signed); the entries of the
// last tiles before it and everything after it are hashed again. The whole-log audit hashes everything.

import { Frontier, leafHash, TILE_HEIGHT, TILE_WIDTH } from '#certs/merkle.ts';
import { parseLogEntry } from '#schemas/log-entry.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { readCheckpointFile } from './checkpoint-file.ts';
import { KeyChain } from './key-chain.ts';
import {
  type Checkpoint,
  formatVerifierKey,
  type NoteVerifier,
  openCheckpoint,
  parseCheckpointText,
  parseNote,
} from './signed-note.ts';
import type { LogReader, LogStore } from './store.ts';

/** Entries before the last checkpoint that a start hashes again. */
const REHASHED_ENTRIES = 64 * TILE_WIDTH;
const PAGE = 1024;

export interface Recovered {
  frontier: Frontier;
  /** `t` of the last entry; 0 in an empty log. */
  lastMs: number;
  /** The newest checkpoint that both the log and the file have; null when one is to be published at once. */
  published: { checkpoint: Checkpoint; note: string } | null;
}

/**
 * @param checkpointFile where the last signed checkpoint is kept
 * @throws LOG_ORIGIN_WRONG, LOG_CHECKPOINT_MISSING, LOG_CHECKPOINT_WRONG, LOG_ROLLED_BACK, LOG_TAMPERED, LOG_GAP,
 *   LOG_DATABASE_DAMAGED
 */
export function recoverLog(store: LogStore, checkpointFile: string, verifier: NoteVerifier): Recovered {
  const note = readCheckpointFile(checkpointFile);
  const size = store.size();
  const chain = keysOf(store, verifier, size);
  const kept = note === null ? null : openStored(note, chain, 'the checkpoint file');
  if (kept !== null && size < kept.size) {
    throw new AccordError('LOG_ROLLED_BACK', `${size} entries, but the checkpoint file has ${kept.size}`);
  }
  checkIdentity(store, verifier, chain);
  if (kept === null && size > 0) throw new AccordError('LOG_CHECKPOINT_MISSING', checkpointFile);
  const row = store.lastCheckpoint();
  const stored = row === null ? null : openStored(row.note, chain, 'the newest stored checkpoint');
  // The row is written before the file, so that a log with fewer checkpoints than the file is an older copy.
  if (kept !== null && (stored?.size ?? 0) < kept.size) {
    throw new AccordError('LOG_ROLLED_BACK', `the checkpoint file has ${kept.size}, the log's own is older`);
  }
  if (stored !== null && size < stored.size) throw new AccordError('LOG_ROLLED_BACK', `${size} of ${stored.size}`);
  const { frontier, lastMs } = rehash(store, size, [kept, stored]);
  const isCurrent = kept !== null && stored !== null && kept.size === stored.size;
  return {
    frontier,
    lastMs,
    published: isCurrent && row !== null ? { checkpoint: stored, note: row.note } : null,
  };
}

/** The keys of the log in turn; of a log that is not there yet, the one it is opened with. */
function keysOf(store: LogReader, verifier: NoteVerifier, size: number): KeyChain {
  const identity = store.identity();
  if (identity === null || size === 0) return new KeyChain(verifier);
  try {
    return KeyChain.of(store, identity.verifierKey);
  } catch (cause) {
    if (!isAccordError(cause)) throw cause;
    throw new AccordError('LOG_TAMPERED', `a rotation of the checkpoint key: ${cause.code}`, { cause });
  }
}

function openStored(note: Uint8Array | string, chain: KeyChain, where: string): Checkpoint {
  try {
    return openCheckpoint(note, chain.at(parseCheckpointText(parseNote(note).text).size));
  } catch (cause) {
    throw new AccordError('LOG_CHECKPOINT_WRONG', where, { cause });
  }
}

function checkIdentity(store: LogStore, verifier: NoteVerifier, chain: KeyChain): void {
  const verifierKey = formatVerifierKey(verifier);
  const identity = store.identity();
  if (identity === null) {
    if (store.size() > 0) throw new AccordError('LOG_DATABASE_DAMAGED', 'entries without an origin');
    store.setIdentity({ origin: verifier.name, verifierKey });
  } else if (identity.origin !== verifier.name) {
    throw new AccordError('LOG_ORIGIN_WRONG', `it is ${identity.origin}`);
  } else if (
    formatVerifierKey(chain.current) !== verifierKey ||
    (store.size() === 0 && identity.verifierKey !== verifierKey)
  ) {
    throw new AccordError('LOG_CHECKPOINT_WRONG', "the log's checkpoint key is another");
  }
}

function rehash(
  store: LogStore,
  size: number,
  checkpoints: (Checkpoint | null)[],
): { frontier: Frontier; lastMs: number } {
  const known = checkpoints.filter((checkpoint) => checkpoint !== null);
  const oldest = Math.min(size, ...known.map((checkpoint) => checkpoint.size));
  const base = Math.floor(Math.max(0, oldest - REHASHED_ENTRIES) / TILE_WIDTH) * TILE_WIDTH;
  const frontier = Frontier.at(base, store.subtree);
  const compare = () => {
    const wrong = known.find(({ size, root }) => size === frontier.size && !root.equals(frontier.root()));
    if (wrong !== undefined) throw new AccordError('LOG_TAMPERED', `another root at size ${wrong.size}`);
  };
  compare();
  while (frontier.size < size) {
    const lines = store.lines(frontier.size, PAGE);
    if (lines.length === 0) throw new AccordError('LOG_GAP', `seq ${frontier.size}`);
    for (const { seq, line, leaf } of lines) {
      if (seq !== frontier.size) throw new AccordError('LOG_GAP', `seq ${frontier.size}`);
      if (!leafHash(line).equals(leaf)) throw new AccordError('LOG_TAMPERED', `seq ${seq}`);
      frontier.push(leaf, (height, index, hash) => checkTile(store, height, index, hash));
      compare();
    }
  }
  const last = size === 0 ? undefined : store.lines(size - 1, 1)[0];
  return { frontier, lastMs: last === undefined ? 0 : parseLogEntry(last.line).t };
}

function checkTile(store: LogReader, height: number, index: number, hash: Buffer): void {
  if (height % TILE_HEIGHT === 0 && !store.subtree(height, index).equals(hash)) {
    throw new AccordError('LOG_TAMPERED', `tile ${height / TILE_HEIGHT}/${index}`);
  }
}
