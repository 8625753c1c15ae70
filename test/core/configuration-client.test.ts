// The configuration client against a registry that is away, wrong, or late, over real HTTP and a real folder: the last
// good configuration stays, nothing older comes back, also after a restart, and its age has a name.
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openConfigurationFace } from '#central-registry/configuration-face.ts';
import { openConfigurationClient } from '#core/configuration/client.ts';
import { fetchFromFolder, fetchOverHttp } from '#core/configuration/fetch.ts';
import { partsOf } from '#core/configuration/parts.ts';
import { fileHash } from '#core/configuration/verify.ts';
import { openClient } from '#core/http/client.ts';
import { addressOf } from '#core/http/server-frame.ts';
import { cpuMs } from '#test/cpu-time.ts';
import { ann, HOUR, MINUTE, member, setUp } from './configuration-site.ts';

t.test('a new version, only its changed parts, and the registry away', async (t) => {
  const { clock, site, open } = setUp(t);
  const face = openConfigurationFace(site.folder);
  const asked: string[] = [];
  face.addHook('onRequest', async (request) => void asked.push(request.url));
  await face.listen({ host: '127.0.0.1', port: 0 });
  const http = openClient();
  t.teardown(() => http.close());
  site.publish(1, [member('TEST/GOV/1', 0), member('TEST/GOV/2', 0)]);
  const client = await open([fetchOverHttp(http, addressOf(face))]);
  t.equal(client.current().version, 1);
  const server = client.current().server('TEST/GOV/1/ss1');
  const hash = server?.authenticationCertificates[0]?.hash ?? '';
  t.equal(client.current().serverByAuthenticationHash(hash)?.id, 'TEST/GOV/1/ss1');
  t.equal(client.current().serversOf('TEST/GOV/2/a').length, 1);
  t.equal(client.current().hasSubsystem('TEST/GOV/3/a'), false);
  let changes = 0;
  client.onChange(() => changes++);

  asked.length = 0;
  t.match(await client.refresh(), { outcome: 'unchanged' });
  t.same(asked, ['/freshness.jws'], 'unchanged news costs one request');
  clock.ms += MINUTE;
  site.publish(2, [member('TEST/GOV/1', 0), member('TEST/GOV/2', 1)]);
  asked.length = 0;
  t.match(await client.refresh(), { outcome: 'updated', version: 2 });
  t.equal(asked.filter((url) => url.startsWith('/parts/')).length, 1, 'one part changed, one was fetched');
  t.equal(changes, 1);

  await face.close();
  clock.ms += 9 * MINUTE;
  t.match(await client.refresh(), { outcome: 'failed', version: 2, code: /^PEER_/ });
  t.equal(client.freshness(), 'fresh');
  clock.ms += 2 * MINUTE;
  t.equal(client.freshness(), 'stale');
  clock.wallMs = -HOUR;
  t.equal(client.freshness(), 'stale', 'a clock set back does not make old news fresh');
  clock.ms += 24 * HOUR;
  t.equal(client.freshness(), 'too-old');
  t.equal(client.current().version, 2, 'what was verified last is still there');
});

t.test('wrong news is an alarm and changes nothing', async (t) => {
  const { clock, site, alarms, open } = setUp(t);
  const members = [member('TEST/GOV/1', 0)];
  const first = site.publish(5, members);
  const client = await open();
  const held = site.previous;
  const flip = (name: string) => {
    const bytes = readFileSync(join(site.folder, name));
    bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20);
    site.write(name, bytes);
  };
  const partOf = () => {
    const fresh = [member('TEST/GOV/9', clock.ms)];
    site.publish(6, fresh);
    return `parts/${fileHash([...partsOf({ members: fresh, services: [], trust: { anchors: [], intermediates: [], crls: [] }, limits: {} }).values()][0]!)}`;
  };
  const attacks: [string, () => void, string][] = [
    ['an older content', () => site.sign({ version: 4, hash: first }), 'CONFIGURATION_ROLLBACK'],
    ['a fork', () => site.sign({ version: 5, hash: first.split('').reverse().join('') }), 'CONFIGURATION_FORKED'],
    ['one approver', () => void site.publish(6, members, [ann]), 'CONFIGURATION_THRESHOLD'],
    ['a changed part', () => flip(partOf()), 'CONFIGURATION_PART_WRONG'],
    ['a missing part', () => rmSync(join(site.folder, partOf())), 'CONFIGURATION_PART_WRONG'],
    [
      'a changed content',
      () => {
        site.publish(6, members);
        flip('content.6.jws');
      },
      'CONFIGURATION_PART_WRONG',
    ],
    ['a member of another instance', () => void site.publish(6, [member('PROD/GOV/1', 0)]), 'CONFIGURATION_INSTANCE'],
    [
      'a changed freshness',
      () => {
        site.sign(held);
        flip('freshness.jws');
      },
      'JWS_',
    ],
    [
      'an old freshness',
      () => {
        clock.ms -= 2 * MINUTE;
        site.sign(held);
        clock.ms += 2 * MINUTE;
      },
      'CONFIGURATION_ROLLBACK',
    ],
  ];
  for (const [name, attack, want] of attacks) {
    clock.ms += 1000;
    alarms.length = 0;
    site.previous = held;
    attack();
    const result = await client.refresh();
    t.match(result, { outcome: 'failed', version: 5, code: new RegExp(`^${want}`) }, name);
    t.equal(alarms.length, 1, `${name}: one alarm`);
    t.equal(client.current().hash, first, `${name}: the last good one stays`);
  }
  clock.ms += 1000;
  site.previous = held;
  site.publish(7, members);
  t.match(await client.refresh(), { outcome: 'updated', version: 7 }, 'good news after all that is taken');
});

t.test('distrust counts at once, even when the content of the same news is wrong', async (t) => {
  const { clock, site, open } = setUp(t);
  site.publish(1, [member('TEST/GOV/1', 0)]);
  const client = await open();
  const hash = client.current().server('TEST/GOV/1/ss1')?.authenticationCertificates[0]?.hash ?? '';
  let told = 0;
  client.onChange(() => told++);
  clock.ms += MINUTE;
  site.publish(2, [member('TEST/GOV/1', 0)], [ann]);
  site.distrust(hash);
  t.match(await client.refresh(), { outcome: 'failed', code: 'CONFIGURATION_THRESHOLD' });
  t.equal(told, 1);
  t.equal(client.current().isDistrusted(hash), true);
  t.equal(client.current().serverByAuthenticationHash(hash), undefined);
  rmSync(site.folder, { recursive: true });
  const again = await open();
  t.equal(again.current().isDistrusted(hash), true, 'also after a restart without the registry');
});

t.test('the durable copy: restarts, rollback across restarts, damage', async (t) => {
  const { clock, site, folder, alarms, open } = setUp(t);
  t.rejects(
    async () =>
      (
        await openConfigurationClient({ folder: join(folder, 'x'), anchor: site.anchor, clock, fetch: [], pollMs: 0 })
      ).current(),
    { code: 'CONFIGURATION_MISSING' },
  );
  const one = site.publish(1, [member('TEST/GOV/1', 0)]);
  const before = { version: 1, hash: one };
  await open();
  clock.ms += MINUTE;
  site.publish(2, [member('TEST/GOV/1', 1)]);
  const client = await open();
  t.equal(client.current().version, 2);
  const away = fetchFromFolder(join(folder, 'nowhere'));
  const restarted = await open([away]);
  t.equal(restarted.current().version, 2, 'started without the registry');
  t.equal(restarted.freshness(), 'fresh');
  t.same(
    readdirSync(folder).filter((name) => name.startsWith('content.')),
    ['content.2.jws'],
    'older copies are gone',
  );

  clock.ms += MINUTE;
  site.sign(before);
  const rolled = await open();
  t.match(rolled.status().lastResult, { code: 'CONFIGURATION_ROLLBACK' });
  t.equal(rolled.current().version, 2);

  const newer = readFileSync(join(folder, 'content.2.jws'));
  rmSync(join(folder, 'content.2.jws'));
  cpSync(join(folder, 'parts'), join(folder, 'parts-kept'), { recursive: true });
  cpSync(join(site.folder, 'content.1.jws'), join(folder, 'content.1.jws'));
  cpSync(join(site.folder, 'parts'), join(folder, 'parts'), { recursive: true });
  const restored = await open([away]);
  t.throws(
    () => restored.current(),
    { code: 'CONFIGURATION_MISSING' },
    'a folder put back from an old backup is kept out',
  );
  rmSync(join(folder, 'content.1.jws'));
  rmSync(join(folder, 'parts'), { recursive: true });
  renameSync(join(folder, 'parts-kept'), join(folder, 'parts'));
  writeFileSync(join(folder, 'content.2.jws'), newer);

  for (const name of [
    'content.2.jws',
    'freshness.jws',
    'floor.json',
    `parts/${readdirSync(join(folder, 'parts'))[0]}`,
  ]) {
    const bytes = readFileSync(join(folder, name));
    bytes.writeUInt8(bytes.readUInt8(10) ^ 1, 10);
    writeFileSync(join(folder, name), bytes);
    alarms.length = 0;
    const damaged = await open([away]);
    t.ok(alarms.includes('CONFIGURATION_CACHE_CORRUPT'), `${name}: an alarm`);
    if (name.startsWith('content') || name.startsWith('parts')) {
      t.throws(() => damaged.current(), { code: 'CONFIGURATION_MISSING' }, `${name}: kept out`);
      const old = await open();
      t.throws(() => old.current(), { code: 'CONFIGURATION_MISSING' }, `${name}: no excuse for an older one`);
    }
    clock.ms += 1000;
    site.sign({ version: 2, hash: site.previous?.hash ?? '' });
    const repaired = await open();
    t.equal(repaired.current().version, 2, `${name}: fetched again`);
    t.equal((await open([away])).current().version, 2);
    site.sign(before);
  }
});

t.test('ten thousand members', async (t) => {
  const { site, open } = setUp(t);
  site.publish(
    1,
    Array.from({ length: 10_000 }, (_, at) => member(`TEST/GOV/${at}`, at)),
  );
  const startedMs = cpuMs();
  const client = await open();
  const openedMs = cpuMs();
  t.equal(client.current().serversOf('TEST/GOV/9999/a')[0]?.id, 'TEST/GOV/9999/ss1');
  const indexedMs = cpuMs();
  t.comment(`open ${Math.round(openedMs - startedMs)} ms, first lookup ${Math.round(indexedMs - openedMs)} ms`);
  t.ok(indexedMs - startedMs < 10_000);
});
