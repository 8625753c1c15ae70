// `accord adapter` as a process: the ready line, the stop on SIGTERM, exit codes.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openClient } from '#core/http/client.ts';
import { makeDatabases } from '#scripts/demo/databases.ts';
import { generatePopulation } from '#scripts/demo/residents.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-adapter-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const { adapterFiles } = await makeDatabases(join(folder, 'data'), generatePopulation(1, 50));
const file = adapterFiles['civil-affairs'];

const program = `import { adapterCommand } from '#cli/adapter.ts';
  await adapterCommand().exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2)).parseAsync(process.argv.slice(1), { from: 'user' });`;

function start(...args: string[]): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, ...args]);
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

async function run(...args: string[]) {
  const child = start(...args);
  let out = '';
  let errors = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, out, errors };
}

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
  t.match(await run('check', file, '--json'), { code: 0, out: '{"ok":true,"warnings":[]}' });
  const described = await run('openapi', file);
  t.equal(described.code, 0);
  t.match(JSON.parse(described.out), { openapi: '3.1.0', paths: { '/residents/{id}/low-income-support': {} } });
  yaml(good.replace('column: name', 'column: nmae'));
  t.match(await run('check', wrong), { code: 5, errors: /wrong\.yaml:9: unknown column nmae[\s\S]*next: / });
  yaml(good.replace('answer: one', 'anser: one'));
  t.match(await run('check', wrong), { code: 1, errors: /wrong\.yaml:7: unknown key anser/ });
  t.match(await run('check', join(folder, 'none.yaml')), { code: 3, errors: /next: / });
  t.match(await run('serve', file, '--host', '0.0.0.0'), { code: 1, errors: /listen\.tls/ });
});

t.test('serve until SIGTERM, running requests end first', async (t) => {
  const child = start('serve', file, '--json');
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
