// Turns the registry's state into the published files and keeps their freshness signed. Approver keys never come here:
// a draft leaves as bytes, signatures come back from persons. The folder can be served by any web server; files are
// replaced atomically in the order parts, content (or root, or distrust, or locks), freshness, so that whoever follows a freshness
// finds everything it names. A crash in between is repaired by publishing again at the next start.
import type { KeyObject } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { thumbprint } from '#certs/keys.ts';
import { assembleSigned, type DetachedSignature, parseSignature, verifySigned } from '#certs/multi-signature.ts';
import type { Clock } from '#core/clock.ts';
import { judgeDistrust } from '#core/configuration/build-snapshot.ts';
import { distrustFile, type VerifiedDistrust, verifyDistrust } from '#core/configuration/distrust.ts';
import type { DistrustState } from '#core/configuration/distrust-in-force.ts';
import { locksVersionAt } from '#core/configuration/locks.ts';
import { hashesOf, type PartIndex, partsOf, readPart } from '#core/configuration/parts.ts';
import { payloadOf, signFreshness, signLocks } from '#core/configuration/sign.ts';
import { fileHash, keysOf, type VerifiedRoot, verifyContent, verifyNextRoot } from '#core/configuration/verify.ts';
import { replaceFile } from '#core/replace-file.ts';
import {
  CONFIGURATION_TYP,
  CONTENT_LIFETIME_MS,
  type ContentConfiguration,
  type LocksList,
  MAX_SIGNED_FILE_BYTES,
} from '#schemas/configuration.ts';
import { CLOCK_WINDOW_MS, EMERGENCY_REVIEW_MS, MAX_LOCKS } from '#schemas/limits.ts';
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

/** A statement that lay about for longer is signed anew: what was kept back may be stolen. */
const MAX_STATEMENT_AGE_MS = 86_400_000;

const DISTRUST_DEPENDS_ON = /^(?:members\/|trust$|limits$)/;

export class Publisher {
  readonly #options: PublisherOptions;
  #root: VerifiedRoot;
  #distrust: VerifiedDistrust | undefined;
  readonly #parts = new Map<string, { hash: string; index: PartIndex }>();
  #generation = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#root = options.firstRoot;
    const { store, folder } = options;
    for (const { version, file } of store.published('root')) {
      if (version > this.#root.document.version) this.#root = verifyNextRoot(file, this.#root);
    }
    const statements = store.distrust().map(({ jws }) => jws);
    if (statements.length > 0) {
      this.#distrust = verifyDistrust(distrustFile(options.instance, statements), this.#root);
    }
    mkdirSync(join(folder, 'parts'), { recursive: true });
    this.writeAll();
  }

  get root(): VerifiedRoot {
    return this.#root;
  }

  /** Another number whenever something else may be published. */
  get generation(): number {
    return this.#generation;
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
      const hash = fileHash(bytes);
      // What an earlier draft held was read then: most of the dictionary and of the tables, each time.
      if (store.part(hash)) continue;
      readPart(name, bytes, instance);
      store.putPart(hash, bytes);
    }
    const issuedAtMs = clock.nowMs();
    const content: ContentConfiguration = {
      v: 1,
      instance,
      version,
      root: { version: this.#root.document.version, hash: this.#root.hash },
      previous: previous ? { version: previous.version, hash: previous.hash } : null,
      parts: hashesOf(files),
      // Before the first content there is no freshness, so nobody could fetch the list that approvers confirm.
      distrust: previous && this.#distrust ? { version: this.#distrust.version, hash: this.#distrust.hash } : null,
      distrustLifted: previous ? store.distrust().flatMap(({ hash, lifted }) => (lifted ? [hash] : [])) : [],
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
    const published = store.isPublished('content', version);
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
    if (store.isPublished('content', version)) return;
    this.#requireNext(version, draft.payload);
    const file = this.#tryAssemble(version);
    if (!file && must) throw new AccordError('CONFIGURATION_THRESHOLD', `draft ${version}`);
    if (!file) return;
    verifyContent(file, this.#root, clock.nowMs(), store.newestPublished('content'));
    store.putPublished('content', version, fileHash(file), file);
    store.officials.notePublished(this.part('officials')?.officials ?? [], clock.nowMs());
  }

  /** The next root, signed under the old and the new thresholds. Inside a transaction. @throws as verifyNextRoot */
  addRoot(file: Buffer): VerifiedRoot {
    const next = verifyNextRoot(file, this.#root);
    if (!next.document.roles.freshness.kids.includes(thumbprint(this.#options.freshnessKey))) {
      // Every client would refuse the freshness from the next minute on.
      throw new AccordError('CONFIGURATION_INVALID', "the root does not name this registry's online key");
    }
    this.#options.store.putPublished('root', next.document.version, next.hash, file);
    return next;
  }

  /**
   * One more statement of distrust. Inside a transaction.
   * @throws DISTRUST_REFUSED when it would not count at the clients, and as verifyDistrust
   */
  addDistrust(jws: string): VerifiedDistrust {
    const { store, clock, instance } = this.#options;
    const before = this.#distrust?.entries.map((entry) => entry.jws) ?? [];
    if (before.includes(jws)) throw new AccordError('REGISTRATION_EXISTS', 'this statement');
    const file = distrustFile(instance, [...before, jws]);
    if (file.length > MAX_SIGNED_FILE_BYTES) throw new AccordError('DISTRUST_REFUSED', 'the list is full');
    const next = verifyDistrust(file, this.#root, this.#distrust);
    const added = next.entries.at(-1);
    if (!added) throw new TypeError('a grown list has a last statement');
    const ageMs = clock.nowMs() - added.statement.atMs;
    if (ageMs > MAX_STATEMENT_AGE_MS || ageMs < -CLOCK_WINDOW_MS) {
      throw new AccordError('DISTRUST_REFUSED', 'signed more than a day ago, or in the future');
    }
    const said = this.distrustStates(next).at(-1)?.counts;
    if (said !== 'yes') throw new AccordError('DISTRUST_REFUSED', said ?? '');
    store.addDistrust(added.hash, jws);
    return next;
  }

  /** Certificate or key hashes and kids that a statement names which no draft is to lift: not registered again. */
  isListed(value: string): boolean {
    const lifted = new Set(this.#options.store.distrust().flatMap((row) => (row.lifted ? [row.hash] : [])));
    return (this.#distrust?.entries ?? []).some((each) => each.statement.value === value && !lifted.has(each.hash));
  }

  /** When the earliest statement says so that `isListed` sees; undefined when there is none. */
  listedSinceMs(value: string): number | undefined {
    if (!this.isListed(value)) return undefined;
    const all = this.#distrust?.entries ?? [];
    return Math.min(...all.flatMap(({ statement }) => (statement.value === value ? [statement.atMs] : [])));
  }

  /** How long after its end an emergency is to be reviewed, as approved. */
  reviewMs(): number {
    const minutes = this.part('limits')?.limits?.emergencyReviewMinutes;
    return minutes === undefined ? EMERGENCY_REVIEW_MS : minutes * 60_000;
  }

  /** Every statement, and whether it counts at the clients now. */
  distrustStates(list = this.#distrust): DistrustState[] {
    const { store, instance } = this.#options;
    const content = this.#publishedContent();
    const parts = Object.entries(content?.parts ?? {}).flatMap(([name, hash]) => {
      const bytes = DISTRUST_DEPENDS_ON.test(name) ? store.part(hash) : undefined;
      return bytes ? [readPart(name, bytes, instance)] : [];
    });
    return judgeDistrust(list, content ?? { distrust: null, distrustLifted: [] }, this.#root, parts);
  }

  /** After a commit: what was committed counts and is written. */
  accept(change: { root?: VerifiedRoot; distrust?: VerifiedDistrust }): void {
    this.#root = change.root ?? this.#root;
    this.#distrust = change.distrust ?? this.#distrust;
    // A removed approver's word counts no longer; a lower root of a request that came earlier never gets here.
    if (change.root && this.#distrust) this.#distrust = verifyDistrust(this.#distrust.file, this.#root);
    this.writeAll();
  }

  /** Writes what the store says is published, and a new freshness. Safe to repeat. */
  writeAll(): void {
    const { store, folder, firstRoot } = this.#options;
    this.#generation++;
    this.#write(`root.${firstRoot.document.version}.jws`, firstRoot.file);
    for (const { version, file } of store.published('root')) this.#write(`root.${version}.jws`, file);
    if (this.#distrust) this.#write(`distrust.${this.#distrust.version}.jws`, this.#distrust.file);
    const content = store.newestPublished('content');
    if (!content) return;
    for (const hash of Object.values(this.#publishedContent()?.parts ?? {})) {
      if (existsSync(join(folder, 'parts', hash))) continue;
      const bytes = store.part(hash);
      if (bytes) replaceFile(join(folder, 'parts', hash), bytes);
    }
    this.#write(`content.${content.version}.jws`, content.file);
    this.refreshFreshness();
  }

  /** Signs anew what is published, and who is locked now; every minute, and after each change. */
  refreshFreshness(): void {
    const { store, clock, folder, freshnessKey, instance } = this.#options;
    const content = store.newestPublished('content');
    if (!content) return;
    const locks = this.#refreshLocks();
    const file = signFreshness(
      {
        instance,
        root: { version: this.#root.document.version, hash: this.#root.hash },
        content: { version: content.version, hash: content.hash },
        distrust: this.#distrust ? { version: this.#distrust.version, hash: this.#distrust.hash } : null,
        locks,
        signedAtMs: clock.nowMs(),
      },
      freshnessKey,
    );
    replaceFile(join(folder, 'freshness.jws'), file);
  }

  /**
   * The newest list of locks: signed anew when somebody is to be added or taken away, or under another online key. Durable
   * before it is written, so that no number is ever used twice.
   */
  #refreshLocks(): { version: number; hash: string } {
    const { store, clock, freshnessKey, instance } = this.#options;
    const locks = store.emergencies.overdue(clock.nowMs(), this.reviewMs(), MAX_LOCKS);
    let newest = store.newestPublished('locks');
    if (!newest || !this.#isStillRight(newest.file, locks)) {
      const version = locksVersionAt(clock.nowMs(), newest?.version ?? 0);
      const file = signLocks({ instance, version, locks }, freshnessKey);
      newest = { version, hash: fileHash(file), file };
      store.putPublished('locks', version, newest.hash, file);
    }
    this.#write(`locks.${newest.version}.jws`, newest.file);
    return { version: newest.version, hash: newest.hash };
  }

  /** Our own file: signed by the key in use, and naming these. */
  #isStillRight(file: Buffer, locks: LocksList['locks']): boolean {
    const [header = '', payload = ''] = file.toString('latin1').split('.', 2);
    const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Partial<LocksList>;
    const { kid } = read(header) as { kid?: string };
    if (kid !== thumbprint(this.#options.freshnessKey)) return false;
    const named = read(payload).locks ?? [];
    const text = (list: LocksList['locks']) =>
      list.map(({ subsystem, emergency }) => [subsystem, emergency]).join('\n');
    return text(named) === text(locks);
  }

  /** Hashes of the published content's parts by name; none before the first content. */
  partHashes(): Readonly<Record<string, string>> {
    return this.#publishedContent()?.parts ?? {};
  }

  /** One part of the published content, read once as long as it stays the same. */
  part(name: 'limits' | 'officials' | 'witnesses' | 'time-stamps'): PartIndex | undefined {
    const hash = this.#publishedContent()?.parts[name];
    if (hash === undefined) return undefined;
    const known = this.#parts.get(name);
    if (known?.hash === hash) return known.index;
    const bytes = this.#options.store.part(hash);
    const index = bytes && readPart(name, bytes, this.#options.instance);
    if (index) this.#parts.set(name, { hash, index });
    return index;
  }

  #publishedContent(): ContentConfiguration | undefined {
    const { store } = this.#options;
    const version = store.newestPublished('content')?.version;
    const payload = version === undefined ? undefined : store.draft(version)?.payload;
    return payload && (JSON.parse(payload.toString()) as ContentConfiguration);
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
    // One of an approver whom a later root removed would spoil the others.
    const { kids } = this.#root.document.roles.content;
    const signatures = store.signatures(version).filter(({ kid }) => kids.includes(kid));
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
