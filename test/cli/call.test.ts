// `accord call` against two real security servers: what is printed, and which exit code each outcome has.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { accessRight, CLIENT, openPair, SERVICE } from '#scripts/campaign/pair.ts';
import { accord } from './run.ts';

const NOBODY = 'https://127.0.0.1:1';
const folder = mkdtempSync(join(tmpdir(), 'accord-call-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

t.test('an exchange: answers, refusals, what never left', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const server = ['--server', pair.consumer.urls.loopback!, '--client', CLIENT];
  const call = (...argv: string[]) => accord('call', SERVICE, ...argv, ...server);

  const plain = await call('/residents/1', '--query', 'with=家 & income', '--query', 'with=b');
  t.match(plain, { code: 0, stderr: '' });
  t.match(JSON.parse(plain.stdout), {
    method: 'GET',
    url: '/base/residents/1?with=%E5%AE%B6%20%26%20income&with=b',
  });
  t.notMatch(plain.stdout, 'evidence');

  const file = join(folder, 'token');
  writeFileSync(file, 'secret-of-backend\n', { mode: 0o600 });
  const bytes = join(folder, 'bytes.bin');
  writeFileSync(bytes, Buffer.from([0, 255, 10]));
  const whole = await call('/', '--data', '{"a":[1,null]}', '--header', `x-note: @${file}`, '--json');
  const answer = JSON.parse(whole.stdout);
  t.match(answer, { outcome: 'ok', status: 200, body: { method: 'POST' }, evidence: { log: { index: Number } } });
  t.equal(Buffer.from(answer.body.body, 'base64').toString(), '{"a":[1,null]}');
  const seen = pair.backend.seen.at(-1)!;
  t.equal(seen.headers[seen.headers.indexOf('x-note') + 1], 'secret-of-backend');
  const raw = await call('/', '--data', `@${bytes}`, '--content-type', 'image/x', '--method', 'PUT', '--proof');
  t.match(raw, { code: 0, stdout: /"body": "AP8K"[\s\S]*requestHash/ });
  t.match(pair.backend.seen.at(-1), { method: 'PUT', body: Buffer.from([0, 255, 10]) });

  pair.backend.answer = (_request, _body, response) =>
    response.writeHead(404, { 'content-type': 'text/plain' }).end('没有');
  t.match(await call('/x'), { code: 0, stdout: '没有', stderr: /status 404/ });
  pair.backend.answer = (request) => void request.socket.destroy();
  t.match(await call('/x'), { code: 1, stderr: /^BACKEND_\w+: .*\nId: [0-9a-f-]{36}\nNext: /s });

  const cases: [string, string[], number, RegExp][] = [
    ['no access right', ['call', SERVICE, '/', '--basis', 'law', ...server], 6, /^BASIS_NOT_ALLOWED: .*\nNext: /s],
    ['unknown provider', ['call', 'DEV/GOV/9/x/y', '/', ...server], 3, /^PROVIDER_UNKNOWN/],
    ['not an identifier', ['call', 'echo', '/', ...server], 2, /^SCHEMA_MISMATCH/],
    ['path with two readings', ['call', SERVICE, '/a/../b', ...server], 2, /^PATH_REFUSED/],
    [
      'no such client here',
      ['call', SERVICE, '/', ...server.slice(0, 2), '--client', 'DEV/GOV/1/x'],
      4,
      /^CALLER_NOT_ALLOWED/,
    ],
    [
      'nobody listens',
      ['call', SERVICE, '/', '--client', CLIENT, '--server', 'http://127.0.0.1:1'],
      8,
      /^PEER_UNREACHABLE/,
    ],
    ['no client', ['call', SERVICE, '/'], 2, /--client/],
    ['no service', ['call', '--client', CLIENT], 2, /SERVICE/],
    ['not JSON', ['call', SERVICE, '--data', '{"a":1,"a":2}', ...server], 2, /^JSON_DUPLICATE_NAME/],
    ['a key without certificate', ['call', SERVICE, '--key', file, ...server], 2, /--cert/],
    [
      'settle nothing',
      ['call', '--settle', '01890000-0000-7000-8000-000000000000', ...server],
      3,
      /^NOTHING_TO_SETTLE/,
    ],
  ];
  for (const [name, argv, code, stderr] of cases) {
    const ended = await accord(...argv);
    t.match(ended, { code, stderr }, name);
    t.match(ended.stderr, '\nNext: ', `${name}: what to do next`);
  }
  const refused = await call('/', '--basis', 'law', '-o', 'json');
  t.match(JSON.parse(refused.stdout), { outcome: 'refused', code: 'BASIS_NOT_ALLOWED', id: String, evidence: {} });

  const before = pair.backend.seen.length;
  const dry = await call('/dry', '--dry-run', '--json');
  t.match(JSON.parse(dry.stdout), { dryRun: true, client: CLIENT, service: SERVICE, path: '/dry' });
  t.equal(pair.backend.seen.length, before, 'a dry run asks nobody');

  pair.configuration.entries.get(pair.provider.id)!.address = NOBODY;
  const away = await call('/');
  t.match(away, { code: 8, stderr: /^PROVIDER_UNREACHABLE: .*\nId: .*\nNext: /s });
});

t.test('settling: answered, refused, void, nobody to ask', async (t) => {
  const pair = await openPair({ right: accessRight({ endpoints: [{ method: 'GET', path: '/**' }] }) });
  t.teardown(() => pair.close());
  const server = ['--server', pair.consumer.urls.loopback!, '--client', CLIENT];
  const settle = (id: string, ...argv: string[]) => accord('call', '--settle', id, ...server, ...argv);
  const ask = async (...argv: string[]): Promise<string> =>
    JSON.parse((await accord('call', SERVICE, '/x', '--json', ...server, ...argv)).stdout).id;

  const answered = await settle(await ask());
  t.match(answered, { code: 0, stderr: /: ok\n$/ });
  t.match(JSON.parse(answered.stdout), { url: '/base/x' });
  t.match(await settle(await ask('--method', 'DELETE')), { code: 6, stderr: /ACCESS_DENIED: .*\nNext: /s });

  const provider = pair.configuration.entries.get(pair.provider.id)!;
  const address = provider.address;
  provider.address = NOBODY;
  const lost = await accord('call', SERVICE, '/x', '--json', ...server);
  t.match(lost, { code: 8, stderr: /^PROVIDER_UNREACHABLE/ });
  const { id } = JSON.parse(lost.stdout);
  t.match(await settle(id), { code: 8, stderr: /PROVIDER_UNREACHABLE.*\nNext: /s });
  provider.address = address;
  t.match(await settle(id, '-o', 'yaml'), { code: 5, stdout: /^state: void$/m, stderr: /^OUTCOME_VOID/ });
});
