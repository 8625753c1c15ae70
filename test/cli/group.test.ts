// Groups from the command line: local ones at a real security server, in force when the command has ended, also when it is
// another process; global ones in a real registry, in force when two approvers have signed and each member was shown.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { openThrowawayRegistry } from '#central-registry/throwaway.ts';
import { systemClock } from '#core/clock.ts';
import { changesBetween } from '#core/configuration/changes.ts';
import { openConfigurationClient } from '#core/configuration/client.ts';
import { fetchOverHttp } from '#core/configuration/fetch.ts';
import { type PartIndex, readPart } from '#core/configuration/parts.ts';
import { openClient } from '#core/http/client.ts';
import { ADMIN_KEY, CLIENT, openPair, SERVICE } from '#scripts/campaign/pair.ts';
import { accord } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-group-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const secretFile = (name: string, text: string) => {
  writeFileSync(join(folder, name), `${text}\n`, { mode: 0o600 });
  return join(folder, name);
};

t.test('local groups, metaservice names, defaults', async (t) => {
  const pair = await openPair({ right: null });
  t.teardown(() => pair.close());
  const admin = ['--admin', pair.provider.urls.admin, '--api-key-file', secretFile('admin', ADMIN_KEY)];
  const group = (...argv: string[]) => accord('group', ...argv, ...admin);
  const call = () => accord('call', SERVICE, '/a', '--client', CLIENT, '--server', pair.consumer.urls.loopback!);
  const grant = (client: string, ...argv: string[]) =>
    accord('access', 'grant', '--client', client, '--service', SERVICE, '--basis', 'open', '--json', ...argv, ...admin);

  t.match(await grant('local-group:vets'), { code: 5, stderr: /ACCESS_RIGHT_REFUSED.*local-group:vets/s });
  t.match(await group('add', 'vets', '--title', 'Vets', '--dry-run'), { code: 0 });
  t.match(await group('list'), { stdout: '(none)\n' });
  t.match(await group('add', 'vets', '--title', 'Veterinarians'), { code: 0 });
  t.match(await group('add', 'a/b', '--title', 'x'), { code: 2, stderr: /SCHEMA_MISMATCH/ });
  t.match(await grant('global-group:DEV/none'), { code: 5, stderr: /ACCESS_RIGHT_REFUSED/ });
  const granted = await grant('local-group:vets', '--endpoint', 'GET /a');
  t.equal(granted.code, 0, granted.stderr);
  t.match(await call(), { code: 6, stderr: /ACCESS_DENIED/ });
  t.match(await group('member-add', 'vets', 'DEV/GOV/9/none'), { stderr: /CLIENT_UNKNOWN/ });
  t.match(await group('member-add', 'none', CLIENT), { code: 3 });
  t.match(await group('member-add', 'vets', CLIENT, '--dry-run'), { code: 0 });
  t.match(await call(), { code: 6 }, 'a dry run adds nobody');
  t.match(await group('member-add', 'vets', CLIENT), { code: 0 });
  t.match(await call(), { code: 0 }, 'in force when the command ends');
  t.match(JSON.parse((await group('list', '--json')).stdout), [
    { code: 'vets', title: 'Veterinarians', members: [CLIENT] },
  ]);
  t.match(await accord('access', 'list', ...admin), { stdout: /local-group:vets/ });
  const explained = ['--client', CLIENT, '--service', SERVICE, '--endpoint', 'GET /a', ...admin];
  t.match(await accord('access', 'explain', ...explained), { code: 0, stdout: /yes +│ OK.*through local-group:vets/s });
  t.match(await group('remove', 'vets', '--yes'), { code: 5, stderr: /REGISTRATION_IN_USE.*access right/s });

  // Kept over a restart.
  await pair.provider.close(1_000);
  await pair.reopen('provider');
  admin[1] = pair.provider.urls.admin;
  t.match(await call(), { code: 0 });
  t.match(await group('member-remove', 'vets', CLIENT), { code: 0 });
  t.match(await call(), { code: 6, stderr: /ACCESS_DENIED/ }, 'at once');
  t.match(await group('member-remove', 'vets', CLIENT), { code: 3 });
  const { id } = JSON.parse(granted.stdout);
  t.match(await accord('access', 'revoke', id, ...admin), { code: 0 });
  t.match(await group('remove', 'vets', '--dry-run'), { code: 0 });
  t.match(await group('remove', 'vets', '--yes'), { code: 0 });
  t.match(await group('remove', 'vets', '--yes'), { code: 3 });

  const defaults: [string[], number, RegExp][] = [
    [['--r1-basis', 'open'], 0, /^$/],
    [['--r1-basis', 'open', '--purpose', 'statistics', '--r1-purpose', 'statistics'], 0, /^$/],
    [['--r1-purpose', 'statistics'], 2, /--r1-basis/],
    [['--r1-basis', 'consent'], 2, /open, law/],
    [['--r1-basis', 'emergency'], 2, /open, law/],
    [['--r1-basis', 'law'], 5, /basis is none of the right/],
    [['--r1-basis', 'open', '--r1-purpose', 'x'], 5, /purpose is none of the right/],
    [['--r1-basis', 'open', '--purpose', 'x'], 5, /purpose is none of the right/],
    [['--r1-basis', 'open', '--r1-field', '/a'], 5, /bound service is asked for fields/],
  ];
  for (const [argv, code, stderr] of defaults) t.match(await grant(CLIENT, ...argv), { code, stderr }, argv.join(' '));
  t.match(await accord('access', 'list', ...admin), { stdout: /open.*for statistics/s });

  for (const code of ['listMethods', 'allowedMethods', 'getOpenAPI']) {
    const add = ['service', 'add', `DEV/GOV/2002/provider/${code}`, '--url', 'http://127.0.0.1:9/', '--title', 'x'];
    t.match(await accord(...add, ...admin), { stderr: /^SERVICE_CODE_RESERVED/ });
  }
  const document = secretFile('pets.json', '{"openapi":"3.1.0","paths":{"/pet/{id}":{"get":{}}}}');
  t.match(await accord('service', 'describe', SERVICE, document, '--json', ...admin), {
    code: 0,
    stdout: /"path": ?"\/pet\/\*"/,
  });
  t.match(await accord('service', 'describe', `${SERVICE}2`, document, ...admin), { stderr: /^SERVICE_UNKNOWN/ });
  t.match(await accord('service', 'describe', SERVICE, secretFile('x.json', '{"openapi":"2.0"}'), ...admin), {
    stderr: /^DESCRIPTION_REFUSED/,
  });
});

t.test('in force within a second of the end of the command', async (t) => {
  const pair = await openPair({ right: null });
  t.teardown(() => pair.close());
  const { state } = pair.provider.parts;
  state.putGroup({ code: 'vets', title: 'Vets' });
  const admin = ['--admin', pair.provider.urls.admin, '--api-key-file', secretFile('admin', ADMIN_KEY), '--json'];
  // A process of its own takes seconds to start on a busy machine, so only one does.
  const here = async (...argv: string[]) => {
    const { code, stdout, stderr } = await accord(...argv, ...admin);
    t.equal(code, 0, stderr);
    return { stdout, doneMs: performance.now() };
  };
  const elsewhere = async (...argv: string[]) => {
    const { stdout } = await promisify(execFile)(process.execPath, ['cli/main.ts', ...argv, ...admin]);
    return { stdout, doneMs: performance.now() };
  };
  const status = async () => {
    const headers = { 'X-Road-Client': CLIENT, Prefer: 'accord-status' };
    return (await fetch(`${pair.consumer.urls.loopback}/r1/${SERVICE}/a`, { headers })).status;
  };
  const becomes = async (wanted: number, doneMs: number, what: string) => {
    for (;;) {
      const isThere = (await status()) === wanted;
      const tookMs = performance.now() - doneMs;
      if (isThere || tookMs > 1_000) return t.ok(isThere && tookMs <= 1_000, `${what}: ${Math.round(tookMs)} ms`);
    }
  };
  t.equal(await status(), 403);
  const right = ['access', 'grant', '--client', 'local-group:vets', '--service', SERVICE, '--basis', 'open'];
  const { id } = JSON.parse((await here(...right)).stdout);
  const changes: [typeof here, string[], number][] = [
    [elsewhere, ['group', 'member-add', 'vets', CLIENT], 200],
    [here, ['service', 'disable', SERVICE], 503],
    [here, ['service', 'enable', SERVICE], 200],
    [here, ['access', 'revoke', id], 403],
  ];
  for (const [run, argv, wanted] of changes) {
    await becomes(wanted, (await run(...argv)).doneMs, argv.slice(0, 2).join(' '));
  }
});

t.test('global groups', async (t) => {
  const registry = await openThrowawayRegistry({
    folder: join(folder, 'registry'),
    instance: 'DEV',
    clock: systemClock,
  });
  const http = openClient();
  t.teardown(async () => {
    await registry.close();
    await http.close();
  });
  const options = ['--registry', registry.adminUrl, '--api-key-file', secretFile('registry-key', registry.apiKey)];
  const group = (verb: string, ...argv: string[]) => accord('registry', `group-${verb}`, ...argv, ...options);
  const [one, two] = ['DEV/GOV/1001/consumer', 'DEV/GOV/1001/other'];
  await registry.call('POST', '/members', { id: 'DEV/GOV/1001', name: 'Consumers' });
  for (const id of [one, two]) await registry.call('POST', '/subsystems', { id, name: id });
  const parts = async (): Promise<PartIndex[]> => {
    const shown = (await registry.call('GET', '/configuration')).body as { draft: { version: number } };
    const { payload } = (await registry.call('GET', `/configuration/drafts/${shown.draft.version}`)).body as never;
    const content = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { parts: Record<string, string> };
    const read = Object.entries(content.parts).map(async ([name, hash]) => {
      const { part } = (await registry.call('GET', `/configuration/parts/${hash}`)).body as { part: string };
      return readPart(name, Buffer.from(part, 'base64url'), 'DEV');
    });
    return Promise.all(read);
  };
  await registry.publish();
  const before = await parts();
  t.match(await group('list'), { code: 0, stdout: '(none)\n' });
  t.match(await group('add', 'police', '--title', 'Police forces'), { code: 0 });
  t.match(await group('member-add', 'police', 'DEV/GOV/9/none'), { stderr: /^REGISTRATION_UNKNOWN/ });
  t.match(await group('member-add', 'none', one), { stderr: /^REGISTRATION_UNKNOWN/ });
  t.match(await group('member-add', 'police', two), { code: 0 });
  t.match(await group('member-add', 'police', one), { code: 0 });
  t.match(await group('member-add', 'police', one), { code: 5, stderr: /^REGISTRATION_EXISTS/ });
  t.match(await group('add', 'empty', '--title', 'Nobody'), { code: 0 });
  t.match(await group('list', '--json'), { stdout: /police/ });
  t.match(await group('remove', 'police', '--yes'), { code: 5, stderr: /REGISTRATION_IN_USE/ });
  const remove = ['subsystem', 'remove', one, '--yes', ...options];
  t.match(await accord(...remove), { code: 5, stderr: /REGISTRATION_IN_USE.*global group/s });
  t.match(await accord('service', 'register', 'DEV/GOV/1001/other/getOpenAPI', '--title', 'x', ...options), {
    stderr: /^SERVICE_CODE_RESERVED/,
  });

  await registry.publish();
  t.same(
    changesBetween(before, await parts()).map(({ change, kind, id }) => `${change} ${kind} ${id}`),
    [
      'added global-group empty',
      'added global-group police',
      `added global-group-member police ${one}`,
      `added global-group-member police ${two}`,
    ],
    'approvers see each member',
  );
  const configuration = await openConfigurationClient({
    folder: join(folder, 'client'),
    anchor: registry.anchor,
    clock: systemClock,
    fetch: [fetchOverHttp(http, registry.configurationUrl)],
    pollMs: 0,
  });
  t.teardown(() => configuration.close());
  const snapshot = configuration.current();
  t.same(snapshot.globalGroups(one), ['DEV/police']);
  t.same(snapshot.globalGroups('DEV/GOV/9/none'), []);
  t.equal(snapshot.hasGlobalGroup('DEV/empty'), true);
  t.equal(snapshot.hasGlobalGroup('EE/police'), false);
  t.match(snapshot.members(), [{ id: 'DEV/GOV/1001', name: 'Consumers', subsystems: [{}, {}] }]);

  t.match(await group('member-remove', 'police', one), { code: 0 });
  t.match(await group('member-remove', 'police', one), { stderr: /^REGISTRATION_UNKNOWN/ });
  await registry.publish();
  await configuration.refresh();
  t.same(configuration.current().globalGroups(one), [], 'and gone again');

  const file = (groups: unknown) => () => readPart('groups', Buffer.from(JSON.stringify({ groups })), 'DEV');
  const forged: [string, unknown, string][] = [
    [
      'twice',
      [
        { code: 'a', title: 'x', members: [] },
        { code: 'a', title: 'y', members: [] },
      ],
      'CONFIGURATION_INVALID',
    ],
    [
      'out of order',
      [
        { code: 'b', title: 'x', members: [] },
        { code: 'a', title: 'y', members: [] },
      ],
      'CONFIGURATION_INVALID',
    ],
    ['members out of order', [{ code: 'a', title: 'x', members: [two, one] }], 'CONFIGURATION_INVALID'],
    ['a member twice', [{ code: 'a', title: 'x', members: [one, one] }], 'CONFIGURATION_INVALID'],
    ['of another instance', [{ code: 'a', title: 'x', members: ['EE/GOV/1/a'] }], 'CONFIGURATION_INSTANCE'],
    ['more than it says', [{ code: 'a', title: 'x', members: [], all: true }], 'CONFIGURATION_INVALID'],
  ];
  for (const [name, groups, code] of forged) t.throws(file(groups), { code }, name);
});
