// The forms of citizens with buttons and ticks. Whoever sends one controls all of it; the sign-in has checked the token by then.
import type { FastifyRequest } from 'fastify';
import { fieldsOf } from '#core/http/pages/form.ts';
import { asLanguage, type Language } from '#core/http/pages/language.ts';
import { MAX_CONSENT_SERVICES, MAX_FIELDS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';

export interface DecisionForm {
  decision: 'give' | 'refuse';
  /** Of the notice that was on the page. */
  language: Language;
  /** Numbers of the ticked items, as they are counted on the page. */
  ticked: ReadonlySet<number>;
}

/** @throws SCHEMA_MISMATCH */
export function readDecision(request: FastifyRequest): DecisionForm {
  const { csrf: _, decision, lang, item = [], ...more } = fieldsOf(request);
  const language = asLanguage(lang);
  if ((decision !== 'give' && decision !== 'refuse') || language === null || Object.keys(more).length > 0) {
    throw new AccordError('SCHEMA_MISMATCH', 'the form');
  }
  return { decision, language, ticked: readTicked(Array.isArray(item) ? item : [item]) };
}

/** For forms that have a button and nothing else. @throws SCHEMA_MISMATCH */
export function requireNoFields(request: FastifyRequest): void {
  const { csrf: _, ...more } = fieldsOf(request);
  if (Object.keys(more).length > 0) throw new AccordError('SCHEMA_MISMATCH', 'the form');
}

/** @throws SCHEMA_MISMATCH */
function readTicked(texts: readonly unknown[]): ReadonlySet<number> {
  const known = texts.every((text) => typeof text === 'string' && /^(?:0|[1-9][0-9]{0,4})$/.test(text));
  const ticked = new Set(texts.map(Number));
  if (!known || ticked.size !== texts.length || texts.length > MAX_CONSENT_SERVICES * MAX_FIELDS) {
    throw new AccordError('SCHEMA_MISMATCH', 'the ticks');
  }
  return ticked;
}
