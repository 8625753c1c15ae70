// A consent service's sign-in over real HTTP: two development identity providers (one by secret, one by key), an app
// with pages of different levels, and a clock and a configuration in the test's hand.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyRequest } from 'fastify';
import { pino } from 'pino';
import { sealKey } from '#certs/key-file.ts';
import { generateKeys } from '#certs/keys.ts';
import { DEV_ACR } from '#consent-service/identity/dev-accounts.ts';
import { type DevIdentityProvider, openDevIdentityProvider } from '#consent-service/identity/dev-provider.ts';
import { readCredentials } from '#consent-service/sign-in/credentials.ts';
import { slugOf } from '#consent-service/sign-in/providers.ts';
import { openSessionStoreSqlite } from '#consent-service/sign-in/session-store-sqlite.ts';
import { addSignIn, type Sessions } from '#consent-service/sign-in/sign-in.ts';
import { openClient } from '#core/http/client.ts';
import { openServer } from '#core/http/server-frame.ts';
import { writeKeyFile } from '#core/key-store.ts';
import type { IdentityProviderEntry } from '#schemas/configuration.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { freePort } from '#scripts/free-port.ts';
import { MovingClock } from '#test/security-server/moving-clock.ts';
import type { Browser, Shown } from './browser.ts';

export const SCHEME = 'gx.person.resident_id@1';
export const WANG = '310101199001011234';
export const LI = '310101198502022345';
const PASSPHRASE = 'correct horse battery';

export interface Site {
  base: string;
  folder: string;
  clock: MovingClock;
  /** What the configuration names at the moment. */
  entries: IdentityProviderEntry[];
  providers: DevIdentityProvider[];
  sessions: Sessions;
  log: string[];
  alarms: string[];
  close(): Promise<void>;
}

/** @param more entries of other providers, beside the two development ones */
export async function openSite(more: IdentityProviderEntry[] = [], schemes = [SCHEME, SCHEME]): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'accord-sign-in-'));
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const client = { redirectUris: [`${base}/sign-in/callback`], postLogoutRedirectUris: [`${base}/`] };
  const residents = [
    { id: WANG, name: '王小明', nameEn: 'Wang Xiaoming' },
    { id: LI, name: '李华' },
  ];
  const ours = generateKeys('P-256');
  const secret = 'a secret of enough characters, 32 at least';
  const providers = [
    await openDevIdentityProvider({ port: 0, residents, clients: [{ ...client, clientId: 'accord', secret }] }),
    await openDevIdentityProvider({
      port: 0,
      residents,
      clients: [{ ...client, clientId: 'accord', publicKey: ours.publicKey }],
    }),
  ];
  const entries = [...providers.map((provider, at) => entryOf(provider, schemes[at] ?? SCHEME)), ...more];
  const [first, second] = providers.map(({ issuer }) => slugOf(issuer));
  mkdirSync(join(folder, 'sign-in'), { mode: 0o700 });
  writeFileSync(join(folder, 'sign-in', `${first}.secret`), `${secret}\n`, { mode: 0o600 });
  const cost = { memoryKib: 8192, passes: 1, lanes: 1 };
  const sealed = await sealKey(ours.privateKey, PASSPHRASE, { use: 'authenticate', createdAtMs: 1 }, cost);
  await writeKeyFile(join(folder, 'keys'), `sign-in-${second}`, sealed);

  const log: string[] = [];
  const alarms: string[] = [];
  const clock = new MovingClock();
  const store = openSessionStoreSqlite(join(folder, 'sessions.db'));
  const outgoing = openClient({ connectTimeoutMs: 500 });
  const app = openServer({
    name: 'citizens',
    logger: pino({ level: 'trace' }, { write: (line) => void log.push(line) }),
  });
  const sessions = addSignIn(app, {
    providers: () => entries,
    credential: await readCredentials(folder, PASSPHRASE),
    store,
    secret: Buffer.alloc(32, 7),
    client: outgoing,
    clock,
    baseUrl: base,
    onAlarm: (code, detail) => alarms.push(`${code} ${detail}`),
  });
  const page = (level: Level) => (request: FastifyRequest, reply: Parameters<Sessions['requireLevel']>[1]) => {
    const person = sessions.requireLevel(request, reply, level);
    return person === null
      ? reply
      : reply.send({
          person,
          csrf: sessions.csrfToken(request),
          nonce: sessions.boundNonce(request),
          idToken: sessions.idToken(request),
        });
  };
  app.get('/', (_, reply) => reply.type('text/plain').send('start page'));
  app.get('/me', page(2));
  app.get('/most-sensitive', page(4));
  app.post('/most-sensitive', page(4));
  app.post('/bind', (request, reply) => {
    sessions.checkCsrf(request);
    return sessions.start(request, reply, { to: '/me?bound=1', nonce: 'hash-of-notice-and-terms', level: 2 });
  });
  await app.listen({ port, host: '127.0.0.1' });
  return {
    base,
    folder,
    clock,
    entries,
    providers,
    sessions,
    log,
    alarms,
    async close() {
      await Promise.all([app.close(), outgoing.close(), ...providers.map((provider) => provider.close())]);
      store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function entryOf(
  { issuer, jwks }: Pick<DevIdentityProvider, 'issuer' | 'jwks'>,
  scheme = SCHEME,
): IdentityProviderEntry {
  const levels = { [DEV_ACR[2]]: 2, [DEV_ACR[3]]: 3, [DEV_ACR[4]]: 4 } as const;
  return { issuer, clientId: 'accord', keys: jwks, scheme, claim: 'resident_id', levels } as IdentityProviderEntry;
}

/** Answers a login page: a resident, a level. Stops before `stopAt`. */
export async function choose(
  browser: Browser,
  shown: Shown,
  resident: string,
  level: number,
  stopAt?: string,
): Promise<Shown> {
  const action = /<form method="post" action="([^"]+)"/.exec(shown.text)?.[1];
  if (action === undefined || !shown.text.includes('DEVELOPMENT'))
    throw new Error(`no login page: ${shown.status} ${shown.text}`);
  return await browser.post(new URL(action, shown.url).href, { resident, level: String(level) }, stopAt);
}

/** From nobody to somebody at `to`. */
export async function signIn(
  site: Site,
  browser: Browser,
  at: number,
  resident: string,
  level = 2,
  to = '/me',
): Promise<Shown> {
  const login = await browser.open(startOf(site, at, to));
  return await choose(browser, login, resident, level);
}

export function startOf(site: Site, at: number, to = '/me', level = 2): string {
  const issuer = site.entries[at]?.issuer ?? '';
  return `${site.base}/sign-in/${slugOf(issuer)}/start?${new URLSearchParams({ to, level: String(level) })}`;
}

/** Everything the store has on disk. */
export function bytesOnDisk(site: Site): string {
  const files = ['sessions.db', 'sessions.db-wal'];
  return files.map((file) => readFileSync(join(site.folder, file), 'latin1')).join('');
}
