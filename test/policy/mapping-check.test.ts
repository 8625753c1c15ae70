// What keeps a mapping out of a release, and the mappings that ship with this exchange: none of them may be kept out, and
// every lossless one with an inverse comes back to where it started.
import t from 'tap';
import { openDictionary } from '#policy/dictionary/dictionary.ts';
import { applyMapping } from '#policy/mapping/apply.ts';
import { mappingFailures } from '#policy/mapping/check.ts';
import { planMapping } from '#policy/mapping/plan.ts';
import {
  type DictionaryEntry,
  ENTRY_SCHEMAS,
  type MappingEntry,
  type MappingStep,
  refOf,
  type Scalar,
} from '#schemas/dictionary-entry.ts';
import { compile } from '#schemas/validate.ts';
import { element, mapping, shippedEntries } from './entries.ts';

const ON = '2026-01-01';

t.test('what a release refuses', async (t) => {
  const codelist = {
    ...element('gx.code.sex'),
    kind: 'codelist',
    source: { name: 'x', date: '2003-01-01' },
    codes: [
      { code: '1', labels: { zh: '男' } },
      { code: '2', labels: { zh: '女' } },
    ],
  } as unknown as DictionaryEntry;
  const sex = element('gx.person.sex', { codelist: 'gx.code.sex@1' });
  const codes = (entry: MappingEntry, ...others: DictionaryEntry[]) =>
    mappingFailures(entry, openDictionary('1.0.0', [sex, codelist, entry, ...others])).map(({ code }) => code);
  const toSex: Partial<MappingEntry> = {
    to: { value: 'gx.person.sex@1' },
    examples: [{ in: { value: 'm' }, out: { value: '1' } }],
  };
  const table = (rows: Record<string, Scalar>): MappingStep[] => [{ op: 'enumMap', at: 'value', table: rows }];
  const at = 'value';
  const cases: [string, Partial<MappingEntry>, string[]][] = [
    ['nothing', { ...toSex, steps: table({ m: '1', f: '2' }) }, []],
    ['a code that is not there', { ...toSex, steps: table({ m: '1', x: '3' }) }, ['MAP_TABLE_DOMAIN']],
    [
      'codes of a codelist as a side',
      { ...toSex, to: { value: 'gx.code.sex@1' }, steps: table({ m: '1', x: '3' }) },
      ['MAP_TABLE_DOMAIN'],
    ],
    ['an example of another result', { ...toSex, steps: table({ m: '2' }) }, ['MAP_EXAMPLE']],
    ['an example that fails', { ...toSex, steps: table({ f: '2' }) }, ['MAP_EXAMPLE']],
    [
      'an example that should fail',
      { ...toSex, steps: table({ m: '1' }), examples: [{ in: { value: 'm' }, out: null }] },
      ['MAP_EXAMPLE'],
    ],
    ['an input that the element cannot have', { from: { value: 'gx.person.sex@1' } }, ['MAP_EXAMPLE_DOMAIN']],
    ['an unknown side', { to: { value: 'gx.nothing@1' } }, ['MAP_SIDE_UNKNOWN']],
    ['a mapping as a side', { to: { value: 'gx.map.one@1' } }, ['MAP_SIDE_UNKNOWN']],
    ['a name that is not there', { steps: [{ op: 'trim', at: 'x' }] }, ['MAP_STEPS']],
    ['a name written over', { steps: [{ op: 'const', to: 'value', value: 1 }] }, ['MAP_STEPS']],
    ['names left over', { steps: [{ op: 'const', to: 'x', value: 1 }] }, ['MAP_STEPS']],
    ['names missing', { steps: [{ op: 'drop', at }] }, ['MAP_STEPS']],
    ['a third without digits', { steps: [{ op: 'unit', at, numerator: 1, denominator: 3 }] }, ['MAP_STEPS']],
    ['a day out of nothing', { steps: [{ op: 'dateFormat', at, from: 'YYYY-MM', to: 'YYYY-MM-DD' }] }, ['MAP_STEPS']],
    ['a year read twice', { steps: [{ op: 'dateFormat', at, from: 'YYYYYYYY', to: 'YYYY' }] }, ['MAP_STEPS']],
    [
      'rows that overlap',
      {
        steps: [
          {
            op: 'lookup',
            at,
            crosswalk: [
              { from: '1', to: '2', until: '2020-01-01' },
              { from: '1', to: '3', since: '2019-12-31' },
            ],
          },
        ],
      },
      ['MAP_STEPS'],
    ],
    [
      'a row that ends before it begins',
      { steps: [{ op: 'lookup', at, crosswalk: [{ from: '1', to: '2', since: '2020-01-01', until: '2020-01-01' }] }] },
      ['MAP_STEPS'],
    ],
    ['an inverse that is not there', { inverse: 'gx.map.back@1' }, ['MAP_INVERSE']],
  ];
  for (const [what, over, wanted] of cases) t.strictSame(codes(mapping(over)), wanted, what);

  const there = mapping({
    inverse: 'gx.map.back@1',
    steps: table({ m: 'x', M: 'x' }),
    examples: [{ in: { value: 'm' }, out: { value: 'x' } }],
  });
  const back = mapping({
    id: 'gx.map.back',
    from: there.to,
    to: there.from,
    inverse: 'gx.map.one@1',
    steps: table({ x: 'm', y: 'm' }),
    examples: [{ in: { value: 'x' }, out: { value: 'm' } }],
  });
  t.strictSame(codes(there, back), []);
  t.strictSame(codes(there, { ...back, from: { value: 'local:z' } }), ['MAP_INVERSE']);
  t.strictSame(codes(there, { ...back, inverse: 'gx.map.other@1' }), ['MAP_INVERSE']);
  t.strictSame(codes(there, { ...back, steps: table({ x: 'M' }) }), ['MAP_ROUND_TRIP'], "its own example's way back");
  const other = { ...back, examples: [{ in: { value: 'y' }, out: { value: 'm' } }] };
  t.strictSame(codes(there, other), ['MAP_ROUND_TRIP'], "the inverse's example");
  t.strictSame(codes({ ...there, fidelity: 'lossy' }, other), [], 'a lossy mapping need not come back');
});

t.test('the mappings of this exchange', async (t) => {
  const entries = shippedEntries();
  const dictionary = openDictionary('1.0.0', entries);
  const check = compile(ENTRY_SCHEMAS.mapping, 'SCHEMA_MISMATCH');
  t.ok(dictionary.mappings.length >= 15, `${dictionary.mappings.length} mappings`);
  let trips = 0;
  for (const entry of dictionary.mappings) {
    check(entry);
    t.strictSame(mappingFailures(entry, dictionary), [], entry.id);
    const inverse = dictionary.mapping(entry.inverse ?? '');
    if (inverse === undefined || entry.fidelity === 'lossy' || inverse.fidelity === 'lossy') continue;
    for (const example of entry.examples) {
      if (example.out === null) continue;
      const back = applyMapping(inverse, example.out, ON);
      t.strictSame(back.ok && back.record, example.in, `${entry.id} and back`);
      trips++;
    }
    t.strictSame(planMapping(dictionary, Object.values(entry.from)[0] ?? '', Object.values(entry.to)[0] ?? ''), [
      refOf(entry),
    ]);
  }
  t.ok(trips > 30, `${trips} round trips`);
});
