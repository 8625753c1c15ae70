// Copies one segment to its destination: file by file, the manifest last, so that a segment without one is the rest of a copy
// that was broken off. Made again it is the same, byte for byte.
import { type ArchiveKey, encipherFile } from '#certs/archive-cipher.ts';
import { sha256 } from '#certs/commitment.ts';
import { parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import type { LogAuditReader } from '#core/log/store.ts';
import { type ArchiveManifest, manifestText } from '#schemas/archive.ts';
import { AccordError } from '#schemas/problems.ts';
import { type ArchiveDestination, MANIFEST, placeOfFile, segmentName } from './destination.ts';
import type { SegmentPlan } from './plan.ts';
import { type SegmentTimes, segmentFiles } from './segment-files.ts';

/** @returns the manifest, as its exact bytes @throws ARCHIVE_UNREACHABLE, ARCHIVE_LOCK_REFUSED, LOG_* */
export async function writeSegment(
  log: LogAuditReader,
  plan: SegmentPlan,
  destination: ArchiveDestination,
  key: ArchiveKey,
): Promise<Buffer> {
  const identity = log.identity();
  const end = log.checkpointFrom(plan.checkpoints.to - 1);
  if (identity === null || end === null || end.size !== plan.to) {
    throw new AccordError('LOG_CHECKPOINT_MISSING', `of size ${plan.to}`);
  }
  const { origin, verifierKey } = identity;
  const folder = segmentName(origin, plan.from, plan.to);
  const times: SegmentTimes = { firstMs: 0, lastMs: 0 };
  const files: ArchiveManifest['files'] = [];
  for await (const { name, plain } of segmentFiles(log, plan, times)) {
    const bytes = encipherFile(key, placeOfFile(origin, plan.from, plan.to, name), plain);
    await destination.put(`${folder}/${name}`, bytes);
    files.push({ name, bytes: bytes.length, sha256: sha256(bytes) });
  }
  const { root } = parseCheckpointText(parseNote(end.note).text);
  const manifest = Buffer.from(
    manifestText({
      ...{ v: 1, kind: 'archive-segment', origin, verifierKey, from: plan.from, to: plan.to, ...times },
      ...{ root: root.toString('base64url'), checkpoint: end.note, checkpoints: plan.checkpoints },
      ...{ key: key.kid, files, previous: plan.previous },
    }),
    'utf8',
  );
  await destination.put(`${folder}/${MANIFEST}`, manifest);
  return manifest;
}
