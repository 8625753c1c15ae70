// Starts a consent service from its data folder: keys, configuration client, store, service; and ends them in order. The
// program (`main.ts`) and `accord consent-service start` both come through here.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { openConfigurationClient } from '#core/configuration/client.ts';
import { fetchOverHttp } from '#core/configuration/fetch.ts';
import { openClient } from '#core/http/client.ts';
import { CONSENT_FILES, openConsentKeys } from './data-folder.ts';
import { openOwnServer } from './own-server.ts';
import { type ConsentService, openConsentService } from './service.ts';
import type { ConsentSettings } from './settings.ts';
import { readCredentials } from './sign-in/credentials.ts';
import { openSessionStoreSqlite } from './sign-in/session-store-sqlite.ts';
import { hintThroughServer } from './status-hints.ts';
import { openConsentStorePostgres } from './store-postgres.ts';
import { openConsentStoreSqlite } from './store-sqlite.ts';

export interface ConsentStartOptions {
  folder: string;
  settings: ConsentSettings;
  passphrase: string;
  clock: Clock;
  logger: FastifyBaseLogger;
  /** postgres://…; without one the records lie in SQLite in the folder. */
  databaseUrl?: string;
}

/** @throws KEY_FILE_*, CONFIGURATION_ANCHOR_INVALID, CONSENT_STORE_IN_USE, and what `openConsentService` throws */
export async function startConsentService(options: ConsentStartOptions): Promise<ConsentService> {
  const { folder, settings, passphrase, clock, logger, databaseUrl } = options;
  const keys = await openConsentKeys(folder, passphrase);
  const anchor = readAnchor(readFileSync(join(folder, CONSENT_FILES.anchor)));
  const http = openClient();
  const configuration = await openConfigurationClient({
    folder: join(folder, CONSENT_FILES.configuration),
    anchor,
    clock,
    fetch: anchor.urls.map((url) => fetchOverHttp(http, url)),
    pollMs: settings.configurationPollMs,
    maxStaleMs: settings.configurationMaxStaleMs,
    onAlarm: (code, detail) => logger.error({ alarm: code, detail }, 'alarm of the configuration'),
  });
  const end = async () => {
    await configuration.close();
    await http.close();
  };
  try {
    const database = join(folder, CONSENT_FILES.database);
    const { subsystem: self, citizenUrl, citizen, filing, server } = settings;
    const ownServer = server === null ? null : openOwnServer(http, server, self);
    const store =
      databaseUrl === undefined ? openConsentStoreSqlite(database) : await openConsentStorePostgres(databaseUrl);
    const service = await openConsentService({
      ...{ self, folder, store, keys, configuration, clock, logger, http, citizenUrl, citizen, filing },
      credential: await readCredentials(folder, passphrase),
      sessionStore: openSessionStoreSqlite(join(folder, CONSENT_FILES.sessions)),
      ownServer,
      sendHint: ownServer === null ? null : hintThroughServer(ownServer),
    });
    return {
      ...service,
      async close() {
        await service.close();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}
