// The status list client of a provider's server (DESIGN: consent; draft-ietf-oauth-status-list, sections 8.1 and 8.3): it
// keeps the newest verified list of each consent service in memory, asks for the next one every five seconds and at once
// when it is told that something was withdrawn, and says of one entry what the list says and how old that is. Whether that
// is young enough is judged by who asks (policy/). Nothing but the age changes while a consent service is away.
//
// The configuration names the consent services and their keys; whoever sits on the way to them controls what comes back.
import { setMaxListeners } from 'node:events';
import { sha256 } from '#certs/commitment.ts';
import type { RegisteredKey } from '#certs/registered-key.ts';
import { readStatusList } from '#certs/status-list.ts';
import type { Clock } from '#core/clock.ts';
import type { BoundedClient } from '#core/http/client.ts';
import {
  MAX_HELD_STATUSES,
  MAX_STATUS_LIST_BYTES,
  MAX_STATUS_LISTS,
  STATUS_FETCH_TIMEOUT_MS,
} from '#schemas/limits.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { type HeldList, nextList } from './held-list.ts';
import { openTrustedTime, type TrustedNow } from './trusted-time.ts';

export interface StatusClientOptions {
  http: BoundedClient;
  clock: Clock;
  /** The keys that the current configuration registers for a consent service; undefined when it is none. */
  keysOf: (consentService: string) => readonly RegisteredKey[] | undefined;
  /** The lists to keep at hand. Read at every use: it may change with the configuration. */
  listsOf: () => readonly NamedList[];
  /**
   * The consent service that a list of another URI would have to come from, or undefined when nobody's: such a list is
   * fetched when it is first asked for (`refresh`), and kept until ten minutes after the last question.
   */
  consentServiceOf?: (uri: string) => string | undefined;
  /** A time that is surely past, proved by the signed configuration and what went by since. */
  provedMs?: () => number;
  /** Default 5 s; 0 never asks by itself. */
  pollMs?: number;
  /** Told once of each new reason to refuse a list; a consent service that is merely away is none. */
  onAlarm?: (code: ProblemCode, detail: string) => void;
}

interface NamedList {
  /** Subsystem. */
  consentService: string;
  uri: string;
}

interface EntryStatus {
  /** 0 valid, 1 invalid, 2 suspended; 3 means nothing to Accord and so allows nothing. */
  status: 0 | 1 | 2 | 3;
  /** When the consent service signed the list, whole seconds. */
  listIatMs: number;
  receivedMonotonicMs: number;
  /** SHA-256 of the list token, base64url. */
  listHash: string;
}

export interface StatusClient {
  /** Null when no list is held, it is past its own end, its key is no longer registered, or it has no such entry. */
  statusOf(uri: string, idx: number): EntryStatus | null;
  /**
   * Asks for one list now. Calls at the same time share one answer. Never rejects; while a consent service fails it is
   * asked again only after a pause of at most 5 s, and this resolves at once.
   */
  refresh(uri: string): Promise<void>;
  /** When the newest of all verified lists was signed. */
  newestTimeMs(): number | null;
  /**
   * Somebody says that a list has changed: it is asked for once more from now on, pause or not. Anybody may say so; a list
   * that nobody here asked for stays out.
   */
  hint(uri: string): void;
  trustedNowMs(): TrustedNow;
  close(): void;
}

const POLL_MS = 5_000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;
/** Two questions for one list are at least this far apart, whoever asks. */
const BETWEEN_MS = 100;
const KEPT_UNASKED_MS = 10 * 60_000;
const MAX_ETAG_CHARACTERS = 256;

interface Entry extends NamedList {
  held: HeldList | null;
  etag: string | null;
  running: Promise<void> | null;
  /** Something changed while a question was under way: its answer may be from before. */
  again: boolean;
  startedMs: number;
  askedMs: number;
  failures: number;
  pausedUntilMs: number;
  alarmed: string;
  timer: NodeJS.Timeout | null;
}

export function openStatusClient(options: StatusClientOptions): StatusClient {
  const client = new Client(options);
  client.start();
  return client;
}

class Client implements StatusClient {
  readonly #options: StatusClientOptions;
  readonly #pollMs: number;
  readonly #time;
  readonly #entries = new Map<string, Entry>();
  readonly #closing = new AbortController();
  #newestMs: number | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: StatusClientOptions) {
    this.#options = options;
    this.#pollMs = options.pollMs ?? POLL_MS;
    this.#time = openTrustedTime(options.clock, options.provedMs);
    setMaxListeners(0, this.#closing.signal); // one per question under way
  }

  start(): void {
    if (this.#pollMs === 0) return;
    this.#adopt();
    this.#timer = setInterval(() => this.#adopt(), this.#pollMs).unref();
  }

  statusOf(uri: string, idx: number): EntryStatus | null {
    const entry = this.#entries.get(uri);
    if (entry === undefined) return null;
    entry.askedMs = this.#monotonicMs();
    const { held, consentService } = entry;
    const status = held?.statuses[idx];
    if (held === null || status === undefined || held.expMs <= this.#time.now().nowMs) return null;
    if (this.#options.keysOf(consentService)?.some(({ kid }) => kid === held.kid) !== true) return null;
    const { iatMs, receivedMonotonicMs, hash } = held;
    return { status: status as EntryStatus['status'], listIatMs: iatMs, receivedMonotonicMs, listHash: hash };
  }

  refresh(uri: string): Promise<void> {
    const entry = this.#entry(uri);
    if (entry === null || this.#monotonicMs() < entry.pausedUntilMs) return Promise.resolve();
    return this.#ask(entry);
  }

  hint(uri: string): void {
    const entry = this.#entries.get(uri);
    if (entry === undefined) return;
    if (entry.running !== null) entry.again = true;
    else void this.#ask(entry);
  }

  newestTimeMs(): number | null {
    return this.#newestMs;
  }

  trustedNowMs(): TrustedNow {
    return this.#time.now();
  }

  close(): void {
    this.#closing.abort();
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const entry of this.#entries.values()) this.#drop(entry);
  }

  /** Takes up lists that are newly named and drops those that nobody names, or asks for, any more. */
  #adopt(): void {
    const named = new Map(this.#options.listsOf().map((list) => [list.uri, list.consentService]));
    const unaskedMs = this.#monotonicMs() - KEPT_UNASKED_MS;
    for (const entry of this.#entries.values()) {
      const owner = named.get(entry.uri) ?? this.#options.consentServiceOf?.(entry.uri);
      const isWanted = named.has(entry.uri) || entry.askedMs > unaskedMs;
      if (owner !== entry.consentService || !isWanted) this.#drop(entry);
    }
    for (const uri of named.keys()) {
      if (this.#entries.has(uri)) continue;
      const entry = this.#entry(uri);
      if (entry !== null) void this.#ask(entry);
    }
  }

  /** The list of this URI, taken up when the configuration knows whose it is. */
  #entry(uri: string): Entry | null {
    const found = this.#entries.get(uri);
    if (found !== undefined) {
      found.askedMs = this.#monotonicMs();
      return found;
    }
    if (this.#closing.signal.aborted) return null;
    const named = this.#options.listsOf().find((list) => list.uri === uri);
    const consentService = named?.consentService ?? this.#options.consentServiceOf?.(uri);
    if (consentService === undefined) return null;
    if (this.#entries.size >= MAX_STATUS_LISTS) this.#dropLeastAsked();
    const fresh = { held: null, etag: null, running: null, again: false, timer: null, alarmed: '', failures: 0 };
    const times = { startedMs: -BETWEEN_MS, askedMs: this.#monotonicMs(), pausedUntilMs: Number.NEGATIVE_INFINITY };
    const entry: Entry = { uri, consentService, ...fresh, ...times };
    this.#entries.set(uri, entry);
    return entry;
  }

  #ask(entry: Entry): Promise<void> {
    entry.running ??= this.#attempt(entry).finally(() => {
      entry.running = null;
      if (this.#entries.get(entry.uri) !== entry) return;
      if (entry.again) void this.#ask(entry);
      else this.#plan(entry);
    });
    return entry.running;
  }

  async #attempt(entry: Entry): Promise<void> {
    if (entry.timer !== null) clearTimeout(entry.timer);
    const waitMs = entry.startedMs + BETWEEN_MS - this.#monotonicMs();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.min(waitMs, BETWEEN_MS)));
    entry.again = false;
    entry.startedMs = this.#monotonicMs();
    try {
      await this.#fetch(entry);
      entry.failures = 0;
      entry.pausedUntilMs = Number.NEGATIVE_INFINITY;
      entry.alarmed = '';
    } catch (error) {
      this.#failed(entry, error);
    }
  }

  async #fetch(entry: Entry): Promise<void> {
    const { uri, consentService, etag } = entry;
    const keys = this.#options.keysOf(consentService);
    if (keys === undefined)
      throw new AccordError('PEER_UNREACHABLE', 'the configuration knows no such consent service');
    const answer = await this.#options.http.request({
      method: 'GET',
      url: uri,
      headers: [['accept', 'application/statuslist+jwt'], ...(etag === null ? [] : [['if-none-match', etag] as const])],
      timeoutMs: STATUS_FETCH_TIMEOUT_MS,
      maxResponseBytes: MAX_STATUS_LIST_BYTES,
      signal: this.#closing.signal,
    });
    if (answer.status === 304 && etag !== null) return;
    if (answer.status >= 500) throw new AccordError('PEER_UNREACHABLE', `answered ${answer.status}`);
    if (answer.status !== 200) throw new AccordError('STATUS_LIST_REFUSED', `answered ${answer.status}`);
    const text = answer.body.toString('latin1');
    const list = readStatusList(text, keys, uri);
    if (this.#entries.get(uri) !== entry) return;
    this.#take(entry, { ...list, hash: sha256(answer.body), receivedMonotonicMs: this.#monotonicMs() });
    const tag = answer.headers.find(([name]) => name.toLowerCase() === 'etag')?.[1];
    entry.etag = tag !== undefined && tag.length <= MAX_ETAG_CHARACTERS ? tag : null;
  }

  #take(entry: Entry, fetched: HeldList): void {
    const instant = { wallMs: this.#options.clock.nowMs(), trustedMs: this.#time.now().nowMs };
    const next = nextList(entry.held, fetched, instant);
    const others = [...this.#entries.values()].filter((one) => one !== entry);
    const heldStatuses = others.reduce((sum, { held }) => sum + (held?.statuses.length ?? 0), 0);
    if (heldStatuses + next.statuses.length > MAX_HELD_STATUSES) {
      throw new AccordError('STATUS_LIST_REFUSED', 'no room for this many entries');
    }
    entry.held = next;
    this.#newestMs = Math.max(this.#newestMs ?? 0, next.iatMs);
    this.#time.prove(next.iatMs);
  }

  /** What was held stays, and gets older. */
  #failed(entry: Entry, error: unknown): void {
    entry.failures += 1;
    entry.pausedUntilMs = this.#monotonicMs() + pauseMs(entry.failures);
    if (this.#closing.signal.aborted) return;
    const code = isAccordError(error) ? error.code : 'INTERNAL';
    if (code !== 'STATUS_LIST_REFUSED' && code !== 'RESPONSE_TOO_LARGE' && code !== 'INTERNAL') return;
    const detail = isAccordError(error) ? error.detail : String(error);
    // The same reason again is no news: it would come with every poll.
    const reason = `${code} ${detail.replaceAll(/[0-9]+ ms/g, '')}`;
    if (reason === entry.alarmed) return;
    entry.alarmed = reason;
    this.#options.onAlarm?.(code, `${entry.uri}: ${detail}`);
  }

  #plan(entry: Entry): void {
    if (this.#pollMs === 0 || this.#closing.signal.aborted) return;
    const delayMs = entry.failures === 0 ? this.#pollMs : pauseMs(entry.failures);
    entry.timer = setTimeout(() => void this.#ask(entry), delayMs).unref();
  }

  #drop(entry: Entry): void {
    if (entry.timer !== null) clearTimeout(entry.timer);
    this.#entries.delete(entry.uri);
  }

  #dropLeastAsked(): void {
    let least: Entry | undefined;
    for (const entry of this.#entries.values()) if (least === undefined || entry.askedMs < least.askedMs) least = entry;
    if (least !== undefined) this.#drop(least);
  }

  #monotonicMs(): number {
    return this.#options.clock.monotonicMs();
  }
}

function pauseMs(failures: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10));
}
