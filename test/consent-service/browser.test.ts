// The citizen pages in a real Chromium: every page in both languages, with JavaScript and without, on a phone and on a
// desk, in the light and in the dark; and the whole story by keyboard alone.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser as Chromium, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { openChromium } from '#test/chromium.ts';
import { type CitizenSite, openCitizenSite, THREE } from './citizen-site.ts';
import { NO_PAGES, prepare, ROWS, type Row, type Tour } from './citizen-tour.ts';
import { faultsOf, focusAt } from './page-checks.ts';

const PHONE = { width: 360, height: 740 };
const DESK = { width: 1280, height: 900 };

interface Mode {
  name: string;
  language: 'zh' | 'en';
  javaScriptEnabled: boolean;
  viewport: typeof PHONE;
  colorScheme: 'light' | 'dark';
  resident: string;
}

// biome-ignore format: one mode, one line
const MODES: Mode[] = [
  { name: 'zh', language: 'zh', javaScriptEnabled: true, viewport: PHONE, colorScheme: 'light', resident: '460102199001010011' },
  { name: 'zh-noscript', language: 'zh', javaScriptEnabled: false, viewport: DESK, colorScheme: 'dark', resident: '46010219900202002X' },
  { name: 'en', language: 'en', javaScriptEnabled: true, viewport: DESK, colorScheme: 'dark', resident: '460102199003030033' },
  { name: 'en-noscript', language: 'en', javaScriptEnabled: false, viewport: PHONE, colorScheme: 'light', resident: '460102199004040044' },
];
const STRANGER = '460102199005050055';
const BY_KEYBOARD = ['460102199006060066', '460102199007070077'] as const;

const NAMES = ['王小明', '陈秀英', '符海燕', '黎志强', '林梅', '吴桂花', '周建国'];
const RESIDENTS = [...MODES.map(({ resident }) => resident), STRANGER, ...BY_KEYBOARD].map((id, at) => ({
  id,
  name: NAMES[at] ?? id,
}));

/** Folder for pictures of all pages, for whoever wants to look at them. */
const SHOTS = process.env['ACCORD_PAGE_SHOTS'];

const chromium = await openChromium(t);
if (chromium !== null) {
  const site = await openCitizenSite(t, RESIDENTS);

  t.test('each page of the service has a row', async (t) => {
    const pages = site.routes.filter((url) => !NO_PAGES.some((pattern) => pattern.test(url)));
    t.ok(pages.length > 5);
    const shown = new Set(ROWS.map(({ route }) => route));
    t.same(
      pages.filter((url) => !shown.has(url)),
      [],
    );
  });

  for (const mode of MODES) t.test(mode.name, (t) => tour(t, chromium, site, mode));

  for (const [at, javaScriptEnabled] of [false, true].entries()) {
    t.test(`by keyboard, scripts ${javaScriptEnabled ? 'on' : 'off'}`, async (t) => {
      const context = await chromium.newContext({ javaScriptEnabled, locale: 'zh-CN', viewport: PHONE });
      await byKeyboard(t, await context.newPage(), site, BY_KEYBOARD[at] ?? '');
      await context.close();
    });
  }
}

async function tour(t: Test, chromium: Chromium, site: CitizenSite, mode: Mode): Promise<void> {
  const { language, resident, name, viewport, colorScheme, javaScriptEnabled } = mode;
  const locale = { zh: 'zh-CN', en: 'en-GB' }[language];
  const context = await chromium.newContext({ viewport, colorScheme, javaScriptEnabled, locale });
  const page = await context.newPage();
  const seen = { status: 0, said: [] as string[] };
  page.on('console', (message) => {
    if (!message.text().startsWith('Failed to load resource') || message.location().url !== page.url()) {
      seen.said.push(message.text());
    }
  });
  page.on('pageerror', (error) => seen.said.push(String(error)));
  page.on('request', (request) => {
    const { origin } = new URL(request.url());
    const isSignIn = request.isNavigationRequest() && origin === site.issuer;
    if (origin !== site.base && !isSignIn) seen.said.push(`asked ${request.url()}`);
  });
  page.on('response', (response) => {
    if (response.request().isNavigationRequest()) seen.status = response.status();
  });
  const signedIn = { citizen: await site.signIn(resident), stranger: await site.signIn(STRANGER), nobody: [] };
  const it: Tour = {
    ...{ page, site, resident, ids: await prepare(site, resident) },
    async become(who) {
      await context.clearCookies();
      await context.addCookies(signedIn[who]);
    },
    press: (selector) => press(page, selector),
  };
  const titles = new Map<string, string>();
  let who = '';
  for (const row of ROWS) {
    if (who !== row.who) await it.become(row.who);
    who = row.who;
    const path = row.reach(it);
    if (typeof path === 'string') await page.goto(site.base + path);
    else await path;
    const shown = await page.evaluate('[document.documentElement.lang, document.title, location.pathname]');
    const [lang, title, pathname] = shown as [string, string, string];
    const faults = [...(await faultsOf(page, row.hasTicks ?? false)), ...seen.said.splice(0)];
    t.same([seen.status, lang, faults], [row.status ?? 200, language, []], row.name);
    t.match(pathname, patternOf(row), row.name);
    const known = titles.get(title);
    t.ok(known === undefined || known === pathname, `the title of ${row.name} is its own`, { title, known });
    titles.set(title, pathname);
    if (SHOTS !== undefined) {
      mkdirSync(SHOTS, { recursive: true });
      await page.screenshot({ path: join(SHOTS, `${row.name} ${name}.png`), fullPage: true });
    }
    if (row.name === 'signed in for too long') await it.become('citizen');
  }
  await context.close();
}

function patternOf({ route }: Row): RegExp {
  return new RegExp(`^${route.replace(/:\w+/g, '[^/]+').replace('*', '.*')}$`);
}

async function press(page: Page, selector: string): Promise<void> {
  const loaded = page.waitForEvent('load');
  await page.locator(selector).first().click();
  await loaded;
}

/** From the department's link to a withdrawal: Tab, Space and Enter, and always seen where one is. */
async function byKeyboard(t: Test, page: Page, site: CitizenSite, resident: string): Promise<void> {
  const { link, id } = await site.file(resident, THREE);
  const enter = async (key = 'Enter') => {
    const loaded = page.waitForEvent('load');
    await page.keyboard.press(key);
    await loaded;
  };
  await page.goto(`${site.base}/link/${link}`);
  await page.keyboard.press('Tab');
  t.equal(await page.evaluate('document.activeElement.className'), 'skip', 'first of all, past the menu');
  await page.keyboard.press('Enter');
  await tabTo(t, page, 'main a');
  await enter();
  await tabTo(t, page, `button[value="${resident}"]`, false);
  await enter();
  t.equal(page.url(), `${site.base}/requests/${id}`);
  for (const item of [0, 2]) {
    await tabTo(t, page, `#item-${item}`);
    await page.keyboard.press('Space');
  }
  await tabTo(t, page, 'button[value=give]');
  await enter();
  const person = site.personOf(resident);
  const { state, services } = await site.consents.one(person, id);
  t.same(
    [state, services.map(({ given }) => given)],
    ['GIVEN', [['gx.person.full_name@1'], ['gx.pred.is_low_income@1']]],
  );
  await tabTo(t, page, 'form[action$="/withdraw"] button');
  await enter('Space');
  t.equal((await site.consents.one(person, id)).state, 'WITHDRAWN');
  t.equal(page.url(), `${site.base}/permissions/${id}`);
}

async function tabTo(t: Test, page: Page, selector: string, isOurs = true): Promise<void> {
  for (let tabs = 0; tabs < 60; tabs += 1) {
    await page.keyboard.press('Tab');
    const here = await focusAt(page, selector);
    if (isOurs && !here.isSeen) t.fail('the focus is seen', here);
    if (here.isThere) return;
  }
  t.fail(`${selector} is reached by Tab`);
}
