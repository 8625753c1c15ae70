// The dictionary's own rules: value domains agree with a JSON Schema validator, entries are found by their refs, and what a
// release refuses.
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import fc from 'fast-check';
import t from 'tap';
import { checkDictionary } from '#policy/dictionary/check.ts';
import { isLongMultiple, isMultiple, misfit } from '#policy/dictionary/value-domain.ts';
import type { DictionaryEntry, ValueDomain } from '#schemas/dictionary-entry.ts';
import { cpuMs } from '#test/cpu-time.ts';
import { codelist, element, GX, group, open, TESTS, WORDS } from './dictionary-entries.ts';
import { mapping, predicate } from './entries.ts';

// --- value domains

// Division is not exact on decimals: without a precision Ajv denies that 0.07 is a multiple of 0.01.
const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 9 });
formats.default(ajv);

const SEEDS = [
  ...['2024-02-29', '2023-02-29', '2000-02-29', '1900-02-29', '2024-13-01', '2024-04-31', '2024-00-10', '2024-1-1'],
  ...['2024-1a-01', '202a-01-01', '2024-01-1a', '2024-01-01\n', '２024-01-01', '0000-01-01', '2024/01/01'],
  ...['2024-01-01T00:00:00Z', '2024-01-01t23:59:60.5z', '2024-01-01T07:59:60+08:00', '2024-01-01T24:00:00Z'],
  ...['2024-01-01T12:00:00', '2024-02-30T12:00:00Z', '2024-01-01T12:00:60Z', '2024-01-01T12:00:00-23:59'],
  ...[
    '019310a2-7c11-7d3a-9b52-0f3c5e7a1b2c',
    '019310a27c117d3a9b520f3c5e7a1b2c',
    'a.b@c.cn',
    'a@b',
    '.a@b.cn',
    'a@-b.cn',
  ],
  ...[
    'https://a.cn/x?y=%41#z',
    'urn:a:b',
    'file:///a',
    'http://[::1]:80/',
    'http://[1::2::3]/',
    'a:b c',
    '//a/b',
    'x:%zz',
  ],
  ...['', 'a', '王芳', '𠮷𠮷', '\ud842', '110101199001011234', 'A-1'],
];
/** What Ajv takes and RFC 3339, 9562 and 3986 do not. */
const LAX = [
  /\s/,
  /[+-]\d\d(?::?\d{0,1})$/,
  /[+-]\d{4}$/,
  /^urn:uuid:/i,
  /^0000-/,
  /^[a-z][a-z0-9+.-]*:\/\/?[^/?#]*[@:[\]]/i,
  /\[.*\b0\d/,
];

const seed = fc.constantFrom(...SEEDS);
/** A seed with one character exchanged, taken out or put in. */
const mutated = fc
  .tuple(seed, fc.nat(40), fc.constantFrom('', '0', '1', '9', '-', ':', 'Z', '%', '@', '[', '𠮷', '.'), fc.boolean())
  .map(([text, at, put, takes]) => text.slice(0, at) + put + text.slice(at + (takes ? 1 : 0)));
const decimal = fc
  .tuple(fc.integer({ min: -100_000, max: 100_000 }), fc.integer({ min: 0, max: 4 }))
  .map(([a, b]) => a / 10 ** b);
const value = fc.oneof(
  mutated,
  seed,
  decimal,
  fc.integer({ min: -20, max: 20 }),
  fc.boolean(),
  fc.constant(null),
  fc.string(),
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const domain = fc
  .record({
    type: fc.constantFrom('string', 'integer', 'number', 'boolean'),
    format: maybe(fc.constantFrom('date', 'date-time', 'uuid', 'email', 'uri')),
    pattern: maybe(fc.constantFrom('^[0-9]+$', '^.{2}$', '[a-z]', '^\\p{Script=Han}+$', 'Z$')),
    minLength: maybe(fc.nat(4)),
    maxLength: maybe(fc.integer({ min: 1, max: 30 })),
    minimum: maybe(decimal),
    maximum: maybe(decimal),
    multipleOf: maybe(fc.constantFrom(1, 2, 0.5, 0.01, 0.1, 0.07, 100)),
    enum: maybe(fc.array(value, { minLength: 1, maxLength: 4 })),
  })
  .map((made) => Object.fromEntries(Object.entries(made).filter(([, word]) => word !== undefined)) as ValueDomain);

t.test('a domain says what JSON Schema says', async (t) => {
  let both = 0;
  fc.assert(
    fc.property(domain, fc.array(value, { minLength: 8, maxLength: 16 }), (one, values) => {
      const validate = ajv.compile(one);
      for (const each of [...values, ...(one.enum ?? [])]) {
        const [ours, theirs] = [misfit(each, one) === null, validate(each)];
        if (ours === theirs) both += ours ? 1 : 0;
        else if (ours || one.format === undefined || !LAX.some((lax) => lax.test(String(each)))) return false;
      }
      return true;
    }),
    { numRuns: 400 },
  );
  t.ok(both > 100, `${both} values fitted`);
  // Every format by itself meets every seed and many of their neighbours.
  for (const format of ['date', 'date-time', 'uuid', 'email', 'uri'] as const) {
    const validate = ajv.compile({ type: 'string', format });
    const agrees = (text: string) =>
      (misfit(text, { type: 'string', format }) === null) === validate(text) || LAX.some((lax) => lax.test(text));
    t.same(
      SEEDS.filter((text) => !agrees(text)),
      [],
      format,
    );
    t.ok(SEEDS.some((text) => misfit(text, { type: 'string', format }) === null));
    fc.assert(fc.property(mutated, agrees), { numRuns: 1000 });
  }
});

t.test('edges of domains', async (t) => {
  const date = { type: 'string', format: 'date' } as const;
  const cases: [value: unknown, domain: ValueDomain, fits: boolean][] = [
    ['2024-02-30', date, false],
    ['20240101', date, false],
    ['2024-01-01 12:00:00Z', { type: 'string', format: 'date-time' }, false],
    ['2024-01-01T12:00:00+0800', { type: 'string', format: 'date-time' }, false],
    ['urn:uuid:019310a2-7c11-7d3a-9b52-0f3c5e7a1b2c', { type: 'string', format: 'uuid' }, false],
    ['http://[::1]:80/', { type: 'string', format: 'uri' }, true],
    ['http://[1::2::3]/', { type: 'string', format: 'uri' }, false],
    ['https://me:secret@a.cn:8443/', { type: 'string', format: 'uri' }, true],
    ['https://:a.cn/', { type: 'string', format: 'uri' }, false],
    ['𠮷𠮷', { type: 'string', minLength: 2, maxLength: 2 }, true],
    ['𠮷', { type: 'string', minLength: 2 }, false],
    ['𠮷', { type: 'string', pattern: '^.$' }, true],
    ['x', { type: 'string', pattern: '(' }, false],
    [0.07, { type: 'number', multipleOf: 0.01 }, true],
    [1234567.89, { type: 'number', multipleOf: 0.01 }, true],
    [0.075, { type: 'number', multipleOf: 0.01 }, false],
    [Number.NaN, { type: 'number' }, false],
    [2, { type: 'integer' }, true],
    [2.5, { type: 'integer' }, false],
    ['2', { type: 'integer' }, false],
    [null, { type: 'string', enum: [null] }, false],
  ];
  for (const [given, one, fits] of cases) t.equal(misfit(given, one) === null, fits, JSON.stringify([given, one]));
  t.equal(misfit('3', { type: 'string' }, new Set(['1', '2'])), 'is no code of the codelist');
  t.notMatch(misfit('secret-7', { type: 'string', maxLength: 3 }) ?? '', 'secret', 'a value is never quoted');
  fc.assert(
    fc.property(
      fc.integer({ min: -1e6, max: 1e6 }),
      fc.integer({ min: 1, max: 1000 }),
      fc.nat(6),
      (times, of, digits) =>
        // The literal is read back, so that no product of binary fractions comes in.
        isMultiple(Number(`${times * of}e-${digits}`), Number(`${of}e-${digits}`)),
    ),
  );
  const decimal = fc
    .tuple(fc.integer({ min: -1e7, max: 1e7 }), fc.nat(9))
    .map(([digits, places]) => digits / 10 ** places);
  const number = fc.oneof(decimal, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0, -0, 1e21));
  const step = fc.tuple(fc.integer({ min: 1, max: 400 }), fc.nat(7)).map(([digits, places]) => digits / 10 ** places);
  fc.assert(
    fc.property(number, step, (value, of) => isMultiple(value, of) === isLongMultiple(value, of)),
    { numRuns: 3_000 },
  );
});

// --- a release

t.test('a dictionary answers by ref', async (t) => {
  const periods = [
    { ...GX, until: '2024-01-01' },
    { ...GX, member: 'GX/GOV/2', from: '2024-01-01' },
  ];
  const [one, two] = [element('gx.a', { authorities: periods }), element('gx.b')];
  const old = group('gx.group.g', ['gx.a@1', 'gx.b@1']);
  const next = group('gx.group.g', ['gx.a@1', 'gx.c@1'], { version: '2.0.0' });
  const loose = group('gx.group.h', ['gx.b@1', 'gx.c@1'], { atomic: false });
  const dictionary = open(two, next, loose, old, one, element('gx.c'), codelist('gx.code.x'));
  t.same(
    dictionary.entries.map(({ kind, id, version }) => `${kind} ${id} ${version}`),
    [
      ...['codelist gx.code.x 1.0.0', 'element gx.a 1.0.0', 'element gx.b 1.0.0', 'element gx.c 1.0.0'],
      ...['group gx.group.g 1.0.0', 'group gx.group.g 2.0.0', 'group gx.group.h 1.0.0'],
    ],
  );
  t.equal(dictionary.element('gx.a@1'), one);
  t.equal(dictionary.codelist('gx.a@1'), undefined, 'of that kind only');
  t.equal(dictionary.get('gx.a'), undefined);
  const days = ['2019-12-31', '2020-01-01', '2023-12-31', '2024-01-01', '2999-01-01'];
  t.same(
    days.map((day) => dictionary.authority('gx.a@1', 'GX', day)),
    [undefined, 'GX/GOV/1', 'GX/GOV/1', 'GX/GOV/2', 'GX/GOV/2'],
  );
  t.equal(dictionary.authority('gx.a@1', '460000', '2024-01-01'), undefined);
  t.equal(dictionary.atomicGroupOf('gx.a@1'), next, 'the newest major binds');
  t.equal(dictionary.atomicGroupOf('gx.b@1'), undefined, 'neither a loose group nor an older major binds');
});

t.test('what a release refuses', async (t) => {
  const authority = (...periods: [string, string | null, string?][]) => ({
    authorities: periods.map(([from, until, jurisdiction = 'GX']) => ({ ...GX, from, until, jurisdiction })),
  });
  const domain = (words: object) => ({ domain: { type: 'string', maxLength: 9, ...words } });
  const NUMBERS = [
    { value: 1, valid: true },
    { value: 'x', valid: false },
  ];
  const SAID = { labels: WORDS, definition: WORDS };
  const good = [element('gx.a'), element('gx.b'), codelist('gx.code.x')];
  const row = (code: string, over: object = {}) => ({ code, labels: { en: code }, ...over });
  const list = (...rows: object[]) => [codelist('gx.code.y', [row('1'), ...rows])];
  const cases: [name: string, code: string, entries: DictionaryEntry[]][] = [
    ['one ref twice', 'DICT_DUPLICATE_REF', [element('gx.a', { version: '1.1.0' })]],
    ['one id, two kinds', 'DICT_KIND', [codelist('gx.a', ['1'], { version: '2.0.0' })]],
    ['a zero too many', 'DICT_VERSION', [element('gx.c', { version: '1.01.0' })]],
    [
      'a number without one spelling',
      'DICT_NUMBER',
      [element('gx.c', { domain: { type: 'number', maximum: 1e22 }, tests: NUMBERS })],
    ],
    ['no Chinese', 'DICT_LANGUAGE', [element('gx.c', { labels: { zh: 'Name', en: 'Name' } })]],
    ['no English', 'DICT_LANGUAGE', [element('gx.c', { definition: { zh: '词', en: '词' } })]],
    ['a codelist that is not there', 'DICT_REFERENCE', [element('gx.c', { codelist: 'gx.code.z@1' })]],
    ['a codelist of another major', 'DICT_REFERENCE', [element('gx.c', { codelist: 'gx.code.x@2' })]],
    ['a codelist that is an element', 'DICT_REFERENCE', [element('gx.c', { codelist: 'gx.a@1' })]],
    ['a group of codelists', 'DICT_REFERENCE', [group('gx.group.g', ['gx.a@1', 'gx.code.x@1'])]],
    ['replaced by itself', 'DICT_REFERENCE', [element('gx.c', { state: 'deprecated', replacedBy: 'gx.c@1' })]],
    [
      'standing on a draft',
      'DICT_REFERENCE_STATE',
      [element('gx.c', { codelist: 'gx.code.d@1' }), codelist('gx.code.d', ['1'], { state: 'draft' })],
    ],
    ['given up without a word', 'DICT_REPLACEMENT', [element('gx.c', { state: 'retired' })]],
    ['no expression', 'DICT_DOMAIN', [element('gx.c', domain({ pattern: '(' }))]],
    ['a length of numbers', 'DICT_DOMAIN', [element('gx.c', domain({ type: 'integer' }))]],
    ['an empty domain', 'DICT_DOMAIN', [element('gx.c', domain({ minLength: 10 }))]],
    ['an enum outside of it', 'DICT_DOMAIN', [element('gx.c', domain({ enum: ['1', 1] }))]],
    ['a test that fits not', 'DICT_TEST_FAILED', [element('gx.c', { tests: [...TESTS, { value: 1, valid: true }] })]],
    ['a test that fits', 'DICT_TEST_FAILED', [element('gx.c', { tests: [...TESTS, { value: '2', valid: false }] })]],
    [
      'a test that is no code',
      'DICT_TEST_FAILED',
      [element('gx.c', { codelist: 'gx.code.x@1', tests: [...TESTS, { value: '3', valid: true }] })],
    ],
    ['tests of one outcome', 'DICT_TEST_MISSING', [element('gx.c', { tests: [TESTS[0], TESTS[0]] })]],
    ['no authority', 'DICT_AUTHORITY_MISSING', [element('gx.c', { authorities: [] })]],
    ['a period that ends first', 'DICT_AUTHORITY_PERIOD', [element('gx.c', authority(['2024-01-01', '2024-01-01']))]],
    ['a day that is none', 'DICT_AUTHORITY_PERIOD', [element('gx.c', authority(['2024-02-30', null]))]],
    [
      'two at one time',
      'DICT_AUTHORITY_OVERLAP',
      [element('gx.c', authority(['2020-01-01', null], ['2024-01-01', null]))],
    ],
    [
      'two on one day',
      'DICT_AUTHORITY_OVERLAP',
      [element('gx.c', authority(['2024-01-01', null], ['2020-01-01', '2024-01-02']))],
    ],
    [
      'one within a long one, behind a short one',
      'DICT_AUTHORITY_OVERLAP',
      [element('gx.c', authority(['2020-01-01', null], ['2020-01-01', '2020-02-01'], ['2024-01-01', '2025-01-01']))],
    ],
    ['a code twice', 'DICT_CODE_DUPLICATE', list(row('1'))],
    ['a parent that is not there', 'DICT_CODE_PARENT', list(row('2', { parent: '3' }))],
    [
      'codes in a circle',
      'DICT_CODE_CYCLE',
      list(row('2', { parent: '3' }), row('3', { parent: '2' }), row('4', { parent: '2' })),
    ],
    ['a successor that is not there', 'DICT_CODE_REPLACED', list(row('2', { replacedBy: '3' }))],
    ['a code that ends first', 'DICT_CODE_PERIOD', list(row('2', { from: '2024-01-01', until: '2020-01-01' }))],
    ['a code tested wrongly', 'DICT_TEST_FAILED', [codelist('gx.code.y', ['2'])]],
    [
      'two atomic groups',
      'DICT_GROUP_OVERLAP',
      [element('gx.c'), group('gx.group.g', ['gx.a@1', 'gx.b@1']), group('gx.group.h', ['gx.b@1', 'gx.c@1'])],
    ],
    ['a mapping of nothing', 'MAP_SIDE_UNKNOWN', [mapping({ ...SAID, to: { value: 'gx.z@1' } })]],
    ['a predicate of nothing', 'PRED_INPUT_UNKNOWN', [predicate({ ...SAID, inputs: { x: 'gx.z@1' } })]],
  ];
  t.same(checkDictionary(open(...good)), []);
  for (const [name, code, entries] of cases) {
    const codes = checkDictionary(open(...good, ...entries)).map((failure) => failure.code);
    t.same([...new Set(codes)], [code], name);
  }
  const fine: [name: string, entries: DictionaryEntry[]][] = [
    [
      'authorities one after the other, and elsewhere',
      [element('gx.c', authority(['2020-01-01', '2024-01-01'], ['2024-01-01', null], ['2022-01-01', null, '460000']))],
    ],
    ['a draft needs no authority', [element('gx.c', { authorities: [], state: 'draft' })]],
    [
      'a definition that says why',
      [element('gx.c', { state: 'retired', definition: { zh: '已废止。', en: 'Abolished in 2025.' } })],
    ],
    [
      'majors of a group beside each other',
      [group('gx.group.g', ['gx.a@1', 'gx.b@1']), group('gx.group.g', ['gx.a@1', 'gx.b@1'], { version: '2.0.0' })],
    ],
    ['codes in a tree', list(row('2', { parent: '1' }), row('3', { parent: '2' }))],
  ];
  for (const [name, entries] of fine) t.same(checkDictionary(open(...good, ...entries)), [], name);
});

t.test('20,000 elements are opened and checked within seconds', async (t) => {
  const many = Array.from({ length: 20_000 }, (_, at) =>
    element(`gx.many.e${at}`, { domain: { type: 'string', pattern: '^[0-9]$' } }),
  );
  const from = cpuMs();
  t.same(checkDictionary(open(...many)), []);
  const ms = cpuMs() - from;
  t.ok(ms < 5_000, `${Math.round(ms)} ms`);
});
