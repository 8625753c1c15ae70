// The citizen of the story in a real browser: the machine's Chromium, when there is one. Pictures of the pages are kept in a
// folder that the story names.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Visitor } from './visitor.ts';

/** @returns why there is no browser, when there is none */
export async function openChromiumVisitor(): Promise<Visitor | { skipped: string }> {
  try {
    // Loads playwright-core, which an installation without development packages does not have.
    const { findChromium, launchChromium } = await import('#scripts/chromium.ts');
    const program = findChromium();
    if (program === null) return { skipped: 'no Chromium on this machine; ACCORD_CHROMIUM may name one' };
    return await drive(await launchChromium(program));
  } catch (error) {
    return { skipped: (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '' };
  }
}

async function drive(
  browser: Awaited<ReturnType<typeof import('#scripts/chromium.ts')['launchChromium']>>,
): Promise<Visitor> {
  const page = await browser.newPage({ locale: 'en', viewport: { width: 1000, height: 800 } });
  const pictures = mkdtempSync(join(tmpdir(), 'accord-demo-pictures-'));
  let count = 0;
  return {
    by: 'Chromium',
    pictures,
    async open(url) {
      await page.goto(url);
    },
    tick: (label) => page.getByLabel(label, { exact: true }).check(),
    async press(words) {
      const button = page.getByRole('button', { name: words });
      const loaded = page.waitForEvent('load');
      await button
        .or(page.getByRole('link', { name: words }))
        .first()
        .click();
      await loaded;
    },
    text: async () => (await page.locator('body').innerText()).replace(/\s+/g, ' ').trim(),
    ticked: () => page.locator('input:checked').count(),
    async picture(name) {
      count += 1;
      await page.screenshot({ path: join(pictures, `${count}-${name}.png`), fullPage: true });
    },
    close: () => browser.close(),
  };
}
