// What other readers make of a path that was let through, without a line of the reader that let it: WHATWG URLs, POSIX
// paths, a second round of decoding, compatibility forms, dropped ';parameters'. All must see the same path.
import { posix } from 'node:path';

/** Why some reader would see another path than the one that is forwarded; null when none does. */
export function otherReading(path: string): string | null {
  if (path === '') return null;
  if (/[^\x21-\x7e]/.test(path)) return 'bytes that are not visible ASCII';
  if (new URL(`http://h${path}`).pathname !== path) return 'WHATWG URL';
  let text: string;
  try {
    text = decodeURIComponent(path);
  } catch {
    return 'not UTF-8';
  }
  if (/%[0-9a-f]{2}/i.test(text)) return 'decoded twice';
  for (const reading of [text, text.normalize('NFKC')]) {
    if (reading.includes('\\') || reading.split('/').length !== path.split('/').length) return 'another slash';
    if (reading.includes('\0') || /[\r\n]/.test(reading)) return 'a control character';
    const without = reading.replaceAll(/;[^/]*/g, '');
    if (posix.normalize(reading) !== reading || posix.normalize(without) !== without) return 'dot or empty segments';
  }
  return null;
}

/** A rule in plain words, over what a backend reads. */
export interface PlainRule {
  method: string;
  glob: string;
  covers: RegExp;
}

/** Rules of the campaign's access right: everything may be read, little may be written. */
export const RULES: readonly PlainRule[] = [
  { method: 'GET', glob: '/**', covers: /^\// },
  { method: 'DELETE', glob: '/pets/*', covers: /^\/pets\/[^/]*$/ },
  { method: 'POST', glob: '/files/*.pdf', covers: /^\/files\/[^/]*\.pdf$/ },
  { method: 'POST', glob: '/files/*5', covers: /^\/files\/[^/]*5$/ },
];

/** Whether some reader would see a path that no rule covers. */
export function isBeyondRules(method: string, path: string): boolean {
  const sent = path === '' ? '/' : path;
  const readings = [sent, decodeURIComponent(sent)];
  readings.push(...readings.map((one) => one.replaceAll(/;[^/]*/g, '')));
  const rules = RULES.filter((rule) => rule.method === method);
  return !rules.some(({ covers }) => readings.every((one) => covers.test(one)));
}
