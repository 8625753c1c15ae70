// Who looked at my data, and reporting an error in it: the question is sealed into the browser, the person is sent to their
// identity provider for an ID token with its hash as nonce, and only with that token it goes to the departments. The visitor
// controls addresses and forms; a question that nobody signed in for is asked nowhere.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { knownWords } from '#consent-service/known-words.ts';
import { html } from '#core/http/html.ts';
import { readFields } from '#core/http/pages/form.ts';
import type { Access } from '#schemas/accesses.ts';
import { AccordError } from '#schemas/problems.ts';
import { accessPage } from './access-card.ts';
import { readFilter } from './access-filter.ts';
import { accessesPage, SPANS } from './accesses-page.ts';
import { doubtPage, MAX_NOTE_CHARS, MAX_PROPOSED_CHARS, reportedPage } from './doubt-pages.ts';
import { LEVEL, type PagesOptions, param, show, voiceFor } from './page-parts.ts';

export function addAccessRoutes(scope: FastifyInstance, options: PagesOptions): void {
  const { sessions, departments, questions, shown } = options;

  scope.get('/accesses', async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const answer = shown.find(sessionOf(options, request));
    const voice = voiceFor(options, request);
    const page = accessesPage(voice, {
      csrf: sessions.csrfToken(request),
      canAsk: departments !== null,
      answer,
      filter: readFilter(request.query as Record<string, unknown>),
      ...(await wordsFor(options, request)),
    });
    return show(options, request, reply, voice, page);
  });

  scope.post('/accesses', async (request, reply) => {
    sessions.checkCsrf(request);
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    if (departments === null) throw new AccordError('NOT_FOUND', 'no own security server');
    const { span = '' } = readFields(request, { span: 10 });
    if (!Object.hasOwn(SPANS, span)) throw new AccordError('SCHEMA_MISMATCH', 'the form');
    const nonce = questions.keep(reply, departments.accessesQuestion(SPANS[span as keyof typeof SPANS]));
    return await sessions.start(request, reply, { to: '/accesses/answers', nonce });
  });

  scope.get('/accesses/answers', async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const question = questions.take(request, reply, 'accesses', sessions.boundNonce(request));
    const idToken = sessions.idToken(request);
    if (question !== null && idToken !== null && departments !== null) {
      shown.keep(sessionOf(options, request), await departments.askAccesses(question, idToken));
    }
    return reply.redirect('/accesses', 303);
  });

  scope.get('/accesses/:exchange', async (request, reply) => {
    const access = accessOf(options, request, reply);
    if (access === null) return reply;
    const voice = voiceFor(options, request);
    return show(options, request, reply, voice, accessPage(voice, await wordsFor(options, request), access));
  });

  addDoubtRoutes(scope, options);
}

function addDoubtRoutes(scope: FastifyInstance, options: PagesOptions): void {
  const { sessions, departments, questions, shown, configuration } = options;
  const known = () => knownWords(configuration.current());

  scope.get('/accesses/:exchange/doubt', async (request, reply) => {
    const access = accessOf(options, request, reply);
    if (access === null) return reply;
    const voice = voiceFor(options, request);
    const form = { csrf: sessions.csrfToken(request), element: null, proposed: '', note: '', isEmpty: false };
    return show(options, request, reply, voice, doubtPage(voice, known(), access, form));
  });

  scope.post('/accesses/:exchange/doubt', async (request, reply) => {
    sessions.checkCsrf(request);
    const access = accessOf(options, request, reply);
    if (access === null) return reply;
    if (departments === null) throw new AccordError('NOT_FOUND', 'no own security server');
    const fields = readFields(request, { element: 127, proposed: MAX_PROPOSED_CHARS, note: MAX_NOTE_CHARS });
    const { element = '', proposed = '', note = '' } = fields;
    if (element === '') {
      const voice = voiceFor(options, request);
      const form = { csrf: sessions.csrfToken(request), element: null, proposed, note, isEmpty: true };
      return show(options, request, reply.code(422), voice, doubtPage(voice, known(), access, form));
    }
    if (!access.items.includes(element)) throw new AccordError('SCHEMA_MISMATCH', 'the form');
    const { service, exchange } = access;
    const told = { proposed: proposed.trim() || null, note: note.trim() || null };
    const nonce = questions.keep(reply, departments.doubtQuestion({ service, exchange, element, ...told }));
    return await sessions.start(request, reply, { to: '/accesses/reported', nonce });
  });

  scope.get('/accesses/reported', async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const question = questions.take(request, reply, 'doubt', sessions.boundNonce(request));
    const idToken = sessions.idToken(request);
    if (question === null || idToken === null || departments === null) return reply.redirect('/accesses', 303);
    const told = await departments.reportDoubt(question, idToken);
    if (!('why' in told)) shown.addDoubt(sessionOf(options, request), told);
    const voice = voiceFor(options, request);
    return show(options, request, reply, voice, reportedPage(voice, known(), told));
  });
}

/** An access that is shown in this session; else the reply is on its way. */
function accessOf(options: PagesOptions, request: FastifyRequest, reply: FastifyReply): Access | null {
  const { sessions, shown } = options;
  if (sessions.requireLevel(request, reply, LEVEL) === null) return null;
  const exchange = param(request, 'exchange');
  const found = shown.find(sessionOf(options, request))?.accesses.find((one) => one.exchange === exchange);
  if (found !== undefined) return found;
  const voice = voiceFor(options, request);
  const content = html`<p>${voice.words.doubt.gone}</p>
<p><a class="button" href="/accesses">${voice.words.accesses}</a></p>`;
  show(options, request, reply.code(404), voice, { title: voice.words.nothingTitle, content });
  return null;
}

async function wordsFor({ consents, sessions, configuration }: PagesOptions, request: FastifyRequest) {
  const person = sessions.person(request);
  const views = person === null ? [] : await consents.permissions(person);
  const permissions = new Map(
    views.flatMap(({ id, services }) =>
      services.flatMap(({ receipt }) => (receipt === null ? [] : [[receipt, id] as const])),
    ),
  );
  return { known: knownWords(configuration.current()), permissions };
}

/** @throws SESSION_REQUIRED */
function sessionOf({ sessions }: PagesOptions, request: FastifyRequest): string {
  const name = sessions.sessionName(request);
  if (name === null) throw new AccordError('SESSION_REQUIRED');
  return name;
}
