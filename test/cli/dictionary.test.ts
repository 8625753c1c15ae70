// `accord dictionary` as the editors use it: a folder of entries that is checked, compared with another and with what a real
// registry has, handed over, and searched.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openThrowawayRegistry } from '#central-registry/throwaway.ts';
import { systemClock } from '#core/clock.ts';
import { ADMIN_KEY, accessRight, openPair } from '#scripts/campaign/pair.ts';
import { accord } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-cli-dictionary-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);

function element(id: string, over: object = {}): object {
  const words = { zh: `词 ${id}`, en: `Word ${id}` };
  return {
    kind: 'element',
    id: `gx.${id}`,
    version: '1.0.0',
    state: 'standard',
    labels: words,
    definition: words,
    domain: { type: 'string', minLength: 1, maxLength: 40 },
    level: 2,
    authorities: [{ jurisdiction: 'GX', member: 'GX/GOV/1', from: '2020-01-01', until: null }],
    tests: [
      { value: 'x', valid: true },
      { value: '', valid: false },
    ],
    ...over,
  };
}

function write(dictionary: string, kind: string, name: string, content: object | string): void {
  mkdirSync(at(`${dictionary}/${kind}`), { recursive: true });
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  writeFileSync(at(`${dictionary}/${kind}/${name}`), text);
}

write('one', 'elements', 'gx.a.name.json', element('a.name', { labels: { zh: '姓名', en: 'Full name' } }));
write('one', 'elements', 'gx.a.number@1.json', element('a.number'));
write('one', 'elements', 'README.md', 'notes');
cpSync(at('one'), at('two'), { recursive: true });
write('two', 'elements', 'gx.a.name.json', element('a.name', { version: '1.1.0', level: 3 }));
write('two', 'elements', 'gx.a.income.json', element('a.income'));
cpSync(at('two'), at('narrow'), { recursive: true });
const narrower = { version: '1.2.0', domain: { type: 'string', minLength: 1, maxLength: 3 } };
write('narrow', 'elements', 'gx.a.number@1.json', element('a.number', narrower));

t.test('check', async (t) => {
  const fine = await accord('dictionary', 'check', at('one'), '--json');
  t.equal(fine.code, 0, fine.stderr);
  const entries = { element: 2, codelist: 0, mapping: 0, predicate: 0, group: 0 };
  t.same(JSON.parse(fine.stdout), { elements: 2, failures: [], entries });
  const own = await accord('dictionary', 'check', '--json');
  const held = readdirSync('schemas/dictionary/elements').filter((name) => name.endsWith('.json')).length;
  t.match(own, { code: 0, stderr: '' });
  t.match(JSON.parse(own.stdout), { elements: held, failures: { length: 0 } });

  write('bad', 'elements', 'gx.a.name.json', element('a.name', { authorities: [] }));
  write('bad', 'elements', 'gx.a.other.json', element('a.number'));
  write('bad', 'elements', 'gx.a.twice.json', '{"id":1,"id":2}');
  write('bad', 'elements', 'gx.a.more.json', element('a.more', { colour: 'red' }));
  write('bad', 'elements', 'gx.a.text.txt', 'x');
  write('bad', 'groups', 'gx.a.lost.json', element('a.lost'));
  write('bad', 'group', 'x.json', '{}');
  const bad = await accord('dictionary', 'check', at('bad'), '--json');
  t.equal(bad.code, 2);
  t.match(bad.stderr, /^DICTIONARY_REFUSED.*\nNext: /s);
  const { failures } = JSON.parse(bad.stdout);
  t.same(
    failures.map(({ entry, code }: Record<string, string>) => `${entry} ${code}`).sort(),
    [
      'elements/gx.a.more.json SCHEMA_MISMATCH',
      'elements/gx.a.other.json DICT_FILE',
      'elements/gx.a.text.txt DICT_FILE',
      'elements/gx.a.twice.json JSON_DUPLICATE_NAME',
      'group DICT_FILE',
      'groups/gx.a.lost.json DICT_FILE',
      'gx.a.name@1 DICT_AUTHORITY_MISSING',
    ].sort(),
  );
  const shown = await accord('dictionary', 'check', at('bad'));
  t.match(shown, { code: 2, stdout: /gx\.a\.name@1 .*DICT_AUTHORITY_MISSING/ });
  t.match(await accord('dictionary', 'check', at('none')), { code: 3, stderr: /^ENOENT/ });
});

t.test('search and show', async (t) => {
  const found = await accord('dictionary', 'search', '姓名', '--folder', at('one'), '--json');
  t.match(JSON.parse(found.stdout), [{ ref: 'gx.a.name@1', kind: 'element', level: 2, zh: '姓名' }]);
  t.match(await accord('dictionary', 'search', 'full', 'name', '--folder', at('one')), {
    code: 0,
    stdout: 'gx.a.name@1',
  });
  t.match(await accord('dictionary', 'search', 'xyzzy', '--folder', at('one')), { code: 0, stdout: '(none)\n' });
  t.match(await accord('dictionary', 'search', 'x', '--limit', '0'), { code: 2 });
  for (const ref of ['gx.a.name@1', 'gx.a.name']) {
    const shown = await accord('dictionary', 'show', ref, '--folder', at('one'), '--json');
    t.same(JSON.parse(shown.stdout), JSON.parse(readFileSync(at('one/elements/gx.a.name.json'), 'utf8')));
  }
  t.match(await accord('dictionary', 'show', 'gx.a.name', '--folder', at('one')), {
    stdout: /姓名[\s\S]*Full name[\s\S]*GX\/GOV\/1/,
  });
  t.match(await accord('dictionary', 'show', 'gx.a.name@2', '--folder', at('one')), { code: 3, stderr: /\nNext: / });
});

t.test('diff and release', async (t) => {
  const registry = await openThrowawayRegistry({ folder: at('registry'), instance: 'GX', clock: systemClock });
  t.teardown(() => registry.close());
  writeFileSync(at('api.key'), `${registry.apiKey}\n`, { mode: 0o600 });
  const there = ['--registry', registry.adminUrl, '--api-key-file', at('api.key')];
  const dictionary = (verb: string, ...more: string[]) => accord('dictionary', verb, ...more);
  const json = async (verb: string, ...more: string[]) => {
    const ended = await dictionary(verb, ...more, '--json');
    t.equal(ended.code, 0, `${verb} ${more.join(' ')}: ${ended.stderr}`);
    return JSON.parse(ended.stdout);
  };

  const first = await json('diff', at('one'), ...there);
  t.match(first, { against: null, changes: [{ change: 'added' }, { change: 'added' }], faults: { length: 0 } });
  t.match(await json('release', at('one'), '--release', '1.0.0', ...there, '--dry-run'), {
    dryRun: true,
    release: '1.0.0',
  });
  t.match((await registry.call('GET', '/dictionary/release')).body, { release: null }, 'nothing was changed');
  const made = await json('release', at('one'), '--release', '1.0.0', '--released-on', '2026-11-02', ...there);
  t.match(made, {
    release: '1.0.0',
    releasedOn: '2026-11-02',
    entries: 2,
    changes: { length: 2 },
    asked: { services: true },
  });
  t.match((await registry.call('GET', '/dictionary')).body, { release: '1.0.0', entries: [{ id: 'gx.a.name' }, {}] });

  await registry.call('POST', '/members', { id: 'GX/GOV/1', name: 'One' });
  await registry.call('POST', '/subsystems', { id: 'GX/GOV/1/a', name: 'A' });
  const leaf = (ref: string) => ({ type: 'string', minLength: 1, maxLength: 40, 'x-accord-element': ref });
  const schema = { type: 'object', additionalProperties: false, properties: { name: leaf('gx.a.name@1') } };
  const subject = { schema: { type: 'string', maxLength: 40 }, 'x-accord-subject': 'gx.a.number@1' };
  const get = {
    parameters: [{ name: 'id', in: 'path', required: true, ...subject }],
    responses: { 200: { description: 'ok', content: { 'application/json': { schema } } } },
  };
  const description = { openapi: '3.1.0', info: { title: 'P', version: '1' }, paths: { '/p/{id}': { get } } };
  const service = { id: 'GX/GOV/1/a/p', title: 'P', type: 'OPENAPI', personalData: true, safe: true, description };
  await registry.call('POST', '/services', service);

  const raised = await json('diff', at('two'), ...there);
  t.match(raised, {
    against: '1.0.0',
    changes: [
      { entry: 'gx.a.income@1', change: 'added' },
      { entry: 'gx.a.name@1', versionAfter: '1.1.0', breaking: false, why: ['DICT_LEVEL_RAISED from 2 to 3'] },
    ],
    impact: [{ entry: 'gx.a.name@1', services: ['GX/GOV/1/a/p'], rights: { length: 0 } }],
    asked: { services: true, rights: false },
  });
  const shown = await dictionary('diff', at('two'), ...there);
  t.match(shown.stdout, /gx\.a\.name@1 .*1\.0\.0 → 1\.1\.0[\s\S]*GX\/GOV\/1\/a\/p/);
  t.match(shown.stdout, /access rights: not asked/);

  for (const refused of [
    await dictionary('diff', at('narrow'), '--against', at('two')),
    await dictionary('release', at('narrow'), '--release', '1.1.0', ...there),
    await dictionary('release', at('bad'), '--release', '1.1.0', ...there),
  ]) {
    t.match(refused, { code: 2, stderr: /^DICTIONARY_REFUSED.*\nNext: /s });
  }
  const folders = await dictionary('diff', at('two'), '--against', at('one'));
  t.match(folders, { code: 0, stdout: /services and purposes: not asked/ });
  t.match((await registry.call('GET', '/dictionary/release')).body, { release: '1.0.0' });
  t.match(await dictionary('release', at('two'), '--release', '1.0', ...there), { code: 2 });
  t.match(await dictionary('diff', at('two'), '--registry', 'http://127.0.0.1:1', '--api-key-file', at('api.key')), {
    code: 8,
  });
});

t.test('access rights that a change touches', async (t) => {
  const right = accessRight({ elements: ['gx.a.name@1'] });
  const pair = await openPair({ right });
  t.teardown(() => pair.close());
  writeFileSync(at('admin.key'), `${ADMIN_KEY}\n`, { mode: 0o600 });
  const admin = pair.provider.urls.admin;
  const server = ['--admin', admin, '--admin-key-file', at('admin.key')];
  const diff = await accord('dictionary', 'diff', at('two'), '--against', at('one'), ...server, '--json');
  t.match(JSON.parse(diff.stdout), {
    impact: [{ entry: 'gx.a.name@1', services: { length: 0 }, rights: [right.id] }],
    asked: { services: false, rights: true },
  });
});
