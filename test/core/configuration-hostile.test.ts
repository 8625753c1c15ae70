// The configuration client against those who can do more than serve a wrong byte: mirrors that stand still or trickle, a
// clock set back, links and a full disk in its folder, a lost distrust list, and roots that change while it is away.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type ConfigurationFetch, fetchFromFolder, fetchOverHttp } from '#core/configuration/fetch.ts';
import { planRoot, signFile } from '#core/configuration/sign.ts';
import { fileHash } from '#core/configuration/verify.ts';
import { openClient } from '#core/http/client.ts';
import { DISTRUST_PER_APPROVER } from '#schemas/limits.ts';
import { ann, bob, HOUR, MINUTE, member, online, pair, rootKey, setUp } from './configuration-site.ts';

t.test('a mirror that stands still, trickles, or sends too much holds nobody back', async (t) => {
  const { clock, site, open } = setUp(t);
  site.publish(1, [member('TEST/GOV/1', 0)]);
  const frozen = mkdtempSync(join(tmpdir(), 'accord-frozen-'));
  cpSync(site.folder, frozen, { recursive: true });
  const slow = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    const timer = setInterval(() => response.write('e'), 50);
    response.on('close', () => clearInterval(timer));
  });
  const big = createServer((_, response) => response.end(Buffer.alloc(5_000_000, 'e')));
  for (const server of [slow, big]) await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const http = openClient();
  const at = (server: typeof slow) => fetchOverHttp(http, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.teardown(async () => {
    for (const server of [slow, big]) server.close().closeAllConnections();
    await http.close();
    rmSync(frozen, { recursive: true, force: true });
  });
  const good = fetchFromFolder(site.folder);
  const client = await open([fetchFromFolder(frozen), at(slow), at(big), good], { sourceTimeoutMs: 300 });
  clock.ms += MINUTE;
  site.publish(2, [member('TEST/GOV/1', 1)]);
  t.match(await client.refresh(), { outcome: 'unchanged', version: 1 }, 'news of a minute ago is good enough');
  clock.ms += 3 * MINUTE;
  site.sign();
  const startedMs = performance.now();
  t.match(await client.refresh(), { outcome: 'updated', version: 2 }, 'then the next mirrors are asked');
  t.ok(performance.now() - startedMs < 10_000);
});

t.test('a slow source makes progress over several refreshes', async (t) => {
  const { site, open } = setUp(t);
  site.publish(
    1,
    Array.from({ length: 60 }, (_, at) => member(`TEST/GOV/${at}`, 0)),
  );
  const folder = fetchFromFolder(site.folder);
  let parts = 0;
  const slow: ConfigurationFetch = {
    async get(path, ...rest) {
      if (path.startsWith('parts/')) {
        parts += 1;
        await new Promise((done) => setTimeout(done, 60));
      }
      return folder.get(path, ...rest);
    },
  };
  const client = await open([slow], { sourceTimeoutMs: 150 });
  t.throws(() => client.current(), { code: 'CONFIGURATION_MISSING' });
  let refreshes = 0;
  while (refreshes < 20 && client.status().version === 0) {
    await client.refresh();
    refreshes += 1;
  }
  t.equal(client.current().version, 1, `after ${refreshes} refreshes`);
  t.ok(parts < 120, `${parts} requests for about 55 parts`);
});

t.test('a clock set back, and a mirror that repeats the same freshness', async (t) => {
  const { clock, site, open } = setUp(t);
  site.publish(1, [member('TEST/GOV/1', 0)]);
  const client = await open();
  clock.wallMs = -2 * HOUR;
  for (let minutes = 0; minutes < 12; minutes++) {
    clock.ms += MINUTE;
    clock.wallMs -= MINUTE;
    await client.refresh();
  }
  t.equal(client.freshness(), 'stale', 'the same statement again is no news');
});

t.test('the folder: links, devices, strangers’ files', async (t) => {
  const { site, folder, alarms, open } = setUp(t);
  site.publish(1, [member('TEST/GOV/1', 0)]);
  await open();
  const away = [fetchFromFolder(join(folder, 'nowhere'))];
  for (const [name, target] of [
    ['freshness.jws', '/dev/zero'],
    ['content.1.jws', '/dev/zero'],
    [`parts/${readdirSync(join(folder, 'parts'))[0]}`, '/dev/zero'],
    ['floor.json', '/dev/zero'],
  ] as const) {
    const kept = readFileSync(join(folder, name));
    rmSync(join(folder, name));
    symlinkSync(target, join(folder, name));
    alarms.length = 0;
    await open(away);
    t.ok(alarms.includes('CONFIGURATION_CACHE_CORRUPT'), `${name} is a link: an alarm, not a read without end`);
    rmSync(join(folder, name));
    writeFileSync(join(folder, name), kept);
  }
  // Whoever replaces the folder of parts by a link to something precious must not see it emptied.
  const precious = mkdtempSync(join(tmpdir(), 'accord-precious-'));
  t.teardown(() => rmSync(precious, { recursive: true, force: true }));
  writeFileSync(join(precious, 'keys.json'), 'precious');
  renameSync(join(folder, 'parts'), join(folder, 'parts-kept'));
  symlinkSync(precious, join(folder, 'parts'));
  t.rejects(open(), { code: 'CONFIGURATION_CACHE_CORRUPT' });
  t.ok(existsSync(join(precious, 'keys.json')));

  // The same for an auditor who verifies a copy that somebody else made.
  const copy = mkdtempSync(join(tmpdir(), 'accord-copy-'));
  t.teardown(() => rmSync(copy, { recursive: true, force: true }));
  symlinkSync('/dev/zero', join(copy, 'a'));
  mkdirSync(join(copy, 'b'));
  const makePipe = 'mkfifo';
  execFileSync(makePipe, [join(copy, 'c')]);
  for (const name of ['a', 'b', 'c']) {
    await t.rejects(fetchFromFolder(copy).get(name, 1024), { code: 'CONFIGURATION_UNAVAILABLE' }, name);
  }
});

t.test('a disk that takes nothing: the last good one stays, distrust counts, and it recovers', async (t) => {
  const { clock, site, folder, alarms, open } = setUp(t);
  site.publish(1, [member('TEST/GOV/1', 0)]);
  const client = await open();
  const hash = client.current().server('TEST/GOV/1/ss1')?.signingCertificates[0]?.hash ?? '';
  // A folder where a file is to be written first fails like a full disk, also for root.
  const inTheWay = ['distrust.1.jws', 'content.2.jws'].map((name) => join(folder, `${name}.${process.pid}.tmp`));
  for (const each of inTheWay) mkdirSync(each);
  clock.ms += MINUTE;
  site.publish(2, [member('TEST/GOV/1', 1)]);
  site.distrust(hash);
  t.match(await client.refresh(), { outcome: 'failed', code: 'INTERNAL', version: 1 });
  t.equal(client.current().isDistrusted(hash), true);
  t.ok(alarms.includes('INTERNAL'));
  rmSync(inTheWay[0] ?? '', { recursive: true });
  t.match(
    await client.refresh(),
    { outcome: 'failed', version: 1 },
    'the distrust list is stored, the content not yet',
  );
  t.equal((await open([fetchFromFolder('/nowhere')])).current().version, 1, 'a restart in between');
  rmSync(inTheWay[1] ?? '', { recursive: true });
  t.match(await client.refresh(), { outcome: 'updated', version: 2 });
  const again = await open([fetchFromFolder(join(folder, 'nowhere'))]);
  t.equal(again.current().isDistrusted(hash), true);
});

t.test('distrust: lost on disk, withheld, over the cap, lifted', async (t) => {
  const { clock, site, folder, alarms, open } = setUp(t);
  site.publish(1, [member('TEST/GOV/1', 0)]);
  const client = await open();
  const hash = client.current().server('TEST/GOV/1/ss1')?.signingCertificates[0]?.hash ?? '';
  clock.ms += MINUTE;
  site.distrust(hash);
  const statement = site.distrust('lifted-later');
  await client.refresh();
  const away = [fetchFromFolder(join(folder, 'nowhere'))];
  rmSync(join(folder, 'distrust.2.jws'));
  const lost = await open(away);
  t.throws(() => lost.current(), { code: 'CONFIGURATION_MISSING' }, 'without its distrust list nothing is in use');
  t.equal((await open()).current().isDistrusted(hash), true, 'fetched again');

  for (let at = 0; at < DISTRUST_PER_APPROVER; at++) site.distrust(`nothing ${at}`.replace(' ', '-'));
  clock.ms += MINUTE;
  site.sign();
  alarms.length = 0;
  const over = await open();
  t.equal(over.current().isDistrusted(`nothing-${DISTRUST_PER_APPROVER - 3}`), true);
  t.equal(over.current().isDistrusted(`nothing-${DISTRUST_PER_APPROVER - 2}`), false, 'one key has its share');
  t.ok(alarms.includes('DISTRUST_REFUSED'));

  clock.ms += MINUTE;
  Object.assign(site, { confirm: site.statements.length, lifted: [statement] });
  site.publish(2, [member('TEST/GOV/1', 0)]);
  const lifted = await open();
  t.equal(lifted.current().version, 2);
  t.equal(lifted.current().isDistrusted('lifted-later'), false, 'two approvers lifted it');
  t.equal(lifted.current().isDistrusted(`nothing-${DISTRUST_PER_APPROVER - 1}`), true, 'and confirmed the others');
  // A new client that is shown the content without the list that it confirms.
  const { statements } = site;
  site.statements = statements.slice(0, 1);
  clock.ms += MINUTE;
  site.sign();
  const fresh = setUp(t);
  const shown = await open(undefined, { folder: fresh.folder });
  t.match(shown.status().lastResult, { code: 'CONFIGURATION_ROLLBACK' });
  t.throws(() => shown.current(), { code: 'CONFIGURATION_MISSING' });
});

t.test('roots: several behind, a removed approver, half-signed and wrong ones', async (t) => {
  const { clock, site, folder, alarms, open } = setUp(t);
  const [second, third, carol, online2] = [pair(), pair(), pair(), pair()];
  const members = [member('TEST/GOV/1', 0)];
  const first = site.root;
  site.publish(1, members);
  const client = await open();
  const kept = mkdtempSync(join(tmpdir(), 'accord-kept-'));
  t.teardown(() => rmSync(kept, { recursive: true, force: true }));
  cpSync(folder, kept, { recursive: true });
  const holders = (...keys: (typeof second)[]) => keys.map((key, at) => ({ key, person: `Root ${at}` }));
  const people = [
    { key: bob, person: 'Bob' },
    { key: carol, person: 'Carol' },
  ];
  // Half-signed and wrong ones first: the folder holds them as root.2, and the freshness asks for it.
  const plan = { ...site.plan, rootKeys: holders(second), previous: first };
  const attacks: [string, Buffer, string][] = [
    ['signed by the new holders only', signFile('root', planRoot(plan), [second]), 'CONFIGURATION_THRESHOLD'],
    ['signed by the old holders only', signFile('root', planRoot(plan), [rootKey]), 'CONFIGURATION_THRESHOLD'],
    ['signed by approvers', signFile('root', planRoot(plan), [ann, bob]), 'SIGNED_FILE_SIGNATURE_WRONG'],
    [
      'following another root',
      signFile('root', planRoot({ ...plan, previous: { ...first, hash: fileHash(Buffer.from('x')) } }), [
        rootKey,
        second,
      ]),
      'CONFIGURATION_FORKED',
    ],
    ['cut off', signFile('root', planRoot(plan), [rootKey, second]).subarray(0, 400), 'SIGNED_FILE_MALFORMED'],
  ];
  for (const [name, file, want] of attacks) {
    clock.ms += 1_000;
    site.write('root.2.jws', file);
    site.root = { ...first, document: { ...first.document, version: 2 }, hash: fileHash(file) };
    site.sign();
    t.match(await client.refresh(), { outcome: 'failed', code: want }, name);
    t.equal(client.status().rootVersion, 1);
  }
  site.root = first;
  rmSync(join(site.folder, 'root.2.jws'));

  clock.ms += 1_000;
  site.distrust('said-by-ann');
  await client.refresh();
  t.equal(client.current().isDistrusted('said-by-ann'), true);
  site.rotate({ rootKeys: holders(second) }, [rootKey, second]);
  site.rotate({ rootKeys: holders(second), approvers: people }, [second]);
  site.rotate(
    {
      rootKeys: holders(second, third),
      rootThreshold: 2,
      approvers: people,
      freshness: [
        { key: online, person: 'registry' },
        { key: online2, person: 'registry' },
      ],
    },
    [second, third],
  );
  clock.ms += MINUTE;
  site.publish(2, members, [ann, bob]);
  alarms.length = 0;
  t.match(
    await client.refresh(),
    { outcome: 'failed', code: 'SIGNED_FILE_SIGNATURE_WRONG', version: 1 },
    'Ann may no longer sign',
  );
  t.equal(client.status().rootVersion, 4, 'three roots at once');
  t.equal(client.current().isDistrusted('said-by-ann'), false, 'nor distrust');
  clock.ms += MINUTE;
  site.publish(3, members, [bob, carol]);
  t.match(await client.refresh(), { outcome: 'updated', version: 3 });
  const away = [fetchFromFolder(join(folder, 'nowhere'))];
  t.match((await open(away)).status(), { rootVersion: 4, version: 3 }, 'all of it after a restart');
  const late = await open(undefined, { folder: kept });
  t.match(late.status(), { rootVersion: 4, version: 3 }, 'a client that was away all the time');
  const { root } = site;
  site.root = first;
  clock.ms += MINUTE;
  site.sign();
  t.match(await client.refresh(), { outcome: 'failed', code: 'CONFIGURATION_ROLLBACK' }, 'an older root');
  site.root = root;
});
