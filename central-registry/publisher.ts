// Turns the registry's state into the published files and keeps their freshness signed. Approver keys never come here:
// a draft leaves as bytes, signatures come back from persons. The folder can be served by any web server; files are
// replaced atomically in the order parts, content (or root, or distrust), freshness, so that whoever follows a freshness
// finds everything it names. A crash in between is repaired by publishing again at the next start.
import type { KeyObject } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { assembleSigned, type DetachedSignature, parseSignature, verifySigned } from '#certs/multi-signature.ts';
import type { Clock } from '#core/clock.ts';
import { hashesOf, partsOf, readPart } from '#core/configuration/parts.ts';
import { payloadOf, signFreshness } from '#core/configuration/sign.ts';
import {
  fileHash,
  keysOf,
  type VerifiedDistrust,
  type VerifiedRoot,
  verifyContent,
  verifyDistrust,
  verifyNextRoot,
} from '#core/configuration/verify.ts';
import { replaceFile } from '#core/replace-file.ts';
import { CONFIGURATION_TYP, CONTENT_LIFETIME_MS, type ContentConfiguration } from '#schemas/configuration.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { RegistryStore } from './store-sqlite.ts';

export interface PublisherOptions {
  instance: string;
  store: RegistryStore;
  clock: Clock;
  /** The published files. */
  folder: string;
  /** The online key. */
  freshnessKey: KeyObject;
  /** Verified from the first root on, by whoever opened the registry. */
  firstRoot: VerifiedRoot;
}

export interface DraftState {
  version: number;
  /** base64url; what approvers sign. */
  payload: string;
  state: 'open' | 'approved' | 'published' | 'superseded';
  signedBy: string[];
}

export class Publisher {
  readonly #options: PublisherOptions;
  #root: VerifiedRoot;
  #distrust: VerifiedDistrust | undefined;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#root = options.firstRoot;
    const { store, folder } = options;
    const roots = [this.#root];
    for (const { version, file } of store.published('root')) {
      if (version > this.#root.document.version) this.#root = verifyNextRoot(file, this.#root);
      roots.unshift(this.#root);
    }
    for (const { file } of store.published('distrust')) this.#distrust = verifyUnderAny(roots, file, this.#distrust);
    mkdirSync(join(folder, 'parts'), { recursive: true });
    this.writeAll();
  }

  get root(): VerifiedRoot {
    return this.#root;
  }

  get distrust(): VerifiedDistrust | undefined {
    return this.#distrust;
  }

  /** A draft of the next content from the present state. Version numbers are never used twice. Inside a transaction. */
  makeDraft(by: string): DraftState {
    const { store, clock, instance } = this.#options;
    const previous = store.newestPublished('content');
    const version = Math.max(previous?.version ?? 0, store.newestDraft()) + 1;
    const files = partsOf(store.state());
    for (const [name, bytes] of files) {
      readPart(name, bytes, instance);
      store.putPart(fileHash(bytes), bytes);
    }
    const issuedAtMs = clock.nowMs();
    const content: ContentConfiguration = {
      v: 1,
      instance,
      version,
      root: { version: this.#root.document.version, hash: this.#root.hash },
      previous: previous ? { version: previous.version, hash: previous.hash } : null,
      parts: hashesOf(files),
      issuedAtMs,
      expiresAtMs: issuedAtMs + CONTENT_LIFETIME_MS,
    };
    store.addDraft(version, payloadOf(content), issuedAtMs, by);
    return this.draft(version);
  }

  /** @throws DRAFT_UNKNOWN */
  draft(version: number): DraftState {
    const { store } = this.#options;
    const draft = store.draft(version);
    if (!draft) throw new AccordError('DRAFT_UNKNOWN', String(version));
    const signedBy = store.signatures(version).map(({ kid }) => kid);
    const newest = store.newestPublished('content')?.version ?? 0;
    const published = store.published('content').some((each) => each.version === version);
    const open = this.#tryAssemble(version) ? 'approved' : 'open';
    const state = published ? 'published' : version <= newest ? 'superseded' : open;
    return { version, payload: draft.payload.toString('base64url'), state, signedBy };
  }

  /**
   * Takes one approver's signature; with enough of them the content is published. Inside a transaction; files follow
   * with `writeAll` after the commit.
   * @throws DRAFT_UNKNOWN, DRAFT_SUPERSEDED, SIGNED_FILE_*, JWS_*
   */
  sign(version: number, one: DetachedSignature): DraftState {
    const { store } = this.#options;
    const draft = store.draft(version);
    if (!draft) throw new AccordError('DRAFT_UNKNOWN', String(version));
    this.#requireNext(version, draft.payload);
    const { roles } = this.#root.document;
    const signed = parseSignature(draft.payload, one, CONFIGURATION_TYP.content);
    verifySigned(signed, keysOf(this.#root.document, roles.content.kids));
    store.putSignature(version, one);
    this.publish(version, false);
    return this.draft(version);
  }

  /** Publishes an approved draft. @throws CONFIGURATION_THRESHOLD (when `must`), DRAFT_SUPERSEDED, CONFIGURATION_EXPIRED */
  publish(version: number, must: boolean): void {
    const { store, clock } = this.#options;
    const draft = store.draft(version);
    if (!draft) throw new AccordError('DRAFT_UNKNOWN', String(version));
    if (store.published('content').some((each) => each.version === version)) return;
    this.#requireNext(version, draft.payload);
    const file = this.#tryAssemble(version);
    if (!file && must) throw new AccordError('CONFIGURATION_THRESHOLD', `draft ${version}`);
    if (!file) return;
    verifyContent(file, this.#root, clock.nowMs(), store.newestPublished('content'));
    store.putPublished('content', version, fileHash(file), file);
  }

  /** The next root, signed under the old and the new thresholds. Inside a transaction. @throws as verifyNextRoot */
  addRoot(file: Buffer): VerifiedRoot {
    const next = verifyNextRoot(file, this.#root);
    this.#options.store.putPublished('root', next.document.version, next.hash, file);
    return next;
  }

  /** A grown distrust list, signed by an approver. Inside a transaction. @throws as verifyDistrust */
  addDistrust(file: Buffer): VerifiedDistrust {
    const next = verifyDistrust(file, this.#root, this.#distrust);
    if (next.document.version !== (this.#distrust?.document.version ?? 0) + 1) {
      throw new AccordError('CONFIGURATION_INVALID', 'not the next distrust list');
    }
    this.#options.store.putPublished('distrust', next.document.version, next.hash, file);
    return next;
  }

  /** After a commit: what was committed counts and is written. */
  accept(change: { root?: VerifiedRoot; distrust?: VerifiedDistrust }): void {
    this.#root = change.root ?? this.#root;
    this.#distrust = change.distrust ?? this.#distrust;
    this.writeAll();
  }

  /** Writes what the store says is published, and a new freshness. Safe to repeat. */
  writeAll(): void {
    const { store, folder, firstRoot } = this.#options;
    this.#write(`root.${firstRoot.document.version}.jws`, firstRoot.file);
    for (const { version, file } of store.published('root')) this.#write(`root.${version}.jws`, file);
    for (const { version, file } of store.published('distrust')) this.#write(`distrust.${version}.jws`, file);
    const content = store.newestPublished('content');
    if (!content) return;
    const payload = store.draft(content.version)?.payload;
    const { parts } = JSON.parse(payload?.toString() ?? '{"parts":{}}') as ContentConfiguration;
    for (const hash of Object.values(parts)) {
      if (existsSync(join(folder, 'parts', hash))) continue;
      const bytes = store.part(hash);
      if (bytes) replaceFile(join(folder, 'parts', hash), bytes);
    }
    this.#write(`content.${content.version}.jws`, content.file);
    this.refreshFreshness();
  }

  /** Signs anew what is published; every minute, and after each change. */
  refreshFreshness(): void {
    const { store, clock, folder, freshnessKey, instance } = this.#options;
    const content = store.newestPublished('content');
    if (!content) return;
    const file = signFreshness(
      {
        instance,
        root: { version: this.#root.document.version, hash: this.#root.hash },
        content: { version: content.version, hash: content.hash },
        distrust: this.#distrust ? { version: this.#distrust.document.version, hash: this.#distrust.hash } : null,
        signedAtMs: clock.nowMs(),
      },
      freshnessKey,
    );
    replaceFile(join(folder, 'freshness.jws'), file);
  }

  /** A draft made before something else was published may not follow it. */
  #requireNext(version: number, payload: Buffer): void {
    const newest = this.#options.store.newestPublished('content');
    const { previous } = JSON.parse(payload.toString()) as ContentConfiguration;
    const follows = (previous?.hash ?? '') === (newest?.hash ?? '') || newest?.version === version;
    if (!follows || version < (newest?.version ?? 0)) throw new AccordError('DRAFT_SUPERSEDED', String(version));
  }

  #tryAssemble(version: number): Buffer | undefined {
    const { store, clock } = this.#options;
    const draft = store.draft(version);
    const signatures = store.signatures(version);
    if (!draft || signatures.length === 0) return undefined;
    const file = assembleSigned(draft.payload, signatures);
    try {
      verifyContent(file, this.#root, clock.nowMs());
      return file;
    } catch (error) {
      if (isAccordError(error)) return undefined;
      throw error;
    }
  }

  #write(name: string, file: Buffer): void {
    const path = join(this.#options.folder, name);
    if (!existsSync(path)) replaceFile(path, file);
  }
}

/** Lists of former days were signed by the approvers of their day. Newest root first. */
function verifyUnderAny(
  roots: readonly VerifiedRoot[],
  file: Buffer,
  previous: VerifiedDistrust | undefined,
): VerifiedDistrust {
  const [root, ...older] = roots;
  if (!root) throw new TypeError('there is always a root');
  try {
    return verifyDistrust(file, root, previous);
  } catch (error) {
    if (older.length === 0) throw error;
    return verifyUnderAny(older, file, previous);
  }
}
