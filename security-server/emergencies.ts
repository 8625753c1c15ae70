// What one server has to do with emergencies beside exchanges: it reports those it answered on to the registry, tells the
// consent services whom it answered about, and watches for reviews that its own departments owe. The registry is spoken to
// at its public port, by the addresses of the configuration anchor.
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { type DueReviews, openDueReviews } from './due-reviews.ts';
import { type EmergencyNotices, type NoticeWays, openEmergencyNotices } from './emergency-notices.ts';
import { type EmergencyReports, openEmergencyReports } from './emergency-reports.ts';
import { type OutboxKind, openOutboxStoreSqlite } from './outbox-sqlite.ts';
import type { SharedConfiguration } from './peer/news.ts';

export interface ServerEmergencies {
  reports: EmergencyReports;
  notices: EmergencyNotices;
  reviews: DueReviews;
  close(): Promise<void>;
}

export interface EmergencyOptions {
  id: string;
  folder: string;
  keys: { storageKey: Buffer };
  configuration: SharedConfiguration;
  clock: Clock;
  logger: FastifyBaseLogger;
  registryUrls?: readonly string[];
}

/** Largest answer of the registry: some dozen emergencies. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** The file of reports and notices in a data folder. */
export function emergencyReportsFile(folder: string): string {
  return join(folder, 'emergency-reports.db');
}

export function openServerEmergencies(options: EmergencyOptions, ways: NoticeWays): ServerEmergencies {
  const { id, folder, keys, configuration, clock, logger, registryUrls: urls = [] } = options;
  const client = openClient({ maxConnectionsPerOrigin: 4, maxResponseBytes: MAX_ANSWER_BYTES });
  const storeOf = (kind: OutboxKind) => openOutboxStoreSqlite(emergencyReportsFile(folder), kind);
  const ports = { clock, logger };
  const reports = openEmergencyReports(storeOf('report'), keys.storageKey, { self: id, urls, client, ...ports });
  const notices = openEmergencyNotices(storeOf('notice'), keys.storageKey, { configuration, ways, ...ports });
  return {
    reports,
    notices,
    reviews: openDueReviews(id, configuration, urls, client, logger),
    async close() {
      await Promise.all([reports.close(), notices.close()]);
      await client.close();
    },
  };
}
