// Every citizen page, in the order in which one life shows them: the table that drives the tests in a real browser. A row
// says who is there, how the page is reached and what it must be; a page of the service that no row shows fails the test.
import type { Page } from 'playwright-core';
import { type CitizenSite, MANY, ONE, THREE } from './citizen-site.ts';

type Who = 'nobody' | 'stranger' | 'citizen';

export interface Tour {
  page: Page;
  site: CitizenSite;
  resident: string;
  /** Requests of the citizen. */
  ids: { many: string; three: string; one: string };
  /** Who is signed in from now on. */
  become(who: Who): Promise<void>;
  /** Clicks something that leads to another page, and waits for it. */
  press(selector: string): Promise<void>;
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
];

/** Requests of a citizen that the rows speak of. */
export async function prepare(site: CitizenSite, resident: string): Promise<Tour['ids']> {
  const [many, three, one] = [
    await site.file(resident, MANY),
    await site.file(resident, THREE),
    await site.file(resident, ONE),
  ];
  return { many: many.id, three: three.id, one: one.id };
}

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
  { name: 'permissions, none', route: '/permissions', who: 'stranger', reach: () => '/permissions' },
  {
    ...{ name: "somebody else's request", route: '/requests/:id', who: 'stranger', status: 404 },
    reach: ({ ids }) => `/requests/${ids.many}`,
  },

  { name: 'start', route: '/', who: 'citizen', reach: () => '/' },
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
