// Entries `archived`, as the audit of a log judges them: the manifest is about this log, goes on where the one before ended,
// and names the root and the signed checkpoint that the log itself has at that size. What lies in the archive is not looked
// at here (`accord archive verify` does). Whoever held the disk controls the notes, and what the log lacks.
import { sha256 } from '#certs/commitment.ts';
import { Finding } from '#core/log/audit-finding.ts';
import type { KeyChain, NotesById } from '#core/log/key-chain.ts';
import { openCheckpoint } from '#core/log/signed-note.ts';
import type { LogReader } from '#core/log/store.ts';
import { type ArchiveManifest, parseManifest } from '#schemas/archive.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';

/** The `id` of such entries: they belong to no exchange. */
export const ARCHIVED_ID = 'archived';

export class ArchivedEntries {
  readonly #origin: string;
  readonly #chain: KeyChain;
  readonly #rootAt: (size: number) => Buffer | null;
  /** Null where the audit began later. */
  #before: { to: number; hash: string | null } | null = { to: 0, hash: null };

  /** @param rootAt the log's root at a size up to the entry that is judged */
  constructor(origin: string, chain: KeyChain, rootAt: (size: number) => Buffer | null) {
    this.#origin = origin;
    this.#chain = chain;
    this.#rootAt = rootAt;
  }

  /** In the log's order. @throws Finding */
  judge({ seq }: LogEntry, note: Buffer): void {
    const fault = this.#fault(seq, note);
    if (fault !== null) throw new Finding('LOG_EVIDENCE_CHANGED', seq, `its manifest: ${fault}`);
  }

  /** The audit begins behind the log's first entry: nothing is said of what stands before the first manifest it meets. */
  beginLater(): void {
    this.#before = null;
  }

  #fault(seq: number, note: Buffer): string | null {
    try {
      const manifest = parseManifest(note);
      const { origin, from, to, root, checkpoint, previous } = manifest;
      if (origin !== this.#origin) return 'of another log';
      const before = this.#before;
      if (before !== null && (from !== before.to || previous !== before.hash)) {
        return 'it does not go on where the one before ended';
      }
      if (to > seq) return 'it names entries that were not there yet';
      const signed = openCheckpoint(checkpoint, this.#chain.at(to));
      if (signed.size !== to || signed.root.toString('base64url') !== root) return 'its checkpoint is of another size';
      if (this.#rootAt(to)?.equals(signed.root) !== true) return 'another root than the log has';
      this.#before = { to, hash: sha256(note) };
      return null;
    } catch (error) {
      if (isAccordError(error)) return `${error.code} ${error.detail}`.trim();
      throw error;
    }
  }
}

/** The newest entry `archived` of a log; null while there is none. @throws ARCHIVE_MALFORMED, JSON_* */
export function newestArchived(log: NotesById): {
  seq: number;
  manifest: ArchiveManifest;
  hash: string;
} | null {
  const [row] = log.linesOf(ARCHIVED_ID, 1);
  const note = row === undefined ? undefined : log.evidence(row.seq)?.statement;
  if (row === undefined || note === undefined || !row.line.includes('"kind":"archived"')) return null;
  return { seq: row.seq, manifest: parseManifest(note), hash: sha256(note) };
}

/** For whoever needs what lies beside an entry. @throws RECORD_ARCHIVED where it is in the archive and not here */
export function requireHere(
  log: Pick<LogReader, 'archivedUntil'>,
  { seq, statement }: Pick<LogEntry, 'seq' | 'statement'>,
  evidence: unknown,
): void {
  if (statement === null || evidence !== null || seq >= log.archivedUntil()) return;
  throw new AccordError('RECORD_ARCHIVED', `entry ${seq}`);
}

/** What a log lacks has to be in an archive that its own entries speak of. @throws Finding */
export function requireArchiveSaid(log: NotesById & Pick<LogReader, 'archivedUntil'>): void {
  const until = log.archivedUntil();
  if (until === 0) return;
  try {
    const said = newestArchived(log)?.manifest.to ?? 0;
    if (said < until)
      throw new Finding(
        'LOG_EVIDENCE_CHANGED',
        said,
        'its evidence is gone, and no entry says that it is in an archive',
      );
  } catch (error) {
    if (!isAccordError(error)) throw error;
    throw new Finding('LOG_EVIDENCE_CHANGED', null, `the newest manifest: ${error.code}`);
  }
}
