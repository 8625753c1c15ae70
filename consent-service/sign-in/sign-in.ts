// Sign-in of citizens (OpenID Connect Core 1.0: authorization code with PKCE) for the citizen port: routes, cookies and
// what the citizen pages ask of it. The browser controls the request, other sites control where the browser comes from.
import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { cipherKey } from '#certs/record-cipher.ts';
import { storageSubkeyOf } from '#certs/storage-key.ts';
import type { Person } from '#consent-service/consents.ts';
import type { Clock } from '#core/clock.ts';
import type { BoundedClient } from '#core/http/client.ts';
import { type Language, languageOfHeader } from '#core/http/pages/language.ts';
import type { IdentityProviderEntry } from '#schemas/configuration.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { AccordError } from '#schemas/problems.ts';
import { openAttempts, randomValue, type SignInAttempt } from './attempt.ts';
import { isLoopbackHttp } from './bounded-fetch.ts';
import { type Page, plainLayout } from './pages.ts';
import { providerFor } from './provider-for.ts';
import { type ClientCredential, openProviders } from './providers.ts';
import { returnPath } from './return-path.ts';
import { addSignInRoutes } from './routes.ts';
import { checkCsrfToken, csrfTokenOf, requireSameSite } from './same-site.ts';
import type { SessionStore } from './session-store.ts';
import { type LiveSession, openSessionRegister } from './sessions.ts';
import type { SignInParts } from './sign-in-parts.ts';

export interface SignInOptions {
  /** The identity part of the configuration in force. */
  providers: () => readonly IdentityProviderEntry[];
  /** How this service authenticates to a provider; null for PKCE alone. */
  credential: (issuer: string) => ClientCredential | null;
  store: SessionStore;
  /** 32 bytes from the data folder; seals what the store and the cookies hold. */
  secret: Buffer;
  client: BoundedClient;
  clock: Clock;
  /** `https://host[:port]` as citizens see it; plain http on loopback only. */
  baseUrl: string;
  onAlarm: (code: string, detail: string) => void;
  /** Puts a page of the sign-in into the look of the service. */
  layout?: (page: Page, request: FastifyRequest) => string;
  languageOf?: (request: FastifyRequest) => Language;
}

interface StartOptions {
  /** Path of this service to come back to; everything else becomes `/`. */
  to: string;
  /** Value for the ID token's nonce, e.g. the hash of notice and terms. `boundNonce` tells it afterwards. */
  nonce?: string;
  /** At least this level; never less than the session has, so that it is not weakened on the way. */
  level?: Level;
  /** The person must prove anew who they are. */
  fresh?: boolean;
}

/** What the pages of the citizen port ask of the sign-in. */
export interface Sessions {
  /** Who is signed in. */
  person(request: FastifyRequest): Person | null;
  /**
   * The person, when signed in at this level. Else a page (GET) is answered with the way to sign in or to step up and
   * back, and the result is null: return the reply. @throws SESSION_REQUIRED, STEP_UP_REQUIRED for everything but GET
   */
  requireLevel(request: FastifyRequest, reply: FastifyReply, level: Level): Person | null;
  /**
   * Sends the person who is signed in to their provider again, and back. A provider where they are signed in sends them
   * back without asking; for a higher level than the session has they prove anew who they are.
   * @throws SESSION_REQUIRED, STEP_UP_REQUIRED, SIGN_IN_REFUSED, SIGN_IN_PROVIDER_AWAY
   */
  start(request: FastifyRequest, reply: FastifyReply, options: StartOptions): Promise<FastifyReply>;
  /** The nonce in the ID token of this session. */
  boundNonce(request: FastifyRequest): string | null;
  /** The ID token itself, for queries to departments in the citizen's name. Never log it. */
  idToken(request: FastifyRequest): string | null;
  /** Name of the session from sign-in to sign-out, over steps up and bound sign-ins; says nothing about the person. */
  sessionName(request: FastifyRequest): string | null;
  /** Value of the field `csrf` in every form that changes something. @throws SESSION_REQUIRED */
  csrfToken(request: FastifyRequest): string;
  /** For every post: comes from a page of this service and carries the token. @throws SESSION_REQUIRED, CSRF_REFUSED */
  checkCsrf(request: FastifyRequest): void;
  /** @throws CSRF_REFUSED */
  requireSameSite(request: FastifyRequest): void;
  /** Origins that a form may lead to by redirects: for the `form-action` of a Content-Security-Policy. */
  formActions(): string[];
}

/**
 * Adds cookies, urlencoded forms and the routes under /sign-in and /sign-out to `app`.
 * @throws TypeError for a base URL that is neither https nor http on loopback
 */
export function addSignIn(app: FastifyInstance, options: SignInOptions): Sessions {
  const { store, secret, clock, client, credential, onAlarm } = options;
  const origin = originOf(options.baseUrl);
  const secure = origin.startsWith('https:');
  const name = secure ? '__Host-accord' : 'accord';
  const live = new WeakMap<FastifyRequest, LiveSession>();
  const providers = openProviders({
    entries: options.providers,
    credential,
    client,
    clock,
    redirectUri: `${origin}/sign-in/callback`,
    onAlarm,
  });
  const register = openSessionRegister(store, secret, clock, onAlarm);
  const attempts = openAttempts(cipherKey(storageSubkeyOf(secret, 'sign-in attempts')), `${name}-sign-in-`, secure);
  const parts: SignInParts = {
    origin,
    clock,
    providers,
    register,
    attempts,
    session: (request) => live.get(request) ?? null,
    setCookie: (reply, id) => {
      const cookieOptions = { path: '/', httpOnly: true, secure, sameSite: 'lax' } as const;
      if (id === null) reply.clearCookie(name, cookieOptions);
      else reply.setCookie(name, id, cookieOptions);
    },
    send: (request, reply, page, status = 200) =>
      sendPage(reply, (options.layout ?? plainLayout)(page, request), status, formActionsOf(parts)),
    languageOf: options.languageOf ?? ((request) => languageOfHeader(request.headers['accept-language'])),
    begin: (request, reply, issuer, wish) => begin(parts, request, reply, issuer, wish),
  };
  app.register(cookie);
  app.register(formbody, { bodyLimit: 64 * 1024 });
  app.addHook('preParsing', async (request) => {
    const found = await register.find(request.cookies[name]);
    if (found !== null) live.set(request, found);
  });
  addSignInRoutes(app, parts);
  return sessionsOf(parts);
}

function sessionsOf(parts: SignInParts): Sessions {
  const { origin, session } = parts;
  const required = (request: FastifyRequest) => {
    const found = session(request);
    if (found === null) throw new AccordError('SESSION_REQUIRED');
    return found;
  };
  return {
    person: (request) => session(request)?.person ?? null,
    requireLevel(request, reply, level) {
      const found = session(request);
      if (found !== null && found.person.level >= level) return found.person;
      const code = found === null ? 'SESSION_REQUIRED' : 'STEP_UP_REQUIRED';
      if (request.method !== 'GET' && request.method !== 'HEAD') throw new AccordError(code);
      const query = new URLSearchParams({ to: returnPath(request.url), level: String(level) });
      const path = found === null ? '/sign-in' : '/sign-in/step-up';
      reply.header('cache-control', 'no-store').redirect(`${path}?${query}`, 303);
      return null;
    },
    async start(request, reply, { to, nonce, level = 1, fresh = false }) {
      const found = required(request);
      const needed = level > found.person.level ? level : found.person.level;
      return await parts.begin(request, reply, providerFor(parts, found, needed), {
        kind: 'again',
        to: returnPath(to),
        level: needed,
        fresh: fresh || needed > found.person.level,
        ...(nonce === undefined ? {} : { nonce }),
      });
    },
    boundNonce: (request) => session(request)?.signIn.nonce ?? null,
    idToken: (request) => session(request)?.signIn.idToken ?? null,
    sessionName(request) {
      const found = session(request);
      const [own] = found?.accounts ?? [];
      return found === null || own === undefined ? null : `${own.key} ${found.startedAtMs}`;
    },
    csrfToken: (request) => csrfTokenOf(required(request).id),
    checkCsrf(request) {
      requireSameSite(request, origin);
      checkCsrfToken(request, required(request).id);
    },
    requireSameSite: (request) => requireSameSite(request, origin),
    formActions: () => formActionsOf(parts),
  };
}

async function begin(
  { providers, attempts, clock, session }: SignInParts,
  request: FastifyRequest,
  reply: FastifyReply,
  issuer: string,
  wish: Pick<SignInAttempt, 'kind' | 'to' | 'level' | 'fresh'> & { nonce?: string },
): Promise<FastifyReply> {
  const entry = providers.byIssuer(issuer);
  if (entry === undefined) throw new AccordError('SIGN_IN_REFUSED', 'this provider is no longer accepted');
  const attempt: SignInAttempt = {
    nonce: randomValue(),
    ...wish,
    issuer,
    state: randomValue(),
    verifier: randomValue(),
    session: wish.kind === 'sign-in' ? null : (session(request)?.idHash ?? null),
    startedAtMs: clock.nowMs(),
  };
  const url = await providers.authorizationUrl(entry, attempt);
  attempts.keep(request, reply, attempt);
  return reply.header('cache-control', 'no-store').redirect(url, 303);
}

function formActionsOf({ providers }: SignInParts): string[] {
  return [...new Set(providers.list().flatMap(({ entry }) => providers.originsOf(entry)))];
}

function sendPage(reply: FastifyReply, html: string, status: number, formActions: string[]): FastifyReply {
  const policy = `default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' ${formActions.join(' ')}`;
  return reply
    .code(status)
    .headers({
      'cache-control': 'no-store',
      'content-security-policy': `${policy}; frame-ancestors 'none'; base-uri 'none'`,
      'referrer-policy': 'same-origin', // no-referrer would make browsers send `Origin: null` with our own forms
      'x-content-type-options': 'nosniff',
    })
    .type('text/html; charset=utf-8')
    .send(html);
}

function originOf(baseUrl: string): string {
  const { origin, protocol } = new URL(baseUrl);
  if (origin !== baseUrl || (protocol !== 'https:' && !isLoopbackHttp(baseUrl))) {
    throw new TypeError(`not an https origin, nor http on loopback: ${baseUrl}`);
  }
  return origin;
}
