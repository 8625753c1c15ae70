// The binding compiler's laws over random schemas: what was bound is found, all of it and nothing else; a schema in which
// one binding is missing has no table; whatever comes, there is a table or a fault.
import fc from 'fast-check';
import t from 'tap';
import type { JsonObject, JsonValue } from '#schemas/json.ts';
import {
  around,
  closed,
  compiled,
  faultsOf,
  income,
  leavesOf,
  name,
  pointing,
  sealed,
  technical,
  when,
} from './binding-documents.ts';

const LEAVES: Record<string, object> = {
  'gx.name@1': name,
  'gx.born@1': { type: ['string', 'null'], format: 'date', 'x-accord-element': 'gx.born@1' },
  'gx.income@1': income,
  'gx.kind@1': { oneOf: [{ const: 'a' }, { const: 'b' }], 'x-accord-element': 'gx.kind@1' },
  technical: technical({ type: 'boolean' }),
};

interface Made {
  schema: JsonObject;
  leaves: Map<string, string>;
}

/** Wraps properties in one of the ways in which they compose; names are unique, so that no two meet. */
const COMPOSED: ((properties: JsonObject, components: JsonObject) => JsonObject)[] = [
  (properties) => closed(properties),
  (properties, schemas) => {
    const id = `S${Object.keys(schemas).length}`;
    schemas[id] = closed(properties);
    return pointing(id);
  },
  (properties) =>
    sealed({ allOf: Object.entries(properties).map(([one, schema]) => ({ properties: { [one]: schema } })) }),
  (properties) => ({ oneOf: Object.entries(properties).map(([one, schema]) => closed({ [one]: schema })) }),
  (properties) => ({ anyOf: [closed(properties), closed(properties), { type: 'null' }] }),
  (properties) => sealed(when({ required: ['a'] }, { properties }, { properties })),
  (properties) => sealed({ dependentSchemas: { a: { properties } } }),
  (properties) => ({ type: 'array', items: closed(properties) }),
  (properties) => ({ type: 'array', prefixItems: [{ type: 'null' }, closed(properties)], items: false }),
];

/** Draws a schema from numbers; every place in it has a name of its own. */
function drawn(numbers: readonly number[], components: JsonObject): Made {
  let at = 0;
  let names = 0;
  const next = (below: number) => (numbers[at++ % numbers.length] ?? 0) % below;
  const make = (depth: number): Made => {
    if (depth > 3 || (depth > 0 && next(3) === 0)) {
      const refs = Object.keys(LEAVES);
      const ref = refs[next(refs.length)] ?? 'gx.name@1';
      return { schema: { ...LEAVES[ref] } as JsonObject, leaves: new Map([['', ref]]) };
    }
    const properties: JsonObject = {};
    const leaves = new Map<string, string>();
    for (let count = 1 + next(3); count > 0; count--) {
      const key = `p${names++}${next(2) === 0 ? '' : '/{'}`;
      const inner = make(depth + 1);
      properties[key] = inner.schema;
      for (const [path, ref] of inner.leaves) leaves.set(`/${key.replace('/', '~1')}${path}`, ref);
    }
    const compose = COMPOSED[next(COMPOSED.length)] ?? COMPOSED[0];
    return { schema: compose?.(properties, components) ?? {}, leaves };
  };
  return make(0);
}

const drawing = fc.array(fc.nat(1000), { minLength: 20, maxLength: 60 });

t.test('what was bound is found, all of it and nothing else', async (t) => {
  fc.assert(
    fc.property(drawing, (numbers) => {
      const schemas: JsonObject = {};
      const { schema, leaves } = drawn(numbers, schemas);
      const found = leavesOf(around(schema, { components: { schemas } }));
      t.strictSame(found, Object.fromEntries([...leaves].sort(([a], [b]) => (a < b ? -1 : 1))));
      return true;
    }),
    { numRuns: 300 },
  );
});

t.test('a schema in which one binding is missing has no table', async (_t) => {
  fc.assert(
    fc.property(drawing, fc.nat(), (numbers, which) => {
      const components: JsonObject = {};
      const { schema } = drawn(numbers, components);
      const document = around(schema, { components: { schemas: components } });
      const marked = objectsIn(document).filter((one) => 'x-accord-element' in one || 'x-accord-role' in one);
      const victim = marked[which % marked.length];
      delete victim?.['x-accord-element'];
      delete victim?.['x-accord-role'];
      const { table, faults } = compiled(document);
      return table === null && faults.some(({ code }) => code === 'BIND_UNBOUND_LEAF');
    }),
    { numRuns: 300 },
  );
});

function objectsIn(value: JsonValue): JsonObject[] {
  if (typeof value !== 'object' || value === null) return [];
  const below = Object.values(value).flatMap(objectsIn);
  return Array.isArray(value) ? below : [value, ...below];
}

t.test('whatever document comes, there is a table or a fault', async () => {
  const words = [
    '$ref',
    'allOf',
    'oneOf',
    'if',
    'then',
    'properties',
    'items',
    'type',
    'enum',
    'x-accord-element',
    'const',
  ];
  const json = fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom<JsonValue>(
        'object',
        'string',
        'gx.name@1',
        '#/paths',
        '#/components/schemas/X',
        true,
        false,
        null,
        1,
      ),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...words), tie('value'), { maxKeys: 4 }),
    ),
  })).value;
  fc.assert(
    fc.property(json, json, json, (schema, X, parameters) => {
      const document = around(schema, { components: { schemas: { X } }, operation: { parameters } });
      faultsOf(document);
      faultsOf(JSON.parse(JSON.stringify({ ...document, paths: X, info: parameters })));
    }),
    { numRuns: 300 },
  );
});
