// The segments of a log as they lie at a destination, from the first entry on: which follow one another, and where the first
// fault is: one that is missing, is another than the next one names, cannot be read, or stands there beside the chain. For
// an audit, which says where. Whoever holds the destination controls names and manifests.
import { sha256 } from '#certs/commitment.ts';
import { Finding } from '#core/log/audit-finding.ts';
import type { ArchiveManifest } from '#schemas/archive.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { type ArchiveDestination, logFolderName, MANIFEST } from './destination.ts';
import { findingAt, readManifest } from './read-segment.ts';

interface FoundManifest {
  /** As its name says. */
  from: number;
  to: number;
  /** Null where it is not what it has to be. */
  manifest: ArchiveManifest | null;
  hash: string;
  fault: Finding | null;
}

export interface Segments {
  origin: string;
  verifierKey: string;
  /** One behind the other, from entry 0. */
  chain: ArchiveManifest[];
  /** The first thing that is wrong with the whole, pinned to the first entry it is about; null when nothing is. */
  fault: Finding | null;
  /** Where the farthest segment ends, whatever is wrong before it. */
  end: number;
}

/** What the log itself says of its archive. */
export interface SaidOfArchive {
  /** Hash of the newest manifest, and where its segment ends; what stands behind it is not spoken of yet. */
  newest: string;
  until: number;
}

const NAME = /^([A-Za-z0-9._-]{1,220})\/(\d{16})-(\d{16})\/manifest\.json$/;

/**
 * @param origin needed where the destination holds several logs
 * @throws ARCHIVE_INCOMPLETE where nothing is there, ARCHIVE_MALFORMED for several logs, ARCHIVE_UNREACHABLE
 */
export async function findSegments(
  destination: ArchiveDestination,
  origin?: string,
  said?: SaidOfArchive,
): Promise<Segments> {
  const names = await destination.list(origin === undefined ? '' : `${logFolderName(origin)}/`, `/${MANIFEST}`);
  const logs = new Set(names.map((name) => NAME.exec(name)?.[1]));
  if (logs.size > 1) throw new AccordError('ARCHIVE_MALFORMED', 'several logs: name the origin of one');
  const found: FoundManifest[] = [];
  for (const name of names) found.push(await manifestAt(destination, name));
  found.sort((a, b) => a.from - b.from || a.to - b.to);
  const first = found.find(({ manifest }) => manifest !== null)?.manifest;
  if (first == null) {
    const { code = 'ARCHIVE_INCOMPLETE', message = 'nothing is there' } = found[0]?.fault ?? {};
    throw new AccordError(code, message);
  }
  const { chain, fault } = chained(said === undefined ? found : found.filter(({ from }) => from < said.until), said);
  const end = Math.max(said?.until ?? 0, ...found.map(({ to }) => (said === undefined ? to : 0)));
  return { origin: first.origin, verifierKey: first.verifierKey, chain, fault, end };
}

async function manifestAt(destination: ArchiveDestination, name: string): Promise<FoundManifest> {
  const [, , from = 0, to = 0] = NAME.exec(name) ?? [];
  const place = { from: Number(from), to: Number(to) };
  try {
    const { manifest, bytes } = await readManifest(destination, name);
    return { ...place, manifest, hash: sha256(bytes), fault: null };
  } catch (error) {
    if (!isAccordError(error) || error.code === 'ARCHIVE_UNREACHABLE') throw error;
    return { ...place, manifest: null, hash: '', fault: findingAt(error, place.from) };
  }
}

/** Those that the newest one stands on. */
function backFrom(found: readonly FoundManifest[], said: SaidOfArchive | undefined): Set<string> {
  const byHash = new Map(found.map((one) => [one.hash, one]));
  const farthest = found.reduce<FoundManifest | null>(
    (best, one) => (one.manifest !== null && one.to > (best?.to ?? 0) ? one : best),
    null,
  );
  const hashes = new Set<string>();
  for (let hash = said?.newest ?? farthest?.hash ?? null; hash !== null && !hashes.has(hash); ) {
    const one = byHash.get(hash);
    if (one === undefined) break;
    hashes.add(hash);
    hash = one.manifest?.previous ?? null;
  }
  return hashes;
}

function chained(found: readonly FoundManifest[], said: SaidOfArchive | undefined): Pick<Segments, 'chain' | 'fault'> {
  const named = backFrom(found, said);
  // The one that ends there is another than the next one names, or the log.
  const namedFrom = Math.min(
    ...found.filter(({ hash }) => named.has(hash)).map(({ from }) => from),
    said?.until ?? Number.POSITIVE_INFINITY,
  );
  const [chain, hashes]: [ArchiveManifest[], string[]] = [[], []];
  const used = new Set<FoundManifest>();
  let fault: Finding | null = null;
  for (let at = 0; fault === null; ) {
    const here = found.filter(({ from }) => from === at);
    const next = here.find(({ hash }) => named.has(hash)) ?? here.find(({ manifest }) => manifest !== null) ?? here[0];
    if (next === undefined) {
      const rest = said === undefined ? found.some(({ from }) => from > at) : at < said.until;
      if (rest) fault = new Finding('ARCHIVE_INCOMPLETE', at, `the segment from entry ${at} is missing`);
      break;
    }
    used.add(next);
    const { manifest } = next;
    const isNext = manifest !== null && manifest.previous === (hashes.at(-1) ?? null);
    if (manifest === null) fault = next.fault;
    else if (!isNext || (!named.has(next.hash) && manifest.to >= namedFrom)) {
      fault = new Finding(
        'ARCHIVE_DAMAGED',
        at,
        `the segment from entry ${at} is another than the one that was put there`,
      );
    } else {
      chain.push(manifest);
      hashes.push(next.hash);
      at = manifest.to;
    }
  }
  const isWhole = said === undefined || hashes.at(-1) === said.newest;
  if (fault === null && !isWhole) {
    fault = new Finding(
      'ARCHIVE_INCOMPLETE',
      chain.at(-1)?.to ?? 0,
      'the newest segment that the log names is missing',
    );
  }
  const extra = found.find((one) => !used.has(one));
  if (extra !== undefined && extra.from < (fault?.seq ?? Number.POSITIVE_INFINITY)) {
    const detail = `a segment ${extra.from} to ${extra.to} that does not belong to the archive`;
    fault = new Finding('ARCHIVE_SEGMENT_UNKNOWN', extra.from, detail);
  }
  return { chain, fault };
}
