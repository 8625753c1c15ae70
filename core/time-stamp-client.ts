// Asks time-stamp authorities for tokens (RFC 3161, over HTTP: 3.4), one after another until one gives a good one. Every
// token is verified before it is handed out: imprint, nonce, signature and path under the certificates that the
// configuration names for this very authority, and a time that is near this server's. Authorities that failed are asked
// last for a while. The authority, or whoever sits on the way to it, controls what comes back.
import {
  MAX_TIME_STAMP_BYTES,
  makeTimeStampRequest,
  readTimeStampResponse,
  type VerifiedTimeStamp,
  verifyTimeStampToken,
} from '#certs/time-stamp.ts';
import { withRevocationLists } from '#certs/time-stamp-revocation.ts';
import { CLOCK_WINDOW_MS, TIME_STAMP_TIMEOUT_MS } from '#schemas/limits.ts';
import { AccordError, type ProblemCode } from '#schemas/problems.ts';
import type { Clock } from './clock.ts';
import type { BoundedClient } from './http/client.ts';
import type { TimeStampStatusSource } from './time-stamp-status.ts';

export interface TimeStampAuthority {
  name: string;
  /** http or https. */
  url: string;
  /** DER: self-signed CA certificates are trusted for its tokens, the others help to them. */
  certificates: readonly Uint8Array[];
  /** Where lists of its certificates are fetched, and who is asked by OCSP. */
  crlUrls?: readonly string[];
  ocspUrl?: string | null;
}

export interface TimeStampClientOptions {
  /** In the order in which they are preferred. Read at every use: it may change with the configuration. */
  authorities: () => readonly TimeStampAuthority[];
  clock: Clock;
  http: BoundedClient;
  /** `count` unpredictable bytes. */
  randomBytes: (count: number) => Buffer;
  /** For one authority; default 8 s. */
  timeoutMs?: number;
  /** What is known of the authorities' certificates; absent: lists inside a token alone are looked at. */
  status?: TimeStampStatusSource;
  /** Told when an authority fails that had not failed the last time, or fails with another code. */
  onAlarm?: (authority: string, code: ProblemCode, detail: string) => void;
}

interface TimeStamp {
  /** TimeStampToken in DER. */
  token: Buffer;
  /** The authority's name in the configuration. */
  authority: string;
  facts: VerifiedTimeStamp;
}

export interface AuthorityHealth {
  name: string;
  /** Failures since the last token. */
  failures: number;
  lastProblem: ProblemCode | null;
  /** Null before its first token. */
  lastTokenAtMs: number | null;
}

export interface TimeStampClient {
  /**
   * A verified token over `imprint` (SHA-256, 32 bytes).
   * @throws TIME_STAMP_UNAVAILABLE when no authority gave one (the codes by authority in the detail), or none is named
   */
  stamp(imprint: Uint8Array, options?: { signal?: AbortSignal }): Promise<TimeStamp>;
  /** Of the authorities in the configuration now. */
  health(): AuthorityHealth[];
}

const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 5 * 60_000;
const NONCE_BYTES = 16;
/** Revocation lists that are put into a token: a note `anchored` comes every minute, and stays for ever. */
const MAX_LISTS_BYTES = 4 * 1024;
const REQUEST_TYPE = 'application/timestamp-query';
const RESPONSE_TYPE = 'application/timestamp-reply';

interface Memory extends Omit<AuthorityHealth, 'name'> {
  /** Monotonic; asked last before then. */
  pausedUntilMs: number;
}

export function openTimeStampClient(options: TimeStampClientOptions): TimeStampClient {
  const { clock } = options;
  // By URL: what was learned of an authority stays when it is renamed, and is forgotten when it moves.
  const memories = new Map<string, Memory>();

  function memoryOf({ url }: TimeStampAuthority): Memory {
    const known = memories.get(url) ?? { failures: 0, lastProblem: null, lastTokenAtMs: null, pausedUntilMs: 0 };
    memories.set(url, known);
    return known;
  }

  /** Those that are not paused first, then the one whose pause ends soonest; else as configured. */
  function inOrder(): readonly TimeStampAuthority[] {
    const now = clock.monotonicMs();
    const authorities = options.authorities();
    for (const url of memories.keys()) if (!authorities.some((one) => one.url === url)) memories.delete(url);
    const waits = (one: TimeStampAuthority) => Math.max(0, memoryOf(one).pausedUntilMs - now);
    return authorities.toSorted((a, b) => waits(a) - waits(b));
  }

  function failed(authority: TimeStampAuthority, error: AccordError): void {
    const memory = memoryOf(authority);
    const isNews = memory.lastProblem !== error.code;
    memory.failures += 1;
    memory.lastProblem = error.code;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(memory.failures - 1, 16), LONGEST_PAUSE_MS);
    memory.pausedUntilMs = clock.monotonicMs() + pauseMs;
    if (isNews) options.onAlarm?.(authority.name, error.code, error.detail);
  }

  function succeeded(authority: TimeStampAuthority): void {
    memories.set(authority.url, { failures: 0, lastProblem: null, lastTokenAtMs: clock.nowMs(), pausedUntilMs: 0 });
  }

  return {
    async stamp(imprint, { signal } = {}) {
      const problems: string[] = [];
      const isGivenUp = () => signal?.aborted === true;
      for (const authority of inOrder()) {
        if (isGivenUp()) break;
        try {
          const stamp = await ask(options, authority, imprint, signal);
          succeeded(authority);
          return stamp;
        } catch (error) {
          if (!(error instanceof AccordError)) throw error;
          if (isGivenUp()) break;
          failed(authority, error);
          problems.push(`${authority.name}: ${error.code}`);
        }
      }
      const detail = problems.join(', ') || (isGivenUp() ? 'given up' : 'no authority is configured');
      throw new AccordError('TIME_STAMP_UNAVAILABLE', detail);
    },
    health: () =>
      options.authorities().map((authority) => {
        const { failures, lastProblem, lastTokenAtMs } = memoryOf(authority);
        return { name: authority.name, failures, lastProblem, lastTokenAtMs };
      }),
  };
}

/** What shows that the certificate was good goes along, where it is small. */
function withLists(token: Buffer, lists: readonly Buffer[]): Buffer {
  const bytes = lists.reduce((sum, { length }) => sum + length, 0);
  return bytes === 0 || bytes > MAX_LISTS_BYTES ? token : withRevocationLists(token, lists);
}

/** One request to one authority. @throws TIME_STAMP_*, PEER_*, RESPONSE_TOO_LARGE, OCSP_RESPONDER_FAILED */
async function ask(
  { clock, http, randomBytes, status, timeoutMs = TIME_STAMP_TIMEOUT_MS }: TimeStampClientOptions,
  authority: TimeStampAuthority,
  imprint: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<TimeStamp> {
  const { name, url, certificates } = authority;
  const nonce = randomBytes(NONCE_BYTES);
  // The highest bit clear and the next set: one length, positive, no padding.
  nonce[0] = ((nonce[0] ?? 0) & 0x3f) | 0x40;
  const answer = await http.request({
    method: 'POST',
    url,
    headers: [
      ['content-type', REQUEST_TYPE],
      ['accept', RESPONSE_TYPE],
    ],
    body: makeTimeStampRequest(imprint, nonce),
    timeoutMs,
    maxResponseBytes: MAX_TIME_STAMP_BYTES,
    ...(signal && { signal }),
  });
  if (answer.status !== 200) throw new AccordError('TIME_STAMP_REFUSED', `HTTP status ${answer.status}`);
  const token = readTimeStampResponse(answer.body);
  const facts = verifyTimeStampToken(token, imprint, certificates, clock.nowMs());
  if (facts.nonceHex !== nonce.toString('hex')) throw new AccordError('TIME_STAMP_NONCE_WRONG');
  const offMs = Math.abs(facts.genTimeMs - clock.nowMs());
  if (offMs > CLOCK_WINDOW_MS) throw new AccordError('TIME_STAMP_CLOCK_DIFFERS', `${Math.round(offMs / 1000)} s`);
  // Only now is it known which certificate to ask about.
  const lists = status === undefined ? [] : await status.require(authority, facts, signal);
  return { token: withLists(token, lists), authority: name, facts };
}
