// What a dying process, a failing disk and a full one do to a log: no acknowledged record is lost, nothing is
// acknowledged that is not there, and the log goes on only when that is safe.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { verifyLog } from '#core/log/audit.ts';
import { type MessageLog, openMessageLog, startMessageLog } from '#core/log/message-log.ts';
import { openRecordKeysSqlite } from '#core/log/record-keys-sqlite.ts';
import { type LogStore, StoreError } from '#core/log/store.ts';
import { openLogStoreSqlite } from '#core/log/store-sqlite.ts';
import { auditLog } from './audited.ts';
import { dataDir, type LogFixture, logFixture, requestRecords } from './log-fixture.ts';

const WRITER = fileURLToPath(import.meta.resolve('./fixtures/log-writer.ts'));

t.test('kill -9 under load: every acknowledged record is there after the restart', async (t) => {
  const { options, dir } = logFixture(t);
  writeFileSync(join(dir, 'checkpoint-key.pem'), options.checkpointKey.export({ format: 'pem', type: 'pkcs8' }));
  writeFileSync(join(dir, 'storage-key'), options.storageKey);
  const acknowledged = new Map<number, string>();
  for (let cycle = 0; cycle < 4; cycle++) {
    const before = acknowledged.size;
    const writer = spawn(process.execPath, [WRITER, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: writer.stdout });
    const target = before + 20 + cycle * 37;
    lines.on('line', (line) => {
      const [seq, leaf] = line.split(' ');
      if (leaf?.length === 43) acknowledged.set(Number(seq), leaf);
      if (acknowledged.size >= target) writer.kill('SIGKILL');
    });
    await new Promise((resolve) => writer.once('close', resolve));
    t.ok(acknowledged.size > before);
    const log = await openMessageLog(options);
    const stored = new Map<number, string>();
    for (let page = log.read(0, 1_000); page.length > 0; page = log.read(stored.size, 1_000)) {
      for (const { seq, leafHash } of page) stored.set(seq, leafHash);
    }
    const lost = [...acknowledged].filter(([seq, leaf]) => stored.get(seq) !== leaf);
    t.same(lost, [], `cycle ${cycle}: ${acknowledged.size} acknowledged, ${stored.size} stored`);
    const sealed = [...stored.keys()].filter((seq) => log.readSealed(seq) === null);
    t.same(sealed, [], 'and every one can be opened: its key was durable first');
    await auditLog(t, log, options);
    await log.close();
  }
});

/** A log whose store the test can make fail. */
function brittle(fixture: LogFixture, folder = fixture.options.folder) {
  const { options } = fixture;
  const store = openLogStoreSqlite(folder);
  const fails: { append?: (write: () => void) => void } = {};
  const append: LogStore['append'] = (...rows) => {
    const write = () => store.append(...rows);
    if (fails.append === undefined) write();
    else fails.append(write);
  };
  const keys = openRecordKeysSqlite(options.keyFolder, options.storageKey);
  const alarms: string[] = [];
  const log = startMessageLog({ ...options, store: { ...store, append }, keys, onAlarm: (code) => alarms.push(code) });
  return { log, store, fails, alarms };
}

t.test('an I/O error: nothing is acknowledged any more; a restart tells what was kept', async (t) => {
  const table: [name: string, persisted: boolean, failure: (write: () => void) => void][] = [
    [
      'failed',
      false,
      () => {
        throw new StoreError('failed', new Error('disk I/O error'));
      },
    ],
    [
      'failed but persisted',
      true,
      (write) => {
        write();
        throw new StoreError('failed', new Error('disk I/O error'));
      },
    ],
  ];
  for (const [name, persisted, failure] of table) {
    const fixture = logFixture(t);
    const { log, fails, alarms } = brittle(fixture);
    await log.append(requestRecords()[0]!);
    const claim = { from: 'DEV/GOV/2002/ss2', id: 'x', untilMs: fixture.clock.wallMs + 1_000 };
    const [request] = requestRecords(1, { claim });
    fails.append = failure;
    await t.rejects(log.append(request!), { code: 'LOG_UNAVAILABLE' }, name);
    delete fails.append;
    await t.rejects(log.append(request!), { code: 'LOG_UNAVAILABLE' }, 'also afterwards');
    fixture.clock.pass(20_000);
    fixture.tick();
    t.match(log.state(), { ok: false, code: 'LOG_IO_FAILED' });
    t.same(alarms, ['LOG_IO_FAILED']);
    t.equal(log.size(), 1);
    await log.close();
    const again = await openMessageLog(fixture.options);
    t.equal(again.size(), persisted ? 2 : 1);
    t.equal((await again.append(request!)).outcome, persisted ? 'replay' : 'appended');
    await auditLog(t, again, fixture.options);
    await again.close();
  }
});

t.test('a busy database: that turn fails, the next goes on', async (t) => {
  const fixture = logFixture(t);
  const { log, fails, alarms } = brittle(fixture);
  fails.append = () => {
    throw new StoreError('busy', new Error('database is locked'));
  };
  await t.rejects(log.append(requestRecords()[0]!), { code: 'LOG_UNAVAILABLE' });
  delete fails.append;
  t.same([log.state(), alarms], [{ ok: true }, ['LOG_UNAVAILABLE']]);
  t.match(await log.append(requestRecords()[0]!), { seq: 0 });
  await auditLog(t, log, fixture.options);
  await log.close();
});

/** Appends until the disk is full; returns how many were acknowledged. */
async function fill(t: Test, log: MessageLog): Promise<number> {
  for (let acknowledged = log.size(); acknowledged < 5_000; ) {
    const results = await Promise.allSettled(requestRecords(32).map((record) => log.append(record)));
    const good = results.filter(({ status }) => status === 'fulfilled').length;
    acknowledged += good;
    if (good === 0) return acknowledged;
    if (good < 32) t.fail('one transaction was acknowledged in part');
  }
  throw new Error('the disk does not get full');
}

t.test('a full disk: refused as a whole, and left again without a restart', async (t) => {
  const fixture = logFixture(t);
  const { log, store, alarms } = brittle(fixture);
  store.limitPages(120);
  const acknowledged = await fill(t, log);
  t.ok(acknowledged > 0);
  t.match(log.state(), { ok: false, code: 'LOG_DISK_FULL' });
  await t.rejects(log.append(requestRecords()[0]!), { code: 'LOG_UNAVAILABLE' });
  t.equal(log.size(), acknowledged);
  fixture.tick();
  t.match(log.state(), { ok: false }, 'still full');
  store.limitPages(100_000);
  await t.rejects(log.append(requestRecords()[0]!), { code: 'LOG_UNAVAILABLE' }, 'until it was looked at');
  fixture.tick();
  t.same(log.state(), { ok: true });
  t.match(await log.append(requestRecords()[0]!), { outcome: 'appended', seq: acknowledged });
  t.same(alarms, ['LOG_DISK_FULL']);
  t.throws(() => brittle(fixture), { code: 'LOG_IN_USE' });
  await auditLog(t, log, fixture.options);
  await log.close();
  const again = await openMessageLog(fixture.options);
  t.equal(again.size(), acknowledged + 1);
  await again.close();
});

t.test('a disk that is really full (a small file system in memory; needs root)', async (t) => {
  const fixture = logFixture(t);
  const disk = join(fixture.dir, 'disk');
  mkdirSync(disk);
  const mounted = spawnSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]);
  if (mounted.status !== 0) return t.plan(0, 'SKIPPED: this user cannot mount a file system');
  t.teardown(() => spawnSync('/bin/umount', ['-l', disk]));
  const options = { ...fixture.options, ...dataDir(disk) };
  const log = await openMessageLog(options);
  const acknowledged = await fill(t, log);
  t.match(log.state(), { ok: false, code: 'LOG_DISK_FULL' });
  fixture.tick();
  t.match(log.state(), { ok: false });
  const resized = spawnSync('/bin/mount', ['-o', 'remount,size=16m', disk]);
  t.equal(resized.status, 0);
  fixture.tick();
  t.same(log.state(), { ok: true });
  t.match(await log.append(requestRecords()[0]!), { seq: acknowledged });
  await auditLog(t, log, options);
  await log.close();
  t.equal(spawnSync('/bin/mount', ['-o', 'remount,ro', disk]).status, 0);
  await t.rejects(verifyLog(options), { code: 'LOG_UNREADABLE' }, 'an audit says so, and not that the log is damaged');
});
