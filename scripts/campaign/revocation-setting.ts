// What campaign `revocation` stands on: a registry, the security servers of departments that ask, of the one that answers and
// of the consent office, a consent service in a process of its own that can be killed, an identity provider, and relays on
// the three ways that lead to and from the consent service.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import {
  type DevNetwork,
  type DevServer,
  endWithUs,
  firstLine,
  openDevNetwork,
  stopProcess,
} from '#cli/dev/network.ts';
import { CONSENT_FILES, initConsentFolder } from '#consent-service/data-folder.ts';
import { DEV_ACR, DEV_CLAIM, type DevResident } from '#consent-service/identity/dev-accounts.ts';
import { type DevIdentityProvider, openDevIdentityProvider } from '#consent-service/identity/dev-provider.ts';
import { DEFAULT_CONSENT_SETTINGS, readConsentSettings } from '#consent-service/settings.ts';
import { systemClock } from '#core/clock.ts';
import { PLAIN_TERMS } from '#schemas/access-right.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { parseJson } from '#schemas/json.ts';
import type { Purpose } from '#schemas/purpose.ts';
import { FIELDS, type Field, SERVICES } from './consent-facts.ts';
import { DOCUMENT, ENTRIES } from './consent-registrations.ts';
import { backendAnswer } from './consent-setting.ts';
import { KEPT_ALIVE_MS, openRelay, type Relay } from './relay.ts';

export const SERVICE = SERVICES[0];
const OFFICE = 'DEV/GOV/9000/consent';
export const FILING = `${OFFICE}/requests`;
const CLIENT_ID = 'accord-consent';
const KEY_FILE_COST = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
const READY_WITHIN_MS = 20_000;

/** What citizens are asked for: one purpose for each level that has a bound of its own. */
export const ASKED: readonly { purpose: string; fields: readonly Field[]; level: Level }[] = [
  { purpose: 'most', fields: ['diagnosis'], level: 4 },
  { purpose: 'amount', fields: ['income', 'currency'], level: 3 },
  { purpose: 'plain', fields: ['name'], level: 2 },
];

export interface RevocationSetting {
  network: DevNetwork;
  consumers: DevServer[];
  provider: DevServer;
  citizens: DevResident[];
  /** Of the citizen port, of the filing port, and of the office's own server as the consent service sees it. */
  relays: { citizen: Relay; filing: Relay; hints: Relay };
  startConsentService(): Promise<void>;
  /** kill -9; resolves when it is gone. */
  killConsentService(): Promise<void>;
  /** Keeps a copy of what the consent service has on disk, or puts it back. */
  copyRecords(): void;
  restoreRecords(): void;
  close(): Promise<void>;
}

interface Options {
  folder: string;
  citizens: number;
  consumers: number;
  /** Each security server in a process of its own. */
  processes: boolean;
}

export async function openRevocationSetting(options: Options): Promise<RevocationSetting> {
  const { folder } = options;
  const ends: (() => unknown)[] = [];
  const close = async () => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const network = await openDevNetwork({
      ...{ folder: join(folder, 'network'), instance: 'DEV', members: membersOf(options.consumers) },
      ...{ clock: systemClock, logger: pino({ level: 'silent' }), processes: options.processes },
    });
    ends.push(() => network.close());
    const [provider, office, ...consumers] = network.servers;
    if (provider === undefined || office === undefined) throw new TypeError('two servers and more');
    const relays = { citizen: await openRelay(), filing: await openRelay(), hints: await openRelay() };
    relays.hints.target = office.urls.loopback ?? '';
    ends.push(() => Object.values(relays).map((relay) => relay.close()));
    const citizens = Array.from({ length: options.citizens }, (_, at) => {
      return { id: `${7_000_000_000 + at * 2}`, name: `市民 ${at}`, nameEn: `Citizen ${at}` };
    });
    const identity = await openIdentityProvider(relays.citizen.url, citizens);
    ends.push(() => identity.close());
    const service = await makeConsentService(join(folder, 'consent'), network, relays);
    ends.push(() => service.stop());
    const backend = await openBackend();
    ends.push(() => backend.close());
    await register(network, {
      provider,
      office,
      consumers,
      relays,
      backend: backend.url,
      identity,
      registration: service,
    });
    await service.start();
    return {
      ...{ network, consumers, provider, citizens, relays, close },
      startConsentService: service.start,
      killConsentService: service.kill,
      copyRecords: () =>
        cpSync(join(folder, 'consent', CONSENT_FILES.database), join(folder, 'copy'), { recursive: true }),
      restoreRecords() {
        rmSync(join(folder, 'consent', CONSENT_FILES.database), { recursive: true });
        cpSync(join(folder, 'copy'), join(folder, 'consent', CONSENT_FILES.database), { recursive: true });
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function membersOf(consumers: number) {
  const asking = Array.from({ length: consumers }, (_, at) => {
    return { id: `DEV/GOV/${1001 + at}`, name: `Department ${at}`, subsystem: 'consumer', server: 'ss' };
  });
  return [
    { id: 'DEV/GOV/2002', name: 'Register', subsystem: 'provider', server: 'ss' },
    { id: 'DEV/GOV/9000', name: 'Consent office', subsystem: 'consent', server: 'ss' },
    ...asking,
  ];
}

function openIdentityProvider(citizenUrl: string, residents: DevResident[]): Promise<DevIdentityProvider> {
  const redirectUris = [`${citizenUrl}/sign-in/callback`];
  return openDevIdentityProvider({ port: 0, residents, clients: [{ clientId: CLIENT_ID, redirectUris }] });
}

async function makeConsentService(
  folder: string,
  { registry, passphraseFile }: DevNetwork,
  relays: RevocationSetting['relays'],
) {
  const listen = { host: '127.0.0.1', port: 0 };
  const settings = readConsentSettings(
    JSON.stringify({
      ...DEFAULT_CONSENT_SETTINGS,
      ...{
        subsystem: OFFICE,
        citizenUrl: relays.citizen.url,
        citizen: listen,
        filing: listen,
        server: relays.hints.url,
      },
      ...{ configurationPollMs: 1_000, logLevel: 'fatal' },
    }),
  );
  const { registration } = await initConsentFolder({
    ...{ folder, settings, anchorText: JSON.stringify(registry.anchor), nowMs: systemClock.nowMs() },
    ...{ passphrase: readFileSync(passphraseFile, 'utf8').trim(), keyFileCost: KEY_FILE_COST },
  });
  let child: ChildProcess | null = null;
  return {
    registration,
    async start() {
      child = spawn(process.execPath, ['consent-service/main.ts', '--dir', folder], {
        cwd: join(import.meta.dirname, '../..'),
        env: { ...process.env, ACCORD_KEY_PASSPHRASE_FILE: passphraseFile },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      endWithUs(child);
      const urls = parseJson(await firstLine(child)) as unknown as { citizen: string; filing: string };
      relays.citizen.target = urls.citizen;
      relays.filing.target = urls.filing;
      const untilMs = systemClock.monotonicMs() + READY_WITHIN_MS;
      while ((await fetch(`${urls.filing}/readyz`)).status !== 200) {
        if (systemClock.monotonicMs() > untilMs) throw new Error('the consent service did not get ready in time');
        await delay(50);
      }
    },
    async kill() {
      if (child === null || child.exitCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      child = null;
    },
    stop: () => (child === null ? undefined : stopProcess(child)),
  };
}

async function openBackend(): Promise<{ url: string; close(): void }> {
  const server = createServer((request, response) => {
    const { status, type, body } = backendAnswer(request.url ?? '');
    response.writeHead(status, { 'content-type': type }).end(body);
  });
  server.keepAliveTimeout = KEPT_ALIVE_MS;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

interface Registered {
  provider: DevServer;
  office: DevServer;
  consumers: readonly DevServer[];
  relays: RevocationSetting['relays'];
  backend: string;
  identity: DevIdentityProvider;
  registration: { registration: string };
}

async function register(network: DevNetwork, all: Registered): Promise<void> {
  const { registry } = network;
  const { provider, office, consumers, relays, backend, identity, registration } = all;
  await network.releaseDictionary('1.0.0', ENTRIES);
  await network.addPurposes(ASKED.map(purposeOf));
  await registry.call('POST', '/consent-services', parseJson(readFileSync(registration.registration)) as object);
  await registry.call('POST', '/identity-providers', {
    ...{ issuer: identity.issuer, name: { zh: '开发', en: 'Development' }, clientId: CLIENT_ID, keys: identity.jwks },
    ...{ scheme: 'gx.id@1', claim: DEV_CLAIM, levels: { [DEV_ACR[2]]: 2, [DEV_ACR[3]]: 3, [DEV_ACR[4]]: 4 } },
  });
  const bound = {
    id: SERVICE,
    title: 'Residents',
    url: backend,
    personalData: true,
    safe: true,
    description: DOCUMENT,
  };
  await network.addService(provider, bound);
  const filing = { id: FILING, title: 'Consent requests', url: relays.filing.url, personalData: false, safe: false };
  await network.addService(office, filing);
  await network.publish();
  for (const { subsystem: client } of consumers) {
    const right = { ...PLAIN_TERMS, client, endpoints: [{ method: '*', path: '/**' }] };
    const elements = Object.values(FIELDS).map(({ element }) => element);
    const purposes = ASKED.map(({ purpose }) => purpose);
    await provider.call('POST', '/access-rights', {
      ...{ ...right, service: SERVICE, bases: ['consent'], purposes, elements },
    });
    await office.call('POST', '/access-rights', {
      ...{ ...right, service: FILING, bases: ['open'] },
    });
  }
}

function purposeOf({ purpose: id }: (typeof ASKED)[number]): Purpose {
  const words = { zh: `目的 ${id}`, en: `Purpose ${id}` };
  const elements = Object.values(FIELDS)
    .map(({ element }) => element)
    .sort();
  const bounds = { bases: ['consent' as const], elements, retentionDays: 90, quotaPerDay: null };
  return { id, version: 1, title: words, text: words, ...bounds, from: '2020-01-01', until: null };
}
