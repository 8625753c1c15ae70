// Requests that wait for a citizen: the one-time link, the list, the page on which one is decided, and the decision. The
// visitor controls addresses and forms; whose request it is decides the domain.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { agreementNonce } from '#consent-service/agreement.ts';
import type { ConsentView, Person } from '#consent-service/consents.ts';
import { AccordError } from '#schemas/problems.ts';
import { placeOf } from './acting-parts.ts';
import { keepFlash, peekFlash, takeFlash } from './flash.ts';
import { readDecision } from './form.ts';
import { actingFor, LEVEL, type PagesOptions, param, show, voiceFor } from './page-parts.ts';
import { type Decision, requestPage, waitingPage } from './request-page.ts';
import { type Voice, voiceOf } from './words.ts';

const LEVEL_OF_MOST = 4;

export function addRequestRoutes(scope: FastifyInstance, options: PagesOptions): void {
  const { consents, sessions } = options;

  // The one-time address leads to the lasting one, so that it does not stay in the browser.
  scope.get('/link/:link', async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const view = await consents.byLink(param(request, 'link'), person);
    return reply.redirect(`${placeOf(view)}/requests/${view.id}`, 303);
  });

  scope.get('/waiting', async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const voice = voiceFor(options, request);
    const { byMe } = await consents.mandates.mine(person);
    const others = byMe
      .filter(({ isActive }) => isActive)
      .map(async (mandate) => ({ mandate, views: await consents.waiting(person, mandate.id) }));
    const page = waitingPage(voice, await consents.waiting(person), await Promise.all(others));
    return show(options, request, reply, voice, page);
  });

  addDecisionRoutes(scope, options, '');
  addDecisionRoutes(scope, options, '/for/:mandate');
}

/** @param at before the path: whether somebody decides for themself or under a mandate */
function addDecisionRoutes(scope: FastifyInstance, options: PagesOptions, at: '' | '/for/:mandate'): void {
  const { consents, sessions, clock } = options;

  scope.get(`${at}/requests/:id`, async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const view = await consents.one(person, param(request, 'id'), actingFor(request));
    if (view.state !== 'REQUESTED') return reply.redirect(`${placeOf(view)}/permissions/${view.id}`, 303);
    const voice = voiceFor(options, request);
    const flash = takeFlash(request, reply, view.id);
    const kept = flash?.kind === 'ticked' ? flash.ticked : null;
    const decision = { ticked: kept ?? new Set<number>(), isEmpty: false, isBack: kept !== null };
    return showRequest(options, request, reply, { voice, view, person, decision });
  });

  scope.post(`${at}/requests/:id`, async (request, reply) => {
    sessions.checkCsrf(request);
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const id = param(request, 'id');
    const { decision, language, ticked } = readDecision(request);
    if (decision === 'refuse') {
      const refused = await consents.refuse(person, id, actingFor(request));
      keepFlash(reply, { kind: 'refused', consent: id, atMs: clock.nowMs() });
      return reply.redirect(`${placeOf(refused)}/permissions/${id}`, 303);
    }
    const view = await consents.one(person, id, actingFor(request));
    if (ticked.size === 0 && view.state === 'REQUESTED') {
      const voice = voiceOf(language, options.utcOffsetMinutes());
      const empty = { ticked, isEmpty: true, isBack: false };
      return showRequest(options, request, reply.code(422), { voice, view, person, decision: empty });
    }
    if (view.state !== 'REQUESTED') throw new AccordError('CONSENT_TRANSITION_REFUSED', view.state);
    const given = chosenOf(view, ticked);
    keepFlash(reply, { kind: 'ticked', consent: id, ticked, language });
    return await sessions.start(request, reply, {
      to: `${placeOf(view)}/requests/${id}/agreed`,
      nonce: agreementNonce({ consent: id, terms: view, given, language }),
      level: hasMost(view, given) ? LEVEL_OF_MOST : LEVEL,
    });
  });

  // Where the sign-in for a decision leads back to. It changes something although it is a GET: whatever the address says, it
  // does only what was sent with the form before, and only if the nonce in the new ID token is the hash of exactly that.
  scope.get(`${at}/requests/:id/agreed`, async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const view = await consents.one(person, param(request, 'id'), actingFor(request));
    const { id } = view;
    const here = placeOf(view);
    if (view.state !== 'REQUESTED') return reply.redirect(`${here}/permissions/${id}`, 303);
    const flash = peekFlash(request, id);
    if (flash?.kind !== 'ticked') return reply.redirect(`${here}/requests/${id}`, 303);
    const { language, ticked } = flash;
    const given = chosenOf(view, ticked);
    if (agreementNonce({ consent: id, terms: view, given, language }) !== sessions.boundNonce(request)) {
      return reply.redirect(`${here}/requests/${id}`, 303);
    }
    await consents.give(person, id, given, language, actingFor(request));
    keepFlash(reply, { kind: 'given', consent: id, atMs: clock.nowMs() });
    return reply.redirect(`${here}/permissions/${id}`, 303);
  });
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

function hasMost({ services }: ConsentView, given: readonly { service: string; element: string }[]): boolean {
  const most = services.flatMap(({ service, items }) =>
    items.filter(({ level }) => level === LEVEL_OF_MOST).map(({ element }) => `${service} ${element}`),
  );
  return given.some(({ service, element }) => most.includes(`${service} ${element}`));
}
