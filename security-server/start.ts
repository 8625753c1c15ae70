// Starts a security server from its data folder: keys, configuration client, server; and ends them in the right order.
// The program (`main.ts`) and `accord dev up` both come through here.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { openConfigurationClient } from '#core/configuration/client.ts';
import { fetchOverHttp } from '#core/configuration/fetch.ts';
import { openClient } from '#core/http/client.ts';
import { openWitnessKeyFiles } from './anchoring/witness-keys.ts';
import { openArchiveSettings } from './archive/settings.ts';
import { FILES, foldersOf, readAdminKeys } from './data-folder.ts';
import { folderKeySource } from './folder-keys.ts';
import { openOtherProcesses } from './processes/first-process.ts';
import { openSecurityServer, type SecurityServer } from './server.ts';
import { DEFAULT_SETTINGS, type Settings } from './settings.ts';

export interface StartOptions {
  folder: string;
  settings: Settings;
  passphrase: string;
  clock: Clock;
  logger: FastifyBaseLogger;
}

/** @throws KEY_FILE_*, CERTIFICATE_MISSING, CONFIGURATION_ANCHOR_INVALID, and what `openSecurityServer` throws */
export async function startServer({
  folder,
  settings,
  passphrase,
  clock,
  logger,
}: StartOptions): Promise<SecurityServer> {
  const keySource = folderKeySource(folder, passphrase);
  const ended = await keySource.destroyEnded(clock.nowMs());
  if (ended.length > 0) logger.info({ ended }, 'private encryption keys were destroyed');
  const keys = await keySource.open();
  const { witnessPort } = settings;
  const witness =
    witnessPort === null
      ? null
      : { host: settings.host, port: witnessPort, keys: await openWitnessKeyFiles(folder, passphrase) };
  const archive = await openArchiveSettings(folder, settings.archive, passphrase);
  const anchor = readAnchor(readFileSync(join(folder, FILES.anchor)));
  const http = openClient();
  const configuration = await openConfigurationClient({
    folder: foldersOf(folder).configuration,
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
  const { host, ports } = settings;
  const others = settings.consumerProcesses > 0 ? openOtherProcesses(folder, settings, logger) : null;
  const local = (port: number) => ({ host: '127.0.0.1', port });
  try {
    const server = await openSecurityServer({
      id: settings.id,
      folder,
      keys,
      keySource,
      crlGraceMs: settings.configurationMaxStaleMs,
      configuration,
      ports: {
        peer: { host, port: ports.peer },
        systems: others ? null : { host, port: ports.systems },
        loopback: others ? null : { host: settings.plainHost, port: ports.loopback },
        admin: local(ports.admin),
        health: local(ports.health),
      },
      clock,
      logger,
      plainHttpBeyondLoopback: settings.plainHost !== DEFAULT_SETTINGS.plainHost,
      maxBodyBytes: settings.maxBodyBytes,
      maxSpooledBytes: settings.maxSpooledBytes,
      spoolMemoryBytes: settings.spoolMemoryBytes,
      xroadSnakeCase: settings.xroadErrorCodes === 'snake',
      xroadDeadlineMs: settings.xroadDeadlineMs,
      oldestSystemTls: settings.systemsMinTls,
      anchoringEveryMs: settings.anchoringEveryMs,
      ...(witness && { witness }),
      ...(archive && { archive }),
      ...(others && { others }),
      peerLink: settings.peerLink,
      registryUrls: anchor.urls,
      adminKeys: readAdminKeys(folder),
      ...(settings.restoredAtMs === null ? {} : { restoredAtMs: settings.restoredAtMs }),
    });
    return {
      ...server,
      async close(drainMs) {
        await server.close(drainMs);
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}
