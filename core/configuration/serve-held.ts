// The verified set that a server holds, as the static files it was published as, for its peers (DESIGN: clients take newer
// ones from peers). Nothing is served that was not verified here, and nothing is believed for coming from here: whoever
// asks verifies it from its own anchor. The peer controls the path; only names of files that are held match anything.
import type { ConfigurationCache, HeldSet } from './cache.ts';
import { distrustFile } from './distrust.ts';

/** What a server holds, in one line: content version M, distrust version K, when its freshness was signed. */
export interface HeldVersions {
  content: number;
  distrust: number;
  signedAtSeconds: number;
}

export interface HeldFiles {
  /** undefined before a whole set was verified. */
  versions(): HeldVersions | undefined;
  /** The bytes of `root.N.jws`, `content.M.jws`, `distrust.K.jws`, `locks.V.jws`, `freshness.jws` or `parts/HASH`; undefined when it is not held. */
  file(path: string): Buffer | undefined;
}

const NAME =
  /^(?:(root|content|distrust|locks)\.([1-9][0-9]{0,14})\.jws|(freshness)\.jws|(parts)\/([A-Za-z0-9_-]{43}))$/;

export function serveHeld(held: HeldSet, cache: ConfigurationCache): HeldFiles {
  return {
    versions() {
      const { content, freshness, distrust } = held;
      if (!content || !freshness) return undefined;
      const signedAtSeconds = Math.floor(freshness.document.signedAtMs / 1000);
      return { content: content.document.version, distrust: distrust?.version ?? 0, signedAtSeconds };
    },
    file(path) {
      const [, kind, number, freshness, parts, hash = ''] = NAME.exec(path) ?? [];
      if (freshness) return held.freshness?.file;
      if (parts) return held.parts.has(hash) ? cache.part(hash) : undefined;
      const version = Number(number);
      if (kind === 'root') return held.roots.find(({ document }) => document.version === version)?.file;
      if (kind === 'content') return held.content?.document.version === version ? held.content.file : undefined;
      if (kind === 'locks') return held.locks?.version === version ? held.locks.file : undefined;
      // A freshness may name an earlier list than the one held: each prefix of a list is a list.
      if (kind !== 'distrust' || !held.distrust || version > held.distrust.version) return undefined;
      const entries = held.distrust.entries.slice(0, version).map(({ jws }) => jws);
      return distrustFile(held.distrust.instance, entries);
    },
  };
}

/** The header by which peers tell each other what they hold. Unsigned: a hint to ask, never more. */
export const CONFIGURATION_HINT_HEADER = 'accord-configuration';

export function writeHint({ content, distrust, signedAtSeconds }: HeldVersions): string {
  return `${content} ${distrust} ${signedAtSeconds}`;
}

/** undefined for anything but three plain numbers. */
export function readHint(text: string | undefined): HeldVersions | undefined {
  const found = /^(\d{1,15}) (\d{1,15}) (\d{1,12})$/.exec(text ?? '');
  if (!found) return undefined;
  return { content: Number(found[1]), distrust: Number(found[2]), signedAtSeconds: Number(found[3]) };
}

/** Freshness is signed every minute: only what is a minute younger is worth asking for. */
const NEWER_SECONDS = 60;

/** Whether somebody who holds `theirs` may have news for somebody who holds `mine`. */
export function hasNews(theirs: HeldVersions, mine: HeldVersions | undefined): boolean {
  if (!mine) return true;
  return (
    theirs.content > mine.content ||
    theirs.distrust > mine.distrust ||
    theirs.signedAtSeconds >= mine.signedAtSeconds + NEWER_SECONDS
  );
}
