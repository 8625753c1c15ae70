// Verifies a whole archive as it lies at its destination: the chain of its manifests, the bytes of every file, and every entry
// as an audit of the log would (verify-segments.ts). Beside the log itself it is one whole: the archive ends at a root that
// the log has, so that what the log verifies from there on and what is verified here are the same history.
import type { ArchiveKey } from '#certs/archive-cipher.ts';
import { Frontier } from '#certs/merkle.ts';
import type { SignerKeys } from '#core/log/audit-batches.ts';
import { type Finding, findingOf } from '#core/log/audit-finding.ts';
import { parseVerifierKey } from '#core/log/signed-note.ts';
import type { LogAuditReader } from '#core/log/store.ts';
import { messageIdTimeMs } from '#core/message-id.ts';
import { parseLogEntry } from '#schemas/log-entry.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import type { ArchiveChain } from './chain.ts';
import type { ArchiveDestination } from './destination.ts';
import { readSegment, type Segment } from './read-segment.ts';
import { SegmentRows } from './segment-rows.ts';
import { ArchiveWalk } from './verify-segments.ts';

/** An answer may come long behind its request; clocks differ. */
const AROUND_MS = 600_000;
const MAX_LINES = 1_000;

export interface ArchiveReport {
  ok: boolean;
  code: ProblemCode | null;
  /** The first entry that is not what it was, when the damage can be pinned to one. */
  firstBadSeq: number | null;
  detail: string;
  origin: string;
  segments: number;
  /** Entries that were verified, and root over them. */
  entries: number;
  root: string | null;
  checkpoints: number;
  /** Whether the log at hand has the same root there; null without one. */
  sameAsLog: boolean | null;
}

export interface ArchiveVerification {
  destination: ArchiveDestination;
  key: ArchiveKey;
  chain: ArchiveChain;
  /** The server's own log, which knows its archive by its own entries. */
  log: LogAuditReader | null;
  /** C2SP verifier key of the log, where it is known from elsewhere. */
  verifierKey?: string;
  signers?: SignerKeys;
}

/** @throws ARCHIVE_KEY_WRONG, ARCHIVE_UNREACHABLE, NOTE_MALFORMED for a malformed `verifierKey`; everything else is in the report */
export async function verifyArchive(options: ArchiveVerification): Promise<ArchiveReport> {
  const { chain, verifierKey, log } = options;
  const given = verifierKey === undefined ? null : parseVerifierKey(verifierKey);
  const elsewhere = new Earlier(options);
  const first = chain.segments[0]?.manifest.verifierKey ?? '';
  const walk = new ArchiveWalk({
    ...{ origin: chain.origin, verifierKey: first, elsewhere: (id) => elsewhere.lines(id) },
    ...(options.signers === undefined ? {} : { signers: options.signers }),
  });
  const report = (finding: Finding | null, sameAsLog: boolean | null): ArchiveReport => ({
    ...{ ok: finding === null, code: finding?.code ?? null, firstBadSeq: finding?.seq ?? null },
    ...{ detail: finding?.message ?? '', origin: chain.origin, segments: chain.segments.length },
    ...{ entries: walk.frontier.size, root: finding === null ? walk.frontier.root().toString('base64url') : null },
    ...{ checkpoints: walk.checkpoints, sameAsLog },
  });
  try {
    for (const [number, { manifest }] of chain.segments.entries()) {
      const segment = await readSegment(options.destination, options.key, manifest);
      await elsewhere.prepare(segment, number);
      await walk.take(segment);
    }
    if (given !== null && !walk.names(given)) throw new AccordError('LOG_CHECKPOINT_WRONG', 'signed by another key');
    if (log === null) return report(null, null);
    const here = log.size() < walk.frontier.size ? null : Frontier.at(walk.frontier.size, log.subtree).root();
    if (log.identity()?.origin !== chain.origin || here?.equals(walk.frontier.root()) !== true) {
      throw new AccordError('ARCHIVE_DAMAGED', 'the log has another root where the archive ends');
    }
    return report(null, true);
  } catch (error) {
    if (isAccordError(error, 'ARCHIVE_KEY_WRONG') || isAccordError(error, 'ARCHIVE_UNREACHABLE')) throw error;
    return report(findingOf(error), log === null ? null : false);
  }
}

type Line = { seq: number; line: string; leaf: Buffer };

/**
 * Requests that stand in segments long before the one with their answer: sought before it is verified, by the time that an id
 * says, else from the newest segment back. They are few: an answer mostly comes within a minute.
 */
class Earlier {
  readonly #options: ArchiveVerification;
  #found = new Map<string, Line[]>();
  #before: Set<string> = new Set();

  constructor(options: ArchiveVerification) {
    this.#options = options;
  }

  lines(id: string): Line[] {
    return [...(this.#found.get(id) ?? []), ...(this.#options.log?.linesOf(id, MAX_LINES) ?? [])];
  }

  /** @throws ARCHIVE_* */
  async prepare({ rows }: Segment, number: number): Promise<void> {
    this.#found = new Map();
    const [here, wanted] = [new Set<string>(), new Set<string>()];
    for (const { line } of rows) {
      const { id, kind } = entryOf(line);
      if (kind.startsWith('request-')) here.add(id);
      else if (kind.startsWith('response-') && !here.has(id) && !this.#before.has(id)) wanted.add(id);
    }
    this.#before = here;
    if (wanted.size > 0 && this.#options.log === null) await this.#seek(wanted, number);
  }

  async #seek(wanted: Set<string>, number: number): Promise<void> {
    const { chain, destination, key } = this.#options;
    const times = [...wanted].map(messageIdTimeMs);
    const earlier = chain.segments.slice(0, Math.max(0, number - 1)).reverse();
    const isLikely = ({ manifest: { firstMs, lastMs } }: (typeof earlier)[number]) =>
      times.some((atMs) => atMs >= firstMs - AROUND_MS && atMs <= lastMs + AROUND_MS);
    const order = [...earlier.filter(isLikely), ...earlier.filter((one) => !isLikely(one))];
    for (const { manifest } of order) {
      if (wanted.size === 0) return;
      const rows = new SegmentRows(await readSegment(destination, key, manifest), () => []);
      for (const id of wanted) {
        const lines = rows.lines(id);
        if (lines.length === 0) continue;
        this.#found.set(id, lines);
        wanted.delete(id);
      }
    }
  }
}

function entryOf(line: Buffer): { id: string; kind: string } {
  try {
    return parseLogEntry(line.toString('utf8'));
  } catch (error) {
    // The walk says what is wrong with it.
    if (isAccordError(error)) return { id: '', kind: '' };
    throw error;
  }
}
