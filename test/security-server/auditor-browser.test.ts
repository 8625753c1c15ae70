// The auditor's pages in a real Chromium: every page in both languages, on the narrowest screen and on a desk, by day and by
// night, with JavaScript and without, on paper; and the way from the sign-in to an opened record by keyboard alone.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { openPackSetting, type PackSetting } from '#scripts/campaign/pack-setting.ts';
import { AUDITOR_KEY } from '#scripts/campaign/pair.ts';
import { openChromium } from '#test/chromium.ts';
import { faultsOf, focusAt } from '#test/consent-service/page-checks.ts';

const NARROW = { width: 320, height: 700 };
const DESK = { width: 1280, height: 900 };

const MODES = [
  { language: 'en', javaScriptEnabled: true, colorScheme: 'light' },
  { language: 'zh', javaScriptEnabled: false, colorScheme: 'dark' },
] as const;

/** Folder for pictures of all pages, for whoever wants to look at them. */
const SHOTS = process.env['ACCORD_PAGE_SHOTS'];
const NAUGHTY = '<img src=x onerror=alert(1)>"\u202E';

t.setTimeout(120_000);
const chromium = await openChromium(t);
if (chromium !== null) {
  const setting = await openPackSetting({ ocsp: true });
  t.teardown(() => setting.close());
  writeFileSync(join(setting.pair.folder, 'consumer', 'anchor.json'), JSON.stringify(setting.anchor));
  await setting.anchorLog('consumer');
  const id = await setting.ask(`{"name":"${'<b>Zhao Ming</b>'.repeat(9)}"}`);
  await setting.anchorLog('consumer');
  await setting.pair.consumer.parts.log.append({
    ...{ kind: 'void', id: '0193a8c2-0000-7000-8000-000000000000', peer: NAUGHTY, client: NAUGHTY.repeat(9) },
    ...{ service: NAUGHTY, purpose: NAUGHTY, basis: null, code: 'ACCESS_DENIED', decisionHash: null },
    ...{ configurationVersion: 7, retention: 'standard', evidence: null, sealed: null },
  });
  for (const mode of MODES) t.test(mode.language, (t) => tour(t, chromium, setting, id, mode));
  t.test('by keyboard', (t) => byKeyboard(t, chromium, setting, id));
}

async function tour(t: Test, browser: Browser, setting: PackSetting, id: string, mode: (typeof MODES)[number]) {
  const { language, javaScriptEnabled, colorScheme } = mode;
  const locale = { zh: 'zh-CN', en: 'en-GB' }[language];
  const context = await browser.newContext({ viewport: NARROW, javaScriptEnabled, colorScheme, locale });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const seen: string[] = [];
  const base = setting.pair.consumer.urls.admin;
  page.on('dialog', (dialog) => {
    seen.push(`a dialog: ${dialog.message()}`);
    return dialog.dismiss();
  });
  page.on('pageerror', (error) => seen.push(String(error)));
  page.on('request', (request) => request.url().startsWith(base) || seen.push(`asked ${request.url()}`));
  const look = async (name: string) => {
    const lang = await page.evaluate('document.documentElement.lang');
    for (const viewport of [DESK, NARROW]) {
      await page.setViewportSize(viewport);
      const faults = await faultsOf(page, { withAxe: viewport === NARROW, hasTicks: true });
      t.same([lang, ...faults, ...seen.splice(0)], [language], `${name}, ${viewport.width} px`);
    }
    for (const viewport of SHOTS === undefined ? [] : [DESK, NARROW]) {
      mkdirSync(SHOTS ?? '', { recursive: true });
      await page.setViewportSize(viewport);
      await page.screenshot({ path: join(SHOTS ?? '', `${name} ${language} ${viewport.width}.png`), fullPage: true });
    }
  };
  const press = async (selector: string) => {
    const loaded = page.waitForEvent('load');
    await page.locator(selector).first().click();
    await loaded;
  };
  await page.goto(`${base}/auditor/exchange?id=${id}`);
  await look('sign-in');
  await page.fill('#key', 'not-the-key-of-any-auditor');
  await press('main button');
  await look('a wrong key');
  await page.fill('#key', AUDITOR_KEY);
  await press('main button');
  t.match(page.url(), id, 'back to the page that was asked for');
  await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true");
  t.equal(await page.locator('.checks bdi').count(), 0, 'all that good checks add is in the words of the page');
  await look('exchange');
  if (language === 'en' && javaScriptEnabled) await onPaper(t, page);
  await page.fill('#export-reason', 'case 9');
  await page.check('#content-with');
  await press('form[action="/auditor/export"] button');
  const filled = [await page.isChecked('#content-with'), await page.inputValue('#export-reason')];
  t.same(filled, [true, 'case 9'], 'what was filled in still stands there');
  await look('an export that is not confirmed');
  await page.goto(`${base}/auditor/exchange?id=${id}`);
  const open = 'form[action="/auditor/record"]';
  await page.locator(`details:has(${open}) summary`).first().click();
  await page.locator(`${open} input[name=reason]`).first().fill('case 9/2026');
  await press(`${open} button`);
  t.match(await page.textContent('pre >> nth=1'), 'Zhao Ming');
  await look('record');
  await page.goto(`${base}/auditor?search=1`);
  t.equal(await page.locator('.rows > li').count(), 2);
  await look('results');
  await press('.rows a');
  await look('naughty exchange');
  await page.goto(`${base}/auditor?about=log&search=1`);
  await look('entries about the log');
  await page.goto(`${base}/auditor?id=1&code=x&from=2026-13-01`);
  await look('faults');
  await page.goto(`${base}/auditor/nothing`);
  await look('nothing here');
  await page.goto(`${base}/auditor/log`);
  await press('form[action="/auditor/log/audit"] button');
  if ((await page.locator('progress').count()) > 0) await look('verifying');
  while ((await page.locator('progress').count()) > 0) await page.goto(`${base}/auditor/log`);
  await look('log');
  await press('form[action="/auditor/sign-out"] button');
  await look('signed out');
  await context.close();
}

/** What is printed shows the facts and no forms. */
async function onPaper(t: Test, page: Page): Promise<void> {
  await page.emulateMedia({ media: 'print' });
  t.equal(await page.locator('form:visible, summary:visible').count(), 0);
  t.notOk(await page.isVisible('nav'));
  for (const shown of ['h1', '.steps dl', '.checks', '.box']) t.ok(await page.isVisible(shown), shown);
  if (SHOTS !== undefined) await page.pdf({ path: join(SHOTS, 'auditor exchange.pdf') });
  await page.emulateMedia({ media: 'screen' });
}

/** Sign in, search, open the exchange, open a record: Tab, Space and Enter, and always seen where one is. */
async function byKeyboard(t: Test, browser: Browser, setting: PackSetting, id: string): Promise<void> {
  const context: BrowserContext = await browser.newContext({
    javaScriptEnabled: false,
    locale: 'en-GB',
    viewport: NARROW,
  });
  const page = await context.newPage();
  const enter = async () => {
    const loaded = page.waitForEvent('load');
    await page.keyboard.press('Enter');
    await loaded;
  };
  const tabTo = async (selector: string) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab');
      const { isThere, isSeen } = await focusAt(page, selector);
      if (!isSeen) t.fail(`the focus is not seen before ${selector}`);
      if (isThere) return t.pass(selector);
    }
    return t.fail(`${selector} is not reached`);
  };
  await page.goto(`${setting.pair.consumer.urls.admin}/auditor`);
  await page.keyboard.press('Tab');
  t.ok((await focusAt(page, '.skip')).isThere, 'first of all, past the menu');
  await tabTo('#key');
  await page.keyboard.type(AUDITOR_KEY);
  await enter();
  await tabTo('#id');
  await page.keyboard.type(id);
  await enter();
  await tabTo('.rows a');
  await enter();
  await tabTo('summary');
  await page.keyboard.press('Enter');
  await tabTo('input[name=reason]');
  await page.keyboard.type('case 10/2026');
  await enter();
  t.match(await page.textContent('pre >> nth=1'), 'Zhao Ming');
  await context.close();
}
