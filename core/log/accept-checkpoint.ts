// The operator's way out when the checkpoint file is gone (a new disk, a careless move): take the newest checkpoint the
// log itself holds. It gives up what the file protected against, so it is an explicit command and never done by a start.
import { AccordError } from '#schemas/problems.ts';
import { readCheckpointFile, writeCheckpointFile } from './checkpoint-file.ts';
import { KeyChain } from './key-chain.ts';
import { type Checkpoint, openCheckpoint } from './signed-note.ts';
import { openLogAuditSqlite } from './store-sqlite.ts';

/**
 * Writes the log's newest stored checkpoint to `checkpointFile`, which must not exist.
 * @throws LOG_MISSING, LOG_CHECKPOINT_WRONG (a file is there, or the log holds no checkpoint), NOTE_*
 */
export function acceptStoredCheckpoint(folder: string, checkpointFile: string): Checkpoint {
  if (readCheckpointFile(checkpointFile) !== null) {
    throw new AccordError('LOG_CHECKPOINT_WRONG', 'there is a checkpoint file; it is never overwritten');
  }
  const log = openLogAuditSqlite(folder);
  try {
    const [identity, newest] = [log.identity(), log.lastCheckpoint()];
    if (identity === null || newest === null) throw new AccordError('LOG_CHECKPOINT_WRONG', 'the log holds none');
    const checkpoint = openCheckpoint(newest.note, KeyChain.of(log, identity.verifierKey).at(newest.size));
    writeCheckpointFile(checkpointFile, newest.note);
    return checkpoint;
  } finally {
    log.close();
  }
}
