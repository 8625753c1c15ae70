// `accord service publish` by a folder of entries and by a real registry: each fault stands at its place in the author's
// file, nothing is registered then; what binds is registered with its table.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openThrowawayRegistry } from '#central-registry/throwaway.ts';
import { EXIT } from '#cli/output.ts';
import { systemClock } from '#core/clock.ts';
import { accord } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-publish-'));
const at = (name: string) => join(folder, name);
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const SERVICE = 'GX/GOV/1/civil/people';
const text = { zh: '名称', en: 'Name' };
function element(id: string, level: number) {
  return {
    kind: 'element',
    id: `gx.person.${id}`,
    version: '1.0.0',
    state: 'standard',
    labels: text,
    definition: text,
    domain: { type: 'string', maxLength: 40 },
    level,
    authorities: [{ jurisdiction: 'GX', member: 'GX/GOV/1', from: '2020-01-01', until: null }],
    tests: [
      { value: 'x', valid: true },
      { value: 'x'.repeat(41), valid: false },
    ],
  };
}
const ENTRIES = [element('name', 2), element('income', 3)];
mkdirSync(at('dictionary/elements'), { recursive: true });
for (const entry of ENTRIES) writeFileSync(at(`dictionary/elements/${entry.id}.json`), JSON.stringify(entry));

/** The word of the leaf stands in line 21, column 19 before it. */
const yaml = (word: string, info = '') => `openapi: 3.1.0
info: { title: People, version: '1'${info} } # of the register
paths:
  # one operation
  /people/{id}:
    parameters:
      - name: id
        in: path
        required: true
        schema: { type: string }
    get:
      responses:
        200: # a number as a name
          description: found
          content:
            application/json:
              schema:
                type: object
                additionalProperties: false
                properties:
                  name: { type: string, ${word} }
`;
const NAME = 'x-accord-element: gx.person.name@1';
writeFileSync(at('people.yaml'), yaml(NAME));
writeFileSync(at('unbound.yaml'), yaml('maxLength: 40'));
writeFileSync(at('income.yaml'), yaml('x-accord-element: gx.person.income@1'));
writeFileSync(at('confirmed.yaml'), yaml('x-accord-element: gx.person.income@1', ', x-accord-level: 3'));

const here = ['--dictionary', at('dictionary')];
const publish = (file: string, ...more: string[]) => accord('service', 'publish', at(file), '--id', SERVICE, ...more);

t.test('faults, each at its place', async (t) => {
  const aliased = yaml('maxLength: 40').replace('name: {', 'name: &text {');
  const files: [string, string, string[]][] = [
    ['one.yaml', yaml('maxLength: 40'), ['21:19 BIND_UNBOUND_LEAF']],
    [
      'two.yaml',
      `${yaml('x-accord-element: gx.no@1')}                  other: {}\n`,
      ['21:19 BIND_UNKNOWN_ELEMENT', '22:19 BIND_OPEN_SCHEMA'],
    ],
    [
      'aliased.yaml',
      `${aliased}                  other: *text\n`,
      ['21:19 BIND_UNBOUND_LEAF', '22:19 BIND_UNBOUND_LEAF'],
    ],
    ['item.yaml', yaml('allOf: [{ maxLength: 40 }, { $ref: http://x }]'), ['21:70 BIND_OPEN_SCHEMA']],
    ['level.yaml', yaml(NAME, ', x-accord-level: 1'), ['2:38 BIND_LEVEL_RAISED']],
    ['old.yaml', yaml(NAME).replace('3.1.0', '3.0.0'), ['1:1 BIND_OPEN_SCHEMA']],
  ];
  for (const [name, content, places] of files) {
    writeFileSync(at(name), content);
    const ended = await publish(name, ...here);
    t.match(ended, { code: EXIT.usage, stdout: '' }, name);
    const lines = ended.stderr.split('\n');
    for (const [index, place] of places.entries()) {
      t.ok(lines[index]?.startsWith(`${at(name)}:${place} /`), `${lines[index]}`);
    }
    t.equal(lines[places.length], `${places.length === 1 ? '1 fault' : '2 faults'}; nothing was registered.`);
    t.match(lines[places.length + 1], /^Next: /);
    const json = await publish(name, ...here, '--json');
    const told = JSON.parse(json.stdout) as {
      registered: boolean;
      faults: { line: number; column: number; code: string }[];
    };
    t.equal(told.registered, false);
    t.same(
      told.faults.map(({ line, column, code }) => `${line}:${column} ${code}`),
      places,
    );
  }
});

t.test('what binds here', async (t) => {
  const asJson = JSON.stringify({
    openapi: '3.1.0',
    info: { title: 'People', version: '1' },
    paths: {
      '/people/{id}': {
        get: {
          responses: {
            200: {
              content: { 'application/json': { schema: { type: 'string', 'x-accord-element': 'gx.person.name@1' } } },
            },
          },
        },
      },
    },
  });
  writeFileSync(at('people.json'), asJson);
  for (const file of ['people.yaml', 'people.json']) {
    const ended = await publish(file, ...here, '--json');
    t.match(ended, { code: EXIT.ok, stderr: '' }, file);
    const told = JSON.parse(ended.stdout);
    t.match(told, { id: SERVICE, registered: false, operations: 1, leaves: 1, elements: 1, level: 2 });
    t.match(told.bindingHash, /^[A-Za-z0-9_-]{43}$/);
  }
});

t.test('what is no such file', async (t) => {
  const bomb = [
    'a: &a [x, x, x, x, x, x, x, x, x]',
    ...'bcdefgh'.split('').map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[index]}`)}]`),
  ];
  const files: [string, string | Buffer, number, RegExp][] = [
    ['broken.yaml', 'a: [1,\nb: 2', EXIT.usage, /broken\.yaml:\d+:\d+ .*\nNext: /],
    ['twice.yaml', 'a: 1\na: 2\n', EXIT.usage, /twice\.yaml:2:1 /],
    ['list.yaml', '- a\n', EXIT.usage, /^JSON_INVALID/],
    ['proto.yaml', '__proto__: 1\n', EXIT.usage, /^JSON_FORBIDDEN_NAME|^BIND/m],
    ['bomb.yaml', bomb.join('\n'), EXIT.usage, /^JSON_TOO_MANY/],
    ['large.yaml', Buffer.alloc(4 * 1024 * 1024 + 1, '#'), EXIT.usage, /^BODY_TOO_LARGE/],
    ['nothing.yaml', '', EXIT.usage, /^JSON_INVALID/],
  ];
  for (const [name, content, code, stderr] of files) {
    writeFileSync(at(name), content);
    t.match(await publish(name, ...here), { code, stdout: '', stderr }, name);
  }
  t.match(await publish('none.yaml', ...here), { code: EXIT.notFound, stderr: /ENOENT/ });
  t.match(await publish('people.yaml', '--dictionary', at('none')), { code: EXIT.notFound });
  const wrong = await accord('service', 'publish', at('people.yaml'), '--id', 'GX/people', ...here);
  t.match(wrong, { code: EXIT.usage, stderr: /^IDENTIFIER_INVALID/ });
});

t.test('with a registry', async (t) => {
  const registry = await openThrowawayRegistry({ folder, instance: 'GX', clock: systemClock });
  t.teardown(() => registry.close());
  writeFileSync(at('key'), registry.apiKey, { mode: 0o600 });
  const there = ['--registry', registry.adminUrl, '--api-key-file', at('key'), '--json'];
  const table = () =>
    registry.call('GET', `/services/${SERVICE}/binding`).then(
      ({ body }) => body as { level: number },
      () => null,
    );
  await registry.call('POST', '/members', { id: 'GX/GOV/1', name: 'One' });
  await registry.call('POST', '/subsystems', { id: 'GX/GOV/1/civil', name: 'Civil' });
  t.match(await publish('people.yaml', ...there), { code: EXIT.precondition, stderr: /^DICTIONARY_MISSING/ });
  await registry.call('POST', '/dictionary', { release: '1.0.0', releasedOn: '2026-11-01', entries: ENTRIES });

  const refused = await publish('unbound.yaml', ...there);
  t.match(refused, { code: EXIT.usage, stderr: /unbound\.yaml:21:19 BIND_UNBOUND_LEAF / });
  const dry = await publish('people.yaml', ...there, '--dry-run');
  t.match(dry, { code: EXIT.ok });
  t.match(JSON.parse(dry.stdout), { registered: false, operations: 1, leaves: 1, level: 2 });
  t.equal(await table(), null, 'nothing was registered');

  const done = await publish('people.yaml', ...there, '--safe');
  t.match(done, { code: EXIT.ok, stderr: '' });
  const { bindingHash, registered } = JSON.parse(done.stdout);
  t.equal(registered, true);
  const { body } = await registry.call('GET', `/services/${SERVICE}`);
  t.match(body, { title: 'People', type: 'OPENAPI', safe: true, personalData: true, bindingHash });
  t.match(await table(), { service: SERVICE, level: 2 });
  t.equal(
    JSON.parse((await publish('people.yaml', ...here, '--json')).stdout).bindingHash,
    bindingHash,
    'as judged here',
  );

  const raised = await publish('income.yaml', ...there, '--title', 'Income');
  t.match(raised, { code: EXIT.usage, stderr: /income\.yaml:2:1 BIND_LEVEL_RAISED / });
  t.match(await table(), { level: 2 });
  t.match(await publish('confirmed.yaml', ...there, ...here, '--title', 'Income', '--no-personal-data'), {
    code: EXIT.ok,
  });
  t.match(await table(), { level: 3 });
  t.match((await registry.call('GET', `/services/${SERVICE}`)).body, { title: 'Income', personalData: false });

  const plain = yaml('maxLength: 40');
  writeFileSync(at('plain.yaml'), plain);
  const nothing = await publish('plain.yaml', ...there, '--no-personal-data');
  t.match(nothing, { code: EXIT.usage, stderr: /is bound to the dictionary\.\nNext: / });
  t.match(await table(), { level: 3 });
});
