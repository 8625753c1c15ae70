// Sessions of the auditor's pages under a clock of the test's own: how long they last, how many there are, how often a key is tried.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { AUDITOR_SESSION_IDLE_MS, AUDITOR_SESSION_MS, MAX_AUDITOR_SESSIONS } from '#schemas/limits.ts';
import { ADMIN_KEY, AUDITOR_KEY } from '#scripts/campaign/pair.ts';
import { AuditorSessions } from '#security-server/auditor/sessions.ts';
import { addAuditorKey, readAdminKeys } from '#security-server/data-folder.ts';

const HERE = '127.0.0.1';

t.test('how long a session lasts, how many there are, how often a key is tried', (t) => {
  const clock = { ms: 0, nowMs: () => 0, monotonicMs: () => clock.ms };
  let count = 0;
  const keys = [
    { hash: sha256(AUDITOR_KEY), role: 'auditor' as const, name: 'Ann' },
    { hash: sha256(ADMIN_KEY), role: 'administrator' as const, name: 'Bob' },
  ];
  const open = () => new AuditorSessions(keys, clock, (bytes) => Buffer.alloc(bytes, ++count));
  const rows: [string, number[], boolean][] = [
    ['used just in time', [AUDITOR_SESSION_IDLE_MS - 1], true],
    ['not used', [AUDITOR_SESSION_IDLE_MS], false],
    ['used again and again', Array(8).fill(AUDITOR_SESSION_IDLE_MS - 1), true],
    ['used for too long', Array(17).fill(AUDITOR_SESSION_IDLE_MS - 1), false],
  ];
  t.ok(17 * (AUDITOR_SESSION_IDLE_MS - 1) > AUDITOR_SESSION_MS);
  for (const [name, waits, lasts] of rows) {
    const sessions = open();
    const { token } = sessions.begin(AUDITOR_KEY, HERE);
    let session = sessions.of(token);
    for (const wait of waits) {
      clock.ms += wait;
      session = sessions.of(token);
    }
    t.equal(session !== null, lasts, name);
  }
  const sessions = open();
  const tokens = Array.from({ length: MAX_AUDITOR_SESSIONS + 1 }, () => sessions.begin(AUDITOR_KEY, HERE).token);
  t.same(tokens.map((token) => sessions.of(token) !== null).indexOf(true), 1, 'the oldest gives way');
  t.equal(sessions.of(`${tokens[1]}x`), null);
  t.equal(sessions.of(undefined), null);
  t.not(sessions.of(tokens[1])?.csrf, sessions.of(tokens[2])?.csrf);
  const tried = open();
  for (let i = 0; i < 10; i++) t.throws(() => tried.begin('x'.repeat(30), HERE), { code: 'API_KEY_REQUIRED' });
  for (const key of [AUDITOR_KEY, 'x'.repeat(30)])
    t.throws(() => tried.begin(key, HERE), { code: 'AUDITOR_SIGN_IN_LIMIT' });
  t.ok(tried.begin(AUDITOR_KEY, '192.0.2.1'), 'who comes from elsewhere is not kept out');
  t.throws(() => tried.begin('x'.repeat(30), '192.0.2.1'), { code: 'API_KEY_REQUIRED' });
  clock.ms += 61_000;
  t.throws(() => tried.begin(ADMIN_KEY, HERE), { code: 'ROLE_NOT_ALLOWED' }, 'a known key is no wrong one');
  t.ok(tried.begin(AUDITOR_KEY, HERE));
  t.end();
});

t.test('a key for an auditor', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-auditor-key-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const first = { hash: sha256(ADMIN_KEY), role: 'administrator', name: 'Bob' };
  writeFileSync(join(folder, 'admin-keys.json'), JSON.stringify([first]));
  const key = addAuditorKey(folder, 'Ann');
  t.same(readAdminKeys(folder), [first, { hash: sha256(key), role: 'auditor', name: 'Ann' }]);
  t.equal(readFileSync(join(folder, 'auditor.key'), 'utf8'), `${key}\n`);
  t.equal(statSync(join(folder, 'auditor.key')).mode & 0o777, 0o600);
  t.throws(() => addAuditorKey(folder, 'Eve'), { code: 'KEY_FILE_EXISTS' });
  t.throws(() => addAuditorKey(mkdtempSync(join(folder, 'x-')), 'Eve'), 'where no server is there is no auditor');
  t.end();
});
