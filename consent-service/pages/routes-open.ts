// The start page, the style sheet, and the answer to every other address.
import type { FastifyInstance } from 'fastify';
import { knownWords } from '#consent-service/known-words.ts';
import { type Html, html } from '#core/http/html.ts';
import { readFields } from '#core/http/pages/form.ts';
import { AccordError } from '#schemas/problems.ts';
import { noticeCards } from './notice-cards.ts';
import { LEVEL, type PagesOptions, show, voiceFor } from './page-parts.ts';
import { ICON, ICON_PATH, STYLE, STYLE_PATH } from './style.ts';

export function addOpenRoutes(scope: FastifyInstance, options: PagesOptions): void {
  const { consents, notices, sessions, configuration } = options;
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
    const unread = await notices.unread(person);
    const told =
      unread.length > 0 &&
      noticeCards(
        voice,
        knownWords(configuration.current()),
        unread,
        await notices.countUnread(person),
        sessions.csrfToken(request),
      );
    const content = html`${told}<p>${words.homeText}</p>
${cardOf('/waiting', words.waiting, words.waitingCount(waiting.length))}
${cardOf('/permissions', words.permissions, words.permissionCount(inForce))}
${cardOf('/accesses', words.accesses, words.accessesText)}
${cardOf('/verify', words.check, words.checkText)}`;
    return show(options, request, reply, voice, { title: words.homeTitle, content });
  });

  scope.post('/', async (request, reply) => {
    sessions.checkCsrf(request);
    const person = sessions.requireLevel(request, reply, LEVEL);
    if (person === null) return reply;
    const { notice = '' } = readFields(request, { notice: 43 });
    await notices.putAway(person, notice);
    return reply.redirect('/', 303);
  });

  scope.get('/*', async () => {
    throw new AccordError('NOT_FOUND');
  });
}

function cardOf(path: string, name: string, text: string): Html {
  return html`<section class="card"><h2><a href="${path}">${name}</a></h2><p>${text}</p></section>
`;
}
