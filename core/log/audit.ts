// Verification of a whole message log, by anyone who has its folder: contiguity, the one spelling of every entry, every
// leaf and tile hash, every stored checkpoint's signature and root, and all evidence. It reads one consistent snapshot,
// also while the server goes on writing, and believes nothing it reads: whoever held the disk controls all of it.
//
// What it cannot see: records appended after the last checkpoint that were cut off cleanly (nobody had signed for them
// yet), and what became of sealed parts, which are erasable by design and guarded by their own authenticated encryption.

import { Frontier, leafHash, TILE_HEIGHT } from '#certs/merkle.ts';
import { parseLogEntry } from '#schemas/log-entry.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { keptCheckpoint, StoredCheckpoints } from './audit-checkpoints.ts';
import { Batches, evidenceFault } from './audit-evidence.ts';
import { Finding } from './audit-finding.ts';
import { OwnEntries } from './audit-own-entries.ts';
import { KeyChain } from './key-chain.ts';
import { type RecordEvidence, viewEvidence } from './record.ts';
import { type NoteVerifier, parseVerifierKey } from './signed-note.ts';
import type { LogAuditReader, StoredRow } from './store.ts';
import { openLogAuditSqlite } from './store-sqlite.ts';

const PAGE = 512;
/** Entries read from one snapshot: about a second's. */
const RENEWED_ENTRIES = 32 * PAGE;
/** Statements of the entries just read, by exchange: an answer mostly stands close behind its request. */
const MAX_RECENT_EXCHANGES = 8_192;

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
  /** Signer, registration and revocation of one record: null, or the code of what is wrong. */
  verifyStatement?: (evidence: RecordEvidence, seq: number) => Promise<ProblemCode | null>;
}

interface Progress {
  frontier: Frontier;
  checkpoints: number;
  lastMs: number;
  /** A tile that disagrees with the leaves; reported only when every checkpoint agrees with the leaves. */
  wrongTile: string | null;
  recent: Map<string, string[]>;
}

/** @throws LOG_MISSING, LOG_UNREADABLE, and NOTE_MALFORMED for a malformed `verifierKey`; everything else is in the result */
export async function verifyLog(options: LogAuditOptions): Promise<LogAudit> {
  const given = options.verifierKey === undefined ? null : parseVerifierKey(options.verifierKey);
  const progress: Progress = {
    frontier: new Frontier(),
    checkpoints: 0,
    lastMs: 0,
    wrongTile: null,
    recent: new Map(),
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
    const found = error instanceof Finding ? error : damage(error);
    const { code, seq, message } = found;
    const { frontier, checkpoints } = progress;
    return { ok: false, entries: frontier.size, firstBadSeq: seq, code, detail: message, root: null, checkpoints };
  } finally {
    log?.close();
  }
}

/** The database itself could not be read. */
function damage(error: unknown): Finding {
  if (error instanceof AccordError) return new Finding(error.code, null, error.detail);
  if (error instanceof TypeError || error instanceof RangeError) throw error;
  return new Finding('LOG_DATABASE_DAMAGED', null, error instanceof Error ? error.message : '');
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
  const verifyEntry = entryVerifier(log, progress, new OwnEntries(identity.origin, chain));
  for (let page = log.rows(0, PAGE); page.length > 0; page = log.rows(progress.frontier.size, PAGE)) {
    // Never behind the size of the beginning, or a busy server would keep an audit running for ever.
    const isLong = progress.frontier.size % RENEWED_ENTRIES < PAGE && progress.frontier.size < sizeAtFirst;
    if (isLong) {
      log.renew();
      checkpoints.lookAgain();
    }
    for (const row of page) {
      verifyEntry(row);
      if (options.verifyStatement !== undefined) await verifySigner(log, row.seq, options.verifyStatement);
      checkpoints.compare(progress);
    }
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

function entryVerifier(log: LogAuditReader, progress: Progress, own: OwnEntries): (row: StoredRow) => void {
  const { frontier, recent } = progress;
  const batches = new Batches(log.jws);
  const statementsOf = (id: string) => log.linesOf(id, PAGE).map((row) => parsed(row.line, row.seq).statement ?? '');
  const answersTo = (id: string, hash: string) => recent.get(id)?.includes(hash) || statementsOf(id).includes(hash);
  const compareTile = (height: number, index: number, hash: Buffer): void => {
    const stored = log.tile(height / TILE_HEIGHT, index);
    if (stored === null || !stored.equals(hash)) progress.wrongTile ??= `tile ${height / TILE_HEIGHT}/${index}`;
  };
  return ({ seq, line, leaf, exchangeId, evidence }) => {
    const expected = frontier.size;
    if (seq !== expected) throw new Finding('LOG_GAP', expected, `after ${expected - 1} comes ${seq}`);
    if (!leafHash(line).equals(leaf)) throw new Finding('LOG_ENTRY_CHANGED', seq, 'the line does not hash to its leaf');
    const entry = parsed(line, seq);
    if (entry.seq !== seq || entry.id !== exchangeId) throw new Finding('LOG_ENTRY_CHANGED', seq, 'another seq or id');
    if (entry.t < progress.lastMs) throw new Finding('LOG_ENTRY_CHANGED', seq, 'time runs backwards');
    const fault = evidenceFault(entry, evidence, answersTo, batches);
    if (fault !== null) throw new Finding('LOG_EVIDENCE_CHANGED', seq, fault);
    own.judge(entry, evidence?.statement ?? null, frontier);
    progress.lastMs = entry.t;
    if (entry.statement !== null) remember(recent, entry.id, entry.statement);
    frontier.push(leaf, compareTile);
  };
}

function remember(recent: Map<string, string[]>, id: string, statement: string): void {
  const known = recent.get(id);
  if (known !== undefined && known.length < PAGE) known.push(statement);
  if (known !== undefined) return;
  if (recent.size >= MAX_RECENT_EXCHANGES) recent.clear();
  recent.set(id, [statement]);
}

function parsed(line: string, seq: number) {
  try {
    return parseLogEntry(line);
  } catch (error) {
    throw new Finding('LOG_ENTRY_MALFORMED', seq, isAccordError(error) ? error.detail : '');
  }
}

async function verifySigner(
  log: LogAuditReader,
  seq: number,
  verifyStatement: NonNullable<LogAuditOptions['verifyStatement']>,
): Promise<void> {
  const evidence = viewEvidence(log.evidence(seq));
  const code = evidence === null ? null : await verifyStatement(evidence, seq);
  if (code !== null) throw new Finding(code, seq, 'the signature of the statement');
}
