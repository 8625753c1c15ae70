// `accord retention` at a running server: two persons with a key each, from the class to the certificate, and what an
// auditor with the folder finds of it afterwards.
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { sealKey } from '#certs/key-file.ts';
import { generateKeys } from '#certs/keys.ts';
import { storageKeyOf } from '#certs/storage-key.ts';
import { writeKeyFile } from '#core/key-store.ts';
import { ADMIN_KEY, AUDITOR_KEY, CLIENT, openPair, SERVICE } from '#scripts/campaign/pair.ts';
import { auditBoth, post } from '#test/security-server/asking.ts';
import { MovingClock } from '#test/security-server/moving-clock.ts';
import { accord } from './run.ts';

t.setTimeout(60_000);
const PASSPHRASE = 'correct horse battery staple';
const DAY_MS = 86_400_000;
const hashOf = (key: string) => createHash('sha256').update(key).digest('base64url');

t.test('from the class to the certificate', async (t) => {
  const clock = new MovingClock();
  const secrets = mkdtempSync(join(tmpdir(), 'accord-retention-'));
  const pair = await openPair({ clock, right: null });
  t.teardown(async () => {
    await pair.close();
    rmSync(secrets, { recursive: true, force: true });
  });
  const { privateKey } = generateKeys('X25519');
  const folder = join(pair.folder, 'provider');
  mkdirSync(join(folder, 'keys'), { mode: 0o700 });
  const cost = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
  const sealed = await sealKey(privateKey, PASSPHRASE, { use: 'storage', createdAtMs: 0, label: 'test' }, cost);
  await writeKeyFile(join(folder, 'keys'), 'storage', sealed);
  await pair.provider.close(1_000);
  rmSync(join(folder, 'record-keys'), { recursive: true });
  const options = {
    keys: { ...pair.identities.provider.keys, storageKey: storageKeyOf(privateKey) },
    adminKeys: [
      { hash: hashOf(ADMIN_KEY), role: 'administrator' as const, name: 'Zhao' },
      { hash: hashOf(AUDITOR_KEY), role: 'auditor' as const, name: 'Sun' },
    ],
  };
  await pair.reopen('provider', options);
  const files = { zhao: ADMIN_KEY, sun: AUDITOR_KEY, passphrase: PASSPHRASE };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(secrets, name), text, { mode: 0o600 });
  const as = (who: 'zhao' | 'sun', ...argv: string[]) =>
    accord('retention', ...argv, '--admin', pair.provider.urls.admin, '--api-key-file', join(secrets, who));
  const asked = async () => (await post(pair, '/lookups', { client: CLIENT, service: SERVICE, path: '/x' })).json.id;
  const json = (text: string) => JSON.parse(text) as { id: string; hold: string; state: string; certificate: string };

  const set = ['class', 'set', 'short', '--days', '2', '--title', 'Short', '--legal-basis', 'Archives Act § 9'];
  t.match(await as('zhao', ...set, '--dry-run', '--json'), { code: 0, stdout: /"dryRun":true.*"days":2/ });
  t.match(await as('zhao', ...set), {
    code: 0,
    stderr: /^Next: A second person runs `accord retention class approve short`/,
  });
  t.match(await as('zhao', 'classes'), { stdout: /short.*waits: asked for by Zhao/ });
  t.match(await as('sun', 'class', 'approve', 'other', '--yes'), { code: 3, stderr: /RETENTION_CHANGE_UNKNOWN/ });
  t.match(await as('zhao', 'class', 'approve', 'short', '--yes'), { code: 5, stderr: /SAME_PERSON/ });
  t.match(await as('sun', 'class', 'approve', 'short'), { code: 2, stderr: /days +2\n(.|\n)*--yes/ }, 'nobody to ask');
  t.match(await as('sun', 'class', 'approve', 'short', '--yes'), { code: 0, stderr: /legalBasis +Archives Act/ });
  t.match(await as('zhao', 'classes'), { stdout: /short .*in force/ });
  t.match(await as('zhao', ...set), { code: 0 });
  t.match(await as('zhao', 'class', 'withdraw', 'short'), { code: 0 });
  t.match(await as('zhao', 'rule', 'set', '--client', CLIENT, '--class', 'short'), { code: 0 });
  t.match(await as('zhao', 'rules'), { stdout: /short/ });
  t.match(await as('zhao', 'rule', 'remove', '--client', CLIENT), { code: 0 });
  const grant = ['access', 'grant', '--client', CLIENT, '--service', SERVICE, '--basis', 'open'];
  const admin = ['--admin', pair.provider.urls.admin, '--api-key-file', join(secrets, 'zhao')];
  t.match(await accord(...grant, '--retention', 'shrot', ...admin), { code: 5, stderr: /RETENTION_CLASS_UNKNOWN/ });
  t.match(await accord(...grant, '--retention', 'short', ...admin), { code: 0 });

  const [gone, held, court] = [await asked(), await asked(), await asked()];
  const order = ['--legal-basis', 'Court of Haikou 2026/17', '--reason', 'an appeal is pending'];
  t.match(await as('sun', 'hold', 'place', ...order), { code: 2, stderr: /What is held/ });
  t.match(await as('sun', 'hold', 'place', '--period', '2026-02-01..2026-01-01', ...order), { code: 2 });
  t.match(await as('sun', 'hold', 'place', '--subject', 'gx.id@1=1', '--dry-run', '--json', ...order), {
    code: 0,
    stdout: /"kind":"subject"/,
  });
  const hold = json((await as('sun', 'hold', 'place', '--exchange', held, '--json', ...order)).stdout).hold;
  t.match(await as('zhao', 'hold', 'list'), { stdout: /exchanges.*Sun.*Court of Haikou/s });

  const single = json((await as('zhao', 'request', '--exchange', court, '--json', ...order)).stdout);
  t.match(await as('zhao', 'request', '--exchange', court, '--reason', 'x'), { code: 2 });
  t.match(await as('zhao', 'request', '--exchange', court, '--class', 'short', ...order), { code: 2 });
  t.match(await as('sun', 'approve', single.id), { code: 2, stderr: /--yes/ });
  t.match(await as('zhao', 'approve', single.id, '--yes'), { code: 5, stderr: /SAME_PERSON/ });
  t.match(await as('sun', 'approve', single.id, '--yes'), { code: 0, stdout: /state +│ done/ });

  clock.aheadMs += 3 * DAY_MS;
  t.match(await as('sun', 'plan'), { code: 0, stdout: /due .*short/, stderr: /keeps 2 records/ });
  const due = ['request', '--class', 'short', '--reason', 'it is due'];
  t.match(await as('zhao', ...due, '--through', '2026-01-01'), { code: 5, stderr: /DESTRUCTION_NOT_DUE/ });
  const first = json((await as('zhao', ...due, '--json')).stdout);
  t.match(await as('zhao', 'withdraw', first.id), { code: 0, stdout: /withdrawn/ });
  const second = json((await as('zhao', ...due, '--json')).stdout);
  t.match(await as('zhao', 'requests'), { stdout: /withdrawn.*waiting|waiting.*withdrawn/s });
  const backup = join(secrets, 'record-keys.db');
  const file = join(folder, 'record-keys', 'record-keys.db');
  new Database(file).exec('PRAGMA wal_checkpoint(TRUNCATE)');
  copyFileSync(file, backup);
  t.match(await as('sun', 'approve', second.id, '--yes'), { code: 0 });
  t.match(json((await as('sun', 'show', second.id, '--json')).stdout), { state: 'done', certificate: /^ey/ });

  const dir = ['--dir', folder, '--passphrase-file', join(secrets, 'passphrase')];
  const replay = (id: string) => accord('audit', 'replay', id, ...dir);
  t.match(await replay(gone), {
    code: 3,
    stdout: /destroyed +│ .*Archives Act § 9; asked for by Zhao, approved by Sun/,
  });
  t.match(await replay(court), { code: 3, stdout: /destroyed +│ .*Court of Haikou/ });
  t.match(await replay(held), { code: 0, stdout: /SAME/ });
  t.match(await accord('retention', 'verify', ...dir), { code: 0, stdout: /certificates +│ 2/ });
  t.match(await as('zhao', 'hold', 'lift', hold, '--reason', 'over'), { code: 0, stderr: /second person/ });
  t.match(await as('sun', 'hold', 'lift', hold), { code: 0, stdout: /lifted +│ true/ });
  await auditBoth(t, pair);

  await pair.provider.close(1_000);
  copyFileSync(backup, file);
  for (const end of ['-wal', '-shm']) rmSync(file + end, { force: true });
  t.match(await accord('retention', 'verify', ...dir), { code: 7, stderr: /RECORD_KEY_NOT_DESTROYED.*\nNext: /s });
  await pair.reopen('provider', options);
});
