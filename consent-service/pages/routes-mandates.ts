// The routes about mandates: the two lists, the offer, accepting, declining and ending, and the page for one represented
// person. The visitor controls addresses and forms; whose mandate something is decides the domain.
import type { FastifyInstance } from 'fastify';
import { AccordError } from '#schemas/problems.ts';
import { requireNoFields } from './form.ts';
import { EMPTY_OFFER, offerOf, readTyped } from './mandate-form.ts';
import { forPage, mandatesPage, offerPage } from './mandate-pages.ts';
import { LEVEL, type PagesOptions, param, show, voiceFor } from './page-parts.ts';

export function addMandatePages(scope: FastifyInstance, options: PagesOptions): void {
  const { consents, sessions, clock } = options;
  const { mandates } = consents;

  scope.get('/mandates', async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const voice = voiceFor(options, request);
    const page = mandatesPage(voice, await mandates.mine(person), sessions.csrfToken(request));
    return show(options, request, reply, voice, page);
  });

  scope.get('/mandates/offer', async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const voice = voiceFor(options, request);
    const page = offerPage(voice, mandates.choices(person), EMPTY_OFFER, [], sessions.csrfToken(request));
    return show(options, request, reply, voice, page);
  });

  scope.post('/mandates/offer', async (request, reply) => {
    sessions.checkCsrf(request);
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const typed = readTyped(request);
    const offer = offerOf(typed, clock.nowMs());
    if ('faults' in offer) {
      const voice = voiceFor(options, request);
      const page = offerPage(voice, mandates.choices(person), typed, offer.faults, sessions.csrfToken(request));
      return show(options, request, reply.code(422), voice, page);
    }
    await mandates.offer(person, offer);
    return reply.redirect('/mandates', 303);
  });

  for (const step of ['accept', 'decline', 'end'] as const) {
    scope.post(`/mandates/:id/${step}`, async (request, reply) => {
      sessions.checkCsrf(request);
      const person = sessions.requireLevel(request, reply, LEVEL);
      if (person === null) return reply;
      requireNoFields(request);
      await mandates[step](person, param(request, 'id'));
      return reply.redirect('/mandates', 303);
    });
  }

  scope.get('/for/:mandate', async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const id = param(request, 'mandate');
    const view = await mandates.one(person, id);
    if (!view.isActive || view.role !== 'representative') throw new AccordError('MANDATE_UNKNOWN');
    const [waiting, decided] = await Promise.all([consents.waiting(person, id), consents.permissions(person, id)]);
    const voice = voiceFor(options, request);
    const page = forPage(voice, view, waiting, decided, sessions.csrfToken(request));
    return show(options, request, reply, voice, page);
  });
}
