// What one server has to do with emergencies beside exchanges: it reports those it answered on, and watches for reviews
// that its own departments owe. Both speak to the registry's public port, by the addresses of the configuration anchor.
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { type DueReviews, openDueReviews } from './due-reviews.ts';
import { type EmergencyReports, openEmergencyReports } from './emergency-reports.ts';
import { openEmergencyReportStoreSqlite } from './emergency-reports-sqlite.ts';
import type { SharedConfiguration } from './peer/news.ts';

export interface ServerEmergencies {
  reports: EmergencyReports;
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

/** The file of the reports in a data folder. */
export function emergencyReportsFile(folder: string): string {
  return join(folder, 'emergency-reports.db');
}

export function openServerEmergencies(options: EmergencyOptions): ServerEmergencies {
  const { id, folder, keys, configuration, clock, logger, registryUrls: urls = [] } = options;
  const client = openClient({ maxConnectionsPerOrigin: 4, maxResponseBytes: MAX_ANSWER_BYTES });
  const store = openEmergencyReportStoreSqlite(emergencyReportsFile(folder));
  const reports = openEmergencyReports(store, keys.storageKey, { self: id, urls, client, clock, logger });
  return {
    reports,
    reviews: openDueReviews(id, configuration, urls, client, logger),
    async close() {
      await reports.close();
      await client.close();
    },
  };
}
