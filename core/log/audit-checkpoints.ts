// The signed checkpoints as an audit judges them: those stored in the log, each against the tree at its size, and the last
// one, which is kept apart in a file. Whoever held the disk controls both; they are believed for their signature, by the
// key whose turn it was at that size.
import type { Frontier } from '#certs/merkle.ts';
import { isAccordError } from '#schemas/problems.ts';
import { Finding } from './audit-finding.ts';
import { readCheckpointFile } from './checkpoint-file.ts';
import type { KeyChain } from './key-chain.ts';
import { type Checkpoint, openCheckpoint, parseCheckpointText, parseNote } from './signed-note.ts';
import type { LogAuditReader, StoredCheckpoint } from './store.ts';

/** An anchoring mostly comes a few checkpoints behind its own. */
const MAX_ROOTS = 4_096;

interface Kept {
  note: string;
  size: number;
}

type CheckpointRows = Pick<LogAuditReader, 'checkpointFrom'>;

interface Progress {
  frontier: Frontier;
  checkpoints: number;
  /** Entries under the newest checkpoint that agreed. */
  signed?: number;
}

/** Goes along with the entries and compares the root wherever a checkpoint was signed. */
export class StoredCheckpoints {
  readonly #log: CheckpointRows;
  readonly #chain: KeyChain;
  #number = 0;
  #next: StoredCheckpoint | null;
  #agreed = 0;
  readonly #kept: Kept | null;
  #sawKept = false;
  /** Of the newest that agreed, by size. */
  readonly #roots = new Map<number, Buffer>();

  /** @param from the number of the first checkpoint that is looked at; the caller knows that the tree begins with it */
  constructor(log: CheckpointRows, chain: KeyChain, kept: Kept | null, from = { number: 0, size: 0 }) {
    this.#number = from.number;
    this.#agreed = from.size;
    this.#log = log;
    this.#chain = chain;
    this.#kept = kept;
    this.#next = this.#read();
  }

  /** After the snapshot was renewed: there may be one more. @throws Finding */
  lookAgain(): void {
    this.#next ??= this.#read();
  }

  /** Where the next root is to be compared; infinite when there is none. */
  nextSize(): number {
    return this.#next?.size ?? Number.POSITIVE_INFINITY;
  }

  /** @throws Finding */
  compare(progress: Progress): void {
    while (this.#next !== null && this.#next.size <= progress.frontier.size) {
      const { size, root } = this.#opened(this.#next);
      if (size !== progress.frontier.size) this.#outOfPlace();
      if (!root.equals(progress.frontier.root())) {
        if (size === this.#agreed && this.#number > 0) {
          throw new Finding(
            'LOG_FORKED',
            null,
            `stored checkpoint ${this.#number} has another root of ${size} entries`,
          );
        }
        // Entries and leaves were changed together: the damage lies between two checkpoints.
        const only = size === this.#agreed + 1 ? this.#agreed : null;
        const where = `entries ${this.#agreed} to ${size - 1} are not the ones that were signed`;
        throw new Finding('LOG_ENTRY_CHANGED', only, where);
      }
      this.#agreed = size;
      this.#remember(size, root);
      progress.checkpoints = ++this.#number;
      progress.signed = size;
      this.#next = this.#read();
    }
  }

  /** The tree's root at a size that a checkpoint was signed for; null for other sizes, and long ago. */
  rootAt(size: number): Buffer | null {
    return this.#roots.get(size) ?? null;
  }

  #remember(size: number, root: Buffer): void {
    this.#roots.set(size, root);
    if (this.#roots.size <= MAX_ROOTS) return;
    const [oldest] = this.#roots.keys();
    if (oldest !== undefined) this.#roots.delete(oldest);
  }

  /** @throws Finding */
  finish(progress: Progress): void {
    if (this.#next !== null) {
      const { size } = this.#opened(this.#next);
      throw new Finding('LOG_TRUNCATED', progress.frontier.size, `a checkpoint has ${size} entries`);
    }
    if (this.#number === 0 && progress.frontier.size > 0) {
      throw new Finding('LOG_CHECKPOINT_MISSING', null, 'the log holds no checkpoint');
    }
    if (this.#kept === null || this.#sawKept) return;
    const { size, root } = opened(this.#kept.note, this.#chain, this.#kept.size, 'the checkpoint file');
    if (this.rootAt(size)?.equals(root) === false) {
      throw new Finding('LOG_FORKED', null, `the checkpoint file has another root of ${size} entries`);
    }
    // The note is stored in the log before the file: a log that lacks it is an older copy, or was cut.
    const isCut = size > progress.frontier.size;
    const detail = `the log lacks the checkpoint of the file, ${size} entries`;
    throw new Finding(isCut ? 'LOG_TRUNCATED' : 'LOG_CHECKPOINT_WRONG', isCut ? progress.frontier.size : null, detail);
  }

  #read(): StoredCheckpoint | null {
    const row = this.#log.checkpointFrom(this.#number);
    if (row === null) return null;
    if (row.note === this.#kept?.note) this.#sawKept = true;
    if (row.number !== this.#number || row.size < this.#agreed) this.#outOfPlace();
    return row;
  }

  #opened(row: StoredCheckpoint): Checkpoint {
    const checkpoint = opened(row.note, this.#chain, row.size, `stored checkpoint ${row.number}`);
    if (checkpoint.size !== row.size) this.#outOfPlace();
    return checkpoint;
  }

  #outOfPlace(): never {
    throw new Finding('LOG_CHECKPOINT_WRONG', null, `stored checkpoint ${this.#number} is out of place`);
  }
}

function opened(note: string, chain: KeyChain, size: number, where: string): Checkpoint {
  try {
    return openCheckpoint(note, chain.at(size));
  } catch (error) {
    throw new Finding('LOG_CHECKPOINT_WRONG', null, `${where}: ${isAccordError(error) ? error.code : ''}`);
  }
}

/** The checkpoint kept apart, not verified yet; null when none was named, or none is there for an empty log. */
export function keptCheckpoint(file: string | undefined, entries: number): Kept | null {
  if (file === undefined) return null;
  const note = readCheckpointFile(file)?.toString('utf8');
  if (note === undefined) {
    if (entries > 0) throw new Finding('LOG_CHECKPOINT_MISSING', null, file);
    return null;
  }
  try {
    return { note, size: parseCheckpointText(parseNote(note).text).size };
  } catch (error) {
    throw new Finding('LOG_CHECKPOINT_WRONG', null, `the checkpoint file: ${isAccordError(error) ? error.code : ''}`);
  }
}
