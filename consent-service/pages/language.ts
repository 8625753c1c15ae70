// In which language a citizen is shown a page, and the choice that is kept on the citizen port.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import {
  type Language,
  languageOf as languageKept,
  rememberLanguage as rememberAs,
} from '#core/http/pages/language.ts';

const COOKIE = 'accord-language';
const YEAR_S = 365 * 86_400;

export function languageOf(request: FastifyRequest): Language {
  return languageKept(request, COOKIE);
}

/** On every page of the citizen port. */
export function rememberLanguage(app: FastifyInstance): void {
  rememberAs(app, COOKIE, { path: '/', httpOnly: true, sameSite: 'lax', maxAge: YEAR_S });
}
