// What every citizen page keeps to in a real browser: axe-core's rules (WCAG 2.2 AA and good practice), nothing wider than
// the screen, targets that a thumb hits, nothing ticked beforehand, buttons that weigh the same, no script.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Page } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const OWN = readFileSync(join(import.meta.dirname, 'in-page.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/**
 * Faults of the page that is shown, as lines to read. It works with JavaScript off too: the debugger may still run what it
 * brings along, but no timer fires then, so axe-core's short ones are run as microtasks.
 */
export async function faultsOf(page: Page, hasTicks: boolean): Promise<string[]> {
  const found = await page.evaluate(`(async () => {
    globalThis.setTimeout = (run, ms = 0, ...rest) => {
      if (ms < 100) Promise.resolve().then(() => run(...rest));
      return 0;
    };
    ${AXE}
    ${OWN}
    const options = { resultTypes: ['violations'], runOnly: ${JSON.stringify(TAGS)} };
    const { violations } = await axe.run(document, options);
    const lines = violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => (id + ': ' + target.join(' ') + ' ' + failureSummary).replaceAll('\\n', ' ')));
    return [...lines, ...globalThis.inPage.faults(${hasTicks})];
  })()`);
  return found as string[];
}

/** Whether the focus is at what is looked for, and to be seen. */
export async function focusAt(page: Page, selector: string): Promise<{ isThere: boolean; isSeen: boolean }> {
  const found = await page.evaluate(`{ ${OWN} globalThis.inPage.focus(${JSON.stringify(selector)}) }`);
  return found as { isThere: boolean; isSeen: boolean };
}
