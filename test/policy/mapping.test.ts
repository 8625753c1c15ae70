// Mappings: every step with values it knows, values it does not know under each rule, and nothing; the planner's laws;
// and exact units against plain BigInt arithmetic.
import fc from 'fast-check';
import t from 'tap';
import { type Dictionary, openDictionary } from '#policy/dictionary/dictionary.ts';
import { applyMapping, applyToValue, type Mapped } from '#policy/mapping/apply.ts';
import { planMapping } from '#policy/mapping/plan.ts';
import type { MappingEntry, MappingStep, Scalar } from '#schemas/dictionary-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import { mapping } from './entries.ts';

const ON = '2026-01-01';

const told = (mapped: Mapped) => (mapped.ok ? mapped.record : mapped.code);
const through = (steps: MappingStep[], value: Scalar, onUnmapped: MappingEntry['onUnmapped'] = 'fail', on = ON) => {
  const mapped = applyMapping(mapping({ steps, onUnmapped }), { value }, on);
  return mapped.ok ? mapped.record['value'] : mapped.code;
};

t.test('value steps', async (t) => {
  const at = 'value';
  const compact: MappingStep = { op: 'dateFormat', at, from: 'YYYYMMDD', to: 'YYYY-MM-DD' };
  const spoken: MappingStep = { op: 'dateFormat', at, from: 'YYYY-MM-DD', to: 'DD. MM. YYYY' };
  const month: MappingStep = { op: 'dateFormat', at, from: 'YYYY年MM月', to: 'YYYY-MM' };
  const words: MappingStep = { op: 'enumMap', at, table: { male: '1', true: 'yes', '7': 7, none: null } };
  const dated: MappingStep = {
    op: 'lookup',
    at,
    crosswalk: [
      { from: '1', to: 'old', until: '2020-07-01' },
      { from: '1', to: 'new', since: '2020-07-01' },
    ],
  };
  const padded: MappingStep = { op: 'pad', at, length: 4, with: '0', side: 'start' };
  const fen: MappingStep = { op: 'unit', at, numerator: 1, denominator: 100 };
  const fahrenheit: MappingStep = { op: 'unit', at, numerator: 9, denominator: 5, offset: 32, digits: 1 };
  const third: MappingStep = { op: 'unit', at, numerator: 1, denominator: 3, digits: 2 };
  const known: [MappingStep, Scalar, Scalar, string?][] = [
    [words, 'male', '1'],
    [words, true, 'yes'],
    [words, 7, 7],
    [words, 'none', null],
    [compact, '20240229', '2024-02-29'],
    [compact, 20240229, '2024-02-29'],
    [spoken, '1999-12-31', '31. 12. 1999'],
    [month, '2024年02月', '2024-02'],
    [dated, '1', 'old', '2020-06-30'],
    [dated, '1', 'new', '2020-07-01'],
    [dated, 1, 'new'],
    [{ op: 'trim', at }, ' \u3000王 芳\t', '王 芳'],
    [{ op: 'trim', at }, 5, 5],
    [padded, '7', '0007'],
    [padded, 7, '0007'],
    [padded, '12345', '12345'],
    [{ ...padded, side: 'end' }, '7', '7000'],
    [fen, 29, 0.29],
    [fen, '100', 1],
    [fen, -1, -0.01],
    [fahrenheit, 36.6, 97.9],
    [fahrenheit, -40, -40],
    [third, 0.01, 0],
    [third, 0.015, 0.01],
    [third, -0.015, -0.01],
    [{ op: 'unit', at, numerator: 1, denominator: 1, offset: 0.2 }, 0.1, 0.3],
    [{ op: 'default', at, value: 'x' }, null, 'x'],
    [{ op: 'default', at, value: 'x' }, 'y', 'y'],
    [{ op: 'default', at, value: 'x' }, false, false],
    [{ op: 'const', to: at, value: 3 }, null, 3],
  ];
  for (const [step, value, wanted, on] of known)
    t.equal(through([step], value, 'fail', on), wanted, `${step.op} ${value}`);

  const unknown: [MappingStep, Scalar][] = [
    [words, 'Male'],
    [words, ''],
    [words, 'constructor'],
    [words, '__proto__'],
    [dated, '2'],
    [{ ...dated, crosswalk: [{ from: '1', to: '2', since: '2026-01-02' }] }, '1'],
    [{ ...dated, crosswalk: [{ from: '1', to: '2', until: '2026-01-01' }] }, '1'],
    [compact, '2024-02-29'],
    [compact, '20230229'],
    [compact, '19000229'],
    [compact, '20241301'],
    [compact, '20240100'],
    [compact, '20240132'],
    [compact, '00000101'],
    [compact, '202401011'],
    [compact, ' 20240101'],
    [compact, '２０２４０１０１'],
    [compact, '2024010x'],
    [compact, true],
    [compact, ''],
    [month, '2024年13月'],
    [fen, '1,000'],
    [fen, '0x10'],
    [fen, ''],
    [fen, '1e9999'],
    [fen, ' 1'],
  ];
  for (const [step, value] of unknown) {
    t.equal(through([step], value), 'MAP_UNMAPPED', `${step.op} ${value} fails`);
    t.equal(through([step], value, 'unknown'), null, `${step.op} ${value} is unknown`);
    t.equal(through([step], value, 'keep'), value, `${step.op} ${value} stays`);
  }
  for (const step of [words, compact, dated, padded, fen, { op: 'trim', at } as const]) {
    for (const rule of ['fail', 'unknown', 'keep'] as const)
      t.equal(through([step], null, rule), null, `${step.op} of null`);
  }
  t.equal(through([fen], true, 'keep'), 'MAP_INPUT', 'a truth value has no unit');
  t.equal(through([padded], true), 'MAP_INPUT');
  t.equal(through([fen], '0.12345678901234567891', 'keep'), 'MAP_INPUT', 'no JSON number says it exactly');
  t.equal(through([{ op: 'unit', at, numerator: 1, denominator: 3 }], 1), 'MAP_INPUT', 'a third has no end');
});

t.test('records', async (t) => {
  const name: Partial<MappingEntry> = {
    from: { name: 'local:a' },
    to: { given: 'local:b', family: 'local:c' },
    steps: [{ op: 'split', at: 'name', separator: ' ', into: ['given', 'family'] }],
  };
  t.strictSame(told(applyMapping(mapping(name), { name: 'Mei Lin' }, ON)), { given: 'Mei', family: 'Lin' });
  t.equal(told(applyMapping(mapping(name), { name: 'Mei' }, ON)), 'MAP_UNMAPPED');
  const nothing = { given: null, family: null };
  t.strictSame(told(applyMapping(mapping({ ...name, onUnmapped: 'unknown' }), { name: 'A B C' }, ON)), nothing);
  const kept = { given: 'A B C', family: null };
  t.strictSame(told(applyMapping(mapping({ ...name, onUnmapped: 'keep' }), { name: 'A B C' }, ON)), kept);
  t.strictSame(told(applyMapping(mapping(name), { name: null }, ON)), nothing);
  t.strictSame(told(applyMapping(mapping(name), {}, ON)), nothing, 'missing counts as null');
  t.equal(told(applyMapping(mapping(name), { name: 'A B', more: 1 }, ON)), 'MAP_INPUT', 'a name of neither side');

  const joined = mapping({
    from: { a: 'local:a', b: 'local:b', c: 'local:c' },
    to: { whole: 'local:d', country: 'local:e', c2: 'local:f' },
    steps: [
      { op: 'concat', from: ['b', 'a'], separator: '-', to: 'whole' },
      { op: 'const', to: 'country', value: 'CN' },
      { op: 'default', at: 'x', value: 1 },
      { op: 'drop', at: 'x' },
      { op: 'rename', from: 'c', to: 'c2' },
    ],
  });
  t.strictSame(told(applyMapping(joined, { a: 1, b: 'x', c: false }, ON)), { whole: 'x-1', country: 'CN', c2: false });
  t.strictSame(told(applyMapping(joined, { a: null, b: 'x', c: null }, ON)), { whole: null, country: 'CN', c2: null });
  for (const steps of [
    [{ op: 'drop', at: 'value' }],
    [{ op: 'const', to: 'more', value: 1 }],
    [{ op: 'rename', from: 'value', to: 'other' }],
    [{ op: 'trim', at: 'absent' }],
    [{ op: 'concat', from: ['value', 'absent'], separator: '', to: 'value' }],
  ] as MappingStep[][]) {
    t.equal(through(steps, 'a'), 'MAP_INPUT', `${steps[0]?.op} does not end in the to side`);
  }

  const words = mapping({
    from: { word: 'local:a' },
    to: { code: 'local:b' },
    steps: [{ op: 'rename', from: 'word', to: 'code' }],
  });
  const longer = mapping({
    from: { x: 'local:b' },
    to: { x: 'local:c' },
    steps: [{ op: 'pad', at: 'x', length: 3, with: '_', side: 'end' }],
  });
  t.strictSame(told(applyToValue([words, longer], 'a', ON)), { value: 'a__' });
  t.strictSame(told(applyToValue([], 'a', ON)), { value: 'a' });
  t.equal(told(applyToValue([words, joined], 'a', ON)), 'MAP_INPUT');
  t.equal(
    told(applyToValue([mapping({ steps: [{ op: 'enumMap', at: 'value', table: { b: 'c' } }] })], 'a', ON)),
    'MAP_UNMAPPED',
  );
});

const scalar = fc.oneof(
  fc.string(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom('male', '20240229', '1', 'a b'),
);
const stepOf: fc.Arbitrary<MappingStep> = fc.oneof(
  ...(
    [
      { op: 'enumMap', at: 'value', table: { male: '1' } },
      { op: 'dateFormat', at: 'value', from: 'YYYYMMDD', to: 'YYYY-MM-DD' },
      { op: 'split', at: 'value', separator: ' ', into: ['value', 'b'] },
      { op: 'concat', from: ['value', 'b'], separator: '', to: 'value' },
      { op: 'unit', at: 'value', numerator: 7, denominator: 3, digits: 2 },
      { op: 'pad', at: 'value', length: 9, with: 'é', side: 'end' },
      { op: 'rename', from: 'value', to: 'b' },
      { op: 'lookup', at: 'b', crosswalk: [{ from: '1', to: '2' }] },
      { op: 'trim', at: 'b' },
      { op: 'drop', at: 'b' },
      { op: 'default', at: 'value', value: 1 },
    ] satisfies MappingStep[]
  ).map((step) => fc.constant<MappingStep>(step)),
);

t.test('laws of applying', async (t) => {
  const rules = fc.constantFrom('fail', 'unknown', 'keep') as fc.Arbitrary<MappingEntry['onUnmapped']>;
  fc.assert(
    fc.property(fc.array(stepOf, { minLength: 1, maxLength: 8 }), scalar, rules, (steps, value, onUnmapped) => {
      const entry = mapping({ steps, onUnmapped });
      const record = { value };
      const once = applyMapping(entry, record, ON);
      t.strictSame(applyMapping(entry, record, ON), once, 'deterministic');
      t.strictSame(record, { value }, 'the input is not changed');
      if (once.ok) t.strictSame(Object.keys(once.record), ['value'], 'exactly the names of the to side');
      if (once.ok && onUnmapped === 'fail') t.equal(JSON.stringify(once).includes('undefined'), false);
    }),
    { numRuns: 300 },
  );
});

t.test('units are exact', async () => {
  const whole = fc.integer({ min: -(10 ** 9), max: 10 ** 9 });
  const factor = fc.integer({ min: 1, max: 5000 });
  const places = fc.integer({ min: 0, max: 4 });
  fc.assert(
    fc.property(
      whole,
      places,
      factor,
      factor,
      fc.integer({ min: -1000, max: 1000 }),
      places,
      (units, scale, n, d, shift, digits) => {
        // value = units / 10^scale, offset = shift / 8: both are decimals with an end.
        const value = Number(`${units}e-${scale}`);
        const got = through(
          [{ op: 'unit', at: 'value', numerator: n, denominator: d, offset: shift / 8, digits }],
          value,
        );
        // The rational a / b, rounded by comparing remainders.
        const b = 10n ** BigInt(scale) * BigInt(d) * 8n;
        const a =
          (BigInt(units) * BigInt(n) * 8n + BigInt(shift) * BigInt(d) * 10n ** BigInt(scale)) * 10n ** BigInt(digits);
        const size = a < 0n ? -a : a;
        const rounded = size / b + (2n * (size % b) >= b ? 1n : 0n);
        const wanted = Number(`${a < 0n ? -rounded : rounded}e-${digits}`);
        // Over 15 digits, a JSON number may not say it: then it is refused, never rounded.
        if (got === 'MAP_INPUT') return rounded > 10n ** 15n;
        return got === (wanted === 0 ? 0 : wanted);
      },
    ),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (fen) => {
      const yuan = through([{ op: 'unit', at: 'value', numerator: 1, denominator: 100 }], fen);
      return (
        yuan === 'MAP_INPUT' ||
        through([{ op: 'unit', at: 'value', numerator: 100, denominator: 1 }], yuan as Scalar) === fen
      );
    }),
  );
});

function edge(number: number, from: string, to: string, over: Partial<MappingEntry> = {}): MappingEntry {
  return mapping({ id: `gx.map.m${number}`, from: { value: from }, to: { value: to }, ...over });
}

t.test('the planner', async (t) => {
  const e = (letter: string) => `gx.${letter}@1`;
  const entries = [
    edge(1, e('a'), e('b')),
    edge(2, e('b'), e('d')),
    edge(3, e('a'), e('c')),
    edge(4, e('c'), e('d')),
    edge(5, e('d'), e('f'), { state: 'candidate' }),
    edge(6, e('a'), e('f'), { fidelity: 'lossy' }),
    edge(7, e('a'), e('g'), { state: 'deprecated' }),
    edge(8, e('a'), e('h'), { state: 'draft' }),
    edge(9, e('d'), e('a')),
    edge(20, 'local:words', e('a')),
    edge(21, e('a'), 'local:words'),
    edge(22, 'local:words', e('i')),
    mapping({ id: 'gx.map.two', from: { a: e('a'), b: e('b') }, to: { value: e('j') } }),
  ];
  const dictionary = openDictionary('1.0.0', entries);
  const plan = (from: string, to: string, from_ = dictionary) => {
    try {
      return planMapping(from_, from, to)
        .map((ref) => ref.slice('gx.map.'.length, -'@1'.length))
        .join(' ');
    } catch (error) {
      return isAccordError(error) ? error.code : `${error}`;
    }
  };
  t.equal(plan(e('a'), e('a')), '', 'the same form needs none');
  t.equal(plan('local:nobody', 'local:nobody'), '');
  t.equal(plan(e('a'), e('d')), 'm1 m2', 'of two shortest ways the one whose refs come first');
  t.equal(plan(e('a'), e('f')), 'm1 m2 m5', 'a lossy short cut is never taken');
  t.equal(plan('local:words', e('f')), 'm20 m1 m2 m5', 'from a local form');
  t.equal(plan(e('b'), 'local:words'), 'm2 m9 m21', 'to a local form');
  t.equal(plan(e('a'), e('i')), 'MAP_NO_PATH', 'never through a local form');
  for (const nowhere of ['g', 'h', 'j', 'z']) t.equal(plan(e('a'), e(nowhere)), 'MAP_NO_PATH');

  const letters = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
  const rarely = fc.nat(7).map((one) => one === 0);
  const arrow = fc.tuple(letters, letters, rarely, rarely);
  fc.assert(
    fc.property(
      fc.array(arrow, { maxLength: 14 }),
      fc.array(fc.nat(), { minLength: 14, maxLength: 14 }),
      (arrows, keys) => {
        const edges = arrows.map(([from, to, lossy, draft], index) =>
          edge(index + 10, e(from), e(to), {
            fidelity: lossy ? 'lossy' : 'lossless',
            state: draft ? 'draft' : 'standard',
          }),
        );
        const shuffled = edges.toSorted((a, b) => (keys[edges.indexOf(a)] ?? 0) - (keys[edges.indexOf(b)] ?? 0));
        const found = plan(e('a'), e('b'), openDictionary('1.0.0', edges));
        t.equal(
          plan(e('a'), e('b'), { mappings: shuffled } as unknown as Dictionary),
          found,
          'any order gives the same plan',
        );
        t.equal(found, slowPlan(edges, e('a'), e('b')), 'and it is the first of the shortest');
      },
    ),
    { numRuns: 300 },
  );
});

/** All ways without a form twice, the shortest first, then by refs. */
function slowPlan(edges: MappingEntry[], from: string, to: string): string {
  const usable = edges.filter(({ fidelity, state }) => fidelity === 'lossless' && state === 'standard');
  const ways: string[][] = [];
  const walk = (at: string, seen: string[], way: string[]): void => {
    if (at === to) ways.push(way);
    for (const one of usable) {
      const next = one.to['value'] ?? '';
      if (one.from['value'] === at && !seen.includes(next))
        walk(next, [...seen, next], [...way, one.id.slice('gx.map.'.length)]);
    }
  };
  walk(from, [from], []);
  return (
    ways.sort((a, b) => a.length - b.length || (a.join(' ') < b.join(' ') ? -1 : 1))[0]?.join(' ') ?? 'MAP_NO_PATH'
  );
}
