// What the routes of the sign-in work with.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '#core/clock.ts';
import type { Language } from '#core/http/pages/language.ts';
import type { Attempts, SignInAttempt } from './attempt.ts';
import type { Page } from './pages.ts';
import type { Providers } from './providers.ts';
import type { LiveSession, SessionRegister } from './sessions.ts';

export interface SignInParts {
  origin: string;
  clock: Clock;
  providers: Providers;
  register: SessionRegister;
  attempts: Attempts;
  /** The session that this request's cookie named. */
  session(request: FastifyRequest): LiveSession | null;
  /** Null takes the cookie away. */
  setCookie(reply: FastifyReply, id: string | null): void;
  send(request: FastifyRequest, reply: FastifyReply, page: Page, status?: number): FastifyReply;
  languageOf(request: FastifyRequest): Language;
  /** Keeps an attempt in the browser and sends it to the provider. @throws SIGN_IN_PROVIDER_AWAY, STEP_UP_REQUIRED */
  begin(
    request: FastifyRequest,
    reply: FastifyReply,
    issuer: string,
    wish: Pick<SignInAttempt, 'kind' | 'to' | 'level' | 'fresh'> & { nonce?: string },
  ): Promise<FastifyReply>;
}
