// `accord consent` and `accord consent-service` with two real security servers: the consent service is the backend behind
// one of them, the department asks through the other.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { exportPublicJwk } from '#certs/keys.ts';
import { readReceipt } from '#certs/receipt.ts';
import { initConsentFolder, openConsentKeys } from '#consent-service/data-folder.ts';
import { openConsentService } from '#consent-service/service.ts';
import { readConsentSettings } from '#consent-service/settings.ts';
import { openSessionStoreSqlite } from '#consent-service/sign-in/session-store-sqlite.ts';
import { openConsentStoreSqlite } from '#consent-service/store-sqlite.ts';
import { systemClock } from '#core/clock.ts';
import { anchorOf, planRoot, signFile } from '#core/configuration/sign.ts';
import { fileHash } from '#core/configuration/verify.ts';
import { openClient } from '#core/http/client.ts';
import { parseJson } from '#schemas/json.ts';
import { accessRight, CLIENT, openPair } from '#scripts/campaign/pair.ts';
import { give, namedKey, PERSON, PURPOSE } from '#test/consent-service/desk.ts';
import { ENTRIES, tableOf } from '#test/security-server/bound-service.ts';
import { accord } from './run.ts';

const SELF = 'DEV/GOV/2002/provider';
const FILING = `${SELF}/requests`;
const DATA = `${SELF}/echo`;

function anchorText(): string {
  const [root, ...approvers] = [namedKey(), namedKey(), namedKey()].map(({ privateKey }) => privateKey);
  const payload = planRoot({
    instance: 'DEV',
    rootKeys: [{ key: root!, person: 'root' }],
    rootThreshold: 1,
    approvers: approvers.map((key, at) => ({ key, person: `approver ${at}` })),
    freshness: [{ key: namedKey().privateKey, person: 'registry' }],
    expiresAtMs: systemClock.nowMs() + 86_400_000,
  });
  const file = signFile('root', payload, [root!]);
  return JSON.stringify(
    anchorOf({ document: parseJson(payload) as never, file, hash: fileHash(file) }, ['http://127.0.0.1/']),
  );
}

t.test('a department asks, a citizen gives, the department gives back', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-consent-cli-'));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const dir = join(folder, 'consent');
  const anchor = file('anchor.json', anchorText());
  const secret = ['--passphrase-file', file('passphrase', 'correct horse battery\n')];
  const init = ['consent-service', 'init', '--dir', dir, '--citizen-url', 'http://127.0.0.1:4500', '--anchor', anchor];
  t.match(await accord(...init, '--id', 'GX/GOV/1/x', ...secret), { code: 2, stderr: /^IDENTIFIER_INVALID/ });
  t.match(await accord(...init, '--id', SELF, '--port', 'x', ...secret), { code: 2, stderr: /^SETTINGS_INVALID/ });
  t.match(await accord(...init, '--id', SELF, ...secret), { code: 0, stdout: /registry consent-service-set/ });
  t.match(await accord(...init, '--id', SELF, ...secret), { code: 5, stderr: /^FOLDER_IN_USE/ });
  t.match(JSON.parse((await accord('consent-service', 'start', '--dir', dir, '--print')).stdout), {
    settings: { subsystem: SELF, citizen: { port: 4500 }, filing: { host: '127.0.0.1', port: 4501 } },
  });
  const made = JSON.parse(readFileSync(join(dir, 'consent-service.json'), 'utf8'));
  t.match(made, { subsystem: SELF, keys: [{ kid: /^.{43}$/ }], statusUrl: 'http://127.0.0.1:4500/status' });

  // From here on a folder whose key files cost less to open.
  const cheap = join(folder, 'cheap');
  const settings = readConsentSettings(readFileSync(join(dir, 'consent.json'), 'utf8'));
  const keyFileCost = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
  const passphrase = 'correct horse battery';
  await initConsentFolder({ folder: cheap, settings, anchorText: '{}', passphrase, nowMs: 0, keyFileCost });
  const registration = JSON.parse(readFileSync(join(cheap, 'consent-service.json'), 'utf8'));
  const keys = await openConsentKeys(cheap, passphrase);
  const pair = await openPair({ right: accessRight({ service: FILING }) });
  const { configuration } = pair;
  configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  const echo = configuration.services.get(DATA)!;
  configuration.services.set(DATA, { ...echo, personalData: true });
  configuration.bind(tableOf());
  configuration.services.set(FILING, { ...echo, id: FILING });
  configuration.purposes = [PURPOSE];
  configuration.consentServices = [registration];
  const entry = configuration.entries.get('DEV/GOV/2002/ss2')!;
  const subjectKey = namedKey();
  const jwk = exportPublicJwk(subjectKey.privateKey) as never;
  configuration.entries.set(entry.id, {
    ...entry,
    subjectKeys: [{ kid: subjectKey.kid, jwk, notAfterMs: Number.MAX_SAFE_INTEGER }],
  });
  const http = openClient();
  const local = { host: '127.0.0.1', port: 0 };
  const service = await openConsentService({
    ...{ self: SELF, folder: cheap, keys, configuration, http, clock: systemClock, logger: pino({ level: 'silent' }) },
    ...{ citizenUrl: 'http://127.0.0.1:4500', citizen: local, filing: local, sendHint: null },
    store: openConsentStoreSqlite(join(cheap, 'database')),
    sessionStore: openSessionStoreSqlite(join(cheap, 'sessions.db')),
  });
  t.teardown(async () => {
    await service.close();
    await http.close();
    await pair.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const facts = { title: 'Consent', enabled: true, notice: null, timeoutMs: 5_000, personalData: false, safe: false };
  pair.provider.parts.state.putService({ id: FILING, url: service.urls.filing, ...facts });

  const through = ['--client', CLIENT, '--service', FILING, '--server', pair.consumer.urls.loopback ?? ''];
  const subject = file('subject', `${PERSON.subjects[0]!.value}\n`);
  const wish = [
    '--subject',
    `gx.id@1=@${subject}`,
    '--purpose',
    'social-aid',
    '--item',
    `${DATA}=gx.name@1,gx.pred.age_ge_18@1`,
  ];
  const reason = ['--reason-zh', '申请救助', '--reason-en', 'An application'];
  t.match(await accord('consent', 'request', ...wish, '--reason-en', 'x', ...through), { code: 2 });
  t.match(await accord('consent', 'request', ...wish, '--retention-days', '181', ...through), {
    code: 2,
    stderr: /^CONSENT_OUT_OF_BOUNDS: .*180/,
  });
  const dry = await accord('consent', 'request', ...wish, ...reason, '--dry-run', '--json', ...through);
  t.match(JSON.parse(dry.stdout), { request: { uses: null, validDays: 30, reason: { en: 'An application' } } });
  for (const often of ['3', '0/7', '3/30/1', '3/']) {
    t.match(await accord('consent', 'request', ...wish, '--frequency', often, ...through), { code: 2 }, often);
  }
  t.match(await accord('consent', 'request', ...wish, '--frequency', '3/31', ...through), {
    code: 2,
    stderr: /^CONSENT_OUT_OF_BOUNDS: .*frequency\.days/,
  });
  const filed = await accord(
    'consent',
    'request',
    ...wish,
    ...reason,
    '--uses',
    '2',
    '--frequency',
    '1/7',
    '--json',
    ...through,
  );
  t.equal(filed.code, 0, filed.stderr);
  const { id, link } = JSON.parse(filed.stdout) as { id: string; link: string };
  t.match(link, /^http:\/\/127\.0\.0\.1:4500\/link\//);
  t.match(await accord('consent', 'request', ...wish, ...through), { code: 5, stderr: /^CONSENT_OPEN_ALREADY/ });
  t.match(await accord('consent', 'show', id, ...through), { code: 0, stdout: /REQUESTED[\s\S]*0 of 2/ });

  await give(service.consents, PERSON, id, [{ service: DATA, element: 'gx.name@1' }], 'zh');
  const receipts = join(folder, 'receipts');
  t.match(await accord('consent', 'show', id, '--receipts', receipts, ...through), {
    code: 0,
    stdout: /GIVEN[\s\S]*frequency +│ 1\/7[\s\S]*1 of 2 \(gx\.name@1\)/,
  });
  const [name = ''] = readdirSync(receipts);
  const { receipt } = readReceipt(readFileSync(join(receipts, name), 'utf8').trim());
  t.match(receipt, {
    client: CLIENT,
    service: DATA,
    elements: ['gx.name@1'],
    uses: 2,
    frequency: { uses: 1, days: 7 },
  });
  t.match(await accord('consent', 'list', ...through), { code: 0, stdout: /GIVEN.*social-aid/ });
  t.equal((await accord('consent', 'revoke', id, ...through)).code, 2, 'nobody confirmed');
  t.match(await accord('consent', 'revoke', id, '--yes', ...through), { code: 0, stdout: /REVOKED/ });
  t.match(await accord('consent', 'revoke', id, '--yes', ...through), {
    code: 5,
    stderr: /^CONSENT_TRANSITION_REFUSED/,
  });
  t.match(await accord('consent', 'show', '00000000-0000-7000-8000-000000000000', ...through), { code: 3 });
  t.ok(existsSync(join(cheap, 'status-archive')));
});
