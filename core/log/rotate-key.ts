// Goes over to the next checkpoint key (key-chain.ts says how that is recorded). The server must not run. A crash leaves
// the log before the entry or behind it; run again with the same next key, it is completed.
import type { KeyObject } from 'node:crypto';
import { rawEd25519PublicKey, signEd25519 } from '#certs/ed25519.ts';
import type { Clock } from '#core/clock.ts';
import { AccordError } from '#schemas/problems.ts';
import { Checkpointer } from './checkpointer.ts';
import { KeyChain, type NoteSigner, rotationNote } from './key-chain.ts';
import { appendOwnEntry } from './own-entry.ts';
import { formatVerifierKey, noteVerifier } from './signed-note.ts';
import { recoverLog } from './start.ts';
import type { LogStore } from './store.ts';
import { openLogStoreSqlite } from './store-sqlite.ts';

export interface KeyRotation {
  folder: string;
  checkpointFile: string;
  origin: string;
  /** Ed25519, private; null when it is destroyed already and only the end of a rotation is left to do. */
  oldKey: KeyObject | null;
  nextKey: KeyObject;
  clock: Clock;
}

/**
 * Ends with a checkpoint of the next key. @returns the next verifier key and the size of the log
 * @throws LOG_IN_USE, LOG_MISSING, StoreError, and what `recoverLog` throws
 */
export function rotateCheckpointKey(options: KeyRotation): { verifierKey: string; size: number } {
  const store = openLogStoreSqlite(options.folder);
  try {
    const signer = signerOf(options.origin, options.nextKey);
    if (!isCurrent(store, signer)) appendRotation(store, options, signer);
    publish(store, options, options.nextKey);
    return { verifierKey: formatVerifierKey(signer.verifier), size: store.size() };
  } finally {
    store.close();
  }
}

function signerOf(origin: string, key: KeyObject): NoteSigner {
  return { verifier: noteVerifier(origin, rawEd25519PublicKey(key)), sign: (bytes) => signEd25519(key, bytes) };
}

/** True when an earlier run got as far as the entry. */
function isCurrent(store: LogStore, next: NoteSigner): boolean {
  const identity = store.identity();
  if (identity === null) throw new AccordError('LOG_MISSING', 'the server has not started yet');
  const current = KeyChain.of(store, identity.verifierKey).current;
  return formatVerifierKey(current) === formatVerifierKey(next.verifier);
}

function appendRotation(store: LogStore, options: KeyRotation, next: NoteSigner): void {
  const { origin, oldKey, clock } = options;
  if (oldKey === null) throw new AccordError('LOG_CHECKPOINT_WRONG', "the log's checkpoint key is another");
  const old = signerOf(origin, oldKey);
  const { frontier, lastMs } = publish(store, options, oldKey);
  const note = rotationNote({ origin, size: frontier.size, root: frontier.root() }, old, next);
  appendOwnEntry(store, frontier, 'key-rotated', note, Math.max(lastMs, clock.nowMs()));
}

/** Everything there is, compared with the last checkpoint and under one of this key. */
function publish(store: LogStore, { origin, checkpointFile, clock }: KeyRotation, checkpointKey: KeyObject) {
  const { verifier } = signerOf(origin, checkpointKey);
  const recovered = recoverLog(store, checkpointFile, verifier);
  const checkpointer = new Checkpointer({ store, checkpointFile, verifier, checkpointKey, clock }, recovered.published);
  if (checkpointer.hasGrown(recovered.frontier)) checkpointer.publish(recovered.frontier);
  return recovered;
}
