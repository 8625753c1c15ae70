// The entries a log makes about itself, as an audit judges them: `origin-opened`, which comes first in a log that follows
// another and cites that one's last signed checkpoint, and `key-rotated`, which goes over to the next checkpoint key.
// Whoever held the disk controls the notes they rest on.
import type { Frontier } from '#certs/merkle.ts';
import { ArchivedEntries } from '#core/archive/audit-archived.ts';
import { type HeldRecord, type RecordLookup, RetentionEntries } from '#core/retention/entries.ts';
import { AnchoredEntries, type AnchoringJudge, type JudgedAnchoring } from '#core/witness/audit-anchored.ts';
import type { AnchoredTime } from '#core/witness/time-bounds.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import { Finding } from './audit-finding.ts';
import { StatusEntries } from './audit-status.ts';
import type { KeyChain } from './key-chain.ts';
import { numberedOrigin, originNumber } from './origin.ts';
import { type Checkpoint, noteVerifier, openCheckpoint } from './signed-note.ts';
import type { LogReader } from './store.ts';

export class OwnEntries {
  readonly #chain: KeyChain;
  readonly #retention: RetentionEntries;
  /** The origin before this one; null in a server's first log. */
  readonly #previous: string | null;
  readonly #anchored: AnchoredEntries;
  readonly #archived: ArchivedEntries;
  readonly #statuses = new StatusEntries();

  /** @param rootAt the log's root at a size that was read already; null where it is not known */
  constructor(
    origin: string,
    chain: KeyChain,
    rootAt: (size: number) => Buffer | null,
    anchorings?: AnchoringJudge,
    records?: HeldRecords,
  ) {
    const { base, number } = originNumber(origin);
    this.#chain = chain;
    this.#retention = new RetentionEntries(origin, records === undefined ? null : lookupIn(records));
    this.#anchored = new AnchoredEntries(origin, chain, rootAt, anchorings);
    this.#archived = new ArchivedEntries(origin, chain, rootAt);
    this.#previous = number === 1 ? null : numberedOrigin(base, number - 1);
  }

  /** What the judged entries `anchored` say about time; none where tokens are not judged. */
  anchoredTimes(): readonly AnchoredTime[] {
    return this.#anchored.times;
  }

  /** Entries `anchored` that were judged since this was asked last. */
  anchoringsTaken(): JudgedAnchoring[] {
    return this.#anchored.taken();
  }

  /** @param before the tree without this entry. @throws Finding */
  judge(entry: LogEntry, note: Buffer | null, before: Frontier): void {
    if (entry.seq === 0 && this.#previous !== null && entry.kind !== 'origin-opened') {
      throw new Finding('LOG_ORIGIN_WRONG', 0, 'it does not begin by citing the log before it');
    }
    if (entry.kind === 'origin-opened') this.#opened(entry.seq, note ?? Buffer.alloc(0));
    if (entry.ocsp !== null) this.#statuses.named(entry.seq, entry.ocsp);
    if (entry.kind === 'certificate-status') this.#statuses.judge(entry, note ?? Buffer.alloc(0));
    if (entry.kind === 'anchored') this.#anchored.judge(entry, note ?? Buffer.alloc(0));
    if (entry.kind === 'archived') this.#archived.judge(entry, note ?? Buffer.alloc(0));
    if (entry.kind === 'key-rotated') this.#rotated(entry.seq, note ?? Buffer.alloc(0), before);
    const fault = RetentionEntries.isKind(entry.kind) ? this.#retention.follow(entry, note ?? Buffer.alloc(0)) : null;
    if (fault !== null) throw new Finding('LOG_EVIDENCE_CHANGED', entry.seq, `its note: ${fault}`);
  }

  /** Takes an entry about retention, or an OCSP answer, from before the range that is audited, for what comes later rests on it. */
  recall(entry: LogEntry, note: Buffer): void {
    if (RetentionEntries.isKind(entry.kind)) this.#retention.follow(entry, note);
    if (entry.kind === 'certificate-status') this.#statuses.judge(entry, note);
  }

  /** The audit begins behind the log's first entry. */
  beginLater(): void {
    this.#archived.beginLater();
  }

  #opened(seq: number, note: Buffer): void {
    const previous = this.#previous;
    if (seq !== 0 || previous === null) throw new Finding('LOG_ORIGIN_WRONG', seq, 'no place for a new origin');
    this.#archived.cites(noted(seq, () => openCheckpoint(note, noteVerifier(previous, this.#chain.at(0).publicKey))));
  }

  #rotated(seq: number, note: Buffer, before: Frontier): void {
    const { root } = noted(seq, () => this.#chain.follow(seq, note));
    if (!root.equals(before.root())) {
      throw new Finding('LOG_ENTRY_CHANGED', null, `the entries before ${seq} are not the ones that were signed`);
    }
  }
}

/** Where entries that holds name are found. */
export type HeldRecords = Pick<LogReader, 'linesOf' | 'lines'> & { sealed(seq: number): object | null };

const MAX_OF_EXCHANGE = 10_000;

function lookupIn(log: HeldRecords): RecordLookup {
  const recordOf = ({ seq, line, leaf }: { seq: number; line: string; leaf: Buffer }): HeldRecord => {
    return { entry: parseLogEntry(line), leaf, isSealed: log.sealed(seq) !== null };
  };
  return {
    ofExchange: (id) => log.linesOf(id, MAX_OF_EXCHANGE).map(recordOf),
    at: (seq) =>
      log
        .lines(seq, 1)
        .filter((row) => row.seq === seq)
        .map(recordOf)[0] ?? null,
  };
}

function noted(seq: number, open: () => Checkpoint): Checkpoint {
  try {
    return open();
  } catch (error) {
    if (isAccordError(error)) throw new Finding('LOG_EVIDENCE_CHANGED', seq, `its note: ${error.code}`);
    throw error;
  }
}
