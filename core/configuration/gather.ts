// From an anchor (or the set held so far) and a place to fetch from, the next verified set, in the order in which each
// file is the key to the next: roots, freshness, distrust, locks, content, parts. Nothing is written here; the client stores
// what these functions return, `accord config verify` only reports it.
import { setImmediate } from 'node:timers/promises';
import type { ConfigurationAnchor } from '#schemas/configuration.ts';
import { MAX_FRESHNESS_BYTES, MAX_PART_BYTES, MAX_SIGNED_FILE_BYTES } from '#schemas/configuration.ts';
import { AccordError } from '#schemas/problems.ts';
import { requireWholeDictionary } from './dictionary-parts.ts';
import { requireConfirmed, type VerifiedDistrust, verifyDistrust } from './distrust.ts';
import type { ConfigurationFetch } from './fetch.ts';
import { type VerifiedLocks, verifyLocks } from './locks.ts';
import { type PartIndex, readPartInSteps, requirePart } from './parts.ts';
import {
  readUnverifiedFreshness,
  refuseOlder,
  type VerifiedContent,
  type VerifiedFreshness,
  type VerifiedRoot,
  verifyAnchoredRoot,
  verifyContent,
  verifyFreshness,
  verifyNextRoot,
} from './verify.ts';

interface VersionAndHash {
  version: number;
  hash: string;
}

/** One part: its exact bytes (none once they are on the disk) and what they say. Hash → part, so that versions share what did not change. */
export interface Part {
  bytes: Buffer;
  index: PartIndex;
}

/** More root changes than an instance makes in a century; a registry cannot keep a client busy beyond it. */
const MAX_ROOTS_AT_ONCE = 64;
const PARTS_AT_ONCE = 8;

/** The roots after `newest` (or from the anchor's on) up to the one the freshness names, each verified by the one before. */
export async function gatherRoots(
  fetch: ConfigurationFetch,
  anchor: ConfigurationAnchor,
  newest: VerifiedRoot | undefined,
  freshness: Buffer,
): Promise<VerifiedRoot[]> {
  const wanted = readUnverifiedFreshness(freshness).root.version;
  const found: VerifiedRoot[] = [];
  let last = newest;
  if (!last) {
    last = verifyAnchoredRoot(await file(fetch, `root.${anchor.root.version}.jws`), anchor);
    found.push(last);
  }
  if (wanted - last.document.version > MAX_ROOTS_AT_ONCE)
    throw new AccordError('CONFIGURATION_INVALID', 'root version');
  while (last.document.version < wanted) {
    last = verifyNextRoot(await file(fetch, `root.${last.document.version + 1}.jws`), last);
    found.push(last);
  }
  return found;
}

/** The newest root there is, without asking a freshness; a source that hides it shows an older one. @throws as above */
export async function gatherRootChain(fetch: ConfigurationFetch, anchor: ConfigurationAnchor): Promise<VerifiedRoot> {
  let last = verifyAnchoredRoot(await file(fetch, `root.${anchor.root.version}.jws`), anchor);
  for (let more = 0; more < MAX_ROOTS_AT_ONCE; more++) {
    try {
      last = verifyNextRoot(await file(fetch, `root.${last.document.version + 1}.jws`), last);
    } catch (error) {
      if (error instanceof AccordError && error.code === 'CONFIGURATION_UNAVAILABLE') return last;
      throw error;
    }
  }
  return last;
}

/** The freshness under the newest root, and agreeing with it. */
export function judgeFreshness(
  bytes: Buffer,
  root: VerifiedRoot,
  nowMs: number,
  newest: VerifiedFreshness | undefined,
): VerifiedFreshness {
  const fresh = verifyFreshness(bytes, root, nowMs, newest?.document);
  refuseOlder(fresh.document.root, { version: root.document.version, hash: root.hash }, 'root');
  return fresh;
}

/** The distrust list that the freshness names, when it is not the one held; undefined when there is nothing new. */
export async function gatherDistrust(
  fetch: ConfigurationFetch,
  root: VerifiedRoot,
  named: VersionAndHash | null,
  held: VerifiedDistrust | undefined,
): Promise<VerifiedDistrust | undefined> {
  const newest = held && { version: held.version, hash: held.hash };
  refuseOlder(named ?? { version: 0, hash: '' }, newest, 'distrust');
  if (!named || named.hash === held?.hash) return undefined;
  const bytes = await file(fetch, `distrust.${named.version}.jws`);
  requirePart(`distrust.${named.version}`, bytes, named.hash);
  const found = verifyDistrust(bytes, root, held);
  if (found.version !== named.version) throw new AccordError('CONFIGURATION_INVALID', 'distrust version');
  return found;
}

/** The list of locks that the freshness names, when it is not the one held; undefined when there is nothing new. */
export async function gatherLocks(
  fetch: ConfigurationFetch,
  root: VerifiedRoot,
  named: VersionAndHash | undefined,
  nowMs: number,
  held: VerifiedLocks | undefined,
): Promise<VerifiedLocks | undefined> {
  refuseOlder(named ?? { version: 0, hash: '' }, held, 'locks');
  if (!named || named.hash === held?.hash) return undefined;
  const bytes = await file(fetch, `locks.${named.version}.jws`);
  requirePart(`locks.${named.version}`, bytes, named.hash);
  const found = verifyLocks(bytes, root, nowMs);
  if (found.version !== named.version) throw new AccordError('CONFIGURATION_INVALID', 'locks version');
  return found;
}

/**
 * The content that the freshness names and its parts, when it is not the one held.
 * @param floor version and hash of the newest content ever verified here, also in an earlier life of the process
 * @param known parts read before, by hash: only the others are fetched
 * @param distrust the list of the same news: the content may not confirm a longer or another one
 * @param onPart told of each part as it comes, so that a slow source makes progress over several attempts
 */
export async function gatherContent(
  fetch: ConfigurationFetch,
  root: VerifiedRoot,
  named: VersionAndHash,
  nowMs: number,
  floor: VersionAndHash | undefined,
  known: ReadonlyMap<string, Part>,
  distrust: VerifiedDistrust | undefined,
  onPart: (hash: string, part: Part) => void = () => {},
): Promise<{ content: VerifiedContent; parts: Map<string, Part> }> {
  refuseOlder(named, floor, 'content');
  const bytes = await file(fetch, `content.${named.version}.jws`);
  requirePart(`content.${named.version}`, bytes, named.hash);
  const content = verifyContent(bytes, root, nowMs, floor);
  if (content.document.version !== named.version) throw new AccordError('CONFIGURATION_INVALID', 'content version');
  requireConfirmed(content.document, distrust);
  const parts = await gatherParts(fetch, content, known, onPart);
  requireWholeDictionary([...parts.values()].map(({ index }) => index));
  return { content, parts };
}

/** All parts of a verified content, by hash; those in `known` are not fetched. */
async function gatherParts(
  fetch: ConfigurationFetch,
  content: VerifiedContent,
  known: ReadonlyMap<string, Part>,
  onPart: (hash: string, part: Part) => void,
): Promise<Map<string, Part>> {
  const parts = new Map<string, Part>();
  const waiting = Object.entries(content.document.parts);
  const worker = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const [name, hash] = next;
      const held = known.get(hash);
      const part = held?.index.name === name ? held : await gatherPart(fetch, name, hash, content.document.instance);
      parts.set(hash, part);
      if (part !== held) onPart(hash, part);
    }
  };
  await Promise.all(Array.from({ length: PARTS_AT_ONCE }, worker));
  return parts;
}

/** A whole published set from its anchor alone. `distrust` is absent while there is none. */
export interface PublishedSet {
  roots: VerifiedRoot[];
  root: VerifiedRoot;
  freshness: VerifiedFreshness;
  distrust?: VerifiedDistrust;
  locks?: VerifiedLocks;
  content: VerifiedContent;
  parts: Map<string, Part>;
}

/**
 * Verifies everything that a fetch offers: the chain of roots, freshness (which must be valid at `nowMs`), distrust, locks,
 * content and every part.
 * @param under whose approvers must have signed the content. `root of its day` is for comparing a draft with what was
 *   published before a change of root removed one of its approvers: then nobody could approve a successor otherwise
 * @throws CONFIGURATION_*, SIGNED_FILE_*, JWS_*, and what fetching throws
 */
export async function verifyPublished(
  fetch: ConfigurationFetch,
  anchor: ConfigurationAnchor,
  nowMs: number,
  under: 'newest root' | 'root of its day' = 'newest root',
): Promise<PublishedSet> {
  const bytes = await file(fetch, 'freshness.jws', MAX_FRESHNESS_BYTES);
  const roots = await gatherRoots(fetch, anchor, undefined, bytes);
  const root = roots.at(-1);
  if (!root) throw new TypeError('a gathered chain has a root');
  const freshness = judgeFreshness(bytes, root, nowMs, undefined);
  const { content: named, distrust: list, locks: locksNamed, expiresAtMs } = freshness.document;
  const distrust = await gatherDistrust(fetch, root, list, undefined);
  const locks = await gatherLocks(fetch, root, locksNamed, nowMs, undefined);
  const gather = (of: VerifiedRoot) => gatherContent(fetch, of, named, nowMs, undefined, new Map(), distrust);
  const { content, parts } =
    under === 'newest root' ? await gather(root) : await underFirstThatHolds(roots.toReversed(), gather);
  if (expiresAtMs <= nowMs) throw new AccordError('CONFIGURATION_EXPIRED', 'freshness');
  return { roots, root, freshness, ...(distrust && { distrust }), ...(locks && { locks }), content, parts };
}

/** Newest root first; only a signature that does not count there sends on to an older one. */
async function underFirstThatHolds<T>(
  roots: readonly VerifiedRoot[],
  gather: (root: VerifiedRoot) => Promise<T>,
): Promise<T> {
  let failure: unknown;
  for (const root of roots) {
    try {
      return await gather(root);
    } catch (error) {
      const code = error instanceof AccordError ? error.code : '';
      if (code !== 'SIGNED_FILE_SIGNATURE_WRONG' && code !== 'CONFIGURATION_THRESHOLD') throw error;
      failure ??= error;
    }
  }
  throw failure;
}

async function gatherPart(fetch: ConfigurationFetch, name: string, hash: string, instance: string): Promise<Part> {
  const bytes = await file(fetch, `parts/${hash}`, MAX_PART_BYTES).catch((error: unknown) => {
    const missing = error instanceof AccordError && error.code === 'CONFIGURATION_UNAVAILABLE';
    throw missing ? new AccordError('CONFIGURATION_PART_WRONG', `${name} is missing`, { cause: error }) : error;
  });
  requirePart(name, bytes, hash);
  return { bytes, index: await readInTurns(readPartInSteps(name, bytes, instance)) };
}

/** One part at a time, and between two steps everybody else's turn: exchanges go on while a configuration is read. */
function readInTurns(steps: Generator<undefined, PartIndex>): Promise<PartIndex> {
  const run = lastRead.then(async () => {
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      await setImmediate();
    }
  });
  lastRead = run.then(
    () => setImmediate(),
    () => {},
  );
  return run;
}
let lastRead: Promise<void> = Promise.resolve();

async function file(fetch: ConfigurationFetch, path: string, maxBytes = MAX_SIGNED_FILE_BYTES): Promise<Buffer> {
  const answer = await fetch.get(path, maxBytes);
  if (answer === 'unchanged') throw new TypeError('no ETag was sent');
  return answer.bytes;
}
