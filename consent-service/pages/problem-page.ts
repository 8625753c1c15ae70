// What a citizen reads when something cannot be done: what happened, what to do next, and the code for whoever helps. The
// table of errors is written for people who run systems; the codes that a citizen can meet are said here in their words.

import { html } from '#core/http/html.ts';
import type { Body } from '#core/http/pages/frame.ts';
import type { Language } from '#core/http/pages/language.ts';
import type { ProblemCode } from '#schemas/problems.ts';
import { type Voice, WORDS } from './words.ts';

type Said = readonly [title: string, next: string];

const { nothingTitle: zhNothing, nothingText: zhNothingText } = WORDS.zh;
const { nothingTitle: enNothing, nothingText: enNothingText } = WORDS.en;

// biome-ignore format: one code, one line for each language
const SAID = {
  CONSENT_UNKNOWN: { zh: [zhNothing, zhNothingText], en: [enNothing, enNothingText] },
  NOT_FOUND: { zh: ['此处没有内容', '请检查网址，或从首页开始。'], en: ['There is nothing here', 'Check the address, or begin at the start page.'] },
  SESSION_REQUIRED: { zh: ['您尚未登录，或登录已超时', '请重新登录，您会回到同一页面。'], en: ['You are not signed in, or were for too long', 'Sign in again; you come back to the same page.'] },
  STEP_UP_REQUIRED: { zh: ['此操作需要更高等级的登录', '请使用更强的方式重新登录，例如身份证件。'], en: ['This needs a stronger sign-in', 'Sign in again in a way that proves more, such as an identity card.'] },
  SIGN_IN_NOT_BOUND: { zh: ['这次登录不是为此操作进行的', '没有任何改变。请从头开始。'], en: ['The sign-in was made for something else', 'Nothing was changed. Start again.'] },
  SIGN_IN_EXPIRED: { zh: ['时间过长，或已使用过', '没有任何改变。请从头开始。'], en: ['That took too long, or was done already', 'Nothing was changed. Start again.'] },
  SIGN_IN_REFUSED: { zh: ['登录未被接受', '没有任何改变。请重试，或使用其他登录方式。'], en: ['The sign-in was not accepted', 'Nothing was changed. Try again, or choose another way to sign in.'] },
  SIGN_IN_PROVIDER_AWAY: { zh: ['您的登录服务暂时没有应答', '没有任何改变。请几分钟后重试。'], en: ['Your sign-in service does not answer at the moment', 'Nothing was changed. Try again in a few minutes.'] },
  SERVER_BUSY: { zh: ['服务繁忙', '请一分钟后重试。'], en: ['The service is busy', 'Try again in a minute.'] },
  CSRF_REFUSED: { zh: ['表单不是从本服务的页面提交的', '请重新打开页面并再次提交；在此之前没有任何改变。'], en: ['The form was not sent from a page of this service', 'Open the page again and send its form once more; nothing was changed.'] },
  CONSENT_TRANSITION_REFUSED: { zh: ['当前状态下无法进行此操作', '可能您已在另一个窗口作出决定，或时限已过。请查看其当前状态。'], en: ['This is not possible any more', 'You may have decided in another window, or its time has passed. Look at its present state.'] },
  CONSENT_OUT_OF_BOUNDS: { zh: ['所提交的项目不在请求之内', '请重新打开该请求，再次勾选并提交。'], en: ['An item was sent that nobody asked for', 'Open the request again, tick and send once more.'] },
  CONSENT_PROVIDER_NOT_READY: { zh: ['某个答复部门暂时无法接受授权', '没有任何改变。请稍后重试。'], en: ['A department that would answer cannot take permissions now', 'Nothing was changed. Try again later.'] },
  CONSENT_STORE_FAILED: { zh: ['记录暂时无法读写', '未确认的操作均未生效。请几分钟后重试。'], en: ['The records cannot be read or written at the moment', 'Nothing was changed that was not confirmed. Try again in a few minutes.'] },
  MANDATE_OUT_OF_BOUNDS: { zh: ['此委托无法成立', '不能委托自己；委托最长一年；高度敏感的项目不能委托。请修改后重试。'], en: ['This cannot be agreed', 'Nobody can ask themself; a year is the longest; the most sensitive items cannot be handed over. Correct it and try again.'] },
  MANDATE_OPEN_ALREADY: { zh: ['相同的委托已存在', '请查看现有的委托；如需修改，请先终止。'], en: ['The same is offered or in force already', 'Look at the one that is there; to change it, end it first.'] },
  MANDATE_COOL_DOWN: { zh: ['您近期已两次委托此人', '请在三十天后再试。'], en: ['You have asked this person twice lately', 'Try again after thirty days.'] },
  MANDATE_TOO_MANY: { zh: ['委托过多', '请先终止不再需要的委托，或明天再试。'], en: ['There are too many', 'End one that is not needed any more, or try again tomorrow.'] },
  MANDATE_UNKNOWN: { zh: ['此处没有与您有关的委托', '请检查网址，并确认您是以双方之一的身份登录的；委托也可能已终止。'], en: ['Nothing here for you', 'Check the address, and that you signed in as one of the two persons; it may have ended.'] },
  MANDATE_TRANSITION_REFUSED: { zh: ['当前状态下无法进行此操作', '委托可能已终止，或由登记机关登记，只能由其终止。'], en: ['This is not possible', 'It may have ended meanwhile; and what a register filed only that register ends.'] },
  MANDATE_EXCEEDED: { zh: ['超出您代办的范围', '没有任何改变。请留给本人处理。'], en: ['This reaches beyond your mandate', 'Nothing was changed. Leave it to the person you act for.'] },
  PURPOSE_ENDED: { zh: ['该用途已终止', '无法再授权，也不会发送任何信息。您无需再做什么。'], en: ['The purpose has ended', 'It can no longer be allowed, and nothing is sent. You need not do anything.'] },
  PURPOSE_CHANGED: { zh: ['该用途的文字已变更', '无法再按旧的文字授权。如仍有需要，该部门会重新请求您的同意。'], en: ['The words of the purpose were changed', 'The old words can no longer be agreed to. If it is still needed, the department will ask you again.'] },
  SCHEMA_MISMATCH: { zh: ['所提交的表单不完整或已过时', '请重新打开页面并再次提交。'], en: ['The form that was sent is incomplete or out of date', 'Open the page again and send it once more.'] },
  BODY_TOO_LARGE: { zh: ['所提交的表单过大', '请重新打开页面并再次提交。'], en: ['The form that was sent is too large', 'Open the page again and send it once more.'] },
  MEDIA_TYPE_UNSUPPORTED: { zh: ['所提交的内容不是表单', '请使用本服务的页面。'], en: ['What was sent is not a form', 'Use the pages of this service.'] },
  REQUEST_MALFORMED: { zh: ['请求无法读取', '请检查网址，或从首页开始。'], en: ['The request cannot be read', 'Check the address, or begin at the start page.'] },
  INTERNAL: { zh: ['服务出错', '请稍后重试；如再次出现，请将下面的编号告知服务方。'], en: ['The service failed', 'Try again later; if it happens again, tell the number below to whoever runs the service.'] },
} as const satisfies Partial<Record<ProblemCode, Record<Language, Said>>>;

export type CitizenProblem = keyof typeof SAID;

/** Codes that are not for citizens show as INTERNAL; the log has them. */
export function citizenProblem(code: ProblemCode): CitizenProblem {
  return Object.hasOwn(SAID, code) ? (code as CitizenProblem) : 'INTERNAL';
}

/** @param back where the citizen was: a path of this service */
export function problemPage(
  { language, words, marks }: Voice,
  code: CitizenProblem,
  back: string,
  requestId: string,
): Body {
  const [title, next] = SAID[code][language];
  const query = (level: string) => new URLSearchParams({ to: back, level }).toString();
  const signIn =
    code === 'SESSION_REQUIRED'
      ? `/sign-in?${query('2')}`
      : code === 'STEP_UP_REQUIRED'
        ? `/sign-in/step-up?${query('4')}`
        : null;
  const link = signIn === null ? { href: back, name: words.back } : { href: signIn, name: words.signIn };
  const content = html`<p>${next}</p>
<p><a class="button" href="${link.href}">${link.name}</a></p>
<p class="hint">${words.code}${marks.colon}<code>${code}</code></p>
${code === 'INTERNAL' && html`<p class="hint">${words.number}${marks.colon}<code>${requestId}</code></p>`}`;
  return { title, content };
}
