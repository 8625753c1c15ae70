// Signing in to the auditor's pages: one field for the API key, which goes in the body of a form and nowhere else.
import { html } from '#core/http/html.ts';
import type { Body } from '#core/http/pages/frame.ts';
import { type Language, WORDS } from './language.ts';

export interface SignInView {
  /** Where to go on afterwards: a path of these pages. */
  to: string;
  hasKeys: boolean;
  /** The key that was shown is not known. */
  isWrong: boolean;
  isSignedOut: boolean;
}

export function signInPage(language: Language, { to, hasKeys, isWrong, isSignedOut }: SignInView): Body {
  const words = WORDS[language];
  const content = html`${isSignedOut && html`<p class="box" role="status">${words.signedOut}</p>`}${!hasKeys && html`<p class="box error">${words.noKeys}</p>`}
<form method="post" action="/auditor/sign-in"><input type="hidden" name="to" value="${to}">
<div class="field${isWrong && ' wrong'}"><label for="key">${words.keyLabel}</label>
<span class="hint" id="key-hint">${words.keyHint}</span>${isWrong && html`<span class="error-text" id="key-fault">${words.keyWrong}</span>`}
<input id="key" name="key" type="password" required maxlength="300" autocomplete="off" spellcheck="false" aria-describedby="key-hint${isWrong && ' key-fault'}"${isWrong && html` aria-invalid="true"`}></div>
<p><button>${words.signIn}</button></p></form>
`;
  return { title: words.signIn, content, isFaulty: isWrong };
}

/** A path of these pages, for going on after the sign-in; everything else leads to the first of them. */
export function pathWithin(text: unknown): string {
  return typeof text === 'string' &&
    text.length <= 4_000 &&
    /^\/auditor(?:[/?][!-~]*)?$/.test(text) &&
    !/\\|\/\//.test(text)
    ? text
    : '/auditor';
}
