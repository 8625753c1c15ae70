// What an audit of a range reads (audit-range.ts): a log's store at hand, or an archive of one, which has to be asked for
// beforehand because it lies elsewhere. Reading itself is the same, so that both are judged by the same code. Whoever held
// the disk, or the archive, controls all of it.
import type { Frontier } from '#certs/merkle.ts';
import type { ArchivedEntry } from '#core/archive/audit-archived.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import type { KeyChain, NotesById } from './key-chain.ts';
import type { LogAuditReader, StoredCheckpoint } from './store.ts';

/** What is asked for before it is read; a log at hand needs none of it. */
export interface Ahead {
  /** Makes the entries [from, to), the one behind them, and what their answers are about, readable. @throws ARCHIVE_UNREACHABLE */
  entries(from: number, to: number): Promise<void>;
  /**
   * Likewise what entries of the log about itself rest on: earlier entries, before `start`, and roots at earlier sizes, if
   * they are not known yet.
   */
  own?(
    entries: readonly { entry: LogEntry; note: Uint8Array | null }[],
    start: number,
    isKnown: (size: number) => boolean,
  ): Promise<void>;
  /** The checkpoint with this number; null where there is none. */
  checkpoint?(number: number): Promise<StoredCheckpoint | null>;
  /** The first of the largest size at or below `size`; null when there is none. */
  checkpointBefore?(size: number): Promise<StoredCheckpoint | null>;
  /** The tree of the first entries, by what is stored of it. */
  frontier?(size: number): Promise<Frontier>;
  /** The keys that signed checkpoints up to a size. */
  chain?(size: number): Promise<KeyChain>;
}

export interface RangeSource
  extends NotesById,
    Pick<
      LogAuditReader,
      | 'identity'
      | 'size'
      | 'page'
      | 'signature'
      | 'members'
      | 'subtree'
      | 'tile'
      | 'checkpointFrom'
      | 'lastCheckpoint'
      | 'archivedUntil'
      | 'straySeq'
      | 'damage'
      | 'lines'
      | 'notes'
    > {
  /** Null where nothing was ever sealed beside the entry. */
  sealed(seq: number): object | null;
  /** Absent where claims are not kept. */
  claimed?: LogAuditReader['claimed'];
  ahead?: Ahead;
  /** The root at an earlier size, where it is known otherwise than by the tree. */
  rootAt?(size: number): Buffer | null;
  /** Of a closed log: what those that follow it say of its archive. */
  saidLater?(): ArchivedEntry | null;
}
