// What a citizen has decided: the lists, one permission, its receipts, and the buttons that end or pause it. The visitor
// controls addresses and forms; whose permission it is decides the domain.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { checkReceipt } from '#consent-service/check-receipt.ts';
import type { ConsentView } from '#consent-service/consents.ts';
import { AccordError } from '#schemas/problems.ts';
import { placeOf } from './acting-parts.ts';
import { type Done, keepFlash, takeFlash } from './flash.ts';
import { requireNoFields } from './form.ts';
import { actingFor, LEVEL, type PagesOptions, param, show, voiceFor } from './page-parts.ts';
import { permissionPage, permissionsPage, receiptsPage } from './permission-pages.ts';

const STEPS = { withdraw: 'withdrawn', pause: 'paused', resume: 'resumed' } as const satisfies Record<string, Done>;

export function addPermissionRoutes(scope: FastifyInstance, options: PagesOptions): void {
  const { consents, sessions, clock, configuration, statusOf } = options;

  scope.get('/permissions', async (request, reply) => {
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const voice = voiceFor(options, request);
    const views = await withUses(options, await consents.permissions(person));
    const page = permissionsPage(voice, views, sessions.csrfToken(request));
    return show(options, request, reply, voice, page);
  });

  for (const at of ['', '/for/:mandate']) {
    scope.get(`${at}/permissions/:id`, async (request, reply) => {
      const found = await decidedOf(options, request, reply);
      if (found === null) return reply;
      const voice = voiceFor(options, request);
      const flash = takeFlash(request, reply, found.id);
      const done = flash === null || flash.kind === 'ticked' ? null : flash;
      const [view = found] = await withUses(options, [found]);
      return show(options, request, reply, voice, permissionPage(voice, view, sessions.csrfToken(request), done));
    });
  }

  scope.get('/permissions/:id/receipts', async (request, reply) => {
    const found = await decidedOf(options, request, reply);
    if (found === null) return reply;
    const voice = voiceFor(options, request);
    const nowMs = clock.nowMs();
    const check = (jws: string) => checkReceipt(jws, configuration.current(), statusOf, nowMs);
    return show(options, request, reply, voice, receiptsPage(voice, found, check, nowMs));
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

  addChanges(scope, options, '');
  addChanges(scope, options, '/for/:mandate');
}

/** @param at before the path: whether somebody acts for themself or under a mandate */
function addChanges(scope: FastifyInstance, options: PagesOptions, at: '' | '/for/:mandate'): void {
  const { consents, sessions, clock } = options;
  for (const step of ['withdraw', 'pause', 'resume'] as const) {
    scope.post(`${at}/permissions/:id/${step}`, async (request, reply) => {
      sessions.checkCsrf(request);
      const person = sessions.requireLevel(request, reply, LEVEL);
      if (person === null) return reply;
      requireNoFields(request);
      const run = { withdraw: consents.withdraw, pause: consents.suspend, resume: consents.resume }[step];
      const view = await run.call(consents, person, param(request, 'id'), actingFor(request));
      keepFlash(reply, { kind: STEPS[step], consent: view.id, atMs: clock.nowMs() });
      return reply.redirect(`${placeOf(view)}/permissions/${view.id}`, 303);
    });
  }
}

/** What the providers say of the uses is beside the point here: a page that cannot have it says so. */
async function withUses({ uses }: PagesOptions, views: ConsentView[]): Promise<ConsentView[]> {
  return uses === null ? views : await uses.fill(views);
}

/** A consent that was decided or ended, of the person who is signed in; else the reply is on its way. @throws CONSENT_UNKNOWN */
async function decidedOf(
  { consents, sessions }: PagesOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<ConsentView | null> {
  const person = sessions.requireLevel(request, reply, LEVEL);
  if (person === null) return null;
  const view = await consents.one(person, param(request, 'id'), actingFor(request));
  if (view.state !== 'REQUESTED') return view;
  reply.redirect(`${placeOf(view)}/requests/${view.id}`, 303);
  return null;
}
