// What is wrong with a log, its anchoring, its time-stamps or its archive, in plain words for the auditor: in English those of the
// table of errors, in Chinese those below. The codes stand beside them.
import { apart, type Html, html } from '#core/http/html.ts';
import { isProblemCode, PROBLEMS } from '#schemas/problems.ts';
import type { Language } from './language.ts';
import { timeText } from './times.ts';

const ZH: Readonly<Record<string, string>> = {
  PEER_UNREACHABLE: '连接不上对方',
  PEER_TIMEOUT: '对方没有及时应答',
  PEER_BROKE_OFF: '与对方的连接中断',
  LOG_BUSY: '等待写入日志的记录过多',
  LOG_UNAVAILABLE: '日志无法写入；没有发送或答复任何内容',
  LOG_DISK_FULL: '日志所在磁盘已满',
  LOG_IO_FAILED: '日志所在磁盘发生故障',
  LOG_CLOSED: '日志已关闭',
  LOG_HISTORY_MISSING: '日志是新建或恢复的，缺少此前的内容',
  LOG_IN_USE: '另一进程正在写入此日志',
  LOG_MISSING: '此处没有日志',
  LOG_UNREADABLE: '日志在此处无法打开',
  LOG_ORIGIN_WRONG: '此文件夹中的日志属于另一名称',
  LOG_ROLLED_BACK: '日志短于其最近签名的检查点',
  LOG_TAMPERED: '日志与其最近签名的检查点不符',
  LOG_CHECKPOINT_MISSING: '缺少最近签名的检查点',
  LOG_CHECKPOINT_WRONG: '某个已签名的检查点无效',
  LOG_GAP: '缺少一个条目',
  LOG_TRUNCATED: '缺少日志的末尾',
  LOG_ENTRY_MALFORMED: '某个条目不是其唯一的写法',
  LOG_ENTRY_CHANGED: '某个条目被改动',
  LOG_EVIDENCE_CHANGED: '某个条目的证据被改动',
  LOG_TILE_WRONG: '所存的子树哈希有误；条目无误',
  LOG_DATABASE_DAMAGED: '日志的数据库已损坏',
  LOG_FORKED: '同一条目数签出了两个不同的根',
  LOG_COMMITMENT_WRONG: '所保存的记录与其声明所承诺的不符',
  LOG_NOT_AS_WITNESSED: '见证方所知的日志与本服务器的不同或更长',
  LOG_TIME_WRONG: '日志与时间戳或其检查点的时间互相矛盾',
  LOG_KEY_NOT_REGISTERED: '日志不是用为其服务器登记的密钥签名的',
  LOG_KEY_UNKNOWN: '所保存的配置都没有指明此日志的密钥',
  LOG_CLAIM_MISSING: '近期收到的请求未被记住，可能被重放',
  LOG_EXPORT_MALFORMED: '用于核对的日志导出无法读取',
  RECORD_KEYS_WRONG: '记录密钥库无法用此存储密钥打开',
  RECORD_KEYS_LOST: '缺少已封存记录的密钥，但没有人销毁过',
  RECORD_UNREADABLE: '已封存的记录无法用其密钥打开',
  NOTE_MALFORMED: '已签名的文本无法读取',
  NOTE_SIGNATURE_WRONG: '文本不是用应有的密钥签名的',
  QUORUM_MISSING: '为日志作证的见证方少于所需数目',
  TIME_STAMP_MISSING: '没有有效的时间戳',
  TIME_STAMP_MALFORMED: '时间戳不符合 RFC 3161',
  TIME_STAMP_REFUSED: '时间戳机构拒绝了请求',
  TIME_STAMP_IMPRINT_WRONG: '时间戳针对的是别的内容',
  TIME_STAMP_NONCE_WRONG: '时间戳答复的是另一请求',
  TIME_STAMP_DIGEST_WRONG: '时间戳的内容被改动',
  TIME_STAMP_SIGNER_WRONG: '时间戳没有按规定指明签名证书',
  TIME_STAMP_ALGORITHM_REFUSED: '时间戳使用了不允许的签名算法',
  TIME_STAMP_SIGNATURE_WRONG: '时间戳的签名无效',
  TIME_STAMP_UNTRUSTED: '时间戳不来自受信任的机构',
  TIME_STAMP_REVOKED: '时间戳机构的证书已被吊销或不再受信任',
  TIME_STAMP_STATUS_UNKNOWN: '无法得知时间戳机构的证书是否已被吊销',
  TIME_STAMP_CLOCK_DIFFERS: '时间戳机构与本服务器的时间相差超过五分钟',
  TIME_STAMP_UNAVAILABLE: '没有机构给出时间戳',
  TIME_STAMP_FROM_FUTURE: '时间戳的时刻尚未到来',
  WITNESS_ORIGIN_UNKNOWN: '见证方不为此名称的日志作证',
  WITNESS_KEY_WRONG: '检查点不是用日志登记的密钥签名的',
  WITNESS_UNPROVEN: '检查点未能证明由前一检查点增长而来',
  WITNESS_BUDGET: '此日志请求共同签名过于频繁',
  WITNESS_STOPPED: '见证方无法保存其记忆，已停止共同签名',
  WITNESS_FEED_WRONG: '汇总日志含有见证方不能作证的内容',
  WITNESS_FEED_BEHIND: '见证方尚未检查完汇总日志',
  WITNESS_ANSWER_WRONG: '见证方的应答不是已知密钥的共同签名',
  WITNESS_OFF: '此登记机关不是见证方',
  WITNESS_REFUSED: '登记机关的见证方拒绝此日志的检查点',
  AGGREGATE_KEY_WRONG: '汇总日志最近的检查点是用另一密钥签名的',
  AGGREGATE_UNKNOWN: '汇总日志中没有此检查点',
  AGGREGATE_NOT_YET: '检查点尚未得到共同签名和时间戳',
  AGGREGATE_BUDGET: '一分钟内请求的汇总日志内容过多',
  AGGREGATE_BEHIND: '见证方所知的汇总日志更长或不同',
  ANCHORING_REFUSED: '登记机关出示的锚定未通过验证',
  ANCHORING_LATE: '日志等待时间戳已久',
  ANCHORING_OVERDUE: '日志等待时间戳过久；新的交换已停止',
  ANCHORING_MALFORMED: '日志的锚定无法读取',
  ARCHIVE_OFF: '本服务器没有归档',
  ARCHIVE_MALFORMED: '归档中有不合规定的内容',
  ARCHIVE_DAMAGED: '归档中的内容与当时存入的不同',
  ARCHIVE_INCOMPLETE: '归档缺少部分内容',
  ARCHIVE_SEGMENT_UNKNOWN: '归档中有不属于它的内容',
  ARCHIVE_KEY_WRONG: '归档是用另一密钥加密的',
  ARCHIVE_UNREACHABLE: '归档的存放处不能正常存取',
  ARCHIVE_LOCK_REFUSED: '归档的存放处没有锁定所存内容',
  ARCHIVE_OVERDUE: '应归档的记录尚未归档',
  ARCHIVE_BUSY: '归档正在进行',
};

/** The code, and what it means. @param code of the table of errors, or of a later version's */
export function stateWords(code: string, language: Language): Html {
  const own = language === 'zh' && Object.hasOwn(ZH, code) ? ZH[code] : undefined;
  if (own !== undefined) return html`${own} <code>${code}</code>`;
  const title = isProblemCode(code) && PROBLEMS[code].title;
  return html`${title && html`<span lang="en">${title}</span> `}<code>${code}</code>`;
}

const time = (iso: string) => timeText(Date.parse(iso));

/** Details of what an audit, or a check, misses; times as on the rest of the page. */
// biome-ignore format: one detail, one line
const DETAILS_ZH: readonly (readonly [RegExp, (...found: string[]) => string])[] = [
  [/^(\d+) of (\d+)(?: witnesses)?$/, (good, needed) => `须 ${needed} 个，仅有 ${good} 个`],
  [/^without the registry's witness$/, () => '没有登记机关的见证方的签名'],
  [/^the configuration demands no witness$/, () => '配置不要求任何见证方'],
  [/^without a good time-stamp$/, () => '没有有效的时间戳'],
  [/^and no later anchoring covers this entry$/, () => '此后也没有锚定覆盖该条目'],
  [/^it could come again$/, () => '它可能被再次送达'],
  [/^written at (\S+Z), time-stamped at (\S+Z)$/, (own, at) => `写入于 ${time(own)}，时间戳为 ${time(at)}`],
  [/^written at (\S+Z), its time-stamp is of (\S+Z)$/, (own, at) => `写入于 ${time(own)}，其时间戳为 ${time(at)}`],
  [/^the checkpoint before it is said to be of (\S+Z)$/, (at) => `其前的检查点据称为 ${time(at)}`],
  [/^its checkpoint is said to be of (\S+Z), what stands before it is of (\S+Z)$/, (at, other) => `其检查点据称为 ${time(at)}，其前的内容为 ${time(other)}`],
];

/** A detail in the page's language; what there are no words for is English and set apart. */
export function detailWords(detail: string, language: Language): Html {
  for (const [pattern, words] of language === 'zh' ? DETAILS_ZH : []) {
    const found = pattern.exec(detail);
    if (found !== null) return html`${words(...found.slice(1))}`;
  }
  return html`<span lang="en">${apart(detail)}</span>`;
}
