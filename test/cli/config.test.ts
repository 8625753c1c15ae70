// The whole ceremony as its persons do it, against a registry that is a process: a root is made, the registry started, a
// member registered, a draft approved by two people with their own key files, and the result verified from the anchor alone.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { sealKey } from '#certs/key-file.ts';
import { generateKeys } from '#certs/keys.ts';
import { EXIT } from '#cli/output.ts';
import type { Ended } from '#scripts/accord-here.ts';
import { accord as run } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-cli-config-'));
const at = (name: string) => join(folder, name);
const passphrase = 'correct horse battery';
Object.assign(process.env, { ACCORD_KEY_PASSPHRASE: passphrase, ACCORD_REGISTRY: 'http://127.0.0.1:1' });
let registry: ChildProcess | undefined;
t.teardown(() => {
  registry?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

async function accord(...args: string[]): Promise<Ended & { json: Record<string, unknown> }> {
  const ended = await run(...args);
  return { ...ended, json: ended.stdout.startsWith('{') ? JSON.parse(ended.stdout) : {} };
}

t.test('init-root, draft, approve twice, verify', async (t) => {
  const cost = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
  for (const name of ['root', 'ann', 'bob', 'freshness', 'eve']) {
    const text = await sealKey(
      generateKeys().privateKey,
      passphrase,
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
    { stdio: ['ignore', 'pipe', 'ignore'] },
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

  // The next root: Ann goes, Carol comes, with a second root holder. Two copies of the plan are signed on two machines.
  for (const name of ['root2', 'carol']) {
    const about = { use: 'approve' as const, createdAtMs: 1, label: name };
    const text = await sealKey(generateKeys().privateKey, passphrase, about, cost);
    writeFileSync(at(`${name}.key.json`), text, { mode: 0o600 });
  }
  const rotate = (verb: string, ...args: string[]) =>
    accord('config', 'rotate-root', verb, ...args, ...anchor, '--json');
  const change = ['--root', `Second=${at('root2.key.json')}`, '--approver', `Carol=${at('carol.key.json')}`];
  t.match(await rotate('plan', ...change, '--remove', 'Nobody', '--out', at('plan')), { code: EXIT.usage });
  t.match(
    await rotate('plan', ...change, '--remove', 'Bob', '--remove', 'Ann', '--out', at('plan')),
    {
      code: EXIT.verificationFailed,
      stderr: 'CONFIGURATION_INVALID',
    },
    'one approver is not enough',
  );
  const deaf = ['--freshness', at('eve.key.json'), '--remove', 'registry', '--out', at('deaf')];
  await rotate('plan', ...deaf);
  await rotate('sign', at('deaf'), '--key', at('root.key.json'), '--yes');
  t.match(await rotate('publish', at('deaf'), ...apiKey.slice(0, -1)), {
    code: EXIT.verificationFailed,
    stderr: 'online key',
  });
  const planned = await rotate('plan', ...change, '--remove', 'Ann', '--threshold', '2', '--out', at('plan'));
  t.match(planned, { code: EXIT.ok, json: { version: 2, removed: [/^approver Ann/] } });
  t.equal((planned.json['added'] as string[]).length, 2);
  const sign = (name: string, ...more: string[]) =>
    rotate('sign', at('plan'), '--key', at(`${name}.key.json`), ...more);
  t.match(await sign('root'), { code: EXIT.usage, stderr: '--yes' });
  t.match(await sign('eve', '--yes'), { code: EXIT.verificationFailed, stderr: 'SIGNED_FILE_SIGNATURE_WRONG' });
  t.match(await sign('root', '--yes', '--out', at('plan-1')), { code: EXIT.ok });
  t.match(await sign('root2', '--yes', '--out', at('plan-2')), { code: EXIT.ok });
  const publish = (...names: string[]) => rotate('publish', ...names.map(at), ...apiKey.slice(0, -1));
  t.match(await publish('plan-1'), { code: EXIT.verificationFailed, stderr: 'CONFIGURATION_THRESHOLD' }, 'half-signed');
  t.match(await publish('plan-1', 'plan-2'), { code: EXIT.ok, json: { version: 2 } });
  t.match(await publish('plan-1', 'plan-2'), { code: EXIT.verificationFailed, stderr: 'CONFIGURATION_ROLLBACK' });
  t.match(await accord('config', 'draft', ...apiKey), { code: EXIT.ok });
  t.match(await approve('ann', '--yes'), { code: EXIT.verificationFailed }, 'a removed approver signs no more');
  t.match(await approve('bob', '--yes'), { code: EXIT.ok, json: { state: 'open' } });
  t.match(await approve('carol', '--yes'), { code: EXIT.ok, json: { state: 'published' } });
  t.match(await verify(ready.configurationUrl), { code: EXIT.ok, json: { root: 2, distrust: 1 } });

  // The owner of a key says so without anybody's permission; somebody with an API key hands it in.
  const own = ['config', 'distrust', '--own', '--key', at('eve.key.json'), ...anchor, '--reason', 'lost', '--yes'];
  t.match(await accord(...own, '--out', at('statement'), '--json'), { code: EXIT.ok });
  t.match(await accord('config', 'distrust-send', at('statement'), ...apiKey), { code: EXIT.ok, json: { version: 2 } });
  const listed = await accord('config', 'distrust-list', ...apiKey);
  const items = JSON.parse(listed.stdout);
  t.match(items, [{ by: 'approver' }, { by: 'owner', counts: 'yes' }]);
  t.match(await accord('config', 'distrust-lift', ...apiKey, '--', items[0].hash), { code: EXIT.ok });
  await accord('config', 'draft', ...apiKey);
  t.match(await approve('bob', '--dry-run'), {
    json: {
      changes: [
        { change: 'added', kind: 'distrust' },
        { change: 'removed', kind: 'distrust' },
      ],
    },
  });
  started.kill('SIGTERM');
  t.same(await once(started, 'exit'), [0, null], 'SIGTERM drains');
  t.match(await accord('member', 'list', ...apiKey), { code: EXIT.peerUnavailable, stderr: 'PEER_UNREACHABLE' });
});
