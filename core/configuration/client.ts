// The configuration client of a security server: keeps the newest verified configuration in memory and on disk, asks the
// registry (or any mirror) every minute, and says how fresh what it holds is. It is never asked on the way of a request
// to wait for anything: `current()` is what was verified last. A registry that is away, or that serves something wrong,
// changes nothing but the age of the news.
import type { Clock } from '#core/clock.ts';
import type { ConfigurationAnchor } from '#schemas/configuration.ts';
import { DEFAULT_MAX_STALE_MS, MAX_SIGNED_FILE_BYTES } from '#schemas/configuration.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { buildSnapshot } from './build-snapshot.ts';
import { ConfigurationCache, type HeldSet } from './cache.ts';
import type { ConfigurationFetch } from './fetch.ts';
import { gatherContent, gatherDistrust, gatherRoots, judgeFreshness } from './gather.ts';
import type { ConfigurationSnapshot, ConfigurationSource, Freshness } from './snapshot.ts';
import type { VerifiedDistrust, VerifiedFreshness } from './verify.ts';

export interface ConfigurationClientOptions {
  /** Where the durable copy lies; belongs to this client alone. */
  folder: string;
  anchor: ConfigurationAnchor;
  clock: Clock;
  /** Sources in the order of preference; each `refresh` takes the first that has good news. */
  fetch: readonly ConfigurationFetch[];
  /** Stale configuration is used this long; the approved limit of the instance, when lower, wins. Default 24 h. */
  maxStaleMs?: number;
  /** Default 60 s; 0 never asks by itself. */
  pollMs?: number;
  /** Told of everything that is not mere absence: forks, rollbacks, wrong signatures, a damaged copy. */
  onAlarm?: (code: ProblemCode, detail: string) => void;
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

class Client implements ConfigurationClient {
  readonly #options: ConfigurationClientOptions;
  readonly #cache: ConfigurationCache;
  readonly #held: HeldSet;
  readonly #listeners = new Set<() => void>();
  readonly #etags = new Map<ConfigurationFetch, string>();
  #snapshot: ConfigurationSnapshot | undefined;
  #unstored: VerifiedDistrust | undefined;
  #seenAtMonotonicMs: number;
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
    this.#seenAtMonotonicMs = options.clock.monotonicMs();
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
      distrustVersion: distrust?.document.version ?? 0,
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

  poll(): void {
    const everyMs = this.#options.pollMs ?? DEFAULT_POLL_MS;
    if (everyMs === 0 || this.#closed) return;
    this.#timer = setTimeout(() => void this.refresh().finally(() => this.poll()), everyMs);
    this.#timer.unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #refreshFromAny(): Promise<RefreshResult> {
    let result: RefreshResult = this.#failed('CONFIGURATION_UNAVAILABLE', 'no source is configured');
    for (const fetch of this.#options.fetch) {
      try {
        result = { outcome: await this.#refreshFrom(fetch), version: this.#version() };
        break;
      } catch (error) {
        // A full disk or a fault of ours must not end the poll either: the last good configuration stays in use.
        this.#etags.delete(fetch);
        result = isAccordError(error)
          ? this.#failed(error.code, error.detail)
          : this.#failed('INTERNAL', String(error));
        if (!ABSENT.has(result.code ?? '')) this.#options.onAlarm?.(result.code ?? 'INTERNAL', result.detail ?? '');
      }
    }
    this.#lastResult = result;
    return result;
  }

  #failed(code: ProblemCode, detail: string): RefreshResult {
    return { outcome: 'failed', version: this.#version(), code, detail };
  }

  async #refreshFrom(fetch: ConfigurationFetch): Promise<'updated' | 'unchanged'> {
    const held = this.#held;
    const answer = await fetch.get('freshness.jws', MAX_SIGNED_FILE_BYTES, this.#etags.get(fetch));
    if (answer === 'unchanged') return 'unchanged';
    for (const root of await gatherRoots(fetch, this.#options.anchor, held.roots.at(-1), answer.bytes)) {
      this.#cache.storeRoot(root);
      held.roots.push(root);
    }
    const root = held.roots.at(-1);
    if (!root) throw new TypeError('a gathered chain has a root');
    const fresh = judgeFreshness(answer.bytes, root, this.#nowMs(), held.freshness);
    const distrusted = await this.#takeDistrust(fetch, fresh);
    const updated = await this.#takeContent(fetch, fresh);
    this.#cache.storeFreshness(fresh);
    held.freshness = fresh;
    this.#seenAtMonotonicMs = this.#options.clock.monotonicMs();
    if (answer.etag !== undefined) this.#etags.set(fetch, answer.etag);
    return updated || distrusted ? 'updated' : 'unchanged';
  }

  /** Distrust counts at once, before the content of the same news is even asked for. */
  async #takeDistrust(fetch: ConfigurationFetch, fresh: VerifiedFreshness): Promise<boolean> {
    const root = this.#held.roots.at(-1);
    const found = root && (await gatherDistrust(fetch, root, fresh.document.distrust, this.#held.distrust));
    if (found) {
      this.#held.distrust = found;
      this.#unstored = found;
      this.#changed();
    }
    // After it counts: a full disk must not keep a stolen key trusted. What could not be stored is tried again.
    if (this.#unstored) this.#cache.storeDistrust(this.#unstored);
    this.#unstored = undefined;
    return found !== undefined;
  }

  async #takeContent(fetch: ConfigurationFetch, fresh: VerifiedFreshness): Promise<boolean> {
    const { roots, content, floor, parts } = this.#held;
    const root = roots.at(-1);
    const named = fresh.document.content;
    if (!root || (content && named.hash === content.hash && named.version === content.document.version)) return false;
    const next = await gatherContent(fetch, root, named, this.#nowMs(), floor, parts);
    this.#cache.storeContent(next.content, next.parts, parts);
    this.#held.content = next.content;
    // The bytes are on the disk now; in memory only what they say is needed.
    const read = [...next.parts].map(([hash, { index }]) => [hash, { bytes: NO_BYTES, index }] as const);
    this.#held.parts = new Map(read);
    this.#held.floor = { version: next.content.document.version, hash: next.content.hash };
    this.#changed();
    return true;
  }

  #changed(): void {
    this.#rebuild();
    for (const listener of this.#listeners) listener();
  }

  #rebuild(): void {
    const { content, parts, distrust } = this.#held;
    if (content)
      this.#snapshot = buildSnapshot(
        content,
        [...parts.values()].map(({ index }) => index),
        distrust,
      );
  }

  #version(): number {
    return this.#held.content?.document.version ?? 0;
  }

  /** A clock set back does not make old news fresh: time is at least the newest signed time and what passed since. */
  #nowMs(): number {
    const { clock } = this.#options;
    const signedAtMs = this.#held.freshness?.document.signedAtMs ?? 0;
    return Math.max(clock.nowMs(), signedAtMs + Math.max(0, clock.monotonicMs() - this.#seenAtMonotonicMs));
  }

  #maxStaleMs(): number {
    const approved = [...this.#held.parts.values()].find(({ index }) => index.limits)?.index.limits?.maxStaleMs;
    return Math.min(this.#options.maxStaleMs ?? DEFAULT_MAX_STALE_MS, approved ?? Infinity);
  }
}
