// The catalogue: everything of a dictionary that can be asked for, and who gives it, found by words in two languages.
import t from 'tap';
import { openCatalogue, openCatalogueInSteps } from '#policy/catalogue.ts';
import { openDictionary } from '#policy/dictionary/dictionary.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import type { DictionaryEntry } from '#schemas/dictionary-entry.ts';
import { element, mapping, predicate } from './entries.ts';

const words = (zh: string, en: string) => ({
  labels: { zh, en },
  definition: { zh: `${zh}的定义`, en: `about ${en}` },
});
const ENTRIES: DictionaryEntry[] = [
  element('gx.person.birth_date', { ...words('出生日期', 'date of birth'), level: 2, synonyms: { en: ['birthday'] } }),
  element('gx.person.name', { ...words('姓名', 'full name'), level: 1 }),
  element('gx.person.income', { ...words('收入', 'yearly income'), level: 3, unit: 'CNY' }),
  predicate({
    id: 'gx.pred.adult',
    ...words('成年', 'of age'),
    level: 1,
    inputs: { born: 'gx.person.birth_date@1' },
  }),
  predicate({
    id: 'gx.pred.low_income',
    ...words('低收入', 'low income'),
    level: 2,
    inputs: { income: 'gx.person.income@1', born: 'gx.person.birth_date@1' },
  }),
  mapping({ id: 'gx.map.birth', ...words('出生日期映射', 'date of birth form') }),
];

type Leaves = [path: string, element: string][];
function table(service: string, responses: [status: string, leaves: Leaves][]): BindingTable {
  const bound = responses.map(([status, leaves]) => ({
    status,
    mediaType: 'application/json',
    leaves: leaves.map(([path, ref]) => ({ role: 'data' as const, path, element: ref, level: 2 as const })),
  }));
  const subject = { in: 'path' as const, name: 'id', scheme: 'gx.person.id@1' };
  const operation = {
    method: 'GET' as const,
    path: '/p/{id}',
    subject,
    asOf: null,
    purposes: ['aid'],
    responses: bound,
  };
  return { v: 1, service, jurisdiction: 'GX', level: 2, operations: [operation] };
}
const TABLES = [
  table('GX/GOV/2/tax/b', [
    [
      '200',
      [
        ['/born', 'gx.person.birth_date@1'],
        ['/income', 'gx.person.income@1'],
      ],
    ],
  ]),
  // Two places of one input: which one a predicate would mean cannot be said.
  table('GX/GOV/1/civil/a', [
    [
      '200',
      [
        ['/born', 'gx.person.birth_date@1'],
        ['/mother/born', 'gx.person.birth_date@1'],
      ],
    ],
    ['404', [['/name', 'gx.person.name@1']]],
  ]),
];
const catalogue = openCatalogue(openDictionary('1.0.0', ENTRIES), TABLES);
const refs = (text: string, over: Partial<Parameters<typeof catalogue.search>[1]> = {}) =>
  catalogue.search(text, { limit: 10, ...over }).map((item) => item.element);

t.test('finds by label, synonym and definition, elements and predicates only', async (t) => {
  const cases: [text: string, first: string][] = [
    ['出生', 'gx.person.birth_date@1'],
    ['birthday', 'gx.person.birth_date@1'],
    ['date of birth', 'gx.person.birth_date@1'],
    ['low income', 'gx.pred.low_income@1'],
    ['gx.person.name@1', 'gx.person.name@1'],
  ];
  for (const [text, first] of cases) t.equal(refs(text)[0], first, text);
  t.notOk(refs('date of birth').some((ref) => ref.startsWith('gx.map')));
  t.same(refs('nothing of the kind zzz'), []);
  const [best] = catalogue.search('birthday', { limit: 1 });
  t.ok(best && best.score > 0);
});

t.test('an empty text lists everything by ref; filters and limits', async (t) => {
  const all = ['gx.person.birth_date@1', 'gx.person.income@1', 'gx.person.name@1'];
  t.same(refs(''), [...all, 'gx.pred.adult@1', 'gx.pred.low_income@1']);
  t.same(refs(' ', { kind: 'element' }), all);
  t.same(refs('', { level: 1 }), ['gx.person.name@1', 'gx.pred.adult@1']);
  t.same(refs('', { limit: 2 }), all.slice(0, 2));
  // The best hits are left out by the filter: those behind them still come.
  t.same(refs('income', { limit: 1, kind: 'element' }), ['gx.person.income@1']);
  t.same(refs('income', { limit: 1, level: 2 }), ['gx.pred.low_income@1']);
});

t.test('who gives it', async (t) => {
  const born = catalogue.item('gx.person.birth_date@1');
  t.same(
    born?.services.map(({ service, leafPath }) => [service, leafPath]),
    [
      ['GX/GOV/1/civil/a', '/born'],
      ['GX/GOV/1/civil/a', '/mother/born'],
      ['GX/GOV/2/tax/b', '/born'],
    ],
  );
  t.match(born?.services[2], { method: 'GET', path: '/p/{id}', subjectScheme: 'gx.person.id@1', purposes: ['aid'] });
  t.match(catalogue.item('gx.person.income@1'), { unit: 'CNY', level: 3, kind: 'element', codelist: null });
  t.same(catalogue.item('gx.person.name@1')?.services, [], 'what only an error says is given by nobody');
  for (const ref of ['gx.pred.adult@1', 'gx.pred.low_income@1']) {
    t.same(
      catalogue.item(ref)?.services.map(({ service, leafPath }) => [service, leafPath]),
      [['GX/GOV/2/tax/b', null]],
      ref,
    );
  }
  t.equal(catalogue.item('gx.map.birth@1'), undefined);
  t.equal(catalogue.item('gx.person.birth_date'), undefined);
  const many = Array.from({ length: 25 }, (_, at) =>
    table(`GX/GOV/3/s/${100 + at}`, [['2XX', [['/n', 'gx.person.name@1']]]]),
  );
  const crowded = openCatalogue(openDictionary('1.0.0', ENTRIES), many);
  t.match(crowded.search('full name', { limit: 1 }), [{ services: { length: 20 }, moreServices: 5 }]);
  t.match(crowded.item('gx.person.name@1'), { services: { length: 25 }, moreServices: 0 });
});

t.test('in steps it is the same catalogue', async (t) => {
  const texts = ['', 'birth', '出生', 'adult', 'nothing of the kind'];
  const steps = openCatalogueInSteps(openDictionary('1.0.0', ENTRIES), TABLES);
  let pauses = 0;
  let step = steps.next();
  for (; step.done !== true; step = steps.next()) pauses += 1;
  const made = step.value;
  t.ok(pauses >= ENTRIES.length / 16 + TABLES.length, 'a pause for each table and every few entries');
  for (const text of texts) t.same(made.search(text, { limit: 50 }), catalogue.search(text, { limit: 50 }), text);
  for (const { element } of catalogue.search('', { limit: 50 })) t.same(made.item(element), catalogue.item(element));
});
