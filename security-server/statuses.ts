// The status lists of consents as this server sees them: of the consent services in the configuration, fetched when a
// receipt first names them, and at once when a consent service says that something changed.
import { openClient } from '#core/http/client.ts';
import { openStatusClient, type StatusClient } from '#core/status/status-client.ts';
import { STATUS_FETCH_TIMEOUT_MS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { SecurityServerOptions } from './server.ts';

/** Nothing is fetched before a receipt asks for it. */
export function openStatuses({
  configuration,
  clock,
  logger,
}: Pick<SecurityServerOptions, 'configuration' | 'clock' | 'logger'>): StatusClient {
  const http = openClient({ maxConnectionsPerOrigin: 4, timeoutMs: STATUS_FETCH_TIMEOUT_MS });
  const services = () => {
    try {
      return configuration.current().consentServices();
    } catch (error) {
      if (isAccordError(error, 'CONFIGURATION_MISSING')) return [];
      throw error;
    }
  };
  const client = openStatusClient({
    http,
    clock,
    keysOf: (subsystem) => services().find((one) => one.subsystem === subsystem)?.keys,
    listsOf: () => [],
    provedMs: () => configuration.leastNowMs?.() ?? 0,
    consentServiceOf: (uri) => services().find(({ statusUrl }) => uri.startsWith(`${statusUrl}/`))?.subsystem,
    onAlarm: (code, detail) => logger.error({ alarm: code, detail }, 'alarm of a status list'),
  });
  return {
    statusOf: (uri, idx) => client.statusOf(uri, idx),
    refresh: (uri) => client.refresh(uri),
    newestTimeMs: () => client.newestTimeMs(),
    hint: (uri) => client.hint(uri),
    trustedNowMs: () => client.trustedNowMs(),
    close() {
      client.close();
      void http.close();
    },
  };
}
