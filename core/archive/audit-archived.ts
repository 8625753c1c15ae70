// Entries `archived`, as the audit of a log judges them: the manifest is about this log, goes on where the one before ended,
// and names the root and the signed checkpoint that the log itself has at that size. What lies in the archive is not looked
// at here (`accord archive verify` does). Whoever held the disk controls the notes, and what the log lacks.
import { sha256 } from '#certs/commitment.ts';
import { Frontier } from '#certs/merkle.ts';
import { Finding } from '#core/log/audit-finding.ts';
import type { KeyChain, NotesById } from '#core/log/key-chain.ts';
import { originNumber } from '#core/log/origin.ts';
import { type Checkpoint, openCheckpoint, parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import type { LogReader } from '#core/log/store.ts';
import { type ArchiveManifest, parseManifest } from '#schemas/archive.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';

/** The `id` of such entries: they belong to no exchange. */
export const ARCHIVED_ID = 'archived';

/** The `id` of those in a later log of the server, which are about its closed log of this number. */
export function archivedIdOf(number: number): string {
  return `${ARCHIVED_ID}:${number}`;
}

export class ArchivedEntries {
  readonly #origin: string;
  readonly #chain: KeyChain;
  readonly #rootAt: (size: number) => Buffer | null;
  /** Null where the audit began later. */
  #before: { to: number; hash: string | null } | null = { to: 0, hash: null };
  /** Of closed logs, by origin. */
  readonly #closed = new Map<string, { to: number; hash: string }>();
  #cited: Checkpoint | null = null;

  /** @param rootAt the log's root at a size up to the entry that is judged */
  constructor(origin: string, chain: KeyChain, rootAt: (size: number) => Buffer | null) {
    this.#origin = origin;
    this.#chain = chain;
    this.#rootAt = rootAt;
  }

  /** In the log's order. @throws Finding */
  judge({ seq, id }: LogEntry, note: Buffer): void {
    const fault = id === ARCHIVED_ID ? this.#fault(seq, note) : this.#faultOfClosed(id, note);
    if (fault !== null) throw new Finding('LOG_EVIDENCE_CHANGED', seq, `its manifest: ${fault}`);
  }

  /** The audit begins behind the log's first entry: nothing is said of what stands before the first manifest it meets. */
  beginLater(): void {
    this.#before = null;
  }

  /** The last checkpoint of the log before this one. */
  cites(checkpoint: Checkpoint): void {
    this.#cited = checkpoint;
  }

  /** Who signed its checkpoint only the closed log knows, whose keys may have changed: its own audit says that. */
  #faultOfClosed(id: string, note: Buffer): string | null {
    return coded(() => {
      const manifest = parseManifest(note);
      const { origin, from, to, root, previous } = manifest;
      const [own, other] = [originNumber(this.#origin), originNumber(origin)];
      if (other.base !== own.base || other.number >= own.number || id !== archivedIdOf(other.number)) {
        return 'of another log';
      }
      const before = this.#closed.get(origin);
      const follows = before === undefined ? (from === 0) === (previous === null) : previous === before.hash;
      if (!follows || (before !== undefined && from !== before.to))
        return 'it does not go on where the one before ended';
      const checkpoint = parseCheckpointText(parseNote(manifest.checkpoint).text);
      if (checkpoint.origin !== origin || checkpoint.size !== to || checkpoint.root.toString('base64url') !== root) {
        return 'its checkpoint is another';
      }
      const cited = this.#cited?.origin === origin ? this.#cited : null;
      if (cited !== null && (to > cited.size || (to === cited.size && !checkpoint.root.equals(cited.root)))) {
        return 'another end than the log begins by citing';
      }
      this.#closed.set(origin, { to, hash: sha256(note) });
      return null;
    });
  }

  #fault(seq: number, note: Buffer): string | null {
    return coded(() => {
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
    });
  }
}

function coded(judge: () => string | null): string | null {
  try {
    return judge();
  } catch (error) {
    if (isAccordError(error)) return `${error.code} ${error.detail}`.trim();
    throw error;
  }
}

export interface ArchivedEntry {
  /** Of the entry. */
  seq: number;
  note: Buffer;
  manifest: ArchiveManifest;
  hash: string;
}

/**
 * The newest entry `archived` of a log; null while there is none.
 * @param id with `archivedIdOf`, of what it says of a closed log
 * @throws ARCHIVE_MALFORMED, JSON_*
 */
export function newestArchived(log: NotesById, id: string = ARCHIVED_ID): ArchivedEntry | null {
  const [row] = log.linesOf(id, 1);
  const note = row === undefined ? undefined : log.evidence(row.seq)?.statement;
  if (row === undefined || note === undefined || !row.line.includes('"kind":"archived"')) return null;
  return { seq: row.seq, note, manifest: parseManifest(note), hash: sha256(note) };
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

type LackingLog = NotesById & Pick<LogReader, 'archivedUntil' | 'subtree'> & { saidLater?: () => ArchivedEntry | null };

/**
 * What a log lacks has to be in an archive that its own entries speak of, or those of a log that follows it.
 * @param later what such a log says, where it is not the log's own to tell
 * @throws Finding
 */
export function requireArchiveSaid(log: LackingLog, later?: () => ArchivedEntry | null): void {
  const until = log.archivedUntil();
  if (until === 0) return;
  try {
    const own = newestArchived(log)?.manifest.to ?? 0;
    if (own >= until) return;
    const manifest = (later ?? log.saidLater)?.()?.manifest;
    if (manifest === undefined || manifest.to < until) {
      const missing =
        'its evidence is gone, and no entry says that it is in an archive. Of a closed log (log-N) the log that follows says it: ' +
        'if this is a copy of one alone, lay the folder of that log (log) beside it and audit again';
      throw new Finding('LOG_EVIDENCE_CHANGED', Math.max(own, manifest?.to ?? 0), missing);
    }
    if (Frontier.at(manifest.to, log.subtree).root().toString('base64url') !== manifest.root) {
      throw new Finding('LOG_EVIDENCE_CHANGED', own, 'what is in the archive has another root');
    }
  } catch (error) {
    if (!isAccordError(error)) throw error;
    throw new Finding('LOG_EVIDENCE_CHANGED', null, `the newest manifest: ${error.code}`);
  }
}
