// Why a department did not answer a request about a citizen, in plain words. The table of errors is written for people who
// run systems; these are the codes a citizen meets most. Every other one stands as its code alone.

import type { Language } from '#core/http/pages/language.ts';
import { isProblemCode, type ProblemCode } from '#schemas/problems.ts';

// biome-ignore format: one code, one line
const SAID: Partial<Record<ProblemCode, Readonly<Record<Language, string>>>> = {
  CONSENT_REQUIRED: { zh: '缺少您的同意', en: 'your permission was missing' },
  RECEIPT_REFUSED: { zh: '所附凭证不允许此次查询', en: 'the receipt did not allow this request' },
  RECEIPT_MALFORMED: { zh: '所附凭证无法读取', en: 'the receipt could not be read' },
  CONSENT_EXPIRED: { zh: '您的授权已过期或尚未生效', en: 'your permission was not valid at that time' },
  CONSENT_WITHDRAWN: { zh: '您已撤回授权', en: 'the permission was withdrawn' },
  CONSENT_SUSPENDED: { zh: '您已暂停授权', en: 'you had paused the permission' },
  CONSENT_USES_SPENT: { zh: '授权次数已用完', en: 'the permission was used up' },
  CONSENT_TOO_OFTEN: { zh: '查询次数超过了授权所定的频率', en: 'it asked more often than the permission allows within its days' },
  FIELDS_NOT_CONSENTED: { zh: '查询了您未同意的项目', en: 'items were asked for that you did not allow' },
  STATUS_STALE: { zh: '当时无法确认授权是否仍然有效', en: 'nobody could say whether the permission still stood' },
  ACCESS_DENIED: { zh: '该部门没有查询权限', en: 'the department that asked has no access right' },
  BASIS_NOT_ALLOWED: { zh: '查询权限不允许此依据', en: 'its access right does not allow this basis' },
  PURPOSE_NOT_ALLOWED: { zh: '查询权限不包括此用途', en: 'its access right does not allow this purpose' },
  PURPOSE_UNKNOWN: { zh: '用途未登记', en: 'the purpose is not registered' },
  PURPOSE_ENDED: { zh: '该用途已终止', en: 'the purpose has ended' },
  PURPOSE_CHANGED: { zh: '该用途的文字已变更', en: 'the words of the purpose were changed' },
  FIELDS_NOT_PERMITTED: { zh: '查询了权限之外的项目', en: 'items were asked for that it may not learn' },
  QUOTA_EXCEEDED: { zh: '该部门的查询次数已达上限', en: 'the department had asked too often' },
  EVIDENCE_REQUIRED: { zh: '缺少公职人员的签名证明', en: 'the signed evidence of an official was missing' },
  EVIDENCE_REFUSED: { zh: '公职人员的签名证明不被接受', en: 'the signed evidence of the official was not accepted' },
  EVIDENCE_USED: { zh: '公职人员的签名证明已被使用过', en: 'the signed evidence of the official had been used before' },
  EMERGENCY_REQUIRED: { zh: '缺少两名公职人员的紧急证明', en: 'an emergency opened by two officials was missing' },
  EMERGENCY_ENDED: { zh: '紧急情况已结束', en: 'the emergency was over' },
  EMERGENCY_PERSONS_SPENT: { zh: '紧急查询的人数已达上限', en: 'the emergency was used for as many persons as it allows' },
  REVIEW_OVERDUE: { zh: '该部门因逾期未审查紧急访问而被停止查询', en: 'the department was locked for an overdue review' },
  SERVICE_DISABLED: { zh: '该服务已停用', en: 'the service was switched off' },
  CASE_NUMBER_REQUIRED: { zh: '缺少符合约定格式的案号', en: 'a case number of the agreed form was missing' },
  OFFICIAL_REQUIRED: { zh: '没有写明由哪位公职人员查询', en: 'it did not say which official asked' },
  SECRECY_NOT_ALLOWED: { zh: '要求推迟告知您的时间过长', en: 'it was to be kept from you longer than is allowed' },
  PREDICATE_BUDGET_SPENT: { zh: '就您的同一数值提出了过多不同的问题', en: 'too many different questions were asked about one value of yours' },
  OVER_DELIVERED: { zh: '答复超出所查询的内容，因此未交付', en: 'the answer held more than was asked for and was not handed over' },
  BACKEND_UNREACHABLE: { zh: '部门内部系统没有应答', en: 'the system behind the department did not answer' },
  BACKEND_TIMEOUT: { zh: '部门内部系统没有及时应答', en: 'the system behind the department did not answer in time' },
  INTERNAL: { zh: '部门服务器出错', en: 'the server of the department failed' },
};

/** Null where there are no words for it. */
export function refusalWords(code: string, language: Language): string | null {
  return isProblemCode(code) ? (SAID[code]?.[language] ?? null) : null;
}
