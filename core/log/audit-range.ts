// The audit of a part of a log, or of an archive of one, that may take hours and be stopped in between: everything an audit
// of the whole log verifies (audit.ts) of the entries [from, to), and beside it missing heartbeats, checkpoints that
// others hold, and what is kept of records against what their statements commit to. It begins at the last checkpoint at or
// before `from`, whose signature says what the tree is there, and ends with the first one at or behind `to`, so that
// every entry in between is under a signature.
//
// Progress that was saved is believed only as far as the log's own signature goes: its checkpoint must still stand in the
// log, signed, with the root that the tree has there. That the entries before it were verified then is the word of the
// file: whoever can write it can make an audit skip them. Whoever held the disk controls everything else.
import { requireArchiveSaid } from '#core/archive/audit-archived.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { BodyAudit } from './audit-bodies.ts';
import { keptCheckpoint, StoredCheckpoints } from './audit-checkpoints.ts';
import { auditClaims } from './audit-claims.ts';
import type { VerifiedRange } from './audit-entries.ts';
import { FetchFailed, Finding, findingOf } from './audit-finding.ts';
import { OwnEntries } from './audit-own-entries.ts';
import { begin, compareSeen, endOf, startOf } from './audit-range-ends.ts';
import { type RangeOptions, type RangeReport, RangeState } from './audit-range-report.ts';
import { recaller } from './audit-recalled.ts';
import { follow, rootOf, verifiedRanges } from './audit-walk.ts';
import { KeyChain } from './key-chain.ts';
import type { RangeSource } from './range-source.ts';
import { parseVerifierKey } from './signed-note.ts';

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

function openBodies(
  bodies: BodyAudit | undefined,
  range: VerifiedRange,
  part: { from: number; to: number },
  state: RangeState,
): void {
  if (bodies !== undefined && state.bodies !== null) bodies(range, part, state.bodies);
}
