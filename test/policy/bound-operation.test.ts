// A binding table in use: which operation a path is, where the subject stands and when it stands nowhere, which answers
// are described, and what the fields that a caller names mean.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import {
  type Binding,
  type BoundOperation,
  openBinding,
  resolveFields,
  responseFor,
  subjectOf,
} from '#policy/binding/binding.ts';
import { openDictionary } from '#policy/dictionary/dictionary.ts';
import {
  type BindingLeaf,
  type BindingOperation,
  type BindingTable,
  bindingTableText,
} from '#schemas/binding-table.ts';
import type { DictionaryEntry } from '#schemas/dictionary-entry.ts';
import { DICTIONARY, SERVICE } from './binding-documents.ts';

const NONE = Buffer.alloc(0);
const data = (path: string, element: string, more: object = {}): BindingLeaf => ({
  role: 'data',
  path,
  element,
  level: 2,
  ...more,
});

function operation(path: string, over: Partial<BindingOperation> = {}): BindingOperation {
  return { method: 'GET', path, subject: null, asOf: null, purposes: [], responses: [], ...over };
}

function tableOf(...operations: BindingOperation[]): BindingTable {
  return { v: 1, service: SERVICE, jurisdiction: 'GX', level: 2, operations };
}

/** The operation of a service that has only this one, at /p. */
function bound(over: Partial<BindingOperation>, dictionary = DICTIONARY): { at: BoundOperation; binding: Binding } {
  const binding = openBinding(tableOf(operation('/p', over)), dictionary);
  const at = binding.operation('GET', '/p');
  if (at === null) throw new TypeError('not bound');
  return { at, binding };
}

t.test('which operation a path is', async (t) => {
  const paths = [
    '/',
    '/a/{x}',
    '/a/b',
    '/a/b/',
    '/a/{x}/c',
    '/{x}/{y}/{z}',
    '/名/{x}',
    '/s p%C3%A9/x',
    '/{__proto__}/of/x',
  ];
  const table = tableOf(...paths.map((path) => operation(path)), operation('/a/{x}', { method: 'POST' }));
  const binding = openBinding(table, DICTIONARY);
  const rows: [string, string | null, Record<string, string>?][] = [
    ['', '/'],
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['/a/1', '/a/{x}', { x: '1' }],
    ['/a/%E5%90%8D%20', '/a/{x}', { x: '名 ' }],
    ['/a/b/', '/a/b/'],
    ['/a/1/c', '/a/{x}/c', { x: '1' }],
    ['/a/b/c', '/a/{x}/c', { x: 'b' }],
    ['/a/b/d', '/{x}/{y}/{z}', { x: 'a', y: 'b', z: 'd' }],
    ['/%E5%90%8D/1', '/名/{x}', { x: '1' }],
    ['/s%20p%C3%A9/x', '/s p%C3%A9/x'],
    ['/1/of/x', '/{__proto__}/of/x', JSON.parse('{"__proto__":"1"}')],
    ['/a/', null],
    ['/A/b', null],
    ['/a', null],
    ['a/b', null],
    ['/a//c', null],
    ['/a/b/c/d', null],
    ['/a/%62', null],
    ['/%61/1', null],
    ['/%61/1/c', null],
    ['/a/1%2F2', null],
    ['/a/%ff', null],
    ['/a/%', null],
    ['/a/%C0%AF', null],
  ];
  for (const [path, template, parameters = {}] of rows) {
    const found = binding.operation('GET', path);
    t.equal(found?.operation.path ?? null, template, path);
    if (found) t.strictSame(Object.entries(found.parameters), Object.entries(parameters), path);
  }
  t.equal(binding.operation('POST', '/a/b')?.operation.path, '/a/{x}', 'a method has templates of its own');
  t.equal(binding.operation('PUT', '/a/b'), null);
  t.equal(binding.operation('get', '/a/b'), null);
  t.equal(binding.hash, createHash('sha256').update(bindingTableText(table)).digest('base64url'));

  const deep = openBinding(
    tableOf(operation(`/${'{x}/'.repeat(30)}end`), operation(`/${'a/'.repeat(30)}z`)),
    DICTIONARY,
  );
  t.equal(deep.operation('GET', `/${'a/'.repeat(4000)}`), null);
  fc.assert(
    fc.property(fc.array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 4 }), (values) => {
      const template = values.map((_, index) => `/{p${index}}`).join('');
      const found = openBinding(tableOf(operation(template)), DICTIONARY).operation(
        'GET',
        values.map((each) => `/${encodeURIComponent(each)}`).join(''),
      );
      const isPlain = values.every((each) => !/[/;]/.test(each));
      return isPlain ? Object.values(found?.parameters ?? {}).join('\0') === values.join('\0') : found === null;
    }),
  );
});

t.test('the subject stands exactly once', async (t) => {
  const scheme = 'gx.id@1';
  const inPath = openBinding(
    tableOf(operation('/p/{id}', { subject: { in: 'path', name: 'id', scheme } })),
    DICTIONARY,
  );
  const found = inPath.operation('GET', '/p/1%201');
  t.same(found?.subject, { scheme, value: '1 1' });
  t.same(found && subjectOf(found, 'id=2', NONE), { scheme, value: '1 1' });
  t.equal(subjectOf(bound({}).at, 'id=1', NONE), null, 'no subject is declared');

  const inQuery = bound({ subject: { in: 'query', name: 'id', scheme } }).at;
  t.equal(inQuery.subject, null);
  const queries: [string | null, string | null][] = [
    ['id=1', '1'],
    ['a=b&id=%E5%90%8D&c', '名'],
    ['%69d=1', '1'],
    ['id=a=b', 'a=b'],
    [null, null],
    ['', null],
    ['id', null],
    ['id=', null],
    ['a=1', null],
    ['id=1&id=1', null],
    ['id=1&ID=2', null],
    ['ID=1', null],
    ['id[]=1', null],
    ['id=1&id%5B0%5D=2', null],
    ['id=1;id=2', null],
    ['id=1&a=b;id=2', null],
    ['id=1+1', null],
    ['id=%ff', null],
    ['%ff=1&id=1', null],
    ['id=1&+id=2', null],
  ];
  for (const [query, value] of queries) t.equal(subjectOf(inQuery, query, NONE)?.value ?? null, value, String(query));

  const inBody = bound({ subject: { in: 'body', name: '/who/a~1b', scheme } }).at;
  const bodies: [string, string | null][] = [
    ['{"who":{"a/b":"1"}}', '1'],
    ['{"who":{"a/b":12}}', '12'],
    ['{"who":{"a/b":1.5}}', null],
    ['{"who":{"a/b":""}}', null],
    ['{"who":{"a/b":null}}', null],
    ['{"who":{"a/b":["1"]}}', null],
    ['{"who":[{"a/b":"1"}]}', null],
    ['{"who":{"a/b":"1","a/b":"2"}}', null],
    ['{"who":{"a/b":"1"}', null],
    ['{"__proto__":{"who":{"a/b":"1"}}}', null],
    ['', null],
    ['"1"', null],
  ];
  for (const [body, value] of bodies) t.equal(subjectOf(inBody, 'id=1', Buffer.from(body))?.value ?? null, value, body);
  const odd = bound({ subject: { in: 'body', name: '/constructor/name', scheme } }).at;
  t.equal(subjectOf(odd, null, Buffer.from('{}')), null);
});

t.test('which answers are described', async (t) => {
  const answers = [
    '200 application/json',
    '2XX application/json',
    '2XX application/x+json',
    'default application/problem+json',
  ];
  const responses = answers.map((each) => {
    const [status = '', mediaType = ''] = each.split(' ');
    return { status, mediaType, leaves: [data(`/${status}`, 'gx.name@1')] };
  });
  const { at } = bound({ responses });
  const rows: [number, string, string | null][] = [
    [200, 'application/json', '/200'],
    [200, 'Application/JSON; charset=utf-8', '/200'],
    [201, 'application/json', '/2XX'],
    [200, 'application/x+json', '/2XX'],
    [404, 'application/problem+json', '/default'],
    [200, 'application/problem+json', '/default'],
    [404, 'application/json', null],
    [200, 'text/html', null],
    [200, '', null],
  ];
  for (const [status, type, path] of rows)
    t.equal(responseFor(at, status, type)?.[0]?.path ?? null, path, `${status} ${type}`);
  t.same(
    at.leaves.map(({ path }) => path),
    ['/200', '/2XX'],
    'fields are about 2xx',
  );
  t.same(
    bound({ responses: responses.slice(3) }).at.leaves.map(({ path }) => path),
    ['/default'],
  );
});

const LEAVES: BindingLeaf[] = [
  data('/name/family', 'gx.family@1', { group: 'gx.group.name@1' }),
  data('/name/given', 'gx.given@1', { group: 'gx.group.name@1' }),
  data('/spouse/family', 'gx.family@1', { group: 'gx.group.name@1' }),
  data('/spouse/name', 'gx.name@1'),
  data('/born', 'gx.born@1'),
  data('/children/sex', 'gx.sex@1', { map: 'gx.map.sex@1' }),
  data('/years/{^2}/income', 'gx.income@1'),
  data('/count', 'gx.count@1', { level: 1 }),
  { role: 'structural', path: '/kind', domain: { type: 'string', enum: ['a'] } },
];
const json = (leaves: BindingLeaf[]) => ({ responses: [{ status: '200', mediaType: 'application/json', leaves }] });

t.test('what fields mean', async (t) => {
  const { at, binding } = bound(json(LEAVES));
  const names = ['/name/family gx.family@1', '/name/given gx.given@1'];
  const rows: [string[], string[], string[]?][] = [
    [['/born'], ['/born gx.born@1']],
    [['gx.born@1'], ['/born gx.born@1']],
    [['gx.born'], ['/born gx.born@1']],
    [['gx.born@2'], ['/born gx.born@2 gx.map.born@1']],
    [['/born', 'gx.born@2'], ['/born gx.born@2 gx.map.born@1']],
    [['gx.born@2', '/born', 'gx.born'], ['/born gx.born@2 gx.map.born@1']],
    [['gx.born@2', 'gx.born@1'], ['/born gx.born@2 gx.map.born@1'], ['gx.born@1']],
    [['gx.born@3'], [], ['gx.born@3']],
    [['gx.sex@1'], ['/children/sex gx.sex@1 gx.map.sex@1']],
    [['gx.sex@2'], [], ['gx.sex@2']],
    [['/children'], ['/children/sex gx.sex@1 gx.map.sex@1']],
    [['/years/{^2}/income', '/years'], ['/years/{^2}/income gx.income@1']],
    [['/years/2020/income'], [], ['/years/2020/income']],
    [['gx.given@1'], names],
    [['/name/family'], names],
    [['gx.family@1'], [...names, '/spouse/family gx.family@1']],
    [['/spouse'], ['/spouse/family gx.family@1', '/spouse/name gx.name@1']],
    [['/spouse/family'], ['/spouse/family gx.family@1']],
    [
      ['/count', '/born', '/count'],
      ['/born gx.born@1', '/count gx.count@1'],
    ],
    [['gx.pred.adult@1'], [' gx.pred.adult@1 born=/born']],
    [
      ['gx.pred.rich@1', '/born'],
      ['/born gx.born@1', ' gx.pred.rich@1 born=/born income=/years/{^2}/income'],
    ],
    [
      ['gx.pred.draft@1', 'gx.pred.adult@2', 'gx.pred.adult'],
      [],
      ['gx.pred.draft@1', 'gx.pred.adult@2', 'gx.pred.adult'],
    ],
    [
      ['/kind', '/', '/bor', '/born/', 'kind', 'gx.name@2', 'gx.code.sex@1', ''],
      [],
      ['/kind', '/', '/bor', '/born/', 'kind', 'gx.name@2', 'gx.code.sex@1', ''],
    ],
    [
      ['constructor', '__proto__', '/constructor', 'gx.born@', '@1'],
      [],
      ['constructor', '__proto__', '/constructor', 'gx.born@', '@1'],
    ],
  ];
  for (const [fields, expected, unknown = []] of rows) {
    const { asked, unknown: left, tooMany } = resolveFields(at, binding, DICTIONARY, fields);
    const inputs = (one: (typeof asked)[number]) =>
      Object.entries(one.inputs ?? {})
        .map(([name, path]) => `${name}=${path}`)
        .sort();
    const told = asked.map((one) => [one.path ?? '', one.element, ...one.maps, ...inputs(one)].join(' '));
    t.strictSame(told, expected, fields.join(' '));
    t.strictSame(left, unknown, fields.join(' '));
    t.equal(tooMany, false);
  }
  const [first] = resolveFields(at, binding, DICTIONARY, ['/born', 'gx.born@2']).asked;
  t.strictSame(first, { field: '/born', path: '/born', element: 'gx.born@2', level: 4, maps: ['gx.map.born@1'] });
});

t.test('levels are those of the newest dictionary, never lower than the table', async (t) => {
  const { at, binding } = bound(json(LEAVES));
  const levels = (fields: string[]) => resolveFields(at, binding, DICTIONARY, fields).asked.map(({ level }) => level);
  t.same(levels(['/born', '/count', '/name']), [3, 1, 2, 2]);
  t.same(levels(['gx.pred.adult@1']), [1], "a predicate's own");
  const lower = openDictionary(
    '2.0.0',
    DICTIONARY.entries.map((entry): DictionaryEntry => ('level' in entry ? { ...entry, level: 1 } : entry)),
  );
  t.same(bound(json(LEAVES), lower).at.leaves.find(({ path }) => path === '/born')?.level, 2);
});

t.test('a predicate needs each input at one place', async (t) => {
  const asked = (leaves: BindingLeaf[]) => {
    const { at, binding } = bound(json(leaves));
    return resolveFields(at, binding, DICTIONARY, ['gx.pred.adult@1']).asked.length;
  };
  t.equal(asked([data('/a', 'gx.born@1')]), 1);
  t.equal(asked([data('/a', 'gx.born@1'), data('/b', 'gx.born@1')]), 0);
  t.equal(asked([data('/a', 'gx.born@2')]), 0);
});

t.test('of several majors the newest that is bound, or that leads to what is asked', async (t) => {
  const { at, binding } = bound(
    json([
      data('/old', 'gx.born@1'),
      data('/new', 'gx.born@2'),
      data('/ten', 'gx.name@10'),
      data('/nine', 'gx.name@9'),
    ]),
  );
  const paths = (field: string) => resolveFields(at, binding, DICTIONARY, [field]).asked.map(({ path }) => path);
  t.same(paths('gx.born'), ['/new']);
  t.same(paths('gx.born@1'), ['/old']);
  t.same(paths('gx.name'), ['/ten']);
});

t.test('too many', async (t) => {
  const leaves = (count: number) => Array.from({ length: count }, (_, index) => data(`/x/p${index}`, 'gx.name@1'));
  for (const count of [250, 251]) {
    const { at, binding } = bound(json(leaves(count)));
    t.match(resolveFields(at, binding, DICTIONARY, ['gx.name@1']), { tooMany: count > 250, asked: { length: count } });
  }
});

t.test('the order of fields does not matter for what is asked', async () => {
  const { at, binding } = bound(json(LEAVES));
  const fields = [
    '/born',
    'gx.born@2',
    'gx.born',
    '/name',
    'gx.family@1',
    '/spouse/name',
    'gx.pred.rich@1',
    '/no',
    'gx.sex',
  ];
  const told = (order: readonly string[]) => {
    const { asked, unknown } = resolveFields(at, binding, DICTIONARY, order);
    return JSON.stringify([asked.map(({ field: _, ...one }) => one), [...unknown].sort()]);
  };
  fc.assert(
    fc.property(
      fc.shuffledSubarray(fields),
      (order) => told(order) === told([...order].sort()) && told(order) === told([...order, ...order]),
    ),
  );
});
