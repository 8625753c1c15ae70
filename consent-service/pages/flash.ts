// What the next page has to know of the last form, kept in the browser for a few minutes: what was done and when, or the
// ticks of somebody who was sent to sign in for what they agree to. Only this service sets it (no address can tick anything);
// it says nothing that the page would believe about who somebody is, and ticks count only if the nonce of the sign-in says
// the same.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { asLanguage, type Language } from '#core/http/pages/language.ts';

const COOKIE = 'accord-last';
const MAX_AGE_S = 600;
const SHAPE = /^(given|refused|withdrawn|paused|resumed|ticked)~([0-9a-f-]{36})~([A-Za-z0-9_-]{0,2000})$/;
const OPTIONS = { path: '/', httpOnly: true, sameSite: 'lax' } as const;

export type Done = 'given' | 'refused' | 'withdrawn' | 'paused' | 'resumed';

export type Flash = { consent: string } & (
  | { kind: Done; atMs: number }
  | { kind: 'ticked'; ticked: ReadonlySet<number>; language: Language }
);

export function keepFlash(reply: FastifyReply, flash: Flash): void {
  const data = flash.kind === 'ticked' ? `${flash.language}${bitsOf(flash.ticked)}` : String(flash.atMs);
  reply.setCookie(COOKIE, `${flash.kind}~${flash.consent}~${data}`, { ...OPTIONS, maxAge: MAX_AGE_S });
}

/** What was kept for this consent; it is shown once. */
export function takeFlash(request: FastifyRequest, reply: FastifyReply, consent: string): Flash | null {
  const flash = peekFlash(request, consent);
  if (flash !== null) reply.clearCookie(COOKIE, OPTIONS);
  return flash;
}

/** The same, left where it is. */
export function peekFlash(request: FastifyRequest, consent: string): Flash | null {
  const [, kind, about, data = ''] = SHAPE.exec(request.cookies[COOKIE] ?? '') ?? [];
  if (kind === undefined || about !== consent) return null;
  if (kind !== 'ticked') return /^[0-9]{1,14}$/.test(data) ? { kind: kind as Done, consent, atMs: Number(data) } : null;
  const language = asLanguage(data.slice(0, 2));
  return language === null ? null : { kind, consent, language, ticked: numbersOf(data.slice(2)) };
}

/** One bit a number, base64url: two thousand items are 350 characters, and a cookie has room for 4,000. */
function bitsOf(numbers: ReadonlySet<number>): string {
  const bytes = Buffer.alloc(Math.ceil((Math.max(-1, ...numbers) + 1) / 8));
  for (const number of numbers) bytes[number >> 3] = (bytes[number >> 3] ?? 0) | (1 << (number & 7));
  return bytes.toString('base64url');
}

function numbersOf(bits: string): ReadonlySet<number> {
  const bytes = Buffer.from(bits, 'base64url');
  return new Set([...bytes].flatMap((byte, at) => BIT.filter((bit) => byte & (1 << bit)).map((bit) => at * 8 + bit)));
}

const BIT = [0, 1, 2, 3, 4, 5, 6, 7];
