// A consent service as it runs, for a real browser: the whole citizen port with sign-in and pages, a development identity
// provider, and what a citizen would meet there: the dictionary's own names, two departments that ask, two that answer.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { join } from 'node:path';
import type { FastifyInstance, RouteOptions } from 'fastify';
import { pino } from 'pino';
import type { Test } from 'tap';
import { OWN_DICTIONARY, readDictionaryFolder } from '#cli/dictionary-folder.ts';
import type { ConsentRequest, Consents, Person } from '#consent-service/consents.ts';
import type { EmergencyNotices } from '#consent-service/emergency-notices.ts';
import { DEV_ACR, type DevResident } from '#consent-service/identity/dev-accounts.ts';
import { openDevIdentityProvider } from '#consent-service/identity/dev-provider.ts';
import { openConsentService } from '#consent-service/service.ts';
import { slugOf } from '#consent-service/sign-in/providers.ts';
import { openSessionStoreSqlite } from '#consent-service/sign-in/session-store-sqlite.ts';
import { openConsentStoreSqlite } from '#consent-service/store-sqlite.ts';
import { systemClock } from '#core/clock.ts';
import type { ConfigurationSource } from '#core/configuration/snapshot.ts';
import { openClient } from '#core/http/client.ts';
import type { DictionaryEntry } from '#schemas/dictionary-entry.ts';
import { freePort } from '#scripts/free-port.ts';
import { tableOf } from '#test/security-server/bound-service.ts';
import { Browser } from './browser.ts';
import { answerOf } from './department-answers.ts';
import { CIVIL, CLIENT, CONSENT, configurationOf, namedKey, PERSON, PURPOSE, TAX } from './desk.ts';
import { choose } from './sign-in-site.ts';
import { temporaryFolder } from './stores.ts';

const SCHEME = 'gx.person.resident_id@1';
const HOUSING = 'DEV/GOV/5005/homes';

const NAMES: Record<string, string> = {
  'DEV/GOV/1001': '海口市龙华区民政局',
  'DEV/GOV/2002': '海南省公安厅',
  'DEV/GOV/4004': '国家税务总局海南省税务局',
  'DEV/GOV/5005': '海口市住房保障局',
};

const CIVIL_ELEMENTS = [
  'gx.person.full_name',
  'gx.person.birth_date',
  'gx.person.marital_status',
  'gx.address.registered_full',
  'gx.person.has_disability',
];
const TAX_ELEMENTS = ['gx.tax.assessment_year', 'gx.tax.gross_income', 'gx.tax.currency'];

const REASONS = {
  zh: '您于 11 月 12 日为母亲申请临时救助（受理号 LS-2026-000731）。我们需要核实家庭成员和收入情况。',
  en: 'On 12 November you applied for temporary aid for your mother (case LS-2026-000731). We have to verify the household and its income.',
};

/** Seven items of two departments, one of them of the highest level, one a predicate. */
export const MANY: Partial<ConsentRequest> = {
  items: [
    {
      service: CIVIL,
      elements: [
        'gx.person.full_name@1',
        'gx.person.marital_status@1',
        'gx.address.registered_full@1',
        'gx.person.has_disability@1',
        'gx.pred.age_ge_60@1',
      ],
    },
    { service: TAX, elements: ['gx.tax.gross_income@1', 'gx.tax.currency@1'] },
  ],
};
export const THREE: Partial<ConsentRequest> = {
  purpose: 'medical-assistance',
  items: [
    { service: CIVIL, elements: ['gx.person.full_name@1', 'gx.address.registered_full@1'] },
    { service: TAX, elements: ['gx.pred.is_low_income@1'] },
  ],
};
/** Of another department, without a reason. */
export const ONE: Partial<ConsentRequest> = {
  ...{ purpose: 'public-housing', uses: 1, frequency: null, retentionDays: 0, validDays: 1, reason: null },
  items: [{ service: TAX, elements: ['gx.pred.is_low_income@1'] }],
};

export interface CitizenSite {
  base: string;
  issuer: string;
  consents: Consents;
  notices: EmergencyNotices;
  nowMs(): number;
  /** Addresses that answer GET, as the router knows them. */
  routes: string[];
  file(resident: string, over: Partial<ConsentRequest>): Promise<{ id: string; link: string }>;
  /** As the sign-in would know the resident, to prepare what a page shows. */
  personOf(resident: string): Person;
  /** A real sign-in over HTTP; the cookies that a browser then has. */
  signIn(resident: string): Promise<{ name: string; value: string; url: string }[]>;
}

export async function openCitizenSite(t: Test, residents: readonly DevResident[]): Promise<CitizenSite> {
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const client = { redirectUris: [`${base}/sign-in/callback`], postLogoutRedirectUris: [`${base}/`] };
  const clients = [{ clientId: 'accord', ...client }];
  const provider = await openDevIdentityProvider({ port: 0, residents, clients });
  t.teardown(() => provider.close());
  const second = await openDevIdentityProvider({ port: 0, residents, clients });
  t.teardown(() => second.close());
  const keys = { receipt: namedKey(), storageKey: Buffer.alloc(32, 7) };
  const configuration = held(keys.receipt, [
    { ...provider, name: { zh: '居民身份证登录', en: 'Resident identity card' } },
    { ...second, name: { zh: '社会保障卡登录', en: 'Social security card' } },
  ]);
  const folder = temporaryFolder(t);
  const http = openClient();
  t.teardown(() => http.close());
  const listening = listenForRoutes();
  const service = await openConsentService({
    ...{ self: CONSENT, folder, keys, configuration, http, clock: systemClock, citizenUrl: base, sendHint: null },
    ownServer: { ask: async (to, path, body) => answerOf(to, path, body) },
    logger: pino({ level: 'silent' }),
    store: openConsentStoreSqlite(join(folder, 'database')),
    sessionStore: openSessionStoreSqlite(join(folder, 'sessions.db')),
    citizen: { host: '127.0.0.1', port },
    filing: { host: '127.0.0.1', port: 0 },
  });
  t.teardown(() => service.close());
  const { consents, notices } = service;
  return {
    ...{ base, issuer: provider.issuer, consents, notices, routes: listening.end(), nowMs: () => systemClock.nowMs() },
    file: (resident, over) => {
      const asker = over.purpose === 'public-housing' ? HOUSING : CLIENT;
      const terms = {
        v: 1,
        purpose: 'social-aid',
        uses: 3,
        frequency: { uses: 2, days: 7 },
        validDays: 30,
        retentionDays: 90,
        reason: REASONS,
      } as const;
      const request = { ...terms, subject: { scheme: SCHEME, value: resident }, items: [], ...over };
      return consents.file(asker, request);
    },
    personOf: (value) => ({ ...PERSON, level: 4, subjects: [{ scheme: SCHEME, value }] }),
    async signIn(resident) {
      const browser = new Browser();
      const query = new URLSearchParams({ to: '/', level: '2' });
      const login = await browser.open(`${base}/sign-in/${slugOf(provider.issuer)}/start?${query}`);
      await choose(browser, login, resident, 2);
      return browser.cookies.map(({ name, value }) => ({ name, value, url: base }));
    },
  };
}

type Provider = { issuer: string; jwks: unknown; name: { zh: string; en: string } };

function held(key: ReturnType<typeof namedKey>, providers: readonly Provider[]): ConfigurationSource {
  const configuration = configurationOf(key, { civil: namedKey(), tax: namedKey() });
  const authorities = [{ jurisdiction: 'DEV', member: 'DEV/GOV/2002', from: '2020-01-01', until: null }];
  const entries = readDictionaryFolder(OWN_DICTIONARY).entries.map((entry) =>
    'authorities' in entry ? ({ ...entry, authorities } as DictionaryEntry) : entry,
  );
  configuration.dictionary = { release: '1.0.0', entries };
  for (const [service, title, elements] of [
    [CIVIL, '户籍人口基本信息', CIVIL_ELEMENTS],
    [TAX, '个人所得税年度汇算', TAX_ELEMENTS],
  ] as const) {
    configuration.services.set(service, { ...configuration.services.get(service)!, title });
    configuration.bind({ ...tableOf(documentOf(elements, entries), entries), service });
  }
  const elements = [...CIVIL_ELEMENTS, ...TAX_ELEMENTS, 'gx.pred.age_ge_60', 'gx.pred.is_low_income'];
  const refs = elements.map((id) => `${id}@1`);
  const medical = {
    title: { zh: '医疗救助待遇核定', en: 'Decision on medical assistance' },
    text: { zh: '用于核定医疗救助的对象和比例。', en: 'To decide who receives medical assistance, and at which rate.' },
  };
  const aid = {
    title: { zh: '临时救助审核', en: 'Review of temporary aid' },
    text: {
      zh: '用于核对申请人及共同生活的家庭成员的身份、婚姻和收入状况，以决定是否给予临时救助以及救助金额。',
      en: 'To check the identity, marital status and income of the applicant and the household, and so decide whether temporary aid is granted, and how much.',
    },
  };
  const homes = {
    title: { zh: '公共租赁住房资格复核', en: 'Yearly review of entitlement to public rental housing' },
    text: {
      zh: '用于每年复核承租家庭是否仍属低收入。',
      en: 'To check each year that the household still has a low income.',
    },
  };
  configuration.purposes = [
    { ...PURPOSE, ...aid, elements: refs },
    { ...PURPOSE, ...medical, id: 'medical-assistance', elements: refs },
    { ...PURPOSE, ...homes, id: 'public-housing', elements: refs },
  ];
  configuration.entries.set('DEV/GOV/5005/ss5', {
    ...configuration.entries.get('DEV/GOV/1001/ss1')!,
    id: 'DEV/GOV/5005/ss5',
    subsystems: new Set([HOUSING]),
  });
  const levels = { [DEV_ACR[2]]: 2, [DEV_ACR[3]]: 3, [DEV_ACR[4]]: 4 } as const;
  configuration.identityProviders = providers.map(({ issuer, jwks, name }) => {
    const entry = { issuer, name, clientId: 'accord', keys: jwks, scheme: SCHEME, claim: 'resident_id', levels };
    return entry as (typeof configuration.identityProviders)[number];
  });
  configuration.utcOffsetMinutes = 480;
  const current = () => ({ ...configuration.current(), memberName: (id: string) => NAMES[id] });
  return { current, freshness: () => 'fresh', onChange: () => () => false };
}

/** A service that answers with these elements, one leaf for each. */
function documentOf(elements: readonly string[], entries: readonly DictionaryEntry[]): object {
  const leafOf = (id: string) => {
    const entry = entries.find((one) => one.id === id);
    const domain = entry?.kind === 'element' ? entry.domain : ({ type: 'string' } as const);
    return [id.replaceAll('.', '_'), { ...domain, type: [domain.type, 'null'], 'x-accord-element': `${id}@1` }];
  };
  const properties = Object.fromEntries(elements.map(leafOf));
  const subject = { name: 'id', in: 'path', required: true, schema: { type: 'string' }, 'x-accord-subject': SCHEME };
  const schema = { type: 'object', additionalProperties: false, properties };
  const responses = { 200: { description: 'Found', content: { 'application/json': { schema } } } };
  const paths = { '/persons/{id}': { get: { parameters: [subject], responses } } };
  return { openapi: '3.1.0', info: { title: 'A register', version: '1.0.0' }, paths };
}

/** The routes of the server with the citizen pages, among all that are made until `end`. */
function listenForRoutes(): { end(): string[] } {
  const servers: string[][] = [];
  const made = (message: unknown) => {
    const { fastify } = message as { fastify: FastifyInstance };
    const urls: string[] = [];
    servers.push(urls);
    fastify.addHook('onRoute', ({ method, url }: RouteOptions) => {
      if (method === 'GET') urls.push(url);
    });
  };
  subscribe('fastify.initialization', made);
  return {
    end() {
      unsubscribe('fastify.initialization', made);
      return servers.find((urls) => urls.includes('/waiting')) ?? [];
    },
  };
}
