// The binding compiler: a whole document with its exact table; subjects, days and path templates.
import t from 'tap';
import type { JsonObject } from '#schemas/json.ts';
import { around, bare, closed, compiled, name, SERVICE, technical } from './binding-documents.ts';

t.test('a whole document', async (t) => {
  const problem = closed({ status: technical({ type: 'integer' }), title: bare });
  const content = (schema: unknown, type = 'application/json') => ({
    description: 'x',
    content: { [type]: { schema } },
  });
  const family = { type: 'string', 'x-accord-element': 'gx.family@1' };
  const Resident = closed({
    name: closed({ family, given: { type: 'string', 'x-accord-element': 'gx.given@1' } }),
    sex: {
      enum: ['M', 'F', null],
      'x-accord-element': 'gx.sex@1',
      'x-accord-map': 'gx.map.sex@1',
      'x-accord-as-of': 'at',
    },
    at: technical({ type: 'string', format: 'date' }),
  });
  const document = {
    openapi: '3.1.0',
    info: { title: 'x', version: '1', 'x-accord-purposes': ['b', 'a', 'b'] },
    paths: {
      '/residents/{id}': {
        parameters: [{ $ref: '#/components/parameters/Id' }],
        get: {
          parameters: [{ name: 'on', in: 'query', 'x-accord-role': 'as-of', schema: {} }],
          responses: {
            200: { $ref: '#/components/responses/Found' },
            204: { description: 'none' },
            '3XX': content(bare),
            404: content(problem, 'application/problem+json'),
            default: content(
              closed({ status: technical({ type: 'integer' }) }),
              'application/problem+json; charset=utf-8',
            ),
          },
        },
        delete: { responses: { 204: { description: 'gone' } } },
      },
      '/residents/search': {
        post: {
          'x-accord-purposes': [],
          requestBody: { $ref: '#/components/requestBodies/Search' },
          responses: { 200: { content: { 'text/csv': { schema: bare }, 'application/x.y+json': { schema: name } } } },
        },
      },
      '/counts': {
        get: {
          responses: { default: content(closed({ count: { type: 'integer', 'x-accord-element': 'gx.count@1' } })) },
        },
      },
    },
    components: {
      parameters: { Id: { name: 'id', in: 'path', required: true, 'x-accord-subject': 'gx.id@1', schema: bare } },
      responses: { Found: content(Resident) },
      requestBodies: {
        Search: content({
          type: 'object',
          properties: { who: { properties: { id: { ...bare, 'x-accord-subject': 'gx.id@1' } } } },
        }),
      },
    },
  };
  const { table, faults } = compiled(JSON.parse(JSON.stringify(document)));
  t.same(
    faults.filter(({ pointer }) => pointer.includes('404')).length,
    1,
    'a problem document with one word is compiled',
  );
  document.paths['/residents/{id}'].get.responses[404] = content(closed({ title: bare }), 'application/problem+json');
  t.equal(table, null);
  const whole = compiled(JSON.parse(JSON.stringify(document)));
  t.same(whole.faults, []);
  const data = (path: string, element: string, level: number, more: object = {}) => ({
    role: 'data',
    path,
    element,
    level,
    ...more,
  });
  const status = { role: 'technical', path: '/status', domain: { type: 'integer' } };
  const group = { group: 'gx.group.name@1' };
  const none = { subject: null, asOf: null, purposes: ['a', 'b'], responses: [] };
  const one = (status: string, mediaType: string, ...leaves: object[]) => ({ status, mediaType, leaves });
  t.strictSame(JSON.parse(JSON.stringify(whole.table)), {
    v: 1,
    service: SERVICE,
    jurisdiction: 'GX',
    level: 2,
    operations: [
      {
        ...none,
        method: 'GET',
        path: '/counts',
        responses: [one('default', 'application/json', data('/count', 'gx.count@1', 1))],
      },
      {
        method: 'POST',
        path: '/residents/search',
        subject: { in: 'body', name: '/who/id', scheme: 'gx.id@1' },
        asOf: null,
        purposes: [],
        responses: [one('200', 'application/x.y+json', data('', 'gx.name@1', 2))],
      },
      { ...none, method: 'DELETE', path: '/residents/{id}', subject: { in: 'path', name: 'id', scheme: 'gx.id@1' } },
      {
        method: 'GET',
        path: '/residents/{id}',
        subject: { in: 'path', name: 'id', scheme: 'gx.id@1' },
        asOf: 'on',
        purposes: ['a', 'b'],
        responses: [
          one(
            '200',
            'application/json',
            { role: 'technical', path: '/at', domain: { type: 'string', format: 'date' } },
            data('/name/family', 'gx.family@1', 2, group),
            data('/name/given', 'gx.given@1', 2, group),
            data('/sex', 'gx.sex@1', 1, { map: 'gx.map.sex@1', asOf: '/at' }),
          ),
          one('default', 'application/problem+json', status),
        ],
      },
    ],
  });
});

t.test('subjects, days and templates', async (t) => {
  const subject = (name: string, place: string, more: object = {}) => ({
    name,
    in: place,
    'x-accord-subject': 'gx.id@1',
    ...more,
  });
  const day = (name: string, place = 'query') => ({ name, in: place, 'x-accord-role': 'as-of' });
  const rows: [string, object[], string[]][] = [
    ['none', [], []],
    ['in the path', [subject('id', 'path')], []],
    ['in the query', [subject('id', 'query')], []],
    ['in the schema of a parameter', [{ name: 'id', in: 'path', schema: { 'x-accord-subject': 'gx.id@1' } }], []],
    ['two', [subject('id', 'path'), subject('other', 'query')], ['BIND_AMBIGUOUS_BRANCH']],
    ['not in the template', [subject('no', 'path')], ['BIND_AMBIGUOUS_BRANCH']],
    ['in a header', [subject('id', 'header')], ['BIND_AMBIGUOUS_BRANCH']],
    [
      'a scheme that there is not',
      [subject('id', 'path', { 'x-accord-subject': 'gx.no@1' })],
      ['BIND_UNKNOWN_ELEMENT'],
    ],
    [
      'a scheme that is no element',
      [subject('id', 'path', { 'x-accord-subject': 'gx.code.sex@1' })],
      ['BIND_UNKNOWN_ELEMENT'],
    ],
    ['two days', [day('on'), day('at')], ['BIND_AMBIGUOUS_BRANCH']],
    ['a day in the path', [day('id', 'path')], ['BIND_AMBIGUOUS_BRANCH']],
    ['a reference to nothing', [{ $ref: '#/components/parameters/X' }], ['BIND_OPEN_SCHEMA']],
  ];
  const responses = { 200: { content: { 'application/json': { schema: closed({ name }) } } } };
  const codes = (document: JsonObject) => compiled(document).faults.map(({ code }) => code);
  const at = (paths: Record<string, object>) => JSON.parse(JSON.stringify({ ...around(name), paths })) as JsonObject;
  for (const [title, parameters, expected] of rows) {
    t.same(codes(around({}, { operation: { parameters, responses } })), expected, title);
  }
  const replaced = at({
    '/a/{id}': { parameters: [subject('id', 'path')], get: { parameters: [{ name: 'id', in: 'path' }], responses } },
  });
  t.equal(compiled(replaced).table?.operations[0]?.subject, null, "an operation's own parameter replaces its path's");

  const only = (status: string) => {
    const other = { content: { 'application/json': { schema: closed({ x: { type: 'string' } }) } } };
    return around({}, { operation: { responses: { ...(status === 'both' && responses), default: other } } });
  };
  t.match(
    compiled(only('default')).faults,
    [{ code: 'BIND_UNBOUND_LEAF', pointer: /\/default\/.*\/x$/ }],
    'default is mandatory where there is no 2xx',
  );
  t.same(codes(only('both')), []);

  const body = (schema: object) => ({
    operation: { responses, requestBody: { content: { 'application/json': { schema } } } },
  });
  const id = { type: 'string', 'x-accord-subject': 'gx.id@1' };
  const bodies: [string, object, string[]][] = [
    ['a property', { properties: { id } }, []],
    ['in every branch', { oneOf: [{ properties: { id } }, { properties: { id, x: {} } }] }, []],
    ['in a list', { properties: { ids: { type: 'array', items: { properties: { id } } } } }, ['BIND_AMBIGUOUS_BRANCH']],
    ['under any name', { patternProperties: { '': id } }, ['BIND_AMBIGUOUS_BRANCH']],
    ['two properties', { properties: { id, other: id } }, ['BIND_AMBIGUOUS_BRANCH']],
    ['the whole body', id, ['BIND_AMBIGUOUS_BRANCH']],
  ];
  for (const [title, schema, expected] of bodies) t.same(codes(around({}, body(schema))), expected, title);

  const templates: [string[], string[]][] = [
    [['/a/{x}', '/a/{y}'], ['BIND_AMBIGUOUS_BRANCH']],
    [['/a/{x}', '/a/b'], []],
    [['/a/{x}/c', '/a/b/{y}'], ['BIND_AMBIGUOUS_BRANCH']],
    [['/a/{x}/c', '/a/b/c', '/a/{x}/{y}'], []],
    [['/a/{x}', '/a/{x}/b', '/{x}/a/c'], []],
    [['/a/x{x}'], ['BIND_AMBIGUOUS_BRANCH']],
    [['/a/{x}/{x}'], ['BIND_AMBIGUOUS_BRANCH']],
    [['a'], ['BIND_OPEN_SCHEMA', 'BIND_UNBOUND_LEAF']],
  ];
  for (const [paths, expected] of templates) {
    const found = codes(at(Object.fromEntries(paths.map((path) => [path, { get: { responses } }]))));
    t.same(found, expected.slice(0, found.length), paths.join(' '));
    t.equal(found.length > 0, expected.length > 0);
  }
  const methods = at({ '/a/{x}': { get: { responses } }, '/a/{y}': { post: { responses } } });
  t.same(codes(methods), [], 'other methods are other operations');
});
