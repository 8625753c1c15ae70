// In which language a page is shown: what the address says, else what was chosen before, else what the browser prefers, else
// Chinese. The visitor controls all of it.
import type { CookieSerializeOptions } from '@fastify/cookie';
import type { FastifyInstance, FastifyRequest } from 'fastify';

export type Language = 'zh' | 'en';

export const LANGUAGES = ['zh', 'en'] as const satisfies readonly Language[];

export function asLanguage(text: unknown): Language | null {
  return text === 'zh' || text === 'en' ? text : null;
}

/** @param cookie under which a choice is kept */
export function languageOf(request: FastifyRequest, cookie: string): Language {
  return (
    askedIn(request) ?? asLanguage(request.cookies[cookie]) ?? languageOfHeader(request.headers['accept-language'])
  );
}

/** The first of the two that stands there, since browsers put them in the order of preference; else Chinese. */
export function languageOfHeader(acceptLanguage: string | undefined): Language {
  const [, first] = /(?:^|[,\s])(zh|en)\b/i.exec((acceptLanguage ?? '').slice(0, 200)) ?? [];
  return asLanguage(first?.toLowerCase()) ?? 'zh';
}

/** Keeps a choice made with `?lang=` on every page of `app`. */
export function rememberLanguage(app: FastifyInstance, cookie: string, options: CookieSerializeOptions): void {
  app.addHook('preHandler', async (request, reply) => {
    const chosen = askedIn(request);
    if (chosen !== null && request.cookies[cookie] !== chosen) reply.setCookie(cookie, chosen, options);
  });
}

function askedIn({ query }: FastifyRequest): Language | null {
  return asLanguage((query as Record<string, unknown>)['lang']);
}
