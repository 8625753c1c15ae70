// Against forged requests (CSRF): a post that changes something must come from a page of this service, and carry the
// token of the session. Two independent checks; the browser makes the first (Fetch Metadata, RFC 6454 Origin).
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { AccordError } from '#schemas/problems.ts';

/**
 * @param origin this service's own, e.g. `https://consent.example`
 * @throws CSRF_REFUSED unless the browser says that the request comes from this origin
 */
export function requireSameSite(request: FastifyRequest, origin: string): void {
  const site = request.headers['sec-fetch-site'];
  // Where a browser sends it, no page can change it, and it is right where Origin is `null` for the sake of privacy.
  const fine = site === undefined ? request.headers.origin === origin : site === 'same-origin';
  if (!fine) throw new AccordError('CSRF_REFUSED', 'the request comes from another site');
}

/** Token of a session, for the field `csrf` of a form. It is made from the session's id, which no page can read. */
export function csrfTokenOf(sessionId: string): string {
  return createHmac('sha256', sessionId).update('accord-csrf/1').digest('base64url');
}

/** @throws CSRF_REFUSED unless the form's field `csrf`, or the header x-csrf-token, is the session's token */
export function checkCsrfToken(request: FastifyRequest, sessionId: string): void {
  const body: unknown = request.body;
  const field = typeof body === 'object' && body !== null && 'csrf' in body ? body.csrf : undefined;
  const sent = field ?? request.headers['x-csrf-token'];
  const expected = Buffer.from(csrfTokenOf(sessionId));
  const given = Buffer.from(typeof sent === 'string' ? sent : '');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new AccordError('CSRF_REFUSED', 'the form has no token of this session');
  }
}
