// The citizen pages: server-rendered, forms and links only, no script anywhere. Addresses and forms come from the visitor;
// who the visitor is comes from the sign-in, and whose consent something is decides the domain, which answers strangers as
// if there were nothing. The routes stand by subject in routes-*.ts.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Sessions } from '#consent-service/sign-in/sign-in.ts';
import { problemCodeOf, refusePage } from '#core/http/pages/problem.ts';
import { rememberLanguage } from './language.ts';
import { countNotices, type PagesOptions, pagePath, show, voiceFor } from './page-parts.ts';
import { citizenProblem, problemPage } from './problem-page.ts';
import { addAccessRoutes } from './routes-accesses.ts';
import { addCheckRoutes } from './routes-check.ts';
import { addMandatePages } from './routes-mandates.ts';
import { addOpenRoutes } from './routes-open.ts';
import { addPermissionRoutes } from './routes-permissions.ts';
import { addRequestRoutes } from './routes-requests.ts';

/** Adds the pages to the citizen port; the sign-in must have been added before. */
export function addPages(app: FastifyInstance, options: PagesOptions): void {
  rememberLanguage(app);
  app.register(async (scope) => {
    scope.addHook('onRequest', async (_, reply) => {
      reply.headers({
        'cache-control': 'no-store',
        'content-security-policy': policyOf(options.sessions),
        'referrer-policy': 'same-origin', // no-referrer would make browsers send `Origin: null` with our own forms
        'x-content-type-options': 'nosniff',
      });
    });
    scope.addHook('preHandler', async (request) => await countNotices(options, request));
    scope.setErrorHandler((error, request, reply) => answerProblem(options, error, request, reply));
    addOpenRoutes(scope, options);
    addCheckRoutes(scope, options);
    addAccessRoutes(scope, options);
    addRequestRoutes(scope, options);
    addPermissionRoutes(scope, options);
    addMandatePages(scope, options);
  });
}

/** Browsers hold redirects after a form to its policy too, and a stronger sign-in is one. */
function policyOf(sessions: Sessions): string {
  const forms = ["'self'", ...sessions.formActions()].join(' ');
  return `default-src 'none'; style-src 'self'; img-src 'self'; form-action ${forms}; frame-ancestors 'none'; base-uri 'none'`;
}

function answerProblem(
  options: PagesOptions,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const shown = citizenProblem(problemCodeOf(error));
  const voice = voiceFor(options, request);
  const back = shown === 'CONSENT_UNKNOWN' || shown === 'NOT_FOUND' ? '/' : pagePath(request);
  const refused = refusePage(error, request, reply, shown);
  return show(options, request, refused, voice, problemPage(voice, shown, back, request.id));
}
