// The citizen pages in a real Chromium: every page in both languages, on a phone and on a desk, in the light and in the
// dark, in one language with JavaScript and in the other without; and the whole story by keyboard alone.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser as Chromium, Page } from 'playwright-core';
import type { Test } from 'tap';
import { openChromium } from '#test/chromium.ts';
import { type CitizenSite, openCitizenSite, THREE } from './citizen-site.ts';
import { NO_PAGES, prepare, ROWS, type Row, type Tour } from './citizen-tour.ts';
import { faultsOf, focusAt } from './page-checks.ts';

const PHONE = { width: 360, height: 740 };
const DESK = { width: 1280, height: 900 };

type Language = 'zh' | 'en';

interface Mode {
  javaScriptEnabled: boolean;
  resident: string;
  /** How each page is shown, one after the other and the next the other way round; axe-core, which is slow, looks once. */
  looks: readonly { viewport: typeof PHONE; colorScheme: 'light' | 'dark' }[];
}

const ON_PHONE = { viewport: PHONE, colorScheme: 'light' } as const;
const ON_DESK = { viewport: DESK, colorScheme: 'dark' } as const;

/** No page has a script (in-page.js), so that it is the same document with JavaScript and without. */
const MODES: Record<Language, Mode> = {
  zh: { javaScriptEnabled: false, resident: '460102199001010011', looks: [ON_PHONE, ON_DESK] },
  en: { javaScriptEnabled: true, resident: '460102199003030033', looks: [ON_DESK, ON_PHONE] },
};
const STRANGER = '460102199005050055';
const BY_KEYBOARD = { zh: '460102199006060066', en: '460102199007070077' };
const LOCALES = { zh: 'zh-CN', en: 'en-GB' };

/** Folder for pictures of all pages, for whoever wants to look at them. */
const SHOTS = process.env['ACCORD_PAGE_SHOTS'];

/** The cases of one language; they stand in a file of their own for each, so that two run at once. */
export async function testPages(t: Test, language: Language): Promise<void> {
  const chromium = await openChromium(t);
  if (chromium === null) return;
  const byHand = BY_KEYBOARD[language];
  const { resident } = MODES[language];
  const others = [STRANGER, byHand].map((id) => ({ id, name: id }));
  const site = await openCitizenSite(t, [{ id: resident, name: '王小明' }, ...others]);

  t.test('each page of the service has a row', async (t) => {
    const pages = site.routes.filter((url) => !NO_PAGES.some((pattern) => pattern.test(url)));
    t.ok(pages.length > 5);
    const shown = new Set(ROWS.map(({ route }) => route));
    t.same(
      pages.filter((url) => !shown.has(url)),
      [],
    );
  });

  t.test(language, (t) => tour(t, chromium, site, language));

  t.test('by keyboard', async (t) => {
    const javaScriptEnabled = language === 'en';
    const context = await chromium.newContext({ javaScriptEnabled, locale: LOCALES[language], viewport: PHONE });
    await byKeyboard(t, await context.newPage(), site, byHand);
    await context.close();
  });
}

async function tour(t: Test, chromium: Chromium, site: CitizenSite, language: Language): Promise<void> {
  const { resident, looks, javaScriptEnabled } = MODES[language];
  const context = await chromium.newContext({ javaScriptEnabled, locale: LOCALES[language] });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
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
  const it: Tour = {
    ...{ page, site, resident, ids: await prepare(site, resident, `${resident.slice(0, -1)}8`) },
    async become(who) {
      await context.clearCookies();
      if (who !== 'nobody') await context.addCookies(await site.signIn(who === 'citizen' ? resident : STRANGER));
    },
    press: (selector) => press(page, selector),
  };
  const titles = new Map<string, string>();
  let who = '';
  for (const [at, row] of ROWS.entries()) {
    if (who !== row.who) await it.become(row.who);
    who = row.who;
    const path = row.reach(it);
    if (typeof path === 'string') await page.goto(site.base + path);
    else await path;
    const shown = await page.evaluate('[document.documentElement.lang, document.title, location.pathname]');
    const [lang, title, pathname] = shown as [string, string, string];
    const inTurn = at % 2 === 0 ? looks : looks.toReversed();
    for (const { viewport, colorScheme } of inTurn) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      const looking = { withAxe: viewport === inTurn[0]?.viewport, hasTicks: row.hasTicks ?? false };
      const faults = [...(await faultsOf(page, looking)), ...seen.said.splice(0)];
      const name = `${row.name}, ${viewport.width} px`;
      t.same([seen.status, lang, faults], [row.status ?? 200, language, []], name);
      if (SHOTS === undefined) continue;
      mkdirSync(SHOTS, { recursive: true });
      await page.screenshot({ path: join(SHOTS, `${name} ${language}.png`), fullPage: true, caret: 'initial' });
    }
    t.match(pathname, patternOf(row), row.name);
    const place = (row.status ?? 200) < 400 || row.status === 422 ? pathname : 'a problem';
    const known = titles.get(title);
    t.ok(known === undefined || known === place, `the title of ${row.name} is its own`, { title, known });
    titles.set(title, place);
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
