// The binding compiler: places that two branches, patterns or answers describe, and what binds, place by place.
import t from 'tap';
import {
  alias,
  around,
  bare,
  born,
  closed,
  compiled,
  faultsOf,
  income,
  kind,
  leavesOf,
  name,
  pointing,
  sealed,
  technical,
  when,
} from './binding-documents.ts';

t.test('BIND_AMBIGUOUS_BRANCH', async (t) => {
  const either = (keyword: string) => ({ [keyword]: [closed({ x: name }), closed({ x: alias })] });
  const rows: [string, unknown, string][] = [
    ['oneOf', either('oneOf'), '/oneOf/1/properties/x'],
    ['anyOf', either('anyOf'), '/anyOf/1/properties/x'],
    ['allOf', either('allOf'), '/allOf/1/properties/x'],
    ['a scalar itself', closed({ x: { oneOf: [name, alias] } }), '/properties/x/oneOf/1'],
    [
      'an element and a role',
      { oneOf: [closed({ x: kind }), closed({ x: { ...kind, 'x-accord-role': 'technical' } })] },
      '/oneOf/1/properties/x',
    ],
    [
      'with and without a mapping',
      {
        oneOf: ['gx.map.sex@1', undefined].map((map) =>
          closed({ x: { type: 'string', 'x-accord-element': 'gx.sex@1', 'x-accord-map': map } }),
        ),
      },
      '/oneOf/1/properties/x',
    ],
    [
      'then and else',
      sealed(when({}, { properties: { x: name } }, { properties: { x: alias } })),
      '/else/properties/x',
    ],
    [
      'then and beside it',
      sealed({ properties: { x: name }, ...when({}, { properties: { x: alias } }) }),
      '/then/properties/x',
    ],
    [
      'two conditions',
      sealed({ allOf: [name, alias].map((x) => when({}, { properties: { x } })) }),
      '/allOf/1/then/properties/x',
    ],
    ['prefixItems', { type: 'array', prefixItems: [name, alias], items: false }, '/prefixItems/1'],
    ['items after prefixItems', { type: 'array', prefixItems: [name], items: alias }, '/items'],
    ['a value or an object', closed({ x: { oneOf: [name, closed({ name })] } }), '/properties/x'],
    [
      'a value or a list of another',
      closed({ x: { oneOf: [name, { type: 'array', items: alias }] } }),
      '/properties/x',
    ],
    [
      'a name that a pattern allows',
      closed({ x1: name }, { patternProperties: { '^x': alias } }),
      '/patternProperties/^x',
    ],
    [
      'a pattern over a tree',
      closed({ x1: closed({ a: name }) }, { patternProperties: { '^x': closed({ a: alias }) } }),
      '/patternProperties/^x',
    ],
    ['two patterns', closed({}, { patternProperties: { '^x': alias, y$: name } }), '/patternProperties/^x'],
  ];
  for (const [title, schema, pointer] of rows) {
    t.same(faultsOf(around(schema)), [`BIND_AMBIGUOUS_BRANCH ${pointer}`], title);
  }
  const answers = (...schemas: object[]) =>
    around(
      {},
      {
        operation: {
          responses: Object.fromEntries(
            schemas.map((schema, at) => [200 + at, { content: { 'application/json': { schema } } }]),
          ),
        },
      },
    );
  t.match(faultsOf(answers(closed({ x: name }), closed({ x: alias }))), [/^BIND_AMBIGUOUS_BRANCH \/paths.*\/201\//]);
  t.same(faultsOf(answers(closed({ x: name }), closed({ x: name }))), []);
  const twice = around(
    {},
    {
      operation: {
        responses: {
          200: { content: { 'application/json': { schema: name }, 'Application/JSON; a=b': { schema: name } } },
        },
      },
    },
  );
  t.match(faultsOf(twice), [/^BIND_AMBIGUOUS_BRANCH/], 'one media type twice');
});

t.test('what binds, place by place', async (t) => {
  const Person = closed({ name, born });
  const schemas = { Person, 'a/b~c d': name, Text: bare, Day: { type: 'string', format: 'date' } };
  const rows: [string, unknown, Record<string, string>][] = [
    ['the answer itself', name, { '': 'gx.name@1' }],
    ['a reference', pointing('Person'), { '/born': 'gx.born@1', '/name': 'gx.name@1' }],
    ['a reference with escapes', closed({ x: pointing('a~1b~0c%20d') }), { '/x': 'gx.name@1' }],
    ['into another schema', closed({ x: pointing('Person/properties/born') }), { '/x': 'gx.born@1' }],
    [
      'words beside a reference',
      closed({ x: { ...pointing('Day'), 'x-accord-element': 'gx.born@1' } }),
      { '/x': 'gx.born@1' },
    ],
    [
      'words in allOf',
      closed({ x: { allOf: [pointing('Text'), { 'x-accord-element': 'gx.name@1' }] } }),
      { '/x': 'gx.name@1' },
    ],
    [
      'one thing twice',
      sealed({ allOf: [{ properties: { name } }, { properties: { name, born } }] }),
      { '/name': 'gx.name@1', '/born': 'gx.born@1' },
    ],
    [
      'null or an object',
      { oneOf: [{ type: 'null' }, pointing('Person')] },
      { '/born': 'gx.born@1', '/name': 'gx.name@1' },
    ],
    ['null or a value', closed({ x: { anyOf: [name, { type: 'null' }] } }), { '/x': 'gx.name@1' }],
    ['null or a day', closed({ x: { anyOf: [{ type: 'null' }, born] } }), { '/x': 'gx.born@1' }],
    [
      'branches alike',
      { oneOf: [closed({ x: name, born }), closed({ x: name, income })] },
      { '/x': 'gx.name@1', '/born': 'gx.born@1', '/income': 'gx.income@1' },
    ],
    [
      'branches that only list',
      closed({ x: { ...name, oneOf: [{ const: 'p' }, { const: 'q' }] } }),
      { '/x': 'gx.name@1' },
    ],
    [
      'branches that only require',
      { ...closed({ name, born }), anyOf: [{ required: ['name'] }, { required: ['born'] }] },
      { '/name': 'gx.name@1', '/born': 'gx.born@1' },
    ],
    [
      'a condition on a discriminator',
      sealed({
        properties: { kind },
        ...when({ properties: { kind: { const: 'a' } } }, { properties: { name } }, { properties: { born } }),
      }),
      { '/kind': 'structural', '/name': 'gx.name@1', '/born': 'gx.born@1' },
    ],
    [
      'conditions one after another',
      sealed({
        properties: { kind },
        allOf: [when({}, { properties: { name } }), when({}, { properties: { name, born } })],
      }),
      { '/kind': 'structural', '/name': 'gx.name@1', '/born': 'gx.born@1' },
    ],
    [
      'dependentSchemas',
      sealed({ properties: { name }, dependentSchemas: { name: { properties: { born } } } }),
      { '/name': 'gx.name@1', '/born': 'gx.born@1' },
    ],
    ['lists of lists', { type: 'array', items: { type: 'array', items: closed({ name }) } }, { '/name': 'gx.name@1' }],
    [
      'a value or a list of it',
      closed({ x: { oneOf: [name, { type: 'array', items: name }] } }),
      { '/x': 'gx.name@1' },
    ],
    [
      'a tuple',
      { type: 'array', prefixItems: [closed({ name }), closed({ born })], items: false },
      { '/name': 'gx.name@1', '/born': 'gx.born@1' },
    ],
    [
      'a tuple closed by unevaluatedItems',
      { type: 'array', prefixItems: [closed({ name })], unevaluatedItems: false },
      { '/name': 'gx.name@1' },
    ],
    [
      'patterns',
      closed({ yname: name }, { patternProperties: { '^x-': born, '^z/~': name } }),
      { '/yname': 'gx.name@1', '/{^x-}': 'gx.born@1', '/{^z~1~0}': 'gx.name@1' },
    ],
    [
      'a pattern over a name that is bound alike',
      closed({ x: name }, { patternProperties: { '^x': name } }),
      { '/x': 'gx.name@1', '/{^x}': 'gx.name@1' },
    ],
    [
      'names with escapes',
      closed({ 'a/b': name, 'c~d': name, '{e}': name, 名: name }),
      { '/a~1b': 'gx.name@1', '/c~0d': 'gx.name@1', '/~2e}': 'gx.name@1', '/名': 'gx.name@1' },
    ],
    ['a property that is never there', closed({ name, x: false }), { '/name': 'gx.name@1' }],
    [
      'a property that contradicts itself',
      closed({ name, x: { allOf: [{ type: 'string' }, { type: 'integer' }] } }),
      { '/name': 'gx.name@1' },
    ],
    [
      'an array word for each item',
      closed({ x: { type: 'array', items: bare, 'x-accord-element': 'gx.name@1' } }),
      { '/x': 'gx.name@1' },
    ],
  ];
  for (const [title, schema, leaves] of rows)
    t.same(leavesOf(around(schema, { components: { schemas } })), leaves, title);
});

t.test('closed domains of what is no data', async (t) => {
  const rows: [object, object][] = [
    [{ type: 'boolean' }, { type: 'boolean' }],
    [
      { type: 'integer', minimum: 0, maximum: 9 },
      { type: 'integer', minimum: 0, maximum: 9 },
    ],
    [
      { type: ['number', 'null'], multipleOf: 0.5 },
      { type: 'number', multipleOf: 0.5 },
    ],
    [{ type: 'integer', maximum: 1e300 }, { type: 'integer' }],
    [{ const: 'a' }, { type: 'string', enum: ['a'] }],
    [{ enum: ['a', null] }, { type: 'string', enum: ['a'] }],
    [
      { type: 'string', format: 'uuid' },
      { type: 'string', format: 'uuid' },
    ],
    [
      { type: 'string', pattern: '^[A-Z]{2}$', maxLength: 2 },
      { type: 'string', pattern: '^[A-Z]{2}$', maxLength: 2 },
    ],
    [
      {
        allOf: [
          { type: 'string', maxLength: 9 },
          { pattern: '^a', maxLength: 5 },
        ],
      },
      { type: 'string', pattern: '^a', maxLength: 5 },
    ],
    [{ oneOf: [{ const: 'a' }, { const: 'b' }] }, { type: 'string', enum: ['a', 'b'] }],
    [
      {
        oneOf: [
          { type: 'integer', maximum: 3 },
          { type: 'integer', maximum: 9 },
        ],
      },
      { type: 'integer', maximum: 9 },
    ],
    [
      { type: 'string', enum: ['a', 'b', 'c'], not: { const: 'a' } },
      { type: 'string', enum: ['a', 'b', 'c'] },
    ],
  ];
  for (const [schema, domain] of rows) {
    const { table } = compiled(around(closed({ name, x: technical(schema) })));
    const [, leaf] = table?.operations[0]?.responses[0]?.leaves ?? [];
    t.same(leaf, { role: 'technical', path: '/x', domain }, JSON.stringify(schema));
  }
  const conditional = sealed({ properties: { kind, name }, if: { properties: { kind: { const: 'a' } } } });
  t.same(
    compiled(around(conditional)).table?.operations[0]?.responses[0]?.leaves[0],
    { role: 'structural', path: '/kind', domain: { type: 'string', enum: ['a', 'b'] } },
    'a condition does not narrow what it asks about',
  );
});
