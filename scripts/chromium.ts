// The browser of the machine, for tests of the citizen pages and for the demonstration: found, never downloaded. It runs
// without a window and keeps nothing.
import { accessSync, constants } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
];

/** Path of the program: the environment's `ACCORD_CHROMIUM`, else where distributions put it; null where there is none. */
export function findChromium(): string | null {
  const wished = process.env['ACCORD_CHROMIUM'];
  return (wished ? [wished] : PLACES).find(isProgram) ?? null;
}

/** Close it with `close()`. @throws when the program does not start */
export async function launchChromium(executablePath: string): Promise<Browser> {
  const isRoot = process.getuid?.() === 0;
  return await chromium.launch({
    executablePath,
    headless: true,
    chromiumSandbox: !isRoot, // it refuses to be one for root
    args: ['--disable-dev-shm-usage', '--disable-gpu'],
    timeout: 60_000,
  });
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
