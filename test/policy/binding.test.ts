// The binding compiler: every fault that is about one place, through every way in which JSON Schema composes, with its
// place in the document.
import t from 'tap';
import type { JsonObject } from '#schemas/json.ts';
import { cpuMs } from '#test/cpu-time.ts';
import {
  AT,
  alias,
  around,
  bare,
  born,
  closed,
  compiled,
  faultsOf,
  leavesOf,
  name,
  pointing,
  sealed,
  technical,
  when,
} from './binding-documents.ts';

t.test('BIND_UNBOUND_LEAF', async (t) => {
  const rows: [string, unknown, string, object?][] = [
    ['a property', closed({ name, x: bare }), '/properties/x'],
    ['the answer itself', bare, ''],
    ['both words', closed({ x: { ...name, 'x-accord-role': 'technical' } }), '/properties/x'],
    ['a role that there is not', closed({ x: { ...bare, 'x-accord-role': 'data' } }), '/properties/x'],
    ['a mapping alone', closed({ x: { ...bare, 'x-accord-map': 'gx.map.sex@1' } }), '/properties/x'],
    ['behind a reference', closed({ x: pointing('X') }), '/components/schemas/X', { schemas: { X: bare } }],
    ['in allOf', sealed({ allOf: [closed({ name }), closed({ x: bare })] }), '/allOf/1/properties/x'],
    ['in a branch of oneOf', { oneOf: [closed({ name }), closed({ x: bare })] }, '/oneOf/1/properties/x'],
    ['bound in one branch only', { oneOf: [closed({ x: name }), closed({ x: bare })] }, '/oneOf/1/properties/x'],
    ['the same in anyOf', { anyOf: [closed({ x: bare }), closed({ x: name })] }, '/anyOf/0/properties/x'],
    ['a scalar whose branches differ', closed({ x: { oneOf: [name, bare] } }), '/properties/x/oneOf/1'],
    ['in then', sealed({ properties: { name }, ...when({}, { properties: { x: bare } }) }), '/then/properties/x'],
    ['in else', sealed({ properties: { name }, if: {}, else: { properties: { x: bare } } }), '/else/properties/x'],
    ['in if', sealed({ properties: { name }, if: { properties: { x: bare } } }), '/if/properties/x'],
    [
      'bound in then, declared beside it',
      sealed({ properties: { x: bare }, ...when({}, { properties: { x: name } }) }),
      '/else',
    ],
    [
      'in dependentSchemas',
      sealed({ properties: { name }, dependentSchemas: { name: closed({ x: bare }) } }),
      '/dependentSchemas/name/properties/x',
    ],
    ['in patternProperties', closed({ name }, { patternProperties: { '^x': bare } }), '/patternProperties/^x'],
    ['in items', closed({ name, x: { type: 'array', items: bare } }), '/properties/x/items'],
    [
      'in prefixItems',
      closed({ x: { type: 'array', prefixItems: [name, bare], items: false } }),
      '/properties/x/prefixItems/1',
    ],
    ['a const', closed({ name, x: { const: 'a' } }), '/properties/x'],
    ['an enum', closed({ name, x: { enum: ['a', 'b'] } }), '/properties/x'],
    ['as-of that names nothing', closed({ x: { ...name, 'x-accord-as-of': 'y' } }), '/properties/x'],
    ['as-of that names itself', closed({ x: { ...born, 'x-accord-as-of': 'x' } }), '/properties/x'],
  ];
  for (const [title, schema, pointer, components = {}] of rows) {
    const found = faultsOf(around(schema, { components }));
    const expected = pointer === '/else' ? 'BIND_UNBOUND_LEAF ' : `BIND_UNBOUND_LEAF ${pointer}`;
    t.same(found, [expected], title);
  }
  t.same(faultsOf(around(name, { paths: {} })), ['BIND_UNBOUND_LEAF /paths'], 'nothing at all');
  const empty = around(name, { operation: { responses: { 204: { description: 'x' } } } });
  t.same(faultsOf(empty), ['BIND_UNBOUND_LEAF /paths'], 'no answer with content');
});

t.test('BIND_OPEN_SCHEMA', async (t) => {
  const loop = { schemas: { Loop: closed({ name, next: pointing('Loop') }) } };
  const rows: [string, unknown, string, object?][] = [
    ['true', true, ''],
    ['no type', closed({ name, x: { 'x-accord-element': 'gx.name@1' } }), '/properties/x'],
    ['an empty property', closed({ name, x: {} }), '/properties/x'],
    ['a property that is true', closed({ name, x: true }), '/properties/x'],
    ['no schema', closed({ name, x: 1 }), '/properties/x'],
    ['additionalProperties absent', { type: 'object', properties: { name } }, ''],
    ['additionalProperties true', closed({ name }, { additionalProperties: true }), ''],
    ['additionalProperties bound', closed({ name }, { additionalProperties: name }), ''],
    ['unevaluatedProperties true', sealed({ properties: { name }, unevaluatedProperties: true }), ''],
    [
      'unevaluatedProperties beside additionalProperties',
      sealed({ properties: { name }, additionalProperties: true }),
      '',
    ],
    [
      'unevaluatedProperties around additionalProperties',
      sealed({ allOf: [{ properties: { name }, additionalProperties: true }] }),
      '',
    ],
    ['no properties', { type: 'object', additionalProperties: false }, ''],
    ['one open branch', { oneOf: [closed({ name }), { type: 'object', properties: { born } }] }, ''],
    ['allOf that nobody closes', { type: 'object', allOf: [{ properties: { name } }] }, ''],
    ['an array without items', closed({ name, x: { type: 'array' } }), '/properties/x'],
    ['an array of anything', closed({ name, x: { type: 'array', items: true } }), '/properties/x/items'],
    ['prefixItems without an end', closed({ x: { type: 'array', prefixItems: [name] } }), '/properties/x'],
    ['two types', closed({ x: { ...name, type: ['string', 'integer'] } }), '/properties/x'],
    [
      'two types in branches',
      closed({ x: { oneOf: [{ type: 'string' }, { type: 'integer' }], 'x-accord-element': 'gx.name@1' } }),
      '/properties/x',
    ],
    ['a recursive schema', pointing('Loop'), '/components/schemas/Loop/properties/next/$ref', loop],
    ['a reference to another document', { $ref: 'http://example.org/x' }, '/$ref'],
    ['a reference to nothing', closed({ name, x: pointing('X') }), '/properties/x/$ref'],
    ['a reference to __proto__', closed({ name, x: { $ref: '#/__proto__' } }), '/properties/x/$ref'],
    ['a dynamic reference', closed({ name, x: { ...name, $dynamicRef: '#x' } }), '/properties/x/$dynamicRef'],
    ['a technical text', closed({ name, x: technical(bare) }), '/properties/x'],
    [
      'a technical text, long',
      closed({ name, x: technical({ ...bare, pattern: '^a$', maxLength: 129 }) }),
      '/properties/x',
    ],
    [
      'a technical pattern that may take long',
      closed({ name, x: technical({ ...bare, pattern: '^(a+)+$', maxLength: 64 }) }),
      '/properties/x',
    ],
    ['a technical e-mail address', closed({ name, x: technical({ ...bare, format: 'email' }) }), '/properties/x'],
    [
      'a pattern that may take long',
      closed({ name }, { patternProperties: { '(a|a)*$': alias } }),
      '/patternProperties/(a|a)*$',
    ],
    ['a pattern that is none', closed({ name }, { patternProperties: { '[': alias } }), '/patternProperties/['],
    ['__proto__', closed({ name, ['__proto__']: alias }), '/properties/__proto__'],
    [
      'a technical list that is long',
      closed({ name, x: technical({ enum: Array.from({ length: 501 }, (_, index) => index) }) }),
      '/properties/x',
    ],
    ['a name without characters', closed({ name, '': alias }), '/properties/'],
    ['a name with a line break', closed({ name, 'a\nb': alias }), '/properties/a\nb'],
  ];
  for (const [title, schema, pointer, components = {}] of rows) {
    t.same(faultsOf(around(schema, { components })), [`BIND_OPEN_SCHEMA ${pointer}`], title);
  }
  const nested = (depth: number): JsonObject => closed({ x: depth === 0 ? name : nested(depth - 1) });
  t.same(faultsOf(around(nested(15))), []);
  t.match(faultsOf(around(nested(16))), [/^BIND_OPEN_SCHEMA/]);
  t.same(faultsOf({ ...around(name), openapi: '3.0.3' }), ['BIND_OPEN_SCHEMA /openapi']);
  const none = around(name, { operation: { responses: { 200: { content: { 'application/json': {} } } } } });
  t.same(faultsOf(none), [`BIND_OPEN_SCHEMA ${AT.slice(0, -'/schema'.length)}`], 'an answer without a schema');
});

t.test('what would grow without end', async (t) => {
  const doubling = (width: number, compose: (to: unknown) => unknown) => {
    const schemas: Record<string, unknown> = { L0: closed({ x: name }) };
    for (let at = 1; at <= width; at++) schemas[`L${at}`] = compose(pointing(`L${at - 1}`));
    return around(pointing(`L${width}`), { components: { schemas } });
  };
  const before = cpuMs();
  const wide = doubling(13, (to) => closed({ a: to, b: to }));
  t.same(faultsOf(wide), ['BIND_OPEN_SCHEMA '], 'names');
  t.same(faultsOf(doubling(40, (to) => ({ oneOf: [to, to] }))), [], 'the same branch twice is one');
  t.same(faultsOf(doubling(90, (to) => to)), [], 'a chain');
  t.match(faultsOf(doubling(300, (to) => to)), [/^BIND_OPEN_SCHEMA/], 'a long chain');
  const many = Object.fromEntries(Array.from({ length: 2001 }, (_, at) => [`p${at}`, name]));
  t.same(faultsOf(around(closed(many))), ['BIND_OPEN_SCHEMA '], 'leaves');
  const merged = doubling(14, (to) => sealed({ allOf: [closed({ a: to, b: to }), closed({ a: { allOf: [to] } })] }));
  t.match(faultsOf(merged), [/^BIND_OPEN_SCHEMA/], 'merges');
  t.ok(cpuMs() - before < 5000, 'quickly');
});

t.test('BIND_UNKNOWN_ELEMENT, BIND_NOT_AUTHORITY', async (t) => {
  const leaf = (ref: unknown) => around(closed({ x: { type: 'string', 'x-accord-element': ref } }));
  const rows: [unknown, string[], object?][] = [
    ['gx.name@1', []],
    ['gx.old@1', []],
    ['gx.name@2', ['BIND_UNKNOWN_ELEMENT']],
    ['gx.name', ['BIND_UNKNOWN_ELEMENT']],
    ['gx.draft@1', ['BIND_UNKNOWN_ELEMENT']],
    ['gx.retired@1', ['BIND_UNKNOWN_ELEMENT']],
    ['gx.code.sex@1', ['BIND_UNKNOWN_ELEMENT']],
    [7, ['BIND_UNKNOWN_ELEMENT']],
    ['gx.foreign@1', ['BIND_NOT_AUTHORITY']],
    ['gx.nobody@1', ['BIND_NOT_AUTHORITY']],
    ['gx.past@1', ['BIND_NOT_AUTHORITY']],
    ['gx.past@1', [], { day: '2026-06-14' }],
    ['gx.name@1', ['BIND_NOT_AUTHORITY'], { day: '2019-12-31' }],
    ['gx.name@1', ['BIND_NOT_AUTHORITY'], { instance: 'GY' }],
    ['gx.name@1', ['BIND_NOT_AUTHORITY'], { service: 'GX/GOV/1002/civil/residents' }],
    ['gx.local@1', ['BIND_NOT_AUTHORITY']],
  ];
  for (const [ref, codes, over = {}] of rows) {
    t.same(
      faultsOf(leaf(ref), over),
      codes.map((code) => `${code} /properties/x`),
      String(ref),
    );
  }
  const local = { ...leaf('gx.local@1'), info: { title: 'x', version: '1', 'x-accord-jurisdiction': 'GX-45' } };
  t.equal(compiled(local).table?.jurisdiction, 'GX-45');
  const wrong = around(closed({ name }), { info: { 'x-accord-jurisdiction': 'G X' } });
  t.same(faultsOf(wrong), ['BIND_NOT_AUTHORITY /info/x-accord-jurisdiction']);
  const status = closed({ x: technical({ type: 'integer' }) });
  t.same(leavesOf(around(status)), { '/x': 'technical' }, 'no authority is asked for where no data is');
});

t.test('BIND_TYPE_CONFLICT', async (t) => {
  const of = (element: string, more: object) => ({ 'x-accord-element': element, ...more });
  const rows: [string, object, boolean][] = [
    ['the type', of('gx.name@1', { type: 'string' }), true],
    ['null besides', of('gx.name@1', { type: ['string', 'null'] }), true],
    ['another type', of('gx.name@1', { type: 'integer' }), false],
    ['integer for number', of('gx.income@1', { type: 'integer' }), true],
    ['integer or number for number', of('gx.income@1', { type: ['integer', 'number'] }), true],
    ['number for integer', of('gx.count@1', { type: 'number' }), false],
    ['the format', of('gx.born@1', { type: 'string', format: 'date' }), true],
    ['no format', of('gx.born@1', { type: 'string' }), false],
    ['another format', of('gx.born@1', { type: 'string', format: 'date-time' }), false],
    ['a format where none is asked', of('gx.name@1', { type: 'string', format: 'uuid' }), true],
    [
      'two formats in branches',
      of('gx.born@1', { type: 'string', oneOf: [{ format: 'date' }, { format: 'uuid' }] }),
      false,
    ],
    ['listed days', of('gx.born@1', { enum: ['2020-01-01', null] }), true],
    ['listed words for days', of('gx.born@1', { enum: ['2020-01-01', 'never'] }), false],
    ['codes', of('gx.sex@1', { enum: ['1', '2'] }), true],
    ['a code too many', of('gx.sex@1', { enum: ['1', '3'] }), false],
    ['a const', of('gx.kind@1', { const: 'a' }), true],
    ['a const outside', of('gx.kind@1', { const: 'c' }), false],
    [
      'an enum in allOf',
      of('gx.kind@1', { type: 'string', allOf: [{ enum: ['a', 'c'] }, { enum: ['a', 'b'] }] }),
      true,
    ],
    ['an enum over oneOf', of('gx.kind@1', { oneOf: [{ const: 'a' }, { const: 'c' }] }), false],
    ['an object', of('gx.name@1', closed({ name })), false],
    ['a list of objects', of('gx.name@1', { type: 'array', items: closed({ name }) }), false],
    ['a list of values', of('gx.name@1', { type: 'array', items: { type: 'string' } }), true],
    ['a mapping', of('gx.sex@1', { enum: ['M', 'F'], 'x-accord-map': 'gx.map.sex@1' }), true],
    ['a mapping to another element', of('gx.name@1', { type: 'string', 'x-accord-map': 'gx.map.sex@1' }), false],
    ['a mapping of two values', of('gx.sex@1', { type: 'string', 'x-accord-map': 'gx.map.pair@1' }), false],
    ['a mapping that there is not', of('gx.sex@1', { type: 'string', 'x-accord-map': 'gx.map.none@1' }), false],
    ['a draft of a mapping', of('gx.sex@1', { type: 'string', 'x-accord-map': 'gx.map.draft@1' }), false],
    ['a mapping from an element', of('gx.income@1', { type: 'integer', 'x-accord-map': 'gx.map.income@1' }), true],
    ['a mapping from another type', of('gx.income@1', { type: 'string', 'x-accord-map': 'gx.map.income@1' }), false],
    ['a technical value with a mapping', technical({ type: 'integer', 'x-accord-map': 'gx.map.sex@1' }), false],
  ];
  for (const [title, x, fits] of rows) {
    t.same(faultsOf(around(closed({ id: name, x }))), fits ? [] : ['BIND_TYPE_CONFLICT /properties/x'], title);
  }
  const asOf = around(closed({ x: { ...name, 'x-accord-as-of': 'y' }, y: alias }));
  t.same(faultsOf(asOf), ['BIND_TYPE_CONFLICT /properties/x'], 'as-of that is no date');
  t.same(faultsOf(around(closed({ name }), { info: { 'x-accord-purposes': ['A B'] } })), [
    'BIND_TYPE_CONFLICT /info/x-accord-purposes',
  ]);
});

t.test('BIND_LEVEL_RAISED', async (t) => {
  const rows: [number | undefined, 1 | 2 | 3 | 4 | null, string | null][] = [
    [undefined, null, null],
    [undefined, 3, null],
    [undefined, 2, '/info'],
    [3, 1, null],
    [4, null, null],
    [2, null, '/info/x-accord-level'],
    [2, 3, '/info/x-accord-level'],
    [5, 3, '/info/x-accord-level'],
  ];
  for (const [said, previousLevel, pointer] of rows) {
    const document = around(closed({ name, born }), said === undefined ? {} : { info: { 'x-accord-level': said } });
    const expected = pointer === null ? [] : [`BIND_LEVEL_RAISED ${pointer}`];
    t.same(faultsOf(document, { previousLevel }), expected, `${said} after ${previousLevel}`);
  }
  t.equal(compiled(around(closed({ name, born }))).table?.level, 3);
  t.equal(compiled(around(closed({ x: technical({ type: 'boolean' }) }))).table?.level, 1);
});
