// Every citizen page, in the order in which one life shows them: the table that drives the tests in a real browser. A row
// says who is there, how the page is reached and what it must be; a page of the service that no row shows fails the test.
import type { Page } from 'playwright-core';
import type { Person } from '#consent-service/consents.ts';
import { type CitizenSite, MANY, ONE, THREE } from './citizen-site.ts';
import { EMERGENCY, LAW } from './department-answers.ts';
import { CIVIL, give } from './desk.ts';

type Who = 'nobody' | 'stranger' | 'citizen';

export interface Tour {
  page: Page;
  site: CitizenSite;
  resident: string;
  ids: Ids;
  /** Who is signed in from now on. */
  become(who: Who): Promise<void>;
  /** Clicks something that leads to another page, and waits for it. */
  press(selector: string): Promise<void>;
}

/** Requests of the citizen; the mandate of somebody for whom the citizen acts, a request and a permission of theirs. */
interface Ids {
  many: string;
  three: string;
  one: string;
  mandate: string;
  theirs: string;
  theirGiven: string;
}

export interface Row {
  name: string;
  /** The address it shows, as the router knows it. */
  route: string;
  who: Who;
  /** Path, or how a citizen comes there. */
  reach: ((tour: Tour) => string) | ((tour: Tour) => Promise<void>);
  /** 200 when nothing is said. */
  status?: number;
  /** Ticks of the citizen stand there again. */
  hasTicks?: true;
}

/** Answers to GET that are no pages of ours: files, redirects, the provider's way back. */
export const NO_PAGES: readonly RegExp[] = [
  /^\/status\/:list$/,
  /^\/(?:style|icon)-[\w-]+\.(?:css|svg)$/,
  /^\/link\/:link$/,
  /^\/sign-in\/(?::provider\/start|step-up)$/,
  /^\/requests\/:id\/agreed$/,
  /^\/permissions\/:id\/receipts\/:file$/,
  /^\/for\/:mandate\/requests\/:id\/agreed$/,
  /^\/accesses\/answers$/,
];

/** What the rows speak of. @param parent for whom the citizen acts */
export async function prepare(site: CitizenSite, resident: string, parent: string): Promise<Ids> {
  const ids = await Promise.all([MANY, THREE, ONE].map((over) => site.file(resident, over)));
  const [many = '', three = '', one = ''] = ids.map(({ id }) => id);
  const { consents, personOf } = site;
  const { mandates } = consents;
  const nowMs = site.nowMs();
  const [child, mother, neighbour] = [personOf(resident), personOf(parent), personOf(`${parent}9`)];
  const offerOf = (to: Person, name: string, theirName: string) => {
    const [subject] = to.subjects;
    const terms = { purposes: null, maxLevel: 3, notBeforeMs: nowMs, validUntilMs: nowMs + 90 * DAY_MS } as const;
    return { representative: { ...subject!, name: theirName }, name, ...terms };
  };

  const { id: mandate } = await mandates.offer(mother, offerOf(child, '符玉兰', '王小明'));
  await mandates.accept(child, mandate);
  await mandates.offer(neighbour, { ...offerOf(child, '邢益民', '王小明'), purposes: ['public-housing'] });
  await mandates.offer(child, offerOf(neighbour, '王小明', '邢益民'));
  const { id: theirs } = await site.file(parent, MANY);
  const { id: theirGiven } = await site.file(parent, THREE);
  const [first] = (await consents.one(child, theirGiven, mandate)).services;
  const given = [{ service: first!.service, element: first!.items[0]!.element }];
  await give(consents, child, theirGiven, given, 'zh', mandate);
  const [subject] = child.subjects;
  const emergency = { id: EMERGENCY, reason: '登革热疫情流调，需立即联系到本人' };
  const about = { subject: subject!, client: 'DEV/GOV/5005/homes', service: CIVIL, exchange: EMERGENCY, emergency };
  await site.notices.take('DEV/GOV/2002/provider', { v: 1, ...about, atMs: nowMs });
  return { many, three, one, mandate, theirs, theirGiven };
}

const DAY_MS = 86_400_000;
const GIVE = 'button[value=give]';
const REFUSE = 'button[value=refuse]';
const pressStep = (step: string) => `form[action$="/${step}"] button`;
const open = ({ page, site }: Tour, path: string) => page.goto(site.base + path);

export const ROWS: readonly Row[] = [
  { name: 'start, signed out', route: '/', who: 'nobody', reach: () => '/' },
  { name: 'choice of sign-in', route: '/sign-in', who: 'nobody', reach: () => '/waiting' },
  { name: 'no such page', route: '/*', who: 'nobody', reach: () => '/nowhere', status: 404 },
  {
    ...{ name: 'sign-in refused', route: '/sign-in/callback', who: 'nobody', status: 400 },
    reach: () => '/sign-in/callback?state=none&code=none',
  },

  { name: 'start, nothing to do', route: '/', who: 'stranger', reach: () => '/' },
  { name: 'waiting, none', route: '/waiting', who: 'stranger', reach: () => '/waiting' },
  { name: 'mandates, none', route: '/mandates', who: 'stranger', reach: () => '/mandates' },
  { name: 'permissions, none', route: '/permissions', who: 'stranger', reach: () => '/permissions' },
  {
    ...{ name: "somebody else's request", route: '/requests/:id', who: 'stranger', status: 404 },
    reach: ({ ids }) => `/requests/${ids.many}`,
  },

  { name: 'start, an emergency', route: '/', who: 'citizen', reach: () => '/' },
  { name: 'waiting, an emergency', route: '/waiting', who: 'citizen', reach: () => '/waiting' },
  {
    ...{ name: 'start', route: '/', who: 'citizen' },
    async reach(tour) {
      await open(tour, '/');
      await tour.press('form[action="/"] button');
    },
  },
  { name: 'waiting', route: '/waiting', who: 'citizen', reach: () => '/waiting' },
  { name: 'request, one item', route: '/requests/:id', who: 'citizen', reach: ({ ids }) => `/requests/${ids.one}` },
  { name: 'request, many items', route: '/requests/:id', who: 'citizen', reach: ({ ids }) => `/requests/${ids.many}` },
  {
    ...{ name: 'nothing ticked', route: '/requests/:id', who: 'citizen', status: 422 },
    async reach(tour) {
      await open(tour, `/requests/${tour.ids.many}`);
      await tour.press(GIVE);
    },
  },
  {
    ...{ name: 'a form from elsewhere', route: '/requests/:id', who: 'citizen', status: 403 },
    async reach(tour) {
      await open(tour, `/requests/${tour.ids.one}`);
      await tour.page
        .locator('form[action^="/requests/"] [name=csrf]')
        .evaluate((one) => one.setAttribute('value', 'x'));
      await tour.press(GIVE);
    },
  },
  {
    ...{ name: 'signed in for too long', route: '/requests/:id', who: 'citizen', status: 401 },
    async reach(tour) {
      await open(tour, `/requests/${tour.ids.one}`);
      await tour.become('nobody');
      await tour.press(REFUSE);
    },
  },
  {
    ...{ name: 'the sign-in for a decision was left', route: '/requests/:id', who: 'citizen', hasTicks: true },
    async reach(tour) {
      await open(tour, `/requests/${tour.ids.many}`);
      await tour.page.check('#item-0');
      await tour.page.check('#item-3');
      await tour.press(GIVE);
      await open(tour, `/requests/${tour.ids.many}`);
    },
  },
  {
    ...{ name: 'given', route: '/permissions/:id', who: 'citizen' },
    async reach(tour) {
      await tour.press(GIVE);
      await tour.page.selectOption('#level', '4');
      await tour.press(`button[value="${tour.resident}"]`);
    },
  },
  {
    ...{ name: 'refused', route: '/permissions/:id', who: 'citizen' },
    async reach(tour) {
      await open(tour, `/requests/${tour.ids.one}`);
      await tour.press(REFUSE);
    },
  },
  {
    ...{ name: 'paused', route: '/permissions/:id', who: 'citizen' },
    async reach(tour) {
      await open(tour, `/permissions/${tour.ids.many}`);
      await tour.press(pressStep('pause'));
    },
  },
  {
    ...{ name: 'permissions', route: '/permissions', who: 'citizen' },
    async reach(tour) {
      await open(tour, `/requests/${tour.ids.three}`);
      await tour.page.check('#item-1');
      await tour.page.check('#item-2');
      await tour.press(GIVE);
      await open(tour, '/permissions');
    },
  },
  {
    ...{ name: 'resumed', route: '/permissions/:id', who: 'citizen' },
    async reach(tour) {
      await open(tour, `/permissions/${tour.ids.many}`);
      await tour.press(pressStep('resume'));
    },
  },
  {
    ...{ name: 'receipts', route: '/permissions/:id/receipts', who: 'citizen' },
    reach: ({ ids }) => `/permissions/${ids.many}/receipts`,
  },
  {
    ...{ name: 'withdrawn', route: '/permissions/:id', who: 'citizen' },
    async reach(tour) {
      await open(tour, `/permissions/${tour.ids.many}`);
      await tour.press(pressStep('withdraw'));
    },
  },
  {
    ...{ name: 'receipts, none any more', route: '/permissions/:id/receipts', who: 'citizen' },
    reach: ({ ids }) => `/permissions/${ids.many}/receipts`,
  },
  { name: 'mandates', route: '/mandates', who: 'citizen', reach: () => '/mandates' },
  { name: 'asking somebody', route: '/mandates/offer', who: 'citizen', reach: () => '/mandates/offer' },
  {
    ...{ name: 'asking nobody', route: '/mandates/offer', who: 'citizen', status: 422 },
    async reach(tour) {
      await open(tour, '/mandates/offer');
      await tour.page.fill('#name', '王');
      await tour.page.fill('#theirName', '李');
      await tour.page.fill('#value', '460102199001010011');
      await tour.page.fill('#days', '1000');
      await tour.press('form[action="/mandates/offer"] .buttons button');
    },
  },
  { name: 'for another', route: '/for/:mandate', who: 'citizen', reach: ({ ids }) => `/for/${ids.mandate}` },
  {
    ...{ name: "another's request", route: '/for/:mandate/requests/:id', who: 'citizen' },
    reach: ({ ids }) => `/for/${ids.mandate}/requests/${ids.theirs}`,
  },
  {
    ...{ name: "another's permission", route: '/for/:mandate/permissions/:id', who: 'citizen' },
    reach: ({ ids }) => `/for/${ids.mandate}/permissions/${ids.theirGiven}`,
  },
  { name: 'who looked, not asked yet', route: '/accesses', who: 'citizen', reach: () => '/accesses' },
  {
    ...{ name: 'who looked', route: '/accesses', who: 'citizen' },
    async reach(tour) {
      await open(tour, '/accesses');
      await tour.press('form[action="/accesses"] button');
    },
  },
  { name: 'an emergency', route: '/accesses/:exchange', who: 'citizen', reach: () => `/accesses/${EMERGENCY}` },
  { name: 'an error', route: '/accesses/:exchange/doubt', who: 'citizen', reach: () => `/accesses/${LAW}/doubt` },
  {
    ...{ name: 'an error in nothing', route: '/accesses/:exchange/doubt', who: 'citizen', status: 422 },
    async reach(tour) {
      await open(tour, `/accesses/${LAW}/doubt`);
      await tour.press('form[action$="/doubt"] .buttons button');
    },
  },
  {
    ...{ name: 'an error reported', route: '/accesses/reported', who: 'citizen' },
    async reach(tour) {
      await tour.page.check('#item-0');
      await tour.page.fill('#note', '姓名中的“岚”字写错了。');
      await tour.press('form[action$="/doubt"] .buttons button');
    },
  },
  {
    ...{ name: 'an access that is not shown', route: '/accesses/:exchange', who: 'stranger', status: 404 },
    reach: () => `/accesses/${LAW}`,
  },
  { name: 'a receipt to check', route: '/verify', who: 'nobody', reach: () => '/verify' },
  {
    ...{ name: 'no receipt', route: '/verify', who: 'nobody', status: 422 },
    reach: (tour) => tour.press('form[action="/verify"] button'),
  },
  {
    ...{ name: 'not a receipt', route: '/verify', who: 'nobody' },
    async reach(tour) {
      await tour.page.fill('#receipt', 'eyJhbGciOiJFUzI1NiJ9.e30.AAAA');
      await tour.press('form[action="/verify"] button');
    },
  },
  {
    ...{ name: 'a genuine receipt', route: '/verify', who: 'nobody' },
    async reach(tour) {
      const { receipts } = await tour.site.consents.one(tour.site.personOf(tour.resident), tour.ids.three);
      await tour.page.fill('#receipt', receipts[0]?.jws ?? '');
      await tour.press('form[action="/verify"] button');
    },
  },
  {
    ...{ name: 'ended meanwhile', route: '/permissions/:id/withdraw', who: 'citizen', status: 409 },
    async reach(tour) {
      await open(tour, `/permissions/${tour.ids.three}`);
      await tour.site.consents.withdraw(tour.site.personOf(tour.resident), tour.ids.three);
      await tour.press(pressStep('withdraw'));
    },
  },
  { name: 'accounts', route: '/sign-in/accounts', who: 'citizen', reach: () => '/sign-in/accounts' },
  {
    ...{ name: 'signed out', route: '/sign-out', who: 'citizen' },
    async reach(tour) {
      await open(tour, '/waiting');
      await tour.press('form[action="/sign-out"] button');
    },
  },
];
