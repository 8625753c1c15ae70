// An archive of campaign `tamper`, made by the real archiving into a folder, and held in memory for the readers: one who knows
// the newest manifest from the log, and one who has nothing but the archive.
import { join } from 'node:path';
import { type ArchiveKey, archiveKeyOf } from '#certs/archive-cipher.ts';
import { sha256 } from '#certs/commitment.ts';
import { generateKeys } from '#certs/keys.ts';
import { readChain } from '#core/archive/chain.ts';
import type { ArchiveDestination } from '#core/archive/destination.ts';
import { folderDestination } from '#core/archive/folder-destination.ts';
import { readSegment } from '#core/archive/read-segment.ts';
import { archiveSegment } from '#core/archive/run-archive.ts';
import { verifyArchive } from '#core/archive/verify-archive.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import { type ArchiveManifest, manifestText } from '#schemas/archive.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Source } from '#scripts/demo/random.ts';
import { MADE_SIGNERS } from '#scripts/log/made-log.ts';
import { makeSubject, type Subject } from './tamper-subject.ts';

export type Objects = Map<string, Buffer>;

interface Said {
  code: string | null;
  seq: number | null;
  /** Roots at the end of each segment that was read, by size. */
  roots: Map<number, Buffer>;
  /** What every entry and checkpoint says. */
  content: string;
}

export interface ArchiveTarget {
  place: string;
  subject: Subject;
  key: ArchiveKey;
  objects: Objects;
  manifests: ArchiveManifest[];
  newest: string;
  verifierKey: string;
  content: string;
  /** In place of the real reader. */
  read: ReadArchive;
}

export type ReadArchive = (target: ArchiveTarget, objects: Objects, newest: string | null) => Promise<Said>;

export async function makeArchiveTarget(
  place: string,
  read: ReadArchive | undefined,
  chance: Source,
): Promise<ArchiveTarget> {
  const subject = await makeSubject(join(place, 'log'), { phases: 4, turns: 2, batch: 5 }, chance);
  const key = archiveKeyOf(generateKeys('X25519').privateKey);
  const destination = folderDestination(join(place, 'archive'));
  const log = await openMessageLog(subject.options);
  const run = {
    log,
    folder: subject.options.folder,
    planFile: join(place, 'plan.json'),
    destination,
    key,
    configurationVersion: 1,
  };
  const manifests: ArchiveManifest[] = [];
  // By what stays, so that there are several segments, as in a log that grows.
  for (const keepEntries of [log.size() - 15, log.size() - 26, 1]) {
    const manifest = await archiveSegment(run, { beforeMs: 0, keepEntries });
    if (manifest !== null) manifests.push(manifest);
  }
  await log.close();
  if (manifests.length < 2) throw new TypeError('an archive of one segment');
  const objects: Objects = new Map();
  for (const name of await destination.list(''))
    objects.set(name, (await destination.get(name, 1e9)) ?? Buffer.alloc(0));
  const newest = sha256(Buffer.from(manifestText(manifests.at(-1) as ArchiveManifest)));
  const made = {
    place,
    subject,
    key,
    objects,
    manifests,
    newest,
    verifierKey: subject.verifierKey,
    content: '',
    read: read ?? readArchive,
  };
  made.content = (await readArchive(made, objects, newest)).content;
  return made;
}

/** A destination like any other, for a reader. */
export function inMemory(objects: Objects): ArchiveDestination {
  return {
    name: 'memory',
    isLocked: false,
    put: async (name, bytes) => void objects.set(name, bytes),
    get: async (name) => objects.get(name) ?? null,
    list: async (prefix) => [...objects.keys()].filter((name) => name.startsWith(prefix)).sort(),
    close: async () => {},
  };
}

export async function readArchive(target: ArchiveTarget, objects: Objects, newest: string | null): Promise<Said> {
  const { subject, key, verifierKey } = target;
  const destination = inMemory(objects);
  const said: Said = { code: null, seq: null, roots: new Map(), content: '' };
  const { origin } = subject.options;
  try {
    const chain = await readChain(destination, { origin, ...(newest !== null && { newest }) });
    const report = await verifyArchive({ destination, key, chain, log: null, verifierKey, signers: MADE_SIGNERS });
    if (!report.ok) return { ...said, code: report.code, seq: report.firstBadSeq };
    const parts: unknown[] = [];
    for (const { manifest } of chain.segments) {
      const segment = await readSegment(destination, key, manifest);
      said.roots.set(manifest.to, fromBase64url(manifest.root));
      // What is sealed is guarded by its own authenticated encryption: without the record keys nobody can say more.
      const rows = segment.rows.map(({ sealed, keyId, ...row }) => [row, sealed === null, keyId === null]);
      parts.push(
        rows,
        segment.signatures,
        segment.checkpoints.map(({ size, note }) => [size, note]),
        segment.tiles,
      );
    }
    said.content = sha256(Buffer.from(JSON.stringify(parts)));
  } catch (error) {
    if (isAccordError(error)) return { ...said, code: error.code };
    throw error;
  }
  return said;
}
