// The notice: what a citizen is told before deciding, as plain text in Chinese and English. It is made once, when the
// request is filed, from the approved purpose, the dictionary's names and the department's terms; record and receipt carry
// its hash, so nobody can say later that something else was shown. The department controls the reason and nothing else.
import type { AskedConsent } from '#schemas/consent.ts';
import type { MandateKind } from '#schemas/mandate.ts';
import type { ActingFor } from './consents.ts';

type Terms = Omit<AskedConsent, 'notice' | 'subject' | 'expiresAtMs'>;
type Item = AskedConsent['services'][number]['items'][number];

/** Deterministic: the same terms give the same text, lines ended by a line feed. */
export function noticeOf(terms: Terms): { zh: string; en: string } {
  return { zh: chinese(terms), en: english(terms) };
}

const AS = {
  citizen: { zh: '受托人', en: 'who was asked by them' },
  guardian: { zh: '监护人', en: 'as guardian' },
  court: { zh: '法院指定的代理人', en: 'as appointed by a court' },
} as const satisfies Record<MandateKind, { zh: string; en: string }>;

/** The notice with the sentence that a representative is shown too; the hash of the whole goes into record and receipt. */
export function noticeFor(notice: { zh: string; en: string }, acting: ActingFor | null): { zh: string; en: string } {
  if (acting === null) return notice;
  const { mandate, kind, represented, representative } = acting;
  return {
    zh: `${notice.zh}\n本次由${representative}作为${represented}的${AS[kind].zh}代为决定（代办授权 ${mandate}）。${represented}随时可以查看并撤回。\n`,
    en: `${notice.en}\n${representative} decides for ${represented}, ${AS[kind].en} (mandate ${mandate}). ${represented} can see and withdraw it at any time.\n`,
  };
}

function english(terms: Terms): string {
  const { client, purpose, services, validDays, retentionDays, reason, revocationBoundS } = terms;
  return lines([
    `${client.name} (${client.id}) asks for your permission.`,
    '',
    `Purpose: ${purpose.title.en}`,
    purpose.text.en,
    ...(reason === null ? [] : ['', `Why now, in the words of ${client.name}: ${reason.en}`]),
    '',
    'What it would learn, and from whom:',
    ...services.flatMap(({ title, provider, items }) => [
      `${provider}, ${title}:`,
      ...items.map(
        (item) =>
          `- ${item.labels.en}: ${item.definition.en}${onlyAnswer(item, ' (only yes, no or unknown)')}${alongWith('en', item, items)}`,
      ),
    ]),
    'You decide about each item by itself. Nothing else about you is sent.',
    '',
    `How often: ${oftenInEnglish(terms)}.`,
    `How long the permission lasts: ${days(validDays)} from your decision.`,
    `How long ${client.name} may keep what it learns: ${retentionDays === 0 ? 'not beyond the answer itself' : days(retentionDays)}.`,
    '',
    'If you refuse, or leave items out, nothing is sent, and you can hand in the information in another way. A refusal is not held against you.',
    'If you agree, an earlier permission to the same department for the same purpose and service ends.',
    `You can pause or withdraw the permission at any time with one click under "My permissions". A withdrawal takes effect everywhere within ${revocationBoundS} seconds at the latest, usually at once. What was learned before stays lawful.`,
    'Every access is shown to you.',
  ]);
}

function chinese(terms: Terms): string {
  const { client, purpose, services, validDays, retentionDays, reason, revocationBoundS } = terms;
  return lines([
    `${client.name}（${client.id}）请求您的同意。`,
    '',
    `用途：${purpose.title.zh}`,
    purpose.text.zh,
    ...(reason === null ? [] : ['', `本次请求的理由（${client.name}的说明）：${reason.zh}`]),
    '',
    '将获知的内容及来源：',
    ...services.flatMap(({ title, provider, items }) => [
      `${provider}，${title}：`,
      ...items.map(
        (item) =>
          `- ${item.labels.zh}：${item.definition.zh}${onlyAnswer(item, '（仅回答“是”“否”或“未知”）')}${alongWith('zh', item, items)}`,
      ),
    ]),
    '您可以对每一项单独作出决定。除此之外不会发送您的任何其他信息。',
    '',
    `使用次数：${oftenInChinese(terms)}。`,
    `有效期：自您作出决定之日起 ${validDays} 天。`,
    `${client.name}可以保存所获信息的时间：${retentionDays === 0 ? '答复之后不得保存' : `${retentionDays} 天`}。`,
    '',
    '如果您拒绝，或者不同意其中某些项目，相关信息不会被发送，您可以通过其他方式提交材料。拒绝不会对您造成不利。',
    '如果您同意，您此前就同一用途和同一服务给予该部门的同意即告终止。',
    `您可以随时在“我的授权”中一键暂停或撤回同意。撤回最迟在 ${revocationBoundS} 秒内在所有地方生效，通常立即生效。撤回之前已获知的信息仍属合法。`,
    '每一次查询都会向您显示。',
  ]);
}

function oftenInEnglish({ uses, frequency }: Terms): string {
  const within = frequency && `at most ${times(frequency.uses)} within any ${hoursOrDays(frequency.days)}`;
  if (uses === null) return within ? `${within} from each service` : 'as often as needed while the permission lasts';
  return within
    ? `${within}, and at most ${times(uses)} in all, from each service`
    : `at most ${times(uses)} from each service`;
}

function oftenInChinese({ uses, frequency }: Terms): string {
  const within =
    frequency && `任意连续 ${frequency.days === 1 ? '24 小时' : `${frequency.days} 天`}内最多 ${frequency.uses} 次`;
  if (uses === null) return within ? `每项服务${within}` : '在有效期内按需使用';
  return within ? `每项服务${within}，总共最多 ${uses} 次` : `每项服务最多 ${uses} 次`;
}

/** Of a window that moves with the time: a single day would be read as one of the calendar. */
function hoursOrDays(count: number): string {
  return count === 1 ? '24 hours' : `${count} days`;
}

function onlyAnswer({ kind }: Item, text: string): string {
  return kind === 'predicate' ? text : '';
}

/** The items that are one choice with this one. */
function alongWith(language: 'zh' | 'en', item: Item, items: readonly Item[]): string {
  if (item.together === undefined) return '';
  const others = items.filter((one) => one !== item && one.together === item.together);
  const names = new Intl.ListFormat(language, { type: 'conjunction' }).format(
    others.map(({ labels }) => labels[language]),
  );
  return language === 'en' ? ` (only together with ${names})` : `（只能与${names}一并提供）`;
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function days(count: number): string {
  return count === 1 ? '1 day' : `${count} days`;
}

function lines(all: readonly string[]): string {
  return `${all.join('\n')}\n`;
}
