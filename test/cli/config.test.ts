// The whole ceremony as its persons do it, with real processes: a root is made, the registry started, a member
// registered, a draft approved by two people with their own key files, and the result verified from the anchor alone.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { sealKey } from '#certs/key-file.ts';
import { generateKeys } from '#certs/keys.ts';
import { EXIT } from '#cli/output.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-cli-config-'));
const at = (name: string) => join(folder, name);
const env = { ...process.env, ACCORD_KEY_PASSPHRASE: 'correct horse battery', ACCORD_REGISTRY: 'http://127.0.0.1:1' };
let registry: ChildProcess | undefined;
t.teardown(() => {
  registry?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

async function accord(
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string; json: Record<string, unknown> }> {
  const child = spawn(process.execPath, ['cli/main.ts', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const [code] = await once(child, 'close');
  const json = stdout.startsWith('{') ? JSON.parse(stdout) : {};
  return { code, stdout, stderr, json };
}

t.test('init-root, draft, approve twice, verify', async (t) => {
  const cost = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
  for (const name of ['root', 'ann', 'bob', 'freshness', 'eve']) {
    const text = await sealKey(
      generateKeys().privateKey,
      env.ACCORD_KEY_PASSPHRASE,
      { use: 'approve', createdAtMs: 1, label: name },
      cost,
    );
    writeFileSync(at(`${name}.key.json`), text, { mode: 0o600 });
  }
  mkdirSync(at('registry'), { mode: 0o700 });
  const port = 20_000 + (process.pid % 20_000);
  const initRoot = (ann: string) =>
    accord(
      ...['config', 'init-root', '--instance', 'TEST', '--root', `Root=${at('root.key.json')}`, '--json'],
      ...['--approver', `${ann}=${at('ann.key.json')}`, '--approver', `Bob=${at('bob.key.json')}`],
      ...['--freshness', at('freshness.key.json'), '--url', `http://127.0.0.1:${port}/`, '--out', at('registry')],
    );
  t.match(
    await initRoot('Bob'),
    { code: EXIT.verificationFailed, stderr: 'CONFIGURATION_INVALID' },
    'one person twice',
  );
  t.match(await initRoot('Ann'), { code: EXIT.ok });
  t.match(await initRoot('Ann'), { code: EXIT.precondition, stderr: 'EEXIST' }, 'a root is never written over');

  cpSync(at('freshness.key.json'), at('registry/freshness.key.json'));
  const started = spawn(
    process.execPath,
    [
      'central-registry/main.ts',
      '--folder',
      at('registry'),
      '--configuration',
      `127.0.0.1:${port}`,
      '--admin',
      '127.0.0.1:0',
    ],
    { env, stdio: ['ignore', 'pipe', 'ignore'] },
  );
  registry = started;
  const [line] = await once(started.stdout, 'data');
  const ready = JSON.parse(String(line));
  const apiKey = ['--registry', ready.adminUrl, '--api-key-file', ready.adminKeyFile, '--json'];
  t.equal(statSync(ready.adminKeyFile).mode & 0o077, 0);
  t.match(await accord('member', 'add', 'TEST/GOV/1', '--name', 'Civil affairs', ...apiKey), { code: EXIT.ok });
  t.match(await accord('member', 'add', 'TEST/GOV/1', '--name', 'x', ...apiKey), {
    code: EXIT.precondition,
    stderr: /Next: /,
  });

  const anchor = ['--anchor', at('registry/anchor.json')];
  const verify = (source: string, ...more: string[]) =>
    accord('config', 'verify', source, ...anchor, '--json', ...more);
  t.match(await verify(ready.configurationUrl), { code: EXIT.peerUnavailable }, 'nothing is published yet');
  t.match(await accord('config', 'draft', ...apiKey), { code: EXIT.ok, json: { version: 1, state: 'open' } });
  const approve = (name: string, ...more: string[]) =>
    accord('config', 'approve', '--key', at(`${name}.key.json`), ...anchor, ...apiKey, ...more);
  t.match(await approve('ann', '--dry-run'), {
    code: EXIT.ok,
    json: { changes: [{ change: 'added', kind: 'member', id: 'TEST/GOV/1' }] },
  });
  t.match(await approve('ann'), { code: EXIT.usage, stderr: '--yes' }, 'nobody signs without being asked');
  t.match(await approve('eve', '--yes'), { code: EXIT.verificationFailed, stderr: 'SIGNED_FILE_SIGNATURE_WRONG' });
  t.match(await approve('ann', '--yes'), { code: EXIT.ok, json: { state: 'open' } });
  t.match(await accord('config', 'publish', '1', ...apiKey), {
    code: EXIT.verificationFailed,
    stderr: 'CONFIGURATION_THRESHOLD',
  });
  t.match(await approve('bob', '--yes'), { code: EXIT.ok, json: { state: 'published' } });

  t.match(await verify(ready.configurationUrl), { code: EXIT.ok, json: { valid: true, version: 1 } });
  const copy = at('copy');
  cpSync(at('registry/published'), copy, { recursive: true });
  t.match(await verify(copy, '--at', '2200-01-01T00:00:00Z'), {
    code: EXIT.verificationFailed,
    json: { code: 'CONFIGURATION_EXPIRED' },
  });
  const content = join(copy, 'content.1.jws');
  const bytes = readFileSync(content);
  bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
  writeFileSync(content, bytes);
  t.match(await verify(copy), {
    code: EXIT.verificationFailed,
    json: { valid: false, code: 'CONFIGURATION_PART_WRONG' },
  });

  const distrust = [
    'config',
    'distrust',
    '--key',
    at('ann.key.json'),
    ...anchor,
    '--server',
    'TEST/GOV/1/ss1',
    '--reason',
    'stolen',
  ];
  t.match(await accord(...distrust, '--yes', ...apiKey), { code: EXIT.ok, json: { version: 1 } });
  t.match(await verify(ready.configurationUrl), { code: EXIT.ok, json: { distrust: 1 } });
  started.kill('SIGTERM');
  t.same(await once(started, 'exit'), [0, null], 'SIGTERM drains');
  t.match(await accord('member', 'list', ...apiKey), { code: EXIT.peerUnavailable, stderr: 'PEER_UNREACHABLE' });
});
