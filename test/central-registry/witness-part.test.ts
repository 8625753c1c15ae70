// Who vouches for logs, from an administrator's word to what servers read: refused where one would count twice, shown to
// approvers key by key, in force when two approved it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openThrowawayRegistry } from '#central-registry/throwaway.ts';
import { systemClock } from '#core/clock.ts';
import { changesBetween } from '#core/configuration/changes.ts';
import { fetchOverHttp } from '#core/configuration/fetch.ts';
import { verifyPublished } from '#core/configuration/gather.ts';
import { readPart } from '#core/configuration/parts.ts';
import { policyOf, witnessesFile } from '#core/configuration/witness-parts.ts';
import { openClient } from '#core/http/client.ts';
import type { WitnessesPart } from '#schemas/configuration.ts';
import { AnchoringWorld } from '#test/core/anchoring-world.ts';

const { part } = new AnchoringWorld(2, 'http://registry.example:4400');
const [first, second] = part.witnesses;

t.test('named, approved, read', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-witness-part-'));
  const registry = await openThrowawayRegistry({ folder, instance: 'DEV', clock: systemClock });
  const http = openClient();
  t.teardown(async () => {
    await http.close();
    await registry.close();
    rmSync(folder, { recursive: true, force: true });
  });
  t.match(await registry.call('GET', '/witnesses'), { body: { witnesses: null } });
  const cases: [string, object, string][] = [
    ['one name twice', { ...part, witnesses: [first, first] }, 'CONFIGURATION_INVALID'],
    ['a quorum nobody can reach', { ...part, quorum: 4 }, 'CONFIGURATION_INVALID'],
    [
      'a key cut short',
      { ...part, witnesses: [{ ...first, verifierKeys: [first?.verifierKeys[0]?.slice(0, -4)] }] },
      'SCHEMA_MISMATCH',
    ],
    [
      'an address that is none',
      { ...part, aggregate: { ...part.aggregate, url: 'ftp://x.example/y' } },
      'SCHEMA_MISMATCH',
    ],
    ['something more', { ...part, more: 1 }, 'SCHEMA_MISMATCH'],
  ];
  for (const [name, body, code] of cases) {
    await t.rejects(registry.call('POST', '/witnesses', body), new RegExp(code), name);
  }
  const mixed = { ...part, witnesses: part.witnesses.toReversed() };
  t.match(await registry.call('POST', '/witnesses', mixed), { status: 201 });
  t.match(await registry.call('GET', '/witnesses'), {
    body: { witnesses: { quorum: 2, witnesses: [{ name: 'witness-a' }, {}, {}] } },
  });
  await registry.publish();
  const fetch = fetchOverHttp(http, registry.configurationUrl);
  const { parts } = await verifyPublished(fetch, registry.anchor, systemClock.nowMs());
  const found = [...parts.values()].find(({ index }) => index.name === 'witnesses')?.index.witnesses;
  t.match(found && policyOf(found), { quorum: 2, witnesses: [{ name: 'witness-a', url: null }, {}, {}] });
  t.equal(found && policyOf(found), found && policyOf(found), 'one policy for one part');
});

t.test('what approvers are shown, and what a server refuses though it was approved', async (t) => {
  const read = (changed: WitnessesPart) => readPart('witnesses', witnessesFile(changed), 'DEV');
  const before = read({ ...part, witnesses: [first!], quorum: 1 });
  const after = read({ ...part, witnesses: [first!, { ...second!, url: 'http://b.example:4410' }], quorum: 2 });
  const changes = changesBetween([before], [after]).map(
    ({ change, kind, id }) => `${change} ${kind} ${id.slice(0, 40)}`,
  );
  t.match(changes, [
    /^added witness witness-b http:\/\/b\.example:4410$/,
    /^added witness-key witness-b\+[0-9a-f]{8}\+/,
    /^added witness-key witness-b\+[0-9a-f]{8}\+/,
    /^changed witness-quorum of$/,
  ]);
  const twice = { ...part, witnesses: [first!, { ...first!, name: 'witness-z' }] };
  t.throws(() => read(twice), { code: 'CONFIGURATION_INVALID' });
  const unordered = witnessesFile(part)
    .toString()
    .replace(/"witnesses":\[(\{.*?\}),(\{.*?\}),/, '"witnesses":[$2,$1,');
  t.throws(() => readPart('witnesses', Buffer.from(unordered), 'DEV'), { code: 'CONFIGURATION_INVALID' });
});
