// Releases of the dictionary and services that are bound to it, over the admin API of a real registry, down to what a
// security server reads: what is refused and why, and that nothing half-taken remains.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { openReleasedDictionary } from '#central-registry/released-dictionary.ts';
import { RegistryStore } from '#central-registry/store-sqlite.ts';
import { openThrowawayRegistry } from '#central-registry/throwaway.ts';
import { openThrowAwayAuthority } from '#cli/dev/throw-away-authority.ts';
import { systemClock } from '#core/clock.ts';
import { type ConfigurationClient, openConfigurationClient } from '#core/configuration/client.ts';
import { bindingHashOf } from '#core/configuration/dictionary-parts.ts';
import { fetchOverHttp } from '#core/configuration/fetch.ts';
import { openClient } from '#core/http/client.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import type { ElementEntry } from '#schemas/dictionary-entry.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_DICTIONARY_BYTES } from '#schemas/limits.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-dictionary-'));
const http = openClient();
const registry = await openThrowawayRegistry({ folder, instance: 'GX', clock: systemClock });
let client: ConfigurationClient;
t.teardown(async () => {
  await client.close();
  await registry.close();
  await http.close();
  rmSync(folder, { recursive: true, force: true });
});

type Answer = { status: number; code: string; detail: string; body: Record<string, unknown> };

async function ask(method: string, path: string, body?: object, apiKey = registry.apiKey): Promise<Answer> {
  const answer = await http.request({
    method,
    url: `${registry.adminUrl}${path}`,
    headers: [
      ['authorization', `Bearer ${apiKey}`],
      ...(body === undefined ? [] : ([['content-type', 'application/json']] as const)),
    ],
    ...(body && { body: Buffer.from(JSON.stringify(body)) }),
  });
  const parsed = parseJson(answer.body) as Record<string, unknown>;
  const code = answer.status < 400 ? '' : String(parsed['code']);
  return { status: answer.status, code, detail: String(parsed['detail'] ?? ''), body: parsed };
}

function element(id: string, more: Partial<ElementEntry> = {}): ElementEntry {
  return {
    kind: 'element',
    id: `gx.person.${id}`,
    version: '1.0.0',
    state: 'standard',
    labels: { zh: '名称', en: `Label of ${id}` },
    definition: { zh: '定义', en: `What ${id} means` },
    domain: { type: 'string', minLength: 1, maxLength: 40 },
    level: 2,
    authorities: [{ jurisdiction: 'GX', member: 'GX/GOV/1', from: '2020-01-01', until: null }],
    tests: [
      { value: 'x', valid: true },
      { value: '', valid: false },
    ],
    ...more,
  };
}

const [number, name, income] = [element('number'), element('name'), element('income', { level: 3 })];
const FIRST = [number, name, income];
const release = (version: string, entries: readonly object[], releasedOn = '2026-11-01') => ({
  release: version,
  releasedOn,
  entries,
});

/** One operation whose answer has these leaves; `info` beside title and version. */
function description(leaves: Record<string, string>, info: object = {}): object {
  const leaf = (ref: string) => ({ type: 'string', minLength: 1, maxLength: 40, 'x-accord-element': ref });
  const properties = Object.fromEntries(Object.entries(leaves).map(([at, ref]) => [at, leaf(ref)]));
  const schema = { type: 'object', additionalProperties: false, properties };
  const subject = { schema: { type: 'string', maxLength: 40 }, 'x-accord-subject': 'gx.person.number@1' };
  return {
    openapi: '3.1.0',
    info: { title: 'Persons', version: '1', ...info },
    paths: {
      '/persons/{id}': {
        get: {
          parameters: [{ name: 'id', in: 'path', required: true, ...subject }],
          responses: { 200: { description: 'ok', content: { 'application/json': { schema } } } },
        },
      },
    },
  };
}

const service = (of: object | null, more: object = {}) => ({
  id: 'GX/GOV/1/a/person',
  title: 'Person',
  type: 'OPENAPI',
  personalData: true,
  safe: true,
  description: of,
  ...more,
});
const NAME = description({ name: 'gx.person.name@1' });
const UNKNOWN = description({ name: 'gx.person.name@1', other: 'gx.person.other@1', third: 'gx.person.third@1' });
const PLAIN = JSON.parse(JSON.stringify(NAME, (at, value) => (at.startsWith('x-accord-') ? undefined : value)));

t.before(async () => {
  const { anchors } = (await openThrowAwayAuthority(systemClock)).trust;
  await registry.call('POST', '/trust', { kind: 'anchor', der: anchors[0]?.toString('base64url') });
  for (const at of [1, 2]) {
    await registry.call('POST', '/members', { id: `GX/GOV/${at}`, name: `Member ${at}` });
    await registry.call('POST', '/subsystems', { id: `GX/GOV/${at}/a`, name: 'A' });
  }
  await registry.publish();
  client = await openConfigurationClient({
    folder: join(folder, 'client'),
    anchor: registry.anchor,
    clock: systemClock,
    fetch: registry.anchor.urls.map((url) => fetchOverHttp(http, url)),
    pollMs: 0,
  });
});

t.test('a release is judged whole, and follows the one before', async (t) => {
  t.match(await ask('GET', '/dictionary'), { body: { release: null, releasedOn: null, entries: [] } });
  for (const path of ['/services', '/services/judge']) {
    t.match(await ask('POST', path, service(NAME)), { status: 409, code: 'DICTIONARY_MISSING' }, path);
  }
  const broken = { ...name, tests: [{ value: 'x', valid: false }, ...name.tests] };
  const cases: [string, object, number, string, RegExp][] = [
    ['no entry', release('1.0.0', []), 400, 'SCHEMA_MISMATCH', /entries/],
    ['no version', release('1.0', FIRST), 400, 'SCHEMA_MISMATCH', /release/],
    ['no day', release('1.0.0', FIRST, '2026-02-30'), 422, 'DICTIONARY_REFUSED', /2026-02-30/],
    [
      'an unknown kind',
      release('1.0.0', [{ ...name, kind: 'toString' }]),
      422,
      'DICTIONARY_REFUSED',
      /gx\.person\.name/,
    ],
    ['an unknown member', release('1.0.0', [{ ...name, x: 1 }]), 422, 'DICTIONARY_REFUSED', /gx\.person\.name.*\(x\)/],
    ['an entry twice', release('1.0.0', [name, name]), 422, 'DICTIONARY_REFUSED', /DICT_DUPLICATE_REF/],
    ['a test that fails', release('1.0.0', [number, broken]), 422, 'DICTIONARY_REFUSED', /gx\.person\.name@1: DICT_/],
    ['judged only', release('1.0.0', FIRST), 200, '', /^$/],
  ];
  for (const [what, body, status, code, detail] of cases) {
    const answer = await ask('POST', `/dictionary${status === 200 ? '?dryRun=true' : ''}`, body);
    t.match({ status: answer.status, code: answer.code, detail: answer.detail }, { status, code, detail }, what);
  }
  t.match(await ask('GET', '/dictionary/release'), { body: { release: null, entries: 0 } }, 'nothing was taken');
  t.match(await ask('POST', '/dictionary', release('1.0.0', FIRST)), { status: 201, body: { entries: 3 } });
  t.match(await ask('GET', '/dictionary/release'), {
    body: { release: '1.0.0', releasedOn: '2026-11-01', entries: 3 },
  });
  t.equal(((await ask('GET', '/dictionary')).body['entries'] as unknown[]).length, 3);

  const narrower = { ...name, version: '1.1.0', domain: { ...name.domain, maxLength: 20 } };
  const next: [string, object, RegExp][] = [
    ['the same release', release('1.0.0', FIRST), /does not follow/],
    ['an older one', release('0.9.0', FIRST), /release/],
    ['an element in use is gone', release('1.1.0', [number, name]), /gx\.person\.income@1: DICT_REMOVED/],
    ['a narrower domain in a minor', release('2.0.0', [number, narrower, income]), /gx\.person\.name@1: DICT_BREAKING/],
  ];
  for (const [what, body, detail] of next) {
    const answer = await ask('POST', '/dictionary', body);
    t.match({ refused: answer.status >= 400, detail: answer.detail }, { refused: true, detail }, what);
  }
  const roles = { 'registration-officer': 403, publisher: 403, auditor: 403 };
  for (const [role, status] of Object.entries(roles)) {
    const { body } = await ask('POST', '/api-keys', { name: role, role });
    t.match(await ask('POST', '/dictionary', release('1.1.0', FIRST), String(body['apiKey'])), { status }, role);
    t.match(await ask('GET', '/dictionary/release', undefined, String(body['apiKey'])), { status: 200 });
  }

  t.equal(client.current().dictionary(), null, 'in force only with a content that two persons approved');
  await registry.publish();
  await client.refresh();
  t.equal(client.current().dictionary()?.release, '1.0.0');
  t.equal(client.current().dictionary()?.entries.length, 3);
});

t.test('a release of many elements fits, one over the limit does not', async (t) => {
  const many = Array.from({ length: 2_500 }, (_, at) =>
    element(`many${at}`, { definition: { zh: '说明'.repeat(150), en: `Word ${'text '.repeat(60)}` } }),
  );
  const body = release('1.1.0', [...FIRST, ...many]);
  t.ok(JSON.stringify(body).length > 1024 * 1024, 'more than other requests may have');
  t.match(await ask('POST', '/dictionary?dryRun=true', body), { status: 200, body: { entries: 2_503 } });
  const tooLarge = { ...body, x: 'x'.repeat(MAX_DICTIONARY_BYTES) };
  t.match(await ask('POST', '/dictionary', tooLarge), { status: 413, code: 'BODY_TOO_LARGE' });
  t.match(
    await ask('POST', '/members', { id: 'x'.repeat(1024 * 1024) }),
    { code: 'BODY_TOO_LARGE' },
    'others as before',
  );
});

t.test('a service that names the dictionary is registered with its table, or not at all', async (t) => {
  const faults = ['BIND_UNKNOWN_ELEMENT', 'BIND_UNKNOWN_ELEMENT'];
  const judged = await ask('POST', '/services/judge', service(UNKNOWN));
  t.match(judged, { status: 200, body: { table: null, bindingHash: null } });
  t.same(
    (judged.body['faults'] as { code: string }[]).map(({ code }) => code),
    faults,
    'every fault is told',
  );
  t.match(
    await ask('POST', '/services', service(UNKNOWN)),
    { status: 422, code: 'BIND_UNKNOWN_ELEMENT', detail: /^\/paths\/~1persons~1\{id\}\/.*\(and 1 more\)$/ },
    'the first with its place',
  );
  const stranger = await ask('POST', '/services', service(NAME, { id: 'GX/GOV/2/a/person' }));
  t.match(stranger, { code: 'BIND_NOT_AUTHORITY' });
  t.match(await ask('POST', '/services/judge', service({ openapi: '3.1.0' })), { code: 'DESCRIPTION_REFUSED' });
  const unbound = await ask('POST', '/services', service(PLAIN));
  t.match(unbound, { code: 'BIND_UNBOUND_LEAF' }, 'personal data under no word of the dictionary');
  t.match(await ask('GET', '/services'), { body: { items: [] } }, 'judging writes nothing');

  const good = (await ask('POST', '/services/judge', service(NAME))).body;
  const table = good['table'] as BindingTable;
  t.equal(good['bindingHash'], bindingHashOf(table));
  t.match(table, { service: 'GX/GOV/1/a/person', level: 2, operations: [{ subject: { in: 'path', name: 'id' } }] });
  t.match(await ask('POST', '/services', service(NAME)), {
    status: 201,
    body: { bindingHash: good['bindingHash'], personalData: true },
  });
  t.same((await ask('GET', '/services/GX/GOV/1/a/person/binding')).body, table);
  t.same((await ask('GET', '/bindings')).body, { items: [table], next: null });
  const open = service(PLAIN, { id: 'GX/GOV/1/a/plain', personalData: false });
  t.match(await ask('POST', '/services', open), { status: 201, body: { bindingHash: null } });
  const bare = service(null, { id: 'GX/GOV/1/a/bare', type: 'REST' });
  t.match(await ask('POST', '/services', bare), { status: 201, body: { bindingHash: null } }, 'nothing to bind yet');
  t.match(await ask('GET', '/services/GX/GOV/1/a/plain/binding'), { code: 'REGISTRATION_UNKNOWN' });

  await registry.publish();
  await client.refresh();
  t.same(client.current().binding('GX/GOV/1/a/person'), table);
  t.equal(client.current().binding('GX/GOV/1/a/plain'), undefined);

  const raised = { name: 'gx.person.name@1', income: 'gx.person.income@1' };
  t.match(await ask('POST', '/services', service(description(raised))), { code: 'BIND_LEVEL_RAISED' });
  const confirmed = service(description(raised, { 'x-accord-level': 3 }));
  t.match(await ask('POST', '/services', confirmed), { status: 201 }, 'the author says that it is more sensitive');
  t.match(await ask('GET', '/services/GX/GOV/1/a/person/binding'), { body: { level: 3 } });
});

t.test('a release leaves every bound service bound, or is refused', async (t) => {
  const at = (entry: ElementEntry, version: string, more: Partial<ElementEntry> = {}) => ({
    ...entry,
    version,
    ...more,
  });
  const replacement = element('earnings', { level: 3 });
  const moved = { authorities: [{ jurisdiction: 'GX', member: 'GX/GOV/2', from: '2020-01-01', until: null }] };
  const before = (await ask('GET', '/dictionary/release')).body['release'];
  const elsewhere = release('1.2.0', [number, at(name, '1.1.0', moved), income]);
  t.match(await ask('POST', '/dictionary', elsewhere), {
    code: 'DICTIONARY_REFUSED',
    detail: /^GX\/GOV\/1\/a\/person: BIND_NOT_AUTHORITY /,
  });
  t.equal((await ask('GET', '/dictionary/release')).body['release'], before, 'undone as a whole');

  const deprecated = { state: 'deprecated' as const, replacedBy: 'gx.person.earnings@1' };
  const next = release('1.2.0', [number, name, at(income, '1.0.1', deprecated), replacement]);
  t.match(await ask('POST', '/dictionary', next), { status: 201, body: { services: 1 } }, 'deprecated is still in use');
  const higher = release('1.3.0', [number, at(name, '1.1.0', { level: 3 }), next.entries[2] as object, replacement]);
  t.match(await ask('POST', '/dictionary', higher), { status: 201 });
  const service = (await ask('GET', '/services/GX/GOV/1/a/person')).body;
  const table = (await ask('GET', '/services/GX/GOV/1/a/person/binding')).body as unknown as BindingTable;
  t.match(table.operations[0]?.responses[0]?.leaves, [{ level: 3 }, { level: 3 }], 'compiled anew');
  t.equal(service['bindingHash'], bindingHashOf(table), 'and registered so');
  await registry.publish();
  await client.refresh();
  t.equal(client.current().dictionary()?.release, '1.3.0');
  t.same(client.current().binding('GX/GOV/1/a/person'), table);

  t.match((await ask('GET', '/dictionary')).body, { release: '1.3.0', entries: { length: 4 } });
  const reopened = new RegistryStore(join(folder, 'registry.db'));
  t.teardown(() => reopened.close());
  const again = openReleasedDictionary(reopened, 'GX').current();
  t.match(again, { release: '1.3.0', entries: { length: 4 } }, 'after a restart too');
});

t.test('a registry of before there was a dictionary', async (t) => {
  const file = join(folder, 'old.db');
  const old = new Database(file);
  const columns = 'id TEXT PRIMARY KEY, subsystem TEXT NOT NULL, title TEXT NOT NULL, type TEXT NOT NULL';
  old.exec(`CREATE TABLE services (${columns}, description_hash TEXT, personal_data INTEGER NOT NULL, safe INTEGER NOT NULL) STRICT;
    INSERT INTO services VALUES ('GX/GOV/1/a/old', 'GX/GOV/1/a', 'Old', 'REST', NULL, 1, 1)`);
  old.close();
  const store = new RegistryStore(file);
  t.teardown(() => store.close());
  t.match(store.service('GX/GOV/1/a/old'), { title: 'Old', bindingHash: null });
  t.equal(store.dictionary.release(), undefined);
});

t.test('a table goes with its service', async (t) => {
  t.equal(((await ask('GET', '/bindings')).body['items'] as unknown[]).length, 1);
  t.match(await ask('POST', '/services', service(PLAIN, { personalData: false })), { body: { bindingHash: null } });
  t.same((await ask('GET', '/bindings')).body['items'], [], 'a service that is bound no longer has no table');
  await registry.call('POST', '/services', service(NAME));
  t.match(await ask('DELETE', '/services/GX/GOV/1/a/person'), { status: 200 });
  t.same((await ask('GET', '/bindings')).body['items'], [], 'nor has one that is gone');
});
