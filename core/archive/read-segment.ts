// Reads one segment of an archive back: every file has the length and hash that the manifest names, opens under the archive
// key at its own place, and is spelled as it has to be. What the entries say, and whether they are the log's, is for
// verify-segments.ts. Whoever holds the archive controls every byte.
import { setImmediate } from 'node:timers/promises';
import { type ArchiveKey, decipherFile } from '#certs/archive-cipher.ts';
import { sha256 } from '#certs/commitment.ts';
import { Finding } from '#core/log/audit-finding.ts';
import { type ArchiveManifest, parseManifest } from '#schemas/archive.ts';
import { MAX_ARCHIVE_MANIFEST_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { type ArchiveDestination, MANIFEST, placeOfFile, segmentName } from './destination.ts';
import {
  type ArchivedCheckpoint,
  type ArchivedRow,
  type ArchivedSignature,
  type ArchivedTile,
  decodeCheckpoints,
  decodeRows,
  decodeSignatures,
  decodeTiles,
} from './rows.ts';

export interface Segment {
  manifest: ArchiveManifest;
  rows: ArchivedRow[];
  signatures: ArchivedSignature[];
  checkpoints: ArchivedCheckpoint[];
  tiles: ArchivedTile[];
  /** Canonical JSON of an anchoring; null where nobody vouched yet. */
  anchoring: Buffer | null;
}

/** A segment as far as it can be read. */
export interface ReadableSegment extends Segment {
  /** What is wrong first, pinned to an entry; the rows end before it. */
  fault: Finding | null;
}

/** @throws ARCHIVE_UNREACHABLE, ARCHIVE_DAMAGED, ARCHIVE_MALFORMED, ARCHIVE_KEY_WRONG, JSON_* */
export async function readSegment(
  destination: ArchiveDestination,
  key: ArchiveKey,
  manifest: ArchiveManifest,
): Promise<Segment> {
  const { fault, ...segment } = await readableSegment(destination, key, manifest);
  if (fault !== null) throw new AccordError(fault.code, fault.message);
  return segment;
}

/** For an audit, which says where an archive is damaged. @throws ARCHIVE_UNREACHABLE, ARCHIVE_KEY_WRONG */
export async function readableSegment(
  destination: ArchiveDestination,
  key: ArchiveKey,
  manifest: ArchiveManifest,
): Promise<ReadableSegment> {
  if (manifest.key !== key.kid) throw new AccordError('ARCHIVE_KEY_WRONG', `it is ${manifest.key}`);
  const { from, to, files, checkpoints } = manifest;
  const segment: ReadableSegment = {
    ...{ manifest, rows: [], signatures: [], checkpoints: [], tiles: [], anchoring: null, fault: null },
  };
  try {
    const file = (name: string) => readFileOf(destination, key, manifest, name);
    segment.signatures = await decodeSignatures(await file('signatures'));
    segment.checkpoints = await decodeCheckpoints(await file('checkpoints'));
    segment.tiles = await decodeTiles(await file('tiles'));
    if (files.some(({ name }) => name === 'anchoring')) segment.anchoring = await file('anchoring');
    if (segment.checkpoints.length !== checkpoints.to - checkpoints.from) {
      throw new AccordError('ARCHIVE_MALFORMED', `${folderOf(manifest)} holds more or less than it says`);
    }
    for (const { name } of files) {
      if (!name.startsWith('rows-')) continue;
      for (const row of decodeRows(await file(name))) segment.rows.push(row);
      await setImmediate();
    }
    if (segment.rows.length !== to - from) {
      throw new AccordError('ARCHIVE_MALFORMED', `${folderOf(manifest)} holds more or less than it says`);
    }
  } catch (error) {
    if (!isAccordError(error) || error.code === 'ARCHIVE_UNREACHABLE') throw error;
    segment.fault = findingAt(error, Math.min(from + segment.rows.length, to));
  }
  return segment;
}

/** What cannot be read as JSON is malformed like everything else that is not in its form. */
export function findingAt({ code, detail }: AccordError, seq: number): Finding {
  return new Finding(code.startsWith('JSON_') ? 'ARCHIVE_MALFORMED' : code, seq, detail);
}

/** The tiles alone: for the tree of what is not read. @throws ARCHIVE_* */
export async function readTiles(
  destination: ArchiveDestination,
  key: ArchiveKey,
  manifest: ArchiveManifest,
): Promise<ArchivedTile[]> {
  if (manifest.key !== key.kid) throw new AccordError('ARCHIVE_KEY_WRONG', `it is ${manifest.key}`);
  return await decodeTiles(await readFileOf(destination, key, manifest, 'tiles'));
}

function folderOf({ origin, from, to }: ArchiveManifest): string {
  return segmentName(origin, from, to);
}

async function readFileOf(
  destination: ArchiveDestination,
  key: ArchiveKey,
  manifest: ArchiveManifest,
  name: string,
): Promise<Buffer> {
  const folder = folderOf(manifest);
  const file = manifest.files.find((one) => one.name === name);
  if (file === undefined) throw new AccordError('ARCHIVE_MALFORMED', `${folder} has no ${name}`);
  const bytes = await destination.get(`${folder}/${name}`, file.bytes);
  if (bytes === null) throw new AccordError('ARCHIVE_DAMAGED', `${folder}/${name} is not there`);
  if (bytes.length !== file.bytes || sha256(bytes) !== file.sha256) {
    throw new AccordError('ARCHIVE_DAMAGED', `${folder}/${name} has other bytes`);
  }
  const { origin, from, to } = manifest;
  return decipherFile(key, placeOfFile(origin, from, to, name), bytes);
}

/** The manifest of a segment, with its exact bytes. @throws ARCHIVE_UNREACHABLE, ARCHIVE_DAMAGED, ARCHIVE_MALFORMED, JSON_* */
export async function readManifest(
  destination: ArchiveDestination,
  name: string,
): Promise<{ manifest: ArchiveManifest; bytes: Buffer }> {
  const bytes = await destination.get(name, MAX_ARCHIVE_MANIFEST_BYTES);
  if (bytes === null) throw new AccordError('ARCHIVE_DAMAGED', `${name} is not there`);
  const manifest = parseManifest(bytes);
  const { origin, from, to } = manifest;
  if (name !== `${segmentName(origin, from, to)}/${MANIFEST}`) {
    throw new AccordError('ARCHIVE_MALFORMED', `${name} is the manifest of another segment`);
  }
  return { manifest, bytes };
}
