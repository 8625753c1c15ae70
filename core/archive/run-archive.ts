// Moves one segment of a message log to its archive: plan, copy, read back and verify, say so in the log, let go. Nothing is
// let go that was not read back; a crash at any step is completed or begun again by the next run:
// - While it copies, the plan lies in a small file, so that the copy is made again over itself, byte for byte.
// - Once the entry `archived` is in the log, the copy was verified: what is left to let go is let go, whatever became of the
//   plan. An entry without all of it let go, and a segment without an entry, are no faults.
import { readFileSync, rmSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { ArchiveKey } from '#certs/archive-cipher.ts';
import { auditRange } from '#core/log/audit-range.ts';
import type { MessageLog } from '#core/log/message-log.ts';
import type { LogAuditReader } from '#core/log/store.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { replaceFile } from '#core/replace-file.ts';
import { type ArchiveManifest, parseManifest } from '#schemas/archive.ts';
import { parseJson } from '#schemas/json.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { Sha256 } from '#schemas/registrations.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import { ArchiveSource } from './archive-source.ts';
import { archivedLogSource } from './archived-log.ts';
import { ARCHIVED_ID, type ArchivedEntry, newestArchived } from './audit-archived.ts';
import { type ArchiveDestination, logFolderName, MANIFEST, segmentName } from './destination.ts';
import { planSegment, type SegmentPlan, type WhatIsOld } from './plan.ts';
import { writeSegment } from './write-segment.ts';

/** Entries verified before others may run: some milliseconds. */
const AT_ONCE = 128;

export interface ArchiveRun {
  log: Pick<MessageLog, 'append' | 'archivedUntil' | 'releaseArchived'>;
  /** Of a closed log: the entries about it stand, under this id, in the log that follows; others may vouch for that one. */
  closed?: { id: string; newest(): ArchivedEntry | null; isVouchedFor: boolean };
  /** Of the log. */
  folder: string;
  /** The plan, while a segment is copied. */
  planFile: string;
  destination: ArchiveDestination;
  key: ArchiveKey;
  configurationVersion: number;
}

/**
 * Archives one segment, or completes the last one.
 * @param old null only completes what was begun
 * @returns the segment; null when nothing is old enough
 * @throws ARCHIVE_*, LOG_*, StoreError
 */
export async function archiveSegment(run: ArchiveRun, old: WhatIsOld | null): Promise<ArchiveManifest | null> {
  const reader = openLogAuditSqlite(run.folder);
  try {
    const begun = run.closed === undefined ? newestArchived(reader) : run.closed.newest();
    if (begun !== null) await release(run, begun.seq, begun.manifest.to);
    const said = { newest: begun, isVouchedFor: run.closed?.isVouchedFor ?? false };
    const plan =
      plannedBefore(run.planFile, begun?.manifest.to ?? 0) ??
      (old === null ? null : await planSegment(reader, old, said));
    if (plan === null) return null;
    if (run.closed !== undefined) await requireNothingBehind(run.destination, reader.identity()?.origin ?? '', plan);
    replaceFile(run.planFile, Buffer.from(JSON.stringify({ v: 1, ...plan })), 0o600);
    const note = await writeSegment(reader, plan, run.destination, run.key);
    const manifest = parseManifest(note);
    await verifyCopy(reader, run, manifest, note);
    const { seq } = await run.log.append({
      ...{ kind: 'archived', id: run.closed?.id ?? ARCHIVED_ID, peer: null, client: null, service: null },
      ...{ purpose: null, basis: null },
      ...{ code: null, decisionHash: null, evidence: null, sealed: null, retention: 'standard' },
      configurationVersion: run.configurationVersion,
      note,
    });
    await release(run, seq, plan.to);
    rmSync(run.planFile, { force: true });
    return manifest;
  } finally {
    reader.close();
  }
}

/**
 * A log that was put back from a backup and closed may lack entries that went to the archive before: what lies there is
 * then longer, and stays the archive.
 * @throws ARCHIVE_SEGMENT_UNKNOWN
 */
async function requireNothingBehind(destination: ArchiveDestination, origin: string, plan: SegmentPlan): Promise<void> {
  const planned = `${segmentName(origin, plan.from, plan.to)}/${MANIFEST}`;
  const names = await destination.list(`${logFolderName(origin)}/`, `/${MANIFEST}`);
  // Names sort by their first entry.
  const other = names.find((name) => name >= segmentName(origin, plan.from, 0) && name !== planned);
  if (other !== undefined) throw new AccordError('ARCHIVE_SEGMENT_UNKNOWN', `${other} is not of this closed log`);
}

/** Step by step, so that exchanges go on meanwhile. */
async function release({ log }: ArchiveRun, entrySeq: number, until: number): Promise<void> {
  while (log.archivedUntil() < until) {
    log.releaseArchived(entrySeq, until);
    await setImmediate();
  }
}

/** What was put there is asked for, and is judged beside the log as an audit judges the log itself. @throws ARCHIVE_DAMAGED */
async function verifyCopy(
  reader: LogAuditReader,
  { destination, key }: ArchiveRun,
  manifest: ArchiveManifest,
  note: Buffer,
): Promise<void> {
  const { origin, verifierKey, from, to } = manifest;
  const name = segmentName(origin, from, to);
  const back = await destination.get(`${name}/${MANIFEST}`, note.length);
  if (back?.equals(note) !== true) throw new AccordError('ARCHIVE_DAMAGED', `${name}/${MANIFEST} has other bytes`);
  const segments = { origin, verifierKey, chain: [manifest], fault: null, end: to };
  const archive = new ArchiveSource(destination, key, segments, { isBeside: true });
  const source = archivedLogSource(reader, archive, to);
  const report = await auditRange(source, { from, to, width: AT_ONCE, onRange: () => setImmediate() });
  const { code, detail, startedAt, endedAt, root } = report;
  if (code !== null) throw new AccordError('ARCHIVE_DAMAGED', `${name}: ${code} ${detail}`);
  if (startedAt !== from || endedAt !== to || root !== manifest.root) {
    throw new AccordError('ARCHIVE_DAMAGED', `${name} has another root than the log`);
  }
  reader.renew();
}

const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Plan = Type.Object(
  {
    v: Type.Literal(1),
    from: count,
    to: count,
    checkpoints: Type.Object({ from: count, to: count }, { additionalProperties: false }),
    previous: Type.Union([Sha256, Type.Null()]),
    anchoredSeq: Type.Union([count, Type.Null()]),
  },
  { additionalProperties: false },
);
const checkPlan: (value: unknown) => Static<typeof Plan> = compile(Plan, 'ARCHIVE_MALFORMED');

/** The plan of a copy that was broken off; null when there is none, or one that was done already. */
function plannedBefore(file: string, from: number): SegmentPlan | null {
  try {
    const { v: _v, ...plan } = checkPlan(parseJson(readFileSync(file)));
    return plan.from === from ? plan : null;
  } catch (error) {
    // Without it a copy begins anew; nothing rests on the one before.
    if (isAccordError(error) || (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
