// The frame of every page that people read: a link past the menu, the name of the service, the choice of language, the menu with
// signing out, one heading, the content, the foot. Titles, names and paths come from outside and are written as text.
import { type Html, html } from '#core/http/html.ts';
import { LANGUAGES, type Language } from './language.ts';

/** What the frame says, in the language of the page. */
interface FrameWords {
  service: string;
  /** Of the link past the menu. */
  skip: string;
  /** Of the choice of language. */
  language: string;
  menu: string;
  signOut: string;
  /** Stands first in the title of a page with a form that has faults. */
  errorPrefix: string;
}

/** Where a service has what every page of it needs: paths on its own origin. */
interface FramePlaces {
  home: string;
  style: string;
  icon: string;
}

export interface Body {
  /** Plain text; it is the heading too. */
  title: string;
  content: Html;
  /** The form that was sent has faults: the title says so first. */
  isFaulty?: boolean;
}

interface PageFrame {
  language: Language;
  words: FrameWords;
  places: FramePlaces;
  /** Where the page can be read again, in another language: path and query of this service. */
  path: string;
  /** Null while nobody is signed in. */
  menu: Html | null;
  footer: Html;
}

export function pageOf(
  { language, words, places, path, menu, footer }: PageFrame,
  { title, content, isFaulty = false }: Body,
): string {
  return html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${isFaulty ? words.errorPrefix : ''}${title} · ${words.service}</title>
<link rel="stylesheet" href="${places.style}">
<link rel="icon" href="${places.icon}" type="image/svg+xml">
</head>
<body>
<a class="skip" href="#content">${words.skip}</a>
<header>
<div class="bar"><div class="wide">
<a class="home" href="${places.home}">${words.service}</a>
<nav aria-label="${words.language}"><ul>
${LANGUAGES.map((one) => choiceOf(one, language, path))}</ul></nav>
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

function choiceOf(one: Language, chosen: Language, path: string): Html {
  const [page = '/', query = ''] = path.split('?', 2);
  const params = new URLSearchParams(query);
  params.set('lang', one);
  const name = { zh: '中文', en: 'English' }[one];
  return html`<li><a href="${page}?${params.toString()}" lang="${one}" hreflang="${one}"${one === chosen && html` aria-current="true"`}>${name}</a></li>
`;
}

interface Menu {
  words: FrameWords;
  /** Path of each page, and what it is called. */
  pages: readonly (readonly [path: string, name: string])[];
  /** Path, with or without a query, of the page that is shown. */
  path: string;
  /** The form that signs out. */
  signOut: { action: string; csrf: string; whom: Html | null };
}

export function menuOf({ words, pages, path, signOut }: Menu): Html {
  const [here = ''] = path.split('?', 1);
  const items = pages.map(([page, name]) => {
    return html`<li><a href="${page}"${here === page && html` aria-current="page"`}>${name}</a></li>`;
  });
  return html`<div class="pages"><div class="wide">
<nav aria-label="${words.menu}"><ul>${items}</ul></nav>
<form method="post" action="${signOut.action}">${csrfField(signOut.csrf)}<button class="plain">${words.signOut}${signOut.whom}</button></form>
</div></div>
`;
}

/** Of every form that changes something: the token of the session. */
export function csrfField(csrf: string): Html {
  return html`<input type="hidden" name="csrf" value="${csrf}">`;
}
