// Pages of the development identity provider, zh and en side by side, plain HTML without scripts. Every one of them says
// DEVELOPMENT, so that nobody takes it for a place to prove who they are.
import type { DevResident } from './dev-accounts.ts';

export interface LoginPage {
  action: string;
  /** Who asks. */
  client: string;
  residents: readonly DevResident[];
  levels: readonly number[];
  /** Chosen beforehand. */
  level: number;
}

export function loginPage({ action, client, residents, levels, level }: LoginPage): string {
  const people = residents.map(({ id, name, nameEn }) => {
    const english = nameEn === undefined ? '' : ` <span lang="en">${escaped(nameEn)}</span>`;
    return `<li><button name="resident" value="${escaped(id)}">${escaped(name)}${english} · ${escaped(id)}</button></li>`;
  });
  const options = levels.map((n) => `<option value="${n}"${n === level ? ' selected' : ''}>${n}</option>`);
  return page(
    '登录 · Sign in',
    `<p>${escaped(client)} 请求登录。<span lang="en">${escaped(client)} asks you to sign in.</span></p>
<form method="post" action="${escaped(action)}">
<p><label for="level">保证等级 · <span lang="en">Level of assurance</span></label>
<select id="level" name="level">${options.join('')}</select></p>
<ul>${people.join('\n')}</ul>
<p><button name="cancel" value="yes">取消 · <span lang="en">Cancel</span></button></p>
</form>`,
  );
}

/** `form` is oidc-provider's own, with its token against forgery and without a button. */
export function logoutPage(form: string): string {
  return page(
    '退出 · Sign out',
    `${form}<p><button form="op.logoutForm" name="logout" value="yes">退出 · <span lang="en">Sign out</span></button></p>`,
  );
}

export function messagePage(title: string, text: string): string {
  return page(title, `<p>${escaped(text)}</p>`);
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>DEVELOPMENT · ${escaped(title)}</title></head>
<body><main><p><strong>DEVELOPMENT · 开发环境，非真实身份核验 · <span lang="en">proves nobody's identity</span></strong></p>
<h1>${escaped(title)}</h1>
${body}
</main></body></html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
