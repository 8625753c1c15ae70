// The auditor's pages on the admin port: server-rendered, forms and links only, no script anywhere. Signed in is who showed the
// API key of an auditor; an administrator's key opens nothing here, so that whoever runs a server does not also read its
// records on these pages. Addresses, cookies and forms come from the browser.
import { randomBytes } from 'node:crypto';
import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { fieldsOf, readFields } from '#core/http/pages/form.ts';
import { rememberLanguage } from '#core/http/pages/language.ts';
import { problemCodeOf, refusePage } from '#core/http/pages/problem.ts';
import { sourceOf } from '#core/http/source-of.ts';
import { MAX_AUDITOR_FORM_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { AuditRun } from './audit-run.ts';
import type { AuditorPlaces } from './examine.ts';
import { LANGUAGE_COOKIE, languageOf } from './language.ts';
import { type AuditorParts, cookieName, pagePath, requireSameOrigin, sessionOf, show } from './page-parts.ts';
import { problemPage } from './problem-page.ts';
import { addRoutes } from './routes.ts';
import { type AuditorKey, AuditorSessions, checkCsrf } from './sessions.ts';
import { pathWithin, signInPage } from './sign-in-page.ts';
import { ICON, ICON_PATH, STYLE, STYLE_PATH } from './style.ts';
import { AuditorThread } from './thread.ts';
import { AuditorTrail } from './trail.ts';

export interface AuditorOptions {
  keys: readonly AuditorKey[];
  /** Asked when something is looked at: a restored server may go on in another log. */
  places: () => AuditorPlaces;
  /** Where the report of the last verification is kept, and what auditors did. */
  auditFile: string;
  trailFile: string;
}

const COOKIE = { path: '/auditor', httpOnly: true, sameSite: 'strict' } as const;
const POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const DAY_S = 86_400;

export function addAuditorPages(app: FastifyInstance, server: ServerParts, options: AuditorOptions): void {
  const { clock, logger } = server;
  const { keys, places, auditFile, trailFile } = options;
  const parts: AuditorParts = {
    server,
    sessions: new AuditorSessions(keys, clock, randomBytes),
    thread: new AuditorThread(places),
    audit: new AuditRun({ places, file: auditFile, clock, logger }),
    trail: new AuditorTrail(trailFile, clock, logger),
  };
  app.register(async (scope) => {
    await scope.register(cookie);
    await scope.register(formbody, { bodyLimit: MAX_AUDITOR_FORM_BYTES });
    scope.addHook('onRequest', async (_, reply) => {
      reply.headers({
        'cache-control': 'no-store',
        'content-security-policy': POLICY,
        'referrer-policy': 'same-origin', // no-referrer would make browsers send `Origin: null` with our own forms
        'x-content-type-options': 'nosniff',
        'cross-origin-resource-policy': 'same-origin',
      });
    });
    rememberLanguage(scope, LANGUAGE_COOKIE, { ...COOKIE, maxAge: 400 * DAY_S });
    scope.setErrorHandler((error, request, reply) => answerProblem(parts, error, request, reply));
    addOpenRoutes(scope, parts);
    await scope.register(async (inner) => {
      inner.addHook('preHandler', async (request, reply) => leadToSignIn(parts, request, reply));
      addRoutes(inner, parts);
    });
    scope.all('/auditor/*', async () => {
      throw new AccordError('NOT_FOUND');
    });
  });
  app.addHook('onClose', async () => {
    await Promise.all([parts.thread.close(), parts.audit.stop()]);
  });
}

/** A page leads to the sign-in and back; a form that was sent is not repeated by itself, so that it is refused. */
async function leadToSignIn(parts: AuditorParts, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  if (sessionOf(parts, request) !== null) return undefined;
  if (request.method !== 'GET') throw new AccordError('SESSION_REQUIRED');
  return await reply.redirect(
    `/auditor/sign-in?${new URLSearchParams({ to: pathWithin(request.url) }).toString()}`,
    303,
  );
}

function addOpenRoutes(app: FastifyInstance, parts: AuditorParts): void {
  const { server, sessions, trail } = parts;
  const name = cookieName(server.self);
  const kept = { 'cache-control': 'public, max-age=31536000, immutable' };
  app.get(STYLE_PATH, async (_, reply) => reply.headers(kept).type('text/css; charset=utf-8').send(STYLE));
  app.get(ICON_PATH, async (_, reply) => reply.headers(kept).type('image/svg+xml').send(ICON));
  const form = { hasKeys: sessions.hasKeys, isWrong: false, isSignedOut: false };
  app.get('/auditor/sign-in', async (request, reply) => {
    const { to, out } = request.query as Record<string, unknown>;
    const view = { ...form, to: pathWithin(to), isSignedOut: out === '1' };
    return show(parts, request, reply, signInPage(languageOf(request), view));
  });
  app.post('/auditor/sign-in', async (request, reply) => {
    requireSameOrigin(request);
    const { key = '', to: wished } = readFields(request, { key: 1_000, to: 4_000 });
    const to = pathWithin(wished);
    try {
      const begun = sessions.begin(key, sourceOf(request.ip));
      await trail.note({ action: 'sign-in', auditor: begun.name });
      return reply.setCookie(name, begun.token, COOKIE).redirect(to, 303);
    } catch (error) {
      if (!isAccordError(error, 'API_KEY_REQUIRED')) throw error;
      request.log.warn({ code: error.code }, 'sign-in of an auditor refused');
      return show(parts, request, reply.code(401), signInPage(languageOf(request), { ...form, to, isWrong: true }));
    }
  });
  app.post('/auditor/sign-out', async (request, reply) => {
    requireSameOrigin(request);
    const session = sessionOf(parts, request);
    if (session !== null) {
      checkCsrf(fieldsOf(request)['csrf'], session);
      sessions.end(request.cookies[name] ?? '');
      await trail.note({ action: 'sign-out', auditor: session.name });
    }
    return reply.clearCookie(name, COOKIE).redirect('/auditor/sign-in?out=1', 303);
  });
}

function answerProblem(
  parts: AuditorParts,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const code = problemCodeOf(error);
  const back = code === 'NOT_FOUND' || code === 'EXCHANGE_NOT_FOUND' ? '/auditor' : pathWithin(pagePath(request));
  const refused = refusePage(error, request, reply);
  return show(parts, request, refused, problemPage(languageOf(request), code, back, request.id));
}
