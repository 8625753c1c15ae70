// What the pages say of emergencies that departments told of, in both languages.
import type { Language } from '#core/http/pages/language.ts';

type Wording = typeof EN;

const EN = {
  line: (count: number) =>
    count === 1
      ? 'Somebody looked at your data in an emergency, without asking you.'
      : `Your data were looked at in emergencies, without asking you: ${count} times.`,
  toRead: 'Read what happened',
  heading: (count: number) =>
    count === 1
      ? 'In an emergency, your data were asked for'
      : `In emergencies, your data were asked for: ${count} times`,
  text: 'Two officials of different units answered for it with their names. Nobody had to ask you; so you are told.',
  title: (client: string) => `Emergency: ${client}`,
  when: 'When',
  who: 'Who asked',
  why: 'Why, as both officials wrote it',
  from: 'From where',
  emergency: 'Number of the emergency',
  request: 'Number of the request',
  whatNow: 'What you can do',
  look: 'See which items were told, and report an error in them: ',
  ask: (client: string) =>
    `A third official has to look into every emergency, or the department gets nothing any more. If you think that it was not right, ask ${client} and name the number of the emergency.`,
  done: 'I have read this',
  doneOf: (client: string, when: string) => `${client}, ${when}`,
  more: (count: number) => `${count} more stand here when you have put away some of these.`,
};

const ZH: Wording = {
  line: (count) =>
    count === 1 ? '有人因紧急情况未经您同意查询了您的数据。' : `您的数据因紧急情况未经您同意被查询了 ${count} 次。`,
  toRead: '查看经过',
  heading: (count) => (count === 1 ? '因紧急情况查询了您的数据' : `因紧急情况查询了您的数据：${count} 次`),
  text: '两个不同科室的工作人员署名对此负责。紧急情况下无需征得您的同意，因此在这里告知您。',
  title: (client) => `紧急查询：${client}`,
  when: '时间',
  who: '查询方',
  why: '理由（两位工作人员写明）',
  from: '数据来源',
  emergency: '紧急情况编号',
  request: '查询编号',
  whatNow: '您可以做什么',
  look: '查看提供了哪些内容，并报告其中的错误：',
  ask: (client) =>
    `每次紧急查询都必须由第三位工作人员复核，否则该部门将不能再获取任何数据。如果您认为不当，请向${client}询问，并说明紧急情况编号。`,
  done: '我已阅读',
  doneOf: (client, when) => `${client}，${when}`,
  more: (count) => `处理以上通知后，还会显示 ${count} 条。`,
};

export const NOTICE_WORDS: Readonly<Record<Language, Wording>> = { zh: ZH, en: EN };
