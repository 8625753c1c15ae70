// How systems connect, and maintenance, from the command line: in force when the command ends, refused with what to do.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openThrowawayRegistry } from '#central-registry/throwaway.ts';
import { openThrowAwayAuthority, pemOf } from '#cli/dev/throw-away-authority.ts';
import { systemClock } from '#core/clock.ts';
import { ADMIN_KEY, CLIENT, openPair, SERVICE } from '#scripts/campaign/pair.ts';
import { resolveSettings } from '#security-server/settings.ts';
import { accord } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-system-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

t.test('connection modes, maintenance and backends of a running server', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  writeFileSync(join(folder, 'admin'), `${ADMIN_KEY}\n`, { mode: 0o600 });
  const admin = ['--admin', pair.consumer.urls.admin, '--api-key-file', join(folder, 'admin')];
  const mode = (...argv: string[]) => accord('system', 'mode', ...argv, ...admin);
  const call = () => accord('call', SERVICE, '/x', '--client', CLIENT, '--server', pair.consumer.urls.loopback ?? '');
  t.equal((await call()).code, 0);
  t.match(await mode(CLIENT, 'SSLAUTH', '--dry-run', '--json'), { code: 0, stdout: /"dryRun": ?true/ });
  t.equal((await call()).code, 0, 'a dry run sets nothing');
  t.equal((await mode(CLIENT, 'SSLAUTH')).code, 0);
  t.match(await call(), { code: 4, stderr: /^CALLER_UNPROVEN: .*expected HTTPS with a registered .* \(SSLAUTH\)/ });
  const listed = await mode(CLIENT, 'NOSSL', '--from', '127.0.0.1', '--from', '2001:db8::/32', '--json');
  t.match(JSON.parse(listed.stdout), { mode: 'NOSSL', addresses: ['127.0.0.1/32', '2001:db8::/32'] });
  t.equal((await call()).code, 0);
  t.match(JSON.parse((await mode('--json')).stdout), [{ subsystem: CLIENT, mode: 'NOSSL' }]);
  t.match(await mode(CLIENT, 'default'), { code: 0, stdout: /default/ });
  t.match(await mode(CLIENT, 'default'), { code: 0 }, 'twice is as good as once');
  t.match(JSON.parse((await mode(CLIENT, '--json')).stdout), { subsystem: CLIENT, mode: 'default' });
  const refused: [string[], number, RegExp][] = [
    [[CLIENT, 'SSL'], 2, /NOSSL/],
    [[CLIENT, '--from', '10.0.0.1'], 2, /goes with a mode/],
    [[CLIENT, 'SSLAUTH', '--from', '10.0.0.1'], 2, /has no list/],
    [[CLIENT, 'NOSSL', '--from', '10.0.0.1/8'], 2, /SCHEMA_MISMATCH.*behind its prefix/],
    [['DEV/GOV/2002/provider', 'NOSSL'], 1, /CLIENT_NOT_HERE/],
  ];
  for (const [argv, , stderr] of refused) {
    const ended = await mode(...argv);
    t.not(ended.code, 0, argv.join(' '));
    t.match(ended.stderr, stderr, argv.join(' '));
  }

  const maintenance = (...argv: string[]) => accord('server', 'maintenance', ...argv, ...admin);
  t.match(await maintenance('on'), { code: 2, stderr: /--notice/ });
  t.match(await maintenance('off', '--notice', 'x'), { code: 2 });
  t.match(await maintenance('on', '--notice', 'back at six', '--dry-run'), { code: 0 });
  t.equal((await call()).code, 0);
  t.match(await maintenance('on', '--notice', 'back at six'), { code: 0, stdout: /back at six/ });
  t.match(await call(), { stderr: /^MAINTENANCE_MODE: .*\(back at six\)/ });
  t.match(JSON.parse((await maintenance('--json')).stdout), { maintenance: { notice: 'back at six' } });
  t.match(await accord('server', 'status', '--json', ...admin), { stdout: /back at six/ });
  t.match(await maintenance('off'), { code: 0 });
  t.equal((await call()).code, 0);

  const provider = ['--admin', pair.provider.urls.admin, ...admin.slice(2)];
  const add = (url: string, ...argv: string[]) =>
    accord(
      'service',
      'add',
      SERVICE,
      '--url',
      url,
      '--title',
      'x',
      '--no-personal-data',
      ...argv,
      '--json',
      ...provider,
    );
  const { authority } = pair;
  writeFileSync(join(folder, 'ca.pem'), authority.trust.anchors.map((der) => pemOf(der)).join(''));
  const secure = await add('https://localhost:1/', '--tls-ca', join(folder, 'ca.pem'));
  t.match(JSON.parse(secure.stdout), { tls: { caPem: /^-----BEGIN CERTIFICATE/ } }, secure.stderr);
  t.match(JSON.parse((await add('https://localhost:1/', '--tls-insecure')).stdout), { tls: { insecure: true } });
  t.match(await add('http://localhost:1/', '--tls-insecure'), { code: 2, stderr: /not https/ });
  t.match(await add('https://localhost:1/', '--tls-insecure', '--tls-ca', 'x'), { code: 2, stderr: /not both/ });
});

t.test('maintenance is announced to the registry', async (t) => {
  const registry = await openThrowawayRegistry({
    folder: join(folder, 'registry'),
    instance: 'DEV',
    clock: systemClock,
  });
  t.teardown(() => registry.close());
  const authority = await openThrowAwayAuthority(systemClock);
  for (const der of authority.trust.anchors)
    await registry.call('POST', '/trust', { kind: 'anchor', der: der.toString('base64url') });
  for (const der of authority.trust.intermediates)
    await registry.call('POST', '/trust', { kind: 'intermediate', der: der.toString('base64url') });
  await registry.call('POST', '/classes', { code: 'GOV', title: 'Government' });
  await registry.call('POST', '/members', { id: 'DEV/GOV/1', name: 'One' });
  const id = 'DEV/GOV/1/ss1';
  const { registration } = await authority.server(id);
  await registry.call('POST', '/servers', { id, address: 'https://ss1.example:5500', subsystems: [], ...registration });
  writeFileSync(join(folder, 'registry.key'), `${registry.apiKey}\n`, { mode: 0o600 });
  const to = ['--registry', registry.adminUrl, '--api-key-file', join(folder, 'registry.key')];
  const announce = (...argv: string[]) => accord('server', 'announce-maintenance', id, ...argv, '--json', ...to);
  const shown = async () => (await registry.call('GET', `/servers/${id}`)).body as { maintenance?: object };
  t.equal((await announce('--notice', 'disks', '--dry-run')).code, 0);
  t.equal((await shown()).maintenance, undefined);
  const made = await announce('--notice', 'disks', '--until', '2033-05-18T03:33:20Z');
  t.equal(made.code, 0, made.stderr);
  t.strictSame((await shown()).maintenance, { notice: 'disks', untilMs: 2_000_000_000_000 });
  await announce('--notice', 'still');
  t.strictSame((await shown()).maintenance, { notice: 'still', untilMs: null });
  t.equal((await announce('--end')).code, 0);
  t.equal((await shown()).maintenance, undefined);
  for (const argv of [
    [],
    ['--end', '--notice', 'x'],
    ['--end', '--until', '2033-05-18T03:33:20Z'],
    ['--notice', 'x', '--until', 'tomorrow'],
  ]) {
    t.match(await announce(...argv), { code: 2 }, argv.join(' '));
  }
});

t.test('settings of sizes, spelling and plain HTTP', (t) => {
  const file = JSON.stringify({ v: 1, id: 'DEV/GOV/1/ss1', address: 'https://ss1.example:5500' });
  const { settings, origins } = resolveSettings(
    file,
    {
      ...{ ACCORD_SERVER_MAX_BODY_BYTES: '2048', ACCORD_SERVER_MAX_SPOOLED_BYTES: '1048576' },
      ...{ ACCORD_SERVER_XROAD_ERROR_CODES: 'snake', ACCORD_SERVER_PLAIN_HOST: '10.0.0.1' },
      ...{ ACCORD_SERVER_SYSTEMS_MIN_TLS: '1.2', ACCORD_SERVER_XROAD_DEADLINE_MS: '60000' },
      ACCORD_SERVER_PEER_LINK: 'http1',
    },
    { 'max-body-bytes': '4096' },
  );
  t.match(settings, {
    maxBodyBytes: 4096,
    maxSpooledBytes: 1_048_576,
    xroadErrorCodes: 'snake',
    systemsMinTls: '1.2',
    xroadDeadlineMs: 60_000,
    plainHost: '10.0.0.1',
    peerLink: 'http1',
  });
  t.match(origins, { maxBodyBytes: '--max-body-bytes', xroadErrorCodes: 'ACCORD_SERVER_XROAD_ERROR_CODES' });
  const { settings: usual } = resolveSettings(file, {}, {});
  t.match(usual, {
    maxBodyBytes: 1024 ** 3,
    xroadErrorCodes: 'camel',
    plainHost: '127.0.0.1',
    systemsMinTls: '1.3',
    peerLink: 'frames',
  });
  for (const [name, value] of [
    ['MAX_BODY_BYTES', '0'],
    ['MAX_BODY_BYTES', '1 GiB'],
    ['MAX_SPOOLED_BYTES', '1'],
    ['XROAD_ERROR_CODES', 'kebab'],
    ['SYSTEMS_MIN_TLS', '1.1'],
    ['XROAD_DEADLINE_MS', '600001'],
    ['PLAIN_HOST', ''],
  ]) {
    const origin = `ACCORD_SERVER_${name}`;
    t.throws(() => resolveSettings(file, { [origin]: value }, {}), {
      code: 'SETTINGS_INVALID',
      detail: new RegExp(origin),
    });
  }
  t.end();
});
