// The consent office of the demonstration: a consent service behind the security server of a member of its own, and the
// development identity provider. Registered as docs/consent.md and docs/registry.md say, only that this process holds every
// key. The identity provider runs in this process: in life it belongs to somebody else altogether.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { DEV_KEY_FILE_COST, type DevServer, endWithUs, firstLine, stopProcess } from '#cli/dev/network.ts';
import { initConsentFolder } from '#consent-service/data-folder.ts';
import { DEV_ACR, DEV_CLAIM, type DevResident } from '#consent-service/identity/dev-accounts.ts';
import { openDevIdentityProvider } from '#consent-service/identity/dev-provider.ts';
import { DEFAULT_CONSENT_SETTINGS, readConsentSettings } from '#consent-service/settings.ts';
import { startConsentService } from '#consent-service/start.ts';
import { systemClock } from '#core/clock.ts';
import type { ConsentServiceEntry, IdentityProviderEntry } from '#schemas/configuration.ts';
import { parseJson } from '#schemas/json.ts';
import { freePort } from '#scripts/free-port.ts';
import { LEAN_ENVIRONMENT } from './lean.ts';

export interface ConsentOffice {
  /** What the registry is told. */
  registration: ConsentServiceEntry;
  identityProvider: IdentityProviderEntry;
  urls: { citizen: string; filing: string };
  /** Who can sign in; the person of the story first. */
  citizens: readonly DevResident[];
  /** Process id of the consent service; null when it runs in this one. */
  pid: number | null;
  close(): Promise<void>;
}

export interface ConsentOfficeOptions {
  folder: string;
  /** The office's own security server. */
  server: DevServer;
  /** Text of the configuration anchor. */
  anchorText: string;
  passphraseFile: string;
  citizens: readonly DevResident[];
  /** Whether the consent service is a process of its own, as in life, or runs in this one. */
  processes: boolean;
}

const CLIENT_ID = 'accord-consent';
/** What the sign-in vouches for. */
export const CITIZEN_SCHEME = 'gx.person.resident_id@1';

/** Starts both; the consent service takes work once the configuration names it. */
export async function openConsentOffice(options: ConsentOfficeOptions): Promise<ConsentOffice> {
  const { folder, server, anchorText, passphraseFile, citizens } = options;
  // The identity provider must know where to send people back before there is anybody who listens.
  const port = await freePort();
  const citizenUrl = `http://127.0.0.1:${port}`;
  const provider = await openDevIdentityProvider({
    port: 0,
    residents: citizens,
    clients: [
      {
        clientId: CLIENT_ID,
        redirectUris: [`${citizenUrl}/sign-in/callback`],
        postLogoutRedirectUris: [`${citizenUrl}/`],
      },
    ],
  });
  try {
    const settings = readConsentSettings(
      JSON.stringify({
        ...DEFAULT_CONSENT_SETTINGS,
        subsystem: server.subsystem,
        citizenUrl,
        citizen: { host: '127.0.0.1', port },
        filing: { host: '127.0.0.1', port: 0 },
        server: server.urls.loopback,
        configurationPollMs: 1_000,
        logLevel: 'error',
      }),
    );
    const passphrase = readFileSync(passphraseFile, 'utf8').trim();
    const nowMs = systemClock.nowMs();
    const init = { folder, settings, anchorText, passphrase, nowMs, keyFileCost: DEV_KEY_FILE_COST };
    const { registration } = await initConsentFolder(init);
    const logger = pino({ level: settings.logLevel }, pino.destination(2));
    const service = options.processes
      ? await startProcess(folder, passphraseFile)
      : { ...(await startConsentService({ folder, settings, passphrase, clock: systemClock, logger })), pid: null };
    return {
      registration: parseJson(readFileSync(registration)) as unknown as ConsentServiceEntry,
      identityProvider: {
        issuer: provider.issuer,
        name: { zh: '开发身份提供者', en: 'Development identity provider' },
        clientId: CLIENT_ID,
        keys: provider.jwks as IdentityProviderEntry['keys'],
        scheme: CITIZEN_SCHEME,
        claim: DEV_CLAIM,
        levels: { [DEV_ACR[2]]: 2, [DEV_ACR[3]]: 3, [DEV_ACR[4]]: 4 },
      },
      urls: service.urls,
      citizens,
      pid: service.pid,
      async close() {
        await service.close();
        await provider.close();
      },
    };
  } catch (error) {
    await provider.close();
    throw error;
  }
}

async function startProcess(folder: string, passphraseFile: string) {
  const child: ChildProcess = spawn(
    process.execPath,
    [...process.execArgv, 'consent-service/main.ts', '--dir', folder],
    {
      cwd: join(import.meta.dirname, '../..'),
      env: { ...process.env, ...LEAN_ENVIRONMENT, ACCORD_KEY_PASSPHRASE_FILE: passphraseFile },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  endWithUs(child);
  const urls = parseJson(await firstLine(child)) as unknown as ConsentOffice['urls'];
  return { urls, pid: child.pid ?? null, close: () => stopProcess(child) };
}
