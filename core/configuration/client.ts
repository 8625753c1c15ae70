// The configuration client of a security server: keeps the newest verified configuration in memory and on disk, asks the
// registry (or any mirror) every minute, and says how fresh what it holds is. It is never asked on the way of a request
// to wait for anything: `current()` is what was verified last. A registry that is away, or that serves something wrong,
// changes nothing but the age of the news.
import type { Clock } from '#core/clock.ts';
import type { ConfigurationAnchor } from '#schemas/configuration.ts';
import { DEFAULT_MAX_STALE_MS } from '#schemas/configuration.ts';
import { CONFIGURATION_LATE_MS, CONFIGURATION_SOURCE_TIMEOUT_MS } from '#schemas/limits.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { buildSnapshot, judgeDistrust } from './build-snapshot.ts';
import { ConfigurationCache, type HeldSet } from './cache.ts';
import { type ConfigurationFetch, withinTime } from './fetch.ts';
import { NewsOfConfiguration } from './news-of-configuration.ts';
import { type HeldFiles, serveHeld } from './serve-held.ts';
import type { ConfigurationSnapshot, ConfigurationSource, Freshness } from './snapshot.ts';

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
  readonly #held: HeldSet;
  readonly #news: NewsOfConfiguration;
  readonly #listeners = new Set<() => void>();
  readonly #etags = new Map<ConfigurationFetch, string>();
  readonly #extra = new Set<Promise<RefreshResult>>();
  #snapshot: ConfigurationSnapshot | undefined;
  /** A time that was not later than now at this moment of the monotonic clock: signed times and what passed since. */
  #base: { atMs: number; monotonicMs: number };
  #lastResult: RefreshResult | undefined;
  #running: Promise<RefreshResult> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ConfigurationClientOptions) {
    this.#options = options;
    const cache = new ConfigurationCache(options.folder);
    this.#held = cache.load(options.anchor, (what, error) => {
      const code = isAccordError(error) ? error.code : String((error as Error).message);
      options.onAlarm?.('CONFIGURATION_CACHE_CORRUPT', `${what}: ${code}`);
    });
    this.#news = new NewsOfConfiguration({
      ...{ anchor: options.anchor, held: this.#held, cache },
      nowMs: () => this.#nowMs(),
      onChange: () => this.#changed(),
      onDistrust: (before) => this.#tellUncounted(before),
      onFreshness: (signedAtMs) => {
        this.#base = { atMs: Math.max(signedAtMs, this.leastNowMs()), monotonicMs: options.clock.monotonicMs() };
      },
    });
    this.files = serveHeld(this.#held, cache);
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
    const { outcome, etag } = await this.#news.takeFrom(fetch, this.#etags.get(source));
    if (etag !== undefined && this.#options.fetch.includes(source)) this.#etags.set(source, etag);
    return outcome;
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
    return Math.max(this.#options.clock.nowMs(), this.leastNowMs());
  }

  leastNowMs(): number {
    return this.#base.atMs + Math.max(0, this.#options.clock.monotonicMs() - this.#base.monotonicMs);
  }

  #maxStaleMs(): number {
    const approved = this.#indexes().find(({ limits }) => limits)?.limits?.maxStaleMs;
    return Math.min(this.#options.maxStaleMs ?? DEFAULT_MAX_STALE_MS, approved ?? Infinity);
  }
}
