// The segments of a log at a destination, as a chain: from the newest manifest back, each by the hash that the later one
// names, to the log's first entry. What is not in the chain is the rest of copies that were broken off before the log spoke
// of them.
import { sha256 } from '#certs/commitment.ts';
import type { ArchiveManifest } from '#schemas/archive.ts';
import { AccordError } from '#schemas/problems.ts';
import { type ArchiveDestination, logFolderName, MANIFEST } from './destination.ts';
import { readManifest } from './read-segment.ts';

interface ChainedSegment {
  manifest: ArchiveManifest;
  /** SHA-256 of its bytes, base64url. */
  hash: string;
}

export interface ArchiveChain {
  origin: string;
  /** In the order of the log; from entry 0 without a gap. */
  segments: ChainedSegment[];
  /** Manifests that the chain does not hold. */
  loose: number;
}

/**
 * @param origin needed where the destination holds several logs
 * @param newest hash of the manifest it has to end with, as the log says; without it the one that reaches farthest
 * @throws ARCHIVE_INCOMPLETE, ARCHIVE_MALFORMED, ARCHIVE_DAMAGED, ARCHIVE_UNREACHABLE
 */
export async function readChain(
  destination: ArchiveDestination,
  { origin, newest }: { origin?: string; newest?: string } = {},
): Promise<ArchiveChain> {
  const names = await destination.list(origin === undefined ? '' : `${logFolderName(origin)}/`, `/${MANIFEST}`);
  const byHash = new Map<string, ChainedSegment>();
  for (const name of names) {
    const { manifest, bytes } = await readManifest(destination, name);
    byHash.set(sha256(bytes), { manifest, hash: sha256(bytes) });
  }
  const origins = new Set([...byHash.values()].map(({ manifest }) => manifest.origin));
  if (origins.size > 1) throw new AccordError('ARCHIVE_MALFORMED', `several logs: ${[...origins].join(', ')}`);
  const found = newest === undefined ? farthest([...byHash.values()]) : byHash.get(newest);
  if (found === undefined) {
    throw new AccordError(
      'ARCHIVE_INCOMPLETE',
      newest === undefined ? 'nothing is there' : 'the newest segment is missing',
    );
  }
  const segments = [found];
  for (let first = found; first.manifest.previous !== null; ) {
    const before = byHash.get(first.manifest.previous);
    if (before === undefined || before.manifest.to !== first.manifest.from) {
      throw new AccordError('ARCHIVE_INCOMPLETE', `the segment before entry ${first.manifest.from}`);
    }
    segments.unshift(before);
    first = before;
  }
  if (segments[0]?.manifest.from !== 0) throw new AccordError('ARCHIVE_INCOMPLETE', 'entry 0');
  return { origin: found.manifest.origin, segments, loose: byHash.size - segments.length };
}

function farthest(all: readonly ChainedSegment[]): ChainedSegment | undefined {
  return all.reduce<ChainedSegment | undefined>(
    (best, one) => (best === undefined || one.manifest.to > best.manifest.to ? one : best),
    undefined,
  );
}
