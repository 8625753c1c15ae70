// What is known of the certificates of time-stamp authorities: the lists that two persons approved with the part
// `time-stamps`, lists and OCSP answers from the addresses it names (RFC 5280, RFC 6960), and the distrust list. Fetched
// ahead, in the background; a new token waits for them once. Whoever serves a list or an answer controls its bytes: one
// counts only when the issuer of the certificate signed it, and an older one never replaces a newer.
import { checkCrl, readCrlTimes } from '#certs/crl.ts';
import { verifyOcsp } from '#certs/ocsp.ts';
import { makeOcspRequest } from '#certs/ocsp-request.ts';
import { MAX_OCSP_RESPONSE_BYTES } from '#certs/ocsp-response.ts';
import {
  knownGoodUntilMs,
  requireNotRevoked,
  type StampedPath,
  type TimeStampStatus,
} from '#certs/time-stamp-revocation.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { Clock } from './clock.ts';
import type { BoundedClient } from './http/client.ts';
import type { TimeStampAuthority } from './time-stamp-client.ts';
import { readKeptStatus, writeKeptStatus } from './time-stamp-status-file.ts';

export interface TimeStampStatusOptions {
  /** As the configuration names them now. */
  authorities: () => readonly TimeStampAuthority[];
  /** Lists that were approved with them. */
  crls: () => readonly Uint8Array[];
  isDistrusted: (hash: string) => boolean;
  clock: Clock;
  http: Pick<BoundedClient, 'request'>;
  /** Told when an address gives nothing that counts, once until it does again. */
  onAlarm?: (authority: string, detail: string) => void;
  /** Where it outlasts a restart; without it what was learnt is forgotten then. */
  kept?: { file: string; onNotKept: (error: unknown) => void };
}

export interface AuthorityStatus {
  name: string;
  /** `not-asked`: the configuration names no address; `unknown`: nothing that was given counts (any more). */
  status: 'good' | 'revoked' | 'unknown' | 'not-asked';
  /** Until when the newest list or answer speaks; null without one. */
  untilMs: number | null;
}

export interface TimeStampStatusSource {
  /** For `verifyTimeStampToken`. */
  known(): TimeStampStatus;
  /**
   * Whether a new token of this authority may be taken.
   * @returns the fetched lists that say so, DER
   * @throws TIME_STAMP_REVOKED, TIME_STAMP_STATUS_UNKNOWN where the configuration names an address and nothing counts
   */
  require(authority: TimeStampAuthority, stamp: StampedPath, signal?: AbortSignal): Promise<Buffer[]>;
  /** A good token showed this path: what its certificate is, and so what a responder is asked about. */
  seen(path: readonly Uint8Array[]): void;
  /** Fetches what is due. Never rejects for what is answered. */
  look(signal?: AbortSignal): Promise<void>;
  state(): AuthorityStatus[];
}

/** News is looked for at half of the time a list or answer has left, and at least so often. */
const LONGEST_WAIT_MS = 60 * 60_000;
const SHORTEST_WAIT_MS = 60_000;
const FAILED_WAIT_MS = 60_000;
/** What is over still counts so long: an authority may publish late. */
const GRACE_MS = 24 * 3_600_000;
const TIMEOUT_MS = 8_000;
const MAX_LIST_BYTES = 1024 * 1024;
const NO_SERIAL = '00';
const NOTHING = Buffer.alloc(0);

/** What one address gave last that counts. */
interface Source {
  bytes: Buffer | null;
  thisUpdateMs: number;
  /** Monotonic; asked again then. */
  nextMs: number;
  failed: boolean;
}

/** @throws CERTIFICATE_STATUS_UNREADABLE */
export function openTimeStampStatus(options: TimeStampStatusOptions): TimeStampStatusSource {
  return new AuthoritiesStatus(options);
}

class AuthoritiesStatus implements TimeStampStatusSource {
  readonly #options: TimeStampStatusOptions;
  /** By `crl URL` or `ocsp URL`. */
  readonly #sources = new Map<string, Source>();
  /** By the authority's URL: the path of its last good token. */
  readonly #paths = new Map<string, readonly Uint8Array[]>();
  #looking: Promise<void> | null = null;
  #isNew = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: TimeStampStatusOptions) {
    this.#options = options;
    if (options.kept === undefined) return;
    const { sources, paths } = readKeptStatus(options.kept.file);
    // Asked again at once; what it says counts by its own times until then.
    for (const { key, ...one } of sources) this.#sources.set(key, { ...one, nextMs: 0, failed: false });
    for (const { url, path } of paths) this.#paths.set(url, path);
  }

  known(): TimeStampStatus {
    const { crls, isDistrusted } = this.#options;
    const given = (kind: 'crl' | 'ocsp') =>
      [...this.#sources].flatMap(([key, { bytes }]) => (key.startsWith(kind) && bytes !== null ? [bytes] : []));
    return { crls: [...crls(), ...given('crl')], answers: given('ocsp'), isDistrusted };
  }

  async require(authority: TimeStampAuthority, stamp: StampedPath, signal?: AbortSignal): Promise<Buffer[]> {
    const { clock } = this.#options;
    this.#follow(authority.url, stamp.path);
    await this.#refresh(authority, signal);
    await this.#keep();
    const nowMs = clock.nowMs();
    requireNotRevoked(stamp, this.known(), nowMs);
    if (!isAsked(authority)) return [];
    const untilMs = knownGoodUntilMs(stamp.path, this.known(), nowMs);
    if (untilMs === null || untilMs + GRACE_MS < nowMs) {
      const since = untilMs === null ? 'neither list nor answer' : `over since ${new Date(untilMs).toISOString()}`;
      throw new AccordError('TIME_STAMP_STATUS_UNKNOWN', `${authority.name}: ${since}`);
    }
    return (authority.crlUrls ?? []).flatMap((url) => this.#sources.get(`crl ${url}`)?.bytes ?? []);
  }

  seen(path: readonly Uint8Array[]): void {
    const anchor = Buffer.from(path.at(-1) ?? []);
    for (const { url, certificates } of this.#options.authorities()) {
      if (certificates.some((one) => anchor.equals(one))) this.#follow(url, path);
    }
  }

  #follow(url: string, path: readonly Uint8Array[]): void {
    const known = this.#paths.get(url) ?? [];
    if (known.length === path.length && path.every((one, at) => Buffer.from(one).equals(known[at] ?? NOTHING))) return;
    this.#paths.set(url, path);
    this.#isNew = true;
  }

  look(signal?: AbortSignal): Promise<void> {
    this.#looking ??= this.#look(signal).finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  state(): AuthorityStatus[] {
    const nowMs = this.#options.clock.nowMs();
    const known = this.known();
    return this.#options.authorities().map((authority) => {
      const { name, url } = authority;
      const path = this.#paths.get(url) ?? [];
      const untilMs = knownGoodUntilMs(path, known, nowMs);
      if (isRevoked(path, known, nowMs)) return { name, status: 'revoked', untilMs };
      if (!isAsked(authority)) return { name, status: 'not-asked', untilMs };
      return { name, status: untilMs !== null && untilMs + GRACE_MS >= nowMs ? 'good' : 'unknown', untilMs };
    });
  }

  async #look(signal: AbortSignal | undefined): Promise<void> {
    const authorities = this.#options.authorities();
    const urls = new Set(authorities.flatMap(keysOf));
    // A server that begins has no configuration yet, which is no reason to forget.
    if (authorities.length === 0) return;
    for (const key of this.#sources.keys()) if (!urls.has(key)) this.#sources.delete(key);
    for (const url of this.#paths.keys()) if (!authorities.some((one) => one.url === url)) this.#paths.delete(url);
    await Promise.all(authorities.map((authority) => this.#refresh(authority, signal)));
    await this.#keep();
  }

  /** One write after the other; what could not be kept is tried again with the next. */
  #keep(): Promise<void> {
    const { kept } = this.#options;
    if (kept === undefined || !this.#isNew) return this.#writing;
    this.#isNew = false;
    this.#writing = this.#writing.then(async () => {
      const sources = [...this.#sources].flatMap(([key, { bytes, thisUpdateMs }]) =>
        bytes === null ? [] : [{ key, thisUpdateMs, bytes }],
      );
      const paths = [...this.#paths].map(([url, path]) => ({ url, path }));
      try {
        await writeKeptStatus(kept.file, { sources, paths });
      } catch (error) {
        this.#isNew = true;
        kept.onNotKept(error);
      }
    });
    return this.#writing;
  }

  async #refresh(authority: TimeStampAuthority, signal: AbortSignal | undefined): Promise<void> {
    await Promise.all(keysOf(authority).map((key) => this.#ask(authority, key, signal)));
  }

  async #ask(authority: TimeStampAuthority, key: string, signal: AbortSignal | undefined): Promise<void> {
    const { clock, onAlarm } = this.#options;
    const source = this.#sources.get(key) ?? { bytes: null, thisUpdateMs: 0, nextMs: 0, failed: false };
    const path = this.#paths.get(authority.url);
    // Nobody can be asked about a certificate that was never seen.
    if (clock.monotonicMs() < source.nextMs || (key.startsWith('ocsp ') && path === undefined)) return;
    this.#sources.set(key, { ...source, nextMs: clock.monotonicMs() + FAILED_WAIT_MS });
    try {
      const url = key.slice(key.indexOf(' ') + 1);
      const found = key.startsWith('crl ')
        ? this.#readList(authority, await this.#fetch(url, null, signal))
        : this.#readAnswer(path ?? [], await this.#fetch(url, requestAbout(path ?? []), signal));
      const isNewer = found.thisUpdateMs >= source.thisUpdateMs;
      const waitMs = Math.min(Math.max((found.untilMs - clock.nowMs()) / 2, SHORTEST_WAIT_MS), LONGEST_WAIT_MS);
      const kept = isNewer ? found : source;
      const { bytes, thisUpdateMs } = kept;
      this.#isNew ||= source.bytes === null || bytes?.equals(source.bytes) !== true;
      this.#sources.set(key, { bytes, thisUpdateMs, nextMs: clock.monotonicMs() + waitMs, failed: false });
    } catch (error) {
      if (!isAccordError(error)) throw error;
      if (signal?.aborted) return;
      if (!source.failed) onAlarm?.(authority.name, `${key}: ${error.code} ${error.detail}`);
      this.#sources.set(key, { ...source, nextMs: clock.monotonicMs() + FAILED_WAIT_MS, failed: true });
    }
  }

  async #fetch(url: string, request: Buffer | null, signal: AbortSignal | undefined): Promise<Buffer> {
    const asks =
      request === null
        ? { method: 'GET' }
        : {
            method: 'POST',
            body: request,
            headers: [
              ['content-type', 'application/ocsp-request'],
              ['accept', 'application/ocsp-response'],
            ] as const,
          };
    const maxResponseBytes = request === null ? MAX_LIST_BYTES : MAX_OCSP_RESPONSE_BYTES;
    const { status, body } = await this.#options.http.request({
      ...asks,
      ...{ url, timeoutMs: TIMEOUT_MS, maxResponseBytes },
      ...(signal && { signal }),
    });
    if (status !== 200) throw new AccordError('TIME_STAMP_STATUS_UNKNOWN', `status ${status}`);
    return body;
  }

  #readList({ url, certificates }: TimeStampAuthority, crl: Buffer) {
    const times = readCrlTimes(crl);
    const issuers = [...certificates, ...(this.#paths.get(url)?.slice(1) ?? [])];
    const signed = issuers.some((issuer) => {
      const atMs = times?.thisUpdateMs ?? 0;
      return checkCrl({ crl, issuer, serial: NO_SERIAL, atMs, allowRsa: true }).status !== 'unknown';
    });
    if (times === undefined || !signed) throw new AccordError('TIME_STAMP_STATUS_UNKNOWN', 'a list of somebody else');
    return { bytes: crl, thisUpdateMs: times.thisUpdateMs, untilMs: times.nextUpdateMs };
  }

  #readAnswer(path: readonly Uint8Array[], response: Buffer) {
    const { crls = [] } = this.known();
    const atMs = this.#options.clock.nowMs();
    const said = verifyOcsp({ response, path, atMs, crls, allowRsa: true, profile: 'rfc5280' });
    if (said.status !== 'good' && said.status !== 'revoked') {
      throw new AccordError('TIME_STAMP_STATUS_UNKNOWN', said.status === 'refused' ? said.code : said.status);
    }
    return { bytes: response, thisUpdateMs: said.thisUpdateMs, untilMs: said.endsMs };
  }
}

function requestAbout([certificate, issuer]: readonly Uint8Array[]): Buffer {
  return makeOcspRequest(certificate ?? Buffer.alloc(0), issuer ?? Buffer.alloc(0), 'sha-1');
}

function isAsked({ crlUrls = [], ocspUrl = null }: TimeStampAuthority): boolean {
  return crlUrls.length > 0 || ocspUrl !== null;
}

function keysOf({ crlUrls = [], ocspUrl = null }: TimeStampAuthority): string[] {
  return [...crlUrls.map((url) => `crl ${url}`), ...(ocspUrl === null ? [] : [`ocsp ${ocspUrl}`])];
}

/** As a token that was made now would be judged. */
function isRevoked(path: readonly Uint8Array[], known: TimeStampStatus, nowMs: number): boolean {
  try {
    requireNotRevoked({ path, genTimeMs: nowMs, accuracyMs: null }, known, nowMs);
    return false;
  } catch (error) {
    if (isAccordError(error, 'TIME_STAMP_REVOKED')) return true;
    throw error;
  }
}
