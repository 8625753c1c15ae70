// Who is signed in to the auditor's pages. A session begins with the API key of an auditor, shown once in a form; the browser
// then holds a random cookie and this server its hash, in memory only, so that a restart ends every session. Whoever reaches
// the port controls what is shown; the number of wrong keys is limited for each source, so that nobody can lock out who comes
// from elsewhere. On a port that listens on this machine only, or behind a proxy, all are one source.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import { type HashedKey, keyOfBearer } from '#core/http/bearer.ts';
import {
  AUDITOR_SESSION_IDLE_MS,
  AUDITOR_SESSION_MS,
  AUDITOR_SIGN_IN_ATTEMPTS,
  MAX_AUDITOR_SESSIONS,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { AdminRole } from '#security-server/admin/roles.ts';

export type AuditorKey = HashedKey<AdminRole>;

export interface AuditorSession {
  /** The key's name, which is the auditor's. */
  name: string;
  /** For the field `csrf` of forms. */
  csrf: string;
}

interface Held {
  key: AuditorKey;
  csrf: string;
  startedMs: number;
  seenMs: number;
}

const TOKEN_BYTES = 32;
/** Wrong keys are forgotten one by one, evenly over this time. */
const ATTEMPTS_MS = 10 * 60_000;
/** Sources with wrong keys that are remembered; beyond them the oldest is forgotten. */
const MAX_SOURCES = 10_000;

export class AuditorSessions {
  readonly #keys: readonly AuditorKey[];
  readonly #clock: Clock;
  readonly #random: (bytes: number) => Buffer;
  readonly #sessions = new Map<string, Held>();
  /** Wrong keys, by source; the one that was wrong last stands last. */
  readonly #wrong = new Map<string, { spent: number; atMs: number }>();

  constructor(keys: readonly AuditorKey[], clock: Clock, random: (bytes: number) => Buffer) {
    this.#keys = keys;
    this.#clock = clock;
    this.#random = random;
  }

  /** Whether anybody could sign in at all. */
  get hasKeys(): boolean {
    return this.#keys.some(({ role }) => role === 'auditor');
  }

  /**
   * Begins a session. An administrator's key opens none: whoever runs a server does not also read its records here.
   * @param source whom the connection is counted as (core/http/source-of.ts)
   * @returns the cookie's value
   * @throws AUDITOR_SIGN_IN_LIMIT, API_KEY_REQUIRED, ROLE_NOT_ALLOWED
   */
  begin(shown: string, source: string): { token: string; name: string } {
    const spent = this.#spent(source);
    if (spent > AUDITOR_SIGN_IN_ATTEMPTS - 1) throw new AccordError('AUDITOR_SIGN_IN_LIMIT');
    let key: AuditorKey;
    try {
      key = keyOfBearer(`Bearer ${shown.trim()}`, this.#keys);
    } catch (error) {
      this.#spend(source, spent + 1);
      throw error;
    }
    if (key.role !== 'auditor') throw new AccordError('ROLE_NOT_ALLOWED', 'needs auditor');
    const token = this.#random(TOKEN_BYTES).toString('base64url');
    const startedMs = this.#clock.monotonicMs();
    const csrf = createHmac('sha256', token).update('accord-auditor-csrf/1').digest('base64url');
    this.#forgetEnded();
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size >= MAX_AUDITOR_SESSIONS && oldest !== undefined) this.#sessions.delete(oldest);
    this.#sessions.set(hashOf(token), { key, csrf, startedMs, seenMs: startedMs });
    return { token, name: key.name };
  }

  /** The session of a cookie, which counts as used now; null when there is none, or none any more. */
  of(token: string | undefined): AuditorSession | null {
    if (token === undefined || token.length > 100) return null;
    this.#forgetEnded();
    const held = this.#sessions.get(hashOf(token));
    if (held === undefined) return null;
    held.seenMs = this.#clock.monotonicMs();
    return { name: held.key.name, csrf: held.csrf };
  }

  end(token: string): void {
    this.#sessions.delete(hashOf(token));
  }

  #forgetEnded(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [hash, { startedMs, seenMs }] of this.#sessions) {
      const isOver = nowMs - seenMs >= AUDITOR_SESSION_IDLE_MS || nowMs - startedMs >= AUDITOR_SESSION_MS;
      if (isOver) this.#sessions.delete(hash);
    }
  }

  #spent(source: string): number {
    const { spent, atMs } = this.#wrong.get(source) ?? { spent: 0, atMs: 0 };
    const over = ((this.#clock.monotonicMs() - atMs) * AUDITOR_SIGN_IN_ATTEMPTS) / ATTEMPTS_MS;
    return Math.max(0, spent - over);
  }

  #spend(source: string, spent: number): void {
    this.#wrong.delete(source);
    for (const known of this.#wrong.keys()) {
      if (this.#wrong.size < MAX_SOURCES && this.#spent(known) > 0) break;
      this.#wrong.delete(known);
    }
    this.#wrong.set(source, { spent, atMs: this.#clock.monotonicMs() });
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

/** @throws CSRF_REFUSED unless the form's field `csrf` is the session's */
export function checkCsrf(field: unknown, { csrf }: AuditorSession): void {
  const [given, expected] = [Buffer.from(typeof field === 'string' ? field : ''), Buffer.from(csrf)];
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new AccordError('CSRF_REFUSED', 'the form has no token of this session');
  }
}
