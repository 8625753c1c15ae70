// Verification of a whole message log, by anyone who has its folder: contiguity, the one spelling of every entry, every
// leaf and tile hash, every stored checkpoint's signature and root, and all evidence; also while the server goes on
// writing. It believes nothing it reads: whoever held the disk controls all of it. What can be said of an entry alone is
// found in audit-entries.ts, in several threads for a long log; the tree is put together here, in order.
//
// What it cannot see: records appended after the last checkpoint that were cut off cleanly (nobody had signed for them
// yet), and what became of sealed parts, which are erasable by design and guarded by their own authenticated encryption.

import { Frontier } from '#certs/merkle.ts';
import { requireArchiveSaid } from '#core/archive/audit-archived.ts';
import { archivedLater } from '#core/archive/closed-log.ts';
import type { AnchoringRules } from '#core/witness/verify-anchoring.ts';
import { isAccordError, type ProblemCode } from '#schemas/problems.ts';
import type { SignerKeys } from './audit-batches.ts';
import { keptCheckpoint, StoredCheckpoints } from './audit-checkpoints.ts';
import { Finding, findingOf } from './audit-finding.ts';
import { OwnEntries } from './audit-own-entries.ts';
import { type Followed, follow, rootOf, verifiedRanges } from './audit-walk.ts';
import { KeyChain } from './key-chain.ts';
import { type NoteVerifier, parseVerifierKey } from './signed-note.ts';
import type { LogAuditReader } from './store.ts';
import { openLogAuditSqlite } from './store-sqlite.ts';

export interface LogAudit {
  ok: boolean;
  /** Entries that were read. */
  entries: number;
  /** The first entry that is not what it was, when the damage can be pinned to one; from 0. */
  firstBadSeq: number | null;
  code: ProblemCode | null;
  detail: string;
  /** Root over all entries when everything is in order, base64url. */
  root: string | null;
  /** Stored checkpoints that were verified. */
  checkpoints: number;
  /** Entries under the newest of them. What stands behind nobody has signed for yet: anyone who held the disk can have put it there. */
  signed: number;
  /** So many entries from the beginning have a good time-stamp above them; only where time-stamps were judged. */
  stampedEntries?: number;
  /** Of the entries before this one the evidence lies in the archive, and was not looked at. */
  archivedUntil: number;
}

export interface LogAuditOptions {
  folder: string;
  /** The last signed checkpoint kept apart; without it a log cut off at an older checkpoint looks whole. */
  checkpointFile?: string;
  /** C2SP verifier key; without it the key the log names for itself, which proves consistency, not authorship. */
  verifierKey?: string;
  /** Threads that read and verify entries beside this one; by default one for each processor when the log is long. */
  threads?: number;
  /** Those who may have signed: then every signature is verified, and must be by one of them. */
  signers?: SignerKeys;
  /** Throws a coded error for a time-stamp that is not good for this imprint; without it they are not judged. */
  verifyToken?: AnchoringRules['verifyToken'];
}

/** @throws LOG_MISSING, LOG_UNREADABLE, and NOTE_MALFORMED for a malformed `verifierKey`; everything else is in the result */
export async function verifyLog(options: LogAuditOptions): Promise<LogAudit> {
  const given = options.verifierKey === undefined ? null : parseVerifierKey(options.verifierKey);
  const progress: Followed = {
    frontier: new Frontier(),
    checkpoints: 0,
    lastMs: 0,
    wrongTile: null,
  };
  let log: LogAuditReader | undefined;
  try {
    log = openLogAuditSqlite(options.folder);
    const stampedEntries = await audit(log, progress, options, given);
    const stamped = options.verifyToken ? { stampedEntries } : {};
    const root = progress.frontier.root().toString('base64url');
    const { frontier, checkpoints, signed = 0 } = progress;
    return {
      ok: true,
      entries: frontier.size,
      firstBadSeq: null,
      code: null,
      detail: '',
      root,
      checkpoints,
      signed,
      archivedUntil: log.archivedUntil(),
      ...stamped,
    };
  } catch (error) {
    if (isAccordError(error, 'LOG_MISSING') || isAccordError(error, 'LOG_UNREADABLE')) throw error;
    const { code, seq, message } = findingOf(error);
    const { frontier, checkpoints, signed = 0 } = progress;
    return {
      ok: false,
      entries: frontier.size,
      firstBadSeq: seq,
      code,
      detail: message,
      root: null,
      checkpoints,
      signed,
      archivedUntil: 0,
    };
  } finally {
    log?.close();
  }
}

/** @returns so many entries from the beginning have an upper bound in time. @throws Finding */
async function audit(
  log: LogAuditReader,
  progress: Followed,
  options: LogAuditOptions,
  given: NoteVerifier | null,
): Promise<number> {
  const identity = log.identity();
  if (identity === null) throw new Finding('LOG_DATABASE_DAMAGED', null, 'the log has no origin');
  const first = parseVerifierKey(identity.verifierKey);
  const isOther = first.name !== identity.origin || (given !== null && given.name !== identity.origin);
  if (isOther) throw new Finding('LOG_ORIGIN_WRONG', null, identity.origin);
  const chain = new KeyChain(first);
  const kept = keptCheckpoint(options.checkpointFile, log.size());
  const sizeAtFirst = log.size();
  const checkpoints = new StoredCheckpoints(log, chain, kept);
  checkpoints.compare(progress);
  const rootAt = (size: number) => checkpoints.rootAt(size) ?? rootOf(log, size);
  const anchorings = { verifyToken: options.verifyToken ?? null, inForce: null };
  const own = new OwnEntries(identity.origin, chain, rootAt, anchorings, log);
  for await (const range of verifiedRanges(log, options, { from: 0, to: sizeAtFirst, isOpen: true })) {
    // Never behind the size of the beginning, or a busy server would keep an audit running for ever.
    if (range.from > 0 && range.from < sizeAtFirst) {
      log.renew();
      checkpoints.lookAgain();
    }
    follow(range, log, progress, own, checkpoints);
  }
  checkpoints.finish(progress);
  // Every key of the chain vouches for the next and was held by whoever went over to it: knowing one of them is enough.
  if (given !== null && !chain.names(given)) throw new Finding('LOG_CHECKPOINT_WRONG', null, 'signed by another key');
  if (progress.wrongTile !== null) throw new Finding('LOG_TILE_WRONG', null, progress.wrongTile);
  requireArchiveSaid(log, () => archivedLater(options.folder));
  const stray = log.straySeq();
  if (stray !== null) throw new Finding('LOG_TRUNCATED', stray, `rows beside entry ${stray}, which is not there`);
  const damaged = log.damage();
  if (damaged !== null) throw new Finding('LOG_DATABASE_DAMAGED', null, damaged);
  return own.anchoredTimes().at(-1)?.size ?? 0;
}
