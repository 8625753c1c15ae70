// gx.code.currency: the alphabetic codes of ISO 4217 list one, made from currency-codes; the Chinese names are those of the
// Unicode CLDR as built into Node, because the standard has none. Another Node may know them by slightly other names.
import currencies from 'currency-codes';
import manifest from 'currency-codes/package.json' with { type: 'json' };
import type { CodelistEntry } from '#schemas/dictionary-entry.ts';

/** What the Chinese names in the file were made with; a run under another version changes names, not codes. */
export const CURRENCY_NAMES_CLDR = '48.0';

export function currencyList(): CodelistEntry {
  const zh = new Intl.DisplayNames(['zh-Hans'], { type: 'currency', fallback: 'none' });
  const codes = currencies.data.toSorted((a, b) => (a.code < b.code ? -1 : 1));
  return {
    kind: 'codelist',
    id: 'gx.code.currency',
    version: '1.0.0',
    state: 'standard',
    labels: { zh: '货币代码', en: 'Currencies' },
    definition: {
      zh: '货币和资金的三字母代码（ISO 4217 表一），包括贵金属、测试和无货币的代码。',
      en: 'Three-letter codes of currencies and funds (ISO 4217, list one), with those for precious metals, tests and no currency.',
    },
    synonyms: { zh: ['币种代码', '币种'], en: ['currency code', 'ISO 4217', 'money'] },
    source: {
      name: "npm currency-codes (ISO 4217 list one); Chinese names from the Unicode CLDR in Node's ICU",
      edition: `${manifest.version}; CLDR ${CURRENCY_NAMES_CLDR}`,
      licence: `${manifest.license}; Unicode-3.0`,
      date: currencies.publishDate,
    },
    codes: codes.map(({ code, currency }) => {
      const name = zh.of(code);
      return { code, labels: { ...(name !== undefined && { zh: name }), en: currency } };
    }),
    tests: [
      { value: 'CNY', valid: true },
      { value: 'SGD', valid: true },
      { value: 'RMB', valid: false },
      { value: '156', valid: false },
      { value: 'cny', valid: false },
    ],
  };
}
