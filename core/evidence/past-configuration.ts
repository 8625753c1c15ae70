// The global configuration of an exchange's day, out of a server's own copy: the content in force now, and the ones before
// it that the copy kept (core/configuration/cache.ts). Read for an evidence pack, also while the server runs and moves
// files; nothing is verified here, because whoever checks the pack does that. The folder's owner controls what is read.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EVIDENT_PART, PAST } from '#core/configuration/cache.ts';
import { partShardOf, readPart } from '#core/configuration/parts.ts';
import { readKept } from '#core/configuration/read-kept.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { type ContentConfiguration, MAX_PART_BYTES, MAX_SIGNED_FILE_BYTES } from '#schemas/configuration.ts';
import { memberOf } from '#schemas/identifiers.ts';
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';

export interface HeldContent {
  file: Buffer;
  document: ContentConfiguration;
}

export class PastConfiguration {
  readonly #folder: string;
  readonly #contents = new Map<number, string>();
  readonly #read = new Map<number, HeldContent>();

  /** @param folder the server's copy of the configuration. @throws CONFIGURATION_MISSING */
  constructor(folder: string) {
    this.#folder = folder;
    // A version that moves between the two readings is found in one of them.
    for (const place of ['', PAST, '']) {
      for (const name of namesIn(join(folder, place))) {
        const version = Number(/^content\.([1-9]\d{0,14})\.jws$/.exec(name)?.[1] ?? 0);
        if (version > 0) this.#contents.set(version, join(place, name));
      }
    }
    if (this.#contents.size === 0) throw new AccordError('CONFIGURATION_MISSING', folder);
  }

  /** root.N.jws, ascending, up to the one with this version. */
  roots(last: number): Buffer[] {
    const found: Buffer[] = [];
    for (let version = last; version > 0; version--) {
      const file = readKept(join(this.#folder, `root.${version}.jws`), MAX_SIGNED_FILE_BYTES);
      if (file === undefined) break;
      found.unshift(file);
    }
    return found;
  }

  /** @throws CONFIGURATION_MISSING */
  content(version: number): HeldContent {
    const known = this.#read.get(version);
    if (known !== undefined) return known;
    const file = this.#file(`content.${version}.jws`, MAX_SIGNED_FILE_BYTES);
    if (file === undefined) throw new AccordError('CONFIGURATION_MISSING', `content ${version}`);
    const { payload } = JSON.parse(file.toString('utf8')) as { payload: string };
    const document = JSON.parse(fromBase64url(payload).toString('utf8')) as ContentConfiguration;
    const held = { file, document };
    this.#read.set(version, held);
    return held;
  }

  /** The versions kept, this one first, then those issued by then, newest first, then the later ones. */
  versionsNear(version: number, atMs: number): number[] {
    const others = [...this.#contents.keys()].filter((one) => one !== version).sort((a, b) => b - a);
    const wasIssued = (one: number) => this.content(one).document.issuedAtMs <= atMs + CLOCK_WINDOW_MS;
    const [before, after] = [others.filter(wasIssued), others.filter((one) => !wasIssued(one))];
    return [...(this.#contents.has(version) ? [version] : []), ...before, ...after.reverse()];
  }

  nearest(version: number, atMs: number): number {
    return this.versionsNear(version, atMs)[0] ?? version;
  }

  /** A part by its hash; undefined when it was not kept. Not verified. */
  part(hash: string): Buffer | undefined {
    return this.#file(join('parts', hash), MAX_PART_BYTES);
  }

  /** The parts of a content that evidence between these servers needs, by their file names in a pack. */
  parts(version: number, servers: readonly string[]): Map<string, Buffer> {
    const shards = servers.map((server) => `members/${partShardOf(memberOf(server))}`);
    const found = new Map<string, Buffer>();
    for (const [name, hash] of Object.entries(this.content(version).document.parts)) {
      if (!EVIDENT_PART.test(name) || (name.startsWith('members/') && !shards.includes(name))) continue;
      const bytes = this.#file(join('parts', hash), MAX_PART_BYTES);
      if (bytes !== undefined) found.set(name.replace('/', '.'), bytes);
    }
    return found;
  }

  /** Certificates of the time-stamp authorities that a content names, and lists about them, DER; none where it names none. */
  stamping(version: number): { certificates: Buffer[]; crls: Buffer[] } {
    const hash = this.content(version).document.parts['time-stamps'];
    const bytes = hash === undefined ? undefined : this.part(hash);
    if (bytes === undefined) return { certificates: [], crls: [] };
    const { timeStamps } = readPart('time-stamps', bytes, this.content(version).document.instance);
    return {
      certificates: timeStamps?.authorities.flatMap((one) => one.certificates.map(fromBase64url)) ?? [],
      crls: timeStamps?.crls?.map(fromBase64url) ?? [],
    };
  }

  /** From where it lies; looked for again, because the server may move it meanwhile. */
  #file(name: string, maxBytes: number): Buffer | undefined {
    for (const place of ['', PAST, '']) {
      const bytes = readKept(join(this.#folder, place, name), maxBytes);
      if (bytes !== undefined) return bytes;
    }
    return undefined;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
