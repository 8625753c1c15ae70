// `accord log` as an operator runs it: another process, while the server writes, and after somebody changed a byte.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { openKey } from '#certs/key-file.ts';
import { listKeyFiles, readKeyFile } from '#core/key-store.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import { initServerFolder } from '#security-server/data-folder.ts';
import { currentLogOrigin } from '#security-server/log-origin.ts';
import { dataDir, logFixture, OWN, requestRecords, responseRecord } from '#test/core/log-fixture.ts';

const PROGRAM =
  "const { logCommand } = await import('#cli/log.ts'); await logCommand().parseAsync(process.argv.slice(1), { from: 'user' });";

function accordLog(...args: string[]) {
  const done = spawnSync(process.execPath, ['--input-type=module', '-e', PROGRAM, '--', ...args], { encoding: 'utf8' });
  return { status: done.status, stdout: done.stdout, stderr: done.stderr };
}

t.test('verify, show and accept-checkpoint', async (t) => {
  const { options, dir } = logFixture(t);
  const log = await openMessageLog(options);
  const [first] = requestRecords();
  await log.append(first!);
  await log.append(responseRecord(first!, 1));
  await log.append(requestRecords()[0]!);

  const running = accordLog('verify', '--dir', dir, '--json');
  t.equal(running.status, 0, running.stderr);
  t.match(JSON.parse(running.stdout), { ok: true, entries: 3, firstBadSeq: null, code: null, root: log.root() });
  const otherKey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
  t.match(accordLog('verify', '--dir', dir, '--key', otherKey), { status: 7, stderr: /LOG_ORIGIN_WRONG/ });

  const shown = JSON.parse(accordLog('show', '--dir', dir, '--id', first!.id, '-o', 'json').stdout);
  t.match(shown, [
    { seq: 1, kind: 'response-received', code: 'OK' },
    { seq: 0, kind: 'request-sent', id: first!.id, evidence: { signature: { index: 0, size: 1 } } },
  ]);
  t.equal(shown[1].evidence.statement, first!.evidence!.statement.toString('utf8'));
  t.match(JSON.parse(accordLog('show', '--dir', dir, '--from', '2', '--json').stdout), [{ seq: 2 }]);
  t.match(accordLog('show', '--dir', dir, '--limit', '1').stdout, /request-sent/);
  t.match(accordLog('verify', '--dir', join(dir, 'none')), { status: 3, stderr: /LOG_MISSING.*\nNext: /s });

  // A copy of a log that is being written: its last commits are in the write-ahead log only.
  const copy = join(dir, 'copy');
  execFileSync('cp', ['-r', options.folder, join(dir, 'log-copy')]);
  execFileSync('mkdir', [copy]);
  execFileSync('mv', [join(dir, 'log-copy'), join(copy, 'log')]);
  t.match(
    JSON.parse(accordLog('verify', '--dir', copy, '--key', log.verifierKey, '--no-checkpoint', '--json').stdout),
    { ok: true, entries: 3 },
  );
  await log.close();

  rmSync(options.checkpointFile);
  t.match(accordLog('accept-checkpoint', '--dir', dir), { status: 5, stderr: /--yes/ });
  t.notOk(existsSync(options.checkpointFile));
  t.equal(accordLog('accept-checkpoint', '--dir', dir, '--yes').status, 0);
  t.equal(accordLog('verify', '--dir', dir).status, 0);

  const db = new Database(join(dataDir(dir).folder, 'messages.db'));
  db.exec('DROP TRIGGER entries_update; UPDATE entries SET line = replace(line, \'"open"\', \'"law"\') WHERE seq = 1');
  db.close();
  const bad = accordLog('verify', '--dir', dir, '--json');
  t.match(bad, { status: 7, stderr: /LOG_ENTRY_CHANGED.* at entry 1 .*\nNext: /s });
  t.match(JSON.parse(bad.stdout), { ok: false, entries: 1, firstBadSeq: 1, code: 'LOG_ENTRY_CHANGED' });
});

t.test('rotate-key and new-origin, on the folder of a server that does not run', async (t) => {
  const { options, dir, clock } = logFixture(t);
  const passphrase = 'correct horse battery staple';
  await initServerFolder({
    folder: dir,
    settings: { id: OWN, address: 'https://127.0.0.1:5500' },
    anchorText: '{}',
    passphrase,
    nowMs: clock.wallMs,
    dnsNames: [],
    ipAddresses: ['127.0.0.1'],
    keyFileCost: { memoryKib: 8 * 1024, passes: 1, lanes: 1 },
  });
  const keys = join(dir, 'keys');
  const checkpointKey = async () => (await openKey(await readKeyFile(keys, 'checkpoint'), passphrase)).privateKey;
  const server = async (origin: string) => ({ ...options, origin, checkpointKey: await checkpointKey() });
  const first = await openMessageLog(await server(currentLogOrigin(OWN, dir)));
  await first.append(requestRecords()[0]!);
  await first.close();
  writeFileSync(join(dir, 'passphrase'), passphrase, { mode: 0o600 });
  const secret = ['--dir', dir, '--passphrase-file', join(dir, 'passphrase')];

  t.match(accordLog('rotate-key', ...secret), { status: 5, stderr: /--yes/ });
  const rotated = accordLog('rotate-key', ...secret, '--yes', '--json');
  t.equal(rotated.status, 0, rotated.stderr);
  const { origin, verifierKey, size, register } = JSON.parse(rotated.stdout);
  t.match({ origin, size, register }, { origin: `accord/${OWN}`, size: 2, register: /^accord server renew / });
  t.match(await listKeyFiles(keys), [
    'authentication',
    'checkpoint',
    'encryption-1',
    'signing',
    'storage',
    'subject-1',
  ]);
  t.equal(accordLog('verify', '--dir', dir, '--key', verifierKey).status, 0);
  t.equal(accordLog('verify', '--dir', dir, '--key', first.verifierKey).status, 0, 'who knows the old key can follow');
  const second = await openMessageLog(await server(origin));
  t.equal(second.verifierKey, verifierKey);
  t.match(accordLog('new-origin', ...secret, '--yes'), { status: 5, stderr: /LOG_IN_USE/ });
  await second.close();

  t.match(accordLog('new-origin', ...secret), { status: 5, stderr: /--yes/ });
  const opened = accordLog('new-origin', ...secret, '--yes', '--json');
  t.match(JSON.parse(opened.stdout), { origin: `accord/${OWN}/2`, closed: { origin }, cites: { size: 2 } });
  t.equal(currentLogOrigin(OWN, dir), `accord/${OWN}/2`);
  const third = await openMessageLog(await server(currentLogOrigin(OWN, dir)));
  await third.append(requestRecords()[0]!);
  await third.close();
  const entriesOf = (...args: string[]) =>
    JSON.parse(accordLog('verify', '--dir', dir, '--json', ...args).stdout).entries;
  t.same([entriesOf(), entriesOf('--origin', origin), entriesOf('--origin', '1')], [2, 2, 2]);
  t.match(accordLog('show', '--dir', dir, '--origin', '1').stdout, /key-rotated/);
  t.match(accordLog('show', '--dir', dir).stdout, /origin-opened/);
  t.match(accordLog('verify', '--dir', dir, '--origin', '7'), { status: 3, stderr: /LOG_MISSING/ });
});
