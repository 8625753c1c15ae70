// The SQL adapter over SQLite and over a real PostgreSQL, through its own HTTP face: one table of cases for both. Rows
// stay untouched whatever is asked, limits hold at their edge, and a file that does not fit names its line.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t from 'tap';
import { type Adapter, listen } from '#adapters/listen.ts';
import { describeSql, openSqlAdapter } from '#adapters/sql.ts';
import { openPostgres } from '#adapters/sql-postgres.ts';
import { openSqlite } from '#adapters/sql-sqlite.ts';
import { systemClock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { type Engine, engines } from './sql-engines.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-sql-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const resources = `
resources:
  - path: /residents/{id}
    table: Residents
    answer: one
    parameters: {id: {in: path, column: id, type: string, maxLength: 600}}
    properties:
      id: {column: id, type: string, element: person.id@1}
      name: {column: name, type: string, nullable: true}
      born: {column: born, type: string, format: date, nullable: true}
      children: {column: children, type: integer, nullable: true}
      income: {column: income, type: number, nullable: true}
      active: {column: active, type: boolean}
      odd: {column: 'odd "name', type: string, nullable: true}
      address: {column: home.address, type: string, nullable: true}
    joins:
      home: {table: households, on: {household_id: id}, optional: true}
    children:
      payments:
        table: payments
        on: {id: resident_id}
        limit: 3
        orderBy: [-amount]
        properties: {year: {column: year, type: integer}, amount: {column: amount, type: integer}}
  - path: /residents/{id}/strict
    table: Residents
    answer: one
    parameters: {id: {in: path, column: id, type: string}}
    properties: {name: {column: name, type: string}}
  - path: /payments
    table: payments
    answer: many
    limit: 3
    parameters:
      resident: {in: query, column: resident_id, type: string, pattern: '^[A-Z][0-9]$', required: true}
      year: {in: query, column: year, type: integer, minimum: 2000, maximum: 2100}
    properties: {amount: {column: amount, type: integer}}
    orderBy: [amount]
  - path: /households/{household}/first
    table: Residents
    answer: one
    parameters: {household: {in: path, column: household_id, type: string}}
    properties: {id: {column: id, type: string}}
`;

const yamlFor = (database: string, limits = '{maxFieldLength: 600, maxResponseBytes: 2000}', rest = resources) =>
  `adapter: sql\nservice: {code: residents, title: Residents}\ndatabase: ${database}\nlimits: ${limits}\n${rest}`;

const http = openClient({ timeoutMs: 5_000 });
t.teardown(() => http.close());

async function get(origin: string, path: string, method = 'GET') {
  const { status, headers, body } = await http.request({ origin, path, method });
  const type = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1];
  return { status, type, json: body.length === 0 ? undefined : JSON.parse(body.toString()) };
}

const all = await engines(t as never, folder);

function open(engine: Engine, yaml: string): Promise<Adapter> {
  return openSqlAdapter(yaml, { file: join(folder, 'adapter.yaml'), environment: engine.environment }, systemClock);
}

async function serve(test: typeof t, engine: Engine, yaml: string): Promise<string> {
  const adapter = await open(engine, yaml);
  test.teardown(() => adapter.server.close());
  return listen(adapter);
}

/** The line on which `part` begins. */
const lineOf = (yaml: string, part: string) => yaml.slice(0, yaml.indexOf(part)).split('\n').length;

const A1 = {
  id: 'A1',
  name: '王伟',
  born: '1980-02-29',
  children: 2,
  income: 1234.5,
  active: true,
  odd: 'odd',
  address: '长安街1号',
  payments: [
    { year: 2024, amount: 3 },
    { year: 2024, amount: 2 },
    { year: 2023, amount: 1 },
  ],
};

// path, status, the JSON or the problem's code
const CASES: [string, number, unknown][] = [
  ['/residents/A1', 200, A1],
  [
    '/residents/A2',
    200,
    {
      id: 'A2',
      name: null,
      born: null,
      children: null,
      income: null,
      active: false,
      odd: null,
      address: '长安街1号',
      payments: [],
    },
  ],
  ['/residents/a%2Fb%20c%25', 200, { id: 'a/b c%', name: 'slash', address: null, payments: [] }],
  ['/residents/A3', 404, 'RECORD_NOT_FOUND'],
  ['/residents/a1', 404, 'RECORD_NOT_FOUND'],
  ['/residents/A1/', 404, 'NOT_FOUND'],
  ['/Residents/A1', 404, 'NOT_FOUND'],
  ['/residents', 404, 'NOT_FOUND'],
  ['/residents/A1?x=1', 400, 'PARAMETER_INVALID'],
  ['/residents/A1?id=A2', 400, 'PARAMETER_INVALID'],
  ['/residents/A1?__proto__=1', 400, 'PARAMETER_INVALID'],
  [`/residents/${'x'.repeat(600)}`, 404, 'RECORD_NOT_FOUND'],
  [`/residents/${'x'.repeat(601)}`, 400, 'PARAMETER_INVALID'],
  ['/residents/%00', 404, 'RECORD_NOT_FOUND'],
  ['/residents/A1%00', 404, 'RECORD_NOT_FOUND'],
  ['/residents/%ff', 400, 'REQUEST_MALFORMED'],
  ['/residents/B1', 422, 'TOO_MANY_ROWS'],
  ['/residents/A1/strict', 200, { name: '王伟' }],
  ['/residents/A2/strict', 502, 'DATABASE_VALUE_MISMATCH'],
  ['/payments?resident=A1', 200, { items: [{ amount: 1 }, { amount: 2 }, { amount: 3 }] }],
  ['/payments?resident=A1&year=2024', 200, { items: [{ amount: 2 }, { amount: 3 }] }],
  ['/payments?resident=Z1', 200, { items: [] }],
  ['/payments?resident=B1', 422, 'TOO_MANY_ROWS'],
  ['/payments', 400, 'PARAMETER_INVALID'],
  ['/payments?year=2024', 400, 'PARAMETER_INVALID'],
  ['/payments?resident=A1&resident=A1', 400, 'PARAMETER_INVALID'],
  ['/payments?resident=A1&year=1999', 400, 'PARAMETER_INVALID'],
  ['/payments?resident=A1&year=02024', 400, 'PARAMETER_INVALID'],
  ['/payments?resident=A1&year=2024.0', 400, 'PARAMETER_INVALID'],
  ['/payments?resident=A1&year=', 400, 'PARAMETER_INVALID'],
  ['/payments?resident=a', 400, 'PARAMETER_INVALID'],
  ['/payments?resident=%ff', 400, 'PARAMETER_INVALID'],
  ['/households/H1/first', 502, 'DATABASE_VALUE_MISMATCH'],
];

for (const engine of all) {
  t.test(engine.name, async (t) => {
    const origin = await serve(t as never, engine, yamlFor(engine.database));
    for (const [path, status, expected] of CASES) {
      const answer = await get(origin, path);
      const shown = path.length > 80 ? `${path.slice(0, 30)}… ${path.length}` : path;
      t.equal(answer.status, status, shown);
      if (typeof expected === 'string') {
        t.equal(answer.json.code, expected, shown);
        t.match(answer.type, /^application\/problem\+json/);
      } else {
        t.match(answer.json, expected as object, shown);
      }
    }
    t.strictSame((await get(origin, '/residents/A1')).json, A1, 'nothing else is in the answer');
    for (const method of ['POST', 'PUT', 'DELETE']) {
      t.equal((await get(origin, '/residents/A1', method)).json.code, 'METHOD_NOT_ALLOWED');
    }

    const description = (await get(origin, '/openapi.json')).json;
    t.strictSame(description, JSON.parse(JSON.stringify(describeSql(yamlFor(engine.database), 'adapter.yaml'))));
    const schema = description.paths['/residents/{id}'].get.responses[200].content['application/json'].schema;
    t.match(schema, {
      additionalProperties: false,
      required: [...Object.keys(A1)],
      properties: { id: { type: 'string', 'x-accord-element': 'person.id@1' }, name: { type: ['string', 'null'] } },
    });

    t.test('strings that are SQL, or worse, are only strings', async (t) => {
      const file = resolve('../shared/vectors/blns/blns.json');
      let strings: string[] = [];
      try {
        strings = JSON.parse(readFileSync(file, 'utf8'));
      } catch {
        t.comment(`SKIPPED: no list of naughty strings at ${file}`);
      }
      strings.push("A1' OR '1'='1", "A1'; DROP TABLE households; --", 'A1"; DELETE FROM "Residents"; --', "$1' ?1");
      const before = await engine.owner('SELECT * FROM "Residents" ORDER BY id');
      const sent = strings.filter(
        (one) => one !== '' && one.isWellFormed() && one.length <= 600 && !['.', '..'].includes(one),
      );
      const found: string[] = [];
      for (const text of sent) {
        const { status, json } = await get(origin, `/residents/${encodeURIComponent(text)}`);
        if (status !== 404 || json.code !== 'RECORD_NOT_FOUND') {
          found.push(`${status} ${encodeURIComponent(text)}`);
        }
      }
      t.ok(sent.length >= 4, `${sent.length} strings sent`);
      t.strictSame(found, []);
      t.strictSame(await engine.owner('SELECT * FROM "Residents" ORDER BY id'), before);
    });

    t.test('length, size and time are capped', async (t) => {
      const ask = async (limits: string, path: string) =>
        (await get(await serve(t as never, engine, yamlFor(engine.database, limits)), path)).json;
      t.match(await ask('{maxFieldLength: 5}', '/residents/L5/strict'), { name: '宽宽宽宽宽' });
      t.match(await ask('{maxFieldLength: 4}', '/residents/L5/strict'), { code: 'DATABASE_VALUE_MISMATCH' });
      const bytes = Buffer.byteLength(JSON.stringify(A1));
      t.match(await ask(`{maxResponseBytes: ${Math.max(bytes, 256)}}`, '/residents/A1'), A1);
      await engine.owner(`UPDATE "Residents" SET name = '${'y'.repeat(260)}' WHERE id = 'L4'`);
      t.equal((await ask('{maxResponseBytes: 271}', '/residents/L4/strict')).name.length, 260);
      t.match(await ask('{maxResponseBytes: 270}', '/residents/L4/strict'), { code: 'RESPONSE_TOO_LARGE' });
      await engine.owner(
        engine.name === 'postgres'
          ? "CREATE VIEW slow AS SELECT 'k'::text AS id, pg_sleep(3)::text AS waited"
          : "CREATE VIEW slow AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100000000) SELECT 'k' || n AS id, 'x' AS waited FROM c",
      );
      const slow = `resources: [{path: '/slow/{id}', table: slow, answer: one, parameters: {id: {in: path, column: id, type: string}}, properties: {waited: {column: waited, type: string}}}]`;
      const at = await serve(t as never, engine, yamlFor(engine.database, '{statementTimeoutMs: 100}', slow));
      const began = performance.now();
      t.equal((await get(at, '/slow/k')).json.code, 'DATABASE_TIMEOUT');
      t.ok(performance.now() - began < 2_900);
      await engine.owner('DROP VIEW slow');
    });

    t.test('the connection itself cannot write', async (t) => {
      const limits = { statementTimeoutMs: 1_000, maxConnections: 1 };
      const database =
        engine.name === 'sqlite'
          ? openSqlite(join(folder, 'residents.sqlite'), limits, systemClock)
          : openPostgres(engine.environment['RESIDENTS_URL'] ?? '', 'public', limits);
      const before = await engine.owner('SELECT * FROM households ORDER BY id');
      for (const sql of [
        "INSERT INTO households VALUES ('X', 'x')",
        "UPDATE households SET address = 'x'",
        'DELETE FROM households',
        'DROP TABLE households',
        'CREATE TABLE more (a INTEGER)',
      ]) {
        await t.rejects(
          database.read(
            { sql: `${sql} RETURNING 1`.replace(/^((?:DROP|CREATE).*) RETURNING 1$/, '$1'), values: [] },
            () => [],
          ),
          { code: 'DATABASE_UNAVAILABLE' },
          sql,
        );
      }
      t.strictSame(await engine.owner('SELECT * FROM households ORDER BY id'), before);
      await database.close();
    });

    t.test('many at once', async (t) => {
      const at = await serve(t as never, engine, yamlFor(engine.database, '{maxConnections: 2, maxRequests: 100}'));
      const answers = await Promise.all(Array.from({ length: 100 }, () => get(at, '/residents/A1')));
      t.ok(answers.every(({ status }) => status === 200));
    });

    t.test('a file that does not fit the database names its line', async (t) => {
      const wrong: [string, string, RegExp][] = [
        ['table: households, on', 'table: houses, on', /houses/],
        ['column: born', 'column: bron', /: unknown column bron; there are: id, household_id/],
        ['column: home.address', 'column: home.adress', /: unknown column adress/],
        ['on: {household_id: id}', 'on: {household: id}', /: unknown column household;/],
        ['orderBy: [-amount]', 'orderBy: [-amuont]', /: unknown column amuont/],
        ['table: Residents', 'table: residents', /the database has no table or view residents/],
        ['column: active, type: boolean', 'column: name, type: boolean', /column name of type/],
        [
          'column: year, type: integer, minimum',
          'column: "year OR 1=1", type: integer, minimum',
          /: unknown column year OR 1=1/,
        ],
      ];
      for (const [from, to, message] of wrong) {
        const yaml = yamlFor(engine.database).replace(from, to);
        t.not(yaml, yamlFor(engine.database));
        await t.rejects(open(engine, yaml), { code: 'ADAPTER_SCHEMA_MISMATCH', detail: message }, to);
        const line = new RegExp(`:${lineOf(yaml, to)}: `);
        await t.rejects(open(engine, yaml), { code: 'ADAPTER_SCHEMA_MISMATCH', detail: line }, `${to}: the line`);
      }
      const unindexed = yamlFor(engine.database).replace(
        'column: id, type: string, maxLength: 600',
        'column: name, type: string',
      );
      const adapter = await open(engine, unindexed);
      t.match(adapter.warnings, [/^\/residents\/\{id\} reads the whole table Residents/]);
      await adapter.server.close();
    });
  });
}

t.test('a file that is wrong in itself names its line', async (t) => {
  const good = yamlFor('{engine: sqlite, file: residents.sqlite}');
  const wrong: [string, string, string, RegExp, number?][] = [
    ['unknown key', 'answer: one', 'anwser: one', /unknown key anwser|required property 'answer'/],
    ['unknown key at the top', 'limits:', 'limit:', /: .*unknown key limit/],
    ['unknown key of the engine', 'file: residents.sqlite', 'file: a, schema: b', /: .*unknown key schema/],
    ['repeated key', 'answer: one', 'answer: one\n    answer: many', /: .*unique/, 10],
    ['alias', 'title: Residents', 'title: &a Residents, description: *a', /aliases/, 0],
    ['tag', 'title: Residents', 'title: !!js/function Residents', /: .*/],
    ['bad type', 'type: integer, nullable: true', 'type: int, nullable: true', /: .*must be/],
    ['wrong pattern', "'^[A-Z][0-9]$'", "'^[A-Z'", /: .*regex/],
    ['path without parameter', '/residents/{id}\n', '/residents/{person}\n', /: .*\{person\} needs/],
    ['parameter without path', 'path: /residents/{id}\n', 'path: /residents\n', /: .*the path has no \{id\}/, 10],
    ['two paths of one shape', '/residents/{id}/strict', '/residents/{id}', /: .*another resource/, 29],
    ['whole table', ', required: true', '', /: .*at least one parameter/, 38],
    ['reserved path', 'path: /payments', 'path: /openapi.json', /another resource/],
    ['children of many', 'answer: one', 'answer: many', /: .*children need/, 22],
    ['pattern on a number', 'minimum: 2000', 'pattern: x', /: .*pattern needs/],
    ['not YAML', 'service: {', 'service: [', /: .*/],
  ];
  for (const [name, from, to, message, line] of wrong) {
    const yaml = good.replace(from, to);
    t.not(yaml, good, name);
    await t.rejects(open(all[0] as Engine, yaml), { code: 'ADAPTER_CONFIG_INVALID', detail: message }, name);
    if (line !== 0) {
      const detail = new RegExp(`:${line ?? lineOf(yaml, to)}: `);
      await t.rejects(open(all[0] as Engine, yaml), { code: 'ADAPTER_CONFIG_INVALID', detail }, `${name}: the line`);
    }
  }
  await t.rejects(open(all[0] as Engine, good.replace('residents.sqlite', 'absent.sqlite')), {
    code: 'DATABASE_UNAVAILABLE',
  });
  writeFileSync(join(folder, 'text.sqlite'), 'this is not a database, whatever its name says'.repeat(50));
  await t.rejects(open(all[0] as Engine, good.replace('residents.sqlite', 'text.sqlite')), {
    code: 'DATABASE_UNAVAILABLE',
  });
  const away = good.replace(/database: .*/, 'database: {engine: postgres, connectionEnv: AWAY}');
  await t.rejects(open(all[0] as Engine, away), { code: 'ADAPTER_CONFIG_INVALID', detail: /:3: set the environment/ });
  const nobody = { ...(all[0] as Engine), environment: { AWAY: 'postgres://nobody@127.0.0.1:1/none' } };
  await t.rejects(open(nobody, away), { code: 'DATABASE_UNAVAILABLE' });

  const adapter = await open(all[0] as Engine, good);
  await t.rejects(listen(adapter, '0.0.0.0', 0), { code: 'ADAPTER_CONFIG_INVALID' }, 'in the clear only on loopback');
  await adapter.server.close();
});
