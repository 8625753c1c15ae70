// How the SQL adapter is bound to the dictionary, and how it narrows itself to what its security server asks for: only
// those columns are read (a column that cannot be read at all proves it), only those properties answer, on both engines.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { listen } from '#adapters/listen.ts';
import { describeSql, openSqlAdapter } from '#adapters/sql.ts';
import type { Clock } from '#core/clock.ts';
import { systemClock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { engines } from './sql-engines.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-sql-fields-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const http = openClient({ timeoutMs: 5_000 });
t.teardown(() => http.close());

const YAML = `adapter: sql
service: {code: residents, title: Residents, jurisdiction: GX, level: 3, purposes: [aid, low-income-review]}
database: DATABASE
resources:
  - path: /residents/{id}
    purposes: [aid]
    table: fragile
    answer: one
    parameters: {id: {in: path, column: id, type: string, subject: gx.person.resident_id@1}}
    joins: {home: {table: households, on: {household_id: id}}}
    properties:
      id: {column: id, type: string, role: structural}
      name: {column: name, type: string, element: gx.person.full_name@1, map: gx.map.trim@1, asOf: since}
      broken: {column: broken, type: integer, element: gx.person.broken@1}
      address: {column: home.address, type: string, element: gx.address.full@1}
      since: {column: born, type: string, format: date, nullable: true, element: gx.person.since@1}
    children:
      payments:
        table: payments
        on: {id: resident_id}
        properties:
          year: {column: year, type: integer, element: gx.tax.year@1}
          amount: {column: amount, type: integer, element: gx.tax.amount@1}
      others:
        table: broken_payments
        on: {id: resident_id}
        properties: {amount: {column: amount, type: integer, element: gx.tax.amount@1}}
  - path: /payments
    table: payments
    answer: many
    orderBy: [-amount]
    parameters: {resident: {in: query, column: resident_id, type: string, required: true}}
    properties: {amount: {column: amount, type: integer}, year: {column: year, type: integer}}
  - path: /residents/{id}/status
    table: status
    answer: one
    parameters:
      id: {in: path, column: id, type: string}
      day: {in: query, role: as-of, column: began, until: ended, type: string}
    properties: {status: {column: status, type: string}}
`;

/** No value of these columns can be computed: reading one fails the query. */
const FRAGILE = {
  sqlite: 'abs(length(TEXT) - length(TEXT) - 9223372036854775807 - 1)',
  postgres: '(1 / (length(TEXT) - length(TEXT)))::integer',
};
const TABLES = (broken: string) => [
  `CREATE VIEW fragile AS SELECT id, name, born, household_id, ${broken.replaceAll('TEXT', 'id')} AS broken FROM "Residents"`,
  `CREATE VIEW broken_payments AS SELECT resident_id, ${broken.replaceAll('TEXT', 'resident_id')} AS amount FROM payments`,
  'CREATE TABLE status (id VARCHAR(20) NOT NULL, status VARCHAR(20) NOT NULL, began DATE NOT NULL, ended DATE)',
  `INSERT INTO status VALUES ('A1', 'first', '2020-01-01', '2024-03-01'), ('A1', 'second', '2024-03-01', '2026-05-10'),
    ('A1', 'third', '2026-05-10', NULL)`,
];

const ITEMS = [3, 2, 1].map((amount) => ({ amount, year: amount === 1 ? 2023 : 2024 }));
const TOO_LONG = `/name,${'/x'.repeat(4_097)}`;
// path, accord-fields (several: the header stands so often), status, the JSON or the problem's code
const NARROWED: [string, string[], number, unknown][] = [
  ['/residents/A1', [], 503, 'DATABASE_UNAVAILABLE'],
  ['/residents/A1', ['/name'], 200, { name: '王伟' }],
  ['/residents/A1', ['/address , /name,/name'], 200, { name: '王伟', address: '长安街1号' }],
  ['/residents/A1', ['/broken'], 503, 'DATABASE_UNAVAILABLE'],
  ['/residents/A1', ['/name,/broken'], 503, 'DATABASE_UNAVAILABLE'],
  ['/residents/A1', ['/others/amount'], 503, 'DATABASE_UNAVAILABLE'],
  [
    '/residents/A1',
    ['/payments/year,/id'],
    200,
    { id: 'A1', payments: [{ year: 2023 }, { year: 2024 }, { year: 2024 }] },
  ],
  ['/residents/A1', ['/nothing,/payments,/__proto__,/name/more'], 200, {}],
  ['/residents/A3', ['/nothing'], 404, 'RECORD_NOT_FOUND'],
  // What a null in a property that may not be null says of the whole answer, it does not say of one without it.
  ['/residents/A2', ['/since'], 200, { since: null }],
  ['/residents/A2', ['/name'], 502, 'DATABASE_VALUE_MISMATCH'],
  ['/payments?resident=A1', ['/items/amount'], 200, { items: [3, 2, 1].map((amount) => ({ amount })) }],
  ['/payments?resident=A1', ['/amount'], 200, { items: [{}, {}, {}] }],
  // Not a list of paths, twice, or too long: as if it were not there.
  ['/payments?resident=A1', ['items/amount'], 200, { items: ITEMS }],
  ['/payments?resident=A1', [''], 200, { items: ITEMS }],
  ['/payments?resident=A1', ['/items/amount,'], 200, { items: ITEMS }],
  ['/payments?resident=A1', ['/items/amount;/items/year'], 200, { items: [{}, {}, {}] }],
  ['/payments?resident=A1', ['/items/amount', '/items/year'], 200, { items: ITEMS }],
  ['/payments?resident=A1', [TOO_LONG], 200, { items: ITEMS }],
];

// query, accord-as-of, the status of that day or a problem's code; today is 2026-05-09
const DAYS: [string, string | null, string][] = [
  ['', null, 'second'],
  ['?day=2020-01-01', null, 'first'],
  ['?day=2024-02-29', null, 'first'],
  ['?day=2024-03-01', null, 'second'],
  ['?day=2019-12-31', null, 'RECORD_NOT_FOUND'],
  ['?day=2030-01-01', null, 'third'],
  ['', '2020-01-02', 'first'],
  ['?day=2020-01-02', '2020-01-02', 'first'],
  ['?day=2020-01-02', '2020-01-03', 'PARAMETER_INVALID'],
  ['', '2020-02-30', 'PARAMETER_INVALID'],
  ['', "2020-01-01' OR '1", 'PARAMETER_INVALID'],
  ['?day=2020-1-1', null, 'PARAMETER_INVALID'],
];

const clock: Clock = { ...systemClock, nowMs: () => new Date(2026, 4, 9, 23, 59).getTime() };

async function get(origin: string, path: string, headers: [string, string][]) {
  const { status, body } = await http.request({ origin, path, method: 'GET', headers });
  return { status, json: JSON.parse(body.toString()) };
}

for (const engine of await engines(t as never, folder)) {
  t.test(engine.name, async (t) => {
    for (const sql of TABLES(FRAGILE[engine.name as 'sqlite' | 'postgres'])) await engine.owner(sql);
    const yaml = YAML.replace('DATABASE', engine.database);
    const adapter = await openSqlAdapter(
      yaml,
      { file: join(folder, 'adapter.yaml'), environment: engine.environment },
      clock,
    );
    t.teardown(() => adapter.server.close());
    const origin = await listen(adapter);
    for (const [path, fields, status, expected] of NARROWED) {
      const answer = await get(
        origin,
        path,
        fields.map((value) => ['accord-fields', value]),
      );
      const name = `${path} ${fields.join(' | ').slice(0, 60)}`;
      t.equal(answer.status, status, name);
      t.strictSame(typeof expected === 'string' ? answer.json.code : answer.json, expected, name);
    }
    for (const [query, day, expected] of DAYS) {
      const headers: [string, string][] = day === null ? [] : [['accord-as-of', day]];
      const { json } = await get(origin, `/residents/A1/status${query}`, headers);
      t.equal(json.status === undefined || json.code ? json.code : json.status, expected, `${query} ${day}`);
    }
    const present = await get(origin, '/payments?resident=A1', [['accord-as-of', '2020-01-01']]);
    t.equal(present.json.code, 'PARAMETER_INVALID', 'yesterday is not answered with today');
  });
}

t.test('the words of the binding stand in the OpenAPI document', async (t) => {
  const document = JSON.parse(JSON.stringify(describeSql(YAML.replace('DATABASE', '{engine: sqlite, file: a}'), 'a')));
  t.match(document.info, {
    'x-accord-jurisdiction': 'GX',
    'x-accord-level': 3,
    'x-accord-purposes': ['aid', 'low-income-review'],
  });
  const { get: operation } = document.paths['/residents/{id}'];
  t.strictSame(operation['x-accord-purposes'], ['aid']);
  t.match(operation.parameters, [{ name: 'id', in: 'path', 'x-accord-subject': 'gx.person.resident_id@1' }]);
  t.match(operation.responses[200].content['application/json'].schema.properties, {
    id: { 'x-accord-role': 'structural' },
    name: {
      'x-accord-element': 'gx.person.full_name@1',
      'x-accord-map': 'gx.map.trim@1',
      'x-accord-as-of': 'since',
    },
    payments: { items: { properties: { year: { 'x-accord-element': 'gx.tax.year@1' } } } },
  });
  t.match(document.paths['/residents/{id}/status'].get.parameters[1], {
    name: 'day',
    in: 'query',
    required: false,
    'x-accord-role': 'as-of',
    schema: { type: 'string', format: 'date' },
  });
  // A problem document carries only what stands in closed lists.
  for (const [name, { content }] of Object.entries<{ content: Record<string, { schema: { properties: object } }> }>(
    document.components.responses,
  )) {
    for (const [property, leaf] of Object.entries(content['application/problem+json']?.schema.properties ?? {})) {
      t.match(leaf, { enum: Array, 'x-accord-role': 'technical' }, `${name} ${property}`);
    }
  }
});

t.test('a binding that is wrong in itself names its line', async (t) => {
  const good = YAML.replace('DATABASE', '{engine: sqlite, file: a}');
  const wrong: [string, string, RegExp][] = [
    ['role: structural}', 'role: structural, element: gx.person.id@1}', /not both/],
    ['map: gx.map.trim@1, asOf: since', 'map: gx.map.trim', /must match pattern/],
    ['element: gx.person.full_name@1, map', 'map', /map needs an element/],
    ['element: gx.person.broken@1', 'asOf: id', /asOf needs an element/],
    ['asOf: since', 'asOf: name', /no other property name/],
    ['asOf: since', 'asOf: toString', /no other property toString/],
    ['element: gx.person.broken@1', 'element: gx.Person@1', /must match pattern/],
    ['in: query, role: as-of, column: began', 'in: query, column: began', /until needs role/],
    ['role: as-of, column: began', 'role: as-of, required: true, column: began', /role: as-of needs/],
    [
      'id: {in: path, column: id, type: string}',
      'id: {in: path, column: id, type: string, role: as-of}',
      /as-of needs/,
    ],
    [
      'resident: {in: query, column: resident_id, type: string, required: true}',
      'a: {in: query, column: a, type: string, required: true, subject: gx.a@1}, resident: {in: query, column: b, type: string, subject: gx.b@1}',
      /another parameter has subject/,
    ],
    ['level: 3', 'level: 5', /must be/],
    ['purposes: [aid]', 'purposes: [AID]', /must match pattern/],
    ['jurisdiction: GX', 'jurisdiction: G X', /must match pattern/],
  ];
  for (const [from, to, message] of wrong) {
    const yaml = good.replace(from, to);
    t.not(yaml, good, from);
    t.throws(() => describeSql(yaml, 'a.yaml'), { code: 'ADAPTER_CONFIG_INVALID', detail: message }, to);
    const line = yaml.slice(0, yaml.indexOf(to)).split('\n').length;
    const detail = new RegExp(`^a.yaml:${line}: `);
    t.throws(() => describeSql(yaml, 'a.yaml'), { code: 'ADAPTER_CONFIG_INVALID', detail }, `${to}: the line`);
  }
});
