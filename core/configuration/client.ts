// The configuration client of a security server: keeps the newest verified configuration in memory and on disk, asks the
// registry (or any mirror) every minute, and says how fresh what it holds is. It is never asked on the way of a request
// to wait for anything: `current()` is what was verified last. A registry that is away, or that serves something wrong,
// changes nothing but the age of the news.
import type { Clock } from '#core/clock.ts';
import type { ConfigurationAnchor } from '#schemas/configuration.ts';
import { DEFAULT_MAX_STALE_MS, MAX_FRESHNESS_BYTES } from '#schemas/configuration.ts';
import { CONFIGURATION_LATE_MS, CONFIGURATION_SOURCE_TIMEOUT_MS } from '#schemas/limits.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { buildSnapshot, judgeDistrust } from './build-snapshot.ts';
import { ConfigurationCache, type HeldSet } from './cache.ts';
import { verifyDistrust } from './distrust.ts';
import { type ConfigurationFetch, withinTime } from './fetch.ts';
import { gatherContent, gatherDistrust, gatherLocks, gatherRoots, judgeFreshness, type Part } from './gather.ts';
import { isStillSigned } from './locks.ts';
import { type HeldFiles, serveHeld } from './serve-held.ts';
import type { ConfigurationSnapshot, ConfigurationSource, Freshness } from './snapshot.ts';
import { refuseOlder, type VerifiedFreshness, type VerifiedRoot } from './verify.ts';

export interface ConfigurationClientOptions {
  /** Where the durable copy lies; belongs to this client alone. */
  folder: string;
  anchor: ConfigurationAnchor;
  clock: Clock;
  /**
   * Sources in the order of preference; each `refresh` asks the first, and the next ones while what came is not fresh:
   * a mirror that stands still, or is slow, holds nobody back.
   */
  fetch: readonly ConfigurationFetch[];
  /** Stale configuration is used this long; the approved limit of the instance, when lower, wins. Default 24 h. */
  maxStaleMs?: number;
  /** Default 60 s; 0 never asks by itself. */
  pollMs?: number;
  /** Told of everything that is not mere absence: forks, rollbacks, wrong signatures, a damaged copy. */
  onAlarm?: (code: ProblemCode, detail: string) => void;
  /** How long one source may take for one refresh. */
  sourceTimeoutMs?: number;
}

interface RefreshResult {
  outcome: 'updated' | 'unchanged' | 'failed';
  /** Of the content in use; 0 when there is none. */
  version: number;
  code?: ProblemCode;
  detail?: string;
}

/** For the health page. */
interface ConfigurationStatus {
  freshness: Freshness;
  version: number;
  hash: string;
  distrustVersion: number;
  rootVersion: number;
  /** When the newest freshness was signed; 0 when none ever came. */
  signedAtMs: number;
  lastResult: RefreshResult | undefined;
}

export interface ConfigurationClient extends ConfigurationSource {
  /** Asks now. Never rejects for what a source does or fails to do. */
  refresh(): Promise<RefreshResult>;
  /**
   * Takes what is newer from one more source, which may be anybody: everything is verified alike. Runs beside `refresh`,
   * so that a registry that hangs does not keep a peer's news waiting. Never rejects.
   * @param from who it is, for the alarm
   */
  refreshFrom(fetch: ConfigurationFetch, from: string): Promise<RefreshResult>;
  /** What is held, as files for others. */
  files: HeldFiles;
  status(): ConfigurationStatus;
  close(): Promise<void>;
}

const DEFAULT_POLL_MS = 60_000;
const NO_BYTES = Buffer.alloc(0);
/** Answers that mean absence, not attack. */
const ABSENT: ReadonlySet<string> = new Set([
  'PEER_UNREACHABLE',
  'PEER_TIMEOUT',
  'PEER_BROKE_OFF',
  'CONFIGURATION_UNAVAILABLE',
]);

/**
 * Loads and verifies the durable copy, then asks the sources once. Resolves also when none of them answers: then
 * `current()` is the stored configuration, or throws CONFIGURATION_MISSING.
 */
export async function openConfigurationClient(options: ConfigurationClientOptions): Promise<ConfigurationClient> {
  const client = new Client(options);
  await client.refresh();
  client.poll();
  return client;
}

const MAX_EXTRA_SOURCES_AT_ONCE = 4;

class Client implements ConfigurationClient {
  readonly files: HeldFiles;
  readonly #options: ConfigurationClientOptions;
  readonly #cache: ConfigurationCache;
  readonly #held: HeldSet;
  readonly #listeners = new Set<() => void>();
  readonly #etags = new Map<ConfigurationFetch, string>();
  readonly #extra = new Set<Promise<RefreshResult>>();
  #snapshot: ConfigurationSnapshot | undefined;
  /** Verified and in use, not yet on the disk. */
  #unstoredRoots: VerifiedRoot[] = [];
  #distrustUnstored = false;
  #locksUnstored = false;
  /** Parts of a content that could not be fetched whole, by hash. */
  #pending: { content: string; parts: Map<string, Part> } = { content: '', parts: new Map() };
  /** A time that was not later than now at this moment of the monotonic clock: signed times and what passed since. */
  #base: { atMs: number; monotonicMs: number };
  #lastResult: RefreshResult | undefined;
  #running: Promise<RefreshResult> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ConfigurationClientOptions) {
    this.#options = options;
    this.#cache = new ConfigurationCache(options.folder);
    this.#held = this.#cache.load(options.anchor, (what, error) => {
      const code = isAccordError(error) ? error.code : String((error as Error).message);
      options.onAlarm?.('CONFIGURATION_CACHE_CORRUPT', `${what}: ${code}`);
    });
    this.files = serveHeld(this.#held, this.#cache);
    this.#base = {
      atMs: this.#held.freshness?.document.signedAtMs ?? 0,
      monotonicMs: options.clock.monotonicMs(),
    };
    this.#rebuild();
  }

  current(): ConfigurationSnapshot {
    if (!this.#snapshot) throw new AccordError('CONFIGURATION_MISSING');
    return this.#snapshot;
  }

  freshness(): Freshness {
    const { freshness, content } = this.#held;
    const root = this.#held.roots.at(-1);
    if (!freshness || !content || !root) return 'too-old';
    const nowMs = this.#nowMs();
    if (content.document.expiresAtMs <= nowMs || root.document.expiresAtMs <= nowMs) return 'too-old';
    if (nowMs < freshness.document.expiresAtMs) return 'fresh';
    return nowMs - freshness.document.signedAtMs <= this.#maxStaleMs() ? 'stale' : 'too-old';
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  status(): ConfigurationStatus {
    const { content, distrust, roots, freshness } = this.#held;
    return {
      freshness: this.freshness(),
      version: content?.document.version ?? 0,
      hash: content?.hash ?? '',
      distrustVersion: distrust?.version ?? 0,
      rootVersion: roots.at(-1)?.document.version ?? 0,
      signedAtMs: freshness?.document.signedAtMs ?? 0,
      lastResult: this.#lastResult,
    };
  }

  refresh(): Promise<RefreshResult> {
    this.#running ??= this.#refreshFromAny().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  refreshFrom(fetch: ConfigurationFetch, from: string): Promise<RefreshResult> {
    if (this.#closed || this.#extra.size >= MAX_EXTRA_SOURCES_AT_ONCE) {
      return Promise.resolve(this.#failed('CONFIGURATION_UNAVAILABLE', 'enough sources are being asked'));
    }
    const run: Promise<RefreshResult> = this.#attempt(fetch, from).finally(() => this.#extra.delete(run));
    this.#extra.add(run);
    return run;
  }

  poll(): void {
    const everyMs = this.#options.pollMs ?? DEFAULT_POLL_MS;
    if (everyMs === 0 || this.#closed) return;
    this.#timer = setTimeout(() => void this.refresh().finally(() => this.poll()), everyMs);
    this.#timer.unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await Promise.all([this.#running, ...this.#extra]);
  }

  async #refreshFromAny(): Promise<RefreshResult> {
    let result: RefreshResult = this.#failed('CONFIGURATION_UNAVAILABLE', 'no source is configured');
    let good: RefreshResult | undefined;
    for (const fetch of this.#options.fetch) {
      result = await this.#attempt(fetch);
      if (result.outcome !== 'failed' && good?.outcome !== 'updated') good = result;
      if (good && !this.#isLate()) break;
    }
    this.#lastResult = good ?? result;
    return this.#lastResult;
  }

  /** One source, in the time it has. A full disk or a fault of ours must not end the poll: the last good one stays. */
  async #attempt(fetch: ConfigurationFetch, from = ''): Promise<RefreshResult> {
    const bounded = withinTime(fetch, this.#options.sourceTimeoutMs ?? CONFIGURATION_SOURCE_TIMEOUT_MS);
    try {
      return { outcome: await this.#takeFrom(fetch, bounded), version: this.#version() };
    } catch (error) {
      this.#etags.delete(fetch);
      const result = isAccordError(error)
        ? this.#failed(error.code, from ? `${error.detail} (from ${from})` : error.detail)
        : this.#failed('INTERNAL', String(error));
      if (!ABSENT.has(result.code ?? '')) this.#options.onAlarm?.(result.code ?? 'INTERNAL', result.detail ?? '');
      return result;
    } finally {
      bounded.end();
    }
  }

  #failed(code: ProblemCode, detail: string): RefreshResult {
    return { outcome: 'failed', version: this.#version(), code, detail };
  }

  /** @param source what the ETag is remembered for */
  async #takeFrom(source: ConfigurationFetch, fetch: ConfigurationFetch): Promise<'updated' | 'unchanged'> {
    const held = this.#held;
    const answer = await fetch.get('freshness.jws', MAX_FRESHNESS_BYTES, this.#etags.get(source));
    if (answer === 'unchanged') return 'unchanged';
    const last = held.roots.at(-1);
    const roots = await gatherRoots(fetch, this.#options.anchor, last, answer.bytes);
    this.#requireSame(held.roots.at(-1), last);
    this.#takeRoots(roots);
    const root = held.roots.at(-1);
    if (!root) throw new TypeError('a gathered chain has a root');
    const fresh = judgeFreshness(answer.bytes, root, this.#nowMs(), held.freshness);
    const distrusted = await this.#takeDistrust(fetch, root, fresh);
    const locked = await this.#takeLocks(fetch, root, fresh);
    this.#storeUnstored();
    const updated = await this.#takeContent(fetch, root, fresh);
    this.#takeFreshness(fresh);
    if (answer.etag !== undefined && this.#options.fetch.includes(source)) this.#etags.set(source, answer.etag);
    return updated || distrusted || locked || roots.length > 0 ? 'updated' : 'unchanged';
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
    this.#changed();
  }

  /** Distrust counts at once, before the content of the same news is even asked for. */
  async #takeDistrust(fetch: ConfigurationFetch, root: VerifiedRoot, fresh: VerifiedFreshness): Promise<boolean> {
    const held = this.#held;
    const before = held.distrust;
    refuseOlder(fresh.document.distrust ?? { version: 0, hash: '' }, held.floor.distrust ?? undefined, 'distrust');
    const found = await gatherDistrust(fetch, root, fresh.document.distrust, before);
    this.#requireSame(held.distrust, before);
    if (!found) return false;
    held.distrust = found;
    held.floor = { ...held.floor, distrust: { version: found.version, hash: found.hash } };
    this.#distrustUnstored = true;
    this.#changed();
    this.#tellUncounted(before?.version ?? 0);
    return true;
  }

  /** Like distrust: a lock counts, and a review lifts it, whatever becomes of the content of the same news. */
  async #takeLocks(fetch: ConfigurationFetch, root: VerifiedRoot, fresh: VerifiedFreshness): Promise<boolean> {
    const held = this.#held;
    const before = held.locks;
    refuseOlder(fresh.document.locks ?? { version: 0, hash: '' }, held.floor.locks ?? undefined, 'locks');
    const found = await gatherLocks(fetch, root, fresh.document.locks, this.#nowMs(), before);
    this.#requireSame(held.locks, before);
    if (!found) return false;
    held.locks = found;
    held.floor = { ...held.floor, locks: { version: found.version, hash: found.hash } };
    this.#locksUnstored = true;
    this.#changed();
    return true;
  }

  /** After it counts: a full disk must not keep a stolen key trusted. What could not be stored is tried again. */
  #storeUnstored(): void {
    for (let next = this.#unstoredRoots[0]; next; next = this.#unstoredRoots[0]) {
      this.#cache.storeRoot(next);
      this.#unstoredRoots.shift();
    }
    const { distrust, locks, floor } = this.#held;
    if (this.#distrustUnstored && distrust) this.#cache.storeDistrust(distrust, floor);
    this.#distrustUnstored = false;
    if (this.#locksUnstored && locks) this.#cache.storeLocks(locks, floor);
    this.#locksUnstored = false;
  }

  async #takeContent(fetch: ConfigurationFetch, root: VerifiedRoot, fresh: VerifiedFreshness): Promise<boolean> {
    const held = this.#held;
    const { content, floor, parts, distrust } = held;
    const named = fresh.document.content;
    if (content && named.hash === content.hash && named.version === content.document.version) return false;
    if (this.#pending.content !== named.hash) this.#pending = { content: named.hash, parts: new Map() };
    const pending = this.#pending.parts;
    const known = new Map([...pending, ...parts]);
    const [nowMs, least] = [this.#nowMs(), floor.content ?? undefined];
    const next = await gatherContent(fetch, root, named, nowMs, least, known, distrust, (hash, part) => {
      pending.set(hash, part);
    });
    this.#requireSame(held.content, content);
    this.#requireSame(held.roots.at(-1), root);
    const taken = { ...held.floor, content: { version: next.content.document.version, hash: next.content.hash } };
    this.#cache.storeContent(next.content, next.parts, parts, taken);
    held.floor = taken;
    held.content = next.content;
    // The bytes are on the disk now; in memory only what they say is needed.
    const read = [...next.parts].map(([hash, { index }]) => [hash, { bytes: NO_BYTES, index }] as const);
    held.parts = new Map(read);
    this.#pending = { content: '', parts: new Map() };
    this.#changed();
    return true;
  }

  #takeFreshness(fresh: VerifiedFreshness): void {
    const held = this.#held;
    // The same statement once more is no news of the time: a mirror that stands still must not stop our clock.
    if (fresh.document.signedAtMs <= (held.freshness?.document.signedAtMs ?? -1)) return;
    this.#cache.storeFreshness(fresh);
    const atMs = Math.max(fresh.document.signedAtMs, this.#leastNowMs());
    held.freshness = fresh;
    this.#base = { atMs, monotonicMs: this.#options.clock.monotonicMs() };
  }

  /** Two sources may be asked at once; whoever comes second starts again with the next refresh. */
  #requireSame(now: unknown, before: unknown): void {
    if (now !== before) throw new AccordError('CONFIGURATION_UNAVAILABLE', 'another source brought news meanwhile');
  }

  #changed(): void {
    this.#rebuild();
    // Roots and distrust come before the first content: there is nothing yet that a listener could look at.
    if (!this.#snapshot) return;
    for (const listener of this.#listeners) listener();
  }

  #rebuild(): void {
    const { content, distrust, locks, roots } = this.#held;
    const root = roots.at(-1);
    if (content && root) this.#snapshot = buildSnapshot(content, this.#indexes(), distrust, root, locks);
  }

  #indexes() {
    return [...this.#held.parts.values()].map(({ index }) => index);
  }

  /** New statements that do not count: one stolen key that tries to switch off more than it may. */
  #tellUncounted(before: number): void {
    const { content, distrust, roots } = this.#held;
    const root = roots.at(-1);
    if (!content || !root) return;
    const states = judgeDistrust(distrust, content.document, root, this.#indexes()).slice(before);
    for (const { entry, counts } of states) {
      if (counts === 'yes' || counts === 'lifted') continue;
      this.#options.onAlarm?.('DISTRUST_REFUSED', `${counts}: ${entry.statement.value} by ${entry.by}`);
    }
  }

  #version(): number {
    return this.#held.content?.document.version ?? 0;
  }

  #isLate(): boolean {
    return this.#nowMs() - (this.#held.freshness?.document.signedAtMs ?? 0) > CONFIGURATION_LATE_MS;
  }

  /** A clock set back does not make old news fresh. */
  #nowMs(): number {
    return Math.max(this.#options.clock.nowMs(), this.#leastNowMs());
  }

  #leastNowMs(): number {
    return this.#base.atMs + Math.max(0, this.#options.clock.monotonicMs() - this.#base.monotonicMs);
  }

  #maxStaleMs(): number {
    const approved = this.#indexes().find(({ limits }) => limits)?.limits?.maxStaleMs;
    return Math.min(this.#options.maxStaleMs ?? DEFAULT_MAX_STALE_MS, approved ?? Infinity);
  }
}
