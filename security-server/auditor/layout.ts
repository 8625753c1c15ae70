// The frame of every page of the auditor: a link past the menu, the menu, the choice of language, signing out, one heading.
import { type Html, html } from '#core/http/html.ts';
import { type Language, WORDS } from './language.ts';
import { ICON_PATH, STYLE_PATH } from './style.ts';

export interface Frame {
  language: Language;
  /** INSTANCE/CLASS/MEMBER/SERVER */
  server: string;
  /** Where the page can be read again, in another language: path and query. */
  path: string;
  /** Null while nobody is signed in. */
  session: { name: string; csrf: string } | null;
}

export interface Body {
  /** Plain text; it is the heading too. */
  title: string;
  content: Html;
  /** The form that was sent has faults: the title says so first. */
  isFaulty?: boolean;
}

const PAGES = { '/auditor': 'search', '/auditor/log': 'log' } as const;

export function document(
  { language, server, path, session }: Frame,
  { title, content, isFaulty = false }: Body,
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
<a class="home" href="/auditor">${words.service}</a>
<nav aria-label="${words.language}"><ul>
${(['zh', 'en'] as const).map((one) => choiceOf(one, language, path))}</ul></nav>
</div></div>
${session && menuOf(language, path, session)}</header>
<main id="content" class="wide" tabindex="-1">
<h1>${title}</h1>
${content}
</main>
<footer><div class="wide"><p>${words.footer(server)}</p></div></footer>
</body>
</html>
`.toString();
}

function menuOf(language: Language, path: string, { name, csrf }: { name: string; csrf: string }): Html {
  const words = WORDS[language];
  const [here = ''] = path.split('?', 1);
  const items = Object.entries(PAGES).map(([page, word]) => {
    return html`<li><a href="${page}"${here === page && html` aria-current="page"`}>${words[word]}</a></li>`;
  });
  return html`<div class="pages"><div class="wide">
<nav aria-label="${words.menu}"><ul>${items}</ul></nav>
<form method="post" action="/auditor/sign-out">${csrfField(csrf)}<button class="plain">${words.signOut} (<bdi>${name}</bdi>)</button></form>
</div></div>
`;
}

export function csrfField(csrf: string): Html {
  return html`<input type="hidden" name="csrf" value="${csrf}">`;
}

function choiceOf(one: Language, chosen: Language, path: string): Html {
  const [page = '/auditor', query = ''] = path.split('?', 2);
  const params = new URLSearchParams(query);
  params.set('lang', one);
  const name = { zh: '中文', en: 'English' }[one];
  return html`<li><a href="${page}?${params.toString()}" lang="${one}" hreflang="${one}"${one === chosen && html` aria-current="true"`}>${name}</a></li>
`;
}
