// Predicates: what an expression may say at all, the three-valued verdicts over anything a backend may bring, how long
// the worst of them takes, and the predicates that ship with the exchange.
import fc from 'fast-check';
import t from 'tap';
import { ageInYears, daysBetween } from '#policy/calendar.ts';
import { openDictionary } from '#policy/dictionary/dictionary.ts';
import { evaluate, type PredicateInput, predicateFailures } from '#policy/predicate/evaluate.ts';
import { ENTRY_SCHEMAS, type PredicateEntry } from '#schemas/dictionary-entry.ts';
import { compile } from '#schemas/validate.ts';
import { cpuMs } from '#test/cpu-time.ts';
import { element, predicate, shippedEntries } from './entries.ts';

const TODAY = '2026-01-01';
const number = element('gx.x', { domain: { type: 'number' } });

/** Codes of what is wrong with `expression` over one input x; tests are not judged. */
function faults(expression: string, inputs: PredicateEntry['inputs'] = { x: 'gx.x@1' }): string[] {
  const failures = predicateFailures(predicate({ expression, inputs }), openDictionary('1.0.0', [number]));
  return failures.map(({ code }) => code).filter((code) => !code.startsWith('PRED_TEST'));
}

const verdict = (expression: string, inputs: Record<string, PredicateInput>, names = ['x']) => {
  const declared = Object.fromEntries(names.map((name) => [name, 'gx.x@1']));
  return evaluate(predicate({ expression, inputs: declared }), inputs, TODAY);
};

t.test('what an expression may say', async (t) => {
  const allowed = [
    'x >= thresholds.limit',
    'x > 0 && x != 1',
    'x == null || x == thresholds.code',
    'ageInYears(x, today) >= thresholds.limit',
    'values(x).exists(one, one == thresholds.code)',
    'size(x) > 1 ? x[0] == x[1] : unknown()',
    'x in [thresholds.code, "active"]',
    '!x',
  ];
  for (const expression of allowed) t.strictSame(faults(expression), [], expression);
  const refused: [string, string[]][] = [
    ['x > 14400', ['PRED_LITERAL_THRESHOLD']],
    ['x - 14400 <= 0', ['PRED_LITERAL_THRESHOLD']],
    ['x > -5', ['PRED_LITERAL_THRESHOLD']],
    ['x > 0x10', ['PRED_LITERAL_THRESHOLD']],
    ['x > 1.5', ['PRED_LITERAL_THRESHOLD']],
    ['x > 2u', ['PRED_LITERAL_THRESHOLD']],
    ['x < "2008-01-01"', ['PRED_LITERAL_THRESHOLD']],
    ['x == "٣"', ['PRED_LITERAL_THRESHOLD']],
    ['x == b"a"', ['PRED_LITERAL_THRESHOLD']],
    ['x in [0, 60]', ['PRED_LITERAL_THRESHOLD']],
    ['x > y', ['PRED_UNDECLARED']],
    ['x > thresholds.other', ['PRED_UNDECLARED']],
    ['x == thresholds["limit"]', ['PRED_UNDECLARED']],
    ['x.y == 1', ['PRED_UNDECLARED', 'PRED_INPUT_UNUSED']],
    ['x == today.y', ['PRED_UNDECLARED']],
    ['x.exists(one, two == 1)', ['PRED_UNDECLARED']],
    ['x.matches("(a+)+$")', ['PRED_FUNCTION']],
    ['[x].exists(one, one.matches("(a+)+$"))', ['PRED_FUNCTION']],
    ['x.map(one, one)', ['PRED_FUNCTION']],
    ['int(x) > 0', ['PRED_FUNCTION', 'PRED_INPUT_UNUSED']],
    ['cel.bind(a, x, a == 1)', ['PRED_UNDECLARED', 'PRED_FUNCTION', 'PRED_INPUT_UNUSED']],
    ['{"a": x} == null', ['PRED_FUNCTION', 'PRED_INPUT_UNUSED']],
    ['x.all(one, x.all(two, one == two))', ['PRED_NESTED_LOOP']],
    ['x.all(x, x == 1)', ['PRED_NAME_RESERVED']],
    ['x.all(today, today == x)', ['PRED_NAME_RESERVED']],
    ['true', ['PRED_INPUT_UNUSED']],
    ['x + 1', ['PRED_TYPE']],
    ['size(x)', ['PRED_TYPE']],
    ['ageInYears(x) > 0', ['PRED_TYPE']],
    ['x >', ['PRED_SYNTAX']],
    ['', ['PRED_SYNTAX']],
    ['x \u0000', ['PRED_SYNTAX']],
    [Array(100).fill('x').join(' || '), ['PRED_TOO_LARGE']],
    [`${'('.repeat(100)}x${')'.repeat(100)}`, ['PRED_TOO_LARGE']],
    [`${'!'.repeat(1900)}x`, ['PRED_TOO_LARGE']],
    [`x in [${Array(33).fill('0').join(', ')}]`, ['PRED_TOO_LARGE']],
  ];
  for (const [expression, codes] of refused) {
    t.strictSame(faults(expression), codes, expression.slice(0, 60));
    t.equal(verdict(expression, { x: 'a' }), 'unknown', 'and whatever it says is never heard');
  }
  for (const name of ['thresholds', 'today', 'cel', 'size', 'latest']) {
    t.strictSame(faults(`${name} == 1`, { [name]: 'gx.x@1' }), ['PRED_NAME_RESERVED'], name);
  }
  t.strictSame(faults('in == 1', { in: 'gx.x@1' }), ['PRED_SYNTAX']);
  t.strictSame(faults('constructor == 1', { constructor: 'gx.x@1' }), [], 'a name like any other');
  t.strictSame(faults('x == 1', { x: 'gx.y@1' }), ['PRED_INPUT_UNKNOWN']);
});

t.test('verdicts', async (t) => {
  const cases: [string, Record<string, PredicateInput>, string][] = [
    ['x >= thresholds.limit', { x: 18 }, 'true'],
    ['x >= thresholds.limit', { x: 17.99 }, 'false'],
    ['x >= thresholds.limit', { x: '18' }, 'unknown'],
    ['x >= thresholds.limit', { x: null }, 'unknown'],
    ['x >= thresholds.limit', {}, 'unknown'],
    ['x == thresholds.code', { x: null }, 'unknown'],
    ['x != thresholds.code', {}, 'unknown'],
    ['x == null', { x: null }, 'true'],
    ['x == null', {}, 'true'],
    ['null != x && x == thresholds.code', {}, 'false'],
    ['x', { x: true }, 'true'],
    ['x', { x: 'true' }, 'unknown'],
    ['x', { x: 1 }, 'unknown'],
    ['x == thresholds.limit / 0', { x: 1 }, 'unknown'],
    ['x.exists(one, one == thresholds.code)', { x: ['2', '1'] }, 'true'],
    ['x.exists(one, one == thresholds.code)', { x: ['1', null] }, 'true'],
    ['x.exists(one, one == thresholds.code)', { x: ['2', null] }, 'unknown'],
    ['x.exists(one, one == thresholds.code)', { x: [] }, 'false'],
    ['x.exists(one, one == thresholds.code)', { x: '1' }, 'unknown'],
    ['values(x).exists(one, one == thresholds.code)', { x: '1' }, 'true'],
    ['x.all(one, one == thresholds.code)', { x: ['1', null] }, 'unknown'],
    ['x.all(one, one == thresholds.code)', { x: ['2', null] }, 'false'],
    ['first(x) <= thresholds.limit', { x: [3, 99] }, 'true'],
    ['first(x) <= thresholds.limit', { x: 3 }, 'true'],
    ['first(x) <= thresholds.limit', { x: [] }, 'unknown'],
    ['first(x) <= thresholds.limit', { x: [null, 3] }, 'unknown'],
    ['size(x) == 0', { x: [] }, 'true'],
    ['x == unknown()', { x: 1 }, 'unknown'],
    ['ageInYears(x, today) >= thresholds.limit', { x: '2008-01-01' }, 'true'],
    ['ageInYears(x, today) >= thresholds.limit', { x: '2008-01-02' }, 'false'],
    ['ageInYears(x, today) >= 0', { x: '2026-01-02' }, 'unknown'],
    ['ageInYears(x, today) == 0', { x: '2025-06-01' }, 'true'],
    ['ageInYears(x, today) >= 0', { x: '2000-02-30' }, 'unknown'],
    ['ageInYears(x, today) >= 0', { x: 20000101 }, 'unknown'],
    ['daysBetween(today, x) >= 0', { x: '2026-01-01' }, 'true'],
    ['daysBetween(today, x) >= 0', { x: '2025-12-31' }, 'false'],
    ['x >= 0', { x: Array(200).fill(1) }, 'unknown'],
    ['x.all(one, one > 0)', { x: Array(200).fill(1) }, 'true'],
    ['x.all(one, one > 0)', { x: Array(201).fill(1) }, 'unknown'],
  ];
  for (const [expression, inputs, wanted] of cases) {
    t.equal(verdict(expression, inputs), wanted, `${expression} over ${JSON.stringify(inputs).slice(0, 60)}`);
  }
  const both = ['x', 'y'];
  t.equal(
    verdict('x == thresholds.code || y == thresholds.code', { x: '1' }, both),
    'true',
    'what is missing cannot change it',
  );
  t.equal(verdict('x == thresholds.code || y == thresholds.code', { x: '2' }, both), 'unknown');
  t.equal(verdict('x == thresholds.code && y == thresholds.code', { y: '2' }, both), 'false');
  const newest = 'latest(x, y) <= thresholds.limit';
  t.equal(verdict(newest, { x: [99, 3], y: [2024, 2025] }, both), 'true', 'by the greatest key, in any order');
  t.equal(verdict(newest, { x: [3, 99], y: [2024, 2025] }, both), 'false');
  t.equal(verdict(newest, { x: 3, y: 2025 }, both), 'true');
  for (const [x, y] of [
    [[3, 4], [1]],
    [
      [3, 4],
      [1, 1],
    ],
    [
      [3, 4],
      [1, '2'],
    ],
    [3, [1]],
    [[], []],
    [
      [3, null],
      [1, 2],
    ],
    [
      [3, 4],
      [1, null],
    ],
  ]) {
    t.equal(verdict(newest, { x, y } as Record<string, PredicateInput>, both), 'unknown', JSON.stringify([x, y]));
  }
  t.equal(verdict('constructor == 1', {}, ['constructor']), 'unknown', 'nothing is inherited');
  t.equal(
    evaluate(predicate({ expression: 'x != null' }), { x: 1, y: 2 }, TODAY),
    'true',
    'undeclared inputs are not seen',
  );
});

t.test('laws of verdicts', async () => {
  const value = fc.oneof(
    fc.string(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.date({ noInvalidDate: true }).map((day) => day.toISOString().slice(0, 10)),
  );
  const input = fc.oneof(
    value,
    fc.array(value, { maxLength: 5 }),
    fc.constant(undefined),
  ) as fc.Arbitrary<PredicateInput>;
  const entries = shippedEntries().filter((entry) => entry.kind === 'predicate');
  fc.assert(
    fc.property(
      fc.constantFrom(...entries),
      fc.array(input, { minLength: 3, maxLength: 3 }),
      fc.string(),
      (entry, values, today) => {
        const inputs = Object.fromEntries(Object.keys(entry.inputs).map((name, index) => [name, values[index]]));
        const first = evaluate(entry, inputs, today);
        return ['true', 'false', 'unknown'].includes(first) && evaluate({ ...entry }, inputs, today) === first;
      },
    ),
    { numRuns: 500 },
  );
  const day = fc
    .date({ min: new Date('1900-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
    .map((one) => one.toISOString().slice(0, 10));
  fc.assert(
    fc.property(day, day, (birth, today) => {
      const age = ageInYears(birth, today);
      if (birth > today) return age === null;
      // The age-th birthday is not later than today, and the next one is.
      const birthday = (years: number) => `${Number(birth.slice(0, 4)) + years}${birth.slice(4)}`;
      const between = daysBetween(birth, today);
      return (
        age !== null &&
        birthday(age) <= today &&
        today < birthday(age + 1) &&
        between !== null &&
        Math.abs(between - age * 365.2425) < 368
      );
    }),
    { numRuns: 2000 },
  );
});

t.test('time', async (t) => {
  const entry = predicate({ expression: 'ageInYears(x, today) >= thresholds.limit' });
  const evil = predicate({ expression: 'x.matches("(a+)+$")' });
  const worst = predicate({ expression: `x.all(one, ${Array(27).fill('one > 0').join(' && ')})` });
  const longest = Array(200).fill(1);
  const took = (runs: number, work: () => unknown) => {
    for (let run = 0; run < runs / 10; run++) work();
    const start = cpuMs();
    for (let run = 0; run < runs; run++) work();
    return ((cpuMs() - start) * 1000) / runs;
  };
  const typicalUs = took(20_000, () => evaluate(entry, { x: '2000-01-01' }, TODAY));
  const unknownUs = took(5_000, () => evaluate(entry, { x: null }, TODAY));
  const worstUs = took(20, () => evaluate(worst, { x: longest }, TODAY));
  t.comment(`typical ${typicalUs.toFixed(1)} µs, unknown ${unknownUs.toFixed(1)} µs, worst ${worstUs.toFixed(0)} µs`);
  t.equal(evaluate(worst, { x: longest }, TODAY), 'true');
  t.ok(typicalUs < 50, 'a typical predicate');
  t.ok(worstUs < 50_000, 'the largest expression over the longest list');
  const evilUs = took(10, () => evaluate(evil, { x: `${'a'.repeat(900)}!` }, TODAY));
  t.ok(evilUs < 1000, 'a regular expression that never ends is never begun');
});

t.test('what a release refuses', async (t) => {
  const dictionary = openDictionary('1.0.0', [number]);
  const codes = (over: Partial<PredicateEntry>) =>
    predicateFailures(predicate(over), dictionary).map(({ code }) => code);
  const test = (inputs: Record<string, number | string>, result: 'true' | 'false' | 'unknown') => ({
    inputs,
    today: TODAY,
    result,
  });
  const good = [test({ x: 18 }, 'true'), test({ x: 1 }, 'false'), test({}, 'unknown')];
  t.strictSame(codes({ tests: good }), []);
  t.strictSame(codes({ tests: [...good, test({ x: 18 }, 'false')] }), ['PRED_TEST']);
  t.strictSame(
    codes({ tests: [...good, test({ x: 'rubbish' }, 'unknown')] }),
    [],
    'rubbish may be shown to be unknown',
  );
  t.strictSame(codes({ tests: [...good, test({ x: 18, y: 1 }, 'true')] }), ['PRED_TEST_INPUT']);
  t.strictSame(codes({ expression: 'x != "a"', tests: [test({ x: 'b' }, 'true'), test({ x: 'a' }, 'false')] }), [
    'PRED_TEST_INPUT',
    'PRED_TEST_INPUT',
  ]);
  t.strictSame(codes({ tests: [test({ x: 18 }, 'true'), test({}, 'unknown')] }), ['PRED_TESTS_ONE_SIDED']);
});

t.test('the predicates of this exchange', async (t) => {
  const dictionary = openDictionary('1.0.0', shippedEntries());
  const check = compile(ENTRY_SCHEMAS.predicate, 'SCHEMA_MISMATCH');
  t.ok(dictionary.predicates.length >= 8, `${dictionary.predicates.length} predicates`);
  for (const entry of dictionary.predicates) {
    check(entry);
    t.strictSame(predicateFailures(entry, dictionary), [], entry.id);
  }
});
