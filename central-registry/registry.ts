// The central registry as one thing that can be opened: store, publisher with its freshness signer, the admin API and the
// configuration port. `main.ts` opens it from settings; development instances and tests open it in their own process.
//
// The folder belongs to the registry's account: registry.db, published/ (which any web server may serve).
import type { KeyObject } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { Clock } from '#core/clock.ts';
import { verifyAnchoredRoot } from '#core/configuration/verify.ts';
import { addressOf, openServer } from '#core/http/server-frame.ts';
import type { ConfigurationAnchor } from '#schemas/configuration.ts';
import { AdminFrame, newApiKey, type RegistryContext } from './admin-frame.ts';
import type { Role } from './administration-store-sqlite.ts';
import type { Stamp } from './aggregate.ts';
import { addAggregateRoutes } from './aggregate-face.ts';
import { openConfigurationFace } from './configuration-face.ts';
import { type Emergencies, openEmergencies } from './emergencies.ts';
import { Publisher } from './publisher.ts';
import { RegistryWitness } from './registry-witness.ts';
import { openReleasedDictionary } from './released-dictionary.ts';
import {
  addApiKeyRoutes,
  addDistrustRoutes,
  addDraftRoutes,
  addPublishingRoutes,
  addTrustRoutes,
} from './routes-configuration.ts';
import { addConsentRoutes } from './routes-consent.ts';
import { addDictionaryRoutes } from './routes-dictionary.ts';
import { addEmergencyAdminRoutes, addEmergencyRoutes } from './routes-emergencies.ts';
import { addGroupRoutes } from './routes-groups.ts';
import { addOcspRoutes } from './routes-ocsp.ts';
import { addOfficialRoutes } from './routes-officials.ts';
import { addPurposeRoutes } from './routes-purposes.ts';
import { addRegistrationRoutes } from './routes-registrations.ts';
import { addServiceRoutes } from './routes-services.ts';
import { addTimeStampRoutes } from './routes-time-stamps.ts';
import { addWitnessStateRoutes } from './routes-witness-state.ts';
import { addWitnessRoutes } from './routes-witnesses.ts';
import { RegistryStore } from './store-sqlite.ts';
import type { WitnessKeys } from './witness-keys.ts';

export interface RegistryOptions {
  folder: string;
  clock: Clock;
  /** The first root's file and the anchor that names it (`accord config init-root`). */
  rootFile: Buffer;
  anchor: ConfigurationAnchor;
  /** The online key that the root names for freshness. */
  freshnessKey: KeyObject;
  /** Where to listen; port 0 takes a free one. Defaults: configuration 4400 on all addresses, admin 4401 on loopback. */
  configuration?: { host?: string; port?: number };
  admin?: { host?: string; port?: number; tls?: { key: string; cert: string } };
  /** Member classes that exist from the start, code → title. */
  classes?: Readonly<Record<string, string>>;
  /** Freshness is signed anew this often; default one minute. */
  freshnessEveryMs?: number;
  /** Without them the registry is no witness and keeps no aggregate log. */
  witness?: WitnessKeys;
  /** Instead of the published time-stamp authorities. */
  stamp?: Stamp;
  /** The aggregate log makes a checkpoint this often when it grew; default one minute. */
  aggregateEveryMs?: number;
  logger?: FastifyBaseLogger;
  onAlarm?: (what: string, error: unknown) => void;
}

export interface Registry {
  configurationUrl: string;
  adminUrl: string;
  /** The folder of the published files. */
  publishedFolder: string;
  /** Makes an API key without the API: the first one, and those of a development instance. The text is not kept. */
  makeApiKey(name: string, role: Role): string;
  hasApiKeys(): boolean;
  /** Signs freshness now, as the timer does. */
  refreshFreshness(): void;
  /** Null without keys for it. */
  witness: RegistryWitness | null;
  close(): Promise<void>;
}

const DEFAULT_CLASSES = { GOV: 'Government', COM: 'Company', ORG: 'Organisation' };
const MAX_ADMIN_BODY_BYTES = 1024 * 1024;

/** @throws CONFIGURATION_*, SIGNED_FILE_* when root and anchor do not agree; what the system says when it cannot listen */
export async function openRegistry(options: RegistryOptions): Promise<Registry> {
  const { folder, clock, anchor, logger } = options;
  const firstRoot = verifyAnchoredRoot(options.rootFile, anchor);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const store = new RegistryStore(join(folder, 'registry.db'));
  const publishedFolder = join(folder, 'published');
  const { instance } = anchor;
  const { freshnessKey } = options;
  if (store.classes().length === 0) {
    const classes = options.classes ?? DEFAULT_CLASSES;
    store.transaction(() =>
      Object.entries(classes).forEach(([code, title]) => {
        store.putClass(code, title);
      }),
    );
  }
  const publisher = new Publisher({ instance, store, clock, folder: publishedFolder, freshnessKey, firstRoot });
  const dictionary = openReleasedDictionary(store, instance);
  const face = openConfigurationFace(publishedFolder, logger);
  const emergencies = openEmergencies({ store, clock, publisher });
  addEmergencyRoutes(face, emergencies, clock);
  const witness = openWitness(options, { instance, store, publisher });
  if (witness !== null) addAggregateRoutes(face, witness, clock);
  const admin = openAdmin({ instance, store, clock, publisher, dictionary }, emergencies, witness, options);
  await face.listen({ host: options.configuration?.host ?? '0.0.0.0', port: options.configuration?.port ?? 4400 });
  await admin.listen({ host: options.admin?.host ?? '127.0.0.1', port: options.admin?.port ?? 4401 });
  const timer = setInterval(() => {
    try {
      publisher.refreshFreshness();
    } catch (error) {
      // A full disk: the servers see the freshness age and say so; the next minute tries again.
      options.onAlarm?.('freshness could not be signed', error);
    }
  }, options.freshnessEveryMs ?? 60_000);
  timer.unref();
  return {
    configurationUrl: `${addressOf(face)}/`,
    adminUrl: addressOf(admin, options.admin?.tls ? 'https' : 'http'),
    publishedFolder,
    makeApiKey(name, role) {
      const { id, text, secretHash } = newApiKey();
      const atMs = clock.nowMs();
      store.transaction(() => {
        store.administration.addApiKey({ id, name, role, secretHash, createdAtMs: atMs, revokedAtMs: null });
        store.administration.appendAudit({
          atMs,
          principal: 'console',
          role: 'console',
          action: 'make API key',
          target: id,
          requestHash: '',
        });
      });
      return text;
    },
    hasApiKeys: () => store.administration.apiKeys().some(({ revokedAtMs }) => revokedAtMs === null),
    refreshFreshness: () => publisher.refreshFreshness(),
    witness,
    async close() {
      clearInterval(timer);
      await Promise.all([face.close(), admin.close()]);
      await witness?.close();
      store.close();
    },
  };
}

function openWitness(
  { folder, clock, witness, stamp, aggregateEveryMs, onAlarm }: RegistryOptions,
  parts: { instance: string; store: RegistryStore; publisher: Publisher },
): RegistryWitness | null {
  if (witness === undefined) return null;
  const alarm = onAlarm ?? (() => undefined);
  return new RegistryWitness({
    ...{ ...parts, folder, clock, keys: witness, stamp, everyMs: aggregateEveryMs, onAlarm: alarm },
  });
}

function openAdmin(
  context: RegistryContext,
  emergencies: Emergencies,
  witness: RegistryWitness | null,
  { admin, logger }: RegistryOptions,
): FastifyInstance {
  const app = openServer({
    name: 'registry-admin',
    bodyLimit: MAX_ADMIN_BODY_BYTES,
    maxConnections: 256,
    ...(admin?.tls && { tls: admin.tls }),
    ...(logger && { logger }),
  });
  const frame = new AdminFrame(app, context);
  addRegistrationRoutes(frame, context);
  addServiceRoutes(frame, context);
  addDictionaryRoutes(frame, context);
  addPurposeRoutes(frame, context);
  addConsentRoutes(frame, context);
  addOfficialRoutes(frame, context);
  addGroupRoutes(frame, context);
  addWitnessRoutes(frame, context);
  addWitnessStateRoutes(frame, witness);
  addTimeStampRoutes(frame, context);
  addEmergencyAdminRoutes(frame, emergencies);
  addTrustRoutes(frame, context);
  addOcspRoutes(frame, context);
  addApiKeyRoutes(frame, context);
  addDraftRoutes(frame, context);
  addPublishingRoutes(frame, context);
  addDistrustRoutes(frame, context);
  return app;
}
