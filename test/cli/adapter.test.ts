// `accord adapter`: exit codes, and as a process the ready line and the stop on SIGTERM.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openClient } from '#core/http/client.ts';
import { makeDatabases } from '#scripts/demo/databases.ts';
import { generatePopulation } from '#scripts/demo/residents.ts';
import { accord } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-adapter-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const { adapterFiles } = await makeDatabases(join(folder, 'data'), generatePopulation(1, 50));
const file = adapterFiles['civil-affairs'];

const run = (...args: string[]) => accord('adapter', ...args);

t.test('check and openapi', async (t) => {
  const wrong = join(folder, 'data', 'wrong.yaml');
  const yaml = (text: string) => writeFileSync(wrong, text);
  const good = `adapter: sql
service: {code: x, title: X}
database: {engine: sqlite, file: civil-affairs.sqlite}
resources:
  - path: /r/{id}
    table: residents
    answer: one
    parameters: {id: {in: path, column: resident_id, type: string}}
    properties: {name: {column: name, type: string}}
`;
  t.match(await run('check', file, '--json'), { code: 0, stdout: '{"ok":true,"warnings":[]}' });
  const described = await run('openapi', file);
  t.equal(described.code, 0);
  t.match(JSON.parse(described.stdout), { openapi: '3.1.0', paths: { '/residents/{id}/low-income-support': {} } });
  yaml(good.replace('column: name', 'column: nmae'));
  t.match(await run('check', wrong), { code: 5, stderr: /wrong\.yaml:9: unknown column nmae[\s\S]*next: / });
  yaml(good.replace('answer: one', 'anser: one'));
  t.match(await run('check', wrong), { code: 1, stderr: /wrong\.yaml:7: unknown key anser/ });
  t.match(await run('check', join(folder, 'none.yaml')), { code: 3, stderr: /next: / });
  t.match(await run('serve', file, '--host', '0.0.0.0'), { code: 1, stderr: /listen\.tls/ });
});

t.test('serve until SIGTERM, running requests end first', async (t) => {
  const child = spawn(process.execPath, ['cli/main.ts', 'adapter', 'serve', file, '--json']);
  t.teardown(() => child.kill('SIGKILL'));
  const [line] = await once(child.stdout, 'data');
  const { ready, url } = JSON.parse(String(line));
  t.equal(ready, true);
  t.match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
  const client = openClient();
  const { residents } = generatePopulation(1, 50);
  const path = `/residents/${residents[0]?.id}/low-income-support`;
  t.equal((await client.request({ origin: url, path, method: 'GET' })).status, 200);
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  t.strictSame(await ended, [0, null]);
  await t.rejects(client.request({ origin: url, path, method: 'GET' }), { code: 'PEER_UNREACHABLE' });
  await client.close();
});
