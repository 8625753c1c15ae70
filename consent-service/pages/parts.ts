// Small pieces that several citizen pages are made of.
import { type Html, html } from '#core/http/html.ts';
import type { Voice } from './words.ts';

/** A name for the middle of a sentence, without the characters that turn its direction (UAX 9) or that nobody sees. */
export function named(text: string): string {
  return text.replace(/[\p{Cc}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/gu, '');
}

export function timeOf({ time }: Voice, ms: number): Html {
  return html`<time datetime="${new Date(ms).toISOString()}">${time(ms)}</time>`;
}
