// The frame of every citizen page: the menu, what was not read yet, and the foot.
import type { FastifyRequest } from 'fastify';
import type { Page } from '#consent-service/sign-in/pages.ts';
import { escapedElsewhere, type Html, html } from '#core/http/html.ts';
import { type Body, menuOf, pageOf } from '#core/http/pages/frame.ts';
import type { Language } from '#core/http/pages/language.ts';
import { NOTICE_WORDS } from './notice-words.ts';
import { ICON_PATH, STYLE_PATH } from './style.ts';
import { type Voice, WORDS } from './words.ts';
import type { Words } from './words-en.ts';

export interface Frame {
  voice: Voice;
  /** Where the page can be read again, in another language: path and query of this service. */
  path: string;
  /** Null while nobody is signed in. */
  csrf: string | null;
  /** Notices of emergencies that the visitor has not read. */
  unread: number;
}

const PLACES = { home: '/', style: STYLE_PATH, icon: ICON_PATH };

/** The menu: address, and its name among the words. */
const PAGES = {
  '/waiting': 'waiting',
  '/permissions': 'permissions',
  '/accesses': 'accesses',
  '/mandates': 'mandates',
  '/sign-in/accounts': 'accounts',
} as const;

export function document({ voice, path, csrf, unread }: Frame, body: Body): string {
  const { words, language } = voice;
  const told = unread > 0 && path !== '/' && noticeLine(language, unread);
  const menu = csrf === null ? null : html`${citizenMenu(words, path, csrf)}${told}`;
  const footer = html`<p>${words.footer}</p><p>${words.utc(voice.offset)}</p>`;
  return frameOf(language, path, body, menu, footer);
}

/** The pages of the sign-in in the same frame. */
export function signInLayout({ title, body, language, csrf }: Page, request: FastifyRequest): string {
  const path = request.method === 'GET' && !request.url.startsWith('/sign-in/callback') ? request.url : '/';
  const words = WORDS[language];
  const menu = csrf === undefined ? null : citizenMenu(words, path, csrf);
  return frameOf(language, path, { title, content: escapedElsewhere(body) }, menu, html`<p>${words.footer}</p>`);
}

function frameOf(language: Language, path: string, body: Body, menu: Html | null, footer: Html): string {
  return pageOf({ language, words: WORDS[language], places: PLACES, path, menu, footer }, body);
}

/** Above every page but the one where the notices stand. */
function noticeLine(language: Language, unread: number): Html {
  return html`<div class="told"><div class="wide"><p>${NOTICE_WORDS[language].line(unread)} <a href="/">${NOTICE_WORDS[language].toRead}</a></p></div></div>
`;
}

function citizenMenu(words: Words, path: string, csrf: string): Html {
  const pages = Object.entries(PAGES).map(([page, name]) => [page, words[name]] as const);
  return menuOf({ words, pages, path, signOut: { action: '/sign-out', csrf, whom: null } });
}
