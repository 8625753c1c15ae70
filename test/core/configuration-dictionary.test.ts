// The dictionary and the binding tables as parts of the global configuration: a server holds exactly what was released,
// a table counts only where its hash is registered, and a release of which a part is missing is not taken.
import fc from 'fast-check';
import t from 'tap';
import { changesBetween } from '#core/configuration/changes.ts';
import { bindingHashOf, dictionaryFiles, releaseOf } from '#core/configuration/dictionary-parts.ts';
import { partShardOf, readPart } from '#core/configuration/parts.ts';
import { type BindingTable, bindingTableText } from '#schemas/binding-table.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import { type DictionaryEntry, type ElementEntry, refOf } from '#schemas/dictionary-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { RegisteredService } from '#schemas/registrations.ts';
import { ann, bob, member, setUp } from './configuration-site.ts';

const SERVICE = 'TEST/GOV/1/a/person';

function element(id: string, more: Partial<ElementEntry> = {}): ElementEntry {
  return {
    kind: 'element',
    id: `gx.${id}`,
    version: '1.0.0',
    state: 'standard',
    labels: { zh: '名', en: id },
    definition: { zh: '定义', en: 'A definition' },
    domain: { type: 'string', maxLength: 40 },
    level: 2,
    authorities: [{ jurisdiction: 'TEST', member: 'TEST/GOV/1', from: '2020-01-01', until: null }],
    tests: [
      { value: 'x', valid: true },
      { value: 1, valid: false },
    ],
    ...more,
  };
}

function table(service = SERVICE, name = 'x'): BindingTable {
  const leaf = { role: 'data' as const, path: `/${name}`, element: `gx.${name}@1`, level: 2 as const };
  return {
    v: 1,
    service,
    jurisdiction: 'TEST',
    level: 2,
    operations: [
      {
        method: 'GET',
        path: '/persons/{id}',
        subject: { in: 'path', name: 'id', scheme: 'gx.person.id@1' },
        asOf: null,
        purposes: [],
        responses: [{ status: '200', mediaType: 'application/json', leaves: [leaf] }],
      },
    ],
  };
}

function service(id: string, bindingHash: string | null): RegisteredService {
  return { id, title: 'S', type: 'OPENAPI', descriptionHash: null, bindingHash, personalData: true, safe: true };
}

const row = (of: BindingTable) => ({ service: of.service, text: bindingTableText(of) });
const refs = (entries: readonly DictionaryEntry[]) => entries.map(refOf).sort();
const code = (run: () => unknown) => {
  try {
    run();
    return 'none';
  } catch (error) {
    return isAccordError(error) ? error.code : String(error);
  }
};

t.test('a server holds what was released, and the tables that are registered', async (t) => {
  const { clock, site, open } = setUp(t);
  const members = [member('TEST/GOV/1', 0), member('TEST/GOV/2', 0)];
  site.publish(1, members);
  const client = await open();
  const empty = client.current();
  t.equal(empty.dictionary(), null);
  t.equal(empty.binding(SERVICE), undefined);
  t.same(empty.services(), []);

  const entries = Array.from({ length: 40 }, (_, at) => element(`e${at}`));
  const [good, stranger] = [table(), table('TEST/GOV/2/a/other', 'y')];
  const unregistered = table('TEST/GOV/2/a/gone');
  const services = [service(stranger.service, bindingHashOf(good)), service(SERVICE, bindingHashOf(good))];
  const more = {
    services: [...services, service('TEST/GOV/2/a/unbound', null)],
    dictionary: dictionaryFiles('1.0.0', '2026-11-01', entries),
    bindings: [row(good), row(stranger), row(unregistered), row(table('TEST/GOV/2/a/unbound'))],
  };
  clock.ms += 1;
  site.publish(2, members, [ann, bob], more);
  t.match(await client.refresh(), { outcome: 'updated', version: 2 });
  const first = client.current();
  t.equal(first.dictionary()?.release, '1.0.0');
  t.same(refs(first.dictionary()?.entries ?? []), refs(entries));
  t.same(first.binding(SERVICE), good);
  t.equal(first.binding(stranger.service), undefined, 'another table than the registered one is none');
  t.equal(first.binding(unregistered.service), undefined, 'a table of no service is none');
  t.equal(first.binding('TEST/GOV/2/a/unbound'), undefined, 'a table that no hash names is none');
  t.same(
    first.services().map(({ id }) => id),
    [SERVICE, 'TEST/GOV/2/a/other', 'TEST/GOV/2/a/unbound'],
  );

  clock.ms += 1;
  site.publish(3, [...members, member('TEST/GOV/3', 0)], [ann, bob], more);
  await client.refresh();
  const second = client.current();
  t.equal(second.version, 3);
  t.equal(second.dictionary(), first.dictionary(), 'the same release is the same object');
  t.equal(second.binding(SERVICE), first.binding(SERVICE));
  clock.ms += 1;
  site.publish(4, members, [ann, bob], {
    ...more,
    dictionary: dictionaryFiles('1.1.0', '2026-11-02', entries.slice(1)),
  });
  await client.refresh();
  t.equal(client.current().dictionary()?.release, '1.1.0');
  t.equal(client.current().dictionary()?.entries.length, 39);
  t.equal(second.dictionary()?.entries.length, 40, 'an exchange under way keeps the release it began with');

  await client.close();
  const again = await open([]);
  t.same(again.current().binding(SERVICE), good, 'also after a restart, from the durable copy');
  t.equal(again.current().dictionary()?.entries.length, 39);
});

t.test('a release of which something is missing is not taken', async (t) => {
  const { clock, site, alarms, open } = setUp(t);
  const members = [member('TEST/GOV/1', 0)];
  site.publish(1, members);
  const client = await open();
  const whole = dictionaryFiles(
    '1.0.0',
    '2026-11-01',
    Array.from({ length: 40 }, (_, at) => element(`e${at}`)),
  );
  const without = (name: string) => new Map([...whole].filter(([each]) => each !== name));
  const shard = [...whole.keys()].find((name) => name.startsWith('dictionary/')) ?? '';
  const cases: [string, Map<string, Buffer>][] = [
    ['a shard is missing', without(shard)],
    ['the release is not named', without('dictionary')],
    ['a shard of another release', new Map([...whole, ...dictionaryFiles('1.0.0', '2026-11-01', [element('e0')])])],
  ];
  let version = 1;
  for (const [name, dictionary] of cases) {
    clock.ms += 1;
    version += 1;
    site.previous = null;
    site.publish(version, members, [ann, bob], { dictionary });
    t.match(await client.refresh(), { outcome: 'failed', version: 1, code: 'CONFIGURATION_INVALID' }, name);
  }
  t.equal(alarms.filter((each) => each === 'CONFIGURATION_INVALID').length, cases.length);
  t.equal(client.current().dictionary(), null);
});

t.test('parts that nobody released like this', async (t) => {
  const text = (entries: unknown[]) => Buffer.from(`${canonicalJson({ entries } as never)}\n`);
  const files = dictionaryFiles('1.0.0', '2026-11-01', [element('a'), element('a', { version: '2.0.0' })]);
  const name = [...files.keys()].find((each) => each.startsWith('dictionary/')) ?? '';
  const other = name === 'dictionary/0' ? 'dictionary/1' : 'dictionary/0';
  const [one, two] = [element('a'), element('a', { version: '2.0.0' })];
  const tables = (...list: unknown[]) => Buffer.from(canonicalJson({ tables: list } as never));
  const shard = `bindings/${partShardOf('TEST/GOV/1')}`;
  const notYours = table('TEST/GOV/2/a/x');
  const cases: [string, string, Buffer, string][] = [
    ['as released', name, text([one, two]), 'none'],
    ['in another order', name, text([two, one]), 'CONFIGURATION_INVALID'],
    ['twice', name, text([one, one]), 'CONFIGURATION_INVALID'],
    ['in another shard', other, text([one]), 'CONFIGURATION_INVALID'],
    ['an empty shard', name, text([]), 'CONFIGURATION_INVALID'],
    ['of a kind that there is not', name, text([{ ...one, kind: 'constructor' }]), 'CONFIGURATION_INVALID'],
    ['of no kind', name, text([{ id: 'gx.a' }]), 'CONFIGURATION_INVALID'],
    ['with a further member', name, text([{ ...one, note: '' }]), 'CONFIGURATION_INVALID'],
    ['a codelist in an element’s clothes', name, text([{ ...one, kind: 'codelist' }]), 'CONFIGURATION_INVALID'],
    ['no object', name, text(['x']), 'CONFIGURATION_INVALID'],
    ['a release without a number', 'dictionary', Buffer.from('{"v":1}'), 'CONFIGURATION_INVALID'],
    ['a table', shard, tables(table()), 'none'],
    ['a table twice', shard, tables(table(), table()), 'CONFIGURATION_INVALID'],
    ['tables in another order', shard, tables(table('TEST/GOV/1/b/a'), table()), 'CONFIGURATION_INVALID'],
    ['a table in another shard', shard, tables(notYours), 'CONFIGURATION_INVALID'],
    ['a table of another instance', shard, tables(table('PROD/GOV/1/a/x')), 'CONFIGURATION_INSTANCE'],
    ['a table with a further member', shard, tables({ ...table(), note: 1 }), 'CONFIGURATION_INVALID'],
  ];
  for (const [what, part, bytes, expected] of cases) {
    t.equal(
      code(() => readPart(part, bytes, 'TEST')),
      expected,
      what,
    );
  }
});

t.test('an approver sees each word that changes', async (t) => {
  const read = (files: Map<string, Buffer>) => [...files].map(([name, bytes]) => readPart(name, bytes, 'TEST'));
  const before = read(dictionaryFiles('1.0.0', '2026-11-01', [element('a'), element('b'), element('c')]));
  const changed = [element('a'), element('b', { level: 4 }), element('d'), element('b', { version: '2.0.0' })];
  const after = read(dictionaryFiles('1.1.0', '2026-11-02', changed));
  const shard = `bindings/${partShardOf('TEST/GOV/1')}`;
  const bound = (...list: BindingTable[]) =>
    readPart(shard, Buffer.from(canonicalJson({ tables: list } as never)), 'TEST');
  const seen = changesBetween([...before, bound(table())], [...after, bound(table(SERVICE, 'y'))]);
  t.same(
    seen.map(({ change, kind, id }) => `${change} ${kind} ${id}`),
    [
      `changed binding ${SERVICE}`,
      'removed dictionary-release 1.0.0',
      'added dictionary-release 1.1.0',
      'changed element gx.b@1',
      'added element gx.b@2',
      'removed element gx.c@1',
      'added element gx.d@1',
    ],
  );
  t.same(changesBetween([...before, bound(table())], [...before, bound(table())]), []);
});

t.test('a release of the same name with other entries is another one', async (t) => {
  const read = (entries: ElementEntry[]) =>
    [...dictionaryFiles('1.0.0', '2026-11-01', entries)].map(([name, bytes]) => readPart(name, bytes, 'TEST'));
  const [named, ...shards] = read([element('a'), element('b')]);
  const [, ...others] = read([element('a', { level: 4 }), element('b')]);
  if (!named) throw new Error('a release has a first part');
  const first = releaseOf([named, ...shards]);
  const second = releaseOf([named, ...others]);
  t.equal(releaseOf([named, ...others]), second);
  t.equal(first?.entries.length, 2);
  t.match(
    second?.entries.find(({ id }) => id === 'gx.a'),
    { level: 4 },
  );
});

t.test('every dictionary comes out of its parts as it went in', async (t) => {
  const id = fc.stringMatching(/^[a-z]{1,6}$/);
  const entry = fc
    .tuple(id, fc.integer({ min: 1, max: 3 }), fc.constantFrom(0.01, 0.1, 1e-9, 3))
    .map(([name, major, step]) =>
      element(name, { version: `${major}.0.0`, domain: { type: 'number', multipleOf: step } }),
    );
  const entries = fc.uniqueArray(entry, { selector: refOf, minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(entries, (list) => {
      const files = dictionaryFiles('1.0.0', '2026-11-01', list);
      const parts = [...files].map(([name, bytes]) => readPart(name, bytes, 'TEST'));
      const found = parts.flatMap((part) => part.entries);
      const byRef = (a: DictionaryEntry, b: DictionaryEntry) => (refOf(a) < refOf(b) ? -1 : 1);
      t.strictSame(found.sort(byRef), list.toSorted(byRef));
      t.equal(parts.find((part) => part.dictionary)?.dictionary?.entries, list.length);
      const shuffled = dictionaryFiles('1.0.0', '2026-11-01', list.toReversed());
      t.strictSame([...shuffled].sort(), [...files].sort(), 'the same entries are the same files');
    }),
    { numRuns: 30 },
  );
});
