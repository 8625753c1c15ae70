// The names of the numbered checks and what their codes mean, for the auditor's pages in Chinese; English is the evidence
// library's own. A test holds the lists together.
import type { CheckName } from '#core/evidence/check-run.ts';
import { PACK_CODES, type PackCode } from '#core/evidence/finding.ts';
import { isProblemCode, PROBLEMS } from '#schemas/problems.ts';
import type { Language } from './language.ts';
import { timeText } from './times.ts';

const NAMES_ZH: Readonly<Record<string, string>> = {
  files: '文件',
  roots: '信任根',
  configuration: '配置',
  'configuration parts': '配置各部分',
  seal: '封印',
  'request: statement': '请求：声明',
  'request: signature': '请求：签名',
  'request: certificate': '请求：证书',
  'request: entry': '请求：条目',
  'request: certificate status': '请求：证书状态',
  'request: context': '请求：上下文',
  'request: body': '请求：正文',
  'answer: statement': '答复：声明',
  'answer: signature': '答复：签名',
  'answer: certificate': '答复：证书',
  'answer: entry': '答复：条目',
  'answer: certificate status': '答复：证书状态',
  'answer: context': '答复：上下文',
  'answer: body': '答复：正文',
  'request: in the log': '请求：在日志中',
  'answer: in the log': '答复：在日志中',
  checkpoint: '检查点',
  'aggregate log': '汇总日志',
  witnesses: '见证方',
  'time-stamp': '时间戳',
  'not before': '不早于',
  'destruction: certificate': '销毁：证明',
  'destruction: two persons': '销毁：两人',
  'destruction: order': '销毁：先后',
  'destruction: in the log': '销毁：在日志中',
  'destruction: checkpoint': '销毁：检查点',
  'destruction: aggregate log': '销毁：汇总日志',
  'destruction: witnesses': '销毁：见证方',
  'destruction: time-stamp': '销毁：时间戳',
};

const CODES_ZH: Readonly<Record<string, string>> = {
  PACK_NOT_CANONICAL: 'zip 不是其文件的唯一编码。',
  PACK_MALFORMED: '包中有文件形式不正确，或不应在包中。',
  PACK_FILE_CHANGED: '有文件与清单不符。',
  PACK_FILE_UNKNOWN: '有文件不在清单中。',
  PACK_FILE_MISSING: '清单所列的文件不存在。',
  SEAL_WRONG: '封印不是导出部门对清单的有效签名。',
  ROOT_NOT_ANCHORED: '包中没有审计员的锚所指的信任根，或其链条断裂。',
  CONFIGURATION_WRONG: '配置没有由其信任根的两名审批人签名。',
  CONFIGURATION_PART_CHANGED: '配置的某一部分不是所批准的。',
  CONFIGURATION_NOT_IN_FORCE: '消息签名时该配置未生效。',
  STATEMENT_MALFORMED: '声明不符合唯一形式。',
  STATEMENT_OTHER: '声明不属于此次交换，或答复不对应该请求。',
  SIGNATURE_WRONG: '声明不是由所附证书签名的。',
  CERTIFICATE_NOT_REGISTERED: '签名证书没有登记给声明所指的服务器。',
  CERTIFICATE_INVALID: '签名证书不能追溯到可信的机构，或当时无效。',
  SUBSYSTEM_NOT_ON_SERVER: '请求方或服务没有登记在代其发言的服务器上。',
  CERTIFICATE_REVOKED: '签名证书已被吊销。',
  CERTIFICATE_STATUS_WRONG: '关于证书的应答不是其机构的有效应答。',
  COMMITMENT_WRONG: '上下文或正文与声明所承诺的不符。',
  DESTRUCTION_WRONG: '销毁证明无效，或不涵盖此记录。',
  DESTRUCTION_ENTRY_WRONG: '日志中关于销毁的条目与销毁证明不一致。',
  DESTRUCTION_BY_ONE: '销毁只由一人决定。',
  DESTRUCTION_ORDER_WRONG: '先销毁后有意向，或意向早于记录的写入。',
  ENTRY_WRONG: '日志条目与其声明不一致。',
  INCLUSION_WRONG: '条目不在检查点的树中。',
  CHECKPOINT_WRONG: '检查点不是用日志登记的密钥签名的。',
  AGGREGATE_WRONG: '汇总日志的检查点签名无效，或不含此检查点。',
  COSIGNATURE_WRONG: '共同签名无效，或不属于配置所列的任何人。',
  TIME_STAMP_WRONG: '时间戳不是针对此检查点的，或不来自配置所列的机构。',
  TIME_WRONG: '日志所称的写入时间晚于覆盖它的时间戳。',
  ROOT_MISSING: '包中的信任根没有延伸到审计员的锚所指的信任根。',
  ANSWER_MISSING: '没有答复：证据包只证明请求。',
  CONFIGURATION_MISSING: '缺少判断该消息所依据的配置。',
  CERTIFICATE_STATUS_MISSING: '没有内容说明签名证书是否已被吊销。',
  CONTENT_MISSING: '缺少上下文或正文，也没有其销毁证明。',
  DESTRUCTION_NOT_LOGGED: '有销毁证明，但缺少日志中关于销毁的两个条目。',
  CHECKPOINT_MISSING: '没有已签名的检查点覆盖这些条目。',
  AGGREGATE_MISSING: '检查点不在任何汇总日志中。',
  QUORUM_MISSING: '为日志作证的见证方少于所需数目。',
  TIME_STAMP_MISSING: '没有时间戳说明条目何时存在。',
};

export function checkName(name: CheckName, language: Language): string {
  return (language === 'zh' ? NAMES_ZH[name] : undefined) ?? name;
}

/** What it means that a check holds. */
export function checkMeaning(name: CheckName, language: Language): string {
  return MEANINGS[name]?.[language] ?? '';
}

export function packCodeWords(code: PackCode, language: Language): string {
  return (language === 'zh' ? CODES_ZH[code] : undefined) ?? PACK_CODES[code];
}

// biome-ignore format: one check, one line
const MEANINGS: Readonly<Record<string, Readonly<Record<Language, string>>>> = {
  files: { zh: '每个文件都与清单相符。', en: 'Every file is the one that the manifest names.' },
  roots: { zh: '信任根的链条始于锚。', en: 'The chain of roots begins at the anchor.' },
  configuration: { zh: '每个配置都由两名审批人签名。', en: 'Two approvers signed each configuration.' },
  'configuration parts': { zh: '配置的各部分即所批准的。', en: 'Its parts are the ones that were approved.' },
  seal: { zh: '导出部门封印了清单。', en: 'The exporting department sealed the manifest.' },
  'request: statement': { zh: '请求的声明属于此次交换。', en: 'The statement is the request of this exchange.' },
  'request: signature': { zh: '由所附证书签名。', en: 'It is signed by the certificate beside it.' },
  'request: certificate': { zh: '证书当时登记给请求方的服务器，且有效。', en: 'The certificate was valid, and registered to the server of the client.' },
  'request: entry': { zh: '日志条目与声明一致。', en: 'The entry of the log says what the statement says.' },
  'request: certificate status': { zh: '没有内容表明证书当时已被吊销。', en: 'Nothing says that the certificate had been revoked.' },
  'request: context': { zh: '与声明所承诺的一致。', en: 'It is the one that the statement commits to.' },
  'request: body': { zh: '与声明所承诺的一致。', en: 'It is the one that the statement commits to.' },
  'answer: statement': { zh: '答复针对的正是该请求。', en: 'The statement answers this very request.' },
  'answer: signature': { zh: '由所附证书签名。', en: 'It is signed by the certificate beside it.' },
  'answer: certificate': { zh: '证书当时登记给提供方的服务器，且有效。', en: 'The certificate was valid, and registered to the server of the service.' },
  'answer: entry': { zh: '日志条目与声明一致。', en: 'The entry of the log says what the statement says.' },
  'answer: certificate status': { zh: '没有内容表明证书当时已被吊销。', en: 'Nothing says that the certificate had been revoked.' },
  'answer: context': { zh: '与声明所承诺的一致。', en: 'It is the one that the statement commits to.' },
  'answer: body': { zh: '与声明所承诺的一致。', en: 'It is the one that the statement commits to.' },
  'request: in the log': { zh: '条目在检查点的树中。', en: 'The entry stands in the tree of the checkpoint.' },
  'answer: in the log': { zh: '条目在检查点的树中，且在请求之后。', en: 'The entry stands in the tree, behind the request.' },
  checkpoint: { zh: '由日志登记的密钥签名。', en: 'It is signed with the registered key of the log.' },
  'aggregate log': { zh: '汇总日志含有此检查点。', en: 'The aggregate log holds the checkpoint.' },
  witnesses: { zh: '有足够的见证方共同签名。', en: 'Enough witnesses cosigned.' },
  'time-stamp': { zh: '条目最迟在时间戳的时刻存在。', en: 'The entries existed when the time-stamp was made.' },
  'not before': { zh: '没有更早的时间戳与条目矛盾。', en: 'No earlier time-stamp contradicts the entries.' },
  'destruction: certificate': { zh: '所销毁的（如有）与日志中的意向和完成条目一致。', en: 'What was destroyed, if anything, is what the log says was intended and done.' },
  'destruction: two persons': { zh: '由两个不同的人决定。', en: 'Two different persons decided.' },
  'destruction: order': { zh: '先有记录，再有意向，然后销毁。', en: 'The record, then the intent, then the end.' },
  'destruction: in the log': { zh: '两个条目都在检查点的树中。', en: 'Both entries stand in the tree of a checkpoint.' },
  'destruction: checkpoint': { zh: '由日志登记的密钥签名。', en: 'It is signed with the registered key of the log.' },
  'destruction: aggregate log': { zh: '汇总日志含有此检查点。', en: 'The aggregate log holds it.' },
  'destruction: witnesses': { zh: '有足够的见证方共同签名。', en: 'Enough witnesses cosigned.' },
  'destruction: time-stamp': { zh: '销毁的条目最迟在时间戳的时刻存在。', en: 'The entries about it existed when the time-stamp was made.' },
};

// Outcomes and decisions that an auditor meets; every other code has the English title of the table of errors.
// biome-ignore format: one code, one line
const OUTCOMES_ZH: Readonly<Record<string, string>> = {
  OK: '正常',
  ACCESS_DENIED: '没有访问权限',
  SERVICE_UNKNOWN: '服务未登记',
  SERVICE_DISABLED: '服务已停用',
  CLIENT_UNKNOWN: '请求方未登记',
  BASIS_NOT_ALLOWED: '访问权限不允许此依据',
  PURPOSE_NOT_ALLOWED: '访问权限不包括此用途',
  PURPOSE_UNKNOWN: '用途未登记',
  PURPOSE_ENDED: '用途已终止',
  PURPOSE_CHANGED: '用途的文字已变更',
  FIELDS_NOT_PERMITTED: '所查项目超出访问权限',
  FIELDS_NOT_CONSENTED: '所查项目未获本人同意',
  FIELDS_REQUIRED: '没有写明所查项目',
  FIELDS_UNKNOWN: '所查项目不存在',
  CONSENT_REQUIRED: '缺少本人同意',
  CONSENT_EXPIRED: '同意已过期或尚未生效',
  CONSENT_WITHDRAWN: '同意已撤回',
  CONSENT_SUSPENDED: '同意已暂停',
  CONSENT_USES_SPENT: '同意的次数已用完',
  CONSENT_TOO_OFTEN: '查询频率超过同意所定',
  RECEIPT_REFUSED: '凭证不允许此次查询',
  RECEIPT_MALFORMED: '凭证无法读取',
  STATUS_STALE: '无法确认同意是否仍有效',
  CLOCK_DOUBTED: '服务器时间可疑',
  QUOTA_EXCEEDED: '查询次数已达上限',
  EVIDENCE_REQUIRED: '缺少公职人员的签名证明',
  EVIDENCE_REFUSED: '公职人员的签名证明不被接受',
  EVIDENCE_USED: '公职人员的签名证明已被使用过',
  EMERGENCY_REQUIRED: '缺少两名公职人员的紧急证明',
  EMERGENCY_ENDED: '紧急情况已结束',
  REVIEW_OVERDUE: '紧急访问的审查逾期',
  CASE_NUMBER_REQUIRED: '缺少约定格式的案号',
  OFFICIAL_REQUIRED: '没有写明公职人员',
  OVER_DELIVERED: '答复超出所查内容，未交付',
  ANSWER_NOT_BOUND: '答复没有约定的形式，未交付',
  PREDICATE_BUDGET_SPENT: '就同一数值提问过多',
  BACKEND_UNREACHABLE: '部门内部系统没有应答',
  BACKEND_TIMEOUT: '部门内部系统没有及时应答',
  MESSAGE_REPLAYED: '消息重复',
  MESSAGE_VOID: '编号已作废',
  OUTCOME_VOID: '经核对，未曾处理并已作废',
  INTERNAL: '服务器出错',
  GOOD: '有效',
  REVOKED: '已吊销',
  UNKNOWN: '未知',
};

const OUTCOMES_EN: Readonly<Record<string, string>> = {
  OK: 'in order',
  GOOD: 'good',
  REVOKED: 'revoked',
  UNKNOWN: 'unknown',
};

/** A code in plain words, and in which language they are; null where there are none. */
export function outcomeWords(code: string, language: Language): { text: string; language: Language } | null {
  const own = language === 'zh' ? OUTCOMES_ZH : OUTCOMES_EN;
  const said = Object.hasOwn(own, code) ? own[code] : undefined;
  if (said !== undefined) return { text: said, language };
  return isProblemCode(code) ? { text: PROBLEMS[code].title, language: 'en' } : null;
}

interface Added {
  pattern: RegExp;
  words: Readonly<Record<Language, (...found: string[]) => string>>;
  /** Says all: what the check is for would only be in its way. */
  isAll?: true;
}

const said = (iso: string) => timeText(Date.parse(iso));

/** What a check that holds adds, whole sentences of it here. */
// biome-ignore format: one addition, one line
const ADDED: readonly Added[] = [
  { pattern: /^nothing was destroyed$/, words: { zh: () => '未曾销毁。', en: () => 'Nothing was destroyed.' }, isAll: true },
  { pattern: /^the checkpoint of the exchange$/, words: { zh: () => '即此次交换的检查点。', en: () => 'It is the checkpoint of the exchange.' } },
  { pattern: /^good, by its authority$/, words: { zh: () => '其签发机构答复有效。', en: () => 'Its authority answered that it is good.' } },
  { pattern: /^not on the list of its authority$/, words: { zh: () => '不在签发机构的吊销列表中。', en: () => 'It is not on the list of its authority.' } },
  { pattern: /^no earlier time-stamp in the pack$/, words: { zh: () => '包内没有更早的时间戳。', en: () => 'The pack holds no earlier time-stamp.' }, isAll: true },
  { pattern: /^the configuration names no time-stamp authority$/, words: { zh: () => '配置未指明时间戳机构。', en: () => 'The configuration names no time-stamp authority.' }, isAll: true },
  { pattern: /^the authority of the earlier time-stamp was revoked$/, words: { zh: () => '更早时间戳的机构已被吊销。', en: () => 'The authority of the earlier time-stamp was revoked.' }, isAll: true },
  { pattern: /^(\d+) of at least (\d+)$/, words: { zh: (n, least) => `共 ${n} 个，至少须 ${least} 个。`, en: (n, least) => `${n} did, and at least ${least} have to.` } },
  { pattern: /^not later than (.+Z)$/, words: { zh: (iso) => `时间戳的时刻为 ${said(iso)}。`, en: (iso) => `The time-stamp says ${said(iso)}.` } },
  { pattern: /^not before (.+Z)$/, words: { zh: (iso) => `更早的时间戳的时刻为 ${said(iso)}。`, en: (iso) => `The one before says ${said(iso)}.` } },
];

/** What it means that a check holds, with what it added; `foreign` is what there are no words for. */
export function checkSaid(name: CheckName, detail: string, language: Language): { text: string; foreign: string } {
  for (const { pattern, words, isAll } of ADDED) {
    const found = pattern.exec(detail);
    if (found === null) continue;
    const added = words[language](...found.slice(1));
    const between = language === 'en' ? ' ' : '';
    return { text: isAll ? added : `${checkMeaning(name, language)}${between}${added}`, foreign: '' };
  }
  return { text: checkMeaning(name, language), foreign: detail };
}
