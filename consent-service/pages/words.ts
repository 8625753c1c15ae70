// The texts of a language, and times as a reader of it writes them.
import type { Language } from '#core/http/pages/language.ts';
import { EN, type Words } from './words-en.ts';
import { ZH } from './words-zh.ts';

export const WORDS: Readonly<Record<Language, Words>> = { zh: ZH, en: EN };

export interface Voice {
  language: Language;
  words: Words;
  /** Date, hour and minute in the zone of the network's legal days. */
  time(ms: number): string;
  /** With seconds. */
  second(ms: number): string;
  /** `+08:00` */
  offset: string;
  /** What stands between pieces that are put together. */
  marks: { colon: string; comma: string; open: string; close: string; stop: string };
}

const MARKS: Readonly<Record<Language, Voice['marks']>> = {
  zh: { colon: '：', comma: '，', open: '（', close: '）', stop: '。' },
  en: { colon: ': ', comma: ', ', open: ' (', close: ')', stop: '.' },
};

export function voiceOf(language: Language, utcOffsetMinutes: number): Voice {
  const [hours, minutes] = [Math.floor(Math.abs(utcOffsetMinutes) / 60), Math.abs(utcOffsetMinutes) % 60];
  const two = (count: number) => String(count).padStart(2, '0');
  const offset = `${utcOffsetMinutes < 0 ? '-' : '+'}${two(hours)}:${two(minutes)}`;
  const locale = { zh: 'zh-CN', en: 'en-GB' }[language];
  const format = (timeStyle: 'short' | 'medium') =>
    new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle, timeZone: offset, hour12: false });
  return {
    language,
    words: WORDS[language],
    time: (ms) => format('short').format(ms),
    second: (ms) => format('medium').format(ms),
    offset,
    marks: MARKS[language],
  };
}
