// A consent service in this process over a configuration held in the hand: two departments that answer, one that asks, a
// purpose that rests on consent, real keys, and a clock that a test moves.
import { join } from 'node:path';
import { exportPublicJwk, generateKeys, thumbprint } from '#certs/keys.ts';
import type { NamedKey } from '#certs/registered-key.ts';
import { agreementNonce } from '#consent-service/agreement.ts';
import type { StatusOf } from '#consent-service/check-receipt.ts';
import type { ConsentRequest, Consents, ConsentView, Person } from '#consent-service/consents.ts';
import { openConsents } from '#consent-service/open-consents.ts';
import { openStatusBook } from '#consent-service/status-book.ts';
import { openStatusFiles, type StatusFiles } from '#consent-service/status-files.ts';
import type { ConsentStore } from '#consent-service/store.ts';
import { openConsentStoreSqlite } from '#consent-service/store-sqlite.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import type { Purpose } from '#schemas/purpose.ts';
import type { RegisteredService } from '#schemas/registrations.ts';
import { HeldConfiguration } from '#scripts/campaign/held-configuration.ts';
import { ENTRIES, tableOf } from '#test/security-server/bound-service.ts';
import { MovingClock, Timers } from '#test/security-server/moving-clock.ts';
import { temporaryFolder } from './stores.ts';

export const CONSENT = 'DEV/GOV/3003/consent';
export const CLIENT = 'DEV/GOV/1001/consumer';
export const CIVIL = 'DEV/GOV/2002/provider/echo';
export const TAX = 'DEV/GOV/4004/tax/income';
export const DAY_MS = 86_400_000;
const STATUS_URL = 'https://consent.example/status';

type Tap = Parameters<typeof temporaryFolder>[0];

export const PURPOSE: Purpose = {
  id: 'social-aid',
  version: 1,
  title: { zh: '社会救助', en: 'Social aid' },
  text: { zh: '审核救助申请。', en: 'To judge an application for aid.' },
  bases: ['consent', 'law'],
  elements: ['gx.name@1', 'gx.birth_date@1', 'gx.income@1', 'gx.currency@1', 'gx.pred.age_ge_18@1'],
  retentionDays: 180,
  quotaPerDay: null,
  from: '2020-01-01',
  until: null,
};

export const REQUEST: ConsentRequest = {
  v: 1,
  subject: { scheme: 'gx.id@1', value: '310101199001011234' },
  purpose: 'social-aid',
  items: [
    { service: CIVIL, elements: ['gx.name@1', 'gx.pred.age_ge_18@1'] },
    { service: TAX, elements: ['gx.income@1', 'gx.currency@1'] },
  ],
  uses: 3,
  validDays: 30,
  retentionDays: 90,
  reason: { zh: '您于十一月申请救助。', en: 'You applied for aid in November.' },
};

export const PERSON: Person = {
  subjects: [REQUEST.subject],
  level: 3,
  signIn: { issuer: 'https://id.example', idTokenHash: 'A'.repeat(43), salt: 'B'.repeat(43), nonce: 'C'.repeat(43) },
};
export const STRANGER: Person = { ...PERSON, subjects: [{ scheme: 'gx.id@1', value: '310101199001011235' }] };

/** Gives as a person does whose sign-in was bound to just that (agreement.ts). */
export async function give(
  consents: Consents,
  person: Person,
  id: string,
  given: readonly { service: string; element: string }[],
  language: 'zh' | 'en',
  actingFor?: string,
): Promise<ConsentView> {
  const terms = await consents.one(person, id, actingFor);
  const nonce = agreementNonce({ consent: id, terms, given, language });
  return await consents.give({ ...person, signIn: { ...person.signIn, nonce } }, id, given, language, actingFor);
}

export function namedKey(): NamedKey {
  const { privateKey } = generateKeys('P-256');
  return { kid: thumbprint(privateKey), privateKey };
}

export interface Desk {
  configuration: HeldConfiguration;
  clock: MovingClock;
  timers: Timers;
  consents: Consents;
  store: ConsentStore;
  files: StatusFiles;
  folder: string;
  key: NamedKey;
  /** Of each provider's server. */
  subjectKeys: Record<'civil' | 'tax', NamedKey>;
  /** What stands in a status list now. */
  statusOf: StatusOf;
  /** What was told to the status lists, in order. */
  told: { lists: readonly string[]; services: readonly string[] }[];
  /** The process ends and starts again. */
  restart(): Promise<void>;
}

export function configurationOf(key: NamedKey, subjectKeys: Desk['subjectKeys']): HeldConfiguration {
  const configuration = new HeldConfiguration();
  const server = (id: string, subsystem: string, keys: NamedKey[]): void => {
    const entry: ServerEntry = {
      id,
      address: 'https://127.0.0.1:1',
      authenticationCertificates: [],
      signingCertificates: [],
      encryptionKeys: [],
      subjectKeys: keys.map(({ kid, privateKey }) => ({
        kid,
        jwk: exportPublicJwk(privateKey) as never,
        notAfterMs: Number.MAX_SAFE_INTEGER,
      })),
      subsystems: new Set([subsystem]),
      log: { origin: id, key: '' },
    };
    configuration.entries.set(id, entry);
  };
  server('DEV/GOV/1001/ss1', CLIENT, []);
  server('DEV/GOV/2002/ss2', 'DEV/GOV/2002/provider', [subjectKeys.civil]);
  server('DEV/GOV/4004/ss4', 'DEV/GOV/4004/tax', [subjectKeys.tax]);
  server('DEV/GOV/3003/ss3', CONSENT, []);
  configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  const table = tableOf();
  for (const [id, title] of [
    [CIVIL, 'Residents'],
    [TAX, 'Incomes'],
  ] as const) {
    const service: RegisteredService = {
      id,
      title,
      type: 'OPENAPI',
      descriptionHash: null,
      bindingHash: null,
      personalData: true,
      safe: true,
    };
    configuration.services.set(id, service);
    const bound: BindingTable = { ...table, service: id };
    configuration.bind(bound);
  }
  configuration.purposes = [PURPOSE];
  const { crv, x, y } = exportPublicJwk(key.privateKey);
  const jwk = { kty: 'EC', crv, x, y } as never;
  configuration.consentServices = [
    { subsystem: CONSENT, keys: [{ kid: key.kid, jwk }], statusUrl: STATUS_URL, citizenUrl: 'https://consent.example' },
  ];
  return configuration;
}

export async function openDesk(t: Tap): Promise<Desk> {
  const folder = temporaryFolder(t);
  const key = namedKey();
  const subjectKeys = { civil: namedKey(), tax: namedKey() };
  const configuration = configurationOf(key, subjectKeys);
  const clock = new MovingClock();
  const timers = new Timers();
  const storageKey = Buffer.alloc(32, 7);
  const told: Desk['told'] = [];

  async function start(): Promise<Pick<Desk, 'consents' | 'store' | 'files' | 'statusOf'>> {
    const store = openConsentStoreSqlite(folder);
    const book = await openStatusBook(store).catch(async (error: unknown) => {
      await store.close();
      throw error;
    });
    const onAlarm = (what: string, error: unknown) => {
      throw new Error(what, { cause: error });
    };
    const archive = join(folder, 'status-archive');
    const files = openStatusFiles({ book, key, clock, archive, every: timers.every, onAlarm });
    const onStatusChange = (lists: readonly string[], services: readonly string[]) => {
      told.push({ lists, services });
      files.changed(lists);
    };
    const options = { store, configuration, clock, self: CONSENT, key, storageKey, book, onStatusChange };
    try {
      const statusOf: StatusOf = (uri, idx) => book.all().find((list) => list.uri === uri)?.statuses[idx] ?? null;
      return { store, files, statusOf, consents: await openConsents(options) };
    } catch (error) {
      files.close();
      await store.close();
      throw error;
    }
  }

  const desk: Desk = {
    ...{ configuration, clock, timers, folder, key, subjectKeys, told },
    ...(await start()),
    async restart() {
      desk.files.close();
      await desk.store.close();
      Object.assign(desk, await start());
    },
  };
  t.teardown(async () => {
    desk.files.close();
    await desk.store.close();
  });
  return desk;
}
