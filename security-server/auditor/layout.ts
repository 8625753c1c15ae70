// The frame of every page of the auditor: the menu, who is signed in, and whose server it is.
import { apart, html } from '#core/http/html.ts';
import { type Body, menuOf, pageOf } from '#core/http/pages/frame.ts';
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

const PLACES = { home: '/auditor', style: STYLE_PATH, icon: ICON_PATH };

export function document({ language, server, path, session }: Frame, body: Body): string {
  const words = WORDS[language];
  const pages = [
    ['/auditor', words.search],
    ['/auditor/log', words.log],
  ] as const;
  const signOut = session && {
    action: '/auditor/sign-out',
    csrf: session.csrf,
    whom: html` (${apart(session.name)})`,
  };
  const menu = signOut && menuOf({ words, pages, path, signOut });
  const footer = html`<p>${words.footer(server)}</p>`;
  return pageOf({ language, words, places: PLACES, path, menu, footer }, body);
}
