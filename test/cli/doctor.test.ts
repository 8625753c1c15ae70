// `accord doctor` on a server that is well, and on one with everything that can be broken from outside broken.
import { chmodSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { checkAnchoring, checkArchive, checkOcsp } from '#cli/doctor/evidence.ts';
import { checkLog, checkNode } from '#cli/doctor/folder.ts';
import { checkFreshness } from '#cli/doctor/registration.ts';
import { registrationOfFolder } from '#cli/server-registration.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import { CLIENT, openPair, SERVICE } from '#scripts/campaign/pair.ts';
import { writeAnswers } from '#security-server/certificate-status/answer-file.ts';
import { ANSWER_FILE } from '#security-server/certificate-status/status.ts';
import { emergencyReportsFile } from '#security-server/emergencies.ts';
import { openOutboxStoreSqlite } from '#security-server/outbox-sqlite.ts';
import { logFixture, requestRecords } from '#test/core/log-fixture.ts';
import { openTestNetwork } from '#test/dev-network.ts';
import { accord } from './run.ts';

interface Check {
  check: string;
  state: 'ok' | 'warn' | 'fail';
  code: string;
  detail: string;
  next: string;
}

t.test('a running server, and what can be wrong with it', async (t) => {
  const network = await openTestNetwork(t, 1);
  const { folder } = network;
  const server = network.servers[0]!;
  const doctor = async (dir: string, health = server.urls.health) => {
    const ended = await accord('doctor', '--dir', dir, '--health', health, '--json');
    const { checks } = JSON.parse(ended.stdout) as { checks: Check[] };
    return { ...ended, checks, bad: checks.filter(({ state }) => state !== 'ok') };
  };

  const well = await doctor(server.folder);
  t.same(well.bad, []);
  t.equal(well.code, 0);
  const names = [
    'node',
    'settings',
    'anchor',
    'files',
    'certificate authentication',
    'certificate signing',
    'keys',
    'log',
  ];
  t.match(
    well.checks.map(({ check }) => check.replace(/ http.*/, '')),
    [
      ...names,
      'disk',
      'emergency reports',
      'emergency notices',
      'configuration',
      'registration',
      'anchoring',
      'certificate status',
      'archive',
      'registry',
      'running',
      'peer port',
    ],
  );
  t.match(
    well.checks.find(({ check }) => check === 'registration'),
    { detail: /consumer/ },
  );
  const shown = await accord('doctor', '--dir', server.folder, '--health', server.urls.health);
  t.match(shown, { code: 0, stdout: /^ok {4}node: .*\nok {4}settings: DEV\/GOV\/1001\/ss1$/m });
  t.match(await accord('doctor', '--dir', join(folder, 'none')), { code: 3, stderr: /ENOENT.*\nNext: /s });

  // The same server as `--admin` and `--dir` see it: a port chosen at start, so the address has to be said.
  t.match(await accord('server', 'status', '--dir', server.folder), { code: 2, stderr: /--admin URL/ });
  const status = await accord('server', 'status', '--dir', server.folder, '--admin', server.urls.admin, '--json');
  t.match(JSON.parse(status.stdout), { id: 'DEV/GOV/1001/ss1', subsystems: ['DEV/GOV/1001/consumer'] });

  // What the folder says of itself without a passphrase is what was registered with one.
  const said = await registrationOfFolder(server.folder);
  const keyFile = join(folder, 'registry.key');
  writeFileSync(keyFile, network.registry.apiKey, { mode: 0o600 });
  const registry = ['--registry', network.registry.adminUrl, '--api-key-file', keyFile];
  const registered = JSON.parse((await accord('member', 'show', 'DEV/GOV/1001', '--json', ...registry)).stdout);
  const { encryptionKeys, log, authenticationCertificates, signingCertificates } = registered.servers[0];
  t.match(said, { id: server.id, log, authenticationCertificates, signingCertificates });
  t.match(said['encryptionKeys'], [{ kid: encryptionKeys[0].kid, jwk: encryptionKeys[0].jwk }]);
  const again = await accord(
    'server',
    'register',
    '--dir',
    server.folder,
    '--subsystem',
    server.subsystem,
    '--dry-run',
    ...registry,
  );
  t.match(again, { code: 5, stderr: /^REGISTRATION_EXISTS/ });

  const breaks: [name: string, breaking: (dir: string) => void, check: string, state: string, code: string][] = [
    [
      'others read a key',
      (dir) => chmodSync(join(dir, 'keys/signing.key.json'), 0o640),
      'files',
      'fail',
      'KEY_FILE_MODE',
    ],
    ['others read the API key', (dir) => chmodSync(join(dir, 'admin.key'), 0o644), 'files', 'fail', 'KEY_FILE_MODE'],
    ['others write the folder', (dir) => chmodSync(dir, 0o777), 'files', 'fail', 'KEY_FILE_MODE'],
    [
      'unknown setting',
      (dir) => edit(join(dir, 'server.json'), '"v": 1', '"v": 1, "x": 2'),
      'settings',
      'fail',
      'SETTINGS_INVALID',
    ],
    ['no settings', (dir) => rmSync(join(dir, 'server.json')), 'settings', 'fail', 'NOT_FOUND'],
    [
      'no certificate',
      (dir) => rmSync(join(dir, 'certificates/signing.pem')),
      'certificate signing',
      'fail',
      'CERTIFICATE_MISSING',
    ],
    [
      'certificates exchanged',
      (dir) => cpSync(join(dir, 'certificates/authentication.pem'), join(dir, 'certificates/signing.pem')),
      'certificate signing',
      'fail',
      'CERTIFICATE_KEY_MISMATCH',
    ],
    ['no storage key', (dir) => rmSync(join(dir, 'keys/storage.key.json')), 'keys', 'fail', 'KEY_FILE_NOT_FOUND'],
    [
      'a report that the registry never took',
      (dir) => {
        const store = openOutboxStoreSqlite(emergencyReportsFile(dir), 'report');
        const row = { hash: 'h', emergency: 'e', notedAtMs: 1, nextAtMs: 1, tries: 9, sealed: Buffer.from('x') };
        store.insert(row);
        store.close();
      },
      'emergency reports',
      'fail',
      'EMERGENCY_REPORT_WAITING',
    ],
    [
      'a notice that a consent service never took',
      (dir) => {
        const store = openOutboxStoreSqlite(emergencyReportsFile(dir), 'notice');
        store.insert({ hash: 'h', emergency: 'e', notedAtMs: 1, nextAtMs: 1, tries: 9, sealed: Buffer.from('x') });
        store.close();
      },
      'emergency notices',
      'fail',
      'EMERGENCY_NOTICE_WAITING',
    ],
    ['no subject key', (dir) => rmSync(join(dir, 'keys/subject-1.key.json')), 'keys', 'warn', 'KEY_UNUSABLE'],
    [
      'no checkpoint',
      (dir) => damage(dir, () => rmSync(join(dir, 'checkpoint.txt'))),
      'log',
      'fail',
      'LOG_CHECKPOINT_MISSING',
    ],
    ['an entry changed', (dir) => damage(dir), 'log', 'fail', 'LOG_TAMPERED'],
    ['no log', (dir) => rmSync(join(dir, 'log'), { recursive: true }), 'log', 'warn', 'LOG_MISSING'],
    ['copy damaged', (dir) => damageCopy(dir), 'configuration', 'fail', 'CONFIGURATION_CACHE_CORRUPT'],
    [
      'no copy',
      (dir) => rmSync(join(dir, 'configuration'), { recursive: true }),
      'configuration',
      'fail',
      'CONFIGURATION_MISSING',
    ],
    ['registry away', awayFromRegistry, 'registry http://127.0.0.1:1', 'warn', 'PEER_UNREACHABLE'],
    [
      'another server',
      (dir) => edit(join(dir, 'server.json'), '1001/ss1', '1001/ss9'),
      'registration',
      'fail',
      'SERVER_NOT_REGISTERED',
    ],
  ];
  for (const [name, breaking, check, state, code] of breaks) {
    const dir = join(folder, 'copy');
    cpSync(server.folder, dir, { recursive: true });
    chmodSync(dir, 0o700);
    breaking(dir);
    const ended = await doctor(dir);
    const found = ended.bad.find((one) => one.check === check);
    t.match(found, { state, code, next: /\w/ }, name);
    t.equal(ended.code, state === 'fail' ? 5 : 0, name);
    rmSync(dir, { recursive: true });
  }

  const stopped = await doctor(server.folder, 'http://127.0.0.1:1');
  t.match(stopped.bad, [{ check: 'running', state: 'fail', code: 'SERVER_NOT_RUNNING' }]);
});

t.test('a log older than its last checkpoint', async (t) => {
  const pair = await openPair();
  t.teardown(() => rmSync(pair.folder, { recursive: true, force: true }));
  const dir = join(pair.folder, 'consumer');
  const old = join(pair.folder, 'old');
  cpSync(join(dir, 'log'), old, { recursive: true });
  const call = ['call', SERVICE, '/', '--client', CLIENT, '--server', pair.consumer.urls.loopback!];
  t.equal((await accord(...call)).code, 0);
  await Promise.all([pair.consumer.close(), pair.provider.close()]);
  pair.backend.close();
  t.match(checkLog(dir).findings, [{ state: 'ok', detail: /^2 entries.*\(2 entries\)$/ }]);
  rmSync(join(dir, 'log'), { recursive: true });
  cpSync(old, join(dir, 'log'), { recursive: true });
  t.throws(() => checkLog(dir), { code: 'LOG_ROLLED_BACK' });
});

t.test('what vouches for the log', async (t) => {
  const { dir, options, clock } = logFixture(t);
  const log = await openMessageLog(options);
  await log.append(requestRecords()[0]!);
  await log.close();
  const writtenMs = clock.nowMs();
  const snapshot = (more: object) => ({ witnesses: () => null, timeStamps: () => null, trust: {}, ...more }) as never;
  const graceMs = 4 * 3_600_000;
  const named = snapshot({ timeStamps: () => ({ graceMs }) });
  t.match(checkAnchoring(dir, snapshot({}), writtenMs), [{ state: 'ok', detail: /names no witness/ }]);
  const at = (waitedMs: number) => checkAnchoring(dir, named, writtenMs + waitedMs)[0];
  t.match(at(graceMs / 4 - 1), { state: 'ok', detail: /nothing is anchored yet; entry 0 waits for 59 of 240 minutes/ });
  t.match(at(graceMs / 4), { state: 'warn', code: 'ANCHORING_LATE' });
  t.match(at(graceMs), { state: 'fail', code: 'ANCHORING_OVERDUE' });
  const witnessed = snapshot({ witnesses: () => ({ quorum: 2 }) });
  t.match(checkAnchoring(dir, witnessed, writtenMs + 86_400_000), [{ state: 'warn', code: 'ANCHORING_LATE' }]);

  const rules = { mode: 'prefer', responders: [], namedInCertificate: false, freshnessMs: 86_400_000, graceMs: 0 };
  const asked = (more = {}) => snapshot({ trust: { ocsp: { ...rules, ...more } } });
  const ocsp = (more: object, nowMs = 60_000) => checkOcsp(dir, asked(more), 'c'.repeat(43), nowMs)[0];
  t.match(checkOcsp(dir, snapshot({}), 'x', 0), [{ state: 'ok' }]);
  t.match(ocsp({}), { state: 'ok', detail: /no OCSP answer/ });
  t.match(ocsp({ mode: 'require' }), { state: 'warn', code: 'CERTIFICATE_STATUS_MISSING' });
  const der = Buffer.from('an answer');
  const held = { certificate: 'c'.repeat(43), reason: null, thisUpdateMs: 0, endsMs: 2 * 86_400_000, der, hash: '' };
  writeAnswers(join(dir, ANSWER_FILE), [{ ...held, status: 'good' }]);
  t.match(ocsp({}), { state: 'ok', detail: /good, 1 minutes old, until 1970-01-02/ });
  t.match(ocsp({}, 86_400_001), { state: 'warn', code: 'CERTIFICATE_STATUS_MISSING' });
  writeAnswers(join(dir, ANSWER_FILE), [{ ...held, status: 'revoked' }]);
  t.match(ocsp({}), { state: 'fail', code: 'CERTIFICATE_INVALID' });
  t.match([checkArchive(dir, false), checkArchive(dir, true)], [[{ detail: 'none is set' }], [{ detail: /yet/ }]]);
});

t.test('time and versions', async (t) => {
  t.match(checkNode('24.11.9'), [{ state: 'fail', code: 'NODE_TOO_OLD' }]);
  t.match(checkNode('24.12.0'), [{ state: 'ok' }]);
  t.match(checkNode('26.0.0'), [{ state: 'ok' }]);
  const held = {
    content: { document: { version: 3, expiresAtMs: 1e12 } },
    freshness: { document: { signedAtMs: 1_000, expiresAtMs: 601_000 } },
  } as unknown as Parameters<typeof checkFreshness>[0];
  const at = (nowMs: number) => checkFreshness(held, 3_600_000, nowMs)[0];
  t.match(at(600_999), { state: 'ok' });
  t.match(at(601_000), { state: 'warn', code: 'CONFIGURATION_STALE' });
  t.match(at(3_601_001), { state: 'fail', code: 'CONFIGURATION_TOO_OLD' });
  t.match(at(1e12), { state: 'fail', code: 'CONFIGURATION_EXPIRED' });
});

function edit(file: string, from: string, to: string): void {
  const text = readFileSync(file, 'utf8');
  if (!text.includes(from)) throw new TypeError(`${file} has no ${from}`);
  writeFileSync(file, text.replace(from, to));
}

/** Puts an entry into the copy's empty log, so that there is something to miss. */
function damage(dir: string, breaking: () => void = () => {}): void {
  const db = new Database(join(dir, 'log/messages.db'));
  const hash = Buffer.alloc(32);
  db.prepare('INSERT INTO entries (seq, line, leaf, exchange_id) VALUES (0, ?, ?, ?)').run('{}', hash, 'x');
  db.close();
  breaking();
}

function damageCopy(dir: string): void {
  const place = join(dir, 'configuration');
  const content = readdirSync(place).find((name) => name.startsWith('content.'))!;
  edit(join(place, content), '"payload":"', '"payload":"A');
}

function awayFromRegistry(dir: string): void {
  const file = join(dir, 'anchor.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), urls: ['http://127.0.0.1:1'] }));
}
