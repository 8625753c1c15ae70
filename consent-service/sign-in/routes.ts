// The routes of the sign-in: choice of a provider, start, callback, step-up, linked accounts, sign-out. Paths and
// queries come from whoever made the link, the callback's query from the provider or from somebody who plays one.
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { problemOf } from '#core/http/problem-reply.ts';
import type { IdentityProviderEntry } from '#schemas/configuration.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { MAX_CALLBACK_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { finishSignIn } from './callback.ts';
import { accountsPage, choicePage, problemPage, signedOutPage } from './pages.ts';
import { providerFor } from './provider-for.ts';
import { returnPath } from './return-path.ts';
import { checkCsrfToken, csrfTokenOf, requireSameSite } from './same-site.ts';
import type { LiveSession } from './sessions.ts';
import type { SignInParts } from './sign-in-parts.ts';

type Query = Record<string, unknown>;

export function addSignInRoutes(app: FastifyInstance, parts: SignInParts): void {
  const { providers, languageOf, send, begin, register } = parts;
  const errorHandler = (error: FastifyError, request: FastifyRequest, reply: FastifyReply) =>
    answerProblem(parts, error, request, reply);
  const options = { errorHandler };

  app.get('/sign-in', options, (request, reply) => {
    const query = request.query as Query;
    const to = returnPath(query['to']);
    const level = levelOf(query['level']);
    const able = providers
      .list()
      .filter(({ entry }) => Object.values(entry.levels).some((reached) => reached >= level));
    const choices = able.map(({ slug, entry }) => ({
      href: `/sign-in/${slug}/start?${new URLSearchParams({ to, level: String(level) })}`,
      name: nameOf(entry),
    }));
    return send(request, reply, choicePage(languageOf(request), choices));
  });

  app.get('/sign-in/:provider/start', options, async (request, reply) => {
    const query = request.query as Query;
    const { issuer } = providerOf(parts, request);
    const wish = { to: returnPath(query['to']), level: levelOf(query['level']), fresh: false };
    return await begin(request, reply, issuer, { kind: 'sign-in', ...wish });
  });

  app.get('/sign-in/step-up', options, async (request, reply) => {
    const query = request.query as Query;
    const session = parts.session(request);
    const to = returnPath(query['to']);
    const level = levelOf(query['level']);
    if (session === null) return reply.redirect(`/sign-in?${new URLSearchParams({ to, level: String(level) })}`, 303);
    const issuer = providerFor(parts, session, level);
    return await begin(request, reply, issuer, { kind: 'again', to, level, fresh: true });
  });

  app.get('/sign-in/callback', options, async (request, reply) => {
    if (request.url.length > MAX_CALLBACK_BYTES) throw new AccordError('SIGN_IN_REFUSED', 'too long');
    return await finishSignIn(parts, request, reply);
  });

  app.get('/sign-in/accounts', options, (request, reply) => {
    const session = required(parts, request);
    const accounts = session.accounts.map(({ key, issuer, value }, at) => {
      const entry = providers.byIssuer(issuer);
      return { key, name: entry ? nameOf(entry) : { zh: issuer, en: issuer }, value, own: at === 0 };
    });
    const others = providers
      .list()
      .filter(({ entry }) => !session.accounts.some(({ issuer }) => issuer === entry.issuer));
    const view = {
      csrf: csrfTokenOf(session.id),
      to: returnPath((request.query as Query)['to']),
      accounts,
      others: others.map(({ slug, entry }) => ({ slug, name: nameOf(entry) })),
    };
    return send(request, reply, accountsPage(languageOf(request), view));
  });

  app.post('/sign-in/:provider/link', options, async (request, reply) => {
    posted(parts, request);
    const { issuer } = providerOf(parts, request);
    const to = returnPath(field(request, 'to'));
    return await begin(request, reply, issuer, { kind: 'link', to, level: 1, fresh: true });
  });

  app.post('/sign-in/unlink', options, async (request, reply) => {
    const session = posted(parts, request);
    await register.unlink(session, String(field(request, 'account')));
    return reply.redirect('/sign-in/accounts', 303);
  });

  app.post('/sign-out', options, (request, reply) => signOut(parts, request, reply));
}

/** Ends the session here, and shows the way to end the provider's. Without a session there is nothing to forge. */
async function signOut(parts: SignInParts, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { origin, providers, register, setCookie, languageOf, send } = parts;
  requireSameSite(request, origin);
  const session = parts.session(request);
  const entry = session && providers.byIssuer(session.signIn.account.issuer);
  if (session !== null) {
    checkCsrfToken(request, session.id);
    await register.end(session);
  }
  setCookie(reply, null);
  const url = entry ? await providers.endSessionUrl(entry, `${origin}/`) : null;
  return send(request, reply, signedOutPage(languageOf(request), entry && url ? { url, name: nameOf(entry) } : null));
}

/** A page for a browser, a problem document for everybody else; what the server itself got wrong goes to its own handler. */
function answerProblem(parts: SignInParts, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error, request.id);
  if (!isAccordError(error) || problem.code === 'INTERNAL') throw error;
  request.log.info({ code: error.code, detail: error.detail, requestId: request.id }, 'sign-in not done');
  if (problem.status === 503) reply.header('retry-after', '5');
  if (!(request.headers.accept ?? '').includes('text/html')) {
    return reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem));
  }
  const page = problemPage(parts.languageOf(request), problem.code, '/sign-in');
  return parts.send(request, reply, page, problem.status);
}

/** The session of a form that was sent from one of our pages. @throws SESSION_REQUIRED, CSRF_REFUSED */
function posted(parts: SignInParts, request: FastifyRequest): LiveSession {
  requireSameSite(request, parts.origin);
  const session = required(parts, request);
  checkCsrfToken(request, session.id);
  return session;
}

function required(parts: SignInParts, request: FastifyRequest): LiveSession {
  const session = parts.session(request);
  if (session === null) throw new AccordError('SESSION_REQUIRED');
  return session;
}

function providerOf({ providers }: SignInParts, request: FastifyRequest): IdentityProviderEntry {
  const entry = providers.bySlug(String((request.params as Query)['provider']));
  if (entry === undefined) throw new AccordError('NOT_FOUND');
  return entry;
}

function field(request: FastifyRequest, name: string): unknown {
  const { body } = request;
  return typeof body === 'object' && body !== null ? (body as Query)[name] : undefined;
}

function levelOf(text: unknown): Level {
  return ([1, 2, 3, 4] as const).find((level) => String(level) === text) ?? 1;
}

function nameOf({ name, issuer }: IdentityProviderEntry): { zh: string; en: string } {
  const { host } = new URL(issuer);
  return name ?? { zh: host, en: host };
}
