// Reads one segment of an archive back: every file has the length and hash that the manifest names, opens under the archive
// key at its own place, and is spelled as it has to be. What the entries say, and whether they are the log's, is for
// verify-segments.ts. Whoever holds the archive controls every byte.
import { type ArchiveKey, decipherFile } from '#certs/archive-cipher.ts';
import { sha256 } from '#certs/commitment.ts';
import { type ArchiveManifest, parseManifest } from '#schemas/archive.ts';
import { MAX_ARCHIVE_MANIFEST_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
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

/** @throws ARCHIVE_UNREACHABLE, ARCHIVE_DAMAGED, ARCHIVE_MALFORMED, ARCHIVE_KEY_WRONG, JSON_* */
export async function readSegment(
  destination: ArchiveDestination,
  key: ArchiveKey,
  manifest: ArchiveManifest,
): Promise<Segment> {
  if (manifest.key !== key.kid) throw new AccordError('ARCHIVE_KEY_WRONG', `it is ${manifest.key}`);
  const { origin, from, to } = manifest;
  const folder = segmentName(origin, from, to);
  const plain = new Map<string, Buffer>();
  for (const { name, bytes: length, sha256: hash } of manifest.files) {
    const bytes = await destination.get(`${folder}/${name}`, length);
    if (bytes === null) throw new AccordError('ARCHIVE_DAMAGED', `${folder}/${name} is not there`);
    if (bytes.length !== length || sha256(bytes) !== hash) {
      throw new AccordError('ARCHIVE_DAMAGED', `${folder}/${name} has other bytes`);
    }
    plain.set(name, decipherFile(key, placeOfFile(origin, from, to, name), bytes));
  }
  const file = (name: string): Buffer => {
    const found = plain.get(name);
    if (found === undefined) throw new AccordError('ARCHIVE_MALFORMED', `${folder} has no ${name}`);
    return found;
  };
  const parts = manifest.files.filter(({ name }) => name.startsWith('rows-')).map(({ name }) => file(name));
  const segment = {
    manifest,
    rows: parts.flatMap((part) => decodeRows(part)),
    signatures: decodeSignatures(file('signatures')),
    checkpoints: decodeCheckpoints(file('checkpoints')),
    tiles: decodeTiles(file('tiles')),
    anchoring: plain.get('anchoring') ?? null,
  };
  const { checkpoints } = manifest;
  if (segment.rows.length !== to - from || segment.checkpoints.length !== checkpoints.to - checkpoints.from) {
    throw new AccordError('ARCHIVE_MALFORMED', `${folder} holds more or less than it says`);
  }
  return segment;
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
