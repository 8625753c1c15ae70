import { join } from 'node:path';
import { pino } from 'pino';
import type { Test } from 'tap';
import { exportPublicJwk } from '#certs/keys.ts';
import { DEV_ACR } from '#consent-service/identity/dev-accounts.ts';
import { openDevIdentityProvider } from '#consent-service/identity/dev-provider.ts';
import { type OwnServer, openOwnServer } from '#consent-service/own-server.ts';
import { type ConsentService, openConsentService } from '#consent-service/service.ts';
import { slugOf } from '#consent-service/sign-in/providers.ts';
import { openSessionStoreSqlite } from '#consent-service/sign-in/session-store-sqlite.ts';
import { hintThroughServer } from '#consent-service/status-hints.ts';
import { openConsentStoreSqlite } from '#consent-service/store-sqlite.ts';
import { type Clock, systemClock } from '#core/clock.ts';
import { purposeHashOf } from '#core/configuration/consent-parts.ts';
import { openClient } from '#core/http/client.ts';
import type { RegisteredService } from '#schemas/registrations.ts';
import { accessRight, openPair, type Pair } from '#scripts/campaign/pair.ts';
import { freePort } from '#scripts/free-port.ts';
import { ENTRIES, tableOf } from '#test/security-server/bound-service.ts';
import { Browser, type Shown } from './browser.ts';
import { CIVIL, CLIENT, CONSENT, namedKey, PURPOSE, REQUEST, TAX } from './desk.ts';
import { choose } from './sign-in-site.ts';
import { temporaryFolder } from './stores.ts';

export const WANG = REQUEST.subject.value;
export const LI = '310101198502022345';

export interface AccessesWorld {
  base: string;
  issuer: string;
  pair: Pair;
  service: ConsentService;
  /** Every question that left the consent service, as it stood in the body. */
  asked: { service: string; path: string; body: unknown }[];
  /** Lines of the consent service's log. */
  log: string[];
  /** A browser in which the resident is signed in. */
  signIn(resident: string): Promise<Browser>;
}

/** @param clock of both security servers */
export async function openAccessesWorld(t: Test, clock: Clock = systemClock): Promise<AccessesWorld> {
  const base = `http://127.0.0.1:${await freePort()}`;
  const provider = await openDevIdentityProvider({
    port: 0,
    residents: [WANG, LI].map((id) => ({ id, name: id })),
    clients: [{ clientId: 'accord', redirectUris: [`${base}/sign-in/callback`] }],
  });
  t.teardown(() => provider.close());
  const elements = [...PURPOSE.elements];
  const right = accessRight({ elements });
  const pair = await openPair({ right, clock });
  t.teardown(() => pair.close());
  const id = '00000000-0000-4000-8000-000000000002';
  const hash = purposeHashOf(PURPOSE);
  const bases = ['consent', 'law'] as const;
  const pins = { pins: { [PURPOSE.id]: hash }, purposes: [PURPOSE.id], statute: 'Aid Act § 7' };
  pair.provider.parts.state.putRight(accessRight({ id, bases: [...bases], elements, ...pins }));
  const receipt = namedKey();
  const { configuration } = pair;
  configuration.purposes = [PURPOSE];
  configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  configuration.bind(tableOf());
  const known = configuration.services.get(CIVIL) as RegisteredService;
  configuration.services.set(CIVIL, { ...known, personalData: true });
  configuration.services.set(TAX, { ...known, personalData: true, id: TAX, title: 'Incomes' });
  configuration.register(pair.consumer.id, pair.consumer.urls.peer, [CLIENT, CONSENT], pair.identities.consumer);
  const { kty, crv, x, y } = exportPublicJwk(receipt.privateKey);
  const jwk = { kty, crv, x, y } as never;
  const entry = {
    subsystem: CONSENT,
    keys: [{ kid: receipt.kid, jwk }],
    statusUrl: `${base}/status`,
    citizenUrl: base,
  };
  configuration.consentServices = [entry];
  const { issuer, jwks: keys } = provider;
  const levels = { [DEV_ACR[2]]: 2, [DEV_ACR[4]]: 4 } as const;
  const names = { issuer, clientId: 'accord', scheme: REQUEST.subject.scheme, claim: 'resident_id' };
  configuration.identityProviders = [{ ...names, keys, levels } as (typeof configuration.identityProviders)[number]];
  pair.backend.answer = (_request, _body, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name: '王芳', birthDate: '1990-02-03' }));
  };

  const asked: AccessesWorld['asked'] = [];
  const http = openClient();
  t.teardown(() => http.close());
  const own = openOwnServer(http, pair.consumer.urls.loopback ?? '', CONSENT);
  const ownServer: OwnServer = {
    ask(to, path, body, timeoutMs) {
      asked.push({ service: to, path, body });
      return own.ask(to, path, body, timeoutMs);
    },
  };
  const log: string[] = [];
  const folder = temporaryFolder(t);
  const service = await openConsentService({
    ...{ self: CONSENT, folder, configuration, http, clock: systemClock, citizenUrl: base, ownServer },
    keys: { receipt, storageKey: Buffer.alloc(32, 7) },
    sendHint: hintThroughServer(own),
    logger: pino({ level: 'trace' }, { write: (line) => void log.push(line) }),
    store: openConsentStoreSqlite(join(folder, 'database')),
    sessionStore: openSessionStoreSqlite(join(folder, 'sessions.db')),
    citizen: { host: '127.0.0.1', port: Number(new URL(base).port) },
    filing: { host: '127.0.0.1', port: 0 },
  });
  t.teardown(() => service.close());
  return {
    ...{ base, issuer, pair, service, asked, log },
    async signIn(resident) {
      const browser = new Browser();
      browser.set('accord-language', 'en');
      const query = new URLSearchParams({ to: '/accesses', level: '2' });
      const login = await browser.open(`${base}/sign-in/${slugOf(issuer)}/start?${query}`);
      await choose(browser, login, resident, 2);
      return browser;
    },
  };
}

/** Sends the first form on a page, with these fields beside the hidden ones. */
export async function sendForm(browser: Browser, shown: Shown, form: Record<string, string> = {}): Promise<Shown> {
  const main = shown.text.slice(shown.text.indexOf('<main'));
  const [, action = '', inner = ''] = /<form method="post" action="([^"]+)">(.*?)<\/form>/s.exec(main) ?? [];
  const hidden = [...inner.matchAll(/type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(([, name, value]) => [
    name,
    value,
  ]);
  return await browser.post(new URL(action, shown.url).href, { ...Object.fromEntries(hidden), ...form });
}
