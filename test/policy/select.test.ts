// What may leave of an answer, and what should not have come: the walk that selects against a slow reading of the same
// words, and the consumer's second look.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { overDelivered } from '#policy/release/over-delivery.ts';
import { select } from '#policy/release/select.ts';
import type { BindingLeaf } from '#schemas/binding-table.ts';
import type { ValueDomain } from '#schemas/dictionary-entry.ts';
import type { JsonValue } from '#schemas/json.ts';
import { expected, scalarsIn } from '#scripts/campaign/filter-oracle.ts';

const CODE: ValueDomain = { type: 'string', enum: ['resident', 'page'] };
const STATUS: ValueDomain = { type: 'integer', minimum: 100, maximum: 599 };
const data = (path: string, element = 'gx.text@1', more: object = {}): BindingLeaf => {
  return { role: 'data', path, element, level: 2, ...more };
};
const structural = (path: string): BindingLeaf => ({ role: 'structural', path, domain: CODE });
const technical = (path: string): BindingLeaf => ({ role: 'technical', path, domain: STATUS });

const LEAVES: BindingLeaf[] = [
  ...[data('/name'), data('/tags'), data('/items/a'), data('/items/b'), data('/deep/er/x')],
  ...[structural('/type'), structural('/deep/type'), structural('/items/type'), structural('/kinds')],
  ...[technical('/status'), technical('/deep/status')],
  ...[data('/m/{^x-}/v'), data('/m/{^y[0-9]$}/v'), data('/m/x-own/w'), data('/m/{y}/v')],
  ...[data('/a~1b'), data('/m~0n'), data('/~2x}'), data('/~01'), data('/constructor'), data('/both'), data('/both/x')],
];

t.test('select', async (t) => {
  // answer, decided paths, what is left
  const rows: [string, string, string[], string | undefined][] = [
    ['a decided value', '{"name":"n","b":1}', ['/name'], '{"name":"n"}'],
    ['an undecided value', '{"name":"n"}', [], undefined],
    ['null is a value', '{"name":null}', ['/name'], '{"name":null}'],
    ['unknown names', '{"nam":"n","name ":1,"Name":2,"":3}', ['/name'], undefined],
    ['a decided path that is bound nowhere', '{"q":1}', ['/q'], undefined],
    ['an object where a value is bound', '{"name":{"name":"n"}}', ['/name'], undefined],
    ['a value where an object is bound', '{"deep":"x"}', ['/deep/er/x', '/deep'], undefined],
    ['lists of values', '{"tags":["a",["b",[],["c"]],{}]}', ['/tags'], '{"tags":["a",["b",["c"]]]}'],
    ['lists of objects', '{"items":[{"a":1,"b":2},{"b":3},[{"a":4}]]}', ['/items/a'], '{"items":[{"a":1},[{"a":4}]]}'],
    ['a list around it all', '[[{"name":1}],{"q":1}]', ['/name'], '[[{"name":1}]]'],
    ['structural beside data', '{"type":"page","name":"n"}', ['/name'], '{"type":"page","name":"n"}'],
    ['structural above data', '{"type":"page","tags":["t"]}', ['/tags'], '{"type":"page","tags":["t"]}'],
    ['structural alone', '{"type":"page","name":"n"}', [], undefined],
    ['structural elsewhere', '{"name":"n","deep":{"type":"page"}}', ['/name'], '{"name":"n"}'],
    [
      'structural in its own item',
      '{"items":[{"type":"page"},{"type":"page","a":1}]}',
      ['/items/a'],
      '{"items":[{"type":"page","a":1}]}',
    ],
    [
      'structural in a list',
      '{"kinds":["page",["resident"],"q"],"name":1}',
      ['/name'],
      '{"kinds":["page",["resident"]],"name":1}',
    ],
    ['structural in a list, alone', '{"kinds":["page"],"status":200}', ['/name'], '{"status":200}'],
    ['structural outside its domain', '{"type":"430102199001011234","name":"n"}', ['/name'], '{"name":"n"}'],
    [
      'technical always',
      '{"status":404,"deep":{"status":200,"er":{"x":1}}}',
      [],
      '{"status":404,"deep":{"status":200}}',
    ],
    ['technical outside its domain', '{"status":"404","deep":{"status":1000}}', [], undefined],
    ['a pattern', '{"m":{"x-1":{"v":1,"w":2},"z":{"v":3}}}', ['/m/{^x-}/v'], '{"m":{"x-1":{"v":1}}}'],
    ['the path of another pattern', '{"m":{"x-1":{"v":1}}}', ['/m/{^y[0-9]$}/v', '/m/x-1/v'], undefined],
    [
      'an own name before patterns',
      '{"m":{"x-own":{"v":1,"w":2}}}',
      ['/m/{^x-}/v', '/m/x-own/w'],
      '{"m":{"x-own":{"w":2}}}',
    ],
    ['a name that two patterns allow', '{"m":{"y1":{"v":1}}}', ['/m/{^y[0-9]$}/v', '/m/{y}/v'], undefined],
    [
      'escaped names',
      '{"a/b":1,"m~n":2,"{x}":3,"a~1b":4,"~1":5,"/":6}',
      ['/a~1b', '/m~0n', '/~2x}', '/~01'],
      '{"a/b":1,"m~n":2,"{x}":3,"~1":5}',
    ],
    [
      'names of Object.prototype',
      '{"constructor":1,"toString":2,"__proto__":{"name":3}}',
      ['/constructor', '/name'],
      '{"constructor":1}',
    ],
    ['a value that may also be an object', '{"both":[1,{"x":2}]}', ['/both/x'], '{"both":[{"x":2}]}'],
    ['an empty answer', '{}', ['/name'], undefined],
    ['a bare value', '"secret"', ['/name'], undefined],
  ];
  for (const [name, answer, paths, left] of rows) {
    const value = JSON.parse(answer);
    const made = select(value, LEAVES, new Set(paths));
    t.equal(JSON.stringify(made), left, name);
    t.equal(JSON.stringify(value), answer, `${name}: unchanged`);
    if (made !== undefined) t.strictSame(overDelivered(made, LEAVES, new Set(paths)), [], `${name}: passes`);
  }
  t.equal(select('x', [data('')], new Set([''])), 'x', 'a bare value that is bound');
  const twice = [data('/type'), structural('/type'), data('/name')];
  t.strictSame(select({ type: 'page', name: 1 }, twice, new Set(['/name'])), { name: 1 }, 'data goes before structure');
  const kinds = select({ type: ['page', 'q'], name: 1 }, twice, new Set(['/type']));
  t.strictSame(kinds, { type: ['page', 'q'] }, 'and leaves as data');
  const proto = [data('/__proto__'), data('/{.}')];
  t.equal(
    select(JSON.parse('{"__proto__":"x"}'), proto, new Set(['/__proto__', '/{.}'])),
    undefined,
    'never, even bound',
  );
  t.equal(select('page', [structural('')], new Set()), undefined, 'a bare structural value');
  t.equal(Object.getPrototypeOf(select(JSON.parse('{"name":1}'), LEAVES, new Set(['/name']))), Object.prototype);
});

t.test('laws of select', async () => {
  const names = [...new Set(LEAVES.flatMap(({ path }) => path.split('/')))].map((name) =>
    name.replace('~2', '{').replaceAll('~1', '/').replaceAll('~0', '~'),
  );
  const name = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...names, 'x-1', 'x-own', 'y1', 'y22') },
    { weight: 1, arbitrary: fc.constantFrom('__proto__', 'toString', 'hasOwnProperty', '', '/') },
    { weight: 1, arbitrary: fc.string() },
  );
  const { answer } = fc.letrec<{ answer: JsonValue }>((tie) => ({
    answer: fc.oneof(
      { maxDepth: 5 },
      fc.oneof(
        fc.constantFrom<JsonValue>('page', 200, null, 'x'),
        fc.double({ noNaN: true }),
        fc.boolean(),
        fc.string(),
      ),
      fc.array(tie('answer'), { maxLength: 4 }),
      fc.dictionary(name, tie('answer'), { maxKeys: 8 }).map((made) => JSON.parse(JSON.stringify(made))),
      fc.dictionary(name, tie('answer'), { maxKeys: 8 }).map((made) => JSON.parse(JSON.stringify(made))),
    ),
  }));
  const paths = fc.subarray(LEAVES.map(({ path }) => path)).map((some) => new Set(some));
  const leaves = fc.subarray(LEAVES, { minLength: 1 });
  fc.assert(
    fc.property(answer, paths, leaves, (answer, paths, leaves) => {
      const left = select(answer, leaves, paths);
      const keep = (leaf: BindingLeaf, value: null | boolean | number | string) =>
        paths.has(leaf.path) ? value : undefined;
      assert.deepStrictEqual(left, expected(answer, leaves, keep));
      if (left === undefined) return;
      assert.deepStrictEqual(select(left, leaves, paths), left);
      assert.deepStrictEqual(overDelivered(left, leaves, paths), []);
      assert.ok(scalarsIn(left).length > 0, 'no empty container is left');
      // One path fewer: nothing new appears, and what was there under that path is now over-delivery.
      for (const path of paths) {
        const fewer = new Set([...paths].filter((other) => other !== path));
        const less = select(left, leaves, fewer) ?? {};
        assert.ok(scalarsIn(less).length <= scalarsIn(left).length);
        const over = overDelivered(left, leaves, fewer);
        assert.ok(over.length === 0 || over.join() === path);
        if (scalarsIn(less).length === scalarsIn(left).length) assert.deepStrictEqual(over, []);
      }
    }),
    { numRuns: 300 },
  );
});

t.test('over-delivery', async (t) => {
  const paths = new Set(['/name', '/items/a', '/m/{^x-}/v']);
  const rows: [string, JsonValue, string[]][] = [
    ['nothing', { name: 'n', items: [{ a: 1 }], m: { 'x-1': { v: 1 } }, type: 'page', status: 200 }, []],
    ['a value outside the decision', { tags: ['a', 'b'], items: [{ a: 1, b: 2 }] }, ['/tags', '/items/b']],
    ['a value under a pattern', { m: { y1: { v: 1 }, 'x-1': { v: 1, q: 2 } } }, ['/m/y1/v', '/m/{^x-}/q']],
    ['unknown names', { 'q/~': { r: [1, { s: 2 }] }, '{z': 1 }, ['/q~1~0/r', '/q~1~0/r/s', '/~2z']],
    [
      'an unknown name that says it all',
      { '430102199001011234': {}, 'no value': [] },
      ['/430102199001011234', '/no value'],
    ],
    ['a closed place with something else', { status: 'Li Si', type: 'Li Si' }, ['/type', '/status'].reverse()],
    ['a value where an object is bound', { deep: 'x', m: [1] }, ['/deep', '/m']],
    ['a bare value', 'x', ['']],
  ];
  for (const [name, body, over] of rows) t.strictSame(overDelivered(body, LEAVES, paths), over, name);
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`q${index}`, 1]));
  t.equal(overDelivered(many, LEAVES, paths).length, 20, 'at most 20');
  const long = overDelivered({ ['😀'.repeat(400)]: 1 }, LEAVES, paths);
  t.ok(long[0]?.isWellFormed() && long[0].length <= 512, 'a long name is cut');
});
