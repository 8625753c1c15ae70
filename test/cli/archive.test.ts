// `accord archive` at a running server and without one: what an operator does from the first run to a restore on a machine
// that has nothing but the destination and the archive key; the task of the server, its alarms, metrics and health.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { archiveKeyOf } from '#certs/archive-cipher.ts';
import { sealKey } from '#certs/key-file.ts';
import { generateKeys } from '#certs/keys.ts';
import { folderDestination } from '#core/archive/folder-destination.ts';
import { writeKeyFile } from '#core/key-store.ts';
import { ADMIN_KEY, AUDITOR_KEY, CLIENT, openPair, SERVICE } from '#scripts/campaign/pair.ts';
import { auditBoth, post } from '#test/security-server/asking.ts';
import { MovingClock, Timers } from '#test/security-server/moving-clock.ts';
import { accord } from './run.ts';

t.setTimeout(120_000);
const PASSPHRASE = 'correct horse battery staple';
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const COST = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };

t.test('from the first run to a restore on another machine', async (t) => {
  const [clock, timers] = [new MovingClock(), new Timers()];
  const place = mkdtempSync(join(tmpdir(), 'accord-archive-'));
  const pair = await openPair({ clock });
  t.teardown(async () => {
    await pair.close();
    rmSync(place, { recursive: true, force: true });
  });
  const { privateKey } = generateKeys('X25519');
  const keys = join(place, 'keys');
  await writeKeyFile(keys, 'archive', await sealKey(privateKey, PASSPHRASE, { use: 'archive', createdAtMs: 0 }, COST));
  await writeKeyFile(keys, 'storage', await sealKey(privateKey, PASSPHRASE, { use: 'storage', createdAtMs: 0 }, COST));
  for (const [name, text] of Object.entries({ admin: ADMIN_KEY, auditor: AUDITOR_KEY, passphrase: PASSPHRASE })) {
    writeFileSync(join(place, name), text, { mode: 0o600 });
  }
  const at = join(place, 'archive');
  const archive = {
    key: archiveKeyOf(privateKey),
    ...{ afterDays: 30, keepEntries: 0 },
    open: () => folderDestination(at),
  };
  const ask = () => post(pair, '/lookups', { client: CLIENT, service: SERVICE, path: '/x' });
  const admin = (name = 'admin') => ['--admin', pair.provider.urls.admin, '--api-key-file', join(place, name)];
  const passphrase = ['--passphrase-file', join(place, 'passphrase')];
  const key = ['--archive-key', join(keys, 'archive.key.json'), ...passphrase];

  t.match(await accord('archive', 'status', ...admin(), '--json'), { code: 0, stdout: /"destination":null/ });
  t.match(await accord('archive', 'run', ...admin()), { stderr: /ARCHIVE_OFF/ });
  await ask();
  await pair.provider.close(1_000);
  await pair.reopen('provider', { archive, every: timers.every });
  t.match(await accord('archive', 'run', ...admin('auditor')), { stderr: /ROLE_NOT_ALLOWED/ });
  t.match(await accord('archive', 'run', ...admin(), '--json'), { code: 0, stdout: /"archivedUntil":0/ });
  const { log } = pair.provider.parts;
  const tick = async () => {
    timers.tick(HOUR_MS);
    while (pair.provider.parts.archive.state().running) await new Promise((resolve) => setImmediate(resolve));
  };
  clock.aheadMs += 33 * DAY_MS;
  pair.configuration.trust = pair.authority.trust;
  writeFileSync(at, 'in the way of the folder');
  await tick();
  t.match(pair.provider.parts.archive.state(), {
    overdue: true,
    archivedUntil: 0,
    trouble: { code: 'ARCHIVE_UNREACHABLE' },
  });
  const metrics = async () => (await fetch(`${pair.provider.urls.health}/metrics`)).text();
  t.match(await metrics(), /accord_archive_overdue 1\n.*accord_archive_trouble 1\n/s);
  const readyz = (await (await fetch(`${pair.provider.urls.health}/readyz`)).json()) as { checks: { name: string }[] };
  t.match(
    readyz.checks.find(({ name }) => name === 'archive'),
    { ok: true, detail: '0 entries; overdue; ARCHIVE_UNREACHABLE' },
    'no reason to stop',
  );
  rmSync(at);
  await tick();
  const until = log.archivedUntil();
  t.ok(until > 0, `${until} entries went`);
  t.match(pair.provider.parts.archive.state(), { overdue: false, trouble: null, newest: { from: 0, to: until } });
  t.match(await metrics(), new RegExp(`accord_archive_entries ${until}\\n`));
  await auditBoth(t, pair);
  t.equal(readdirSync(at).length, 1);

  const dir = join(pair.folder, 'provider');
  t.match(await accord('log', 'verify', '--dir', dir, '--json'), {
    code: 0,
    stdout: new RegExp(`"archivedUntil":${until}`),
  });
  t.match(await accord('archive', 'list', '--from', at, '--json'), { code: 0, stdout: new RegExp(`"to":${until}`) });
  t.match(await accord('archive', 'verify', '--from', at, ...key, '--json'), { code: 0, stdout: /"sameAsLog":null/ });
  const beside = await accord('archive', 'verify', '--from', at, '--dir', dir, ...key, '--json');
  t.match(beside, { code: 0, stdout: /"sameAsLog":true/ });
  const wrongKey = await accord(
    'archive',
    'verify',
    '--from',
    at,
    '--archive-key',
    join(keys, 'storage.key.json'),
    ...passphrase,
  );
  t.match(wrongKey, { stderr: /KEY_UNSUITABLE/ });

  const audited = async (...argv: string[]) => {
    const { code, stdout, stderr } = await accord('audit', 'log', '--json', ...argv);
    return { code, stderr, report: stdout === '' ? null : JSON.parse(stdout) };
  };
  const alone = await audited('--archive', at, ...key);
  t.match(alone, { code: 0, report: { ok: true, endedAt: until, archivedUntil: 0, archive: { segments: 1, until } } });
  t.match(await audited('--dir', dir, '--no-checkpoint'), { code: 0, report: { archivedUntil: until, archive: null } });
  const together = await audited('--dir', dir, '--archive', at, ...key, '--no-checkpoint');
  t.match(
    together,
    { code: 0, report: { ok: true, archivedUntil: 0, archive: { segments: 1, until } } },
    together.stderr,
  );
  for (const wrong of [[], ['--archive', at, ...key, '--bodies'], ['--dir', dir, '--from', '2', '--to', '1']]) {
    t.match(await audited(...wrong), { code: 2 }, wrong.join(' '));
  }

  const first = log.read(0, 1)[0]!;
  t.match(await accord('audit', 'replay', first.entry.id, '--dir', dir), { stderr: /RECORD_ARCHIVED/ });
  t.match(await accord('log', 'show', '--dir', dir, '--id', first.entry.id, '--json'), {
    code: 0,
    stdout: /"evidence":null/,
  });
  const { peer } = log.find(null, first.entry.id)[0]!.entry;
  const entries = ['audit', 'entries', '--dir', dir, '--peer', peer ?? '', '--out', join(place, 'entries.jsonl')];
  t.match(await accord(...entries), { stderr: /RECORD_ARCHIVED/ });

  const to = join(place, 'restored');
  const restored = await accord(
    'archive',
    'restore',
    '--from',
    at,
    '--to',
    to,
    ...key,
    '--key',
    log.verifierKey,
    '--json',
  );
  t.match(restored, { code: 0, stdout: new RegExp(`"ok":true,"entries":${until}`) });
  t.match(await accord('log', 'verify', '--dir', to), { code: 0 });
  t.match(await accord('log', 'show', '--dir', to, '--id', first.entry.id, '--json'), { stdout: /"jws"/ });
  t.match(await accord('archive', 'restore', '--from', at, '--to', to, ...key), { stderr: /FOLDER_IN_USE/ });
  t.match(await accord('archive', 'restore', '--from', join(place, 'nowhere'), '--to', join(place, 'x'), ...key), {
    stderr: /ARCHIVE_INCOMPLETE/,
  });
  mkdirSync(join(place, 'no-settings'));
  t.match(await accord('archive', 'list', '--dir', join(place, 'no-settings')), { stderr: /ENOENT/ });
  t.match(await accord('archive', 'list'), { code: 2 });
});
