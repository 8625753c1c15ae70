// The audit of a part of a log, or of an archive of one, that may take hours and be stopped in between: everything an audit
// of the whole log verifies (audit.ts) of the entries [from, to), and beside it missing heartbeats, checkpoints that
// others hold, and what is kept of records against what their statements commit to. It begins at the last checkpoint at or
// before `from`, whose signature says what the tree is there, and ends with the first one at or behind `to`, so that
// every entry in between is under a signature.
//
// Progress that was saved is believed only as far as the log's own signature goes: its checkpoint must still stand in the
// log, signed, with the root that the tree has there. That the entries before it were verified then is the word of the
// file: whoever can write it can make an audit skip them. Whoever held the disk controls everything else.
import { Frontier } from '#certs/merkle.ts';
import { requireArchiveSaid } from '#core/archive/audit-archived.ts';
import type { InForce } from '#core/witness/audit-anchored.ts';
import type { AnchoringRules } from '#core/witness/verify-anchoring.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { type BodyAudit, type BodyCounts, noBodies } from './audit-bodies.ts';
import { keptCheckpoint, StoredCheckpoints } from './audit-checkpoints.ts';
import { auditClaims } from './audit-claims.ts';
import type { VerifiedRange } from './audit-entries.ts';
import { FetchFailed, Finding, findingOf } from './audit-finding.ts';
import { OwnEntries } from './audit-own-entries.ts';
import { Vouched, type VouchedReport, type VouchedState } from './audit-vouched.ts';
import { type Followed, follow, rootOf, verifiedRanges, type WalkOptions } from './audit-walk.ts';
import { type Heartbeat, type HeartbeatState, Heartbeats } from './heartbeats.ts';
import { KeyChain } from './key-chain.ts';
import type { RangeSource } from './range-source.ts';
import { type Checkpoint, openCheckpoint, parseVerifierKey } from './signed-note.ts';
import { statusEntryId } from './status-answers.ts';
import type { StoredCheckpoint } from './store.ts';

const MAX_RECALLED = 100;
const NOTES_AT_ONCE = 20_000;

export interface RangeOptions extends WalkOptions {
  from?: number;
  /** Up to here, this entry not included; the end of the log when it is not given. */
  to?: number;
  verifierKey?: string;
  checkpointFile?: string;
  /** Signed checkpoints of this log that others hold: of a witness, of another department. */
  seen?: readonly string[];
  /** Throws a coded error for a time-stamp that is not good for this imprint; without it they are not judged. */
  verifyToken?: AnchoringRules['verifyToken'];
  /** Who had to vouch for an anchoring, by the version of the configuration; without it that is not judged. */
  inForce?: InForce;
  /** How long what was written then could wait for an anchoring, ms; without it as long as by default. */
  graceAt?: (atMs: number) => number;
  /** Of the auditor's clock, where the log is in use: then the claims of its latest requests are looked for. */
  nowMs?: number;
  /** Opens what is kept of each record. */
  bodies?: BodyAudit;
  progress?: RangeProgress | null;
  /** Called where a checkpoint agreed, some thousand entries apart. */
  onProgress?: (progress: RangeProgress, size: number) => void;
}

interface RangeCounts {
  entries: number;
  checkpoints: number;
  bodies: BodyCounts | null;
  heartbeats: Heartbeat[];
  /** All of them; the list is cut. */
  heartbeatsMissing: number;
}

/** How far an audit is: at a checkpoint that agreed. JSON. */
export interface RangeProgress extends RangeCounts {
  v: 1;
  origin: string;
  /** As they were asked for. */
  from: number;
  to: number | null;
  signatures: boolean;
  startedAt: number;
  checkpoint: { number: number; size: number; note: string };
  lastMs: number;
  silence: HeartbeatState;
  vouched: VouchedState;
}

export interface RangeReport extends RangeCounts, VouchedReport {
  v: 1;
  /** Nothing that was read is other than it was. */
  ok: boolean;
  code: ProblemCode | null;
  /** The first of the gaps: what is there is in order, and is less than evidence takes. */
  incomplete: ProblemCode | null;
  /** The first entry that is not what it was, when the damage can be pinned to one. */
  firstBadSeq: number | null;
  detail: string;
  origin: string;
  /** Entries of the whole log when the audit began. */
  size: number;
  /** What was verified: [startedAt, endedAt). */
  startedAt: number;
  endedAt: number;
  /** Root over the entries [0, endedAt) when everything is in order, base64url. */
  root: string | null;
  /** Every signature was verified, by keys that were handed in. */
  signatures: boolean;
  /** Of the entries before this one the evidence lies in an archive, and was not looked at. */
  archivedUntil: number;
  /** How many of the latest requests have their claim; null where that was not looked at, or claims are not kept. */
  claims: number | null;
}

/**
 * @throws AUDIT_PROGRESS_WRONG, NOTE_MALFORMED for a malformed `verifierKey`, and of an archive ARCHIVE_UNREACHABLE and
 * ARCHIVE_KEY_WRONG; everything else is in the report
 */
export async function auditRange(log: RangeSource, options: RangeOptions): Promise<RangeReport> {
  const state = new RangeState(log, options);
  try {
    await walk(log, options, state);
    return state.report(null);
  } catch (error) {
    if (error instanceof FetchFailed) throw error.cause;
    if (isAccordError(error, 'AUDIT_PROGRESS_WRONG') || isAccordError(error, 'ARCHIVE_KEY_WRONG')) throw error;
    return state.report(findingOf(error));
  }
}

class RangeState {
  readonly #options: RangeOptions;
  readonly followed: Followed = { frontier: new Frontier(), checkpoints: 0, lastMs: 0, wrongTile: null };
  readonly heartbeats: Heartbeats;
  readonly vouched: Vouched;
  readonly size: number;
  readonly #archivedUntil: number;
  origin = '';
  claims: number | null = null;
  startedAt = 0;
  endedAt = 0;
  /** Number of the checkpoint it began with, and those that were counted before. */
  base = { number: 0, counted: 0 };
  bodies: BodyCounts | null;

  constructor(log: RangeSource, options: RangeOptions) {
    const { progress } = options;
    this.#options = options;
    this.size = log.size();
    this.#archivedUntil = log.archivedUntil();
    this.vouched = new Vouched(options, progress?.vouched);
    const { silence, heartbeats, heartbeatsMissing } = progress ?? {};
    this.heartbeats = new Heartbeats(log, this.vouched.gaps, silence, heartbeats, heartbeatsMissing);
    this.bodies = options.bodies === undefined ? null : { ...noBodies(), ...progress?.bodies };
  }

  counts(): RangeCounts {
    const checkpoints = this.followed.checkpoints - this.base.number + this.base.counted;
    const { found, missing } = this.heartbeats;
    const counted = { checkpoints: Math.max(checkpoints, this.base.counted), bodies: this.bodies };
    return { entries: this.endedAt - this.startedAt, ...counted, heartbeats: found, heartbeatsMissing: missing };
  }

  /** @param checkpoint one that agreed, in this range */
  progress({ number, size, note }: StoredCheckpoint, { from: first, times }: VerifiedRange): RangeProgress {
    const { from = 0, to, signers } = this.#options;
    const { origin, startedAt, heartbeats } = this;
    const asked = { from, to: to ?? null, signatures: signers !== undefined };
    const lastMs = times[size - 1 - first] ?? 0;
    const silence = { ...heartbeats.state, newestMs: lastMs };
    const counts = structuredClone({ ...this.counts(), vouched: this.vouched.state() });
    return { v: 1, origin, ...asked, startedAt, checkpoint: { number, size, note }, lastMs, silence, ...counts };
  }

  report(finding: Finding | null): RangeReport {
    const { frontier } = this.followed;
    this.endedAt = Math.max(this.endedAt, frontier.size);
    const vouched = this.vouched.report();
    return {
      v: 1,
      ok: finding === null,
      code: finding?.code ?? null,
      incomplete: vouched.gaps[0]?.code ?? null,
      firstBadSeq: finding?.seq ?? null,
      detail: finding?.message ?? '',
      origin: this.origin,
      size: this.size,
      startedAt: this.startedAt,
      endedAt: this.endedAt,
      root: finding === null ? frontier.root().toString('base64url') : null,
      signatures: this.#options.signers !== undefined,
      archivedUntil: this.#archivedUntil,
      claims: this.claims,
      ...this.counts(),
      ...vouched,
    };
  }
}

async function walk(log: RangeSource, options: RangeOptions, state: RangeState): Promise<void> {
  const { from = 0, to, verifierKey, checkpointFile, bodies } = options;
  const identity = log.identity();
  if (identity === null) throw new Finding('LOG_DATABASE_DAMAGED', null, 'the log has no origin');
  state.origin = identity.origin;
  const given = verifierKey === undefined ? null : parseVerifierKey(verifierKey);
  const first = parseVerifierKey(identity.verifierKey);
  const isOther = first.name !== identity.origin || (given !== null && given.name !== identity.origin);
  if (isOther) throw new Finding('LOG_ORIGIN_WRONG', null, identity.origin);
  const { followed } = state;
  const start = await startOf(log, identity, options, state);
  const chainTo = async (size?: number) =>
    (await log.ahead?.chain?.(size ?? Number.POSITIVE_INFINITY)) ?? KeyChain.of(log, identity.verifierKey, size);
  const chain = start === null ? new KeyChain(first) : await chainTo(start.size);
  if (start !== null) await begin(log, chain, start, state);
  const end = await endOf(log, to, state.size);
  await log.ahead?.entries(followed.frontier.size, followed.frontier.size);
  const kept = end.isWhole ? keptCheckpoint(checkpointFile, state.size) : null;
  const checkpoints = new StoredCheckpoints(log, chain, kept, start ?? { number: 0, size: 0 });
  checkpoints.compare(followed);
  state.heartbeats.begin(start);
  const rootAt = (size: number) => checkpoints.rootAt(size) ?? log.rootAt?.(size) ?? rootOf(log, size);
  const { verifyToken = null, inForce = null } = options;
  const own = new OwnEntries(identity.origin, chain, rootAt, { verifyToken, inForce }, log);
  if (start !== null) own.beginLater();
  const recall = recaller(log, own, start?.size ?? 0);
  for await (const range of verifiedRanges(log, options, {
    from: followed.frontier.size,
    to: end.size,
    isOpen: false,
  })) {
    await log.ahead?.own?.(range.own, start?.size ?? 0, (size) => checkpoints.rootAt(size) !== null);
    for (const { entry } of range.own) recall(entry);
    follow(range, log, followed, own, checkpoints);
    state.heartbeats.follow(range);
    const agreed = followed.checkpoints === 0 ? null : log.checkpointFrom(followed.checkpoints - 1);
    const cut = agreed !== null && agreed.size > range.from ? agreed.size : range.to;
    const judged = own.anchoringsTaken();
    openBodies(bodies, range, { from: range.from, to: cut }, state);
    state.vouched.follow(range, { from: range.from, to: cut }, judged);
    state.endedAt = cut;
    if (agreed?.size === cut) options.onProgress?.(state.progress(agreed, range), state.size);
    openBodies(bodies, range, { from: cut, to: range.to }, state);
    state.vouched.follow(range, { from: cut, to: range.to }, judged);
  }
  state.heartbeats.finish();
  state.vouched.finish(followed.lastMs);
  state.endedAt = followed.frontier.size;
  if (end.isWhole) checkpoints.finish(followed);
  requireArchiveSaid(log);
  if (given !== null && !(await chainTo()).names(given)) {
    throw new Finding('LOG_CHECKPOINT_WRONG', null, 'signed by another key');
  }
  if (followed.wrongTile !== null) throw new Finding('LOG_TILE_WRONG', null, followed.wrongTile);
  await compareSeen(log, options.seen ?? [], chain, followed.frontier);
  if (!end.isWhole || from > 0) return;
  if (options.nowMs !== undefined) state.claims = auditClaims(log, state.size, options.nowMs, state.vouched.gaps);
  const stray = log.straySeq();
  if (stray !== null) throw new Finding('LOG_TRUNCATED', stray, `rows beside entry ${stray}, which is not there`);
  const damaged = log.damage();
  if (damaged !== null) throw new Finding('LOG_DATABASE_DAMAGED', null, damaged);
}

/** The checkpoint to begin with; null at the beginning of the log. @throws AUDIT_PROGRESS_WRONG */
async function startOf(
  log: RangeSource,
  { origin }: { origin: string },
  { from = 0, to, progress, signers }: RangeOptions,
  state: RangeState,
): Promise<StoredCheckpoint | null> {
  if (progress === null || progress === undefined) {
    const start = from === 0 ? null : await checkpointBefore(log, from);
    state.startedAt = start?.size ?? 0;
    state.base = { number: start?.number ?? 0, counted: 0 };
    return start;
  }
  const { checkpoint } = progress;
  const isSame = progress.origin === origin && progress.from === from && progress.to === (to ?? null);
  if (!isSame || progress.signatures !== (signers !== undefined)) {
    throw new AccordError('AUDIT_PROGRESS_WRONG', 'it is of another log, or of another audit of it');
  }
  const stored = (await log.ahead?.checkpoint?.(checkpoint.number)) ?? log.checkpointFrom(checkpoint.number);
  if (stored?.number !== checkpoint.number || stored.note !== checkpoint.note || stored.size !== checkpoint.size) {
    throw new AccordError('AUDIT_PROGRESS_WRONG', `checkpoint ${checkpoint.number} is not the one it was then`);
  }
  state.startedAt = progress.startedAt;
  // The checkpoint itself was counted, and is compared once more.
  state.base = { number: stored.number, counted: progress.checkpoints - 1 };
  state.followed.lastMs = progress.lastMs;
  return stored;
}

/** The tree up to a signed checkpoint, by what is stored of it: its root says that it is the one that was signed. */
async function begin(
  log: RangeSource,
  chain: KeyChain,
  start: StoredCheckpoint,
  { followed }: RangeState,
): Promise<void> {
  const { size, root } = opened(start.note, chain, start.size, `stored checkpoint ${start.number}`);
  const frontier = await frontierAt(log, size);
  if (size !== start.size || !frontier.root().equals(root)) {
    const detail = `the tree of the ${size} entries before is not the one that was signed; audit the whole log`;
    throw new Finding('LOG_TILE_WRONG', null, detail);
  }
  followed.frontier = frontier;
}

function opened(note: string, chain: KeyChain, size: number, where: string): Checkpoint {
  try {
    return openCheckpoint(note, chain.at(size));
  } catch (error) {
    throw new Finding('LOG_CHECKPOINT_WRONG', null, `${where}: ${isAccordError(error) ? error.code : ''}`);
  }
}

/** The first of the largest size at or below `size`; null when there is none. */
async function checkpointBefore(log: RangeSource, size: number): Promise<StoredCheckpoint | null> {
  if (log.ahead?.checkpointBefore !== undefined) return await log.ahead.checkpointBefore(size);
  let low = 0;
  let high = (log.lastCheckpoint()?.number ?? -1) + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((log.checkpointFrom(middle)?.size ?? Number.POSITIVE_INFINITY) <= size) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? null : log.checkpointFrom(low - 1);
}

/** Where the audit ends: at the first checkpoint that covers the range, or at the end of the log. */
async function endOf(
  log: RangeSource,
  to: number | undefined,
  size: number,
): Promise<{ size: number; isWhole: boolean }> {
  if (to === undefined || to >= size) return { size, isWhole: true };
  const before = await checkpointBefore(log, to);
  const covering = before?.size === to ? before : log.checkpointFrom((before?.number ?? -1) + 1);
  return covering === null ? { size, isWhole: true } : { size: Math.min(covering.size, size), isWhole: false };
}

/** What an entry of the range rests on may stand before it. That one is not judged here. */
function recaller(log: RangeSource, own: OwnEntries, start: number): (entry: LogEntry) => void {
  const recalled = new Set<string>();
  const recall = (id: string): void => {
    if (start === 0 || recalled.has(id)) return;
    recalled.add(id);
    for (const { seq, line } of log.linesOf(id, MAX_RECALLED).reverse()) {
      if (seq < start) own.recall(parseLogEntry(line), log.evidence(seq)?.statement ?? Buffer.alloc(0));
    }
  };
  // A destruction has to leave what any hold before it keeps.
  const recallAll = (): void => {
    if (start === 0 || recalled.has('')) return;
    recalled.add('');
    for (let at = 0; at < start; at += NOTES_AT_ONCE) {
      for (const { line, note } of log.notes(at, Math.min(start, at + NOTES_AT_ONCE))) {
        if (line.includes('"kind":"hold-') || line.includes('"kind":"destruction-'))
          own.recall(parseLogEntry(line), note);
      }
    }
  };
  return ({ kind, id, ocsp }) => {
    if (kind === 'destruction-intended') recallAll();
    if (kind === 'destruction-done' || kind === 'hold-lifted') recall(id);
    if (ocsp !== null) recall(statusEntryId(ocsp));
  };
}

function openBodies(
  bodies: BodyAudit | undefined,
  range: VerifiedRange,
  part: { from: number; to: number },
  state: RangeState,
): void {
  if (bodies !== undefined && state.bodies !== null) bodies(range, part, state.bodies);
}

/** Checkpoints that others hold say the same of this log. @throws Finding */
async function compareSeen(
  log: RangeSource,
  notes: readonly string[],
  chain: KeyChain,
  frontier: Frontier,
): Promise<void> {
  for (const note of notes) {
    const { size, root } = openedSeen(note, chain);
    if (size > frontier.size) {
      if (size > log.size())
        throw new Finding('LOG_TRUNCATED', log.size(), `somebody holds a checkpoint of ${size} entries`);
      continue;
    }
    if (!(await frontierAt(log, size)).root().equals(root)) {
      throw new Finding('LOG_FORKED', null, `somebody holds a checkpoint with another root of ${size} entries`);
    }
  }
}

/** By the stored tiles. */
async function frontierAt(log: RangeSource, size: number): Promise<Frontier> {
  return (await log.ahead?.frontier?.(size)) ?? Frontier.at(size, log.subtree);
}

/** By whichever key of the chain signed it. */
function openedSeen(note: string, chain: KeyChain): Checkpoint {
  const size = Number(note.split('\n', 2)[1]);
  return opened(note, chain, Number.isSafeInteger(size) ? size : 0, 'a checkpoint that somebody holds');
}
