// `accord catalogue` and `accord doubt` against two real security servers: what is printed, and the exit codes.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ADMIN_KEY, accessRight, CLIENT, openPair, SERVICE } from '#scripts/campaign/pair.ts';
import { ENTRIES, tableOf } from '#test/security-server/bound-service.ts';
import { accord } from './run.ts';

t.test('from the catalogue to an answered doubt', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-doubt-'));
  const pair = await openPair({ right: accessRight({ elements: ['gx.birth_date@1'] }) });
  t.teardown(async () => {
    await pair.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  pair.configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  pair.configuration.bind(tableOf());
  pair.backend.answer = (_request, _body, response) => {
    response.setHeader('content-type', 'application/json').end('{"birthDate":"1990-02-03"}');
  };
  const server = ['--server', pair.consumer.urls.loopback ?? ''];
  const admin = ['--admin', pair.provider.urls.admin, '--api-key-file', file('key', ADMIN_KEY)];

  const found = await accord('catalogue', 'birth', '--kind', 'element', ...server);
  t.match(found, { code: 0, stdout: /gx\.birth_date@1 .*2 .*DEV\/GOV\/2002\/provider\/echo Echo/, stderr: '' });
  const listed = await accord('catalogue', 'search', '--limit', '2', '--json', ...server);
  t.match(JSON.parse(listed.stdout), { release: '1.0.0', items: { length: 2 } });
  t.match(await accord('catalogue', 'show', 'gx.birth_date@1', ...server), {
    code: 0,
    stdout: /GET \/residents\/\{id\}.*gx\.id@1.*\/birthDate/,
  });
  t.match(await accord('catalogue', 'show', 'gx.none@1', ...server), { code: 3, stderr: /^NOT_FOUND/ });
  for (const wrong of [
    ['--limit', '101'],
    ['--level', '5'],
    ['--kind', 'group'],
  ]) {
    t.equal((await accord('catalogue', 'search', ...wrong, ...server)).code, 2, wrong.join(' '));
  }

  const client = ['--client', CLIENT, ...server];
  const asked = await accord('call', SERVICE, '/residents/7', '--field', '/birthDate', '--json', ...client);
  const exchange = JSON.parse(asked.stdout).id as string;
  const subject = `gx.id@1=@${file('subject', '7\n')}`;
  const doubt = [
    'doubt',
    'report',
    SERVICE,
    '--element',
    'gx.birth_date@1',
    '--subject',
    subject,
    '--doubted',
    '1990-02-03',
  ];
  const paper = file('paper.pdf', 'paper');
  const report = [
    ...doubt,
    '--exchange',
    exchange,
    '--evidence',
    paper,
    '--proposed',
    'null',
    '--note',
    'why',
    ...client,
  ];
  const planned = JSON.parse((await accord(...report, '--dry-run', '--json')).stdout);
  const evidenceHash = createHash('sha256').update('paper').digest('base64url');
  t.match(planned, { dryRun: true, subject: { value: '7' }, doubted: '1990-02-03', proposed: null, evidenceHash });
  const reported = JSON.parse((await accord(...report, '--json')).stdout) as { id: string; state: string };
  t.equal(reported.state, 'open');
  const never = '019310a2-7c11-7d3a-9b52-0f3c5e7a1b2c';
  t.match(await accord(...doubt, '--exchange', never, ...client), {
    code: 3,
    stderr: /^DOUBT_WITHOUT_EXCHANGE.*\nNext: /s,
  });
  const other = [...doubt.slice(0, 5), '--subject', 'gx.id@1=8', '--doubted', 'x', '--exchange', exchange, ...client];
  t.match(await accord(...other), { code: 6, stderr: /^DOUBT_WITHOUT_EXCHANGE.*another subject.*\nNext: /s });

  t.match(await accord('doubt', 'list', '--state', 'open', ...admin), {
    code: 0,
    stdout: /1990-02-03.*why/s,
    stderr: '',
  });
  t.match(await accord('doubt', 'list', '--limit', '1', '--json', ...admin), { stdout: /"next":"[0-9a-f-]{36}"/ });
  const answer = ['doubt', 'answer', reported.id, '--state'];
  t.match(await accord(...answer, 'rejected', ...admin), { code: 2, stderr: /without a reason\.\nNext: / });
  t.match(await accord(...answer, 'rejected', '--note', 'as in the register', ...admin), {
    code: 0,
    stdout: /rejected/,
  });
  t.match(await accord(...answer, 'accepted', ...admin), { code: 5, stderr: /^DOUBT_CLOSED.*rejected already/ });
  t.match(await accord('doubt', 'show', reported.id, '--service', SERVICE, ...client), {
    code: 0,
    stdout: /rejected[\s\S]*as in the register/,
  });
});
