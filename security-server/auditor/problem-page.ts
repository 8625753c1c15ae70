// What an auditor reads when something cannot be done: what happened and the next step, in plain words, and the code. Most words
// are those of the table of errors, which are English; those that an auditor meets most are said in Chinese too.
import { type Html, html } from '#core/http/html.ts';
import type { Body } from '#core/http/pages/frame.ts';
import { PROBLEMS, type ProblemCode } from '#schemas/problems.ts';
import { type Language, WORDS } from './language.ts';

type Said = readonly [title: string, next: string];

// biome-ignore format: one code, one line for each language
const SAID: Partial<Record<ProblemCode, Partial<Record<Language, Said>>>> = {
  NOT_FOUND: { zh: ['此处没有内容', '请检查网址，或从查询页开始。'], en: ['There is nothing here', 'Check the address, or begin with a search.'] },
  SESSION_REQUIRED: { zh: ['您尚未登录，或会话已结束', '没有任何改变。请重新登录，再做一次。'], en: ['You are not signed in, or the session has ended', 'Nothing was done. Sign in again, then do it once more.'] },
  CSRF_REFUSED: { zh: ['表单不是从这些页面提交的', '没有任何改变。请重新打开页面并再次提交。'], en: ['The form was not sent from these pages', 'Nothing was done. Open the page again and send its form once more.'] },
  ROLE_NOT_ALLOWED: { zh: ['这不是审计员的密钥', '管理员的密钥不能打开审计页面。请使用角色为 auditor 的密钥；由另一人持有。'], en: ['This is not the key of an auditor', 'An administrator’s key opens no page here. Use a key of the role auditor, which somebody else should hold.'] },
  AUDITOR_SIGN_IN_LIMIT: { zh: ['错误的密钥过多', '请等待一分钟，再用审计员的 API 密钥登录。'] },
  AUDITOR_TASK_TOO_LONG: { zh: ['查看日志用时过长，已停止', '请缩小范围，例如缩短时间段；或在数据文件夹的副本上使用 accord audit。'] },
  AUDITOR_NOT_NOTED: { zh: ['无法记录此操作，因此未执行', '请让管理员检查数据文件夹所在的磁盘，然后重试。'] },
  AUDIT_RUNNING: { zh: ['日志验证正在进行', '请等待其结束，或在日志页停止它。'] },
  EXCHANGE_NOT_FOUND: { zh: ['本日志中没有此次交换', '请检查编号；它也可能在对方服务器的日志中，或在已关闭的日志中。'], en: ['This log holds no such exchange', 'Check the id; it may stand in the other server’s log, or in a closed one (accord log show --origin).'] },
  RECORD_ARCHIVED: { zh: ['此条目的内容已移入归档', '请让管理员用 accord archive restore 恢复到别处，再在那里查看。'] },
  SERVER_BUSY: { zh: ['服务器繁忙', '请一分钟后重试。'], en: ['The server is busy', 'Try again in a minute.'] },
  SCHEMA_MISMATCH: { zh: ['所提交的表单不完整或已过时', '请重新打开页面并再次提交。'], en: ['The form that was sent is incomplete or out of date', 'Open the page again and send it once more.'] },
  BODY_TOO_LARGE: { zh: ['所提交的表单过大', '请重新打开页面并再次提交。'], en: ['The form that was sent is too large', 'Open the page again and send it once more.'] },
  MEDIA_TYPE_UNSUPPORTED: { zh: ['所提交的内容不是表单', '请使用这些页面。'], en: ['What was sent is not a form', 'Use these pages.'] },
  REQUEST_MALFORMED: { zh: ['请求无法读取', '请检查网址，或从查询页开始。'], en: ['The request cannot be read', 'Check the address, or begin with a search.'] },
  INTERNAL: { zh: ['服务器出错', '请稍后重试；如再次出现，请将下面的编号告知管理员。'], en: ['The server failed', 'Try again later; if it happens again, tell the number below to the administrator.'] },
};

/** What happened and what to do; `foreign` is the attribute of a text that is not in the page's language. */
export function problemWords(
  language: Language,
  code: ProblemCode,
): { title: string; next: string; foreign: Html | null } {
  const own = SAID[code]?.[language];
  if (own !== undefined) return { title: own[0], next: own[1], foreign: null };
  const { title, next } = PROBLEMS[code];
  return { title, next, foreign: language === 'en' ? null : html` lang="en"` };
}

export function problemPage(language: Language, code: ProblemCode, back: string, requestId: string): Body {
  const words = WORDS[language];
  const { title, next, foreign } = problemWords(language, code);
  const isSignIn = code === 'SESSION_REQUIRED';
  const content = html`<p${foreign}>${next}</p>
<p><a class="button" href="${isSignIn ? `/auditor/sign-in?${new URLSearchParams({ to: back }).toString()}` : back}">${isSignIn ? words.signIn : words.back}</a></p>
<p class="hint">${words.code}${words.colon}<code>${code}</code></p>
${code === 'INTERNAL' && html`<p class="hint">${words.number}${words.colon}<code>${requestId}</code></p>`}`;
  return { title, content, isFaulty: true };
}
