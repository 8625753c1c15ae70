// A running consent service: the records with the domain over them, the status lists, and two ports. The filing port is a
// backend for the own security server; the citizen port serves the status lists, the sign-in and the pages. Its parts are
// handed in, so that a test opens it over a configuration it holds in its hand.
import { join } from 'node:path';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { cipherKey } from '#certs/record-cipher.ts';
import type { NamedKey } from '#certs/registered-key.ts';
import { storageSubkeyOf } from '#certs/storage-key.ts';
import { type Clock, everyUnref } from '#core/clock.ts';
import type { ConfigurationSource } from '#core/configuration/snapshot.ts';
import type { BoundedClient } from '#core/http/client.ts';
import { addressOf, openServer } from '#core/http/server-frame.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import type { Consents } from './consents.ts';
import { CONSENT_FILES } from './data-folder.ts';
import { openDepartments } from './departments.ts';
import { openConsents } from './open-consents.ts';
import type { OwnServer } from './own-server.ts';
import { addPages } from './pages/add-pages.ts';
import { openAskedQuestions } from './pages/asked-question.ts';
import { languageOf } from './pages/language.ts';
import { signInLayout } from './pages/layout.ts';
import { openReceiptUses } from './receipt-uses.ts';
import { addFilingRoutes, IDENTITY_HEADERS } from './routes-filing.ts';
import { openShownAccesses } from './shown-accesses.ts';
import type { SessionStore } from './sign-in/session-store.ts';
import { addSignIn } from './sign-in/sign-in.ts';
import { openStatusBook, type StatusBook } from './status-book.ts';
import { openStatusFiles, type StatusFiles } from './status-files.ts';
import { openHints, type SendHint } from './status-hints.ts';
import type { ConsentStore } from './store.ts';

const TICK_MS = 10_000;
const SWEEP_MS = 60_000;

export interface ConsentServiceOptions {
  /** Subsystem of the service. */
  self: string;
  folder: string;
  store: ConsentStore;
  sessionStore: SessionStore;
  keys: { receipt: NamedKey; storageKey: Buffer };
  configuration: ConfigurationSource;
  clock: Clock;
  logger: FastifyBaseLogger;
  http: BoundedClient;
  /** How this service proves itself to an identity provider; without one, by PKCE alone. */
  credential?: Parameters<typeof addSignIn>[1]['credential'];
  /** Origin under which citizens reach the citizen port. */
  citizenUrl: string;
  citizen: { host: string; port: number };
  filing: { host: string; port: number };
  /** Through which departments are asked for citizens; without one their pages say that they cannot be. */
  ownServer?: OwnServer | null;
  /** Null: nobody is told, and a change counts when the providers fetch the list next. */
  sendHint: SendHint | null;
  every?: (ms: number, run: () => void) => () => void;
}

export interface ConsentService {
  id: string;
  urls: { citizen: string; filing: string };
  consents: Consents;
  /** Lets running requests and hints end; closes the stores. */
  close(): Promise<void>;
}

/** @throws CONSENT_RECORDS_DAMAGED, CONSENT_STORE_FAILED, and what listening throws; then the stores are closed */
export async function openConsentService(options: ConsentServiceOptions): Promise<ConsentService> {
  const { self, store, sessionStore, clock, logger, configuration, every = everyUnref } = options;
  const ends: (() => unknown)[] = [() => store.close(), () => sessionStore.close()];
  const closeAll = async () => {
    for (const end of ends.toReversed()) await end();
  };
  const onAlarm = (what: string, error: unknown) => logger.error({ alarm: what, err: error }, what);
  try {
    const book = await openStatusBook(store);
    const { files, changed, idle } = openLists(options, book, every, onAlarm);
    ends.push(idle, () => files.close());
    const consents = await openConsents({
      ...{ store, configuration, clock, self, book },
      key: options.keys.receipt,
      storageKey: options.keys.storageKey,
      onStatusChange: changed,
    });
    let ticking = false;
    const tick = () => {
      if (ticking) return;
      ticking = true;
      consents
        .tick()
        .catch((error: unknown) => onAlarm('what time has ended could not be written', error))
        .finally(() => {
          ticking = false;
        });
    };
    ends.push(every(TICK_MS, tick));
    const filing = filingPort(options, consents);
    const citizen = citizenPort(options, { consents, files, book, ends });
    ends.push(
      () => filing.close(),
      () => citizen.close(),
    );
    await filing.listen(options.filing);
    await citizen.listen(options.citizen);
    return {
      id: self,
      urls: { citizen: addressOf(citizen), filing: addressOf(filing) },
      consents,
      close: closeAll,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** The lists, and how their providers hear of a change: after the new token is served, so that a fetch finds it. */
function openLists(
  options: ConsentServiceOptions,
  book: StatusBook,
  every: NonNullable<ConsentServiceOptions['every']>,
  onAlarm: (what: string, error: unknown) => void,
) {
  const { keys, clock, folder, logger, sendHint } = options;
  const hints =
    sendHint === null
      ? null
      : openHints(sendHint, (error) => logger.info({ err: error }, 'a provider was not told of a changed list'));
  /** List to a service of its provider. */
  const through = new Map<string, string>();
  const files: StatusFiles = openStatusFiles({
    ...{ book, clock, every, onAlarm, key: keys.receipt, archive: join(folder, CONSENT_FILES.archive) },
    onServed(lists) {
      const changed = book.all().filter(({ id }) => lists.includes(id));
      hints?.tell(
        changed.flatMap(({ id, uri, subsystem: provider }) => {
          const service = through.get(id);
          return service === undefined ? [] : [{ uri, provider, service }];
        }),
      );
    },
  });
  return {
    files,
    changed(lists: readonly string[], services: readonly string[]) {
      for (const { id, subsystem } of book.all()) {
        const service = lists.includes(id) ? services.find((one) => subsystemOfService(one) === subsystem) : undefined;
        if (service !== undefined) through.set(id, service);
      }
      files.changed(lists);
    },
    idle: async () => hints?.idle(),
  };
}

function filingPort({ self, logger, citizenUrl, configuration, keys }: ConsentServiceOptions, consents: Consents) {
  const app = openServer({ name: 'filing', identityHeaders: IDENTITY_HEADERS, logger });
  addFilingRoutes(app, consents, self, () => citizenUrl);
  app.get('/livez', async () => ({ live: true }));
  app.get('/readyz', async (_request, reply) => {
    const faults = faultsOf(configuration, self, keys.receipt.kid);
    return reply.code(faults.length === 0 ? 200 : 503).send({ ready: faults.length === 0, faults });
  });
  return app;
}

/** Why receipts would not be believed, or requests not judged. */
function faultsOf(configuration: ConfigurationSource, self: string, kid: string): string[] {
  try {
    if (configuration.freshness() === 'too-old') return ['CONFIGURATION_TOO_OLD'];
    const registered = configuration.current().consentService(self);
    if (registered === undefined) return ['CONSENT_SERVICE_NOT_REGISTERED'];
    return registered.keys.some((key) => key.kid === kid) ? [] : ['RECEIPT_KEY_NOT_REGISTERED'];
  } catch {
    return ['CONFIGURATION_MISSING'];
  }
}

interface CitizenParts {
  consents: Consents;
  files: StatusFiles;
  book: StatusBook;
  /** What has to be ended with the service. */
  ends: (() => unknown)[];
}

function citizenPort(options: ConsentServiceOptions, { consents, files, book, ends }: CitizenParts): FastifyInstance {
  const {
    credential = () => null,
    logger,
    configuration,
    clock,
    http,
    keys,
    sessionStore,
    citizenUrl,
    every = everyUnref,
  } = options;
  const app = openServer({ name: 'citizen', logger });
  files.addRoutes(app);
  const sessions = addSignIn(app, {
    providers: () => configuration.current().identityProviders(),
    credential,
    store: sessionStore,
    secret: storageSubkeyOf(keys.storageKey, 'sign-in'),
    client: http,
    clock,
    baseUrl: citizenUrl,
    onAlarm: (code, detail) => logger.error({ alarm: code, detail }, 'alarm of the sign-in'),
    layout: signInLayout,
    languageOf,
  });
  const { ownServer = null, self } = options;
  const shown = openShownAccesses(clock);
  ends.push(every(SWEEP_MS, shown.sweep));
  const onFailure = (error: unknown) =>
    logger.info({ err: error }, 'a provider did not tell how often receipts were used');
  addPages(app, {
    ...{ consents, sessions, clock, configuration, shown },
    utcOffsetMinutes: () => configuration.current().utcOffsetMinutes,
    departments: ownServer === null ? null : openDepartments({ server: ownServer, configuration, clock, self }),
    questions: openAskedQuestions(
      cipherKey(storageSubkeyOf(keys.storageKey, 'asked questions')),
      citizenUrl.startsWith('https:'),
    ),
    uses: ownServer === null ? null : openReceiptUses({ server: ownServer, clock, onFailure }),
    statusOf: (uri, idx) => book.all().find((list) => list.uri === uri)?.statuses[idx] ?? null,
  });
  return app;
}
