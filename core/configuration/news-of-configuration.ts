// What one source offers, taken into the held set: roots, freshness, distrust, locks and content in the order in which each
// is the key to the next. Whoever serves the files controls their bytes; nothing is taken before it was verified
// (gather.ts). Several sources may be asked at once: between two steps of one, another may have brought the same or newer
// news, and then this one starts again with the next refresh.
//
// The disk: content counts when it is stored, so that a restart never goes back; distrust, locks and roots count at once and
// are stored after, because a full disk must not keep a stolen key trusted.
import type { ConfigurationAnchor } from '#schemas/configuration.ts';
import { MAX_FRESHNESS_BYTES } from '#schemas/configuration.ts';
import { AccordError } from '#schemas/problems.ts';
import type { ConfigurationCache, HeldSet } from './cache.ts';
import { verifyDistrust } from './distrust.ts';
import type { ConfigurationFetch } from './fetch.ts';
import { gatherContent, gatherDistrust, gatherLocks, gatherRoots, judgeFreshness, type Part } from './gather.ts';
import { isStillSigned } from './locks.ts';
import { refuseOlder, type VerifiedFreshness, type VerifiedRoot } from './verify.ts';

interface NewsOptions {
  anchor: ConfigurationAnchor;
  /** Changed in place. */
  held: HeldSet;
  cache: ConfigurationCache;
  /** Never earlier than before. */
  nowMs: () => number;
  /** Something that counts is another one now. */
  onChange: () => void;
  /** After it: a longer distrust list; of the version before it, 0 for none. */
  onDistrust: (before: number) => void;
  onFreshness: (signedAtMs: number) => void;
}

const NO_BYTES = Buffer.alloc(0);

export class NewsOfConfiguration {
  readonly #options: NewsOptions;
  readonly #held: HeldSet;
  readonly #cache: ConfigurationCache;
  /** Verified and in use, not yet on the disk. */
  #unstoredRoots: VerifiedRoot[] = [];
  #distrustUnstored = false;
  #locksUnstored = false;
  /** Parts of a content that could not be fetched whole, by hash. */
  #pending: { content: string; parts: Map<string, Part> } = { content: '', parts: new Map() };
  /** Ends when everything that was to be stored is. */
  #stored: Promise<unknown> = Promise.resolve();

  constructor(options: NewsOptions) {
    this.#options = options;
    this.#held = options.held;
    this.#cache = options.cache;
  }

  /**
   * @param etag of an earlier freshness of this source
   * @throws CONFIGURATION_*, SIGNED_FILE_*, JWS_*, JSON_*, and what fetching and the disk throw
   */
  async takeFrom(
    fetch: ConfigurationFetch,
    etag: string | undefined,
  ): Promise<{ outcome: 'updated' | 'unchanged'; etag?: string }> {
    const held = this.#held;
    const answer = await fetch.get('freshness.jws', MAX_FRESHNESS_BYTES, etag);
    if (answer === 'unchanged') return { outcome: 'unchanged' };
    const last = held.roots.at(-1);
    const roots = await gatherRoots(fetch, this.#options.anchor, last, answer.bytes);
    requireSame(held.roots.at(-1), last);
    this.#takeRoots(roots);
    const root = held.roots.at(-1);
    if (!root) throw new TypeError('a gathered chain has a root');
    const fresh = judgeFreshness(answer.bytes, root, this.#options.nowMs(), held.freshness);
    const distrusted = await this.#takeDistrust(fetch, root, fresh);
    const locked = await this.#takeLocks(fetch, root, fresh);
    await this.#inTurn(() => this.#storeUnstored());
    const updated = await this.#takeContent(fetch, root, fresh);
    await this.#inTurn(() => this.#takeFreshness(fresh));
    const outcome = updated || distrusted || locked || roots.length > 0 ? 'updated' : 'unchanged';
    return { outcome, ...(answer.etag !== undefined && { etag: answer.etag }) };
  }

  /** One after the other, whichever source brought it. */
  #inTurn<T>(store: () => Promise<T>): Promise<T> {
    const run = this.#stored.then(store);
    this.#stored = run.catch(() => {});
    return run;
  }

  #takeRoots(roots: readonly VerifiedRoot[]): void {
    if (roots.length === 0) return;
    const held = this.#held;
    held.roots.push(...roots);
    this.#unstoredRoots.push(...roots);
    const newest = held.roots.at(-1);
    // A removed approver's word counts no longer.
    if (newest && held.distrust) held.distrust = verifyDistrust(held.distrust.file, newest);
    if (newest && held.locks && !isStillSigned(held.locks, newest)) delete held.locks;
    this.#options.onChange();
  }

  /** Distrust counts at once, before the content of the same news is even asked for. */
  async #takeDistrust(fetch: ConfigurationFetch, root: VerifiedRoot, fresh: VerifiedFreshness): Promise<boolean> {
    const held = this.#held;
    const before = held.distrust;
    refuseOlder(fresh.document.distrust ?? { version: 0, hash: '' }, held.floor.distrust ?? undefined, 'distrust');
    const found = await gatherDistrust(fetch, root, fresh.document.distrust, before);
    requireSame(held.distrust, before);
    if (!found) return false;
    held.distrust = found;
    held.floor = { ...held.floor, distrust: { version: found.version, hash: found.hash } };
    this.#distrustUnstored = true;
    this.#options.onChange();
    this.#options.onDistrust(before?.version ?? 0);
    return true;
  }

  /** Like distrust: a lock counts, and a review lifts it, whatever becomes of the content of the same news. */
  async #takeLocks(fetch: ConfigurationFetch, root: VerifiedRoot, fresh: VerifiedFreshness): Promise<boolean> {
    const held = this.#held;
    const before = held.locks;
    refuseOlder(fresh.document.locks ?? { version: 0, hash: '' }, held.floor.locks ?? undefined, 'locks');
    const found = await gatherLocks(fetch, root, fresh.document.locks, this.#options.nowMs(), before);
    requireSame(held.locks, before);
    if (!found) return false;
    held.locks = found;
    held.floor = { ...held.floor, locks: { version: found.version, hash: found.hash } };
    this.#locksUnstored = true;
    this.#options.onChange();
    return true;
  }

  /** What could not be stored is tried again; a list that comes meanwhile is stored by whoever brought it. */
  async #storeUnstored(): Promise<void> {
    for (let next = this.#unstoredRoots[0]; next; next = this.#unstoredRoots[0]) {
      await this.#cache.storeRoot(next);
      this.#unstoredRoots.shift();
    }
    const { distrust, locks, floor } = this.#held;
    if (this.#distrustUnstored && distrust) {
      await this.#cache.storeDistrust(distrust, floor);
      this.#distrustUnstored = this.#held.distrust?.hash !== distrust.hash;
    }
    if (this.#locksUnstored && locks) {
      await this.#cache.storeLocks(locks, floor);
      this.#locksUnstored = this.#held.locks?.hash !== locks.hash;
    }
  }

  async #takeContent(fetch: ConfigurationFetch, root: VerifiedRoot, fresh: VerifiedFreshness): Promise<boolean> {
    const { content, floor, parts, distrust } = this.#held;
    const named = fresh.document.content;
    if (content && named.hash === content.hash && named.version === content.document.version) return false;
    if (this.#pending.content !== named.hash) this.#pending = { content: named.hash, parts: new Map() };
    const pending = this.#pending.parts;
    const known = new Map([...pending, ...parts]);
    const [nowMs, least] = [this.#options.nowMs(), floor.content ?? undefined];
    const next = await gatherContent(fetch, root, named, nowMs, least, known, distrust, (hash, part) => {
      pending.set(hash, part);
    });
    await this.#inTurn(async () => {
      const held = this.#held;
      requireSame(held.content, content);
      requireSame(held.roots.at(-1), root);
      const newest = { version: next.content.document.version, hash: next.content.hash };
      await this.#cache.storeContent(next.content, next.parts, parts, { ...held.floor, content: newest });
      held.floor = { ...held.floor, content: newest };
      held.content = next.content;
      // The bytes are on the disk now; in memory only what they say is needed.
      held.parts = new Map([...next.parts].map(([hash, { index }]) => [hash, { bytes: NO_BYTES, index }] as const));
      this.#pending = { content: '', parts: new Map() };
      this.#options.onChange();
    });
    return true;
  }

  async #takeFreshness(fresh: VerifiedFreshness): Promise<void> {
    const held = this.#held;
    // The same statement once more is no news of the time: a mirror that stands still must not stop our clock.
    if (fresh.document.signedAtMs <= (held.freshness?.document.signedAtMs ?? -1)) return;
    await this.#cache.storeFreshness(fresh);
    held.freshness = fresh;
    this.#options.onFreshness(fresh.document.signedAtMs);
  }
}

/** Two sources may be asked at once; whoever comes second starts again with the next refresh. */
function requireSame(now: unknown, before: unknown): void {
  if (now !== before) throw new AccordError('CONFIGURATION_UNAVAILABLE', 'another source brought news meanwhile');
}
