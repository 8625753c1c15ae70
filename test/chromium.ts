// The browser for a test file: one for all its cases, closed at its end. Where there is none the cases are left out, and it
// is said; with ACCORD_REQUIRE_BROWSER=1 they fail instead.
import type { Browser } from 'playwright-core';
import type { Test } from 'tap';
import { findChromium, launchChromium } from '#scripts/chromium.ts';

/** Null where there is none: nothing more is to be tested. */
export async function openChromium(t: Test): Promise<Browser | null> {
  const path = findChromium();
  if (path !== null) {
    const browser = await launchChromium(path);
    t.teardown(() => browser.close());
    return browser;
  }
  const why = 'SKIPPED: no Chromium (install the package chromium, or name the program in ACCORD_CHROMIUM)';
  if (process.env['ACCORD_REQUIRE_BROWSER'] === '1') t.fail(why);
  else {
    console.error(why);
    t.test('in a browser', { skip: why }, () => undefined);
  }
  return null;
}
