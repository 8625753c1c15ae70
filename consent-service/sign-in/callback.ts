// The end of a sign-in: the provider sent the browser back (RFC 6749 4.1.2). In order: the attempt this browser started,
// the provider it was for, the code for a verified ID token, whether it is who it has to be, a new session.
import { randomBytes } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { base64url } from '#schemas/base64url.ts';
import { AccordError } from '#schemas/problems.ts';
import type { SignInAttempt } from './attempt.ts';
import type { LiveSession, SignIn } from './sessions.ts';
import type { SignInParts } from './sign-in-parts.ts';

/** @throws SIGN_IN_EXPIRED, SIGN_IN_REFUSED, SIGN_IN_PROVIDER_AWAY, STEP_UP_REQUIRED, LINK_CONFLICT */
export async function finishSignIn(
  parts: SignInParts,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { attempts, providers, clock } = parts;
  const query = request.url.slice(request.url.indexOf('?') + 1);
  const states = new URLSearchParams(query).getAll('state');
  const attempt = attempts.take(request, reply, states.length === 1 ? states[0] : undefined, clock.nowMs());
  const before = sessionOf(attempt, parts.session(request));
  const entry = providers.byIssuer(attempt.issuer);
  if (entry === undefined) throw new AccordError('SIGN_IN_REFUSED', 'this provider is no longer accepted');
  const vouched = await providers.redeem(entry, attempt, query);
  const signIn: SignIn = { ...vouched, nonce: attempt.nonce, salt: base64url(randomBytes(32)) };
  await enter(parts, reply, attempt, before, signIn);
  request.log.info({ issuer: entry.issuer, level: signIn.level, kind: attempt.kind }, 'signed in');
  return reply.header('cache-control', 'no-store').redirect(attempt.to, 303);
}

/** The session the attempt was started in: it must still be this browser's. A new sign-in may replace any. */
function sessionOf({ kind, session }: SignInAttempt, found: LiveSession | null): LiveSession | null {
  if (kind === 'sign-in') return found;
  if (found === null || found.idHash !== session) throw new AccordError('SIGN_IN_EXPIRED', 'the session is over');
  return found;
}

/** Every sign-in ends in a new session id, so that nobody can have planted or overheard it before (session fixation). */
async function enter(
  { register, clock, setCookie }: SignInParts,
  reply: FastifyReply,
  { kind, state }: SignInAttempt,
  before: LiveSession | null,
  signIn: SignIn,
): Promise<void> {
  if (kind === 'sign-in' || before === null) {
    setCookie(reply, await register.begin(signIn, state, before, clock.nowMs()));
    return;
  }
  if (kind === 'link') {
    await register.link(before, signIn);
    setCookie(reply, await register.begin(before.signIn, state, before, before.startedAtMs));
    return;
  }
  if (!register.isSamePerson(before, signIn.account)) {
    throw new AccordError('SIGN_IN_REFUSED', 'another account than the one that is signed in');
  }
  setCookie(reply, await register.begin(signIn, state, before, before.startedAtMs));
}
