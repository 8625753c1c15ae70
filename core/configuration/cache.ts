// The durable copy of the last good configuration: the published files themselves, so that each start verifies them
// anew. Every file is written beside its place, synced and renamed, in the order roots, distrust, locks, parts,
// content, freshness, floor; a crash or a full disk between two of them leaves an older complete set. `floor.json` remembers the
// newest versions ever verified, so that a damaged copy cannot be an excuse for taking an older one: a content without
// its distrust list, or its list of locks, is not used.
//
// A superseded content is moved to `past/`, with the parts that say who was registered and who vouches for logs: the
// evidence of an exchange is judged under the version of its day. Nothing here reads that folder.
//
// Who controls the folder: the server's own account. A disk may still damage it, and a restored backup may hold links:
// only regular files below their limits are read, none is read or deleted through a link.
import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFileMeanwhile, replaceFilesMeanwhile } from '#core/replace-file.ts';
import { type ConfigurationAnchor, MAX_PART_BYTES, MAX_SIGNED_FILE_BYTES } from '#schemas/configuration.ts';
import { parseJson } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { Sha256 } from '#schemas/registrations.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import { requireWholeDictionary } from './dictionary-parts.ts';
import { requireConfirmed, type VerifiedDistrust, verifyDistrust } from './distrust.ts';
import type { Part } from './gather.ts';
import { type VerifiedLocks, verifyLocks } from './locks.ts';
import { readPart, requirePart } from './parts.ts';
import { readKept } from './read-kept.ts';
import {
  type VerifiedContent,
  type VerifiedFreshness,
  type VerifiedRoot,
  verifyAnchoredRoot,
  verifyFreshness,
  verifyNextRoot,
  verifyStoredContent,
} from './verify.ts';

const closed = { additionalProperties: false };
const Named = Type.Union([Type.Object({ version: Type.Integer({ minimum: 1 }), hash: Sha256 }, closed), Type.Null()]);
const Floor = Type.Object({ content: Named, distrust: Named, locks: Type.Optional(Named) }, closed);
const readFloor = compile(Floor, 'CONFIGURATION_CACHE_CORRUPT');

export interface HeldSet {
  /** From the anchor's on, ascending. */
  roots: VerifiedRoot[];
  distrust?: VerifiedDistrust;
  locks?: VerifiedLocks;
  content?: VerifiedContent;
  parts: Map<string, Part>;
  freshness?: VerifiedFreshness;
  /** The newest content, distrust list and list of locks ever verified here, also in an earlier life of the process. */
  floor: Static<typeof Floor>;
}

const NO_BYTES = Buffer.alloc(0);
const PART_NAME = /^[A-Za-z0-9_-]{43}$/;
/** Where superseded contents lie, and the parts of theirs that evidence of an exchange rests on. */
export const PAST = 'past';
export const EVIDENT_PART = /^(?:members\/[0-9a-f]{2}|trust|witnesses|time-stamps)$/;

/** The durable copy. What stores is called by one at a time: two would write one file. */
export class ConfigurationCache {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(join(folder, 'parts'), { recursive: true, mode: 0o700 });
    if (!lstatSync(join(folder, 'parts')).isDirectory()) {
      throw new AccordError('CONFIGURATION_CACHE_CORRUPT', `${join(folder, 'parts')} is a link`);
    }
  }

  /** Reads and verifies what is there; each damaged piece is left out and named to `onDamage`. */
  load(anchor: ConfigurationAnchor, onDamage: (what: string, error: unknown) => void): HeldSet {
    const held: HeldSet = { roots: [], parts: new Map(), floor: { content: null, distrust: null } };
    const attempt = (what: string, read: () => void) => {
      try {
        read();
      } catch (error) {
        onDamage(what, error);
      }
    };
    attempt('floor', () => {
      const bytes = this.#read('floor.json');
      if (bytes) held.floor = readFloor(parseJson(bytes));
    });
    attempt('roots', () => this.#loadRoots(anchor, held));
    const newest = held.roots.at(-1);
    if (!newest) return held;
    attempt('distrust', () => {
      const bytes = this.#newest('distrust');
      if (bytes) held.distrust = verifyDistrust(bytes, newest);
    });
    attempt('locks', () => {
      const bytes = this.#newest('locks');
      if (bytes) held.locks = verifyLocks(bytes, newest, Infinity);
    });
    attempt('content', () => this.#loadContent(held));
    attempt('freshness', () => {
      const bytes = this.#read('freshness.jws');
      // Our own copy: judged when it came, so its time is not compared with a clock that may have been set back since.
      if (bytes) held.freshness = underSomeRoot(held.roots, (root) => verifyFreshness(bytes, root, Infinity));
    });
    return held;
  }

  #loadRoots(anchor: ConfigurationAnchor, held: HeldSet): void {
    for (let version = anchor.root.version; ; version++) {
      const bytes = this.#read(`root.${version}.jws`);
      if (!bytes) return;
      const last = held.roots.at(-1);
      held.roots.push(last ? verifyNextRoot(bytes, last) : verifyAnchoredRoot(bytes, anchor));
    }
  }

  #loadContent(held: HeldSet): void {
    const bytes = this.#newest('content');
    if (!bytes) return;
    const content = underSomeRoot(held.roots, (root) =>
      verifyStoredContent(bytes, root, held.floor.content ?? undefined),
    );
    if ((held.distrust?.version ?? 0) < (held.floor.distrust?.version ?? 0)) {
      throw new AccordError('CONFIGURATION_ROLLBACK', 'the distrust list is gone or older than it was');
    }
    if ((held.locks?.version ?? 0) < (held.floor.locks?.version ?? 0)) {
      throw new AccordError('CONFIGURATION_ROLLBACK', 'the list of locks is gone or older than it was');
    }
    requireConfirmed(content.document, held.distrust);
    const parts = new Map<string, Part>();
    for (const [name, hash] of Object.entries(content.document.parts)) {
      const part = this.part(hash);
      if (!part) throw new AccordError('CONFIGURATION_PART_WRONG', `${name} is missing`);
      requirePart(name, part, hash);
      // Whoever needs the bytes reads them again: of thousands of members they are many.
      parts.set(hash, { bytes: NO_BYTES, index: readPart(name, part, content.document.instance) });
    }
    requireWholeDictionary([...parts.values()].map(({ index }) => index));
    held.content = content;
    held.parts = parts;
    held.floor.content ??= { version: content.document.version, hash: content.hash };
  }

  async storeRoot(root: VerifiedRoot): Promise<void> {
    await this.#write(`root.${root.document.version}.jws`, root.file);
  }

  /** @param floor with this list already in it */
  async storeDistrust(distrust: VerifiedDistrust, floor: HeldSet['floor']): Promise<void> {
    await this.#write(`distrust.${distrust.version}.jws`, distrust.file);
    await this.#writeFloor(floor);
    this.#drop(/^distrust\.\d+\.jws$/, `distrust.${distrust.version}.jws`);
  }

  /** @param floor with this list already in it */
  async storeLocks(locks: VerifiedLocks, floor: HeldSet['floor']): Promise<void> {
    await this.#write(`locks.${locks.version}.jws`, locks.file);
    await this.#writeFloor(floor);
    this.#drop(/^locks\.\d+\.jws$/, `locks.${locks.version}.jws`);
  }

  /**
   * Parts that the version before had are there already.
   * @param floor with this content already in it
   */
  async storeContent(
    content: VerifiedContent,
    parts: ReadonlyMap<string, Part>,
    before: ReadonlyMap<string, Part>,
    floor: HeldSet['floor'],
  ): Promise<void> {
    const added = [...parts].flatMap(([hash, { bytes }]) => (before.has(hash) ? [] : [[hash, bytes] as const]));
    await replaceFilesMeanwhile(join(this.#folder, 'parts'), added);
    const { version } = content.document;
    await this.#write(`content.${version}.jws`, content.file);
    await this.#writeFloor(floor);
    const file = `content.${version}.jws`;
    for (const name of this.#others(/^content\.\d+\.jws$/, file)) this.#keep(name);
    for (const name of readdirSync(join(this.#folder, 'parts'))) {
      if (!PART_NAME.test(name) || parts.has(name)) continue;
      // After a crash in here nobody knows any more what a part of an older version was for: it is kept.
      const kind = before.get(name)?.index.name ?? 'trust';
      if (EVIDENT_PART.test(kind)) this.#keep(`parts/${name}`);
      else rmSync(join(this.#folder, 'parts', name), { force: true });
    }
  }

  /** Superseded, and what past exchanges are judged by: moved to `past/` (core/evidence/past-configuration.ts). */
  #keep(name: string): void {
    mkdirSync(join(this.#folder, PAST, 'parts'), { recursive: true, mode: 0o700 });
    renameSync(join(this.#folder, name), join(this.#folder, PAST, name));
  }

  /** The exact bytes of a stored part. */
  part(hash: string): Buffer | undefined {
    return PART_NAME.test(hash) ? this.#read(`parts/${hash}`, MAX_PART_BYTES) : undefined;
  }

  async storeFreshness(freshness: VerifiedFreshness): Promise<void> {
    await this.#write('freshness.jws', freshness.file);
  }

  #newest(kind: 'content' | 'distrust' | 'locks'): Buffer | undefined {
    const versions = readdirSync(this.#folder).flatMap((name) => {
      const found = new RegExp(`^${kind}\\.(\\d{1,15})\\.jws$`).exec(name)?.[1];
      return found === undefined ? [] : [Number(found)];
    });
    return versions.length === 0 ? undefined : this.#read(`${kind}.${Math.max(...versions)}.jws`);
  }

  #read(name: string, maxBytes = MAX_SIGNED_FILE_BYTES): Buffer | undefined {
    return readKept(join(this.#folder, name), maxBytes);
  }

  async #writeFloor(floor: HeldSet['floor']): Promise<void> {
    await this.#write('floor.json', Buffer.from(JSON.stringify(floor)));
  }

  async #write(name: string, bytes: Buffer): Promise<void> {
    await replaceFileMeanwhile(join(this.#folder, name), bytes);
  }

  #drop(pattern: RegExp, keep: string): void {
    for (const name of this.#others(pattern, keep)) rmSync(join(this.#folder, name), { force: true });
  }

  #others(pattern: RegExp, keep: string): string[] {
    return readdirSync(this.#folder).filter((name) => pattern.test(name) && name !== keep);
  }
}

/** Stored files were verified under the root of their day, which need not be the newest. Newest first. */
function underSomeRoot<T>(roots: readonly VerifiedRoot[], verify: (root: VerifiedRoot) => T): T {
  let failure: unknown;
  for (const root of roots.toReversed()) {
    try {
      return verify(root);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}
