// The words of the auditor's pages in both languages, and which of them a browser is shown.
import type { FastifyRequest } from 'fastify';
import { type Language, languageOf as languageKept } from '#core/http/pages/language.ts';
import { EN, type Words } from './words-en.ts';
import { ZH } from './words-zh.ts';

export type { Language };

export const LANGUAGE_COOKIE = 'accord-auditor-language';

export const WORDS: Readonly<Record<Language, Words>> = { zh: ZH, en: EN };

export function languageOf(request: FastifyRequest): Language {
  return languageKept(request, LANGUAGE_COOKIE);
}
