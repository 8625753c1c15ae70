// In which language a page is shown: what the address says, else what was chosen before, else what the browser prefers,
// else Chinese. The visitor controls all of it.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Language, languageOfHeader } from '#consent-service/sign-in/pages.ts';

export type { Language };

const COOKIE = 'accord-language';
const YEAR_S = 365 * 86_400;

export function languageOf(request: FastifyRequest): Language {
  return (
    asLanguage((request.query as Record<string, unknown>)['lang']) ??
    asLanguage(request.cookies[COOKIE]) ??
    languageOfHeader(request.headers['accept-language'])
  );
}

/** Keeps a choice made with `?lang=`, on every page of the citizen port. */
export function rememberLanguage(app: FastifyInstance): void {
  app.addHook('preHandler', async (request, reply) => {
    const chosen = asLanguage((request.query as Record<string, unknown>)['lang']);
    if (chosen !== null && request.cookies[COOKIE] !== chosen) {
      reply.setCookie(COOKIE, chosen, { path: '/', httpOnly: true, sameSite: 'lax', maxAge: YEAR_S });
    }
  });
}

export function asLanguage(text: unknown): Language | null {
  return text === 'zh' || text === 'en' ? text : null;
}
