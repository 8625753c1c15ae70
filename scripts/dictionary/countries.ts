// gx.code.country: the alpha-2 codes of ISO 3166-1 with short names in Chinese and English, made from i18n-iso-countries.
import countries from 'i18n-iso-countries';
import manifest from 'i18n-iso-countries/package.json' with { type: 'json' };
import type { CodelistEntry } from '#schemas/dictionary-entry.ts';

/** In the package, but only user-assigned: not of the standard. */
const NOT_OF_THE_STANDARD = new Set(['XK']);

export function countryList(): CodelistEntry {
  const zh = countries.getNames('zh', { select: 'official' });
  const en = countries.getNames('en', { select: 'official' });
  const codes = Object.keys(countries.getAlpha2Codes())
    .filter((code) => !NOT_OF_THE_STANDARD.has(code))
    .sort();
  return {
    kind: 'codelist',
    id: 'gx.code.country',
    version: '1.0.0',
    state: 'standard',
    labels: { zh: '国家和地区代码', en: 'Countries and areas' },
    definition: {
      zh: '世界各国和地区的两字母代码（ISO 3166-1 alpha-2，GB/T 2659 等同采用），只列正式分配的代码。',
      en: 'Two-letter codes of countries and areas (ISO 3166-1 alpha-2, adopted by GB/T 2659); officially assigned codes only.',
    },
    synonyms: { zh: ['国籍代码', '国别代码', '国家代码'], en: ['country code', 'ISO 3166', 'nationality code'] },
    source: {
      name: 'npm i18n-iso-countries (ISO 3166-1)',
      edition: manifest.version,
      licence: manifest.license,
      date: '2026-11-22',
    },
    codes: codes.map((code) => ({ code, labels: { zh: nameOf(zh, code), en: nameOf(en, code) } })),
    tests: [
      { value: 'CN', valid: true },
      { value: 'SG', valid: true },
      { value: 'CHN', valid: false },
      { value: 'XK', valid: false },
      { value: 'cn', valid: false },
    ],
  };
}

function nameOf(names: Record<string, string>, code: string): string {
  const name = names[code];
  if (name === undefined) throw new TypeError(`no name for ${code}`);
  return name;
}
