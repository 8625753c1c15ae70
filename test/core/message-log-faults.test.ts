// Faults one at a time: each write of the log fails, or fails but is kept, or is torn; each of its disks is full alone;
// keys are lost; the clock jumps; the process is stopped; a reader stays long. After each the log either stands its audit
// with every acknowledged record, or says with a code why it does not start.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { verifyLog } from '#core/log/audit.ts';
import { type MessageLog, openMessageLog, startMessageLog } from '#core/log/message-log.ts';
import type { RecordKeys } from '#core/log/record-keys.ts';
import { openRecordKeysSqlite } from '#core/log/record-keys-sqlite.ts';
import { type LogStore, StoreError } from '#core/log/store.ts';
import { openLogAuditSqlite, openLogStoreSqlite } from '#core/log/store-sqlite.ts';
import { auditLog } from './audited.ts';
import { dataDir, exchangeId, type LogFixture, logFixture, PEER, requestRecords } from './log-fixture.ts';

const WRITER = fileURLToPath(import.meta.resolve('./fixtures/log-writer.ts'));

type Write = 'append' | 'addCheckpoint' | 'purgeClaims' | 'issue' | 'checkpoint file';

/** A log whose named write fails when the test says so; `kept` decides whether it is done all the same. */
function failing({ options }: LogFixture, which: Write, kept: boolean) {
  const armed = { now: false };
  const alarms: string[] = [];
  const guard = <A extends unknown[], R>(write: Write, run: (...args: A) => R) => {
    return (...args: A): R => {
      if (write !== which || !armed.now) return run(...args);
      if (kept) run(...args);
      throw new StoreError('failed', new Error('disk I/O error'));
    };
  };
  const real = openLogStoreSqlite(options.folder);
  const store: LogStore = {
    ...real,
    append: guard('append', real.append),
    addCheckpoint: guard('addCheckpoint', real.addCheckpoint),
    purgeClaims: guard('purgeClaims', real.purgeClaims),
  };
  const realKeys = openRecordKeysSqlite(options.keyFolder, options.storageKey);
  const keys: RecordKeys = { ...realKeys, issue: guard('issue', realKeys.issue) };
  const log = startMessageLog({ ...options, store, keys, onAlarm: (code) => alarms.push(code) });
  const arm = () => {
    armed.now = true;
    // A folder where the new file would be written: the file's own error, not one of the test.
    if (which === 'checkpoint file') mkdirSync(`${options.checkpointFile}.new`);
  };
  return { log, alarms, arm };
}

t.test('every write, failed and failed but kept', async (t) => {
  const writes: Write[] = ['append', 'addCheckpoint', 'purgeClaims', 'issue', 'checkpoint file'];
  for (const which of writes) {
    for (const kept of which === 'checkpoint file' ? [false] : [false, true]) {
      const name = `${which}, ${kept ? 'kept' : 'lost'}`;
      const fixture = logFixture(t);
      const { options, clock, tick } = fixture;
      const { log, alarms, arm } = failing(fixture, which, kept);
      const acknowledged = [await log.append(requestRecords()[0]!)];
      arm();
      // `issue` answers from keys made ahead, so that more records than those are needed to make it write.
      const results = await Promise.allSettled(requestRecords(40).map((record) => log.append(record)));
      for (const result of results) if (result.status === 'fulfilled') acknowledged.push(result.value);
      clock.pass(11_000);
      tick();
      t.match(log.state(), { ok: false, code: 'LOG_IO_FAILED' }, name);
      await t.rejects(log.append(requestRecords()[0]!), { code: 'LOG_UNAVAILABLE' }, `${name}: nothing more`);
      t.equal(alarms.length, 1, `${name}: one alarm`);
      await log.close();
      rmSync(`${options.checkpointFile}.new`, { recursive: true, force: true });
      const again = await openMessageLog(options);
      t.ok(again.size() >= acknowledged.length, name);
      for (const one of acknowledged) {
        const [view] = again.read(one.seq, 1);
        const same =
          one.outcome === 'appended' && view?.leafHash === one.leafHash && again.readSealed(one.seq) !== null;
        if (!same) t.fail(`${name}: record ${one.seq} is lost`);
      }
      await again.append(requestRecords()[0]!);
      await auditLog(t, again, options);
      await again.close();
    }
  }
});

t.test('torn: the last commits are cut anywhere', async (t) => {
  const fixture = logFixture(t);
  const { options, dir } = fixture;
  const log = await openMessageLog(options);
  for (let turn = 0; turn < 6; turn++) {
    await Promise.all(requestRecords(3).map((record) => log.append(record)));
    if (turn !== 2) continue;
    fixture.clock.pass(11_000);
    fixture.tick();
  }
  const outcomes = new Set<string>();
  const walBytes = statSync(join(options.folder, 'messages.db-wal')).size;
  for (let i = 0; i <= 24; i++) {
    const copy = { ...options, ...dataDir(join(dir, `copy-${i}`)) };
    cpSync(options.folder, copy.folder, { recursive: true });
    cpSync(options.keyFolder, copy.keyFolder, { recursive: true });
    cpSync(options.checkpointFile, copy.checkpointFile);
    truncateSync(join(copy.folder, 'messages.db-wal'), Math.floor((walBytes * i) / 24));
    try {
      const opened = await openMessageLog(copy);
      outcomes.add('open');
      await auditLog(t, opened, copy);
      t.ok(opened.size() >= 9, 'never behind the checkpoint');
      await opened.close();
    } catch (error) {
      // What was published is gone: a disk that lied about an fsync. Never taken for an older but good log.
      const { code } = error as { code: string };
      outcomes.add(code);
      if (!['LOG_ROLLED_BACK', 'LOG_DATABASE_DAMAGED'].includes(code)) t.fail(`cut at ${i}`, { code });
    }
  }
  t.same([...outcomes].sort().slice(-2), ['LOG_ROLLED_BACK', 'open']);
  writeFileSync(`${options.checkpointFile}.new`, 'half a che');
  await log.close();
  await (await openMessageLog(options)).close();
});

async function fill(log: MessageLog): Promise<number> {
  for (let turn = 0; turn < 500; turn++) {
    const results = await Promise.allSettled(requestRecords(16).map((record) => log.append(record)));
    if (results.every(({ status }) => status === 'rejected')) return log.size();
  }
  throw new Error('the disk does not get full');
}

t.test(
  'each disk full alone: the log, the keys, the checkpoint (small file systems in memory; needs root)',
  async (t) => {
    for (const part of ['folder', 'keyFolder', 'checkpointFile'] as const) {
      const fixture = logFixture(t);
      const { dir, clock, tick } = fixture;
      const disk = join(dir, 'disk');
      mkdirSync(disk);
      const mounted = spawnSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
      if (mounted.status !== 0) return t.plan(0, 'SKIPPED: this user cannot mount a file system');
      t.teardown(() => spawnSync('/bin/umount', ['-l', disk]));
      const options = { ...fixture.options, [part]: join(disk, part === 'checkpointFile' ? 'checkpoint.txt' : part) };
      const alarms: string[] = [];
      const log = await openMessageLog({ ...options, onAlarm: (code) => alarms.push(code) });
      await log.append(requestRecords()[0]!);
      writeFileSync(join(disk, 'ballast'), Buffer.alloc(part === 'checkpointFile' ? 900_000 : 300_000));
      spawnSync('sh', ['-c', `cat /dev/zero > ${join(disk, 'more')} 2>/dev/null; truncate -s 0 ${join(disk, 'none')}`]);
      if (part === 'checkpointFile') await log.append(requestRecords()[0]!);
      else await fill(log);
      clock.pass(11_000);
      tick();
      t.match(log.state(), { ok: false, code: 'LOG_DISK_FULL' }, part);
      const size = log.size();
      for (let i = 0; i < 3; i++) tick();
      t.match(log.state(), { ok: false }, `${part}: still full, and it does not come and go`);
      t.same(alarms, ['LOG_DISK_FULL'], 'said once');
      t.equal(spawnSync('/bin/mount', ['-o', 'remount,size=32m', disk]).status, 0);
      tick();
      t.same(log.state(), { ok: true }, `${part}: goes on by itself`);
      t.match(await log.append(requestRecords()[0]!), { seq: size });
      await auditLog(t, log, options);
      await log.close();
      const again = await openMessageLog(options);
      t.equal(again.size(), size + 1);
      await again.close();
    }
  },
);

t.test(
  'a key store that was lost, or put back from a backup, is noticed; one that destroyed keys is not',
  async (t) => {
    const { options, dir, clock } = logFixture(t);
    const { keyFolder } = options;
    const alarmed = async (records = 1) => {
      const alarms: string[] = [];
      const log = await openMessageLog({ ...options, onAlarm: (code) => alarms.push(code) });
      await Promise.all(requestRecords(records).map((record) => log.append(record)));
      await log.close();
      return alarms;
    };
    t.same(await alarmed(), []);
    cpSync(keyFolder, join(dir, 'backup'), { recursive: true });
    t.same(await alarmed(40), []);
    rmSync(keyFolder, { recursive: true });
    cpSync(join(dir, 'backup'), keyFolder, { recursive: true });
    t.same(await alarmed(), ['RECORD_KEYS_LOST'], 'an older store');
    t.same(await alarmed(), [], 'said once: what is sealed from now on can be opened');
    rmSync(keyFolder, { recursive: true });
    t.same(await alarmed(), ['RECORD_KEYS_LOST'], 'none');
    const log = await openMessageLog(options);
    log.erasure.destroyDays('standard', 0, Math.floor(clock.wallMs / 86_400_000));
    await log.close();
    t.same(await alarmed(), [], 'destroyed, not lost');
    t.match(await verifyLog(options), { ok: true }, 'what is not sealed verifies in any case');
  },
);

t.test('a clock that jumps ahead and comes back lets no replay in', async (t) => {
  const { options, clock, tick } = logFixture(t);
  const log = await openMessageLog(options);
  const id = exchangeId();
  const request = { ...requestRecords()[0]!, claim: { from: PEER, id, untilMs: clock.wallMs + 600_000 } };
  t.match(await log.append(request), { outcome: 'appended' });
  clock.wallMs += 3_600_000;
  tick();
  t.match(await log.append(request), { outcome: 'replay' }, 'the claim is not forgotten');
  clock.wallMs -= 3_600_000;
  tick();
  t.match(await log.append(request), { outcome: 'replay' });
  clock.pass(600_001);
  tick();
  t.match(await log.append(request), { outcome: 'appended' }, 'its time is over by any clock');
  clock.wallMs -= 7_200_000;
  await log.append(requestRecords()[0]!);
  await auditLog(t, log, options);
  await log.close();
});

/** A process that writes the log of this fixture, and how many records it has acknowledged. */
function writer(t: Test, { options, dir }: LogFixture) {
  writeFileSync(join(dir, 'checkpoint-key.pem'), options.checkpointKey.export({ format: 'pem', type: 'pkcs8' }));
  writeFileSync(join(dir, 'storage-key'), options.storageKey);
  const child = spawn(process.execPath, [WRITER, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const told = { count: 0 };
  createInterface({ input: child.stdout }).on('line', () => told.count++);
  const until = async (count: number) => {
    for (let waitedMs = 0; told.count < count && waitedMs < 20_000; waitedMs += 5) await delay(5);
    t.ok(told.count >= count);
  };
  const end = async () => {
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await closed;
  };
  return { child, told, until, end };
}

t.test('a stopped process keeps its lock, and goes on', async (t) => {
  const fixture = logFixture(t);
  const { folder, checkpointFile } = fixture.options;
  const { child, told, until, end } = writer(t, fixture);
  await until(20);
  for (let i = 0; i < 3; i++) {
    child.kill('SIGSTOP');
    await delay(20);
    await t.rejects(openMessageLog(fixture.options), { code: 'LOG_IN_USE' });
    t.match(await verifyLog({ folder, checkpointFile }), { ok: true }, 'readers are not stopped');
    child.kill('SIGCONT');
    await until(told.count + 20);
  }
  await end();
  const log = await openMessageLog(fixture.options);
  t.ok(log.size() >= told.count);
  await auditLog(t, log, fixture.options);
  await log.close();
});

t.test('a long reader: the write-ahead log grows for as long, and is given back', async (t) => {
  const { options } = logFixture(t);
  const log = await openMessageLog(options);
  const wal = () => statSync(join(options.folder, 'messages.db-wal')).size;
  const write = async (turns: number) => {
    for (let i = 0; i < turns; i++) await Promise.all(requestRecords(256).map((record) => log.append(record)));
  };
  await write(8);
  const usual = wal();
  const reader = openLogAuditSqlite(options.folder);
  const seen = reader.size();
  await write(16);
  t.ok(wal() > 1.5 * usual, 'while its snapshot is needed');
  t.equal(reader.size(), seen);
  reader.renew();
  t.equal(reader.size(), log.size(), 'a snapshot of now');
  reader.close();
  // The thread may be in the middle of copying: which of the next turns begins the file anew is not said.
  for (let turn = 0; turn < 60 && wal() > 2 * 8_192_000; turn++) await write(1);
  t.ok(wal() <= 2 * 8_192_000, `${wal()} bytes`);
  const { ok, entries } = await verifyLog({ folder: options.folder });
  t.same([ok, entries], [true, log.size()]);
  await log.close();
  t.ok(readFileSync(options.checkpointFile, 'utf8').includes(`\n${log.size()}\n`));
});
