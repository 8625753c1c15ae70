// `accord log` as an operator runs it: another process, while the server writes, and after somebody changed a byte.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { openMessageLog } from '#core/log/message-log.ts';
import { dataDir, logFixture, requestRecords, responseRecord } from '#test/core/log-fixture.ts';

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
