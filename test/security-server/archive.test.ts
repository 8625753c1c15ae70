// The archive as the settings of a server say it, and the task that fills it: what is refused, when it runs, that it ends when
// the server does, and that a destination that hangs or fails changes nothing of the log.
import { randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { type KeyUse, sealKey } from '#certs/key-file.ts';
import { generateKeys } from '#certs/keys.ts';
import { checkArchive } from '#cli/doctor/evidence.ts';
import { openClient } from '#core/http/client.ts';
import { destroyKeyFile, writeKeyFile } from '#core/key-store.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import { openNewOrigin } from '#core/log/new-origin.ts';
import { openServerArchive } from '#security-server/archive/server-archive.ts';
import { openArchiveSettings } from '#security-server/archive/settings.ts';
import { resolveSettings } from '#security-server/settings.ts';
import { accord } from '../cli/run.ts';
import { archivable } from '../core/archive-fixture.ts';
import { auditLog } from '../core/audited.ts';
import { OWN, requestRecords } from '../core/log-fixture.ts';
import { S3_KEYS, s3Server } from '../core/s3-server.ts';

const PASSPHRASE = 'correct horse battery staple';
const COST = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
const DAY_MS = 86_400_000;

function settingsOf(archive: object, environment: Record<string, string> = {}) {
  const file = { v: 1, id: 'DEV/GOV/1001/ss1', address: 'https://ss1.example:5500', archive };
  return resolveSettings(JSON.stringify(file), environment, {}).settings.archive;
}

async function putKey(folder: string, use: KeyUse): Promise<void> {
  await destroyKeyFile(join(folder, 'keys'), 'archive').catch(() => {});
  const text = await sealKey(generateKeys('X25519').privateKey, PASSPHRASE, { use, createdAtMs: 0 }, COST);
  await writeKeyFile(join(folder, 'keys'), 'archive', text);
}

t.test('settings: a folder, a bucket, and what does not fit', async (t) => {
  const { dir, clock } = await archivable(t);
  const http = openClient();
  t.teardown(() => http.close());
  const ports = { clock, http, signal: new AbortController().signal };
  t.equal(await openArchiveSettings(dir, settingsOf({}), PASSPHRASE), null);
  await t.rejects(openArchiveSettings(dir, settingsOf({ destination: 'archive' }), PASSPHRASE), {
    code: 'KEY_FILE_NOT_FOUND',
  });
  await putKey(dir, 'storage');
  await t.rejects(openArchiveSettings(dir, settingsOf({ destination: 'archive' }), PASSPHRASE), {
    code: 'KEY_UNSUITABLE',
  });
  await putKey(dir, 'archive');
  const folder = await openArchiveSettings(
    dir,
    settingsOf({}, { ACCORD_SERVER_ARCHIVE_DESTINATION: 'archive' }),
    PASSPHRASE,
  );
  t.match(folder?.open(ports), { name: join(dir, 'archive'), isLocked: false });
  t.match(folder, { afterDays: 90, keepEntries: 0 });
  for (const wrong of [{ afterDays: 0 }, { lockMode: 'NONE' }, { s3Endpoint: 'ftp://x' }, { other: 1 }]) {
    t.throws(() => settingsOf(wrong), { code: 'SETTINGS_INVALID' });
  }
  const bucket = { destination: 's3://records/accord', s3Endpoint: 'https://s3.example' };
  const file = join(dir, 'archive-s3.json');
  await t.rejects(openArchiveSettings(dir, settingsOf(bucket), PASSPHRASE), { code: 'SETTINGS_INVALID' });
  writeFileSync(file, JSON.stringify(S3_KEYS), { mode: 0o644 });
  await t.rejects(openArchiveSettings(dir, settingsOf(bucket), PASSPHRASE), { code: 'KEY_FILE_MODE' });
  chmodSync(file, 0o600);
  const opened = async (more: object) =>
    (await openArchiveSettings(dir, settingsOf({ ...bucket, ...more }), PASSPHRASE))?.open(ports);
  t.match(await opened({ lockDays: 10 }), { name: 'https://s3.example/records/accord/', isLocked: true });
  await t.rejects(opened({ destination: 's3://UPPER' }), { code: 'SETTINGS_INVALID' });
  await t.rejects(opened({ s3Endpoint: null }), { code: 'SETTINGS_INVALID' });
  await t.rejects(opened({ destination: 'archive', lockDays: 1 }), { code: 'SETTINGS_INVALID' });
});

async function inBucket(t: Test) {
  const world = await archivable(t);
  const { dir, clock, log, options } = world;
  const store = await s3Server(t, clock.nowMs);
  await putKey(dir, 'archive');
  writeFileSync(join(dir, 'archive-s3.json'), JSON.stringify(S3_KEYS), { mode: 0o600 });
  const words = {
    destination: 's3://records/a',
    s3Endpoint: store.endpoint,
    s3Region: store.region,
    afterDays: 30,
    lockDays: 7,
  };
  const alarms: string[] = [];
  const logger = pino({ level: 'error' }, { write: (line: string) => void alarms.push(JSON.parse(line).alarm) });
  const archive = openServerArchive(
    { log, folder: dir, logFolder: options.folder, clock, logger, configurationVersion: () => 3 },
    await openArchiveSettings(dir, settingsOf(words), PASSPHRASE),
  );
  return { ...world, store, archive, alarms };
}

t.test('the task: what is old enough, once a day, and an alarm when it fails too long', async (t) => {
  const { archive, store, alarms, grow, clock, log, options } = await inBucket(t);
  await grow(2);
  await archive.start();
  await archive.tick();
  t.match(archive.state(), { archivedUntil: 0, overdue: false, running: false, trouble: null });
  clock.pass(30.5 * DAY_MS);
  await archive.tick();
  t.equal(archive.state().archivedUntil, 0, 'a segment holds a day');
  clock.pass(DAY_MS);
  await grow(1);
  store.fault = { kind: 'error-500', times: 99 };
  await archive.tick();
  t.match(archive.state(), { archivedUntil: 0, trouble: { code: 'ARCHIVE_UNREACHABLE' } });
  clock.pass(DAY_MS);
  await archive.tick();
  t.match(archive.state(), { overdue: true });
  t.same(alarms, ['ARCHIVE_UNREACHABLE', 'ARCHIVE_OVERDUE', 'ARCHIVE_UNREACHABLE']);
  store.fault = null;
  await archive.tick();
  t.match(archive.state(), {
    archivedUntil: 5,
    overdue: false,
    trouble: null,
    newest: { from: 0, to: 5 },
    locked: true,
  });
  t.equal(log.find(null, 'archived')[0]?.entry.configuration, 3);
  await archive.stop();
  await auditLog(t, log, options);
});

t.test('a store that never answers: one run at a time, and a server that stops does not wait for it', async (t) => {
  const { archive, store, alarms, grow, log, options } = await inBucket(t);
  await grow(1);
  store.fault = { kind: 'silent', times: 99 };
  archive.begin(0);
  t.throws(() => archive.begin(0), { code: 'ARCHIVE_BUSY' });
  while (store.asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await archive.stop();
  t.same(alarms, []);
  t.equal(log.archivedUntil(), 0);
  await auditLog(t, log, options);
});

t.test('closed logs go too, are named where one looks, and are audited beside their archive', async (t) => {
  const { dir, clock, log, options, grow } = await archivable(t, `accord/${OWN}`);
  await putKey(dir, 'archive');
  writeFileSync(join(dir, 'passphrase'), PASSPHRASE, { mode: 0o600 });
  await grow(2, 3);
  const size = log.size();
  await log.close();
  const { origin, closed } = openNewOrigin(options);
  const next = await openMessageLog({ ...options, origin });
  t.teardown(() => next.close());
  const alarms: string[] = [];
  const logger = pino({ level: 'error' }, { write: (line: string) => void alarms.push(JSON.parse(line).alarm) });
  const ports = { log: next, folder: dir, logFolder: options.folder, clock, logger, configurationVersion: () => 3 };
  const at = join(dir, 'archive');
  const settings = await openArchiveSettings(dir, settingsOf({ destination: 'archive', afterDays: 30 }), PASSPHRASE);
  const archive = openServerArchive(ports, settings);
  t.match(openServerArchive(ports, null).state().closed, [{ origin: closed.origin, entries: size, archivedUntil: 0 }]);
  clock.pass(33 * DAY_MS);
  await next.append(requestRecords(1)[0]!);
  writeFileSync(at, 'in the way of the folder');
  await archive.tick();
  t.match(archive.state(), { overdue: true, trouble: { code: 'ARCHIVE_UNREACHABLE' }, closed: [{ trouble: null }] });
  rmSync(at);
  await archive.tick();
  t.match(archive.state().closed, [{ origin: closed.origin, entries: size, archivedUntil: size, oldestMs: null }]);
  t.equal(next.find(null, 'archived:1')[0]?.entry.configuration, 3);
  t.equal(archive.state().trouble, null);
  await archive.stop();

  // One that is damaged is said once, and stands in the way of nothing.
  const file = join(closed.folder, 'messages.db');
  const whole = readFileSync(file);
  chmodSync(file, 0o600);
  writeFileSync(file, Buffer.concat([whole.subarray(0, 100), randomBytes(whole.length - 100)]));
  const beside = openServerArchive(ports, settings);
  t.match(beside.state().closed, [{ origin: closed.origin, trouble: { code: 'LOG_DATABASE_DAMAGED' } }]);
  alarms.length = 0;
  await beside.start();
  await beside.start();
  t.same([beside.state().trouble, alarms], [null, ['LOG_DATABASE_DAMAGED']]);
  t.match(checkArchive(dir, true)[1], { state: 'warn', code: 'LOG_DATABASE_DAMAGED' });
  await beside.stop();
  writeFileSync(file, whole);
  t.match(checkArchive(dir, true)[1], { state: 'ok', detail: `closed log ${closed.origin}: all ${size} entries` });

  const key = ['--archive-key', join(dir, 'keys/archive.key.json'), '--passphrase-file', join(dir, 'passphrase')];
  const one = ['--dir', dir, '--origin', '1'];
  const report = async (...argv: string[]) => JSON.parse((await accord(...argv, '--json')).stdout || 'null');
  const good = { ok: true, origin: closed.origin };
  t.match(await report('audit', 'log', ...one), { ...good, archivedUntil: size, archive: null });
  const archived = { ...good, archivedUntil: 0, archive: { until: size } };
  t.match(await report('audit', 'log', ...one, '--archive', at, ...key), archived);
  t.match(await report('audit', 'log', '--archive', at, '--origin', closed.origin, ...key), archived);
  t.match(await report('archive', 'verify', ...one, '--from', at, ...key), { ...good, sameAsLog: true });
  const restored = ['archive', 'restore', '--from', at, '--origin', closed.origin, '--to', join(dir, 'back'), ...key];
  t.match(await report(...restored), { ok: true, entries: size });
  t.match(await report('audit', 'log', '--dir', join(dir, 'back')), { ...good, archivedUntil: 0 });
});
