// What the next page has to know of the last form, kept in the browser for a few minutes: what was done and when, or the
// ticks of somebody who was sent to a stronger sign-in. Only this service sets it (no address can tick anything); it says
// nothing that the page would believe about who somebody is.
import type { FastifyReply, FastifyRequest } from 'fastify';

const COOKIE = 'accord-last';
const MAX_AGE_S = 600;
const SHAPE = /^(given|refused|withdrawn|paused|resumed|ticked)~([0-9a-f-]{36})~([0-9.]{0,2000})$/;

export type Done = 'given' | 'refused' | 'withdrawn' | 'paused' | 'resumed';

export type Flash = { consent: string } & (
  | { kind: Done; atMs: number }
  | { kind: 'ticked'; ticked: ReadonlySet<number> }
);

export function keepFlash(reply: FastifyReply, flash: Flash): void {
  const data = flash.kind === 'ticked' ? [...flash.ticked].join('.') : String(flash.atMs);
  reply.setCookie(COOKIE, `${flash.kind}~${flash.consent}~${data}`, {
    path: '/',
    httpOnly: true,
    sameSite: 'lax',
    maxAge: MAX_AGE_S,
  });
}

/** What was kept for this consent; it is shown once. */
export function takeFlash(request: FastifyRequest, reply: FastifyReply, consent: string): Flash | null {
  const [, kind, about, data = ''] = SHAPE.exec(request.cookies[COOKIE] ?? '') ?? [];
  if (kind === undefined || about !== consent) return null;
  reply.clearCookie(COOKIE, { path: '/', httpOnly: true, sameSite: 'lax' });
  if (kind === 'ticked') return { kind, consent, ticked: new Set(data.split('.').filter(Boolean).map(Number)) };
  return /^[0-9]{1,14}$/.test(data) ? { kind: kind as Done, consent, atMs: Number(data) } : null;
}
