// The start page, the style sheet, and the answer to every other address.
import type { FastifyInstance } from 'fastify';
import { AccordError } from '#schemas/problems.ts';
import { html } from './html.ts';
import { LEVEL, type PagesOptions, show, voiceFor } from './page-parts.ts';
import { ICON, ICON_PATH, STYLE, STYLE_PATH } from './style.ts';

export function addOpenRoutes(scope: FastifyInstance, options: PagesOptions): void {
  const { consents, sessions } = options;
  for (const [path, type, text] of [
    [STYLE_PATH, 'text/css; charset=utf-8', STYLE],
    [ICON_PATH, 'image/svg+xml', ICON],
  ] as const) {
    scope.get(path, async (_, reply) =>
      reply.header('cache-control', 'public, max-age=31536000, immutable').type(type).send(text),
    );
  }

  scope.get('/', async (request, reply) => {
    const voice = voiceFor(options, request);
    const { words } = voice;
    const person = sessions.person(request);
    if (person === null) {
      const content = html`<p>${words.homeText}</p><p>${words.homeSignIn}</p>
<p><a class="button" href="/sign-in?to=%2Fwaiting&amp;level=${LEVEL}">${words.signIn}</a></p>
<p><a href="/verify">${words.check}</a></p>`;
      return show(options, request, reply, voice, { title: words.homeTitle, content });
    }
    const [waiting, decided] = await Promise.all([consents.waiting(person), consents.permissions(person)]);
    const inForce = decided.filter(({ state }) => state === 'GIVEN').length;
    const content = html`<p>${words.homeText}</p>
<h2>${words.waiting}</h2><p><a href="/waiting">${words.waitingCount(waiting.length)}</a></p>
<h2>${words.permissions}</h2><p><a href="/permissions">${words.permissionCount(inForce)}</a></p>
<h2>${words.accesses}</h2><p><a href="/accesses">${words.looked.ask}</a></p>
<h2>${words.check}</h2><p><a href="/verify">${words.checking.label}</a></p>`;
    return show(options, request, reply, voice, { title: words.homeTitle, content });
  });

  scope.get('/*', async () => {
    throw new AccordError('NOT_FOUND');
  });
}
