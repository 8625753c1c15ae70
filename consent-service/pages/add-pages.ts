// The routes of the citizen pages: server-rendered, forms and links only, no script anywhere. Addresses and forms come from
// the visitor; who the visitor is comes from the sign-in, and whose consent something is decides the domain, which answers
// strangers as if there were nothing.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Consents, ConsentView, Person } from '#consent-service/consents.ts';
import type { Sessions } from '#consent-service/sign-in/sign-in.ts';
import type { Clock } from '#core/clock.ts';
import { AccordError, isAccordError, PROBLEMS, type ProblemCode } from '#schemas/problems.ts';
import { type Done, keepFlash, takeFlash } from './flash.ts';
import { readDecision, requireNoFields } from './form.ts';
import { html } from './html.ts';
import { languageOf, rememberLanguage } from './language.ts';
import { type Body, document } from './layout.ts';
import { permissionPage, permissionsPage, receiptsPage } from './permission-pages.ts';
import { citizenProblem, problemPage } from './problem-page.ts';
import { type Decision, requestPage, waitingPage } from './request-page.ts';
import { STYLE, STYLE_PATH } from './style.ts';
import { type Voice, voiceOf } from './words.ts';

export interface PagesOptions {
  consents: Consents;
  sessions: Sessions;
  clock: Clock;
  /** Of the network's legal days, for the times on the pages. */
  utcOffsetMinutes: () => number;
}

/** A sign-in that proves a person; giving the most sensitive items asks for more. */
const LEVEL = 2;
const LEVEL_OF_MOST = 4;

const STEPS = { withdraw: 'withdrawn', pause: 'paused', resume: 'resumed' } as const satisfies Record<string, Done>;

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
    scope.setErrorHandler((error, request, reply) => answerProblem(options, error, request, reply));
    addOpenRoutes(scope, options);
    addRequestRoutes(scope, options);
    addPermissionRoutes(scope, options);
  });
}

/** Browsers hold redirects after a form to its policy too, and a stronger sign-in is one. */
function policyOf(sessions: Sessions): string {
  const forms = ["'self'", ...sessions.formActions()].join(' ');
  return `default-src 'none'; style-src 'self'; form-action ${forms}; frame-ancestors 'none'; base-uri 'none'`;
}

function addOpenRoutes(scope: FastifyInstance, options: PagesOptions): void {
  const { consents, sessions } = options;
  scope.get(STYLE_PATH, async (_, reply) =>
    reply.header('cache-control', 'public, max-age=31536000, immutable').type('text/css; charset=utf-8').send(STYLE),
  );

  scope.get('/', async (request, reply) => {
    const voice = voiceFor(options, request);
    const { words } = voice;
    const person = sessions.person(request);
    if (person === null) {
      const content = html`<p>${words.homeText}</p><p>${words.homeSignIn}</p>
<p><a class="button" href="/sign-in?to=%2Fwaiting&amp;level=${LEVEL}">${words.signIn}</a></p>`;
      return show(options, request, reply, voice, { title: words.home, content });
    }
    const [waiting, decided] = await Promise.all([consents.waiting(person), consents.permissions(person)]);
    const inForce = decided.filter(({ state }) => state === 'GIVEN').length;
    const content = html`<p>${words.homeText}</p>
<h2>${words.waiting}</h2><p><a href="/waiting">${words.waitingCount(waiting.length)}</a></p>
<h2>${words.permissions}</h2><p><a href="/permissions">${words.permissionCount(inForce)}</a></p>`;
    return show(options, request, reply, voice, { title: words.home, content });
  });

  scope.get('/*', async () => {
    throw new AccordError('NOT_FOUND');
  });
}

function addRequestRoutes(scope: FastifyInstance, options: PagesOptions): void {
  const { consents, sessions, clock } = options;

  // The one-time address leads to the lasting one, so that it does not stay in the browser.
  scope.get('/link/:link', async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const { id } = await consents.byLink(param(request, 'link'), person);
    return reply.redirect(`/requests/${id}`, 303);
  });

  scope.get('/waiting', async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const voice = voiceFor(options, request);
    return show(options, request, reply, voice, waitingPage(voice, await consents.waiting(person)));
  });

  scope.get('/requests/:id', async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const view = await consents.one(person, param(request, 'id'));
    if (view.state !== 'REQUESTED') return reply.redirect(`/permissions/${view.id}`, 303);
    const voice = voiceFor(options, request);
    const flash = takeFlash(request, reply, view.id);
    const kept = flash?.kind === 'ticked' ? flash.ticked : null;
    const decision = { ticked: kept ?? new Set<number>(), isEmpty: false, isBack: kept !== null };
    return showRequest(options, request, reply, { voice, view, person, decision });
  });

  scope.post('/requests/:id', async (request, reply) => {
    sessions.checkCsrf(request);
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const id = param(request, 'id');
    const { decision, language, ticked } = readDecision(request);
    if (decision === 'refuse') {
      await consents.refuse(person, id);
      keepFlash(reply, { kind: 'refused', consent: id, atMs: clock.nowMs() });
      return reply.redirect(`/permissions/${id}`, 303);
    }
    const view = await consents.one(person, id);
    if (ticked.size === 0 && view.state === 'REQUESTED') {
      const voice = voiceOf(language, options.utcOffsetMinutes());
      const empty = { ticked, isEmpty: true, isBack: false };
      return showRequest(options, request, reply.code(422), { voice, view, person, decision: empty });
    }
    try {
      await consents.give(person, id, chosenOf(view, ticked), language);
    } catch (error) {
      if (!isAccordError(error) || error.code !== 'STEP_UP_REQUIRED') throw error;
      keepFlash(reply, { kind: 'ticked', consent: id, ticked });
      const query = new URLSearchParams({ to: `/requests/${id}`, level: String(LEVEL_OF_MOST) });
      return reply.redirect(`/sign-in/step-up?${query}`, 303);
    }
    keepFlash(reply, { kind: 'given', consent: id, atMs: clock.nowMs() });
    return reply.redirect(`/permissions/${id}`, 303);
  });
}

function addPermissionRoutes(scope: FastifyInstance, options: PagesOptions): void {
  const { consents, sessions, clock } = options;

  scope.get('/permissions', async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const voice = voiceFor(options, request);
    const page = permissionsPage(voice, await consents.permissions(person), sessions.csrfToken(request));
    return show(options, request, reply, voice, page);
  });

  scope.get('/permissions/:id', async (request, reply) => {
    const found = await decidedOf(options, request, reply);
    if (found === null) return reply;
    const voice = voiceFor(options, request);
    const flash = takeFlash(request, reply, found.id);
    const done = flash === null || flash.kind === 'ticked' ? null : flash;
    return show(options, request, reply, voice, permissionPage(voice, found, sessions.csrfToken(request), done));
  });

  scope.get('/permissions/:id/receipts', async (request, reply) => {
    const found = await decidedOf(options, request, reply);
    if (found === null) return reply;
    const voice = voiceFor(options, request);
    return show(options, request, reply, voice, receiptsPage(voice, found));
  });

  scope.get('/permissions/:id/receipts/:file', async (request, reply) => {
    const found = await decidedOf(options, request, reply);
    if (found === null) return reply;
    const file = param(request, 'file');
    const receipt = found.receipts.find(({ jti }) => `${jti}.jws` === file);
    if (receipt === undefined) throw new AccordError('CONSENT_UNKNOWN');
    return reply
      .header('content-disposition', `attachment; filename="receipt-${receipt.jti}.jws"`)
      .type('text/plain; charset=utf-8')
      .send(receipt.jws);
  });

  for (const step of ['withdraw', 'pause', 'resume'] as const) {
    scope.post(`/permissions/:id/${step}`, async (request, reply) => {
      sessions.checkCsrf(request);
      const person = sessions.requireLevel(request, reply, LEVEL);
      if (person === null) return reply;
      requireNoFields(request);
      const run = { withdraw: consents.withdraw, pause: consents.suspend, resume: consents.resume }[step];
      const { id } = await run.call(consents, person, param(request, 'id'));
      keepFlash(reply, { kind: STEPS[step], consent: id, atMs: clock.nowMs() });
      return reply.redirect(`/permissions/${id}`, 303);
    });
  }
}

/** A consent that was decided or ended, of the person who is signed in; else the reply is on its way. @throws CONSENT_UNKNOWN */
async function decidedOf(
  { consents, sessions }: PagesOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<ConsentView | null> {
  const person = sessions.requireLevel(request, reply, LEVEL);
  if (person === null) return null;
  const view = await consents.one(person, param(request, 'id'));
  if (view.state !== 'REQUESTED') return view;
  reply.redirect(`/requests/${view.id}`, 303);
  return null;
}

function showRequest(
  options: PagesOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  shown: { voice: Voice; view: ConsentView; person: Person; decision: Pick<Decision, 'ticked' | 'isEmpty' | 'isBack'> },
): FastifyReply {
  const { voice, view, person, decision } = shown;
  const csrf = options.sessions.csrfToken(request);
  const page = requestPage(voice, view, { ...decision, csrf, level: person.level });
  return show(options, request, reply, voice, page);
}

/** Items by their numbers on the page. @throws CONSENT_OUT_OF_BOUNDS */
function chosenOf({ services }: ConsentView, ticked: ReadonlySet<number>): { service: string; element: string }[] {
  const all = services.flatMap(({ service, items }) => items.map(({ element }) => ({ service, element })));
  if ([...ticked].some((at) => at >= all.length)) throw new AccordError('CONSENT_OUT_OF_BOUNDS', 'no such item');
  return all.filter((_, at) => ticked.has(at));
}

function show(
  { sessions }: PagesOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  voice: Voice,
  body: Body,
): FastifyReply {
  const csrf = sessions.person(request) === null ? null : sessions.csrfToken(request);
  return reply.type('text/html; charset=utf-8').send(document({ voice, path: pagePath(request), csrf }, body));
}

function answerProblem(
  options: PagesOptions,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const code = codeOf(error);
  const shown = citizenProblem(code);
  const line = { code, requestId: request.id };
  if (shown === 'INTERNAL') request.log.error({ ...line, err: error }, 'page failed');
  else request.log.info(line, 'page refused');
  const { status } = PROBLEMS[shown];
  if (status === 503) reply.header('retry-after', '5');
  const voice = voiceFor(options, request);
  const back = shown === 'CONSENT_UNKNOWN' || shown === 'NOT_FOUND' ? '/' : pagePath(request);
  return show(options, request, reply.code(status), voice, problemPage(voice, shown, back, request.id));
}

function codeOf(error: unknown): ProblemCode {
  if (isAccordError(error)) return error.code;
  const status = (error as { statusCode?: unknown }).statusCode;
  if (status === 413) return 'BODY_TOO_LARGE';
  if (status === 415) return 'MEDIA_TYPE_UNSUPPORTED';
  return typeof status === 'number' && status >= 400 && status < 500 ? 'REQUEST_MALFORMED' : 'INTERNAL';
}

/** The page on which this address, or the form that was sent to it, can be read again. */
function pagePath(request: FastifyRequest): string {
  const [path = '/'] = request.url.split('?', 1);
  return request.method === 'POST' ? path.replace(/\/(?:withdraw|pause|resume)$/, '') : path;
}

function voiceFor({ utcOffsetMinutes }: PagesOptions, request: FastifyRequest): Voice {
  return voiceOf(languageOf(request), utcOffsetMinutes());
}

function param(request: FastifyRequest, name: string): string {
  return String((request.params as Record<string, unknown>)[name]);
}
