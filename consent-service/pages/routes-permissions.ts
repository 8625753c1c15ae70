// What a citizen has decided: the lists, one permission, its receipts, and the buttons that end or pause it. The visitor
// controls addresses and forms; whose permission it is decides the domain.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ConsentView } from '#consent-service/consents.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Done, keepFlash, takeFlash } from './flash.ts';
import { requireNoFields } from './form.ts';
import { LEVEL, type PagesOptions, param, show, voiceFor } from './page-parts.ts';
import { permissionPage, permissionsPage, receiptsPage } from './permission-pages.ts';

const STEPS = { withdraw: 'withdrawn', pause: 'paused', resume: 'resumed' } as const satisfies Record<string, Done>;

export function addPermissionRoutes(scope: FastifyInstance, options: PagesOptions): void {
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
