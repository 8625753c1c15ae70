// The provider's own administration from the command line, in force when the command ends: services, access rights and
// the systems that may call; who may do what with which key.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { pemOf } from '#cli/dev/throw-away-authority.ts';
import { ADMIN_KEY, AUDITOR_KEY, CLIENT, openPair, PROVIDER, SERVICE } from '#scripts/campaign/pair.ts';
import { accord } from './run.ts';

t.test('grant, list, revoke; services; systems', async (t) => {
  const pair = await openPair({ right: null });
  const folder = mkdtempSync(join(tmpdir(), 'accord-access-'));
  t.teardown(async () => {
    await pair.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const admin = keyed(folder, 'admin', ADMIN_KEY, pair.provider.urls.admin);
  const auditor = keyed(folder, 'auditor', AUDITOR_KEY, pair.provider.urls.admin);
  const call = (...argv: string[]) =>
    accord('call', SERVICE, ...argv, '--client', CLIENT, '--server', pair.consumer.urls.loopback!);
  const grant = (...argv: string[]) => accord('access', 'grant', '--client', CLIENT, '--service', SERVICE, ...argv);

  t.match(await call('/a'), { code: 6, stderr: /ACCESS_DENIED/ });
  const dry = await grant('--basis', 'open', '--dry-run', '--json', ...admin);
  t.match(JSON.parse(dry.stdout), { dryRun: true, endpoints: [{ method: '*', path: '/**' }] });
  t.match(await call('/a'), { code: 6 }, 'a dry run grants nothing');

  const limits = [
    '--endpoint',
    'GET /residents/*',
    '--endpoint',
    'post /cases',
    '--until',
    '2999-12-31',
    '--quota',
    '5',
  ];
  const law = [
    '--basis',
    'open,law',
    '--statute',
    'Social Aid Act 12',
    '--case-pattern',
    'YB-####-######',
    '--evidence',
    'server',
  ];
  const granted = await grant(...limits, ...law, '--json', ...admin);
  t.equal(granted.code, 0, granted.stderr);
  const right = JSON.parse(granted.stdout);
  t.match(right, {
    endpoints: [
      { method: 'GET', path: '/residents/*' },
      { method: 'POST', path: '/cases' },
    ],
    bases: ['open', 'law'],
    notAfterMs: Date.UTC(3000, 0, 1) - 1,
    quotaPerDay: 5,
  });
  t.match(await call('/residents/1'), { code: 0 }, 'in force at once');
  t.match(await call('/residents/1/x'), { code: 6 });
  const official = ['--basis', 'law', '--user-id', 'clerk7', '--issue'];
  t.match(await call('/residents/1', ...official, 'YB-2026-000001'), { code: 0 });
  t.match(await call('/residents/1', ...official, 'YB-26'), { code: 6, stderr: /CASE_NUMBER_REQUIRED/ });

  t.match(await accord('access', 'list', ...auditor), {
    code: 0,
    stdout: /GET \/residents\/\*.*open, law.*2999-12-31/,
  });
  t.same(JSON.parse((await accord('access', 'list', '--json', '--client', 'X/Y/Z/W', ...admin)).stdout), []);
  t.match(await accord('access', 'revoke', right.id, ...auditor), { code: 4, stderr: /^ROLE_NOT_ALLOWED.*\nNext: /s });
  t.match(await accord('access', 'revoke', right.id, '--dry-run', ...admin), { code: 0, stdout: new RegExp(right.id) });
  t.match(await call('/residents/1'), { code: 0 }, 'still there');
  t.match(await accord('access', 'revoke', right.id, ...admin), { code: 0 });
  t.match(await call('/residents/1'), { code: 6, stderr: /ACCESS_DENIED/ }, 'withdrawn at once');
  t.match(await accord('access', 'revoke', right.id, ...admin), { code: 3, stderr: /^NOT_FOUND.*\nNext: /s });

  const refused: [string, string[], number, RegExp][] = [
    ['no basis', admin, 2, /--basis/],
    ['law without statute', ['--basis', 'law', ...admin], 2, /--statute/],
    ['no such basis', ['--basis', 'whim', ...admin], 2, /open, law/],
    ['a day that is none', ['--basis', 'open', '--until', '2027-02-30', ...admin], 2, /2027-12-31/],
    ['over before it begins', ['--basis', 'open', '--until', '2020-01-01', ...admin], 2, /--until/],
    ['an endpoint that is none', ['--basis', 'open', '--endpoint', 'GET residents', ...admin], 2, /GET \/residents/],
    ['a wrong key', ['--basis', 'open', ...keyed(folder, 'wrong', 'x'.repeat(40), admin[1]!)], 4, /^API_KEY_REQUIRED/],
    ['nobody there', ['--basis', 'open', '--admin', 'http://127.0.0.1:1', ...admin.slice(2)], 8, /^PEER_UNREACHABLE/],
    [
      'a key in clear over the network',
      ['--basis', 'open', '--admin', 'http://10.0.0.1:4000', ...admin.slice(2)],
      2,
      /ssh/,
    ],
    ['no server named', ['--basis', 'open'], 2, /--dir/],
  ];
  for (const [name, argv, code, stderr] of refused) {
    const ended = await grant(...argv);
    t.match(ended, { code, stderr }, name);
    t.match(ended.stderr, '\nNext: ', `${name}: what to do next`);
  }
  chmodSync(admin[3]!, 0o644);
  t.match(await accord('access', 'list', ...admin), { stderr: /^KEY_FILE_MODE/ });
  chmodSync(admin[3]!, 0o600);

  t.match(await accord('service', 'disable', SERVICE, '--notice', 'until noon', ...admin), { code: 0 });
  t.equal((await grant('--basis', 'open', ...admin)).code, 0);
  t.match(await call('/a'), { code: 6, stderr: /SERVICE_DISABLED.*until noon/ });
  t.match(await accord('service', 'enable', SERVICE, ...admin), { code: 0 });
  t.match(await call('/a'), { code: 0 });
  const other = 'DEV/GOV/2002/provider/other';
  const url = ['--url', 'http://127.0.0.1:9/x', '--title', 'Other'];
  t.match(await accord('service', 'add', other, ...url, '--safe', '--timeout', '2.5', ...admin), { code: 0 });
  const listed = JSON.parse((await accord('service', 'list', '--json', ...admin)).stdout);
  t.match(listed[1], { id: other, safe: true, personalData: true, timeoutMs: 2500, enabled: true });
  const open = ['access', 'grant', '--client', CLIENT, '--service', other, '--basis', 'open', ...admin];
  t.match(await accord(...open), { code: 5, stderr: /^ACCESS_RIGHT_REFUSED/ }, 'personal data is never open');
  t.match(await accord('service', 'remove', other, ...admin), { code: 2, stderr: /--yes/ });
  t.match(await accord('service', 'remove', other, '--yes', ...admin), { code: 0 });
  t.match(await accord('service', 'remove', other, '--yes', ...admin), { code: 3 });
  t.match(await accord('service', 'add', 'DEV/GOV/9/x/y', ...url, ...admin), { code: 4, stderr: /CLIENT_NOT_HERE/ });

  const certificate = join(folder, 'system.pem');
  writeFileSync(certificate, pemOf(pair.configuration.entries.get(PROVIDER)!.authenticationCertificates[0]!.der));
  const subsystem = 'DEV/GOV/2002/provider';
  const added = await accord(
    'subsystem',
    'system-add',
    subsystem,
    '--certificate',
    certificate,
    '--name',
    'HIS',
    '--json',
    ...admin,
  );
  t.equal(added.code, 0, added.stderr);
  const { certificateHash } = JSON.parse(added.stdout);
  t.match(await accord('subsystem', 'system-list', subsystem, ...admin), {
    code: 0,
    stdout: new RegExp(certificateHash),
  });
  t.match(await accord('subsystem', 'system-remove', subsystem, certificateHash, ...admin), { code: 0 });
  t.match(await accord('subsystem', 'system-list', ...admin), { stdout: '(none)\n' });

  const status = await accord('server', 'status', '-o', 'yaml', ...auditor);
  t.match(status, { code: 0, stdout: new RegExp(`^id: ${PROVIDER}$`, 'm') });
});

function keyed(folder: string, name: string, key: string, url: string): string[] {
  const file = join(folder, name);
  writeFileSync(file, `${key}\n`, { mode: 0o600 });
  return ['--admin', url, '--api-key-file', file];
}
