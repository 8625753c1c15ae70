// What a release of the dictionary may change against the one before, whom that touches and what becomes lossy; and that
// people find what they look for.
import fc from 'fast-check';
import t from 'tap';
import { openDictionary } from '#policy/dictionary/dictionary.ts';
import { diffDictionaries } from '#policy/dictionary/diff.ts';
import { openSearch } from '#policy/dictionary/search.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import type { DictionaryEntry, ElementEntry } from '#schemas/dictionary-entry.ts';
import { codelist, element, group, open, WORDS } from './dictionary-entries.ts';
import { mapping, predicate, shippedEntries } from './entries.ts';

t.test('what may follow, and with which version', async (t) => {
  const typed = (words: object) => ({ domain: { type: 'string', maxLength: 9, ...words } });
  const a = element('gx.a', typed({ minLength: 1, enum: ['1', '2'], pattern: '^.$' }));
  const as = (version: string, over: object = {}) => ({ ...a, version, ...over }) as ElementEntry;
  const number = element('gx.n', { domain: { type: 'number', minimum: 0, maximum: 10, multipleOf: 0.01 } });
  const n = (words: object, version = '1.1.0') =>
    ({ ...number, version, domain: { ...number.domain, ...words } }) as ElementEntry;
  const list = codelist('gx.code.x', ['1', '2']);
  const draft = (over: object = {}) => as('1.0.0', { state: 'draft', ...over });
  const is = predicate({ labels: WORDS, definition: WORDS });
  const cases: [
    name: string,
    before: DictionaryEntry,
    after: DictionaryEntry | null,
    faults: string[],
    breaking?: true,
  ][] = [
    ['other words', a, as('1.0.1', { labels: { zh: '新', en: 'new' } }), []],
    ['other words, same version', a, as('1.0.0', { labels: { zh: '新', en: 'new' } }), ['DICT_VERSION_NOT_RAISED']],
    ['a lower version', as('1.2.0'), as('1.1.9'), ['DICT_VERSION_NOT_RAISED']],
    ['only a higher version', a, as('1.1.0'), []],
    ['a raised level', a, as('1.1.0', { level: 3 }), []],
    ['a raised level as a patch', a, as('1.0.1', { level: 3 }), ['DICT_VERSION_TOO_LOW']],
    ['longer values', a, as('1.1.0', typed({ maxLength: 20, enum: ['1', '2', '3'] })), []],
    [
      'longer values as a patch',
      a,
      as('1.0.9', typed({ minLength: 0, enum: ['1', '2'], pattern: '^.$' })),
      ['DICT_VERSION_TOO_LOW'],
    ],
    ['another type', a, as('1.1.0', { domain: { type: 'integer' } }), ['DICT_BREAKING'], true],
    ['one value less', a, as('1.1.0', typed({ enum: ['1'] })), ['DICT_BREAKING'], true],
    ['another pattern', a, as('1.1.0', typed({ enum: ['1', '2'], pattern: '^..$' })), ['DICT_BREAKING'], true],
    ['a format', a, as('1.1.0', typed({ enum: ['1', '2'], format: 'date' })), ['DICT_BREAKING'], true],
    ['shorter', a, as('1.1.0', typed({ enum: ['1', '2'], maxLength: 8 })), ['DICT_BREAKING'], true],
    ['not so short', a, as('1.1.0', typed({ enum: ['1', '2'], minLength: 2 })), ['DICT_BREAKING'], true],
    ['a codelist', a, as('1.1.0', { codelist: 'gx.code.x@1' }), ['DICT_BREAKING'], true],
    ['another unit', a, as('1.1.0', { unit: 'CNY' }), ['DICT_BREAKING'], true],
    ['larger', number, n({ maximum: 11 }), []],
    ['smaller', number, n({ maximum: 9 }), ['DICT_BREAKING'], true],
    ['not so small', number, n({ minimum: 1 }), ['DICT_BREAKING'], true],
    ['finer', number, n({ multipleOf: 0.001 }), []],
    ['coarser', number, n({ multipleOf: 0.1 }), ['DICT_BREAKING'], true],
    ['breaking with a major in place', a, { ...as('2.0.0'), kind: 'element' }, ['DICT_REMOVED'], true],
    [
      'a draft may become anything',
      draft(),
      draft({ version: '1.0.1', domain: { type: 'boolean' } }),
      ['DICT_VERSION_TOO_LOW'].slice(1),
      true,
    ],
    ['forward', a, as('1.0.1', { state: 'retired' }), []],
    ['back', a, as('1.0.1', { state: 'candidate' }), ['DICT_STATE_BACK']],
    ['gone at once', a, null, ['DICT_REMOVED'], true],
    ['gone while deprecated', as('1.0.0', { state: 'deprecated' }), null, ['DICT_REMOVED'], true],
    ['gone after retirement', as('1.0.0', { state: 'retired' }), null, []],
    ['one code more', list, codelist('gx.code.x', ['1', '2', '3'], { version: '1.1.0' }), []],
    ['one code less', list, codelist('gx.code.x', ['1'], { version: '1.1.0' }), ['DICT_BREAKING'], true],
    ['another threshold', is, { ...is, version: '1.1.0', thresholds: { limit: 19 } }, []],
    ['another question', is, { ...is, version: '1.1.0', expression: 'x > thresholds.limit' }, ['DICT_BREAKING'], true],
  ];
  for (const [name, before, after, faults, breaking = false] of cases) {
    const diff = diffDictionaries(open(before), open(...(after === null ? [] : [after])));
    t.same(
      diff.faults.map(({ code }) => code),
      faults,
      name,
    );
    t.equal(diff.changes[0]?.breaking, breaking, name);
  }
  const beside = diffDictionaries(open(a), open(a, as('2.0.0', typed({ enum: ['1'] }))));
  t.match(beside, { faults: [], changes: [{ entry: 'gx.a@2', change: 'added', versionBefore: null }] });
  t.same(diffDictionaries(open(a, list), open(list, a)), { changes: [], impact: [], lossyMappings: [], faults: [] });
  t.match(diffDictionaries(open(a), open(as('1.1.0', { level: 3 }))).changes[0]?.why, [
    'DICT_LEVEL_RAISED from 2 to 3',
  ]);
});

t.test('whom a change touches, and what becomes lossy', async (t) => {
  const entries = [
    ...[codelist('gx.code.x'), element('gx.coded', { codelist: 'gx.code.x@1' }), element('gx.id'), element('gx.n')],
    predicate({ inputs: { n: 'gx.n@1' } }),
    mapping({ id: 'gx.map.ab', from: { value: 'gx.a@1' }, to: { value: 'gx.b@1' } }),
    mapping({ id: 'gx.map.bc', from: { value: 'gx.b@1' }, to: { value: 'gx.c@1' } }),
    mapping({ id: 'gx.map.ac', from: { value: 'gx.a@1' }, to: { value: 'gx.c@1' } }),
  ];
  const leaf = (element: string, over: object = {}) => ({
    role: 'data',
    path: `/${element}`,
    element,
    level: 1,
    ...over,
  });
  const table = (service: string, subject: string, ...leaves: object[]) =>
    ({
      service,
      operations: [{ subject: { in: 'path', name: 'id', scheme: subject }, responses: [{ leaves }] }],
    }) as unknown as BindingTable;
  const touched = {
    tables: [
      table('GX/GOV/1/a/one', 'gx.id@1', leaf('gx.coded@1'), { role: 'technical', path: '/code' }),
      table('GX/GOV/1/a/two', 'gx.other@1', leaf('gx.n@1', { map: 'gx.map.ab@1' })),
    ],
    rights: [
      { id: 'r1', elements: ['gx.coded@1', 'gx.pred.one@1'] },
      { id: 'r2', elements: null },
      { id: 'r3', elements: ['gx.n@1'] },
    ],
    purposes: [
      { id: 'aid@2', elements: ['gx.pred.one@1'] },
      { id: 'home@1', elements: ['gx.coded@1'] },
    ],
  };
  const next = (id: string, over: object) =>
    openDictionary(
      '1.1.0',
      entries.map((one) => (one.id === id ? ({ ...one, version: '1.1.0', ...over } as DictionaryEntry) : one)),
    );
  const cases: [id: string, services: string[], rights: string[], purposes: string[]][] = [
    ['gx.code.x', ['one'], ['r1'], ['home@1']],
    ['gx.coded', ['one'], ['r1'], ['home@1']],
    ['gx.id', ['one'], [], []],
    ['gx.n', ['two'], ['r1', 'r3'], ['aid@2']],
    ['gx.pred.one', ['two'], ['r1'], ['aid@2']],
    ['gx.map.ab', ['two'], [], []],
  ];
  for (const [id, services, rights, purposes] of cases) {
    const { impact } = diffDictionaries(open(...entries), next(id, { labels: { zh: '新', en: 'new' } }), touched);
    const named = services.map((one) => `GX/GOV/1/a/${one}`);
    t.same(impact, [{ entry: `${id}@1`, services: named, purposes, rights }], id);
  }
  const grouped = diffDictionaries(
    open(...entries),
    open(...entries, group('gx.group.g', ['gx.id@1', 'gx.n@1'])),
    touched,
  );
  t.match(
    grouped.impact,
    [{ entry: 'gx.group.g@1', services: { length: 2 }, rights: ['r1', 'r3'] }],
    'a new group binds its members',
  );
  const lossy = (id: string, over: object = { fidelity: 'lossy' }) =>
    diffDictionaries(open(...entries), next(id, over)).lossyMappings;
  t.same(lossy('gx.map.ac'), ['gx.map.ac@1'], 'there is another way');
  t.same(lossy('gx.map.bc'), ['gx.map.bc@1', 'gx.b@1 → gx.c@1']);
  t.same(lossy('gx.map.ab', { state: 'retired' }), ['gx.a@1 → gx.b@1']);
  const gone = diffDictionaries(open(...entries), open(...entries.filter(({ kind }) => kind !== 'mapping')));
  t.same(gone.lossyMappings, ['gx.a@1 → gx.b@1', 'gx.a@1 → gx.c@1', 'gx.b@1 → gx.c@1']);
});

t.test('what people look for is found', async (t) => {
  const small = open(
    element('gx.person.birth_date', {
      labels: { zh: '出生日期', en: 'Date of birth' },
      synonyms: { zh: ['生日'], en: ['birthday'] },
    }),
    element('gx.person.name', {
      labels: { zh: '姓名', en: 'Name' },
      definition: { zh: '出生时登记的姓名', en: 'as registered at birth' },
    }),
    element('gx.tax.income', { labels: { zh: '所得', en: 'Taxable income' }, version: '2.0.0' }),
    element('gx.tax.income', { labels: { zh: '所得', en: 'Taxable income' }, state: 'deprecated' }),
    codelist('gx.code.sex', ['1'], { labels: { zh: '性别', en: 'Sex' } }),
  );
  const find = openSearch(small);
  const cases: [text: string, refs: string[]][] = [
    ['出生日期', ['gx.person.birth_date@1']],
    ['出生', ['gx.person.birth_date@1', 'gx.person.name@1']],
    ['生日', ['gx.person.birth_date@1']],
    ['性', ['gx.code.sex@1']],
    ['BIRTHDAY', ['gx.person.birth_date@1']],
    ['birhday', ['gx.person.birth_date@1']],
    ['birth', ['gx.person.birth_date@1', 'gx.person.name@1']],
    ['taxab', ['gx.tax.income@2', 'gx.tax.income@1']],
    ['the income of a person', ['gx.tax.income@2', 'gx.tax.income@1']],
    ['gx.tax.income', ['gx.tax.income@2', 'gx.tax.income@1']],
    ['gx.tax.income@1', ['gx.tax.income@1', 'gx.tax.income@2']],
    ['所得', ['gx.tax.income@2', 'gx.tax.income@1']],
    ['出生 date', ['gx.person.birth_date@1']],
    ['zzzz', []],
    // Next to 日 in Unicode: a Chinese word has no misspelling.
    ['生旧', []],
    ['gx', []],
    ['', []],
    ['*** ~', []],
  ];
  for (const [text, refs] of cases)
    t.same(
      find
        .search(text, 10)
        .slice(0, Math.max(refs.length, 1))
        .map(({ ref }) => ref),
      refs,
      text,
    );
  t.equal(find.search('birth', 1).length, 1);
  t.same(openSearch(open()).search('birth', 5), []);
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 400 }), (text) => find.search(text, 3).length <= 3),
    { numRuns: 200 },
  );
  const shipped = shippedEntries();
  if (shipped.length === 0) return;
  const all = openSearch(openDictionary('1.0.0', shipped));
  for (const { id, version, labels } of shipped.filter(({ state }) => state === 'standard')) {
    const ref = `${id}@${version.split('.')[0]}`;
    for (const label of Object.values(labels)) {
      if (!all.search(label, 10).some((found) => found.ref === ref)) t.fail(`${label} finds ${ref}`);
    }
  }
});
