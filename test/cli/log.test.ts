// `accord log` as an operator runs it: from another process while the server writes, and after somebody changed a byte.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { openKey } from '#certs/key-file.ts';
import { listKeyFiles, readKeyFile } from '#core/key-store.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import type { Ended } from '#scripts/accord-here.ts';
import { initServerFolder } from '#security-server/data-folder.ts';
import { currentLogOrigin } from '#security-server/log-origin.ts';
import { dataDir, logFixture, OWN, requestRecords, responseRecord } from '#test/core/log-fixture.ts';
import { accord } from './run.ts';

const accordLog = (...args: string[]) => accord('log', ...args);

/** The same as a process of its own, where it matters that the server that has the log is another one. */
function otherProcess(...args: string[]): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['cli/main.ts', 'log', ...args], { encoding: 'utf8' });
  return { code: status ?? -1, stdout, stderr };
}

t.test('verify, show and accept-checkpoint', async (t) => {
  const { options, dir } = logFixture(t);
  const log = await openMessageLog(options);
  const [first] = requestRecords();
  await log.append(first!);
  await log.append(responseRecord(first!, 1));
  await log.append(requestRecords()[0]!);

  const running = otherProcess('verify', '--dir', dir, '--json');
  t.equal(running.code, 0, running.stderr);
  t.match(JSON.parse(running.stdout), { ok: true, entries: 3, firstBadSeq: null, code: null, root: log.root() });
  const otherKey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
  t.match(await accordLog('verify', '--dir', dir, '--key', otherKey), { code: 7, stderr: /LOG_ORIGIN_WRONG/ });

  const shown = JSON.parse((await accordLog('show', '--dir', dir, '--id', first!.id, '-o', 'json')).stdout);
  t.match(shown, [
    { seq: 1, kind: 'response-received', code: 'OK' },
    { seq: 0, kind: 'request-sent', id: first!.id, evidence: { signature: { index: 0, size: 1 } } },
  ]);
  t.equal(shown[1].evidence.statement, first!.evidence!.statement.toString('utf8'));
  t.match(JSON.parse((await accordLog('show', '--dir', dir, '--from', '2', '--json')).stdout), [{ seq: 2 }]);
  t.match((await accordLog('show', '--dir', dir, '--limit', '1')).stdout, /request-sent/);
  t.match(await accordLog('verify', '--dir', join(dir, 'none')), { code: 3, stderr: /LOG_MISSING.*\nNext: /s });

  // A copy of a log that is being written: its last commits are in the write-ahead log only.
  const copy = join(dir, 'copy');
  execFileSync('cp', ['-r', options.folder, join(dir, 'log-copy')]);
  execFileSync('mkdir', [copy]);
  execFileSync('mv', [join(dir, 'log-copy'), join(copy, 'log')]);
  t.match(
    JSON.parse(
      (await accordLog('verify', '--dir', copy, '--key', log.verifierKey, '--no-checkpoint', '--json')).stdout,
    ),
    { ok: true, entries: 3 },
  );
  await log.close();

  rmSync(options.checkpointFile);
  t.match(await accordLog('accept-checkpoint', '--dir', dir), { code: 5, stderr: /--yes/ });
  t.notOk(existsSync(options.checkpointFile));
  t.equal((await accordLog('accept-checkpoint', '--dir', dir, '--yes')).code, 0);
  t.equal((await accordLog('verify', '--dir', dir)).code, 0);

  const db = new Database(join(dataDir(dir).folder, 'messages.db'));
  db.exec('DROP TRIGGER entries_update; UPDATE entries SET line = replace(line, \'"open"\', \'"law"\') WHERE seq = 1');
  db.close();
  const bad = await accordLog('verify', '--dir', dir, '--json');
  t.match(bad, { code: 7, stderr: /LOG_ENTRY_CHANGED.* at entry 1 .*\nNext: /s });
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

  t.match(await accordLog('rotate-key', ...secret), { code: 5, stderr: /--yes/ });
  const rotated = await accordLog('rotate-key', ...secret, '--yes', '--json');
  t.equal(rotated.code, 0, rotated.stderr);
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
  t.equal((await accordLog('verify', '--dir', dir, '--key', verifierKey)).code, 0);
  t.equal(
    (await accordLog('verify', '--dir', dir, '--key', first.verifierKey)).code,
    0,
    'who knows the old key can follow',
  );
  const second = await openMessageLog(await server(origin));
  t.equal(second.verifierKey, verifierKey);
  t.match(otherProcess('new-origin', ...secret, '--yes'), { code: 5, stderr: /LOG_IN_USE/ });
  await second.close();

  t.match(await accordLog('new-origin', ...secret), { code: 5, stderr: /--yes/ });
  const opened = await accordLog('new-origin', ...secret, '--yes', '--json');
  t.match(JSON.parse(opened.stdout), { origin: `accord/${OWN}/2`, closed: { origin }, cites: { size: 2 } });
  t.equal(currentLogOrigin(OWN, dir), `accord/${OWN}/2`);
  const third = await openMessageLog(await server(currentLogOrigin(OWN, dir)));
  await third.append(requestRecords()[0]!);
  await third.close();
  const entriesOf = async (...args: string[]) =>
    JSON.parse((await accordLog('verify', '--dir', dir, '--json', ...args)).stdout).entries;
  t.same([await entriesOf(), await entriesOf('--origin', origin), await entriesOf('--origin', '1')], [2, 2, 2]);
  t.match((await accordLog('show', '--dir', dir, '--origin', '1')).stdout, /key-rotated/);
  t.match((await accordLog('show', '--dir', dir)).stdout, /origin-opened/);
  t.match(await accordLog('verify', '--dir', dir, '--origin', '7'), { code: 3, stderr: /LOG_MISSING/ });
});
