// The service over HTTP: departments file through the backend port, anybody fetches the lists, providers are told of a
// change; and the same made from a data folder.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pino } from 'pino';
import t from 'tap';
import { readReceipt } from '#certs/receipt.ts';
import { readStatusList, statusAt } from '#certs/status-list.ts';
import { initConsentFolder, openConsentKeys } from '#consent-service/data-folder.ts';
import { openOwnServer } from '#consent-service/own-server.ts';
import { type ConsentService, openConsentService } from '#consent-service/service.ts';
import { DEFAULT_CONSENT_SETTINGS, readConsentSettings } from '#consent-service/settings.ts';
import { openSessionStoreSqlite } from '#consent-service/sign-in/session-store-sqlite.ts';
import { hintThroughServer } from '#consent-service/status-hints.ts';
import { openConsentStoreSqlite } from '#consent-service/store-sqlite.ts';
import { systemClock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { CIVIL, CLIENT, CONSENT, configurationOf, give, namedKey, PERSON, REQUEST, TAX } from './desk.ts';
import { temporaryFolder } from './stores.ts';

const CITIZEN_URL = 'http://127.0.0.1:4500';
const logger = pino({ level: 'silent' });

interface Answer {
  status: number;
  body: Record<string, never> & { [name: string]: unknown };
}

/** As the own security server calls its backend. */
async function asBackend(
  service: ConsentService,
  method: string,
  path: string,
  body?: unknown,
  client = CLIENT,
  behind = `${CONSENT}/requests`,
) {
  const headers = { 'accord-client': client, 'accord-service': behind };
  const answer = await fetch(`${service.urls.filing}${path}`, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: await answer.json() } as Answer;
}

t.test('filing, lists and hints over HTTP', async (t) => {
  const hinted: unknown[] = [];
  const server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    hinted.push({ path: request.url, ...JSON.parse(Buffer.concat(chunks).toString()) });
    response.statusCode = hinted.length === 1 ? 500 : 200;
    response.end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const folder = temporaryFolder(t);
  const settings = readConsentSettings(
    JSON.stringify({ ...DEFAULT_CONSENT_SETTINGS, subsystem: CONSENT, citizenUrl: CITIZEN_URL }),
  );
  const init = { folder, settings, anchorText: '{}', passphrase: 'correct horse battery', nowMs: systemClock.nowMs() };
  const keyFileCost = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
  await initConsentFolder({ ...init, keyFileCost });
  await t.rejects(initConsentFolder(init), { code: 'FOLDER_IN_USE' });
  await t.rejects(openConsentKeys(folder, 'another one here'), { code: 'KEY_FILE_PASSPHRASE_WRONG' });
  const keys = await openConsentKeys(folder, init.passphrase);
  const configuration = configurationOf(keys.receipt, { civil: namedKey(), tax: namedKey() });
  const http = openClient();
  t.teardown(() => http.close());
  const local = { host: '127.0.0.1', port: 0 };
  const service = await openConsentService({
    ...{ self: CONSENT, folder, keys, configuration, http, logger, clock: systemClock, citizenUrl: CITIZEN_URL },
    store: openConsentStoreSqlite(join(folder, 'database')),
    sessionStore: openSessionStoreSqlite(join(folder, 'sessions.db')),
    citizen: local,
    filing: local,
    sendHint: hintThroughServer(
      openOwnServer(http, `http://127.0.0.1:${(server.address() as AddressInfo).port}`, CONSENT),
    ),
  });
  t.teardown(() => service.close());

  t.match(await asBackend(service, 'GET', '/readyz'), { status: 200, body: { ready: true } });
  const filed = await asBackend(service, 'POST', '/requests', REQUEST);
  t.equal(filed.status, 201);
  t.match(filed.body, { link: /^http:\/\/127\.0\.0\.1:4500\/link\/[A-Za-z0-9_-]{43}$/ });
  const id = String(filed.body['id']);
  const refused: [number, string, Answer][] = [
    [409, 'CONSENT_OPEN_ALREADY', await asBackend(service, 'POST', '/requests', REQUEST)],
    [400, 'SCHEMA_MISMATCH', await asBackend(service, 'POST', '/requests', { ...REQUEST, validDays: 367 })],
    ...(await Promise.all(
      [{ uses: 0, days: 7 }, { uses: 10_001, days: 7 }, { uses: 1, days: 367 }, { uses: 1 }, 3].map(
        async (frequency): Promise<[number, string, Answer]> => [
          400,
          'SCHEMA_MISMATCH',
          await asBackend(service, 'POST', '/requests', { ...REQUEST, frequency }),
        ],
      ),
    )),
    [400, 'SCHEMA_MISMATCH', await asBackend(service, 'POST', '/requests', { ...REQUEST, more: 1 })],
    [422, 'CONSENT_OUT_OF_BOUNDS', await asBackend(service, 'POST', '/requests', { ...REQUEST, retentionDays: 181 })],
    [404, 'CONSENT_UNKNOWN', await asBackend(service, 'GET', `/requests/${id}`, undefined, 'DEV/GOV/9009/other')],
    [409, 'CONSENT_TRANSITION_REFUSED', await asBackend(service, 'POST', `/requests/${id}/revoke`, {})],
    [401, 'CALLER_UNKNOWN', await asBackend(service, 'GET', '/requests', undefined, 'nobody')],
    [401, 'CALLER_UNKNOWN', await asBackend(service, 'GET', '/requests', undefined, CLIENT, CIVIL)],
    [
      400,
      'HEADER_DUPLICATE',
      await asBackend(service, 'GET', '/requests', undefined, CLIENT).then(() => twice(service)),
    ],
  ];
  for (const [status, code, answer] of refused) t.match(answer, { status, body: { code } }, code);
  t.match(await asBackend(service, 'GET', '/requests'), { body: { requests: [{ id, state: 'REQUESTED' }] } });

  const view = await give(
    service.consents,
    PERSON,
    id,
    [
      { service: CIVIL, element: 'gx.name@1' },
      { service: TAX, element: 'gx.income@1' },
      { service: TAX, element: 'gx.currency@1' },
    ],
    'zh',
  );
  const { body } = await asBackend(service, 'GET', `/requests/${id}`);
  t.match(body, { state: 'GIVEN', services: [{ service: CIVIL, given: ['gx.name@1'] }, { service: TAX }] });
  t.same(body['receipts'], view.receipts);
  t.notOk(JSON.stringify(body).includes(REQUEST.subject.value));

  const { receipt } = readReceipt(view.receipts.find((each) => each.service === CIVIL)!.jws);
  const list = receipt.status.uri.slice(receipt.status.uri.lastIndexOf('/'));
  const url = `${service.urls.citizen}/status${list}`;
  await wait(250);
  const first = await fetch(url);
  t.equal(first.headers.get('content-type'), 'application/statuslist+jwt');
  t.equal(first.headers.get('cache-control'), 'no-cache');
  const etag = first.headers.get('etag') ?? '';
  const registered = configuration.consentServices[0]!.keys;
  t.equal(statusAt(readStatusList(await first.text(), registered, receipt.status.uri).statuses, receipt.status.idx), 0);
  t.equal((await fetch(url, { headers: { 'if-none-match': etag } })).status, 304);
  for (const none of [`${service.urls.citizen}/status/none`, `${url}0`]) t.equal((await fetch(none)).status, 404);

  hinted.length = 0;
  const before = systemClock.monotonicMs();
  await service.consents.withdraw(PERSON, id);
  for (;;) {
    const now = await fetch(url, { headers: { 'if-none-match': etag } });
    const token = now.status === 200 ? await now.text() : null;
    if (token !== null) {
      const { statuses } = readStatusList(token, registered, receipt.status.uri);
      if (statusAt(statuses, receipt.status.idx) === 1) break;
    }
    if (systemClock.monotonicMs() - before > 1_000) break;
    await wait(20);
  }
  t.ok(systemClock.monotonicMs() - before < 1_000, 'a withdrawal is in the served list within a second');
  for (let tries = 0; tries < 50 && hinted.length < 2; tries++) await wait(20);
  const hint = { path: '/.accord/status-hint', client: CONSENT, method: 'POST', basis: 'open', body: {} };
  t.match(
    new Set(hinted.map((one) => JSON.stringify((one as { service: string }).service))),
    new Set([CIVIL, TAX].map((one) => JSON.stringify(one))),
    'each provider once',
  );
  t.match(hinted[0], { ...hint, body: { uri: /\/status\// } });
  configuration.consentServices = [];
  t.match(await asBackend(service, 'GET', '/readyz'), {
    status: 503,
    body: { faults: ['CONSENT_SERVICE_NOT_REGISTERED'] },
  });
});

async function twice(service: ConsentService): Promise<Answer> {
  const client = openClient();
  const answer = await client.request({
    method: 'GET',
    url: `${service.urls.filing}/requests`,
    headers: [
      ['accord-client', CLIENT],
      ['accord-client', 'DEV/GOV/9009/other'],
    ],
  });
  await client.close();
  return { status: answer.status, body: JSON.parse(answer.body.toString()) };
}
