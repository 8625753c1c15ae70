// Verification of a whole message log, by anyone who has its folder: contiguity, the one spelling of every entry, every
// leaf and tile hash, every stored checkpoint's signature and root, and all evidence; also while the server goes on
// writing. It believes nothing it reads: whoever held the disk controls all of it. What can be said of an entry alone is
// found in audit-entries.ts, in several threads for a long log; the tree is put together here, in order.
//
// What it cannot see: records appended after the last checkpoint that were cut off cleanly (nobody had signed for them
// yet), and what became of sealed parts, which are erasable by design and guarded by their own authenticated encryption.

import { availableParallelism } from 'node:os';
import { Frontier, HASH_BYTES, TILE_HEIGHT, TILE_WIDTH, tileHash } from '#certs/merkle.ts';
import { isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { type SignerKeys, signerAmong } from './audit-batches.ts';
import { keptCheckpoint, StoredCheckpoints } from './audit-checkpoints.ts';
import { rangeVerifier, type VerifiedRange } from './audit-entries.ts';
import { Finding, findingOf } from './audit-finding.ts';
import { OwnEntries } from './audit-own-entries.ts';
import { rangesInThreads } from './audit-threads.ts';
import { KeyChain } from './key-chain.ts';
import { type NoteVerifier, parseVerifierKey } from './signed-note.ts';
import type { LogAuditReader } from './store.ts';
import { openLogAuditSqlite } from './store-sqlite.ts';

/** Entries verified at a time, from one snapshot. */
const RANGE = 8_192;
const MAX_THREADS = 8;

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
}

interface Progress {
  frontier: Frontier;
  checkpoints: number;
  lastMs: number;
  /** A tile that disagrees with the leaves; reported only when every checkpoint agrees with the leaves. */
  wrongTile: string | null;
}

/** @throws LOG_MISSING, LOG_UNREADABLE, and NOTE_MALFORMED for a malformed `verifierKey`; everything else is in the result */
export async function verifyLog(options: LogAuditOptions): Promise<LogAudit> {
  const given = options.verifierKey === undefined ? null : parseVerifierKey(options.verifierKey);
  const progress: Progress = {
    frontier: new Frontier(),
    checkpoints: 0,
    lastMs: 0,
    wrongTile: null,
  };
  let log: LogAuditReader | undefined;
  try {
    log = openLogAuditSqlite(options.folder);
    await audit(log, progress, options, given);
    const root = progress.frontier.root().toString('base64url');
    const { frontier, checkpoints } = progress;
    return { ok: true, entries: frontier.size, firstBadSeq: null, code: null, detail: '', root, checkpoints };
  } catch (error) {
    if (isAccordError(error, 'LOG_MISSING') || isAccordError(error, 'LOG_UNREADABLE')) throw error;
    const { code, seq, message } = findingOf(error);
    const { frontier, checkpoints } = progress;
    return { ok: false, entries: frontier.size, firstBadSeq: seq, code, detail: message, root: null, checkpoints };
  } finally {
    log?.close();
  }
}

async function audit(
  log: LogAuditReader,
  progress: Progress,
  options: LogAuditOptions,
  given: NoteVerifier | null,
): Promise<void> {
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
  const own = new OwnEntries(identity.origin, chain, (size) => checkpoints.rootAt(size) ?? rootOf(log, size));
  for await (const range of verifiedRanges(log, options, sizeAtFirst)) {
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
  const stray = log.straySeq();
  if (stray !== null) throw new Finding('LOG_TRUNCATED', stray, `rows beside entry ${stray}, which is not there`);
  const damaged = log.damage();
  if (damaged !== null) throw new Finding('LOG_DATABASE_DAMAGED', null, damaged);
}

/** By the stored tiles, which are compared with the leaves in turn. */
function rootOf(log: LogAuditReader, size: number): Buffer {
  return Frontier.at(size, log.subtree).root();
}

/** The entries in ranges, in order, each verified in itself: the long part side by side, what came meanwhile behind it. */
async function* verifiedRanges(
  log: LogAuditReader,
  { folder, threads, signers }: LogAuditOptions,
  size: number,
): AsyncGenerator<VerifiedRange> {
  let from = 0;
  const many = threads ?? (size < 4 * RANGE ? 0 : Math.min(availableParallelism(), MAX_THREADS));
  if (many > 0) {
    for await (const range of rangesInThreads(
      { folder, signers },
      size,
      Math.min(RANGE, TILE_WIDTH * Math.ceil(size / many / TILE_WIDTH)),
      many,
    )) {
      yield range;
      from = range.to;
    }
  }
  const verify = rangeVerifier(log, signerAmong(signers));
  for (let range = verify(from, from + RANGE); range.to > range.from || range.finding !== null; ) {
    yield range;
    range = verify(range.to, range.to + RANGE);
  }
}

/** Puts a range's entries on the tree, one by one. @throws Finding */
function follow(
  range: VerifiedRange,
  log: LogAuditReader,
  progress: Progress,
  own: OwnEntries,
  checkpoints: StoredCheckpoints,
): void {
  const { frontier } = progress;
  const compareTile = (height: number, index: number, hash: Buffer): void => {
    const stored = log.tile(height / TILE_HEIGHT, index);
    if (stored === null || !stored.equals(hash)) progress.wrongTile ??= `tile ${height / TILE_HEIGHT}/${index}`;
  };
  if (range.from !== frontier.size) throw new Finding('LOG_GAP', frontier.size, 'entries are missing');
  if (range.to > range.from && range.firstMs < progress.lastMs) {
    throw new Finding('LOG_ENTRY_CHANGED', range.from, 'time runs backwards');
  }
  const leaves = Buffer.from(range.leaves.buffer, range.leaves.byteOffset, range.leaves.length);
  const special = new Map(range.own.map((one) => [one.entry.seq, one]));
  for (let seq = range.from; seq < range.to; seq++) {
    const end = seq + TILE_WIDTH;
    const isWhole = seq % TILE_WIDTH === 0 && end <= range.to && checkpoints.nextSize() >= end;
    if (isWhole && !range.own.some(({ entry }) => entry.seq >= seq && entry.seq < end)) {
      const at = (seq - range.from) * HASH_BYTES;
      frontier.pushTile(tileHash(leaves.subarray(at, at + TILE_WIDTH * HASH_BYTES)), compareTile);
      seq = end - 1;
      checkpoints.compare(progress);
      continue;
    }
    const one = special.get(seq);
    if (one !== undefined) own.judge(one.entry, one.note === null ? null : Buffer.from(one.note), frontier);
    const at = (seq - range.from) * HASH_BYTES;
    frontier.push(leaves.subarray(at, at + HASH_BYTES), compareTile);
    checkpoints.compare(progress);
  }
  if (range.to > range.from) progress.lastMs = range.lastMs;
  if (range.finding === null) return;
  const { code, seq, detail } = range.finding;
  throw new Finding(code, seq, detail);
}
