// The frame of every citizen page: one heading, a link past the menu, the menu, the choice of language, signing out.
import type { FastifyRequest } from 'fastify';
import type { Page } from '#consent-service/sign-in/pages.ts';
import { escapedElsewhere, type Html, html } from '#core/http/html.ts';
import type { Language } from './language.ts';
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

export interface Body {
  /** Plain text; it is the heading too. */
  title: string;
  content: Html;
  /** The form that was sent has faults: the title says so first. */
  isFaulty?: boolean;
}

/** The menu: address, and its name among the words. */
const PAGES = {
  '/waiting': 'waiting',
  '/permissions': 'permissions',
  '/accesses': 'accesses',
  '/mandates': 'mandates',
  '/sign-in/accounts': 'accounts',
} as const;

export function document({ voice, path, csrf, unread }: Frame, { title, content, isFaulty = false }: Body): string {
  const { words, language } = voice;
  const told = unread > 0 && path !== '/' && noticeLine(voice.language, unread);
  const menu = csrf === null ? null : html`${menuOf(voice.words, path, csrf)}${told}`;
  const footer = html`<p>${words.footer}</p><p>${words.utc(voice.offset)}</p>`;
  return frameOf(language, path, { title, content, isFaulty }, menu, footer);
}

/** The pages of the sign-in in the same frame. */
export function signInLayout({ title, body, language, csrf }: Page, request: FastifyRequest): string {
  const path = request.method === 'GET' && !request.url.startsWith('/sign-in/callback') ? request.url : '/';
  const words = WORDS[language];
  const menu = csrf === undefined ? null : menuOf(words, path, csrf);
  return frameOf(language, path, { title, content: escapedElsewhere(body) }, menu, html`<p>${words.footer}</p>`);
}

function frameOf(
  language: Language,
  path: string,
  { title, content, isFaulty = false }: Body,
  menu: Html | null,
  footer: Html,
): string {
  const words = WORDS[language];
  return html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${isFaulty ? words.errorPrefix : ''}${title} · ${words.service}</title>
<link rel="stylesheet" href="${STYLE_PATH}">
<link rel="icon" href="${ICON_PATH}" type="image/svg+xml">
</head>
<body>
<a class="skip" href="#content">${words.skip}</a>
<header>
<div class="bar"><div class="wide">
<a class="home" href="/">${words.service}</a>
<nav aria-label="${words.language}"><ul>
${(['zh', 'en'] as const).map((one) => choiceOf(one, language, path))}</ul></nav>
</div></div>
${menu}</header>
<main id="content" class="wide" tabindex="-1">
<h1>${title}</h1>
${content}
</main>
<footer><div class="wide">${footer}</div></footer>
</body>
</html>
`.toString();
}

/** Above every page but the one where the notices stand. */
function noticeLine(language: Language, unread: number): Html {
  return html`<div class="told"><div class="wide"><p>${NOTICE_WORDS[language].line(unread)} <a href="/">${NOTICE_WORDS[language].toRead}</a></p></div></div>
`;
}

function menuOf(words: Words, path: string, csrf: string): Html {
  const [here = ''] = path.split('?', 1);
  const items = Object.entries(PAGES).map(([page, name]) => {
    return html`<li><a href="${page}"${here === page && html` aria-current="page"`}>${words[name]}</a></li>`;
  });
  return html`<div class="pages"><div class="wide">
<nav aria-label="${words.menu}"><ul>${items}</ul></nav>
<form method="post" action="/sign-out">${csrfField(csrf)}<button class="plain">${words.signOut}</button></form>
</div></div>
`;
}

export function csrfField(csrf: string): Html {
  return html`<input type="hidden" name="csrf" value="${csrf}">`;
}

function choiceOf(one: Language, chosen: Language, path: string): Html {
  const [page = '/', query = ''] = path.split('?', 2);
  const params = new URLSearchParams(query);
  params.set('lang', one);
  const name = { zh: '中文', en: 'English' }[one];
  const isChosen = one === chosen;
  return html`<li><a href="${page}?${params.toString()}" lang="${one}" hreflang="${one}"${isChosen && html` aria-current="true"`}>${name}</a></li>
`;
}
