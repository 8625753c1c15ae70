// In which language a page is shown: what the address says, else what was chosen before, else what the browser prefers,
// else Chinese. The auditor's browser controls all of it.
import type { FastifyRequest } from 'fastify';
import { EN, type Words } from './words-en.ts';
import { ZH } from './words-zh.ts';

export type Language = 'zh' | 'en';

export const LANGUAGE_COOKIE = 'accord-auditor-language';

export const WORDS: Readonly<Record<Language, Words>> = { zh: ZH, en: EN };

export function asLanguage(text: unknown): Language | null {
  return text === 'zh' || text === 'en' ? text : null;
}

export function languageOf({ query, cookies, headers }: FastifyRequest): Language {
  const asked = asLanguage((query as Record<string, unknown>)['lang']);
  return asked ?? asLanguage(cookies[LANGUAGE_COOKIE]) ?? preferred(headers['accept-language'] ?? '');
}

/** The first of the two that stands there; browsers put them in the order of preference. */
function preferred(header: string): Language {
  const first = /(?:^|[,\s])(zh|en)\b/i.exec(header.slice(0, 200))?.[1];
  return asLanguage(first?.toLowerCase()) ?? 'zh';
}
