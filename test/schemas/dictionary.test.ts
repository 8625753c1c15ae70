// What the dictionary that ships with this exchange says: every file keeps its form and place, every area of government is
// there in both languages, every element has one authority, and the generated codelists are what the packages give.

import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { checkDictionary } from '#policy/dictionary/check.ts';
import { openDictionary } from '#policy/dictionary/dictionary.ts';
import {
  type CodelistEntry,
  type DictionaryEntry,
  type ElementEntry,
  ENTRY_SCHEMAS,
  type EntryKind,
} from '#schemas/dictionary-entry.ts';
import { compile } from '#schemas/validate.ts';
import { CURRENCY_NAMES_CLDR } from '#scripts/dictionary/currencies.ts';
import { generatedCodelists } from '#scripts/dictionary/generated.ts';

const ROOT = 'schemas/dictionary';
const FOLDERS: Record<EntryKind, string> = {
  element: 'elements',
  codelist: 'codelists',
  mapping: 'mappings',
  predicate: 'predicates',
  group: 'groups',
};
const KINDS = Object.keys(FOLDERS) as EntryKind[];
/** Areas of the dictionary to the least number of elements each has to have. */
const AREAS: Record<string, number> = {
  person: 15,
  household: 6,
  address: 10,
  tax: 10,
  income: 2,
  employment: 4,
  'social_insurance.pension': 5,
  'social_insurance.unemployment': 3,
  'social_insurance.injury': 3,
  'social_insurance.maternity': 3,
  assistance: 10,
  medical: 10,
  housing: 6,
  property: 10,
  education: 10,
  vehicle: 10,
  driving: 5,
  company: 15,
  licence: 6,
};

function entriesOf(kind: EntryKind): { file: string; text: string; entry: DictionaryEntry }[] {
  const folder = `${ROOT}/${FOLDERS[kind]}`;
  const read = compile(ENTRY_SCHEMAS[kind], 'SCHEMA_MISMATCH');
  return readdirSync(folder).map((file) => {
    const text = readFileSync(`${folder}/${file}`, 'utf8');
    try {
      return { file, text, entry: read(JSON.parse(text)) as DictionaryEntry };
    } catch (error) {
      throw new Error(`${folder}/${file}`, { cause: error });
    }
  });
}

const all = KINDS.flatMap(entriesOf);
const elements = all.map(({ entry }) => entry).filter((entry): entry is ElementEntry => entry.kind === 'element');
const codelists = all.map(({ entry }) => entry).filter((entry): entry is CodelistEntry => entry.kind === 'codelist');
const dictionary = openDictionary(
  '1.0.0',
  all.map(({ entry }) => entry),
);

t.test('every file is named after the one entry in it, and written tidily', async (t) => {
  t.strictSame(readdirSync(ROOT).sort(), Object.values(FOLDERS).sort());
  const untidy = all.filter(({ text }) => !text.startsWith('{\n  "kind": ') || !text.endsWith('\n}\n')).map(at);
  t.strictSame(untidy, [], 'two spaces, a last newline');
  t.strictSame(all.filter(({ file, entry }) => file !== `${entry.id}.json`).map(at), []);
  t.strictSame(all.filter(({ entry }) => !entry.id.startsWith('gx.')).map(at), []);
});

function at({ file }: { file: string }): string {
  return file;
}

t.test('no rule of the dictionary is broken, and the tests in the entries come out as written', async (t) => {
  t.strictSame(checkDictionary(dictionary), []);
});

t.test('the areas of government are all there', async (t) => {
  t.ok(elements.length >= 125, `${elements.length} elements`);
  for (const [area, least] of Object.entries(AREAS)) {
    const count = elements.filter(({ id }) => id.startsWith(`gx.${area}.`) || id.startsWith(`gx.${area}_`)).length;
    t.ok(count >= least, `${area}: ${count} of at least ${least}`);
  }
  const levels = new Set(elements.map(({ level }) => level));
  t.strictSame([...levels].sort(), [1, 2, 3, 4], 'levels are used apart');
});

t.test('an entry speaks two languages', async (t) => {
  const han = /\p{Script=Han}/u;
  for (const { file, entry } of all) {
    const { labels, definition } = entry;
    const isApart = labels.zh !== labels.en && definition.zh !== definition.en;
    const isWritten =
      han.test(labels.zh) && han.test(definition.zh) && !han.test(labels.en) && !han.test(definition.en);
    if (!isApart || !isWritten) t.fail(`${file}: languages`);
    if (labels.zh === definition.zh || labels.en === definition.en) t.fail(`${file}: the definition says nothing new`);
  }
  for (const language of ['zh', 'en'] as const) {
    const seen = new Map<string, string>();
    for (const { id, labels } of elements) {
      const other = seen.get(labels[language]);
      if (other !== undefined) t.fail(`${id} and ${other} are both called ${labels[language]}`);
      seen.set(labels[language], id);
    }
    const silent = elements.filter(({ synonyms }) => (synonyms?.[language] ?? []).length === 0).map(({ id }) => id);
    t.strictSame(silent, [], `words to search for in ${language}`);
  }
});

t.test('one authority speaks for an element in GX', async (t) => {
  for (const { id, authorities } of elements) {
    const today = authorities.filter(({ jurisdiction, until }) => jurisdiction === 'GX' && until === null);
    if (today.length !== 1) t.fail(`${id}: ${today.length} authorities`);
    const member = dictionary.authority(`${id}@1`, 'GX', '2026-11-22');
    if (!/^GX\/GOV\/100[1-9]$/.test(member ?? '')) t.fail(`${id}: ${member}`);
  }
  t.equal(dictionary.authority('gx.person.birth_date@1', 'GX', '2019-12-31'), undefined, 'not before it began');
  t.equal(dictionary.authority('gx.person.birth_date@1', 'GX', '2020-01-01'), 'GX/GOV/1001');
});

t.test('codelists say where they come from and are all used', async (t) => {
  const used = new Set(elements.map(({ codelist }) => codelist));
  for (const { id, source } of codelists) {
    if (!used.has(`${id}@1`)) t.fail(`${id}: no element uses it`);
    if (source.edition === undefined || source.licence === undefined) t.fail(`${id}: edition or licence is missing`);
  }
  const told = readFileSync('docs/dictionary-sources.md', 'utf8');
  const untold = codelists.filter(({ id }) => !told.includes(`\`${id}\``)).map(({ id }) => id);
  t.strictSame(untold, [], 'every list stands in docs/dictionary-sources.md');
  const codesOf = (id: string) => dictionary.codelist(`${id}@1`)?.codes.map(({ code }) => code) ?? [];
  t.strictSame(codesOf('gx.code.sex'), ['0', '1', '2', '9']);
  t.strictSame(codesOf('gx.code.marital_status'), ['10', '20', '21', '22', '23', '30', '40', '90']);
  t.equal(codesOf('gx.code.ethnicity').length, 56);
  t.equal(codesOf('gx.code.education').length, 40);
  t.equal(codesOf('gx.code.country').length, 249, 'what ISO 3166-1 has assigned');
  t.equal(codesOf('gx.code.family_relation').length, 84);
});

t.test('divisions form a tree of three levels', async (t) => {
  const list = dictionary.codelist('gx.code.division@1');
  const byCode = new Map(list?.codes.map((one) => [one.code, one]));
  const count = [0, 0, 0];
  for (const { code, parent } of byCode.values()) {
    const level = code.endsWith('0000') ? 0 : code.endsWith('00') ? 1 : 2;
    const above = [undefined, `${code.slice(0, 2)}0000`, `${code.slice(0, 4)}00`][level];
    if (!/^[1-8][0-9]{5}$/.test(code) || parent !== above) t.fail(`${code} below ${parent}`);
    count[level] = (count[level] ?? 0) + 1;
  }
  t.strictSame(count, [34, 342, 2847]);
  const names = ['110105', '441900', '460300', '710000'].map((code) => byCode.get(code)?.labels.zh);
  t.strictSame(names, ['朝阳区', '东莞市', '三沙市', '台湾省']);
  const zones = list?.codes.filter(({ labels }) => /(?:开发区|工业园区|产业园区|示范区|管理区)$/.test(labels.zh ?? ''));
  t.strictSame(zones, [], 'zones that only statistics know are no divisions');
});

t.test('the generated codelists are what the packages give', async (t) => {
  const isSameCldr = process.versions['cldr'] === CURRENCY_NAMES_CLDR;
  const withoutChinese = (text: string) => text.replaceAll(/"zh": "[^"]*", /g, '');
  const generated = generatedCodelists();
  t.equal(generated.size, 3);
  for (const [name, text] of generated) {
    const stored = readFileSync(`${ROOT}/codelists/${name}`, 'utf8');
    if (isSameCldr || name !== 'gx.code.currency.json') t.equal(stored, text, name);
    else
      t.equal(withoutChinese(stored), withoutChinese(text), `${name}, its Chinese names left out under another CLDR`);
  }
  t.strictSame([...generatedCodelists()], [...generated], 'the same bytes every time');
});
