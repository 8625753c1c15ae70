// The few pages of the sign-in itself, zh and en, without scripts: the choice of a provider, the accounts of a person,
// signed out, and what went wrong. The citizen pages may hand in their own layout; everything from outside is escaped.
import type { Language } from '#core/http/pages/language.ts';
import { PROBLEMS, type ProblemCode } from '#schemas/problems.ts';

type Bilingual = Record<Language, string>;

export interface Page {
  title: string;
  /** HTML. */
  body: string;
  language: Language;
  /** Of the session, on a page for somebody who is signed in. */
  csrf?: string;
}

export function choicePage(language: Language, choices: readonly { href: string; name: Bilingual }[]): Page {
  const items = choices.map(
    ({ href, name }) => `<li><a class="button" href="${escaped(href)}">${escaped(name[language])}</a></li>`,
  );
  const none = { zh: '目前没有可用的登录方式。', en: 'There is no way to sign in at the moment.' }[language];
  const body = items.length === 0 ? `<p>${none}</p>` : `<ul class="choices">${items.join('\n')}</ul>`;
  return { title: { zh: '选择登录方式', en: 'Choose how to sign in' }[language], body, language };
}

export interface AccountsView {
  csrf: string;
  /** Path to come back to. */
  to: string;
  accounts: readonly { key: string; name: Bilingual; value: string; own: boolean }[];
  others: readonly { slug: string; name: Bilingual }[];
}

export function accountsPage(language: Language, { csrf, to, accounts, others }: AccountsView): Page {
  const say = (zh: string, en: string) => (language === 'zh' ? zh : en);
  const hidden = `<input type="hidden" name="csrf" value="${escaped(csrf)}"><input type="hidden" name="to" value="${escaped(to)}">`;
  const held = accounts.map(({ key, name, value, own }) => {
    const text = `${escaped(name[language])} · ${escaped(masked(value))}${own ? say('（当前登录）', ' (signed in with)') : ''}`;
    const unlink = `<form method="post" action="/sign-in/unlink">${hidden}<input type="hidden" name="account" value="${escaped(key)}">
<button>${say('解除关联', 'Unlink')}<span class="visually-hidden"> ${escaped(name[language])}</span></button></form>`;
    return `<li>${text}${accounts.length > 1 ? unlink : ''}</li>`;
  });
  const more = others.map(
    ({ slug, name }) =>
      `<li><form method="post" action="/sign-in/${slug}/link">${hidden}<button>${escaped(name[language])}</button></form></li>`,
  );
  const adding = `<h2>${say('关联另一个账户', 'Link another account')}</h2>
<p>${say('只关联您本人的账户；您将需要在那里重新登录。', 'Link only accounts of your own; you will be asked to sign in there.')}</p>
<ul class="choices">${more.join('\n')}</ul>`;
  return {
    title: say('我的登录账户', 'My accounts'),
    body: `<ul>${held.join('\n')}</ul>${more.length === 0 ? '' : adding}`,
    language,
    csrf,
  };
}

export function signedOutPage(language: Language, provider: { url: string; name: Bilingual } | null): Page {
  const say = (zh: string, en: string) => (language === 'zh' ? zh : en);
  const there =
    provider === null
      ? ''
      : `<p>${say('您在以下登录服务处可能仍处于登录状态：', 'You may still be signed in at:')} <a href="${escaped(provider.url)}">${escaped(provider.name[language])}</a></p>`;
  return {
    title: say('已退出', 'Signed out'),
    body: `<p>${say('您已退出本服务。', 'You are signed out of this service.')}</p>${there}<p><a class="button" href="/">${say('返回首页', 'Start page')}</a></p>`,
    language,
  };
}

/** What the visitor reads when a sign-in fails; the code stands there for whoever helps. */
export function problemPage(language: Language, code: ProblemCode, again: string | null): Page {
  const row = PROBLEMS[code];
  const known = ZH[code] ?? ['出错了', '请稍后重试。'];
  const [title, next] = language === 'zh' ? known : [row.title, row.next];
  const link =
    again === null
      ? ''
      : `<p><a class="button" href="${escaped(again)}">${language === 'zh' ? '重新登录' : 'Sign in again'}</a></p>`;
  return { title, body: `<p>${escaped(next)}</p>${link}<p><code>${code}</code></p>`, language };
}

const ZH: Partial<Record<ProblemCode, [title: string, next: string]>> = {
  SIGN_IN_REFUSED: ['登录未被接受', '请从您要访问的页面重新开始；如再次出现，请选择其他登录方式。'],
  SIGN_IN_EXPIRED: ['本次登录已超时或已被使用', '请从您要访问的页面重新开始。'],
  SIGN_IN_PROVIDER_AWAY: ['登录服务暂时没有响应', '请几分钟后重试，或选择其他登录方式。'],
  SESSION_REQUIRED: ['您尚未登录', '请先登录，然后回到本页面。'],
  STEP_UP_REQUIRED: ['此操作需要更高等级的登录', '请使用更强的方式重新登录，例如身份证件。'],
  LINK_CONFLICT: ['无法关联此账户', '请先用该账户登录并在那里解除关联；两个人的账户不会被合并。'],
  CSRF_REFUSED: ['表单不是从本服务的页面提交的', '请重新打开页面并再次提交表单。'],
  NOT_FOUND: ['此处没有内容', '请检查网址。'],
};

export function plainLayout({ title, body, language }: Page): string {
  return `<!doctype html>
<html lang="${language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title></head>
<body><main><h1>${escaped(title)}</h1>
${body}
</main></body></html>
`;
}

/** Enough to recognise one's own. */
function masked(value: string): string {
  return value.length <= 4 ? '••••' : `••••${value.slice(-4)}`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
